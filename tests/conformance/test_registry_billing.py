# SPDX-License-Identifier: Apache-2.0
"""Billing groups through boto3, as AWS IoT answers."""
import json

import pytest

from refusals import pages, refused

MISSING = ("ResourceNotFoundException", 404)
INVALID = ("InvalidRequestException", 400)
EXISTS = ("ResourceAlreadyExistsException", 409)
VERSION = ("VersionConflictException", 409)
DENIED = ("AccessDeniedException", 403)


@pytest.fixture
def group(iot, unique):
    return iot.create_billing_group(billingGroupName=f"bill-{unique}")


def test_billing_group_is_created_once(platform, iot, unique):
    properties = {"billingGroupDescription": "ours"}
    made = iot.create_billing_group(billingGroupName=unique, billingGroupProperties=properties)
    account = platform.environment["MUSTER_ACCOUNT_ID"]
    assert made["billingGroupArn"] == f"arn:aws:iot:{platform.region}:{account}:billinggroup/{unique}"
    again = iot.create_billing_group(billingGroupName=unique, billingGroupProperties=properties)
    assert again["billingGroupId"] == made["billingGroupId"]
    error = refused(*EXISTS, iot.create_billing_group, billingGroupName=unique)
    assert error["resourceArn"] == made["billingGroupArn"] and error["resourceId"] == made["billingGroupId"]
    described = iot.describe_billing_group(billingGroupName=unique)
    assert described["version"] == 1 and described["billingGroupProperties"] == properties
    assert described["billingGroupId"] == made["billingGroupId"]
    assert described["billingGroupMetadata"]["creationDate"]
    refused(*MISSING, iot.describe_billing_group, billingGroupName=f"no-{unique}")


@pytest.mark.parametrize("name", ["with space", "star*", "plus+", "hash#", "a" * 129, "ü"])
def test_names_of_billing_groups(iot, name):
    for call in (iot.create_billing_group, iot.describe_billing_group, iot.delete_billing_group):
        refused(*INVALID, call, billingGroupName=name)


def test_versions(iot, unique):
    iot.create_billing_group(billingGroupName=unique)

    def update(text, **more):
        return {"billingGroupName": unique, "billingGroupProperties": {"billingGroupDescription": text}, **more}
    assert iot.update_billing_group(**update("a", expectedVersion=1))["version"] == 2
    assert iot.update_billing_group(**update("b"))["version"] == 3
    refused(*VERSION, iot.update_billing_group, **update("c", expectedVersion=1))
    refused(*VERSION, iot.update_billing_group, **update("c", expectedVersion=2**63 - 1))
    refused(*VERSION, iot.update_billing_group, **update("c", expectedVersion=-1))
    refused(*INVALID, iot.update_billing_group, **update("x" * 2029))
    assert iot.describe_billing_group(billingGroupName=unique)["version"] == 3
    refused(*VERSION, iot.delete_billing_group, billingGroupName=unique, expectedVersion=2)
    iot.delete_billing_group(billingGroupName=unique, expectedVersion=3)
    iot.delete_billing_group(billingGroupName=unique)  # absent is deleted
    missing = {**update("a"), "billingGroupName": f"no-{unique}"}
    refused(*MISSING, iot.update_billing_group, **missing)


def test_a_thing_is_in_one_billing_group(iot, group, unique):
    name, arn = group["billingGroupName"], group["billingGroupArn"]
    thing = iot.create_thing(thingName=unique)
    iot.add_thing_to_billing_group(billingGroupArn=arn, thingArn=thing["thingArn"])
    iot.add_thing_to_billing_group(billingGroupName=name, thingName=unique)  # once more changes nothing
    described = iot.describe_thing(thingName=unique)
    assert described["billingGroupName"] == name and described["version"] == 1
    iot.create_billing_group(billingGroupName=f"{name}-2")
    refused(*INVALID, iot.add_thing_to_billing_group, billingGroupName=f"{name}-2", thingName=unique)
    assert iot.list_things_in_billing_group(billingGroupName=name)["things"] == [unique]
    refused(*INVALID, iot.delete_billing_group, billingGroupName=name)
    iot.remove_thing_from_billing_group(billingGroupName=name, thingName=unique)
    iot.remove_thing_from_billing_group(billingGroupArn=arn, thingArn=thing["thingArn"])
    assert "billingGroupName" not in iot.describe_thing(thingName=unique)
    assert iot.list_things_in_billing_group(billingGroupName=name)["things"] == []


def test_names_must_exist_and_agree(iot, group, unique):
    name, arn = group["billingGroupName"], group["billingGroupArn"]
    thing = iot.create_thing(thingName=unique)
    for call in (iot.add_thing_to_billing_group, iot.remove_thing_from_billing_group):
        refused(*MISSING, call, billingGroupName=name, thingName=f"no-{unique}")
        refused(*MISSING, call, billingGroupName=f"no-{unique}", thingName=unique)
        refused(*INVALID, call, thingName=unique)
        refused(*INVALID, call, billingGroupName=name)
        refused(*INVALID, call, billingGroupName=f"other-{unique}", billingGroupArn=arn, thingName=unique)
        refused(*INVALID, call, billingGroupArn=arn, thingArn=arn)
        refused(*INVALID, call, billingGroupArn=thing["thingArn"], thingName=unique)
        foreign = arn.split(":")
        for position, other in ((4, "999999999999"), (3, "nowhere-1")):
            changed = foreign[:position] + [other] + foreign[position + 1:]
            refused(*INVALID, call, billingGroupArn=":".join(changed), thingName=unique)
    refused(*MISSING, iot.list_things_in_billing_group, billingGroupName=f"no-{unique}")


def test_thing_is_created_in_a_billing_group(iot, group, unique):
    name = group["billingGroupName"]
    refused(*MISSING, iot.create_thing, thingName=unique, billingGroupName=f"no-{unique}")
    refused(*MISSING, iot.describe_thing, thingName=unique)
    made = iot.create_thing(thingName=unique, billingGroupName=name)
    assert iot.create_thing(thingName=unique, billingGroupName=name)["thingId"] == made["thingId"]
    refused(*EXISTS, iot.create_thing, thingName=unique)
    assert iot.describe_thing(thingName=unique)["billingGroupName"] == name
    iot.delete_thing(thingName=unique)
    assert iot.list_things_in_billing_group(billingGroupName=name)["things"] == []
    iot.delete_billing_group(billingGroupName=name)


def test_billing_groups_and_their_things_are_listed_in_pages(iot, unique):
    names = [f"{unique}-{n}" for n in range(5)]
    for name in names:
        iot.create_billing_group(billingGroupName=name)
        iot.create_thing(thingName=name, billingGroupName=names[0])
    found = pages(iot, "list_billing_groups", "billingGroups", namePrefixFilter=unique)
    assert [g["groupName"] for g in found] == names
    assert found[0]["groupArn"].endswith(f":billinggroup/{names[0]}")
    assert pages(iot, "list_things_in_billing_group", "things", billingGroupName=names[0]) == names
    token = iot.list_billing_groups(namePrefixFilter=unique, maxResults=1)["nextToken"]
    refused(*INVALID, iot.list_billing_groups, namePrefixFilter=f"{unique}-1", nextToken=token)
    refused(*INVALID, iot.list_things_in_billing_group, billingGroupName=names[0], nextToken=token)
    token = iot.list_things_in_billing_group(billingGroupName=names[0], maxResults=1)["nextToken"]
    refused(*INVALID, iot.list_things_in_billing_group, billingGroupName=names[1], nextToken=token)


def test_tags_of_billing_groups(iot, unique):
    made = iot.create_billing_group(billingGroupName=unique, tags=[{"Key": "cost", "Value": "42"}])
    arn = made["billingGroupArn"]
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "cost", "Value": "42"}]
    iot.delete_billing_group(billingGroupName=unique)
    refused(*MISSING, iot.list_tags_for_resource, resourceArn=arn)
    iot.create_billing_group(billingGroupName=unique)
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == []


def test_a_billing_group_is_asked_for_when_a_thing_is_created_in_it(iot, iam, ann, group, unique):
    mine = ann("iot")

    def permit(*resources):
        iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=json.dumps({
            "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:CreateThing",
                                                    "Resource": list(resources)}]}))
    permit(f"arn:aws:iot:*:*:thing/{unique}*")
    mine.create_thing(thingName=f"{unique}-free")
    refused(*DENIED, mine.create_thing, thingName=unique, billingGroupName=group["billingGroupName"])
    refused(*MISSING, iot.describe_thing, thingName=unique)
    permit(f"arn:aws:iot:*:*:thing/{unique}*", group["billingGroupArn"])
    mine.create_thing(thingName=unique, billingGroupName=group["billingGroupName"])
    for call in (mine.describe_billing_group, mine.delete_billing_group, mine.list_things_in_billing_group):
        refused(*DENIED, call, billingGroupName=group["billingGroupName"])
