# SPDX-License-Identifier: Apache-2.0
"""Thing types through boto3, as AWS IoT answers."""
import datetime
import json
import re

import pytest

from refusals import pages, refused
from signed_request import send_json

MISSING = ("ResourceNotFoundException", 404)
INVALID = ("InvalidRequestException", 400)
EXISTS = ("ResourceAlreadyExistsException", 409)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def kind(iot, unique):
    name = f"type-{unique}"
    iot.create_thing_type(thingTypeName=name, thingTypeProperties={
        "thingTypeDescription": "lights", "searchableAttributes": ["wattage", "model"]})
    return name


def test_thing_type_is_created_once(platform, iot, unique):
    properties = {"thingTypeDescription": "lights", "searchableAttributes": ["wattage", "model"]}
    made = iot.create_thing_type(thingTypeName=unique, thingTypeProperties=properties)
    account = platform.environment["MUSTER_ACCOUNT_ID"]
    assert made["thingTypeName"] == unique and UUID.fullmatch(made["thingTypeId"])
    assert made["thingTypeArn"] == f"arn:aws:iot:{platform.region}:{account}:thingtype/{unique}"
    again = iot.create_thing_type(thingTypeName=unique, thingTypeProperties=properties)
    assert again["thingTypeId"] == made["thingTypeId"]
    error = refused(*EXISTS, iot.create_thing_type, thingTypeName=unique)
    assert error["resourceArn"] == made["thingTypeArn"] and error["resourceId"] == made["thingTypeId"]
    described = iot.describe_thing_type(thingTypeName=unique)
    assert described["thingTypeProperties"] == properties
    assert described["thingTypeId"] == made["thingTypeId"] and described["thingTypeArn"] == made["thingTypeArn"]
    metadata = described["thingTypeMetadata"]
    assert metadata["deprecated"] is False and "deprecationDate" not in metadata
    assert abs((datetime.datetime.now(datetime.timezone.utc) - metadata["creationDate"]).total_seconds()) < 60
    refused(*MISSING, iot.describe_thing_type, thingTypeName=f"no-{unique}")


@pytest.mark.parametrize("properties", [
    {"searchableAttributes": ["a", "b", "c", "d"]}, {"searchableAttributes": ["a", "a"]},
    {"searchableAttributes": ["a b"]}, {"searchableAttributes": ["a" * 129]}, {"searchableAttributes": [""]},
    {"thingTypeDescription": "x" * 2029}, {"thingTypeDescription": "a\nb"}])
def test_limits_of_thing_types(iot, unique, properties):
    refused(*INVALID, iot.create_thing_type, thingTypeName=unique, thingTypeProperties=properties)
    refused(*MISSING, iot.describe_thing_type, thingTypeName=unique)


@pytest.mark.parametrize("name", ["with space", "sl%ash", "star*", "plus+", "hash#", "a" * 129, "tab\t", "ü"])
def test_names_of_thing_types(iot, name):
    for call in (iot.create_thing_type, iot.describe_thing_type, iot.deprecate_thing_type, iot.delete_thing_type):
        refused(*INVALID, call, thingTypeName=name)


def test_newer_properties(platform, iot, kind):
    path = f"/thing-types/{kind}"
    assert send_json(platform, "PATCH", path, {"thingTypeProperties": {"thingTypeDescription": "lamps"}})[0] == 200
    properties = iot.describe_thing_type(thingTypeName=kind)["thingTypeProperties"]
    assert properties == {"thingTypeDescription": "lamps", "searchableAttributes": ["wattage", "model"]}
    assert send_json(platform, "PATCH", path, {"thingTypeProperties": {"searchableAttributes": ["model"]}})[0] == 200
    assert iot.describe_thing_type(thingTypeName=kind)["thingTypeProperties"]["searchableAttributes"] == ["model"]
    attribute = {"userPropertyKey": "model", "thingAttribute": "model"}
    newer = {"thingTypeProperties": {"mqtt5Configuration": {"propagatingAttributes": [attribute]}}}
    for method, target in (("PATCH", path), ("POST", f"{path}-new")):
        status, code, answer = send_json(platform, method, target, newer)
        assert (code, status) == INVALID and "mqtt5Configuration" in answer["message"]
    status, code, _ = send_json(platform, "PATCH", f"/thing-types/no-{kind}", {"thingTypeProperties": {}})
    assert (code, status) == MISSING


def test_things_have_a_type(iot, kind, unique):
    other = f"other-{unique}"
    iot.create_thing_type(thingTypeName=other)
    for number in range(3):
        iot.create_thing(thingName=f"{unique}-{number}", thingTypeName=kind,
                         attributePayload={"attributes": {"site": unique}})
    iot.create_thing(thingName=f"{unique}-none", attributePayload={"attributes": {"site": unique}})
    assert iot.describe_thing(thingName=f"{unique}-0")["thingTypeName"] == kind
    assert "thingTypeName" not in iot.describe_thing(thingName=f"{unique}-none")

    def listed(**filters):
        return [t["thingName"] for t in pages(iot, "list_things", "things", **filters)]
    assert listed(thingTypeName=kind) == [f"{unique}-{n}" for n in range(3)]
    iot.update_thing(thingName=f"{unique}-1", thingTypeName=other)
    iot.update_thing(thingName=f"{unique}-2", removeThingType=True)
    assert iot.describe_thing(thingName=f"{unique}-1")["version"] == 2
    assert listed(thingTypeName=kind) == [f"{unique}-0"] and listed(thingTypeName=other) == [f"{unique}-1"]
    assert listed(thingTypeName=other, attributeName="site", attributeValue=unique) == [f"{unique}-1"]
    assert listed(thingTypeName=f"no-{unique}") == []
    shown = iot.list_things(thingTypeName=kind)["things"][0]
    assert shown["thingTypeName"] == kind and shown["attributes"] == {"site": unique}
    refused(*MISSING, iot.create_thing, thingName=f"{unique}-x", thingTypeName=f"no-{unique}")
    refused(*MISSING, iot.update_thing, thingName=f"{unique}-0", thingTypeName=f"no-{unique}")
    refused(*INVALID, iot.update_thing, thingName=f"{unique}-0", thingTypeName=kind, removeThingType=True)
    refused(*EXISTS, iot.create_thing, thingName=f"{unique}-0", thingTypeName=other,
            attributePayload={"attributes": {"site": unique}})


def test_deprecated_types_take_no_new_things(iot, kind, unique):
    iot.create_thing(thingName=f"old-{unique}", thingTypeName=kind)
    iot.deprecate_thing_type(thingTypeName=kind)
    metadata = iot.describe_thing_type(thingTypeName=kind)["thingTypeMetadata"]
    assert metadata["deprecated"] is True and metadata["deprecationDate"] >= metadata["creationDate"]
    error = refused(*INVALID, iot.create_thing, thingName=f"new-{unique}", thingTypeName=kind)
    assert kind in error["Error"]["Message"]
    iot.create_thing(thingName=f"new-{unique}")
    refused(*INVALID, iot.update_thing, thingName=f"new-{unique}", thingTypeName=kind)
    iot.update_thing(thingName=f"old-{unique}", attributePayload={"attributes": {"a": "1"}})  # as before
    iot.deprecate_thing_type(thingTypeName=kind, undoDeprecate=True)
    assert "deprecationDate" not in iot.describe_thing_type(thingTypeName=kind)["thingTypeMetadata"]
    iot.update_thing(thingName=f"new-{unique}", thingTypeName=kind)
    refused(*MISSING, iot.deprecate_thing_type, thingTypeName=f"no-{unique}")


def test_deletion_waits_for_five_minutes_of_deprecation(iot, kind, unique):
    refused(*INVALID, iot.delete_thing_type, thingTypeName=kind)
    iot.deprecate_thing_type(thingTypeName=kind)
    error = refused(*INVALID, iot.delete_thing_type, thingTypeName=kind)
    # What clients look for before they try again.
    assert "Please wait for 5 minutes after deprecation and then retry" in error["Error"]["Message"]
    refused(*MISSING, iot.delete_thing_type, thingTypeName=f"no-{unique}")


def test_thing_types_are_listed(iot, unique):
    names = [f"{unique}-{n}" for n in range(5)]
    for name in names:
        iot.create_thing_type(thingTypeName=name, thingTypeProperties={"thingTypeDescription": name})
    found = pages(iot, "list_thing_types", "thingTypes", size=2)
    mine = [t for t in found if t["thingTypeName"].startswith(unique)]
    assert [t["thingTypeName"] for t in mine] == names
    assert mine[0]["thingTypeProperties"] == {"thingTypeDescription": names[0]}
    assert mine[0]["thingTypeMetadata"]["deprecated"] is False and mine[0]["thingTypeArn"].endswith(names[0])
    assert [t["thingTypeName"] for t in iot.list_thing_types(thingTypeName=names[3])["thingTypes"]] == [names[3]]
    assert iot.list_thing_types(thingTypeName=f"no-{unique}")["thingTypes"] == []
    token = iot.list_thing_types(maxResults=1)["nextToken"]
    refused(*INVALID, iot.list_thing_types, thingTypeName=names[0], nextToken=token)
    refused(*INVALID, iot.list_things, nextToken=token)
    refused(*INVALID, iot.list_thing_types, maxResults=251)


def test_tags_of_thing_types(iot, unique):
    arn = iot.create_thing_type(thingTypeName=unique, tags=[{"Key": "owner", "Value": "me"}])["thingTypeArn"]
    iot.tag_resource(resourceArn=arn, tags=[{"Key": "site", "Value": "berlin"}])
    tags = {t["Key"]: t["Value"] for t in iot.list_tags_for_resource(resourceArn=arn)["tags"]}
    assert tags == {"owner": "me", "site": "berlin"}
    iot.untag_resource(resourceArn=arn, tagKeys=["owner"])
    assert [t["Key"] for t in iot.list_tags_for_resource(resourceArn=arn)["tags"]] == ["site"]
    refused(*MISSING, iot.tag_resource, resourceArn=arn + "x", tags=[{"Key": "a", "Value": "b"}])
    refused(*INVALID, iot.create_thing_type, thingTypeName=f"{unique}-x", tags=[{"Key": "aws:x", "Value": "b"}])
    refused(*MISSING, iot.describe_thing_type, thingTypeName=f"{unique}-x")


def test_types_are_permitted_one_by_one(iam, ann, kind, unique):
    mine = ann("iot")
    for call in (mine.describe_thing_type, mine.deprecate_thing_type, mine.delete_thing_type, mine.create_thing_type):
        refused("AccessDeniedException", 403, call, thingTypeName=kind)
    refused("AccessDeniedException", 403, mine.list_thing_types)
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:DescribeThingType",
                                                "Resource": f"arn:aws:iot:*:*:thingtype/{kind}"}]}))
    assert mine.describe_thing_type(thingTypeName=kind)["thingTypeName"] == kind
    refused("AccessDeniedException", 403, mine.describe_thing_type, thingTypeName=f"{kind}x")
