# SPDX-License-Identifier: Apache-2.0
"""Job templates, custom and managed, on the real server: boto3 and the AWS CLI, a stock MQTT client as the device."""
import datetime
import http.client
import json

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from refusals import pages, refused

INVALID = ("InvalidRequestException", 400)
MISSING = ("ResourceNotFoundException", 404)

CONFIGS = {
    "jobExecutionsRolloutConfig": {"maximumPerMinute": 500, "exponentialRate": {
        "baseRatePerMinute": 50, "incrementFactor": 2.0, "rateIncreaseCriteria": {"numberOfSucceededThings": 10}}},
    "abortConfig": {"criteriaList": [{"failureType": "ALL", "action": "CANCEL", "thresholdPercentage": 20.0,
                                      "minNumberOfExecutedThings": 4}]},
    "timeoutConfig": {"inProgressTimeoutInMinutes": 40},
    "jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 2}]},
}


@pytest.fixture
def make(iot, unique):
    """make(NAME, **members) makes a template and gives its ARN."""
    made = []

    def make(name="p", client=iot, **members):
        members.setdefault("description", f"about {name}")
        if not {"document", "documentSource", "jobArn"} & set(members):
            members["document"] = json.dumps({"template": name})
        answer = client.create_job_template(jobTemplateId=f"{name}-{unique}", **members)
        assert answer["jobTemplateId"] == f"{name}-{unique}"
        made.append(answer["jobTemplateId"])
        return answer["jobTemplateArn"]
    yield make
    for name in made:
        try:
            iot.delete_job_template(jobTemplateId=name)
        except iot.exceptions.ResourceNotFoundException:
            pass


@pytest.fixture
def role(iam, unique):
    """A role that AWS IoT may take."""
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    return iam.create_role(RoleName=f"r-{unique}", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]


def allow(iam, user, actions, resources):
    statement = {"Effect": "Allow", "Action": actions, "Resource": resources}
    iam.put_user_policy(UserName=user, PolicyName="allowed",
                        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def raw(platform, method, path, body=None):
    """(status, JSON) of a signed request: what newer SDKs send."""
    environment = platform.environment
    data = json.dumps(body).encode() if body is not None else b""
    request = AWSRequest(method, platform.endpoint + path, data=data)
    key = Credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(key, "iot", platform.region).add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", platform.http_port, timeout=10)
    connection.request(method, path, data, dict(request.headers))
    response = connection.getresponse()
    return response.status, json.loads(response.read() or b"{}")


# ---- custom templates

def test_template_is_described_as_it_was_made(iot, make, role, unique):
    arn = make(document='{"a": 1}', presignedUrlConfig={"roleArn": role, "expiresInSec": 90}, **CONFIGS)
    assert arn.startswith("arn:aws:iot:") and arn.endswith(f":jobtemplate/p-{unique}")
    described = iot.describe_job_template(jobTemplateId=f"p-{unique}")
    age = datetime.datetime.now(datetime.timezone.utc) - described.pop("createdAt")
    assert abs(age.total_seconds()) < 60
    described.pop("ResponseMetadata")
    assert described == {"jobTemplateArn": arn, "jobTemplateId": f"p-{unique}", "description": "about p",
                         "document": '{"a": 1}', "presignedUrlConfig": {"roleArn": role, "expiresInSec": 90}, **CONFIGS}
    refused("ConflictException", 409, make)
    iot.delete_job_template(jobTemplateId=f"p-{unique}")
    refused(*MISSING, iot.delete_job_template, jobTemplateId=f"p-{unique}")
    refused(*MISSING, iot.describe_job_template, jobTemplateId=f"p-{unique}")


def test_templates_that_are_refused(iot, make, platform, unique):
    for members in ({"document": "{"}, {"document": "[]"}, {"document": ""},
                    {"document": "{}", "documentSource": "https://s3.amazonaws.com/b/k"},
                    {"document": '{"u": "${aws:iot:parameter:x}"}'},
                    {"document": json.dumps({"a": "x" * 32768})},
                    {"documentSource": "https://s3.amazonaws.com/none-such/k"},
                    {"description": "a\nb"}, {"timeoutConfig": {"inProgressTimeoutInMinutes": 0}},
                    {"jobExecutionsRolloutConfig": {}}, {"abortConfig": {"criteriaList": [
                        {**CONFIGS["abortConfig"]["criteriaList"][0], "thresholdPercentage": 100.5}]}},
                    {"jobArn": "arn:aws:iot:us-east-1:1:thing/x"},
                    {"tags": [{"Key": "muster:pause", "Value": "true"}]}, {"tags": [{"Key": "aws:x", "Value": "y"}]}):
        refused(*INVALID, make, **members)
    refused(*INVALID, iot.create_job_template, jobTemplateId=f"p-{unique}", description="no source")
    refused(*INVALID, iot.create_job_template, jobTemplateId="a b", description="d", document="{}")
    refused(*INVALID, iot.describe_job_template, jobTemplateId="a:b")
    account = iot.create_thing(thingName=f"t-{unique}")["thingArn"].split(":")[3:5]
    refused(*MISSING, make, jobArn="arn:aws:iot:%s:%s:job/none" % tuple(account))
    status, answer = raw(platform, "PUT", f"/job-templates/p-{unique}",
                         {"description": "d", "document": "{}", "destinationPackageVersions": ["arn:aws:iot:::package/p"]})
    assert status == 400 and "Software Package Catalog" in answer["message"]
    refused(*MISSING, iot.describe_job_template, jobTemplateId=f"p-{unique}")


def test_document_source_is_read_once(iot, s3, make, unique):
    bucket = f"templates-{unique}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="d.json", Body=b'{"from": "s3"}')
    source = f"https://s3.amazonaws.com/{bucket}/d.json"
    make(documentSource=source)
    s3.delete_object(Bucket=bucket, Key="d.json")
    described = iot.describe_job_template(jobTemplateId=f"p-{unique}")
    assert described["documentSource"] == source and json.loads(described["document"]) == {"from": "s3"}


def test_templates_are_listed_newest_first(iot, make, unique):
    for i in range(5):
        make(f"p{i}")
    mine = [f"p{i}-{unique}" for i in reversed(range(5))]
    listed = pages(iot, "list_job_templates", "jobTemplates")
    assert [item["jobTemplateId"] for item in listed][:5] == mine
    assert set(listed[0]) == {"jobTemplateArn", "jobTemplateId", "description", "createdAt"}
    assert listed[0]["description"] == "about p4"
    refused(*INVALID, iot.list_job_templates, nextToken="nonsense")
    refused(*INVALID, iot.list_job_templates, maxResults=251)


def test_tags(iot, make, unique):
    arn = make(tags=[{"Key": "team", "Value": "a"}])
    iot.tag_resource(resourceArn=arn, tags=[{"Key": "more", "Value": ""}])
    tags = {tag["Key"]: tag["Value"] for tag in iot.list_tags_for_resource(resourceArn=arn)["tags"]}
    assert tags == {"team": "a", "more": ""}
    iot.untag_resource(resourceArn=arn, tagKeys=["team"])
    assert [tag["Key"] for tag in iot.list_tags_for_resource(resourceArn=arn)["tags"]] == ["more"]
    refused(*INVALID, iot.tag_resource, resourceArn=arn, tags=[{"Key": "muster:hold", "Value": "5"}])
    iot.delete_job_template(jobTemplateId=f"p-{unique}")
    refused(*MISSING, iot.list_tags_for_resource, resourceArn=arn)
    make()
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == []


def test_maintenance_windows_of_newer_sdks(platform, iot, thing, unique):
    windows = [{"startTime": "cron(0 2 ? * MON *)", "durationInMinutes": 60}]
    path = f"/job-templates/w-{unique}"
    status, answer = raw(platform, "PUT", path, {"description": "d", "document": "{}", "maintenanceWindows": windows})
    assert status == 200, answer
    template = raw(platform, "GET", path)[1]
    assert template["maintenanceWindows"] == windows
    create = dict(targets=[thing["thingArn"]], jobTemplateArn=template["jobTemplateArn"])
    refused(*INVALID, iot.create_job, jobId=f"j-{unique}", targetSelection="SNAPSHOT", **create)
    iot.create_job(jobId=f"j-{unique}", targetSelection="CONTINUOUS", **create)
    job = raw(platform, "GET", f"/jobs/j-{unique}")[1]["job"]
    assert job["schedulingConfig"]["maintenanceWindows"] == windows and job["scheduledJobRollouts"]
    windows[0]["startTime"] = "cron(0 2 * * *)"
    status, answer = raw(platform, "PUT", path + "2",
                         {"description": "d", "document": "{}", "maintenanceWindows": windows})
    assert status == 400, answer
    assert raw(platform, "DELETE", path)[0] == 200


# ---- jobs from templates, templates from jobs

def test_job_from_template(iot, make, device, thing, unique):
    arn = make(**{name: CONFIGS[name] for name in ("timeoutConfig", "abortConfig")})
    made = iot.create_job(jobId=f"j-{unique}", targets=[thing["thingArn"]], jobTemplateArn=arn)
    assert "description" not in made
    job = iot.describe_job(jobId=f"j-{unique}")["job"]
    assert job["jobTemplateArn"] == arn and "description" not in job
    assert job["timeoutConfig"] == CONFIGS["timeoutConfig"] and job["abortConfig"] == CONFIGS["abortConfig"]
    assert device.accepted("start-next")["execution"]["jobDocument"] == {"template": "p"}
    # The template may go; the job keeps its name.
    iot.delete_job_template(jobTemplateId=f"p-{unique}")
    assert iot.describe_job(jobId=f"j-{unique}")["job"]["jobTemplateArn"] == arn
    refused(*MISSING, iot.create_job, jobId=f"k-{unique}", targets=[thing["thingArn"]], jobTemplateArn=arn)


def test_request_replaces_members_of_the_template_whole(iot, make, thing, unique):
    arn = make(**CONFIGS)
    rollout = {"maximumPerMinute": 7}
    iot.create_job(jobId=f"j-{unique}", targets=[thing["thingArn"]], jobTemplateArn=arn, document='{"own": 1}',
                   description="own", jobExecutionsRolloutConfig=rollout)
    job = iot.describe_job(jobId=f"j-{unique}")["job"]
    assert job["description"] == "own" and job["jobExecutionsRolloutConfig"] == rollout
    assert job["abortConfig"] == CONFIGS["abortConfig"]
    assert iot.get_job_document(jobId=f"j-{unique}")["document"] == '{"own": 1}'
    create = dict(jobId=f"k-{unique}", targets=[thing["thingArn"]])
    refused(*INVALID, iot.create_job, jobTemplateArn=arn, documentParameters={"a": "b"}, **create)
    refused(*INVALID, iot.create_job, jobTemplateArn=thing["thingArn"], **create)
    refused(*MISSING, iot.create_job, jobTemplateArn=arn + "x", **create)
    refused(*MISSING, iot.describe_job, jobId=f"k-{unique}")


def test_template_from_job(iot, make, thing, unique):
    document = json.dumps({"of": "job"})
    job = iot.create_job(jobId=f"j-{unique}", targets=[thing["thingArn"]], document=document, description="of job",
                         **CONFIGS)
    make(jobArn=job["jobArn"])
    copied = iot.describe_job_template(jobTemplateId=f"p-{unique}")
    assert copied["document"] == document and copied["description"] == "about p"
    assert {name: copied.get(name) for name in CONFIGS} == CONFIGS
    make("q", jobArn=job["jobArn"], document='{"own": 1}', timeoutConfig={"inProgressTimeoutInMinutes": 3})
    replaced = iot.describe_job_template(jobTemplateId=f"q-{unique}")
    assert replaced["document"] == '{"own": 1}' and replaced["abortConfig"] == CONFIGS["abortConfig"]
    assert replaced["timeoutConfig"] == {"inProgressTimeoutInMinutes": 3}


# ---- permissions

def test_permissions_are_by_template(ann, iam, iot, make, thing, unique):
    caller = ann("iot")
    one, other = make("one"), make("other")
    allow(iam, ann.name, ["iot:DescribeJobTemplate", "iot:CreateJobTemplate"], [one, one.replace("one-", "new-")])
    caller.describe_job_template(jobTemplateId=f"one-{unique}")
    denied = ("AccessDeniedException", 403)
    refused(*denied, caller.describe_job_template, jobTemplateId=f"other-{unique}")
    refused(*denied, caller.delete_job_template, jobTemplateId=f"one-{unique}")
    refused(*denied, caller.list_job_templates)
    refused(*denied, caller.create_job_template, jobTemplateId=f"other2-{unique}", description="d", document="{}")
    make("new", client=caller)
    # A job is made with permission on the job, its targets and the template.
    job = one.replace("jobtemplate/one-", "job/")
    create = dict(jobId=unique, targets=[thing["thingArn"]])
    allow(iam, ann.name, ["iot:CreateJob"], [job, thing["thingArn"], one])
    refused(*denied, caller.create_job, jobTemplateArn=other, **create)
    caller.create_job(jobTemplateArn=one, **create)
    # So is a template of a job, and one with tags.
    allow(iam, ann.name, ["iot:CreateJobTemplate"], [one.replace("one-", "*")])
    refused(*denied, make, name="of-job", client=caller, jobArn=job)
    refused(*denied, make, name="tagged", client=caller, tags=[{"Key": "k", "Value": "v"}])
    allow(iam, ann.name, ["iot:CreateJobTemplate", "iot:TagResource"], [one.replace("one-", "*"), job])
    make("of-job", client=caller, jobArn=job)
    make("tagged", client=caller, tags=[{"Key": "k", "Value": "v"}])


def test_role_of_a_template_must_be_the_callers_to_pass(ann, iam, iot, make, thing, role, unique):
    caller = ann("iot")
    denied = ("AccessDeniedException", 403)
    presign = {"roleArn": role, "expiresInSec": 60}
    signed = '{"u": "${aws:iot:s3-presigned-url:https://s3.amazonaws.com/bucket/k}"}'
    arn = make("with-role", presignedUrlConfig=presign)
    job = iot.create_job(jobId=f"j-{unique}", targets=[thing["thingArn"]], document="{}", presignedUrlConfig=presign)
    create = dict(jobId=f"k-{unique}", targets=[thing["thingArn"]], jobTemplateArn=arn, document=signed)
    allow(iam, ann.name, ["iot:*"], ["*"])
    refused(*denied, make, client=caller, presignedUrlConfig=presign)
    refused(*denied, make, client=caller, jobArn=job["jobArn"])
    refused(*denied, caller.create_job, **create)
    refused(*MISSING, iot.describe_job_template, jobTemplateId=f"p-{unique}")
    refused(*MISSING, iot.describe_job, jobId=f"k-{unique}")
    allow(iam, ann.name, ["iot:*", "iam:PassRole"], ["*"])
    make(client=caller, jobArn=job["jobArn"])
    assert iot.describe_job_template(jobTemplateId=f"p-{unique}")["presignedUrlConfig"] == presign
    caller.create_job(**create)


# ---- managed templates

NAMES = ["AWS-Download-File", "AWS-Install-Application", "AWS-Reboot", "AWS-Remove-Application",
         "AWS-Restart-Application", "AWS-Run-Command", "AWS-Start-Application", "AWS-Stop-Application"]


def test_managed_templates_are_listed(iot, platform):
    listed, token = [], {}
    while token is not None:  # botocore has no paginator for it
        page = iot.list_managed_job_templates(maxResults=3, **token)
        assert len(page["managedJobTemplates"]) == min(3, len(NAMES) - len(listed))
        listed += page["managedJobTemplates"]
        token = {"nextToken": page["nextToken"]} if "nextToken" in page else None
    assert [item["templateName"] for item in listed] == NAMES
    for item in listed:
        assert item["templateArn"] == f"arn:aws:iot:{platform.region}::jobtemplate/{item['templateName']}:1.0"
        assert item["templateVersion"] == "1.0" and item["environments"] == ["LINUX"] and item["description"]
    one = iot.list_managed_job_templates(templateName="AWS-Reboot")
    assert [item["templateName"] for item in one["managedJobTemplates"]] == ["AWS-Reboot"] and "nextToken" not in one
    refused(*MISSING, iot.list_managed_job_templates, templateName="AWS-Reboot2")
    refused(*INVALID, iot.list_managed_job_templates, nextToken="nonsense")


def test_managed_template_is_described(iot):
    for name in NAMES:
        described = iot.describe_managed_job_template(templateName=name)
        described.pop("ResponseMetadata")
        assert described == {**described, "templateName": name, "templateVersion": "1.0", "environments": ["LINUX"]}
        assert json.loads(described["document"])["steps"][0]["action"]["name"] == name[4:]
        for parameter in described["documentParameters"]:
            assert set(parameter) == {"key", "description", "regex", "example", "optional"}
            assert "${aws:iot:parameter:%s}" % parameter["key"] in described["document"]
    download = iot.describe_managed_job_template(templateName="AWS-Download-File", templateVersion="1.0")
    optional = {parameter["key"]: parameter["optional"] for parameter in download["documentParameters"]}
    assert optional == {"downloadUrl": False, "filePath": False, "runAsUser": True, "pathToHandler": True}
    refused(*MISSING, iot.describe_managed_job_template, templateName="AWS-Download-File", templateVersion="1.1")
    refused(*INVALID, iot.describe_managed_job_template, templateName="AWS-Download-File", templateVersion="one")
    refused(*MISSING, iot.describe_managed_job_template, templateName="Download-File")


def test_managed_templates_are_not_the_accounts_own(iot, platform):
    managed = iot.describe_managed_job_template(templateName="AWS-Reboot")["templateArn"]
    refused(*INVALID, iot.tag_resource, resourceArn=managed, tags=[{"Key": "k", "Value": "v"}])
    refused(*MISSING, iot.describe_job_template, jobTemplateId="AWS-Reboot")


def test_job_from_managed_template_by_the_cli(platform, iot, device, thing, unique):
    arn = iot.describe_managed_job_template(templateName="AWS-Download-File")["templateArn"]
    done = platform.cli("iot", "create-job", "--job-id", f"j-{unique}", "--targets", thing["thingArn"],
                        "--job-template-arn", arn, "--document-parameters",
                        "downloadUrl=https://example.com/index.html,filePath=path/to/file")
    described = iot.describe_managed_job_template(templateName="AWS-Download-File")["description"]
    assert json.loads(done.stdout)["description"] == described
    action = {"name": "Download-File", "type": "runHandler", "runAsUser": "", "input": {
        "handler": "download-file.sh", "args": ["https://example.com/index.html", "path/to/file"], "path": ""}}
    expected = {"version": "1.0", "steps": [{"action": action}]}
    assert device.accepted("start-next")["execution"]["jobDocument"] == expected
    assert json.loads(iot.get_job_document(jobId=f"j-{unique}")["document"]) == expected
    before = raw(platform, "GET", f"/jobs/j-{unique}/job-document?beforeSubstitution=true")[1]["document"]
    assert before == iot.describe_managed_job_template(templateName="AWS-Download-File")["document"]


def test_parameters_of_managed_templates(iot, thing, unique):
    def create(name, **members):
        arn = iot.describe_managed_job_template(templateName=name)["templateArn"]
        return iot.create_job(jobId=f"j-{unique}", targets=[thing["thingArn"]], jobTemplateArn=arn, **members)
    for name, members in (("AWS-Run-Command", {}), ("AWS-Run-Command", {"documentParameters": {"runAsUser": "a"}}),
                          ("AWS-Reboot", {"documentParameters": {"command": "ls"}}),
                          ("AWS-Reboot", {"documentParameters": {"runAsUser": "u" * 257}}),
                          ("AWS-Reboot", {"documentParameters": {"run As": "u"}}),
                          ("AWS-Reboot", {"document": "{}"}),
                          ("AWS-Run-Command", {"documentParameters": {"command": "${aws:iot:parameter:runAsUser}"}})):
        error = refused(*INVALID, create, name=name, **members)
        assert error["Error"]["Message"]
    refused(*MISSING, iot.describe_job, jobId=f"j-{unique}")
    create("AWS-Run-Command", documentParameters={"command": "echo,a\\,b \"c\""})
    action = json.loads(iot.get_job_document(jobId=f"j-{unique}")["document"])["steps"][0]["action"]
    assert action["input"] == {"command": "echo,a\\,b \"c\""}
    assert iot.describe_job(jobId=f"j-{unique}")["job"]["documentParameters"] == {"command": "echo,a\\,b \"c\""}
