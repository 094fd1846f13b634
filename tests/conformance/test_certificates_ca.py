# SPDX-License-Identifier: Apache-2.0
"""CA certificates, what is registered with them, and transfers, through boto3 and openssl."""
import hashlib
import re
import ssl

import pytest

from refusals import pages, refused
from tls_device import Identity, document, openssl, self_signed, statement

MISSING = ("ResourceNotFoundException", 404)
INVALID = ("InvalidRequestException", 400)
EXISTS = ("ResourceAlreadyExistsException", 409)
UNSOUND = ("CertificateValidationException", 400)
UNPROVEN = ("RegistrationCodeValidationException", 400)
STATE = ("CertificateStateException", 406)
NO_CERTIFICATE = "0" * 64


class Authority:
    """A CA of somebody's own."""

    def __init__(self, folder, name, *key):
        self.folder, self.name = folder, name
        self.key, self.file = folder / f"{name}-ca.key", folder / f"{name}-ca.pem"
        openssl("req", "-x509", "-newkey", *(key or ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")), "-nodes", "-days",
                "30", "-subj", f"/O=Acme/CN={name}", "-keyout", str(self.key), "-out", str(self.file))
        self.pem = self.file.read_text()
        self.made = 0

    def issue(self, common_name, *more, key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        """(PEM, key file) of a certificate that this CA signs."""
        self.made += 1
        stem = self.folder / f"{self.name}-{self.made}"
        csr, own, pem = stem.with_suffix(".csr"), stem.with_suffix(".key"), stem.with_suffix(".pem")
        openssl("req", "-new", "-newkey", *key, "-nodes", "-subj", f"/O=Acme/CN={common_name}", "-keyout", str(own),
                "-out", str(csr))
        openssl("x509", "-req", "-in", str(csr), "-CA", str(self.file), "-CAkey", str(self.key), "-CAcreateserial",
                "-days", "30", "-out", str(pem), *more)
        return pem.read_text(), own


@pytest.fixture
def authority(tmp_path, unique):
    """authority() makes another CA."""
    made = []

    def make(name=None, *key):
        made.append(Authority(tmp_path, name or f"ca{len(made)}-{unique}", *key))
        return made[-1]
    return make


def proof(iot, authority):
    return authority.issue(iot.get_registration_code()["registrationCode"])[0]


def register(iot, authority, **more):
    return iot.register_ca_certificate(caCertificate=authority.pem, verificationCertificate=proof(iot, authority),
                                       **{"setAsActive": True, **more})


# ---- registering a CA


def test_registration_code(iot):
    code = iot.get_registration_code()["registrationCode"]
    assert re.fullmatch(r"[0-9a-f]{64}", code) and iot.get_registration_code()["registrationCode"] == code
    iot.delete_registration_code()
    refused(*MISSING, iot.delete_registration_code)
    assert iot.get_registration_code()["registrationCode"] != code


def test_life_of_a_ca(iot, platform, authority, unique):
    ca = authority()
    made = register(iot, ca, tags=[{"Key": "team", "Value": "red"}])
    account = platform.environment["MUSTER_ACCOUNT_ID"]
    identifier, arn = made["certificateId"], made["certificateArn"]
    assert identifier == hashlib.sha256(ssl.PEM_cert_to_DER_cert(ca.pem)).hexdigest()
    assert arn == f"arn:aws:iot:{platform.region}:{account}:cacert/{identifier}"
    answer = iot.describe_ca_certificate(certificateId=identifier)
    shown = answer["certificateDescription"]
    assert shown["status"] == "ACTIVE" and shown["autoRegistrationStatus"] == "DISABLE"
    assert shown["certificateMode"] == "DEFAULT" and shown["ownedBy"] == account and shown["customerVersion"] == 1
    assert shown["validity"]["notBefore"] < shown["validity"]["notAfter"]
    assert ssl.PEM_cert_to_DER_cert(shown["certificatePem"]) == ssl.PEM_cert_to_DER_cert(ca.pem)
    assert "registrationConfig" not in answer
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "team", "Value": "red"}]
    error = refused(*EXISTS, iot.register_ca_certificate, caCertificate=ca.pem,
                    verificationCertificate=proof(iot, ca))
    assert error["resourceArn"] == arn
    for call in (iot.describe_ca_certificate, iot.delete_ca_certificate, iot.update_ca_certificate):
        refused(*MISSING, call, certificateId=identifier.upper())
    iot.update_ca_certificate(certificateId=identifier, newAutoRegistrationStatus="ENABLE")
    refused(*STATE, iot.delete_ca_certificate, certificateId=identifier)
    iot.update_ca_certificate(certificateId=identifier, newStatus="INACTIVE")
    shown = iot.describe_ca_certificate(certificateId=identifier)["certificateDescription"]
    assert shown["status"] == "INACTIVE" and shown["autoRegistrationStatus"] == "ENABLE"
    assert shown["customerVersion"] == 3
    iot.delete_ca_certificate(certificateId=identifier)
    for call in (iot.describe_ca_certificate, iot.delete_ca_certificate, iot.update_ca_certificate):
        refused(*MISSING, call, certificateId=identifier)
    refused(*MISSING, iot.list_tags_for_resource, resourceArn=arn)


def test_possession_must_be_proven(iot, authority, tmp_path, unique):
    ca, twin = authority("same-" + unique), authority("other-" + unique)
    code = iot.get_registration_code()["registrationCode"]

    def register_with(verification):
        return lambda: iot.register_ca_certificate(caCertificate=ca.pem, verificationCertificate=verification)
    refused(*INVALID, iot.register_ca_certificate, caCertificate=ca.pem)
    refused(*UNPROVEN, register_with(ca.issue("another-name")[0]))
    refused(*UNSOUND, register_with(twin.issue(code)[0]))
    refused(*UNSOUND, register_with(self_signed(tmp_path, "own", f"/CN={code}")[0]))
    refused(*UNSOUND, register_with("junk"))
    refused(*INVALID, iot.register_ca_certificate, caCertificate=ca.pem, certificateMode="SNI_ONLY",
            verificationCertificate=ca.issue(code)[0])
    iot.delete_registration_code()
    refused(*UNPROVEN, register_with(ca.issue(code)[0]))  # of a code that is gone
    leaf = ca.issue("leaf", "-extfile", "/dev/null")[0]
    refused(*UNSOUND, iot.register_ca_certificate, caCertificate=leaf, certificateMode="SNI_ONLY")


def test_ten_cas_of_one_subject(iot, authority, tmp_path, unique):
    for number in range(11):
        folder = tmp_path / str(number)
        folder.mkdir()
        pem = Authority(folder, f"many-{unique}").pem
        if number < 10:
            iot.register_ca_certificate(caCertificate=pem, certificateMode="SNI_ONLY")
        else:
            refused("LimitExceededException", 410, iot.register_ca_certificate, caCertificate=pem,
                    certificateMode="SNI_ONLY")


def test_listing_of_cas(iot, authority):
    made = [iot.register_ca_certificate(caCertificate=authority().pem, certificateMode="SNI_ONLY",
                                        setAsActive=number % 2 == 0)["certificateId"] for number in range(4)]
    for ascending in (True, False):
        listed = pages(iot, "list_ca_certificates", "certificates", ascendingOrder=ascending)
        found = [c["certificateId"] for c in listed]
        assert [i for i in found if i in made] == (made if ascending else made[::-1])
    states = {c["certificateId"]: c["status"] for c in listed}
    assert [states[i] for i in made] == ["ACTIVE", "INACTIVE"] * 2
    refused(*INVALID, iot.list_ca_certificates, marker="AAAA")


# ---- registering with a CA


def test_devices_of_a_ca(iot, platform, authority, tmp_path, unique):
    ca = authority()
    ca_id = register(iot, ca)["certificateId"]
    pem, key = ca.issue("device-1")
    made = iot.register_certificate(certificatePem=pem, caCertificatePem=ca.pem, setAsActive=True)
    shown = iot.describe_certificate(certificateId=made["certificateId"])["certificateDescription"]
    assert shown["status"] == "ACTIVE" and shown["caCertificateId"] == ca_id and shown["certificateMode"] == "DEFAULT"
    refused(*EXISTS, iot.register_certificate, certificatePem=pem)
    found = iot.register_certificate(certificatePem=ca.issue("device-2")[0], status="INACTIVE")["certificateId"]
    listed = pages(iot, "list_certificates_by_ca", "certificates", size=1, caCertificateId=ca_id, ascendingOrder=True)
    assert [(c["certificateId"], c["status"]) for c in listed] == [(made["certificateId"], "ACTIVE"),
                                                                    (found, "INACTIVE")]
    # A CA that is off, or gone, registers nobody; whom it registered works on.
    device = Identity(platform, tmp_path, f"of-ca-{unique}", statement("Allow", "iot:*", "*"), iot=iot)
    device.certificate.write_text(pem)
    device.key = key
    iot.attach_policy(policyName=device.policy, target=made["certificateArn"])
    iot.update_ca_certificate(certificateId=ca_id, newStatus="INACTIVE")
    refused(*STATE, iot.register_certificate, certificatePem=ca.issue("device-3")[0])
    assert device.https("POST", "/topics/a?qos=1", b"x")[0] == 200
    iot.delete_ca_certificate(certificateId=ca_id)
    refused(*UNSOUND, iot.register_certificate, certificatePem=ca.issue("device-4")[0])
    assert device.https("POST", "/topics/a?qos=1", b"x")[0] == 200


def test_a_ca_must_have_signed(iot, authority, tmp_path):
    ca, other = authority(), authority()
    refused(*UNSOUND, iot.register_certificate, certificatePem=ca.issue("a")[0])
    iot.register_ca_certificate(caCertificate=ca.pem, certificateMode="SNI_ONLY", setAsActive=True)
    refused(*UNSOUND, iot.register_certificate, certificatePem=ca.issue("a")[0], caCertificatePem=other.pem)
    refused(*UNSOUND, iot.register_certificate, certificatePem=other.issue("a")[0], caCertificatePem=ca.pem)
    forged = Authority(tmp_path, ca.name)  # the same name, another key
    refused(*UNSOUND, iot.register_certificate, certificatePem=forged.issue("a")[0])
    refused(*UNSOUND, iot.register_certificate, certificatePem=self_signed(tmp_path, "self")[0])


@pytest.mark.parametrize("key, more", [
    (("rsa:1024",), ()), (("ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"), ()),
    (("ec", "-pkeyopt", "ec_paramgen_curve:secp224r1"), ()), (("ed25519",), ()), (("rsa:2048",), ("-sha1",)),
    (("rsa:2048", "-pkeyopt", "rsa_keygen_pubexp:3"), None), (("ec", "-pkeyopt", "ec_paramgen_curve:P-521"), None)],
    ids=["rsa-1024", "secp256k1", "p-224", "ed25519", "sha-1", "exponent 3", "p-521"])
def test_keys_and_signatures(iot, tmp_path, unique, key, more):
    """What AWS does not take is refused; the last two are taken."""
    pem, file = tmp_path / "c.pem", tmp_path / "c.key"
    openssl("req", "-x509", "-newkey", *key, "-nodes", "-days", "30", "-subj", f"/CN={unique}", "-keyout", str(file),
            "-out", str(pem), *(more or ()))
    if more is None:
        assert iot.register_certificate_without_ca(certificatePem=pem.read_text())["certificateId"]
        return
    refused(*UNSOUND, iot.register_certificate_without_ca, certificatePem=pem.read_text())
    refused(*UNSOUND, iot.register_ca_certificate, caCertificate=pem.read_text(), certificateMode="SNI_ONLY")


def test_negative_serial_numbers(iot, tmp_path, unique):
    pem, _ = self_signed(tmp_path, unique, "", "-set_serial", "-5")
    refused(*UNSOUND, iot.register_certificate_without_ca, certificatePem=pem)


def test_empty_subject(iot, tmp_path):
    pem, key = tmp_path / "e.pem", tmp_path / "e.key"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/", "-keyout",
            str(key), "-out", str(pem))
    made = iot.register_certificate_without_ca(certificatePem=pem.read_text(), status="ACTIVE")
    assert iot.describe_certificate(certificateId=made["certificateId"])["certificateDescription"]["status"] == "ACTIVE"


# ---- transfers


def test_transfer(iot, platform, unique):
    account = platform.environment["MUSTER_ACCOUNT_ID"]
    made = iot.create_keys_and_certificate(setAsActive=True)
    identifier, arn = made["certificateId"], made["certificateArn"]

    def shown():
        return iot.describe_certificate(certificateId=identifier)["certificateDescription"]

    def start(**more):
        return iot.transfer_certificate(certificateId=identifier, targetAwsAccount=account, **more)
    refused(*STATE, start)
    iot.update_certificate(certificateId=identifier, newStatus="INACTIVE")
    error = refused(*INVALID, iot.transfer_certificate, certificateId=identifier, targetAwsAccount="999999999999")
    assert "999999999999" in error["Error"]["Message"]
    iot.create_policy(policyName=unique, policyDocument=document(statement("Allow", "iot:Connect", "*")))
    iot.attach_policy(policyName=unique, target=arn)
    refused("TransferConflictException", 409, start)
    iot.detach_policy(policyName=unique, target=arn)
    assert start(transferMessage="yours now")["transferredCertificateArn"] == arn
    assert shown()["status"] == "PENDING_TRANSFER" and shown()["transferData"]["transferMessage"] == "yours now"
    listed = pages(iot, "list_outgoing_certificates", "outgoingCertificates", ascendingOrder=True)
    one = next(c for c in listed if c["certificateId"] == identifier)
    assert one["transferredTo"] == account and one["transferMessage"] == "yours now"
    for call, more in ((iot.update_certificate, {"newStatus": "ACTIVE"}), (iot.delete_certificate, {})):
        refused(*STATE, call, certificateId=identifier, **more)
    iot.reject_certificate_transfer(certificateId=identifier, rejectReason="no")
    assert shown()["status"] == "INACTIVE" and shown()["transferData"]["rejectReason"] == "no"
    for call in (iot.accept_certificate_transfer, iot.reject_certificate_transfer, iot.cancel_certificate_transfer):
        refused("TransferAlreadyCompletedException", 410, call, certificateId=identifier)
        refused(*MISSING, call, certificateId=NO_CERTIFICATE)
    start()
    iot.cancel_certificate_transfer(certificateId=identifier)
    assert shown()["status"] == "INACTIVE"
    start()
    iot.accept_certificate_transfer(certificateId=identifier, setAsActive=True)
    assert shown()["status"] == "ACTIVE" and shown()["previousOwnedBy"] == account
    assert shown()["transferData"]["acceptDate"] >= shown()["transferData"]["transferDate"]
    listed = pages(iot, "list_outgoing_certificates", "outgoingCertificates")
    assert identifier not in [c["certificateId"] for c in listed]


def test_a_certificate_under_way_does_not_connect(iot, platform, identity):
    device = identity(active=False)
    iot.transfer_certificate(certificateId=device.id, targetAwsAccount=platform.environment["MUSTER_ACCOUNT_ID"])
    assert device.https("POST", "/topics/a?qos=1", b"x")[0] in (401, 403)
