# SPDX-License-Identifier: Apache-2.0
"""IAM and STS through boto3: identities, keys, inline policies, roles, sessions, and that they decide."""
import json

import pytest
from botocore.exceptions import ClientError


def code(error):
    return error.value.response["Error"]["Code"]


def policy(effect, action, resource, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": effect, "Action": action, "Resource": resource, **more}]})


def trust(principal):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]})


@pytest.fixture
def ann(platform, iam, unique):
    """A user with a key, and a maker of clients that sign with it."""
    name = f"ann-{unique}"
    user = iam.create_user(UserName=name)["User"]
    key = iam.create_access_key(UserName=name)["AccessKey"]

    def client(service):
        return platform.client(service, access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
    client.name, client.arn, client.key = name, user["Arn"], key
    return client


def test_users(iam, unique):
    names = [f"u{n}-{unique}" for n in range(3)]
    for name in names:
        user = iam.create_user(UserName=name, Tags=[{"Key": "team", "Value": "x"}])["User"]
        assert user["Arn"].endswith(f":user/{name}") and user["UserId"].startswith("AIDA") and user["Path"] == "/"
    with pytest.raises(ClientError) as error:
        iam.create_user(UserName=names[0].upper())
    assert code(error) == "EntityAlreadyExists"
    with pytest.raises(ClientError) as error:
        iam.create_user(UserName=f"p-{unique}", Path="/a/")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 501)
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
