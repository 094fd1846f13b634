# SPDX-License-Identifier: Apache-2.0
"""Every operation of every service that is served, from the support list: refused to who has no rights, and not refused
to who has exactly the right that the list names; and the list against AWS's Service Authorization Reference."""
import datetime
import json
import pathlib
import re
import sys

import boto3
import botocore.loaders
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from server_process import Server
from service_authorization import ACTIONS, NO_PERMISSION, types_of_actions

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools" / "modelgen"))
import modelgen  # noqa: E402

SUPPORT = modelgen.read_support(str(ROOT / "src" / "api" / "support"))
MODELS = {service: modelgen.read_model(service) for service in SUPPORT}
ROWS = [(service, name) for service, rows in sorted(SUPPORT.items())
        for name, row in sorted(rows.items()) if isinstance(row, dict)]
ASKED = [row for row in ROWS if row not in NO_PERMISSION]
IDS = ["%s-%s" % row for row in ASKED]


def row_of(service, name):
    return SUPPORT[service][name]


def action_of(service, name):
    prefix = SUPPORT[service].get("action_prefix", service)
    return row_of(service, name).get("action", f"{prefix}:{name}")


# ---- the list against the reference


@pytest.mark.parametrize("service, name", ROWS, ids=["%s-%s" % row for row in ROWS])
def test_actions_and_resource_types_are_those_of_aws(service, name):
    action = action_of(service, name)
    if (service, name) in NO_PERMISSION:
        assert action == "" or row_of(service, name).get("anonymous")
        return
    assert action, "an operation without an action is open to everybody: give it one, or a reason in NO_PERMISSION"
    prefix = SUPPORT[service].get("action_prefix", service)
    assert action == ACTIONS.get(name, f"{prefix}:{name}")
    reference = types_of_actions()
    assert action in reference, f"look {action} up in the Service Authorization Reference and add its line"
    required, optional = reference[action]
    templates = [t for t in row_of(service, name).get("resources", ["*"]) if t != "*"]
    whole = [t for t in templates if re.fullmatch(r"\{\w+\}", t)] if service != "s3" else []
    if service == "s3":
        named = {"object" if "/" in t else "bucket" for t in templates}
    else:
        named = {re.split(r"[/{]", t)[0] for t in templates if t not in whole}
    assert named <= required | optional, f"{action} is not asked on {named - required - optional}"
    if not required and not optional:
        assert not templates, f"{action} has no resource on AWS"
    if optional and not required:
        assert templates, f"{action} is asked on {optional} on AWS"
    missing = required - named
    assert not missing or whole, f"{action} is asked on {missing} on AWS"


# ---- the list against the server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of its own: calls that are allowed do what they say."""
    data = tmp_path_factory.mktemp("models")
    for service, model in MODELS.items():
        folder = data / service / model["metadata"]["apiVersion"]
        folder.mkdir(parents=True)
        (folder / "service-2.json").write_text(json.dumps(model))
    found = Server(flags=[])
    found.models = data
    yield found
    found.remove()


def client_of(server, service, key):
    session = botocore.session.get_session()
    loader = botocore.loaders.Loader(extra_search_paths=[str(server.models)])
    loader.search_paths.insert(0, str(server.models))
    session.register_component("data_loader", loader)
    return boto3.Session(botocore_session=session).client(
        service, endpoint_url=server.endpoint, region_name=server.region, aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        config=Config(parameter_validation=False, retries={"max_attempts": 0}, s3={"addressing_style": "path"}))


class Account:
    """Clients of root, of a user without any policy, and of one whose only policy is set test by test."""

    def __init__(self, server):
        self.server = server
        root = {"AccessKeyId": server.environment["AWS_ACCESS_KEY_ID"],
                "SecretAccessKey": server.environment["AWS_SECRET_ACCESS_KEY"]}
        self.iam = client_of(server, "iam", root)
        self.root_s3 = client_of(server, "s3", root)
        self.number = client_of(server, "sts", root).get_caller_identity()["Account"]
        self.keys, self.clients = {}, {}
        for user in ("nothing", "exactly"):
            self.iam.create_user(UserName=user)
            self.keys[user] = self.iam.create_access_key(UserName=user)["AccessKey"]

    def client(self, user, service):
        if (user, service) not in self.clients:
            self.clients[user, service] = client_of(self.server, service, self.keys[user])
        return self.clients[user, service]

    def prefix(self, service):
        if service == "s3":
            return "arn:aws:s3:::"
        if service in ("iam", "sts"):
            return f"arn:aws:{service}::{self.number}:"
        return f"arn:aws:iot:{self.server.region}:{self.number}:"


@pytest.fixture(scope="module")
def account(server):
    return Account(server)


ALLOW = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:Connect",
                                                            "Resource": "*"}]})
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
CANDIDATES = ["table", "a" * 64, "0" * 64, "v1", "1", "AKIAAAAAAAAAAAAAAAAA", "/", "https://example.com/table",
              "123456789012", "a" * 36, "00000000-0000-0000-0000-000000000000", "a" * 40, "OBJECT_REQUEST", "{}"]


class Inputs:
    """Minimal valid inputs, from the model alone; what a name means beyond its pattern is said in `by_name`."""

    def __init__(self, account, service, name):
        self.account, self.service, self.name = account, service, name
        self.shapes = MODELS[service]["shapes"]
        self.operation = MODELS[service]["operations"][name]
        iot = account.prefix("iot")
        role = f"arn:aws:iam::{account.number}:role/table"
        self.by_name = {
            "targets": [iot + "thing/table"], "target": iot + "cert/" + "a" * 64, "principal": iot + "cert/" + "a" * 64,
            "resourceArn": iot + "thinggroup/table", "roleArn": role, "provisioningRoleArn": role,
            "jobTemplateArn": iot + "jobtemplate/table", "jobArn": iot + "job/table", "thingArn": iot + "thing/table",
            "PolicyArn": f"arn:aws:iam::{account.number}:policy/table", "RoleArn": role,
            "PolicySourceArn": f"arn:aws:iam::{account.number}:user/nothing",
            "PermissionsBoundary": f"arn:aws:iam::{account.number}:policy/table",
            "OpenIDConnectProviderArn": f"arn:aws:iam::{account.number}:oidc-provider/table",
            "authorizerFunctionArn": f"arn:aws:lambda:{account.server.region}:{account.number}:function:table",
            "UserName": "table", "Bucket": "table-bucket", "Key": "table", "CopySource": "table-bucket/table",
            "policyDocument": ALLOW, "AssumeRolePolicyDocument": TRUST, "document": "{}",
            "PolicyDocument": TRUST if name == "UpdateAssumeRolePolicy" else ALLOW,
            "PolicyInputList": [ALLOW], "ActionNames": ["iot:Connect"], "Action": None, "Path": None}

    def minimal(self):
        shape = self.operation.get("input", {}).get("shape")
        if shape is None:
            return {}
        members = self.shapes[shape].get("members", {})
        wanted = set(self.shapes[shape].get("required", []))
        for template in row_of(self.service, self.name).get("resources", []):
            wanted |= set(re.findall(r"\{(\w+)\}", template))
        refused = {p.strip() for paths in row_of(self.service, self.name).get("refuse", {}) for p in paths.split(",")}
        values = {m: self.value(members[m]["shape"], m) for m in sorted(wanted - refused)}
        return {m: v for m, v in values.items() if v is not None}

    def value(self, shape_name, name):
        shape = self.shapes[shape_name]
        if name in self.by_name:
            given = self.by_name[name]
            if not (shape["type"] == "list" and isinstance(given, str)):
                return given
        kind = shape["type"]
        if kind == "structure":
            return {m: self.value(shape["members"][m]["shape"], m) for m in shape.get("required", [])}
        if kind == "list":
            return [self.value(shape["member"]["shape"], name)]
        if kind == "map":
            return {}
        if kind in ("integer", "long", "double", "float"):
            return max(1, int(shape.get("min", 1)))
        if kind == "boolean":
            return False
        if kind == "timestamp":
            return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
        if kind == "blob":
            return b"{}"
        return self.text(shape, name)

    def text(self, shape, name):
        if "enum" in shape:
            return shape["enum"][0]
        pattern = shape.get("pattern", "")
        for posix, plain in ((r"\p{Graph}", r"\x21-\x7e"), (r"[^\p{C}]", "."), (r"\p{Print}", r"\x20-\x7e")):
            pattern = pattern.replace(posix, plain)
        for text in CANDIDATES:
            fits = shape.get("min", 0) <= len(text) <= shape.get("max", 1 << 30)
            try:
                if fits and (not pattern or re.fullmatch(pattern, text)):
                    return text
            except re.error:
                if fits:
                    return text
        raise AssertionError(f"no candidate for {self.service} {self.name} {name}: {shape}")

    def resources(self, values):
        found = []
        for template in row_of(self.service, self.name).get("resources", ["*"]):
            members = re.findall(r"\{(\w+)\}", template)
            if template == "*":
                found.append("*")
            elif re.fullmatch(r"\{\w+\}", template) and self.service != "s3":
                given = values.get(members[0], [])
                found += [given] if isinstance(given, str) else given
            else:
                absent = [m for m in re.findall(r"\{(\w+)\?\}", template) if m not in values]
                if absent:
                    continue  # asked only where the call names it
                template = template.replace("?}", "}")
                members = re.findall(r"\{(\w+)\}", template)
                filled = [re.sub(r"\{/\w+\}", "", template)]  # a part that is there only where the call names it
                for member in members:
                    given = values.get(member, "/" if member == "Path" else [])
                    given = given if isinstance(given, list) else [given]
                    filled = [text.replace("{%s}" % member, item) for text in filled for item in given]
                found += [self.account.prefix(self.service) + text for text in filled]
        return found or ["*"]

    def named(self, key, values):
        """The ARNs that "pass_role" or "invokes" reach."""
        paths = row_of(self.service, self.name).get(key, [])
        found = []
        for path in [paths] if isinstance(paths, str) else paths:
            at = [values]
            for part in path.split("."):
                at = [item for one in at for item in (one if isinstance(one, list) else [one])]
                at = [one[part] for one in at if isinstance(one, dict) and part in one]
            found += at
        return found


# Actions that are asked besides, on the resources that the call names.
BESIDES = {("s3", "CopyObject"): [("s3:GetObject", "arn:aws:s3:::table-bucket/table")]}


DENIED = ("AccessDenied", "AccessDeniedException", "ForbiddenException", "403")


def outcome(client, name, values):
    method = getattr(client, botocore.xform_name(name))
    try:
        method(**values)
        return "", 200
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("service, name", ASKED, ids=IDS)
def test_nobody_without_rights_may_call(account, service, name):
    values = Inputs(account, service, name).minimal()
    code, status = outcome(account.client("nothing", service), name, values)
    # HEAD has no body that could carry the code.
    protocol = MODELS[service]["metadata"]["protocol"]
    expected = "403" if name.startswith("Head") else (
        "AccessDeniedException" if protocol in ("json", "rest-json") else "AccessDenied")
    assert status == (400 if protocol == "json" else 403) and code in (expected, "ForbiddenException"), (code, status, values)


@pytest.mark.parametrize("service, name", ASKED, ids=IDS)
def test_exactly_the_right_is_enough(account, service, name):
    inputs = Inputs(account, service, name)
    values = inputs.minimal()
    statements = [{"Effect": "Allow", "Action": action_of(service, name), "Resource": inputs.resources(values)}]
    statements += [{"Effect": "Allow", "Action": "iam:PassRole", "Resource": role}
                   for role in inputs.named("pass_role", values)]
    statements += [{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function}
                   for function in inputs.named("invokes", values)]
    statements += [{"Effect": "Allow", "Action": action, "Resource": resource}
                   for action, resource in BESIDES.get((service, name), [])]
    account.iam.put_user_policy(UserName="exactly", PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": statements}))
    if service == "s3" and name != "CreateBucket":  # who may not list is not told what does not exist
        outcome(account.root_s3, "CreateBucket", {"Bucket": "table-bucket"})
        outcome(account.root_s3, "PutObject", {"Bucket": "table-bucket", "Key": "table", "Body": b"x"})
    code, status = outcome(account.client("exactly", service), name, values)
    assert code not in DENIED, (code, status, values, statements)
    # The same right on something else is not.
    if statements[0]["Resource"] != ["*"]:
        statements[0]["Resource"] = ["arn:aws:iot:other:000000000000:thing/other"]
        account.iam.put_user_policy(UserName="exactly", PolicyName="p", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": statements}))
        code, status = outcome(account.client("exactly", service), name, values)
        assert code in DENIED, (code, status, values)
