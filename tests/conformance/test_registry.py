# SPDX-License-Identifier: Apache-2.0
"""The registry through boto3: things, groups, certificates, policies, endpoint, tags."""
import json

import pytest
from botocore.exceptions import ClientError

ALLOW_CONNECT = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iot:Connect", "Resource": "arn:aws:iot:*:*:client/${iot:ClientId}"}]})


def code(error):
    return error.value.response["Error"]["Code"]


def status(error):
    return error.value.response["ResponseMetadata"]["HTTPStatusCode"]


def pages(method, key, token="nextToken", **arguments):
    items = []
    while True:
        page = method(**arguments)
        items += page[key]
        following = page.get(token.replace("marker", "nextMarker"))
        if not following:
            return items
        arguments[token] = following


def test_thing_life(iot, unique):
    name = f"thing:{unique}"
    made = iot.create_thing(thingName=name, attributePayload={"attributes": {"site": "berlin"}})
    assert made["thingArn"].endswith(f":thing/{name}")
    again = iot.create_thing(thingName=name, attributePayload={"attributes": {"site": "berlin"}})
    assert again["thingId"] == made["thingId"]
    with pytest.raises(ClientError) as error:
        iot.create_thing(thingName=name)
    assert code(error) == "ResourceAlreadyExistsException" and status(error) == 409
    assert error.value.response["resourceArn"] == made["thingArn"]
    iot.update_thing(thingName=name, attributePayload={"attributes": {"line": "2", "site": ""}, "merge": True},
                     expectedVersion=1)
    described = iot.describe_thing(thingName=name)
    assert described["attributes"] == {"line": "2"} and described["version"] == 2
    assert described["defaultClientId"] == name
    with pytest.raises(ClientError) as error:
        iot.delete_thing(thingName=name, expectedVersion=1)
    assert code(error) == "VersionConflictException"
    iot.delete_thing(thingName=name, expectedVersion=2)
    iot.delete_thing(thingName=name)
    with pytest.raises(ClientError) as error:
        iot.describe_thing(thingName=name)
    assert code(error) == "ResourceNotFoundException" and status(error) == 404


def test_things_are_found_by_attribute_in_pages(iot, unique):
    names = [f"{unique}-{n}" for n in range(7)]
    for name in names:
        iot.create_thing(thingName=name, attributePayload={"attributes": {"batch": f"{unique}/a"}})
    found = pages(iot.list_things, "things", attributeName="batch", attributeValue=f"{unique}/a", maxResults=3)
    assert [thing["thingName"] for thing in found] == names
    prefix = pages(iot.list_things, "things", attributeName="batch", attributeValue=unique, usePrefixAttributeValue=True)
    assert len(prefix) == 7 and prefix[0]["attributes"] == {"batch": f"{unique}/a"}
    with pytest.raises(ClientError) as error:
        iot.list_things(nextToken="forged")
    assert code(error) == "InvalidRequestException"


def test_group_tree_and_members(iot, unique):
    root, leaf = f"{unique}-root", f"{unique}-leaf"
    iot.create_thing_group(thingGroupName=root, tags=[{"Key": "owner", "Value": "me"}])
    made = iot.create_thing_group(thingGroupName=leaf, parentGroupName=root, thingGroupProperties={
        "thingGroupDescription": "leaves", "attributePayload": {"attributes": {"a": "1"}}})
    described = iot.describe_thing_group(thingGroupName=leaf)
    assert described["thingGroupMetadata"]["parentGroupName"] == root
    assert [g["groupName"] for g in described["thingGroupMetadata"]["rootToParentThingGroups"]] == [root]
    assert described["thingGroupProperties"]["thingGroupDescription"] == "leaves"
    assert described["thingGroupMetadata"]["creationDate"].year > 2000
    things = []
    for number in range(5):
        thing = iot.create_thing(thingName=f"{unique}-{number}")
        things.append(thing["thingName"])
        iot.add_thing_to_thing_group(thingGroupArn=made["thingGroupArn"], thingArn=thing["thingArn"])
    assert pages(iot.list_things_in_thing_group, "things", thingGroupName=root, recursive=True, maxResults=2) == things
    assert iot.list_things_in_thing_group(thingGroupName=root)["things"] == []
    with pytest.raises(ClientError) as error:
        iot.add_thing_to_thing_group(thingGroupName=root, thingName=things[0])
    assert code(error) == "InvalidRequestException"
    assert [g["groupName"] for g in iot.list_thing_groups_for_thing(thingName=things[0])["thingGroups"]] == [leaf]
    below = pages(iot.list_thing_groups, "thingGroups", parentGroup=root, maxResults=1)
    assert [g["groupName"] for g in below] == [leaf]
    iot.update_thing_groups_for_thing(thingName=things[0], thingGroupsToRemove=[leaf], thingGroupsToAdd=[root])
    assert iot.list_things_in_thing_group(thingGroupName=root)["things"] == [things[0]]
    assert iot.update_thing_group(thingGroupName=leaf, thingGroupProperties={"thingGroupDescription": "x"},
                                  expectedVersion=1)["version"] == 2
    with pytest.raises(ClientError) as error:
        iot.delete_thing_group(thingGroupName=root)
    assert code(error) == "InvalidRequestException"
    iot.delete_thing_group(thingGroupName=leaf)
    iot.delete_thing_group(thingGroupName=root)
    assert iot.list_thing_groups_for_thing(thingName=things[1])["thingGroups"] == []


def test_certificate_life(iot, unique):
    made = iot.create_keys_and_certificate(setAsActive=True)
    assert made["keyPair"]["PrivateKey"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    identifier, arn = made["certificateId"], made["certificateArn"]
    description = iot.describe_certificate(certificateId=identifier)["certificateDescription"]
    assert description["status"] == "ACTIVE" and description["certificatePem"] == made["certificatePem"]
    assert description["validity"]["notAfter"].year == 2049
    with pytest.raises(ClientError) as error:
        iot.register_certificate_without_ca(certificatePem=made["certificatePem"])
    assert code(error) == "ResourceAlreadyExistsException"
    policy = f"p-{unique}"
    thing = iot.create_thing(thingName=f"t-{unique}")["thingName"]
    iot.create_policy(policyName=policy, policyDocument=ALLOW_CONNECT)
    iot.attach_policy(policyName=policy, target=arn)
    iot.attach_thing_principal(thingName=thing, principal=arn)
    assert iot.list_thing_principals(thingName=thing)["principals"] == [arn]
    assert iot.list_principal_things(principal=arn)["things"] == [thing]
    assert [p["policyName"] for p in iot.list_attached_policies(target=arn)["policies"]] == [policy]
    assert iot.list_targets_for_policy(policyName=policy)["targets"] == [arn]
    effective = iot.get_effective_policies(principal=arn)["effectivePolicies"]
    assert [p["policyDocument"] for p in effective] == [ALLOW_CONNECT]
    for force, expected in ((False, "CertificateStateException"), (True, "CertificateStateException")):
        with pytest.raises(ClientError) as error:
            iot.delete_certificate(certificateId=identifier, forceDelete=force)
        assert code(error) == expected and status(error) == 406
    iot.update_certificate(certificateId=identifier, newStatus="INACTIVE")
    with pytest.raises(ClientError) as error:
        iot.delete_certificate(certificateId=identifier)
    assert code(error) == "DeleteConflictException" and status(error) == 409
    with pytest.raises(ClientError) as error:
        iot.delete_policy(policyName=policy)
    assert code(error) == "DeleteConflictException"
    with pytest.raises(ClientError) as error:
        iot.delete_thing(thingName=thing)
    assert code(error) == "InvalidRequestException"
    iot.detach_thing_principal(thingName=thing, principal=arn)
    iot.detach_policy(policyName=policy, target=arn)
    iot.delete_certificate(certificateId=identifier)
    iot.delete_policy(policyName=policy)
    assert identifier not in [c["certificateId"] for c in pages(
        iot.list_certificates, "certificates", token="marker", pageSize=2)]


def test_bad_certificates_are_refused(iot):
    for pem in ("junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(ClientError) as error:
            iot.register_certificate_without_ca(certificatePem=pem)
        assert code(error) == "CertificateValidationException" and status(error) == 400
        with pytest.raises(ClientError) as error:
            iot.create_certificate_from_csr(certificateSigningRequest=pem)
        assert code(error) == "InvalidRequestException"


def test_policy_versions(iot, unique):
    name = f"v-{unique}"
    assert iot.create_policy(policyName=name, policyDocument=ALLOW_CONNECT)["policyVersionId"] == "1"
    with pytest.raises(ClientError) as error:
        iot.create_policy(policyName=name, policyDocument=ALLOW_CONNECT)
    assert code(error) == "ResourceAlreadyExistsException"
    with pytest.raises(ClientError) as error:
        iot.create_policy(policyName=name + "x", policyDocument='{"Version":"2012-10-17","Statement":[]}')
    assert code(error) == "MalformedPolicyException" and status(error) == 400
    for number in range(2, 6):
        made = iot.create_policy_version(policyName=name, policyDocument=ALLOW_CONNECT, setAsDefault=number == 3)
        assert made["policyVersionId"] == str(number)
    with pytest.raises(ClientError) as error:
        iot.create_policy_version(policyName=name, policyDocument=ALLOW_CONNECT)
    assert code(error) == "VersionsLimitExceededException" and status(error) == 409
    assert iot.get_policy(policyName=name)["defaultVersionId"] == "3"
    iot.set_default_policy_version(policyName=name, policyVersionId="1")
    versions = iot.list_policy_versions(policyName=name)["policyVersions"]
    assert {v["versionId"]: v["isDefaultVersion"] for v in versions} == {str(n): n == 1 for n in range(1, 6)}
    assert iot.get_policy_version(policyName=name, policyVersionId="1")["isDefaultVersion"]
    with pytest.raises(ClientError) as error:
        iot.delete_policy_version(policyName=name, policyVersionId="1")
    assert code(error) == "DeleteConflictException"


def test_endpoints(iot):
    host = iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    assert host and ":" not in host
    assert iot.describe_endpoint()["endpointAddress"] == host
    assert iot.describe_endpoint(endpointType="iot:Jobs")["endpointAddress"].startswith(host)
    with pytest.raises(ClientError) as error:
        iot.describe_endpoint(endpointType="iot:Nonsense")
    assert code(error) == "InvalidRequestException"


def test_tags(iot, unique):
    arn = iot.create_thing_group(thingGroupName=f"tags-{unique}")["thingGroupArn"]
    iot.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    iot.untag_resource(resourceArn=arn, tagKeys=["b"])
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "a", "Value": "1"}]
    with pytest.raises(ClientError) as error:
        iot.tag_resource(resourceArn=arn + "x", tags=[{"Key": "a", "Value": "1"}])
    assert code(error) == "ResourceNotFoundException"
