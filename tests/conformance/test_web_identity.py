# SPDX-License-Identifier: Apache-2.0
"""OpenID Connect providers through boto3, and AssumeRoleWithWebIdentity against a real issuer over TLS."""
import hashlib
import hmac
import json
import time
import urllib.parse
import urllib.request

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from called_servers import Issuer, SigningKey, authority, url64
from refusals import refused
from tls_device import document, statement

THUMBPRINT = "0123456789abcdef0123456789abcdef01234567"


class Site:
    """A server, an issuer that it trusts over TLS, and a role for the issuer's users."""

    def __init__(self, start, folder, *flags):
        ca, certificate = authority(folder)
        self.issuer = Issuer(certificate)
        self.key = SigningKey(folder, "issuer")
        self.issuer.keys = [self.key.jwk("k1")]
        flags = [flag.format(issuer=self.issuer.url) for flag in flags]
        self.server = start("--outgoing.ca_file", str(ca), "--http.allowed_origins", "https://app.example", *flags)
        self.iam = self.server.client("iam")
        # As browsers call it: without credentials.
        self.sts = boto3.client("sts", endpoint_url=self.server.endpoint, region_name=self.server.region,
                                config=Config(signature_version=UNSIGNED, retries={"max_attempts": 1}))
        self.provider = self.iam.create_open_id_connect_provider(
            Url=self.issuer.url, ClientIDList=["app"], ThumbprintList=[THUMBPRINT])["OpenIDConnectProviderArn"]

    def role(self, *statements, name="web", condition=None, **more):
        trust = {"Effect": "Allow", "Principal": {"Federated": self.provider},
                 "Action": "sts:AssumeRoleWithWebIdentity",
                 "Condition": condition or {"StringEquals": {f"{self.issuer.host}:aud": "app"}}}
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust), **more)["Role"]
        if statements:
            self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))
        return made["Arn"]

    def claims(self, **more):
        now = int(time.time())
        return {"iss": self.issuer.url, "sub": "user-1", "aud": "app", "iat": now, "exp": now + 600, **more}

    def token(self, kid="k1", key=None, algorithm="RS256", **claims):
        return (key or self.key).jwt(self.claims(**claims), kid, algorithm)

    def assume(self, arn, token, **more):
        return self.sts.assume_role_with_web_identity(RoleArn=arn, RoleSessionName="session", WebIdentityToken=token,
                                                      **more)

    def client(self, credentials, service):
        return self.server.client(service, access_key=credentials["AccessKeyId"],
                                  secret_key=credentials["SecretAccessKey"], session_token=credentials["SessionToken"])


@pytest.fixture
def site(start, tmp_path):
    site = Site(start, tmp_path)
    yield site
    site.issuer.close()


def invalid(site, arn, token, code="InvalidIdentityToken", status=400):
    return refused(code, status, site.assume, arn=arn, token=token)["Error"]["Message"]


def test_providers_round_trip(iam, unique):
    url = f"https://{unique}.example/realms/a"
    made = iam.create_open_id_connect_provider(Url=url, ClientIDList=["a"], ThumbprintList=[THUMBPRINT],
                                               Tags=[{"Key": "k", "Value": "v"}])
    arn = made["OpenIDConnectProviderArn"]
    assert arn.endswith(f":oidc-provider/{unique}.example/realms/a") and made["Tags"] == [{"Key": "k", "Value": "v"}]
    refused("EntityAlreadyExists", 409, iam.create_open_id_connect_provider, Url=url, ThumbprintList=[THUMBPRINT])
    assert {"Arn": arn} in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="b")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="a")
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=["f" * 40])
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert found["Url"] == f"{unique}.example/realms/a" and found["ClientIDList"] == ["b"]
    assert found["ThumbprintList"] == ["f" * 40] and found["CreateDate"]
    iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=arn, Tags=[{"Key": "l", "Value": "w"}])
    iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=arn, TagKeys=["k"])
    assert iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=arn)["Tags"] == [{"Key": "l", "Value": "w"}]
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    refused("NoSuchEntity", 404, iam.get_open_id_connect_provider, OpenIDConnectProviderArn=arn)
    for wrong in ("http://plain.example", "https://q.example?x=y", "nothing"):
        refused("InvalidInput", 400, iam.create_open_id_connect_provider, Url=wrong, ThumbprintList=[THUMBPRINT])


def test_providers_need_their_own_rights(iam, ann, unique):
    arn = iam.create_open_id_connect_provider(Url=f"https://{unique}.example",
                                              ThumbprintList=[THUMBPRINT])["OpenIDConnectProviderArn"]
    mine = arn.replace(unique, f"mine{unique}")
    iam.put_user_policy(UserName=ann.name, PolicyName="p", PolicyDocument=document(
        statement("Allow", "iam:*OpenIDConnectProvider", mine)))
    refused("AccessDenied", 403, ann("iam").get_open_id_connect_provider, OpenIDConnectProviderArn=arn)
    refused("AccessDenied", 403, ann("iam").create_open_id_connect_provider, Url=f"https://other{unique}.example",
            ThumbprintList=[THUMBPRINT])
    ann("iam").create_open_id_connect_provider(Url=f"https://mine{unique}.example", ThumbprintList=[THUMBPRINT])


def test_a_token_becomes_credentials_that_work(site):
    arn = site.role(statement("Allow", "iot:DescribeThing",
                              f"arn:aws:iot:*:*:thing/${{{site.issuer.host}:sub}}"))
    site.server.client("iot").create_thing(thingName="user-1")
    for algorithm in ("RS256", "PS256"):
        got = site.assume(arn, site.token(algorithm=algorithm), DurationSeconds=900)
        assert got["SubjectFromWebIdentityToken"] == "user-1" and got["Audience"] == "app"
        assert got["Provider"] == site.issuer.url
        assert got["AssumedRoleUser"]["Arn"].endswith(":assumed-role/web/session")
        credentials = got["Credentials"]
        assert 890 < credentials["Expiration"].timestamp() - time.time() <= 900
        me = site.client(credentials, "sts").get_caller_identity()
        assert me["Arn"] == got["AssumedRoleUser"]["Arn"]
        assert site.client(credentials, "iot").describe_thing(thingName="user-1")
        refused("AccessDeniedException", 403, site.client(credentials, "iot").describe_thing, thingName="user-2")
    bounded = site.assume(arn, site.token(), Policy=document(statement("Allow", "iot:ListThings", "*")))
    assert bounded["PackedPolicySize"] >= 0
    refused("AccessDeniedException", 403, site.client(bounded["Credentials"], "iot").describe_thing, thingName="user-1")
    read_only = [{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}]
    bounded = site.assume(arn, site.token(), PolicyArns=read_only)
    refused("AccessDeniedException", 403, site.client(bounded["Credentials"], "iot").describe_thing, thingName="user-1")
    assert site.issuer.calls == {"/.well-known/openid-configuration": 1, "/keys": 1}, "keys are fetched once"


def test_browsers_may_call_from_allowed_origins(site):
    arn = site.role()
    body = urllib.parse.urlencode({"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": arn,
                                   "RoleSessionName": "s1", "WebIdentityToken": site.token()}).encode()
    for origin, allowed in (("https://app.example", "https://app.example"), ("https://evil.example", None)):
        request = urllib.request.Request(site.server.endpoint + "/", body, {"Origin": origin})
        with urllib.request.urlopen(request, timeout=10) as reply:
            assert b"<AccessKeyId>ASIA" in reply.read()
            assert reply.headers.get("Access-Control-Allow-Origin") == allowed


def test_trust_policies_decide_by_the_tokens_claims(site):
    host = site.issuer.host
    by_sub = site.role(name="sub", condition={"StringLike": {f"{host}:sub": "user-*"}})
    by_mfa = site.role(name="mfa", condition={"ForAnyValue:StringEquals": {f"{host}:amr": "mfa"}})
    site.assume(by_sub, site.token())
    denied = invalid(site, by_sub, site.token(sub="admin-1"), "AccessDenied", 403)
    assert denied == "Not authorized to perform sts:AssumeRoleWithWebIdentity"
    invalid(site, by_mfa, site.token(), "AccessDenied", 403)
    site.assume(by_mfa, site.token(amr=["pwd", "mfa"]))
    invalid(site, by_sub.replace("sub", "gone"), site.token(), "AccessDenied", 403)
    invalid(site, by_sub.replace(site.provider.split(":")[4], "999999999999"), site.token(), "AccessDenied", 403)
    # A role that trusts people, even everybody, trusts no identity provider by that.
    for number, principal in enumerate(("*", {"AWS": "*"}, {"Service": "iot.amazonaws.com"})):
        made = site.iam.create_role(RoleName=f"people{number}", AssumeRolePolicyDocument=document(
            {"Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"]}))
        invalid(site, made["Role"]["Arn"], site.token(), "AccessDenied", 403)
    too_long = refused("ValidationError", 400, site.assume, arn=by_sub, token=site.token(), DurationSeconds=7200)
    assert "MaxSessionDuration" in too_long["Error"]["Message"]


def test_trust_policies_see_the_request(site):
    here = site.role(name="here", condition={"IpAddress": {"aws:SourceIp": ["127.0.0.0/8", "::1"]},
                                             "StringLike": {"aws:UserAgent": "*oto*"}})
    elsewhere = site.role(name="elsewhere", condition={"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})
    site.assume(here, site.token())
    invalid(site, elsewhere, site.token(), "AccessDenied", 403)


def test_wrong_algorithms_and_signatures(site, tmp_path):
    arn, claims = site.role(), site.claims()
    head = url64(json.dumps({"alg": "none", "kid": "k1"}).encode()) + "." + url64(json.dumps(claims).encode())
    hs256 = url64(json.dumps({"alg": "HS256", "kid": "k1"}).encode()) + "." + url64(json.dumps(claims).encode())
    mac = hmac.new(site.key.public_pem.encode(), hs256.encode(), hashlib.sha256).digest()
    good = site.token()
    for name, token in {
            "none": head + ".", "none with a signature": head + ".AAAA", "public key as HMAC secret": f"{hs256}.{url64(mac)}",
            "HMAC under RS256": site.key.jwt(claims, "k1", signature=mac), "no signature": good.rsplit(".", 1)[0] + ".",
            "changed claims": good.replace(good.split(".")[1], url64(json.dumps({**claims, "sub": "x"}).encode())),
            "another's key": site.token(key=SigningKey(tmp_path, "evil")), "not a token": "x" * 20,
            "path in kid": site.token(kid="../../dev/null")}.items():
        with pytest.raises(ClientError) as error:
            site.assume(arn, token)
        assert error.value.response["Error"]["Code"] == "InvalidIdentityToken", name
    site.assume(arn, good)


def test_claims_that_do_not_fit(site):
    arn, now = site.role(), int(time.time())
    assert invalid(site, arn, site.token(aud="other")) == "Incorrect token audience"
    assert invalid(site, arn, site.token(azp="other")) == "Incorrect token audience"
    assert "No OpenIDConnect provider found" in invalid(site, arn, site.token(iss="https://evil.example"))
    invalid(site, arn, site.token(exp=now - 301), "ExpiredTokenException")
    site.assume(arn, site.token(exp=now - 200))  # clocks may differ by five minutes
    invalid(site, arn, site.token(nbf=now + 400))
    invalid(site, arn, site.token(iat=now + 400))
    invalid(site, arn, site.token(exp="tomorrow"))
    site.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=site.provider)
    assert "No OpenIDConnect provider found" in invalid(site, arn, site.token())


def test_keys_are_rotated_and_a_stranger_does_not_have_them_fetched_again_and_again(site, tmp_path):
    arn = site.role()
    site.assume(arn, site.token())
    newer = SigningKey(tmp_path, "newer")
    for _ in range(5):
        invalid(site, arn, site.token(kid="k2", key=newer))
    assert site.issuer.calls["/keys"] == 1, "at most once a minute"
    site.issuer.broken = True
    site.assume(arn, site.token())  # the keys that are known still serve


def test_an_issuer_that_cannot_be_reached(site):
    arn = site.role()
    site.issuer.broken = True
    invalid(site, arn, site.token(), "IDPCommunicationError")


def test_an_issuer_of_another_authority_is_not_trusted(start, tmp_path):
    site = Site(start, tmp_path, "--outgoing.ca_file", "")
    try:
        arn = site.role()
        invalid(site, arn, site.token(), "IDPCommunicationError")
        assert not site.issuer.calls
    finally:
        site.issuer.close()


def test_keys_from_a_file_for_sites_without_a_way_out(start, tmp_path):
    keys = tmp_path / "keys.json"
    site = Site(start, tmp_path, "--outgoing.ca_file", "", "--iam.oidc_keys", "{issuer}=" + str(keys))
    try:
        keys.write_text(json.dumps({"keys": [site.key.jwk("k1")]}))
        site.assume(site.role(), site.token())
        assert not site.issuer.calls
    finally:
        site.issuer.close()


def test_what_is_not_served_is_refused_by_name(site):
    arn = site.role()
    with pytest.raises(ClientError) as error:
        site.assume(arn, site.token(), ProviderId="www.amazon.com")
    assert "providerId" in error.value.response["Error"]["Message"]
    assert "https://aws.amazon.com/tags" in invalid(site, arn, site.token(**{"https://aws.amazon.com/tags": {}}))
    # Tokens never reach the log.
    assert site.token().rsplit(".", 1)[1] not in site.server.log()
