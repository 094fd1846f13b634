# SPDX-License-Identifier: Apache-2.0
"""Groups, paths, managed policies, boundaries, temporary credentials: through boto3, and that they decide."""
import datetime
import json

import pytest
from botocore.exceptions import ClientError

from refusals import pages, refused

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


def policy(effect, action, resource, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": effect, "Action": action, "Resource": resource, **more}]})


def trust(principal, actions=("sts:AssumeRole",), **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": principal, "Action": list(actions), **more}]})


def denied(call, /, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    response = error.value.response
    assert response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"), response
    return response["Error"]["Message"]


@pytest.fixture
def managed(iam, unique):
    """managed(document) makes a policy and gives its ARN."""
    made = []

    def make(document, **more):
        name = f"p{len(made)}-{unique}"
        made.append(iam.create_policy(PolicyName=name, PolicyDocument=document, **more)["Policy"])
        return made[-1]["Arn"]
    return make


@pytest.fixture
def session(platform):
    """session(credentials)(service): a client of temporary credentials."""
    def of(credentials):
        return lambda service: platform.client(
            service, access_key=credentials["AccessKeyId"], secret_key=credentials["SecretAccessKey"],
            session_token=credentials["SessionToken"])
    return of


# ---- groups


def test_groups(iam, ann, unique):
    group = iam.create_group(GroupName=f"g-{unique}", Path="/teams/")["Group"]
    assert group["Arn"].endswith(f":group/teams/g-{unique}") and group["GroupId"].startswith("AGPA")
    refused("EntityAlreadyExists", 409, iam.create_group, GroupName=f"G-{unique}")
    denied(ann("iot").list_things)
    iam.put_group_policy(GroupName=f"g-{unique}", PolicyName="p", PolicyDocument=policy("Allow", "iot:ListThings", "*"))
    iam.add_user_to_group(GroupName=f"g-{unique}", UserName=ann.name)
    ann("iot").list_things()
    assert [u["UserName"] for u in iam.get_group(GroupName=f"g-{unique}")["Users"]] == [ann.name]
    assert [g["GroupName"] for g in iam.list_groups_for_user(UserName=ann.name)["Groups"]] == [f"g-{unique}"]
    assert [g["GroupName"] for g in iam.list_groups(PathPrefix="/teams/")["Groups"]
            if unique in g["GroupName"]] == [f"g-{unique}"]
    assert iam.list_group_policies(GroupName=f"g-{unique}")["PolicyNames"] == ["p"]
    refused("DeleteConflict", 409, iam.delete_group, GroupName=f"g-{unique}")
    iam.update_group(GroupName=f"g-{unique}", NewGroupName=f"h-{unique}")
    ann("iot").list_things()
    iam.remove_user_from_group(GroupName=f"h-{unique}", UserName=ann.name)
    denied(ann("iot").list_things)
    iam.delete_group_policy(GroupName=f"h-{unique}", PolicyName="p")
    iam.delete_group(GroupName=f"h-{unique}")
    refused("NoSuchEntity", 404, iam.get_group, GroupName=f"h-{unique}")


# ---- paths


def test_paths_are_part_of_arns_and_decide(iam, ann, unique):
    for name, path in ((f"a-{unique}", "/eng/"), (f"b-{unique}", "/eng/deep/"), (f"c-{unique}", "/ops/")):
        assert iam.create_user(UserName=name, Path=path)["User"]["Arn"].endswith(f":user{path}{name}")
    found = [u["UserName"] for u in pages(iam, "list_users", "Users", PathPrefix="/eng/") if unique in u["UserName"]]
    assert found == [f"a-{unique}", f"b-{unique}"]
    refused("ValidationError", 400, iam.create_user, UserName=f"d-{unique}", Path="no-slash")
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=policy(
        "Allow", "iam:*", "arn:aws:iam::*:user/eng/*"))
    mine = ann("iam")
    mine.get_user(UserName=f"a-{unique}")
    mine.delete_user(UserName=f"b-{unique}")
    denied(mine.get_user, UserName=f"c-{unique}")
    denied(mine.create_user, UserName=f"d-{unique}", Path="/ops/")
    denied(mine.create_user, UserName=f"d-{unique}")
    mine.create_user(UserName=f"d-{unique}", Path="/eng/")
    assert "user/ops/" in denied(mine.update_user, UserName=f"d-{unique}", NewPath="/ops/"), "not out of the path"
    mine.update_user(UserName=f"d-{unique}", NewUserName=f"e-{unique}")
    assert mine.get_user(UserName=f"e-{unique}")["User"]["Path"] == "/eng/"


def test_renamed_user_keeps_its_key(iam, ann, sts):
    iam.update_user(UserName=ann.name, NewUserName=ann.name + "-x", NewPath="/p/")
    assert ann("sts").get_caller_identity()["Arn"].endswith(f":user/p/{ann.name}-x")
    iam.update_user(UserName=ann.name + "-x", NewUserName=ann.name, NewPath="/")
    assert ann("sts").get_caller_identity()["Arn"] == ann.arn


# ---- managed policies


def test_managed_policies_have_versions(iam, ann, managed, unique):
    arn = managed(policy("Allow", "iot:ListThings", "*"), Path="/jobs/", Description="d",
                  Tags=[{"Key": "team", "Value": "x"}])
    got = iam.get_policy(PolicyArn=arn)["Policy"]
    assert arn.endswith(f":policy/jobs/p0-{unique}") and got["DefaultVersionId"] == "v1" and got["Description"] == "d"
    assert got["AttachmentCount"] == 0 and got["IsAttachable"] and got["PolicyId"].startswith("ANPA")
    assert got["Tags"] == [{"Key": "team", "Value": "x"}]
    iam.attach_user_policy(UserName=ann.name, PolicyArn=arn)
    iam.attach_user_policy(UserName=ann.name, PolicyArn=arn)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    ann("iot").list_things()
    version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy("Allow", "iot:ListJobs", "*"))
    assert version["PolicyVersion"]["VersionId"] == "v2" and not version["PolicyVersion"]["IsDefaultVersion"]
    denied(ann("iot").list_jobs)
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
    ann("iot").list_jobs()
    denied(ann("iot").list_things)
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"] == json.loads(
        policy("Allow", "iot:ListThings", "*"))
    assert [v["VersionId"] for v in pages(iam, "list_policy_versions", "Versions", size=1, PolicyArn=arn)] == ["v2", "v1"]
    refused("DeleteConflict", 409, iam.delete_policy_version, PolicyArn=arn, VersionId="v2")
    refused("DeleteConflict", 409, iam.delete_policy, PolicyArn=arn)
    for _ in range(3):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy("Allow", "iot:ListJobs", "*"))
    refused("LimitExceeded", 409, iam.create_policy_version, PolicyArn=arn,
            PolicyDocument=policy("Allow", "iot:ListJobs", "*"))
    refused("MalformedPolicyDocument", 400, iam.create_policy, PolicyName=f"q-{unique}", PolicyDocument="{}")
    refused("EntityAlreadyExists", 409, iam.create_policy, PolicyName=f"P0-{unique}",
            PolicyDocument=policy("Allow", "*", "*"))
    iam.detach_user_policy(UserName=ann.name, PolicyArn=arn)
    refused("NoSuchEntity", 404, iam.detach_user_policy, UserName=ann.name, PolicyArn=arn)
    for version in ("v1", "v3", "v4", "v5"):
        iam.delete_policy_version(PolicyArn=arn, VersionId=version)
    iam.delete_policy(PolicyArn=arn)
    refused("NoSuchEntity", 404, iam.get_policy, PolicyArn=arn)


def test_policies_are_listed_by_scope_and_use(iam, ann, managed, unique):
    used, unused, bounding = (managed(policy("Allow", "iot:*", "*"), Path=f"/{unique}/") for _ in range(3))
    iam.attach_user_policy(UserName=ann.name, PolicyArn=used)
    iam.put_user_permissions_boundary(UserName=ann.name, PermissionsBoundary=bounding)

    def arns(**more):
        return [p["Arn"] for p in pages(iam, "list_policies", "Policies", PathPrefix=f"/{unique}/", **more)]
    assert arns() == arns(Scope="Local") == sorted([used, unused, bounding])
    assert arns(OnlyAttached=True) == sorted([used, bounding])
    assert arns(PolicyUsageFilter="PermissionsBoundary") == [bounding]
    assert arns(Scope="AWS") == []
    aws = [p["PolicyName"] for p in iam.list_policies(Scope="AWS")["Policies"]]
    assert {"AdministratorAccess", "AWSIoTFullAccess", "IAMFullAccess"} <= set(aws)
    assert all(p["Arn"].startswith("arn:aws:iam::aws:policy/") for p in iam.list_policies(Scope="AWS")["Policies"])
    assert [p["PolicyArn"] for p in iam.list_attached_user_policies(UserName=ann.name)["AttachedPolicies"]] == [used]
    entities = iam.list_entities_for_policy(PolicyArn=bounding)
    assert [u["UserName"] for u in entities["PolicyUsers"]] == [ann.name] and entities["PolicyRoles"] == []
    assert iam.list_entities_for_policy(PolicyArn=bounding, PolicyUsageFilter="PermissionsPolicy")["PolicyUsers"] == []
    refused("AccessDenied", 403, iam.create_policy_version, PolicyArn=ADMIN, PolicyDocument=policy("Allow", "*", "*"))
    refused("NoSuchEntity", 404, iam.attach_user_policy, UserName=ann.name,
            PolicyArn="arn:aws:iam::999999999999:policy/another-accounts")


def test_pages_of_policies_and_of_who_uses_them(iam, ann, managed, unique):
    arns = [managed(policy("Allow", "iot:*", "*")) for _ in range(3)]
    role = iam.create_role(RoleName=unique, AssumeRolePolicyDocument=trust({"AWS": ann.arn}))["Role"]
    iam.attach_user_policy(UserName=ann.name, PolicyArn=arns[0])
    iam.put_user_permissions_boundary(UserName=ann.name, PermissionsBoundary=arns[0])
    iam.attach_role_policy(RoleName=role["RoleName"], PolicyArn=arns[0])

    def by_pages(size, **more):
        found = iam.get_paginator("list_policies").paginate(PaginationConfig={"PageSize": size}, **more)
        return [p for page in found for p in page["Policies"]]
    whole = by_pages(1000)
    assert [p["Arn"] for p in by_pages(2)] == [p["Arn"] for p in whole]
    assert len({p["Arn"] for p in whole}) == len(whole) and set(arns) < {p["Arn"] for p in whole}
    assert {p["Arn"] for p in by_pages(1, Scope="Local")} == {p["Arn"] for p in whole if ":aws:policy/" not in p["Arn"]}
    mine = next(p for p in whole if p["Arn"] == arns[0])
    assert mine["AttachmentCount"] == 2 and mine["PermissionsBoundaryUsageCount"] == 1
    entities = list(iam.get_paginator("list_entities_for_policy").paginate(
        PolicyArn=arns[0], PaginationConfig={"PageSize": 1}))
    assert [u["UserName"] for page in entities for u in page["PolicyUsers"]] == [ann.name]
    assert [r["RoleName"] for page in entities for r in page["PolicyRoles"]] == [unique]
    assert iam.list_entities_for_policy(PolicyArn=arns[0], EntityFilter="Role")["PolicyUsers"] == []
    refused("ValidationError", 400, iam.list_policies, Marker="AAAA")
    summary = iam.get_account_summary()["SummaryMap"]
    assert (summary["UsersQuota"], summary["RolesQuota"], summary["GroupsQuota"], summary["PoliciesQuota"]) == (
        5000, 1000, 300, 1500)
    assert summary["Policies"] == len(by_pages(1000, Scope="Local")) and summary["PolicyVersionsInUse"] >= 3


def test_groups_and_roles_take_managed_policies(iam, ann, unique):
    iam.create_group(GroupName=unique)
    iam.attach_group_policy(GroupName=unique, PolicyArn="arn:aws:iam::aws:policy/AWSIoTConfigReadOnlyAccess")
    iam.add_user_to_group(GroupName=unique, UserName=ann.name)
    ann("iot").list_things()
    denied(ann("iot").create_thing, thingName=f"t-{unique}")
    assert [g["GroupName"] for g in iam.list_entities_for_policy(
        PolicyArn="arn:aws:iam::aws:policy/AWSIoTConfigReadOnlyAccess")["PolicyGroups"]] == [unique]
    assert len(iam.list_attached_group_policies(GroupName=unique)["AttachedPolicies"]) == 1
    refused("DeleteConflict", 409, iam.delete_user, UserName=ann.name)
    role = iam.create_role(RoleName=unique, AssumeRolePolicyDocument=trust({"AWS": ann.arn}))["Role"]
    iam.attach_role_policy(RoleName=unique, PolicyArn=ADMIN)
    refused("DeleteConflict", 409, iam.delete_role, RoleName=unique)
    assert iam.list_attached_role_policies(RoleName=unique)["AttachedPolicies"][0]["PolicyArn"] == ADMIN
    assert role["Arn"].endswith(unique)


# ---- boundaries


def test_boundaries_bound_and_can_be_demanded(iam, ann, managed, unique):
    boundary = managed(policy("Allow", ["iot:List*", "iam:*"], "*"))
    iam.attach_user_policy(UserName=ann.name, PolicyArn=ADMIN)
    iam.put_user_permissions_boundary(UserName=ann.name, PermissionsBoundary=boundary)
    assert iam.get_user(UserName=ann.name)["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    ann("iot").list_things()
    assert "no permissions boundary allows the iot:CreateThing action" in denied(
        ann("iot").create_thing, thingName=f"t-{unique}")
    iam.delete_user_permissions_boundary(UserName=ann.name)
    ann("iot").create_thing(thingName=f"t-{unique}")
    iam.detach_user_policy(UserName=ann.name, PolicyArn=ADMIN)
    # A delegated administrator may make users only within the boundary. Source: IAM user guide, "Permissions boundaries".
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=policy(
        "Allow", ["iam:CreateUser", "iam:PutUserPolicy"], "*",
        Condition={"StringEquals": {"iam:PermissionsBoundary": boundary}}))
    denied(ann("iam").create_user, UserName=f"x-{unique}")
    denied(ann("iam").create_user, UserName=f"x-{unique}", PermissionsBoundary=ADMIN)
    made = ann("iam").create_user(UserName=f"x-{unique}", PermissionsBoundary=boundary)["User"]
    assert made["PermissionsBoundary"]["PermissionsBoundaryType"] in ("Policy", "PermissionsBoundaryPolicy")
    ann("iam").put_user_policy(UserName=f"x-{unique}", PolicyName="p", PolicyDocument=policy("Allow", "*", "*"))
    denied(ann("iam").put_user_policy, UserName=ann.name, PolicyName="q", PolicyDocument=policy("Allow", "*", "*"))
    refused("DeleteConflict", 409, iam.delete_policy, PolicyArn=boundary)


# ---- tags, keys, the account


def test_tags_of_users_roles_and_policies(iam, ann, managed, unique):
    iam.tag_user(UserName=ann.name, Tags=[{"Key": "Team", "Value": "a"}, {"Key": "b", "Value": "c"}])
    iam.tag_user(UserName=ann.name, Tags=[{"Key": "team", "Value": "z"}])
    assert pages(iam, "list_user_tags", "Tags", size=1, UserName=ann.name) == [
        {"Key": "b", "Value": "c"}, {"Key": "team", "Value": "z"}]
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=policy(
        "Allow", "iot:CreateThing", "arn:aws:iot:*:*:thing/${aws:PrincipalTag/team}-*"))
    ann("iot").create_thing(thingName=f"z-{unique}")
    iam.untag_user(UserName=ann.name, TagKeys=["TEAM"])
    denied(ann("iot").create_thing, thingName=f"z-{unique}-2")
    iam.create_role(RoleName=unique, AssumeRolePolicyDocument=trust({"AWS": ann.arn}))
    iam.tag_role(RoleName=unique, Tags=[{"Key": "k", "Value": "v"}])
    assert iam.get_role(RoleName=unique)["Role"]["Tags"] == [{"Key": "k", "Value": "v"}]
    iam.untag_role(RoleName=unique, TagKeys=["k"])
    assert iam.list_role_tags(RoleName=unique)["Tags"] == []
    arn = managed(policy("Allow", "iot:*", "*"))
    iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "k", "Value": "v"}])
    assert iam.list_policy_tags(PolicyArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    # Who may create a user may not by that put tags on it.
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=policy("Allow", "iam:CreateUser", "*"))
    assert "iam:TagUser" in denied(ann("iam").create_user, UserName=f"y-{unique}", Tags=[{"Key": "k", "Value": "v"}])


def test_role_changes(iam, ann, unique):
    iam.create_role(RoleName=unique, Path="/r/", AssumeRolePolicyDocument=trust({"AWS": ann.arn}))
    iam.update_role(RoleName=unique, Description="new", MaxSessionDuration=7200)
    role = iam.get_role(RoleName=unique)["Role"]
    assert (role["Description"], role["MaxSessionDuration"], role["Path"]) == ("new", 7200, "/r/")
    assert iam.update_role_description(RoleName=unique, Description="newer")["Role"]["Description"] == "newer"
    assert iam.get_role(RoleName=unique)["Role"]["MaxSessionDuration"] == 7200


def test_last_use_of_a_key(iam, ann):
    never = iam.create_access_key(UserName=ann.name)["AccessKey"]["AccessKeyId"]
    used = iam.get_access_key_last_used(AccessKeyId=never)
    assert used["AccessKeyLastUsed"]["ServiceName"] == "N/A" and "LastUsedDate" not in used["AccessKeyLastUsed"]
    ann("sts").get_caller_identity()
    used = iam.get_access_key_last_used(AccessKeyId=ann.key["AccessKeyId"])
    assert used["UserName"] == ann.name and used["AccessKeyLastUsed"]["ServiceName"] == "sts"
    age = datetime.datetime.now(datetime.timezone.utc) - used["AccessKeyLastUsed"]["LastUsedDate"]
    assert abs(age.total_seconds()) < 60
    refused("NoSuchEntity", 404, iam.get_access_key_last_used, AccessKeyId="AKIAAAAAAAAAAAAAAAAA")


def test_the_account_in_whole(iam, ann, managed, unique):
    arn = managed(policy("Allow", "iot:*", "*"))
    iam.attach_user_policy(UserName=ann.name, PolicyArn=arn)
    iam.create_group(GroupName=unique)
    iam.add_user_to_group(GroupName=unique, UserName=ann.name)
    iam.put_group_policy(GroupName=unique, PolicyName="p", PolicyDocument=policy("Allow", "iot:*", "*"))
    found = {"UserDetailList": [], "GroupDetailList": [], "RoleDetailList": [], "Policies": []}
    for page in iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 3}):
        for key in found:
            found[key] += page[key]
    user = next(u for u in found["UserDetailList"] if u["UserName"] == ann.name)
    assert user["GroupList"] == [unique] and user["AttachedManagedPolicies"][0]["PolicyArn"] == arn
    group = next(g for g in found["GroupDetailList"] if g["GroupName"] == unique)
    assert group["GroupPolicyList"][0]["PolicyDocument"] == json.loads(policy("Allow", "iot:*", "*"))
    own = next(p for p in found["Policies"] if p["Arn"] == arn)
    assert own["PolicyVersionList"][0]["IsDefaultVersion"]
    only = iam.get_account_authorization_details(Filter=["Group"])
    assert only["UserDetailList"] == [] and only["GroupDetailList"]
    summary = iam.get_account_summary()["SummaryMap"]
    assert summary["Users"] >= 1 and summary["Groups"] >= 1 and summary["VersionsPerPolicyQuota"] == 5
    assert iam.list_account_aliases()["AccountAliases"] == []


# ---- STS


def test_session_token_of_a_user(platform, iam, ann, session):
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=policy("Allow", ["iot:*", "iam:*"], "*"))
    credentials = ann("sts").get_session_token(DurationSeconds=900)["Credentials"]
    mine = session(credentials)
    assert mine("sts").get_caller_identity()["Arn"] == ann.arn
    mine("iot").list_things()
    refused("InvalidClientTokenId", 403, mine("iam").list_users)
    assert "session credentials" in denied(mine("sts").get_session_token)
    unchecked = platform.client("sts", ann.key["AccessKeyId"], ann.key["SecretAccessKey"], parameter_validation=False)
    refused("ValidationError", 400, unchecked.get_session_token, DurationSeconds=899)
    iam.delete_user_policy(UserName=ann.name, PolicyName="p")
    denied(mine("iot").list_things)


def test_access_key_info(iam, sts, ann):
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=policy("Allow", "sts:GetAccessKeyInfo", "*"))
    account = ann("sts").get_access_key_info(AccessKeyId=ann.key["AccessKeyId"])["Account"]
    assert account == sts.get_caller_identity()["Account"]


def test_session_tags_policies_and_identity(iam, ann, session, unique):
    role = iam.create_role(RoleName=unique, AssumeRolePolicyDocument=trust(
        {"AWS": ann.arn}, ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity")))["Role"]["Arn"]
    iam.attach_role_policy(RoleName=unique, PolicyArn=ADMIN)
    answer = ann("sts").assume_role(
        RoleArn=role, RoleSessionName="s1", SourceIdentity="ann", Tags=[{"Key": "team", "Value": "red"}],
        TransitiveTagKeys=["team"], PolicyArns=[{"arn": "arn:aws:iam::aws:policy/AWSIoTFullAccess"}],
        Policy=policy("Allow", "s3:ListAllMyBuckets", "*"))
    assert answer["SourceIdentity"] == "ann" and answer["PackedPolicySize"] > 0
    mine = session(answer["Credentials"])
    mine("iot").list_things()
    mine("s3").list_buckets()
    assert "no session policy" in denied(mine("iam").list_users)
    plain = iam.create_role(RoleName=f"{unique}-p", AssumeRolePolicyDocument=trust({"AWS": ann.arn}))["Role"]["Arn"]
    assert "sts:TagSession" in denied(ann("sts").assume_role, RoleArn=plain, RoleSessionName="s1",
                                      Tags=[{"Key": "team", "Value": "red"}])
    assert "sts:SetSourceIdentity" in denied(ann("sts").assume_role, RoleArn=plain, RoleSessionName="s1",
                                             SourceIdentity="ann")


def test_confused_deputy_with_another_accounts_arn(iam, ann, unique):
    """Another account's ARN, as principal or as resource, opens nothing."""
    role = iam.create_role(RoleName=unique, AssumeRolePolicyDocument=trust({"AWS": "999999999999"}))["Role"]["Arn"]
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=policy("Allow", "*", "*"))
    denied(ann("sts").assume_role, RoleArn=role, RoleSessionName="s1")
    denied(ann("sts").assume_role, RoleArn="arn:aws:iam::999999999999:role/theirs", RoleSessionName="s1")
    refused("NoSuchEntity", 404, iam.get_policy, PolicyArn="arn:aws:iam::999999999999:policy/p")
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=policy(
        "Allow", "iot:*", "arn:aws:iot:*:999999999999:thing/*"))
    denied(ann("iot").create_thing, thingName=f"t-{unique}")


def test_bulk_calls_that_name_foreign_resources(iam, iot, s3, ann, unique):
    """One resource that is not the caller's to touch, among many that are, refuses the whole call."""
    mine = iot.create_thing(thingName=f"mine-{unique}")["thingArn"]
    yours = iot.create_thing(thingName=f"yours-{unique}")["thingArn"]
    s3.create_bucket(Bucket=f"b-{unique}")
    for key in ("mine/1", "yours/1"):
        s3.put_object(Bucket=f"b-{unique}", Key=key, Body=b"x")
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=policy(
        "Allow", ["iot:*", "s3:*"], ["arn:aws:iot:*:*:job/*", mine, f"arn:aws:s3:::b-{unique}/mine/*"]))
    denied(ann("iot").create_job, jobId=f"j-{unique}", targets=[mine, yours], document="{}")
    denied(ann("s3").delete_objects, Bucket=f"b-{unique}", Delete={"Objects": [{"Key": "mine/1"}, {"Key": "yours/1"}]})
    assert s3.list_objects_v2(Bucket=f"b-{unique}")["KeyCount"] == 2
    foreign = mine.replace(mine.split(":")[4], "999999999999")
    denied(ann("iot").create_job, jobId=f"j-{unique}", targets=[mine, foreign], document="{}")
    with pytest.raises(ClientError) as error:  # root may ask, and still nothing of another account is reached
        iot.create_job(jobId=f"j-{unique}", targets=[mine, foreign], document="{}")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 404)
    refused("ResourceNotFoundException", 404, iot.describe_job, jobId=f"j-{unique}")


# ---- documents that nobody should write


@pytest.mark.parametrize("text", [
    "", "\u0000", "[]", '{"Version":"2012-10-17"}', '{"Version":"2012-10-17","Statement":[]}',
    '{"Version":"2012-10-17","Statement":' + "[" * 200 + "]" * 200 + "}", '{"a":' * 100 + "1" + "}" * 100,
    policy("Allow", "s3:*", "*")[:-3]], ids=["empty", "nul", "list", "no-statement", "no-statements", "nested-lists",
                                              "nested-objects", "cut"])
def test_policies_that_are_empty_corrupt_or_deeply_nested(platform, iam, unique, text):
    unchecked = platform.client("iam", parameter_validation=False)
    with pytest.raises(ClientError) as error:
        unchecked.create_policy(PolicyName=unique, PolicyDocument=text)
    assert error.value.response["Error"]["Code"] in ("MalformedPolicyDocument", "ValidationError")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_policies_that_are_too_large(iam, unique):
    refused("LimitExceeded", 409, iam.create_policy, PolicyName=unique,
            PolicyDocument=policy("Allow", "s3:*", [f"arn:aws:s3:::bucket-{n:04}/*" for n in range(300)]))
    refused("ValidationError", 400, iam.create_policy, PolicyName=unique,
            PolicyDocument=policy("Allow", "s3:*", "arn:aws:s3:::" + "x" * 140_000))


def test_wildcards_in_substituted_variables_stay_characters(platform, iam, ann, unique):
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=policy(
        "Allow", "iot:CreateThing", "arn:aws:iot:*:*:thing/${aws:UserAgent}"))

    def client(user_agent):
        return platform.client("iot", ann.key["AccessKeyId"], ann.key["SecretAccessKey"], user_agent=user_agent)
    client(f"t-{unique}").create_thing(thingName=f"t-{unique}")
    for agent in ("*", "t-*", "?" * len(f"t-{unique}"), "${*}", "t-" + "?" * 10):
        denied(client(agent).create_thing, thingName=f"t-{unique}")


# ---- simulation


def simulated(answer):
    return {(r["EvalActionName"], r["EvalResourceName"]): r for r in answer["EvaluationResults"]}


def test_simulate_principal_policy(iam, ann, managed, unique):
    thing = "arn:aws:iot:eu-west-1:123456789012:thing/"
    iam.put_user_policy(UserName=ann.name, PolicyName="own", PolicyDocument=policy(
        "Allow", "iot:*", "arn:aws:iot:*:*:thing/mine-*"))
    iam.create_group(GroupName=unique)
    iam.put_group_policy(GroupName=unique, PolicyName="no", PolicyDocument=policy("Deny", "iot:Delete*", "*"))
    iam.add_user_to_group(GroupName=unique, UserName=ann.name)
    found = simulated(iam.simulate_principal_policy(
        PolicySourceArn=ann.arn, ActionNames=["iot:CreateThing", "iot:DeleteThing"],
        ResourceArns=[thing + "mine-1", thing + "other"]))
    assert found["iot:CreateThing", thing + "mine-1"]["EvalDecision"] == "allowed"
    assert found["iot:CreateThing", thing + "other"]["EvalDecision"] == "implicitDeny"
    denied_one = found["iot:DeleteThing", thing + "mine-1"]
    assert denied_one["EvalDecision"] == "explicitDeny"
    assert [(m["SourcePolicyId"], m["SourcePolicyType"]) for m in denied_one["MatchedStatements"]] == [("no", "group")]
    assert denied_one["ResourceSpecificResults"][0]["EvalResourceDecision"] == "explicitDeny"
    boundary = managed(policy("Allow", "iot:Describe*", "*"))
    iam.put_user_permissions_boundary(UserName=ann.name, PermissionsBoundary=boundary)
    bounded = iam.simulate_principal_policy(PolicySourceArn=ann.arn, ActionNames=["iot:CreateThing"],
                                            ResourceArns=[thing + "mine-1"])["EvaluationResults"][0]
    assert bounded["EvalDecision"] == "implicitDeny"
    assert bounded["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    # The simulation and the server agree.
    assert "boundary" in denied(ann("iot").create_thing, thingName=f"mine-{unique}")
    refused("NoSuchEntity", 404, iam.simulate_principal_policy, PolicySourceArn=ann.arn + "x", ActionNames=["iot:A"])
    refused("InvalidInput", 400, iam.simulate_principal_policy, PolicySourceArn=ann.arn[:-len(ann.name) - 5] + "root",
            ActionNames=["iot:A"])


def test_simulate_custom_policy(iam, ann):
    conditional = policy("Allow", "s3:GetObject", "arn:aws:s3:::b/${aws:username}/*", Condition={
        "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "NumericLessThan": {"s3:max-keys": "10"}})
    answer = iam.simulate_custom_policy(PolicyInputList=[conditional], ActionNames=["s3:GetObject"],
                                        ResourceArns=["arn:aws:s3:::b/ann/k"])["EvaluationResults"][0]
    assert answer["EvalDecision"] == "implicitDeny"
    assert answer["MissingContextValues"] == ["aws:SourceIp", "aws:username", "s3:max-keys"]

    def entry(key, kind, *values):
        return {"ContextKeyName": key, "ContextKeyType": kind, "ContextKeyValues": list(values)}
    entries = [entry("aws:SourceIp", "ip", "10.1.1.1"), entry("aws:username", "string", "ann"),
               entry("s3:max-keys", "numeric", "5")]
    answer = iam.simulate_custom_policy(PolicyInputList=[conditional], ActionNames=["s3:GetObject"],
                                        ResourceArns=["arn:aws:s3:::b/ann/k"],
                                        ContextEntries=entries)["EvaluationResults"][0]
    assert answer["EvalDecision"] == "allowed" and answer["MissingContextValues"] == []
    matched = answer["MatchedStatements"][0]
    assert matched["SourcePolicyId"] == "PolicyInputList.1"
    start, end = matched["StartPosition"], matched["EndPosition"]
    assert start["Line"] == end["Line"] == 1
    assert json.loads(conditional[start["Column"] - 1:end["Column"] - 1]) == json.loads(conditional)["Statement"][0]
    resource = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ann.arn}, "Action": "s3:*", "Resource": "*"}]})
    by_resource = iam.simulate_custom_policy(
        PolicyInputList=[policy("Allow", "iot:*", "*")], ResourcePolicy=resource, CallerArn=ann.arn,
        ActionNames=["s3:GetObject"], ResourceArns=["arn:aws:s3:::b/k"])["EvaluationResults"][0]
    assert by_resource["EvalDecision"] == "allowed"
    assert by_resource["MatchedStatements"][0]["SourcePolicyType"] == "resource"
    many = pages(iam, "simulate_custom_policy", "EvaluationResults", PolicyInputList=[policy("Allow", "iot:*", "*")],
                 ActionNames=[f"iot:A{n}" for n in range(5)])
    assert [r["EvalActionName"] for r in many] == [f"iot:A{n}" for n in range(5)]
    for wrong in ({"PolicyInputList": ["junk"]}, {"ActionNames": ["nocolon"]},
                  {"ContextEntries": [entry("aws:SourceIp", "ip", "nonsense")]},
                  {"ContextEntries": [entry("s3:max-keys", "numeric", "1", "2")]},
                  {"ResourcePolicy": resource}, {"CallerArn": "arn:aws:iam::999999999999:user/x"}):
        refused("InvalidInput", 400, iam.simulate_custom_policy,
                **{"PolicyInputList": [conditional], "ActionNames": ["s3:GetObject"], **wrong})


def test_context_keys(iam, ann):
    document = policy("Allow", "s3:*", "arn:aws:s3:::b/${aws:username}", Condition={
        "StringLike": {"s3:prefix": ["${aws:PrincipalTag/team}/*"]}, "Bool": {"aws:SecureTransport": "true"}})
    keys = iam.get_context_keys_for_custom_policy(PolicyInputList=[document])["ContextKeyNames"]
    assert keys == ["aws:PrincipalTag/team", "aws:SecureTransport", "aws:username", "s3:prefix"]
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=document)
    assert iam.get_context_keys_for_principal_policy(PolicySourceArn=ann.arn)["ContextKeyNames"] == keys
