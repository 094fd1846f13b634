# SPDX-License-Identifier: Apache-2.0
"""Things, thing groups, membership and tags through boto3, as AWS IoT answers."""
import datetime
import json
import re

import pytest

from refusals import pages, refused

MISSING = ("ResourceNotFoundException", 404)
INVALID = ("InvalidRequestException", 400)
EXISTS = ("ResourceAlreadyExistsException", 409)
VERSION = ("VersionConflictException", 409)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def arn_prefix(platform):
    return f"arn:aws:iot:{platform.region}:{platform.environment['MUSTER_ACCOUNT_ID']}:"


def test_a_group_below_another_needs_the_right_on_that_one(iot, iam, ann, unique, arn_prefix):
    iot.create_thing_group(thingGroupName=f"{unique}-top")

    def may(*names):
        iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=json.dumps({
            "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:CreateThingGroup",
                                                    "Resource": [f"{arn_prefix}thinggroup/{n}" for n in names]}]}))
    may(f"{unique}-low", f"{unique}-alone")
    below = {"thingGroupName": f"{unique}-low", "parentGroupName": f"{unique}-top"}
    error = refused("AccessDeniedException", 403, ann("iot").create_thing_group, **below)["Error"]["Message"]
    assert f"thinggroup/{unique}-top" in error
    ann("iot").create_thing_group(thingGroupName=f"{unique}-alone")
    may(f"{unique}-low", f"{unique}-top")
    ann("iot").create_thing_group(**below)


# ---- things


def test_thing_is_created_once(iot, unique, arn_prefix):
    name = f"thing:{unique}_A-1"
    attributes = {"site": "berlin", "x.y/z@a,b:c#d-e_f": "1"}
    made = iot.create_thing(thingName=name, attributePayload={"attributes": attributes})
    del made["ResponseMetadata"]
    assert made == {"thingName": name, "thingArn": f"{arn_prefix}thing/{name}", "thingId": made["thingId"]}
    assert UUID.fullmatch(made["thingId"])
    assert iot.create_thing(thingName=name, attributePayload={"attributes": attributes})["thingId"] == made["thingId"]
    error = refused(*EXISTS, iot.create_thing, thingName=name, attributePayload={"attributes": {"site": "paris"}})
    assert error["resourceArn"] == made["thingArn"] and error["resourceId"] == made["thingId"]
    assert name in error["Error"]["Message"] and "already exists" in error["Error"]["Message"]
    described = iot.describe_thing(thingName=name)
    assert described["attributes"] == attributes and described["version"] == 1
    assert described["thingArn"] == made["thingArn"] and described["thingId"] == made["thingId"]
    assert described["defaultClientId"] == name and "thingTypeName" not in described


def test_thing_made_again_is_another(iot, unique):
    first = iot.create_thing(thingName=unique)["thingId"]
    iot.delete_thing(thingName=unique)
    refused(*MISSING, iot.describe_thing, thingName=unique)
    assert iot.create_thing(thingName=unique)["thingId"] != first


def test_deleting_an_absent_thing_succeeds(iot, unique):
    iot.delete_thing(thingName=f"never-{unique}")
    refused(*MISSING, iot.update_thing, thingName=f"never-{unique}", attributePayload={"attributes": {"a": "1"}})
    refused(*MISSING, iot.list_thing_principals, thingName=f"never-{unique}")
    refused(*MISSING, iot.list_thing_groups_for_thing, thingName=f"never-{unique}")


def test_attributes_are_replaced_or_merged(iot, unique):
    def attributes():
        return iot.describe_thing(thingName=unique)["attributes"]
    iot.create_thing(thingName=unique, attributePayload={"attributes": {"a": "1", "b": "2"}})
    iot.update_thing(thingName=unique, attributePayload={"attributes": {"b": "3", "c": "4"}, "merge": True})
    assert attributes() == {"a": "1", "b": "3", "c": "4"}
    iot.update_thing(thingName=unique, attributePayload={"attributes": {"a": ""}, "merge": True})
    assert attributes() == {"b": "3", "c": "4"}
    iot.update_thing(thingName=unique, attributePayload={"attributes": {"d": "5"}})
    assert attributes() == {"d": "5"}
    iot.update_thing(thingName=unique, attributePayload={"attributes": {}})
    assert attributes() == {}


def test_expected_version(iot, unique):
    iot.create_thing(thingName=unique)
    change = {"thingName": unique, "attributePayload": {"attributes": {"a": "1"}}}
    iot.update_thing(**change, expectedVersion=1)
    refused(*VERSION, iot.update_thing, **change, expectedVersion=1)
    refused(*VERSION, iot.update_thing, **change, expectedVersion=3)
    assert iot.describe_thing(thingName=unique)["version"] == 2
    refused(*VERSION, iot.delete_thing, thingName=unique, expectedVersion=1)
    iot.delete_thing(thingName=unique, expectedVersion=2)


@pytest.mark.parametrize("attributes", [
    {"with space": "1"}, {"a": "with space"}, {"": "1"}, {"a" * 129: "1"}, {"a": "b" * 801}, {"a": "ü"},
    {f"n{n}": "1" for n in range(51)}, {f"n{n}": "v" * 800 for n in range(50)} | {"m" * 128: "v" * 800}])
def test_attribute_limits(iot, unique, attributes):
    error = refused(*INVALID, iot.create_thing, thingName=unique, attributePayload={"attributes": attributes})
    assert len(error["Error"]["Message"]) < 2000
    refused(*MISSING, iot.describe_thing, thingName=unique)


@pytest.mark.parametrize("name", ["with space", "sl%ash", "ümlaut", "dot.dot", "a" * 129, "plus+"])
def test_thing_names(iot, name):
    for call in (iot.create_thing, iot.describe_thing):
        refused(*INVALID, call, thingName=name)


def test_longest_names(iot, unique):
    name = unique + "n" * (128 - len(unique))
    assert iot.create_thing(thingName=name)["thingArn"].endswith(name)
    assert iot.create_thing_group(thingGroupName=name)["thingGroupArn"].endswith(name)
    iot.add_thing_to_thing_group(thingName=name, thingGroupName=name)
    assert iot.list_things_in_thing_group(thingGroupName=name)["things"] == [name]


def test_things_are_listed_in_pages(iot, unique):
    names = [f"{unique}-{n}" for n in range(7)]
    for number, name in enumerate(names):
        iot.create_thing(thingName=name, attributePayload={"attributes": {"batch": f"{unique}/{number % 2}"}})
    everything = [t["thingName"] for t in pages(iot, "list_things", "things", size=250)]
    assert set(names) <= set(everything) and len(everything) == len(set(everything))
    found = pages(iot, "list_things", "things", size=3, attributeName="batch", attributeValue=f"{unique}/0")
    assert sorted(t["thingName"] for t in found) == names[::2]
    assert found[0]["attributes"] == {"batch": f"{unique}/0"} and found[0]["version"] == 1
    assert found[0]["thingArn"].endswith(f":thing/{found[0]['thingName']}")
    prefix = pages(iot, "list_things", "things", attributeName="batch", attributeValue=unique,
                   usePrefixAttributeValue=True)
    assert sorted(t["thingName"] for t in prefix) == names
    assert not pages(iot, "list_things", "things", attributeName="batch", attributeValue=unique)
    iot.update_thing(thingName=names[0], attributePayload={"attributes": {"batch": f"{unique}/1"}, "merge": True})
    moved = pages(iot, "list_things", "things", attributeName="batch", attributeValue=f"{unique}/1")
    assert names[0] in [t["thingName"] for t in moved]


def test_paging_goes_on_while_things_come_and_go(iot, unique):
    def page(**more):
        return iot.list_things(attributeName="batch", attributeValue=unique, maxResults=2, **more)
    names = [f"{unique}-{n}" for n in range(6)]
    for name in names:
        iot.create_thing(thingName=name, attributePayload={"attributes": {"batch": unique}})
    first = page()
    iot.delete_thing(thingName=first["things"][1]["thingName"])
    iot.delete_thing(thingName=names[4])
    second = page(nextToken=first["nextToken"])
    third = page(nextToken=second["nextToken"])
    assert "nextToken" not in third
    assert [t["thingName"] for p in (first, second, third) for t in p["things"]] == names[:4] + names[5:]


@pytest.mark.parametrize("arguments", [
    {"maxResults": 251}, {"nextToken": "forged"}, {"nextToken": "AAAA"}, {"attributeValue": "x"},
    {"attributeName": "a" * 129, "attributeValue": "x"}])
def test_bad_listings(iot, arguments):
    refused(*INVALID, iot.list_things, **arguments)


def test_token_of_another_listing_is_refused(iot, unique):
    for name in ("a", "b"):
        iot.create_thing_group(thingGroupName=f"{name}-{unique}")
    token = iot.list_thing_groups(maxResults=1)["nextToken"]
    refused(*INVALID, iot.list_things, nextToken=token)


# ---- thing groups


def test_group_is_created_once(iot, unique, arn_prefix):
    properties = {"thingGroupDescription": "All of them, (one) by one!", "attributePayload": {"attributes": {"a": "1"}}}
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=2)
    made = iot.create_thing_group(thingGroupName=unique, thingGroupProperties=properties)
    del made["ResponseMetadata"]
    assert made == {"thingGroupName": unique, "thingGroupArn": f"{arn_prefix}thinggroup/{unique}",
                    "thingGroupId": made["thingGroupId"]}
    assert UUID.fullmatch(made["thingGroupId"])
    again = iot.create_thing_group(thingGroupName=unique, thingGroupProperties=properties)
    assert again["thingGroupId"] == made["thingGroupId"]
    error = refused(*EXISTS, iot.create_thing_group, thingGroupName=unique)
    assert error["resourceArn"] == made["thingGroupArn"] and error["resourceId"] == made["thingGroupId"]
    described = iot.describe_thing_group(thingGroupName=unique)
    assert described["thingGroupProperties"] == properties and described["version"] == 1
    metadata = described["thingGroupMetadata"]
    assert before < metadata["creationDate"] < before + datetime.timedelta(seconds=30)
    assert "parentGroupName" not in metadata and metadata.get("rootToParentThingGroups", []) == []
    assert "status" not in described  # of dynamic groups only


def test_group_update(iot, unique):
    iot.create_thing_group(thingGroupName=unique, thingGroupProperties={
        "thingGroupDescription": "one", "attributePayload": {"attributes": {"a": "1"}}})
    assert iot.update_thing_group(thingGroupName=unique, expectedVersion=1, thingGroupProperties={
        "attributePayload": {"attributes": {"b": "2"}, "merge": True}})["version"] == 2
    described = iot.describe_thing_group(thingGroupName=unique)["thingGroupProperties"]
    assert described == {"thingGroupDescription": "one", "attributePayload": {"attributes": {"a": "1", "b": "2"}}}
    refused(*VERSION, iot.update_thing_group, thingGroupName=unique, thingGroupProperties={}, expectedVersion=1)
    refused(*MISSING, iot.update_thing_group, thingGroupName=f"no-{unique}", thingGroupProperties={})
    refused(*VERSION, iot.delete_thing_group, thingGroupName=unique, expectedVersion=1)
    iot.delete_thing_group(thingGroupName=unique, expectedVersion=2)
    refused(*MISSING, iot.describe_thing_group, thingGroupName=unique)
    iot.delete_thing_group(thingGroupName=unique)  # as AWS: absent is deleted


@pytest.fixture
def tree(iot, unique):
    """root > (left > leaf, right); returns names by part."""
    names = {part: f"{unique}-{part}" for part in ("root", "left", "leaf", "right")}
    iot.create_thing_group(thingGroupName=names["root"])
    for part, parent in (("left", "root"), ("right", "root"), ("leaf", "left")):
        iot.create_thing_group(thingGroupName=names[part], parentGroupName=names[parent])
    return names


def test_hierarchy_is_shown_and_listed(iot, tree, unique):
    metadata = iot.describe_thing_group(thingGroupName=tree["leaf"])["thingGroupMetadata"]
    assert metadata["parentGroupName"] == tree["left"]
    path = metadata["rootToParentThingGroups"]
    assert [g["groupName"] for g in path] == [tree["root"], tree["left"]]
    assert path[0]["groupArn"] == iot.describe_thing_group(thingGroupName=tree["root"])["thingGroupArn"]

    def listed(**arguments):
        return sorted(g["groupName"] for g in pages(iot, "list_thing_groups", "thingGroups", **arguments))
    assert listed(parentGroup=tree["root"]) == sorted([tree["left"], tree["leaf"], tree["right"]])
    assert listed(parentGroup=tree["root"], recursive=False) == sorted([tree["left"], tree["right"]])
    assert listed(parentGroup=tree["root"], namePrefixFilter=f"{unique}-le") == sorted([tree["left"], tree["leaf"]])
    assert listed(namePrefixFilter=unique) == sorted(tree.values())
    assert listed(namePrefixFilter=unique, recursive=False) == [tree["root"]]
    assert listed(parentGroup=tree["leaf"]) == []
    refused(*MISSING, iot.list_thing_groups, parentGroup=f"no-{unique}")
    for size in (1, 2, 3, 250):
        assert listed(parentGroup=tree["root"], size=size) == sorted([tree["left"], tree["leaf"], tree["right"]])


def test_members_are_listed_recursively(iot, tree, unique):
    expected = {}
    for part in ("left", "leaf", "right"):
        expected[part] = [f"{unique}-{part}-{n}" for n in range(3)]
        for thing in expected[part]:
            iot.create_thing(thingName=thing)
            iot.add_thing_to_thing_group(thingGroupName=tree[part], thingName=thing)

    def listed(part, **arguments):
        found = pages(iot, "list_things_in_thing_group", "things", thingGroupName=tree[part], **arguments)
        assert len(found) == len(set(found))
        return sorted(found)
    everything = sorted(thing for things in expected.values() for thing in things)
    for size in (1, 2, 4, 250):
        assert listed("root", recursive=True, size=size) == everything
    assert listed("root") == []
    assert listed("left") == expected["left"]
    assert listed("left", recursive=True) == sorted(expected["left"] + expected["leaf"])
    iot.delete_thing(thingName=expected["leaf"][0])
    assert listed("leaf") == expected["leaf"][1:]
    refused(*MISSING, iot.list_things_in_thing_group, thingGroupName=f"no-{unique}")


def test_parent_must_exist_and_stays(iot, tree, unique):
    refused(*INVALID, iot.create_thing_group, thingGroupName=f"x-{unique}", parentGroupName=f"no-{unique}")
    refused(*EXISTS, iot.create_thing_group, thingGroupName=tree["leaf"], parentGroupName=tree["right"])
    refused(*INVALID, iot.delete_thing_group, thingGroupName=tree["left"])
    for part in ("leaf", "left", "right", "root"):
        iot.delete_thing_group(thingGroupName=tree[part])


def test_depth_of_a_hierarchy_is_limited_to_seven(iot, unique):
    iot.create_thing_group(thingGroupName=f"{unique}-1")
    for level in range(2, 8):
        iot.create_thing_group(thingGroupName=f"{unique}-{level}", parentGroupName=f"{unique}-{level - 1}")
    refused(*INVALID, iot.create_thing_group, thingGroupName=f"{unique}-8", parentGroupName=f"{unique}-7")


# ---- membership


def test_membership(iot, tree, unique):
    thing = iot.create_thing(thingName=unique)
    group = iot.describe_thing_group(thingGroupName=tree["leaf"])
    iot.add_thing_to_thing_group(thingGroupArn=group["thingGroupArn"], thingArn=thing["thingArn"])
    iot.add_thing_to_thing_group(thingGroupName=tree["leaf"], thingName=unique)  # once more changes nothing
    listed = iot.list_thing_groups_for_thing(thingName=unique)["thingGroups"]
    assert listed == [{"groupName": tree["leaf"], "groupArn": group["thingGroupArn"]}]
    for part in ("root", "right"):  # at most one group of a hierarchy
        refused(*INVALID, iot.add_thing_to_thing_group, thingGroupName=tree[part], thingName=unique)
    iot.remove_thing_from_thing_group(thingGroupName=tree["leaf"], thingArn=thing["thingArn"])
    iot.remove_thing_from_thing_group(thingGroupName=tree["leaf"], thingName=unique)
    assert iot.list_thing_groups_for_thing(thingName=unique)["thingGroups"] == []
    iot.add_thing_to_thing_group(thingGroupName=tree["root"], thingName=unique)


def test_membership_names_must_exist_and_agree(iot, tree, unique):
    iot.create_thing(thingName=unique)
    add, remove = iot.add_thing_to_thing_group, iot.remove_thing_from_thing_group
    for call in (add, remove):
        refused(*MISSING, call, thingGroupName=tree["leaf"], thingName=f"no-{unique}")
        refused(*MISSING, call, thingGroupName=f"no-{unique}", thingName=unique)
        refused(*INVALID, call, thingName=unique)
        refused(*INVALID, call, thingGroupName=tree["leaf"])
        refused(*INVALID, call, thingGroupName=tree["leaf"], thingArn="arn:aws:iot:nowhere:1:thing/x")
        arn = iot.describe_thing(thingName=unique)["thingArn"]
        refused(*INVALID, call, thingGroupName=tree["leaf"], thingName=f"other-{unique}", thingArn=arn)


def test_groups_of_a_thing_are_limited_to_ten(iot, unique):
    iot.create_thing(thingName=unique)
    for number in range(11):
        iot.create_thing_group(thingGroupName=f"{unique}-{number}")
    for number in range(10):
        iot.add_thing_to_thing_group(thingGroupName=f"{unique}-{number}", thingName=unique)
    refused(*INVALID, iot.add_thing_to_thing_group, thingGroupName=f"{unique}-10", thingName=unique)
    groups = pages(iot, "list_thing_groups_for_thing", "thingGroups", size=4, thingName=unique)
    assert [g["groupName"] for g in groups] == sorted(f"{unique}-{n}" for n in range(10))


def test_groups_of_a_thing_change_at_once_or_not_at_all(iot, tree, unique):
    iot.create_thing(thingName=unique)
    iot.create_thing_group(thingGroupName=f"{unique}-other")

    def groups():
        return [g["groupName"] for g in iot.list_thing_groups_for_thing(thingName=unique)["thingGroups"]]
    iot.add_thing_to_thing_group(thingGroupName=tree["leaf"], thingName=unique)
    iot.update_thing_groups_for_thing(thingName=unique, thingGroupsToRemove=[tree["leaf"]],
                                      thingGroupsToAdd=[tree["right"], f"{unique}-other"])
    assert groups() == sorted([tree["right"], f"{unique}-other"])
    refused(*MISSING, iot.update_thing_groups_for_thing, thingName=unique, thingGroupsToRemove=[tree["right"]],
            thingGroupsToAdd=[f"no-{unique}"])
    assert groups() == sorted([tree["right"], f"{unique}-other"])


def test_deleted_group_and_thing_leave_no_membership(iot, unique):
    for name in ("a", "b"):
        iot.create_thing(thingName=f"{unique}-{name}")
    iot.create_thing_group(thingGroupName=unique)
    iot.add_thing_to_thing_group(thingGroupName=unique, thingName=f"{unique}-a")
    iot.add_thing_to_thing_group(thingGroupName=unique, thingName=f"{unique}-b")
    iot.delete_thing(thingName=f"{unique}-a")
    iot.create_thing(thingName=f"{unique}-a")
    assert iot.list_things_in_thing_group(thingGroupName=unique)["things"] == [f"{unique}-b"]
    iot.delete_thing_group(thingGroupName=unique)
    assert iot.list_thing_groups_for_thing(thingName=f"{unique}-b")["thingGroups"] == []
    iot.create_thing_group(thingGroupName=unique)
    assert iot.list_things_in_thing_group(thingGroupName=unique)["things"] == []


# ---- tags


def test_tags_of_groups(iot, unique):
    tags = [{"Key": "owner", "Value": "me"}, {"Key": "old", "Value": ""}]
    arn = iot.create_thing_group(thingGroupName=unique, tags=tags)["thingGroupArn"]
    iot.tag_resource(resourceArn=arn, tags=[{"Key": "owner", "Value": "you"}, {"Key": "über", "Value": "ü"}])
    iot.untag_resource(resourceArn=arn, tagKeys=["old", "never"])
    tags = {t["Key"]: t["Value"] for t in iot.list_tags_for_resource(resourceArn=arn)["tags"]}
    assert tags == {"owner": "you", "über": "ü"}
    for call, more in ((iot.tag_resource, {"tags": [{"Key": "a", "Value": "1"}]}),
                       (iot.untag_resource, {"tagKeys": ["a"]}), (iot.list_tags_for_resource, {})):
        refused(*MISSING, call, resourceArn=arn + "x", **more)
        refused(*INVALID, call, resourceArn="junk", **more)
    refused(*INVALID, iot.tag_resource, resourceArn=arn, tags=[{"Key": "aws:x", "Value": "1"}])
    refused("LimitExceededException", 410, iot.tag_resource, resourceArn=arn,
            tags=[{"Key": f"k{n}", "Value": "1"} for n in range(49)])
    iot.delete_thing_group(thingGroupName=unique)
    iot.create_thing_group(thingGroupName=unique)
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == []
