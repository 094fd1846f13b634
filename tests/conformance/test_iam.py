# SPDX-License-Identifier: Apache-2.0
"""IAM and STS through boto3: identities, keys, inline policies, roles, sessions, and that they decide."""
import datetime
import json

import pytest
from botocore.exceptions import ClientError

from refusals import pages, refused


def code(error):
    return error.value.response["Error"]["Code"]


def policy(effect, action, resource, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": effect, "Action": action, "Resource": resource, **more}]})


def trust(principal):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]})


def test_users(iam, unique):
    names = [f"u{n}-{unique}" for n in range(3)]
    for name in names:
        user = iam.create_user(UserName=name, Tags=[{"Key": "team", "Value": "x"}])["User"]
        assert user["Arn"].endswith(f":user/{name}") and user["UserId"].startswith("AIDA") and user["Path"] == "/"
    with pytest.raises(ClientError) as error:
        iam.create_user(UserName=names[0].upper())
    assert code(error) == "EntityAlreadyExists"
    found = [u["UserName"] for page in iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2})
             for u in page["Users"]]
    assert set(names) <= set(found)
    document = policy("Allow", "s3:*", "arn:aws:s3:::b%20/*")
    iam.put_user_policy(UserName=names[0], PolicyName="p", PolicyDocument=document)
    assert iam.get_user_policy(UserName=names[0], PolicyName="p")["PolicyDocument"] == json.loads(document)
    assert iam.list_user_policies(UserName=names[0])["PolicyNames"] == ["p"]
    with pytest.raises(ClientError) as error:
        iam.put_user_policy(UserName=names[0], PolicyName="q", PolicyDocument="{}")
    assert code(error) == "MalformedPolicyDocument"
    with pytest.raises(ClientError) as error:
        iam.delete_user(UserName=names[0])
    assert code(error) == "DeleteConflict"
    iam.delete_user_policy(UserName=names[0], PolicyName="p")
    for name in names:
        iam.delete_user(UserName=name)
    with pytest.raises(ClientError) as error:
        iam.get_user(UserName=names[0])
    assert code(error) == "NoSuchEntity" and error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_keys_work_until_they_do_not(iam, ann):
    assert ann("sts").get_caller_identity()["Arn"] == ann.arn  # needs no permission
    iam.update_access_key(UserName=ann.name, AccessKeyId=ann.key["AccessKeyId"], Status="Inactive")
    with pytest.raises(ClientError) as error:
        ann("sts").get_caller_identity()
    assert code(error) == "InvalidClientTokenId"
    assert iam.list_access_keys(UserName=ann.name)["AccessKeyMetadata"][0]["Status"] == "Inactive"
    iam.update_access_key(UserName=ann.name, AccessKeyId=ann.key["AccessKeyId"], Status="Active")
    ann("sts").get_caller_identity()
    iam.delete_access_key(UserName=ann.name, AccessKeyId=ann.key["AccessKeyId"])
    with pytest.raises(ClientError) as error:
        ann("sts").get_caller_identity()
    assert code(error) == "InvalidClientTokenId"


def test_policies_decide(iam, ann, unique):
    iot = ann("iot")
    with pytest.raises(ClientError) as error:
        iot.create_thing(thingName=f"t-{unique}")
    assert code(error) == "AccessDeniedException"
    assert "is not authorized to perform: iot:CreateThing on resource:" in str(error.value)
    allowed = f"arn:aws:iot:*:*:thing/{unique}-*"
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=policy("Allow", "iot:*", allowed))
    iot.create_thing(thingName=f"{unique}-1")
    with pytest.raises(ClientError) as error:
        iot.create_thing(thingName=f"other-{unique}")
    assert code(error) == "AccessDeniedException"
    iam.put_user_policy(UserName=ann.name, PolicyName="d", PolicyDocument=policy("Deny", "iot:Delete*", "*"))
    with pytest.raises(ClientError) as error:
        iot.delete_thing(thingName=f"{unique}-1")
    assert "explicit deny" in str(error.value)
    group = iot.describe_thing(thingName=f"{unique}-1")
    assert group["version"] == 1


def test_groups_of_a_thing_need_permission_on_each_group(iam, iot, ann, unique):
    iot.create_thing(thingName=f"t-{unique}")
    for name in ("mine", "yours"):
        iot.create_thing_group(thingGroupName=f"{name}-{unique}")
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": [
            f"arn:aws:iot:*:*:thing/t-{unique}", f"arn:aws:iot:*:*:thinggroup/mine-{unique}"]}]}))
    ann("iot").update_thing_groups_for_thing(thingName=f"t-{unique}", thingGroupsToAdd=[f"mine-{unique}"])
    with pytest.raises(ClientError) as error:
        ann("iot").update_thing_groups_for_thing(thingName=f"t-{unique}", thingGroupsToAdd=[f"yours-{unique}"])
    assert code(error) == "AccessDeniedException"


def test_roles_and_sessions(platform, iam, sts, ann, unique):
    name = f"r-{unique}"
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust({"AWS": ann.arn}), Description="d")["Role"]
    assert made["RoleId"].startswith("AROA")
    assert iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"] == json.loads(trust({"AWS": ann.arn}))
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy("Allow", "iot:*", "*"))
    with pytest.raises(ClientError) as error:
        sts.assume_role(RoleArn=made["Arn"], RoleSessionName="s1")
    assert code(error) == "AccessDenied"
    session = ann("sts").assume_role(RoleArn=made["Arn"], RoleSessionName="s1",
                                     Policy=policy("Allow", "iot:ListThings", "*"))
    assert session["AssumedRoleUser"]["Arn"].endswith(f":assumed-role/{name}/s1")
    credentials = session["Credentials"]

    def client(service, token=credentials["SessionToken"]):
        return platform.client(service, access_key=credentials["AccessKeyId"],
                               secret_key=credentials["SecretAccessKey"], session_token=token)
    assert client("sts").get_caller_identity()["Arn"] == session["AssumedRoleUser"]["Arn"]
    client("iot").list_things()
    with pytest.raises(ClientError) as error:
        client("iot").list_thing_groups()
    assert "no session policy allows" in str(error.value)
    forged = credentials["SessionToken"][:-3] + "AAA"
    with pytest.raises(ClientError) as error:
        client("sts", forged).get_caller_identity()
    assert code(error) in ("InvalidClientTokenId", "InvalidToken")
    with pytest.raises(ClientError) as error:
        iam.delete_role(RoleName=name)
    assert code(error) == "DeleteConflict"
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    with pytest.raises(ClientError) as error:
        client("iot").list_things()
    assert code(error) == "AccessDeniedException"
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust({"Service": "iot.amazonaws.com"}))
    with pytest.raises(ClientError) as error:
        ann("sts").assume_role(RoleArn=made["Arn"], RoleSessionName="s1")
    assert code(error) == "AccessDenied"
    iam.delete_role(RoleName=name)


# ---- errors, limits and pages, as IAM's


def test_names_and_bodies_are_checked(platform, iam, unique):
    unchecked = platform.client("iam", parameter_validation=False)
    for name in ("with space", "sl/ash", "a" * 65):
        refused("ValidationError", 400, iam.create_user, UserName=name)
    for missing, more in ((iam.get_user, {}), (iam.delete_user, {}), (iam.create_access_key, {}),
                          (iam.list_access_keys, {}), (iam.list_user_policies, {}),
                          (iam.get_user_policy, {"PolicyName": "p"}),
                          (iam.put_user_policy, {"PolicyName": "p", "PolicyDocument": policy("Allow", "*", "*")})):
        error = refused("NoSuchEntity", 404, missing, UserName=f"no-{unique}", **more)
        assert error["Error"]["Type"] == "Sender" and f"no-{unique}" in error["Error"]["Message"]
    for missing in (iam.get_role, iam.delete_role, iam.list_role_policies):
        refused("NoSuchEntity", 404, missing, RoleName=f"no-{unique}")
    iam.create_role(RoleName=unique, AssumeRolePolicyDocument=trust({"Service": "iot.amazonaws.com"}))
    refused("EntityAlreadyExists", 409, iam.create_role, RoleName=unique,
            AssumeRolePolicyDocument=trust({"Service": "iot.amazonaws.com"}))
    refused("NoSuchEntity", 404, iam.get_role_policy, RoleName=unique, PolicyName="p")
    refused("NoSuchEntity", 404, iam.delete_role_policy, RoleName=unique, PolicyName="p")
    for seconds in (3599, 43201):
        refused("ValidationError", 400, unchecked.create_role, RoleName=f"{unique}-x", MaxSessionDuration=seconds,
                AssumeRolePolicyDocument=trust({"Service": "iot.amazonaws.com"}))
    iam.delete_role(RoleName=unique)


@pytest.mark.parametrize("text", [
    "junk", "{}", "[]", '{"Version":"2012-10-17","Statement":"x"}', policy("Maybe", "*", "*"),
    policy("Allow", "nocolon", "*"), policy("Allow", "s3:*", "no-arn"), policy("Allow", "s3:*", "*", Principal="*"),
    policy("Allow", "s3:*", "*", Extra=1),
    policy("Allow", "s3:*", "*", Condition={"Like": {"aws:SourceIp": "1.2.3.4"}}),
    policy("Allow", "s3:*", "*", Condition={"IpAddress": {"aws:SourceIp": "not-an-address"}})], ids=range(11))
def test_malformed_policies(iam, ann, text):
    refused("MalformedPolicyDocument", 400, iam.put_user_policy, UserName=ann.name, PolicyName="p", PolicyDocument=text)
    assert iam.list_user_policies(UserName=ann.name)["PolicyNames"] == []


def test_malformed_trust(iam, unique):
    for text in ("junk", policy("Allow", "sts:AssumeRole", "*"), trust({"AWS": "junk"}), trust({"Nobody": "*"})):
        refused("MalformedPolicyDocument", 400, iam.create_role, RoleName=unique, AssumeRolePolicyDocument=text)


def test_quotas(iam, ann):
    iam.create_access_key(UserName=ann.name)
    refused("LimitExceeded", 409, iam.create_access_key, UserName=ann.name)
    statements = [f"arn:aws:s3:::bucket-{n:04}/*" for n in range(100)]
    refused("LimitExceeded", 409, iam.put_user_policy, UserName=ann.name, PolicyName="p",
            PolicyDocument=policy("Allow", "s3:*", statements))
    refused("DeleteConflict", 409, iam.delete_user, UserName=ann.name)
    for key in iam.list_access_keys(UserName=ann.name)["AccessKeyMetadata"]:
        assert "SecretAccessKey" not in key
        iam.delete_access_key(UserName=ann.name, AccessKeyId=key["AccessKeyId"])
    refused("NoSuchEntity", 404, iam.delete_access_key, UserName=ann.name, AccessKeyId=ann.key["AccessKeyId"])
    iam.delete_user(UserName=ann.name)
    refused("InvalidClientTokenId", 403, ann("sts").get_caller_identity)


def test_lists_come_in_pages(iam, unique):
    names = [f"{unique}-{n}" for n in range(5)]
    for name in names:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust({"Service": "iot.amazonaws.com"}))
        iam.put_role_policy(RoleName=names[0], PolicyName=name, PolicyDocument=policy("Allow", "s3:*", "*"))
    roles = [r["RoleName"] for r in pages(iam, "list_roles", "Roles")]
    assert [r for r in roles if r in names] == names and len(roles) == len(set(roles))
    assert pages(iam, "list_role_policies", "PolicyNames", RoleName=names[0]) == names
    first = iam.list_roles(MaxItems=1)
    assert first["IsTruncated"] and first["Marker"]
    refused("ValidationError", 400, iam.list_roles, Marker="\x01")
    refused("ValidationError", 400, iam.list_roles, MaxItems=1001)
    user = iam.create_user(UserName=unique)["User"]["UserName"]
    keys = sorted(iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"] for _ in range(2))
    found = pages(iam, "list_access_keys", "AccessKeyMetadata", size=1, UserName=user)
    assert sorted(k["AccessKeyId"] for k in found) == keys and {k["Status"] for k in found} == {"Active"}


def test_users_look_after_their_own_keys(iam, ann):
    mine = ann("iam")
    refused("AccessDenied", 403, mine.create_access_key)
    iam.put_user_policy(UserName=ann.name, PolicyName="keys", PolicyDocument=policy(
        "Allow", ["iam:*AccessKey*", "iam:GetUser"], "arn:aws:iam::*:user/${aws:username}"))
    assert mine.get_user()["User"]["UserName"] == ann.name
    second = mine.create_access_key()["AccessKey"]
    assert second["UserName"] == ann.name and len(mine.list_access_keys()["AccessKeyMetadata"]) == 2
    mine.delete_access_key(AccessKeyId=second["AccessKeyId"])
    refused("AccessDenied", 403, mine.create_access_key, UserName="somebody-else")


def test_secret_of_another_key_does_not_sign(platform, iam, ann):
    other = iam.create_access_key(UserName=ann.name)["AccessKey"]
    mixed = platform.client("sts", access_key=ann.key["AccessKeyId"], secret_key=other["SecretAccessKey"])
    refused("SignatureDoesNotMatch", 403, mixed.get_caller_identity)
    refused("InvalidClientTokenId", 403, platform.client(
        "sts", access_key="AKIAIOSFODNN7EXAMPLE", secret_key="x" * 40).get_caller_identity)
    refused("InvalidClientTokenId", 403, platform.client(
        "sts", access_key=ann.key["AccessKeyId"], secret_key=ann.key["SecretAccessKey"],
        session_token="bogus").get_caller_identity)


# ---- policies that decide


@pytest.mark.parametrize("condition, allowed", [
    ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
    ({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "127.0.0.1"]}}, True),
    ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
    ({"NotIpAddress": {"aws:SourceIp": "127.0.0.1/32"}}, False),
    ({"StringLike": {"aws:username": "ann-*"}}, True),
    ({"StringLike": {"aws:UserAgent": "*Boto3*"}}, True),
    ({"StringEquals": {"aws:username": "bob"}}, False),
    ({"StringNotEquals": {"aws:username": "bob"}}, True),
    ({"Bool": {"aws:SecureTransport": "true"}}, False),
    ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
    ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, False),
    ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/ann-*"}}, True),
    ({"StringEqualsIfExists": {"aws:Referer": "x"}}, True),
    ({"Null": {"aws:Referer": "false"}}, False),
    ({"StringEquals": {"aws:username": "bob"}, "IpAddress": {"aws:SourceIp": "127.0.0.1"}}, False),
], ids=range(15))
def test_conditions(iam, ann, condition, allowed):
    iam.put_user_policy(UserName=ann.name, PolicyName="p",
                        PolicyDocument=policy("Allow", "iot:ListThings", "*", Condition=condition))
    if allowed:
        ann("iot").list_things()
    else:
        refused("AccessDeniedException", 403, ann("iot").list_things)


def test_deny_wins_over_any_allow(iam, s3, ann, unique):
    bucket = f"b-{unique}"
    s3.create_bucket(Bucket=bucket)
    iam.put_user_policy(UserName=ann.name, PolicyName="all", PolicyDocument=policy("Allow", "s3:*", "*"))
    iam.put_user_policy(UserName=ann.name, PolicyName="no", PolicyDocument=policy(
        "Deny", ["s3:PutObject", "s3:GetObject"], f"arn:aws:s3:::{bucket}/secret/*"))
    mine = ann("s3")
    mine.put_object(Bucket=bucket, Key="open/a", Body=b"1")
    refused("AccessDenied", 403, mine.put_object, Bucket=bucket, Key="secret/a", Body=b"1")
    s3.put_object(Bucket=bucket, Key="secret/a", Body=b"1")
    refused("AccessDenied", 403, mine.get_object, Bucket=bucket, Key="secret/a")
    # By another way to the same object.
    refused("AccessDenied", 403, mine.copy_object, Bucket=bucket, Key="open/b",
            CopySource={"Bucket": bucket, "Key": "secret/a"})
    iam.put_user_policy(UserName=ann.name, PolicyName="no", PolicyDocument=policy("Deny", "*", "*"))
    refused("AccessDenied", 403, mine.get_object, Bucket=bucket, Key="open/a")
    iam.delete_user_policy(UserName=ann.name, PolicyName="no")
    assert mine.get_object(Bucket=bucket, Key="secret/a")["Body"].read() == b"1"


def test_prefix_condition_of_a_listing(iam, s3, ann, unique):
    bucket = f"b-{unique}"
    s3.create_bucket(Bucket=bucket)
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=policy(
        "Allow", "s3:ListBucket", f"arn:aws:s3:::{bucket}", Condition={"StringLike": {"s3:prefix": "home/*"}}))
    ann("s3").list_objects_v2(Bucket=bucket, Prefix="home/ann")
    refused("AccessDenied", 403, ann("s3").list_objects_v2, Bucket=bucket, Prefix="other")
    refused("AccessDenied", 403, ann("s3").list_objects_v2, Bucket=bucket)


def test_data_planes_ask_identity_policies(platform, iam, iot, ann, unique):
    iot.create_thing(thingName=unique)
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "iot:Publish", "Resource": f"arn:aws:iot:*:*:topic/{unique}/*"},
            {"Effect": "Allow", "Action": "iotjobsdata:GetPendingJobExecutions",
             "Resource": f"arn:aws:iot:*:*:thing/{unique}"}]}))
    ann("iot-data").publish(topic=f"{unique}/a", qos=1, payload=b"x")
    refused("ForbiddenException", 403, ann("iot-data").publish, topic="other", qos=1, payload=b"x")
    jobs = ann("iot-jobs-data")
    assert jobs.get_pending_job_executions(thingName=unique)["queuedJobs"] == []
    refused("ForbiddenException", 403, jobs.start_next_pending_job_execution, thingName=unique)
    refused("ForbiddenException", 403, jobs.get_pending_job_executions, thingName=f"other-{unique}")


def test_not_action_and_not_resource(iam, iot, ann, unique):
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "NotAction": "iot:Delete*", "Resource": "*"},
                                               {"Effect": "Deny", "Action": "iot:CreateThing",
                                                "NotResource": f"arn:aws:iot:*:*:thing/{unique}*"}]}))
    ann("iot").create_thing(thingName=unique)
    refused("AccessDeniedException", 403, ann("iot").create_thing, thingName=f"other-{unique}")
    refused("AccessDeniedException", 403, ann("iot").delete_thing, thingName=unique)
    assert iot.describe_thing(thingName=unique)


def test_denied_call_does_not_tell_what_exists(iam, iot, ann, unique):
    iot.create_thing(thingName=unique)
    for name in (unique, f"no-{unique}"):
        refused("AccessDeniedException", 403, ann("iot").describe_thing, thingName=name)


# ---- roles


@pytest.fixture
def role(iam, unique):
    """role(principal, policy document, **trust statement) makes one; returns its ARN."""
    def make(principal, document=None, name=unique, **more):
        text = json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}]})
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=text)["Role"]["Arn"]
        if document:
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)
        return arn
    return make


def assume(platform, sts, arn, name="session", **more):
    """A maker of clients with the session's credentials."""
    made = sts.assume_role(RoleArn=arn, RoleSessionName=name, **more)["Credentials"]
    assert made["AccessKeyId"].startswith("ASIA")
    return lambda service: platform.client(service, access_key=made["AccessKeyId"], secret_key=made["SecretAccessKey"],
                                           session_token=made["SessionToken"])


def test_account_principal_needs_the_users_own_permission(platform, iam, ann, role, unique):
    arn = role({"AWS": platform.environment["MUSTER_ACCOUNT_ID"]}, policy("Allow", "iot:ListThings", "*"))
    refused("AccessDenied", 403, ann("sts").assume_role, RoleArn=arn, RoleSessionName="session")
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=policy("Allow", "sts:AssumeRole", arn))
    client = assume(platform, ann("sts"), arn)
    client("iot").list_things()
    refused("AccessDeniedException", 403, client("iot").list_thing_groups)
    identity = client("sts").get_caller_identity()
    assert identity["Arn"].endswith(f":assumed-role/{unique}/session") and identity["UserId"].endswith(":session")
    assert identity["UserId"].startswith("AROA")
    iam.put_user_policy(UserName=ann.name, PolicyName="no", PolicyDocument=policy("Deny", "sts:AssumeRole", "*"))
    refused("AccessDenied", 403, ann("sts").assume_role, RoleArn=arn, RoleSessionName="session")


def test_external_id(platform, ann, role):
    arn = role({"AWS": ann.arn}, Condition={"StringEquals": {"sts:ExternalId": "secret-7"}})
    for more in ({}, {"ExternalId": "other"}):
        refused("AccessDenied", 403, ann("sts").assume_role, RoleArn=arn, RoleSessionName="session", **more)
    assume(platform, ann("sts"), arn, ExternalId="secret-7")


def test_sessions_are_bounded_by_their_policy(platform, iot, ann, role, unique):
    arn = role({"AWS": ann.arn}, policy("Allow", "iot:*", f"arn:aws:iot:*:*:thing/{unique}*"))
    client = assume(platform, ann("sts"), arn, Policy=policy("Allow", ["iot:CreateThing", "iot:DescribeThing"], "*"))
    client("iot").create_thing(thingName=unique)
    client("iot").describe_thing(thingName=unique)
    refused("AccessDeniedException", 403, client("iot").delete_thing, thingName=unique)  # not in the session's
    refused("AccessDeniedException", 403, client("iot").create_thing, thingName=f"other-{unique}")  # not in the role's
    refused("MalformedPolicyDocument", 400, ann("sts").assume_role, RoleArn=arn, RoleSessionName="session", Policy="{}")


def test_session_of_a_role_made_again_is_worthless(platform, iam, ann, role, unique):
    arn = role({"AWS": ann.arn}, policy("Allow", "iot:*", "*"))
    client = assume(platform, ann("sts"), arn)
    client("iot").list_things()
    iam.delete_role_policy(RoleName=unique, PolicyName="p")
    iam.delete_role(RoleName=unique)
    role({"AWS": ann.arn}, policy("Allow", "iot:*", "*"))
    with pytest.raises(ClientError) as error:
        client("iot").list_things()
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_role_is_assumed_from_a_role(platform, iam, ann, role, unique):
    first = role({"AWS": ann.arn}, policy("Allow", "sts:AssumeRole", "*"), name=f"{unique}-1")
    second = role({"AWS": first}, policy("Allow", "iot:ListThings", "*"), name=f"{unique}-2")
    refused("AccessDenied", 403, ann("sts").assume_role, RoleArn=second, RoleSessionName="session")
    chained = assume(platform, assume(platform, ann("sts"), first)("sts"), second)
    chained("iot").list_things()


def test_bad_assumptions(platform, sts, ann, role, unique):
    arn = role({"AWS": ann.arn})
    call = platform.client("sts", access_key=ann.key["AccessKeyId"], secret_key=ann.key["SecretAccessKey"],
                           parameter_validation=False).assume_role
    refused("AccessDenied", 403, sts.assume_role, RoleArn=arn, RoleSessionName="session")  # root may not
    refused("AccessDenied", 403, call, RoleArn=arn + "-no", RoleSessionName="session")
    for bad in ({"RoleSessionName": "with space"}, {"DurationSeconds": 899}, {"DurationSeconds": 43201},
                {"DurationSeconds": 3601}, {"RoleArn": "junk" * 6}):
        refused("ValidationError", 400, call, **{"RoleArn": arn, "RoleSessionName": "session", **bad})
    lasts = call(RoleArn=arn, RoleSessionName="session", DurationSeconds=900)["Credentials"]["Expiration"]
    assert 880 < (lasts - datetime.datetime.now(datetime.timezone.utc)).total_seconds() <= 901
