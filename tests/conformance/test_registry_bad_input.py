# SPDX-License-Identifier: Apache-2.0
"""What the registry must refuse: hostile names, foreign ARNs, tokens out of place, numbers that do not fit."""
import base64

import pytest

from refusals import refused
from signed_request import send_json

MISSING = ("ResourceNotFoundException", 404)
INVALID = ("InvalidRequestException", 400)
VERSION = ("VersionConflictException", 409)

HOSTILE = ["a/b", "a*", "a?", "+", "#", "$aws", "${iot:ClientId}", "a\tb", "a\nb", "a\x7f", "ü", "a b", "a" * 129,
           "../up", "a;b", "a\\b", "'", "<b>", "%41"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_no_names(iot, unique, name):
    iot.create_thing(thingName=unique)
    iot.create_thing_group(thingGroupName=unique)
    for call in (iot.create_thing, iot.describe_thing, iot.delete_thing, iot.list_thing_groups_for_thing):
        refused(*INVALID, call, thingName=name)
    for call in (iot.create_thing_group, iot.describe_thing_group, iot.delete_thing_group,
                 iot.list_things_in_thing_group, iot.delete_dynamic_thing_group):
        refused(*INVALID, call, thingGroupName=name)
    refused(*INVALID, iot.create_thing_group, thingGroupName=f"{unique}-x", parentGroupName=name)
    refused(*INVALID, iot.create_thing, thingName=f"{unique}-x", thingTypeName=name)
    refused(*INVALID, iot.create_thing, thingName=f"{unique}-x", billingGroupName=name)
    refused(*INVALID, iot.add_thing_to_thing_group, thingGroupName=unique, thingName=name)
    refused(*INVALID, iot.add_thing_to_thing_group, thingGroupName=name, thingName=unique)
    refused(*INVALID, iot.add_thing_to_billing_group, billingGroupName=name, thingName=unique)
    for lists in ({"thingGroupsToAdd": [name]}, {"thingGroupsToRemove": [name]}):
        refused(*INVALID, iot.update_thing_groups_for_thing, thingName=unique, **lists)
    refused(*INVALID, iot.list_thing_groups, namePrefixFilter=name)
    refused(*INVALID, iot.list_thing_groups, parentGroup=name)
    refused(*INVALID, iot.list_things, thingTypeName=name)
    refused(*MISSING, iot.describe_thing, thingName=f"{unique}-x")


@pytest.mark.parametrize("name", ["a b", "a*", "a\n", "ü", "a" * 129, "a%b"])
def test_hostile_attributes_are_refused_everywhere(iot, unique, name):
    payload = {"attributes": {name: "1"}}
    iot.create_thing(thingName=unique)
    iot.create_thing_group(thingGroupName=unique)
    refused(*INVALID, iot.update_thing, thingName=unique, attributePayload=payload)
    refused(*INVALID, iot.update_thing_group, thingGroupName=unique, thingGroupProperties={"attributePayload": payload})
    refused(*INVALID, iot.create_thing_group, thingGroupName=f"{unique}-x",
            thingGroupProperties={"attributePayload": payload})
    refused(*INVALID, iot.list_things, attributeName=name, attributeValue="1")
    assert iot.describe_thing(thingName=unique)["version"] == 1
    assert iot.describe_thing_group(thingGroupName=unique)["version"] == 1


def test_attributes_grow_to_fifty_and_no_further_by_merging(iot, unique):
    iot.create_thing(thingName=unique, attributePayload={"attributes": {f"a{n}": "v" * 800 for n in range(49)}})

    def merge(**attributes):
        return {"thingName": unique, "attributePayload": {"attributes": attributes, "merge": True}}
    iot.update_thing(**merge(b="1"))
    refused(*INVALID, iot.update_thing, **merge(c="1"))
    iot.update_thing(**merge(b="", c="1"))
    assert len(iot.describe_thing(thingName=unique)["attributes"]) == 50


def test_arns_of_others_cannot_be_tagged_nor_read(iot, unique):
    arn = iot.create_thing_group(thingGroupName=unique)["thingGroupArn"]
    parts = arn.split(":")
    foreign = [":".join(parts[:position] + [other] + parts[position + 1:])
               for position, other in ((4, "999999999999"), (3, "nowhere-1"), (2, "s3"), (1, "aws-cn"), (4, ""),
                                       (5, f"thing/{unique}"), (5, f"cert/{'a' * 64}"), (5, "thinggroup/"),
                                       (5, f"stream/{unique}"))]
    foreign += ["junk", "arn:aws:iot", arn + "/", arn + "*", arn.replace(unique, "*"), "*", arn.upper()]
    calls = ((iot.tag_resource, {"tags": [{"Key": "a", "Value": "1"}]}), (iot.untag_resource, {"tagKeys": ["a"]}),
             (iot.list_tags_for_resource, {}))
    for other in foreign:
        expected = MISSING if other.startswith(arn[:-len(unique)]) and other[len(arn) - len(unique):] else INVALID
        for call, more in calls:
            refused(*expected, call, resourceArn=other, **more)
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == []


def test_foreign_arns_of_things_and_groups(iot, unique):
    thing = iot.create_thing(thingName=unique)["thingArn"]
    group = iot.create_thing_group(thingGroupName=unique)["thingGroupArn"]

    def changed(arn, position, other):
        parts = arn.split(":")
        return ":".join(parts[:position] + [other] + parts[position + 1:])
    for position, other in ((4, "999999999999"), (3, "nowhere-1"), (1, "aws-cn")):
        for call in (iot.add_thing_to_thing_group, iot.remove_thing_from_thing_group):
            refused(*INVALID, call, thingGroupArn=changed(group, position, other), thingName=unique)
            refused(*INVALID, call, thingGroupName=unique, thingArn=changed(thing, position, other))
    refused(*INVALID, iot.add_thing_to_thing_group, thingGroupArn=thing, thingArn=group)
    assert iot.list_things_in_thing_group(thingGroupName=unique)["things"] == []


def test_numbers_that_do_not_fit(platform, iot, unique):
    iot.create_thing(thingName=unique)
    iot.create_thing_group(thingGroupName=unique)
    for version in (0, -1, 2, 2**63 - 1, -2**63):
        refused(*VERSION, iot.update_thing, thingName=unique, expectedVersion=version)
        refused(*VERSION, iot.delete_thing, thingName=unique, expectedVersion=version)
        refused(*VERSION, iot.update_thing_group, thingGroupName=unique, thingGroupProperties={},
                expectedVersion=version)
        refused(*VERSION, iot.delete_thing_group, thingGroupName=unique, expectedVersion=version)
    for version in (2**63, -2**63 - 1, 1e30, 1.5, "1", True, [1], {}):
        status, code, _ = send_json(platform, "PATCH", f"/things/{unique}", {"expectedVersion": version})
        assert status == 400 and code in ("InvalidRequestException", "SerializationException"), version
    for version in ("9223372036854775808", "x", "1.5", "0x1", ""):
        status, code, _ = send_json(platform, "DELETE", f"/things/{unique}?expectedVersion={version}")
        assert status == 400 and code in ("InvalidRequestException", "SerializationException"), version
    for size in (0, -1, 251, 2**31, 2**63, "x"):  # raw: boto3 sends no size below 1
        for listing in ("things", "thing-groups", "thing-types", "billing-groups", f"thing-groups/{unique}/things",
                        f"things/{unique}/thing-groups"):
            status, code, _ = send_json(platform, "GET", f"/{listing}?maxResults={size}")
            assert status == 400 and code in ("InvalidRequestException", "SerializationException"), (listing, size)
    assert iot.describe_thing(thingName=unique)["version"] == 1


def test_a_token_serves_the_listing_that_gave_it(iot, unique):
    for number in range(3):
        name = f"{unique}-{number}"
        iot.create_thing(thingName=name, attributePayload={"attributes": {"site": unique}})
        iot.create_thing_group(thingGroupName=name)
        for group in range(number + 1):
            iot.add_thing_to_thing_group(thingGroupName=f"{unique}-{group}", thingName=name)
    iot.add_thing_to_thing_group(thingGroupName=f"{unique}-1", thingName=f"{unique}-0")
    iot.create_thing_group(thingGroupName=f"{unique}-child", parentGroupName=f"{unique}-0")
    iot.create_thing_group(thingGroupName=f"{unique}-child2", parentGroupName=f"{unique}-0")
    listings = [
        (iot.list_things, {}),
        (iot.list_things, {"attributeName": "site", "attributeValue": unique}),
        (iot.list_things, {"attributeName": "site", "attributeValue": unique, "usePrefixAttributeValue": True}),
        (iot.list_thing_groups, {}),
        (iot.list_thing_groups, {"namePrefixFilter": unique}),
        (iot.list_thing_groups, {"recursive": False}),
        (iot.list_thing_groups, {"parentGroup": f"{unique}-0"}),
        (iot.list_thing_groups, {"parentGroup": f"{unique}-0", "recursive": False}),
        (iot.list_things_in_thing_group, {"thingGroupName": f"{unique}-0"}),
        (iot.list_things_in_thing_group, {"thingGroupName": f"{unique}-0", "recursive": True}),
        (iot.list_things_in_thing_group, {"thingGroupName": f"{unique}-1"}),
        (iot.list_thing_groups_for_thing, {"thingName": f"{unique}-2"}),
        (iot.list_thing_groups_for_thing, {"thingName": f"{unique}-1"})]
    tokens = [call(maxResults=1, **filters)["nextToken"] for call, filters in listings]
    assert len(set(tokens)) == len(tokens)
    for position, (call, filters) in enumerate(listings):
        for other, token in enumerate(tokens):
            if position != other:
                refused(*INVALID, call, maxResults=1, nextToken=token, **filters)
        assert call(maxResults=250, nextToken=tokens[position], **filters)
        for forged in ("junk", "!", "=", "A" * 4000, base64.b64encode(b"things\0x").decode()):
            refused(*INVALID, call, nextToken=forged, **filters)


def test_a_thing_may_not_be_given_more_groups_than_it_can_have(iot, unique):
    iot.create_thing(thingName=unique)
    many = [f"{unique}-{number}" for number in range(2000)]
    refused(*MISSING, iot.update_thing_groups_for_thing, thingName=unique, thingGroupsToAdd=many)
    refused(*MISSING, iot.update_thing_groups_for_thing, thingName=unique, thingGroupsToRemove=many)
    for name in many[:11]:
        iot.create_thing_group(thingGroupName=name)
    refused(*INVALID, iot.update_thing_groups_for_thing, thingName=unique, thingGroupsToAdd=many[:11])
    assert iot.list_thing_groups_for_thing(thingName=unique)["thingGroups"] == []
    iot.update_thing_groups_for_thing(thingName=unique, thingGroupsToAdd=many[:10] + many[:10])
    assert len(iot.list_thing_groups_for_thing(thingName=unique)["thingGroups"]) == 10
    iot.update_thing_groups_for_thing(thingName=unique, thingGroupsToRemove=many[:1], thingGroupsToAdd=many[10:11])
    assert len(iot.list_thing_groups_for_thing(thingName=unique)["thingGroups"]) == 10
