# SPDX-License-Identifier: Apache-2.0
"""Dynamic thing groups through boto3: queries, builds, memberships that follow things, what is refused."""
import json

import pytest

from refusals import pages, refused
from server_process import wait_until

MISSING = ("ResourceNotFoundException", 404)
INVALID = ("InvalidRequestException", 400)
EXISTS = ("ResourceAlreadyExistsException", 409)
VERSION = ("VersionConflictException", 409)
QUERY = ("InvalidQueryException", 400)


@pytest.fixture
def make_thing(iot, unique):
    """make_thing("a", x="1") has the attribute run=unique too, so that queries concern this test's things alone."""
    def make(name, **attributes):
        iot.create_thing(thingName=f"{unique}-{name}", attributePayload={"attributes": {"run": unique, **attributes}})
        return f"{unique}-{name}"
    return make


@pytest.fixture
def make_group(iot, unique):
    """make_group("g", "attributes.x:1"): a dynamic group of this test's things, deleted at the end."""
    made = []

    def make(name, query, wait=True, **more):
        made.append(f"{unique}-{name}")
        iot.create_dynamic_thing_group(thingGroupName=made[-1], queryString=f"attributes.run:{unique} AND ({query})",
                                       **more)
        if wait:
            wait_active(iot, made[-1])
        return made[-1]
    yield make
    for name in made:
        iot.delete_dynamic_thing_group(thingGroupName=name)


def wait_active(iot, group):
    wait_until(lambda: iot.describe_thing_group(thingGroupName=group)["status"] == "ACTIVE", what=f"{group} is built")


def members(iot, group):
    return pages(iot, "list_things_in_thing_group", "things", thingGroupName=group)


def groups_of(iot, thing):
    return [g["groupName"] for g in iot.list_thing_groups_for_thing(thingName=thing)["thingGroups"]]


def test_a_group_is_built_of_what_matches(iot, platform, unique, make_thing, make_group):
    names = [make_thing(str(n), level=str(n)) for n in range(9)]
    query = f"attributes.run:{unique} AND attributes.level>=6"
    made = iot.create_dynamic_thing_group(thingGroupName=f"{unique}-high", queryString=query, tags=[
        {"Key": "k", "Value": "v"}], thingGroupProperties={"thingGroupDescription": "text", "attributePayload": {
            "attributes": {"owner": "x"}}})
    arn = f"arn:aws:iot:{platform.region}:{platform.environment['MUSTER_ACCOUNT_ID']}:thinggroup/{unique}-high"
    del made["ResponseMetadata"]
    assert made == {"thingGroupName": f"{unique}-high", "thingGroupArn": arn, "thingGroupId": made["thingGroupId"],
                    "indexName": "AWS_Things", "queryString": query, "queryVersion": "2017-09-30"}
    assert iot.describe_thing_group(thingGroupName=f"{unique}-high")["status"] in ("BUILDING", "ACTIVE")
    wait_active(iot, f"{unique}-high")
    described = iot.describe_thing_group(thingGroupName=f"{unique}-high")
    assert described["queryString"] == query and described["indexName"] == "AWS_Things"
    assert described["queryVersion"] == "2017-09-30" and described["version"] == 1
    assert described["thingGroupId"] == made["thingGroupId"]
    assert described["thingGroupProperties"] == {"thingGroupDescription": "text",
                                                 "attributePayload": {"attributes": {"owner": "x"}}}
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "k", "Value": "v"}]
    assert members(iot, f"{unique}-high") == names[6:]
    assert groups_of(iot, names[7]) == [f"{unique}-high"] and groups_of(iot, names[5]) == []
    listed = pages(iot, "list_thing_groups", "thingGroups", namePrefixFilter=unique)
    assert listed == [{"groupName": f"{unique}-high", "groupArn": arn}]
    iot.delete_dynamic_thing_group(thingGroupName=f"{unique}-high", expectedVersion=1)
    refused(*MISSING, iot.describe_thing_group, thingGroupName=f"{unique}-high")
    assert groups_of(iot, names[7]) == []
    iot.delete_dynamic_thing_group(thingGroupName=f"{unique}-high")  # as static ones: absent is deleted


def test_members_follow_their_things(iot, unique, make_thing, make_group):
    warm = make_group("warm", "attributes.t>20")
    inside = make_group("inside", f"thingGroupNames:{unique}-house")
    first, second = make_thing("1", t="25"), make_thing("2", t="5")
    assert members(iot, warm) == [first]
    iot.update_thing(thingName=first, attributePayload={"attributes": {"t": "15"}, "merge": True})
    iot.update_thing(thingName=second, attributePayload={"attributes": {"t": "21.5"}, "merge": True})
    assert members(iot, warm) == [second]
    iot.create_thing_group(thingGroupName=f"{unique}-house")
    iot.create_thing_group(thingGroupName=f"{unique}-room", parentGroupName=f"{unique}-house")
    iot.add_thing_to_thing_group(thingGroupName=f"{unique}-room", thingName=second)
    assert groups_of(iot, second) == sorted([warm, inside, f"{unique}-room"])
    iot.remove_thing_from_thing_group(thingGroupName=f"{unique}-room", thingName=second)
    assert members(iot, inside) == []
    iot.update_thing_groups_for_thing(thingName=first, thingGroupsToAdd=[f"{unique}-room"])
    assert members(iot, inside) == [first]
    iot.delete_thing_group(thingGroupName=f"{unique}-room")
    assert members(iot, inside) == []
    iot.delete_thing(thingName=second)
    assert members(iot, warm) == []


def test_another_query_builds_again(iot, unique, make_thing, make_group):
    names = [make_thing(str(n), n=str(n)) for n in range(5)]
    group = make_group("g", "attributes.n<2")
    change = {"thingGroupName": group, "thingGroupProperties": {"thingGroupDescription": "new"},
              "queryString": f"attributes.run:{unique} AND attributes.n:[1 TO 3]"}
    assert iot.update_dynamic_thing_group(**change, expectedVersion=1)["version"] == 2
    refused(*VERSION, iot.update_dynamic_thing_group, **change, expectedVersion=1)
    assert iot.describe_thing_group(thingGroupName=group)["status"] in ("REBUILDING", "ACTIVE")
    wait_active(iot, group)
    assert members(iot, group) == names[1:4]
    described = iot.describe_thing_group(thingGroupName=group)
    assert described["queryString"] == change["queryString"]
    assert described["thingGroupProperties"]["thingGroupDescription"] == "new"
    refused(*QUERY, iot.update_dynamic_thing_group, thingGroupName=group, thingGroupProperties={}, queryString="(")
    refused(*VERSION, iot.delete_dynamic_thing_group, thingGroupName=group, expectedVersion=1)
    refused(*MISSING, iot.update_dynamic_thing_group, thingGroupName=f"no-{unique}", thingGroupProperties={})


def test_a_group_is_created_once(iot, unique, make_group):
    group = make_group("g", "attributes.a:1")
    described = iot.describe_thing_group(thingGroupName=group)
    again = iot.create_dynamic_thing_group(thingGroupName=group, queryString=described["queryString"])
    assert again["thingGroupId"] == described["thingGroupId"]
    error = refused(*EXISTS, iot.create_dynamic_thing_group, thingGroupName=group, queryString="attributes.a:2")
    assert error["resourceId"] == described["thingGroupId"]
    refused(*EXISTS, iot.create_thing_group, thingGroupName=group)


@pytest.mark.parametrize("query, said", [
    ("attributes.a:", "position 14"), ("(a", "position 1"), ("a AND", "position 6"), ("[1 TO 2]", "needs a field"),
    ("connectivity.connected:true", "connectivity fields are not indexed"),
    ("a AND shadow.reported.x>5", "shadow fields are not indexed"), ("jobs.status:x", "jobs fields"),
    ("registry.version>1", "cannot be searched"), ("a AND deviceDefender.x:1", "position 7: the field deviceDefender.x"),
    ("a~2", "'~'"), ("a\x01", "control character"), ("(" * 400 + "a" + ")" * 400, "position 17"),
    (" ".join(f"a{n}" for n in range(13)), "12 terms"), ("x" * 1001, "1000"), ("*a *b", "leading wildcard|begin with")])
def test_queries_that_are_refused(iot, unique, query, said):
    message = refused(*QUERY, iot.create_dynamic_thing_group, thingGroupName=unique, queryString=query)
    assert any(part in message["Error"]["Message"] for part in said.split("|"))
    refused(*MISSING, iot.describe_thing_group, thingGroupName=unique)


def test_other_indexes_and_versions_are_refused(iot, unique):
    create = iot.create_dynamic_thing_group
    refused(*MISSING, create, thingGroupName=unique, queryString="a", indexName="AWS_ThingGroups")
    refused(*INVALID, create, thingGroupName=unique, queryString="a", queryVersion="2025-01-01")
    refused(*INVALID, create, thingGroupName="with space", queryString="a")


def test_static_and_dynamic_do_not_mix(iot, unique, make_thing, make_group):
    thing = make_thing("t", a="1")
    group = make_group("g", "attributes.a:1")
    static = f"{unique}-static"
    iot.create_thing_group(thingGroupName=static)
    refused(*INVALID, iot.add_thing_to_thing_group, thingGroupName=group, thingName=thing)
    refused(*INVALID, iot.remove_thing_from_thing_group, thingGroupName=group, thingName=thing)
    refused(*INVALID, iot.update_thing_groups_for_thing, thingName=thing, thingGroupsToAdd=[group])
    refused(*INVALID, iot.create_thing_group, thingGroupName=f"{unique}-child", parentGroupName=group)
    refused(*INVALID, iot.update_thing_group, thingGroupName=group, thingGroupProperties={})
    refused(*INVALID, iot.delete_thing_group, thingGroupName=group)
    refused(*INVALID, iot.delete_dynamic_thing_group, thingGroupName=static)
    refused(*INVALID, iot.update_dynamic_thing_group, thingGroupName=static, thingGroupProperties={}, queryString="a")
    policy = f"{unique}-policy"
    iot.create_policy(policyName=policy, policyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}]}))
    arn = iot.describe_thing_group(thingGroupName=group)["thingGroupArn"]
    refused(*INVALID, iot.attach_policy, policyName=policy, target=arn)
    assert members(iot, group) == [thing] and members(iot, static) == []


def test_static_groups_may_override_dynamic_ones(iot, unique, make_thing, make_group):
    thing = make_thing("t", a="1")
    static = [f"{unique}-s{n}" for n in range(11)]
    for name in static:
        iot.create_thing_group(thingGroupName=name)
    for name in static[:9]:
        iot.add_thing_to_thing_group(thingGroupName=name, thingName=thing)
    first, last = make_group("z", "attributes.a:1"), make_group("a", "attributes.a:1")
    assert members(iot, first) == [thing] and members(iot, last) == [], "ten groups at most, the older first"
    refused(*INVALID, iot.add_thing_to_thing_group, thingGroupName=static[9], thingName=thing)
    iot.add_thing_to_thing_group(thingGroupName=static[9], thingName=thing, overrideDynamicGroups=True)
    assert groups_of(iot, thing) == sorted(static[:10])
    refused(*INVALID, iot.update_thing_groups_for_thing, thingName=thing, thingGroupsToAdd=[static[10]],
            overrideDynamicGroups=True)
    iot.update_thing_groups_for_thing(thingName=thing, thingGroupsToRemove=[static[0]], thingGroupsToAdd=[static[10]])
    assert members(iot, first) == []
    iot.update_thing_groups_for_thing(thingName=thing, thingGroupsToRemove=static[1:3])
    assert members(iot, first) == [thing] and members(iot, last) == [thing]


def test_a_job_reaches_the_members(iot, iot_jobs, unique, make_thing, make_group):
    member, other = make_thing("1", a="1"), make_thing("2", a="2")
    group = make_group("g", "attributes.a:1")
    arn = iot.describe_thing_group(thingGroupName=group)["thingGroupArn"]
    iot.create_job(jobId=unique, targets=[arn], document="{}")
    wait_until(lambda: iot_jobs.get_pending_job_executions(thingName=member)["queuedJobs"], what="the execution")
    assert not iot_jobs.get_pending_job_executions(thingName=other)["queuedJobs"]


def test_a_continuous_job_follows_the_members(iot, iot_jobs, unique, make_thing, make_group):
    def queued(thing):
        return [j["jobId"] for j in iot_jobs.get_pending_job_executions(thingName=thing)["queuedJobs"]]

    def status(thing):
        return iot.describe_job_execution(jobId=unique, thingName=thing)["execution"]["status"]
    first, second = make_thing("1", a="1"), make_thing("2", a="2")
    group = make_group("g", "attributes.a:1")
    arn = iot.describe_thing_group(thingGroupName=group)["thingGroupArn"]
    iot.create_job(jobId=unique, targets=[arn], document="{}", targetSelection="CONTINUOUS")
    wait_until(lambda: queued(first) == [unique], what="the member's execution")
    iot.update_thing(thingName=second, attributePayload={"attributes": {"a": "1"}, "merge": True})
    wait_until(lambda: queued(second) == [unique], what="who joins by an attribute gets an execution")
    iot.update_thing(thingName=first, attributePayload={"attributes": {"a": "2"}, "merge": True})
    assert status(first) == "REMOVED" and queued(first) == []
    third = make_thing("3", a="1")
    wait_until(lambda: queued(third) == [unique], what="a new thing gets one")
    query = f"attributes.run:{unique} AND attributes.a:2"
    iot.update_dynamic_thing_group(thingGroupName=group, thingGroupProperties={}, queryString=query)
    wait_active(iot, group)
    assert status(second) == "REMOVED" and status(third) == "REMOVED", "the build tells of leaves"
    wait_until(lambda: queued(first) == [unique], what="and of joins")
    iot.delete_dynamic_thing_group(thingGroupName=group)
    assert status(first) == "REMOVED"


def test_every_member_of_a_deleted_group_leaves_its_continuous_jobs(own_platform):
    iot = own_platform.client("iot")
    iot.create_thing_group(thingGroupName="site")
    iot.create_thing_group(thingGroupName="hall", parentGroupName="site")
    count = 280  # more than a transaction lets go
    for n in range(count):
        iot.create_thing(thingName=f"t{n:03}", attributePayload={"attributes": {"a": "1"}})
        iot.add_thing_to_thing_group(thingGroupName="hall", thingName=f"t{n:03}")
    iot.create_dynamic_thing_group(thingGroupName="in-hall", queryString="thingGroupNames:hall AND thingName:t*")
    wait_active(iot, "in-hall")
    for job, group in (("on-site", "site"), ("on-query", "in-hall")):
        arn = iot.describe_thing_group(thingGroupName=group)["thingGroupArn"]
        iot.create_job(jobId=job, targets=[arn], document="{}", targetSelection="CONTINUOUS")

    def counted(job, kind):
        return iot.describe_job(jobId=job)["job"]["jobProcessDetails"].get(kind)
    for job in ("on-site", "on-query"):
        wait_until(lambda: counted(job, "numberOfQueuedThings") == count, what=f"{job} reaches all members")
    iot.add_thing_to_thing_group(thingGroupName="hall", thingName="t000")
    assert counted("on-site", "numberOfQueuedThings") == count, "joining again is no event"
    iot.update_thing_groups_for_thing(thingName="t000", thingGroupsToRemove=["hall"], thingGroupsToAdd=["site"])
    assert counted("on-site", "numberOfQueuedThings") == count, "it has stayed below the target"
    assert counted("on-query", "numberOfRemovedThings") == 1
    iot.delete_thing_group(thingGroupName="hall")
    assert counted("on-site", "numberOfRemovedThings") == count - 1
    assert counted("on-query", "numberOfRemovedThings") == count
    assert iot.describe_job_execution(jobId="on-site", thingName="t000")["execution"]["status"] == "QUEUED"


def test_groups_survive_a_crash_while_they_are_built(own_platform):
    iot = own_platform.client("iot")
    for n in range(300):
        iot.create_thing(thingName=f"t{n:03}", attributePayload={"attributes": {"a": str(n % 2)}})
    iot.create_dynamic_thing_group(thingGroupName="odd", queryString="attributes.a:1")
    own_platform.kill()
    own_platform.restart()
    iot = own_platform.client("iot")
    wait_active(iot, "odd")
    assert members(iot, "odd") == [f"t{n:03}" for n in range(1, 300, 2)]


def test_a_hundred_dynamic_groups_at_most(own_platform):
    iot = own_platform.client("iot")
    for n in range(100):
        iot.create_dynamic_thing_group(thingGroupName=f"g{n}", queryString=f"attributes.n:{n}")
    refused("LimitExceededException", 410, iot.create_dynamic_thing_group, thingGroupName="more", queryString="a")
    iot.create_thing(thingName="t", attributePayload={"attributes": {"n": "42"}})
    assert groups_of(iot, "t") == ["g42"]
    iot.delete_dynamic_thing_group(thingGroupName="g7")
    iot.create_dynamic_thing_group(thingGroupName="more", queryString="a")
