// SPDX-License-Identifier: Apache-2.0
#include "base/x509.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/crypto.h"
#include "base/text.h"

namespace muster::x509 {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr std::int64_t kNow = 1'795'406'706'000;  // 2026-11-23T04:05:06Z
constexpr std::int64_t kYear = 365LL * 86'400'000;
const Validity kValidity{kNow - 1000, kNow + kYear};

const CertificateAuthority& authority() {
  static const CertificateAuthority made =
      *CertificateAuthority::create("Muster device CA", {kNow - 1000, kNow + 30 * kYear});
  return made;
}

std::string make_csr(const char* curve_or_null, int rsa_bits, bool tamper = false) {
  EVP_PKEY* key = curve_or_null != nullptr ? EVP_EC_gen(curve_or_null) : EVP_RSA_gen(static_cast<unsigned>(rsa_bits));
  X509_REQ* request = X509_REQ_new();
  X509_REQ_set_pubkey(request, key);
  X509_NAME* name = X509_REQ_get_subject_name(request);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>("d\xC3\xA9vice"), -1, -1,
                             0);
  X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>("A, B"), -1, -1, 0);
  X509_REQ_sign(request, key, EVP_sha256());
  if (tamper) {
    EVP_PKEY* other = EVP_EC_gen("P-256");
    X509_REQ_set_pubkey(request, other);
    EVP_PKEY_free(other);
  }
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509_REQ(bio, request);
  char* bytes = nullptr;
  std::string pem(bytes, 0);
  long length = BIO_get_mem_data(bio, &bytes);
  pem.assign(bytes, static_cast<std::size_t>(length));
  BIO_free(bio);
  X509_REQ_free(request);
  EVP_PKEY_free(key);
  return pem;
}

TEST(Authority, IsSelfSignedAndLoadsAgain) {
  auto ca = parse_pem(authority().certificate_pem());
  ASSERT_TRUE(ca);
  EXPECT_TRUE(ca->is_ca);
  EXPECT_EQ(ca->subject, "CN=Muster device CA");
  EXPECT_EQ(ca->issuer, ca->subject);
  EXPECT_EQ(ca->key_algorithm, "EC");
  EXPECT_EQ(ca->id, sha256_hex(ca->der));
  EXPECT_EQ(ca->not_before_ms, kNow - 1000);
  EXPECT_TRUE(verify_issued_by(*ca, authority().certificate_pem(), kNow));
  EXPECT_TRUE(CertificateAuthority::load(authority().certificate_pem(), authority().key_pem()));
  auto other = generate_key(KeyKind::kP256);
  EXPECT_FALSE(CertificateAuthority::load(authority().certificate_pem(), other->private_pem));
  EXPECT_FALSE(CertificateAuthority::load("x", "y"));
}

TEST(Authority, IssuesDeviceCertificates) {
  auto issued = authority().issue_device(KeyKind::kRsa2048, {kNow, 2'524'607'999'000});
  ASSERT_TRUE(issued) << issued.error().message;
  const Certificate& certificate = issued->certificate;
  EXPECT_EQ(certificate.common_name, "AWS IoT Certificate");
  EXPECT_EQ(certificate.issuer, "CN=Muster device CA");
  EXPECT_EQ(certificate.key_algorithm, "RSA");
  EXPECT_EQ(certificate.key_bits, 2048);
  EXPECT_FALSE(certificate.is_ca);
  EXPECT_EQ(to_iso8601(certificate.not_after_ms, false), "2049-12-31T23:59:59Z");
  EXPECT_THAT(issued->key.private_pem, StartsWith("-----BEGIN RSA PRIVATE KEY-----\n"));
  EXPECT_THAT(issued->key.public_pem, StartsWith("-----BEGIN PUBLIC KEY-----\n"));
  EXPECT_TRUE(key_matches(certificate.pem, issued->key.private_pem));
  EXPECT_TRUE(verify_issued_by(certificate, authority().certificate_pem(), kNow));

  auto ec = authority().issue_device(KeyKind::kP256, kValidity);
  ASSERT_TRUE(ec);
  EXPECT_THAT(ec->key.private_pem, StartsWith("-----BEGIN EC PRIVATE KEY-----\n"));
  EXPECT_NE(ec->certificate.serial, certificate.serial);
  EXPECT_FALSE(key_matches(ec->certificate.pem, issued->key.private_pem));
}

TEST(Authority, IssuesServerCertificatesForNamesAndAddresses) {
  auto issued = authority().issue_server({"muster.example", "127.0.0.1", "::1", "*.s3.muster.example"}, kValidity);
  ASSERT_TRUE(issued) << issued.error().message;
  BIO* bio = BIO_new_mem_buf(issued->certificate.pem.data(), static_cast<int>(issued->certificate.pem.size()));
  X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  EXPECT_EQ(X509_check_host(certificate, "muster.example", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(certificate, "b.s3.muster.example", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(certificate, "other.example", 0, 0, nullptr), 0);
  EXPECT_EQ(X509_check_ip_asc(certificate, "127.0.0.1", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(certificate, "::1", 0), 1);
  X509_free(certificate);
  BIO_free(bio);
  EXPECT_FALSE(authority().issue_server({}, kValidity));
  EXPECT_FALSE(authority().issue_server({"a,DNS:evil.example"}, kValidity));
  EXPECT_FALSE(authority().issue_server({""}, kValidity));
}

TEST(Parsing, ReadsAlternativeNames) {
  auto issued = authority().issue_server({"muster.example", "127.0.0.1", "::1"}, kValidity);
  ASSERT_TRUE(issued) << issued.error().message;
  auto names = alternative_names(issued->certificate.pem);
  ASSERT_TRUE(names) << names.error().message;
  std::vector<std::pair<AlternativeName::Kind, std::string>> got;
  for (const AlternativeName& name : *names) got.emplace_back(name.kind, name.value);
  using enum AlternativeName::Kind;
  EXPECT_EQ(got, (std::vector<std::pair<AlternativeName::Kind, std::string>>{
                     {kDns, "muster.example"}, {kIpAddress, "127.0.0.1"}, {kIpAddress, "::1"}}));
  EXPECT_TRUE(alternative_names(authority().certificate_pem())->empty());
  EXPECT_FALSE(alternative_names("no certificate"));
}

TEST(Authority, SignsRequests) {
  auto issued = authority().sign_request(make_csr("P-256", 0), kValidity);
  ASSERT_TRUE(issued) << issued.error().message;
  EXPECT_EQ(issued->certificate.common_name, "d\xC3\xA9vice");
  EXPECT_THAT(issued->certificate.subject, HasSubstr("O=A\\, B"));
  EXPECT_TRUE(issued->key.private_pem.empty());
  EXPECT_TRUE(verify_issued_by(issued->certificate, authority().certificate_pem(), kNow));
  EXPECT_TRUE(authority().sign_request(make_csr(nullptr, 2048), kValidity));
}

TEST(Authority, RefusesBadRequests) {
  EXPECT_FALSE(authority().sign_request(make_csr("P-256", 0, true), kValidity));  // signature of another key
  EXPECT_FALSE(authority().sign_request(make_csr(nullptr, 1024), kValidity));
  EXPECT_FALSE(authority().sign_request(make_csr("P-521", 0), kValidity));
  for (const char* bad : {"", "x", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"}) {
    EXPECT_EQ(authority().sign_request(bad, kValidity).error().kind, ErrorKind::kInvalid);
  }
  EXPECT_EQ(authority().sign_request(std::string(20'000, 'x'), kValidity).error().kind, ErrorKind::kTooLarge);
  EXPECT_FALSE(authority().issue_device(KeyKind::kP256, {kNow, kNow}));
}

TEST(Parsing, TakesExactlyOneCertificate) {
  auto issued = authority().issue_device(KeyKind::kP256, kValidity);
  const Certificate& certificate = issued->certificate;
  auto again = parse_pem("Bag Attributes: x\n" + certificate.pem + "\n\n");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->id, certificate.id);
  EXPECT_EQ(again->pem, certificate.pem);
  EXPECT_EQ(parse_der(certificate.der)->id, certificate.id);
  EXPECT_FALSE(parse_pem(certificate.pem + certificate.pem));
  EXPECT_FALSE(parse_der(certificate.der + "x"));
  EXPECT_FALSE(parse_der(certificate.der.substr(1)));
  EXPECT_FALSE(parse_pem(""));
  EXPECT_FALSE(parse_pem("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"));
  EXPECT_EQ(parse_pem(std::string(70'000, '-')).error().kind, ErrorKind::kTooLarge);
  // An encrypted block must not ask the terminal for a password.
  EXPECT_FALSE(
      parse_pem("-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,"
                "00112233445566778899AABBCCDDEEFF\n\nAAAAAAAAAAAAAAAAAAAAAA==\n-----END CERTIFICATE-----\n"));
}

TEST(Parsing, SurvivesEveryTruncationAndFlip) {
  auto issued = authority().issue_device(KeyKind::kP256, kValidity);
  const std::string& der = issued->certificate.der;
  for (std::size_t i = 0; i < der.size(); ++i) {
    EXPECT_FALSE(parse_der(der.substr(0, i)));
    std::string flipped = der;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x55);
    auto parsed = parse_der(flipped);
    if (parsed) {
      EXPECT_FALSE(verify_issued_by(*parsed, authority().certificate_pem(), kNow)) << i;
    }
  }
}

TEST(Verification, ChecksIssuerAndTime) {
  auto issued = authority().issue_device(KeyKind::kP256, kValidity);
  auto stranger = CertificateAuthority::create("Muster device CA", {kNow - 1000, kNow + 30 * kYear});
  EXPECT_FALSE(verify_issued_by(issued->certificate, stranger->certificate_pem(), kNow));
  auto late = verify_issued_by(issued->certificate, authority().certificate_pem(), kNow + 2 * kYear);
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().message, HasSubstr("expired"));
  EXPECT_FALSE(verify_issued_by(issued->certificate, authority().certificate_pem(), kNow - 5000));
}

}  // namespace
}  // namespace muster::x509
