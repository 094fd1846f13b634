// SPDX-License-Identifier: Apache-2.0
// Certificates and requests that nobody honest sends: whatever comes is refused or understood, at a bounded cost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/text.h"
#include "base/x509.h"

namespace muster::x509 {
namespace {

using testing::StartsWith;

constexpr std::int64_t kNow = 1'795'406'706'000;
const Validity kValidity{kNow - 1000, kNow + 86'400'000};

const CertificateAuthority& authority() {
  static const CertificateAuthority made = *CertificateAuthority::create("CA", kValidity);
  return made;
}
const Certificate& device() {
  static const Certificate made = authority().issue_device(KeyKind::kP256, kValidity)->certificate;
  return made;
}

struct Strange {
  EVP_PKEY* key = nullptr;
  const EVP_MD* digest = EVP_sha256();
  long serial = 1;
  bool empty_subject = false;
  std::string common_name = "x";
};

// A self-signed certificate with whatever is asked for; its DER.
std::string strange(const Strange& wanted) {
  X509* made = X509_new();
  X509_set_version(made, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made), wanted.serial);
  ASN1_TIME_set(X509_getm_notBefore(made), kNow / 1000);
  ASN1_TIME_set(X509_getm_notAfter(made), kNow / 1000 + 86'400);
  if (!wanted.empty_subject)
    X509_NAME_add_entry_by_NID(X509_get_subject_name(made), NID_commonName, MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wanted.common_name.data()),
                               static_cast<int>(wanted.common_name.size()), -1, 0);
  X509_set_issuer_name(made, X509_get_subject_name(made));
  X509_set_pubkey(made, wanted.key);
  EVP_PKEY* signer = EVP_EC_gen("P-256");
  const bool own = EVP_PKEY_get_base_id(wanted.key) == EVP_PKEY_ED25519;
  X509_sign(made, own ? wanted.key : signer, own ? nullptr : wanted.digest);
  unsigned char* der = nullptr;
  const int length = i2d_X509(made, &der);
  std::string text(reinterpret_cast<char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  X509_free(made);
  EVP_PKEY_free(signer);
  EVP_PKEY_free(wanted.key);
  return text;
}

EVP_PKEY* rsa_with_exponent(unsigned long exponent) {
  EVP_PKEY* honest = EVP_RSA_gen(2048);
  BIGNUM* modulus = nullptr;
  EVP_PKEY_get_bn_param(honest, OSSL_PKEY_PARAM_RSA_N, &modulus);
  BIGNUM* e = BN_new();
  BN_set_word(e, exponent);
  OSSL_PARAM_BLD* build = OSSL_PARAM_BLD_new();
  OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus);
  OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e);
  OSSL_PARAM* parameters = OSSL_PARAM_BLD_to_param(build);
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr);
  EVP_PKEY* made = nullptr;
  EVP_PKEY_fromdata_init(context);
  EVP_PKEY_fromdata(context, &made, EVP_PKEY_PUBLIC_KEY, parameters);
  EVP_PKEY_CTX_free(context);
  OSSL_PARAM_free(parameters);
  OSSL_PARAM_BLD_free(build);
  BN_free(e);
  BN_free(modulus);
  EVP_PKEY_free(honest);
  return made;
}

TEST(HostileDer, EveryTruncationIsRefused) {
  const std::string& der = device().der;
  for (std::size_t length = 0; length < der.size(); ++length)
    EXPECT_FALSE(parse_der(std::string_view(der).substr(0, length))) << length;
  EXPECT_TRUE(parse_der(der));
  EXPECT_FALSE(parse_der(der + '\0')) << "something follows";
  EXPECT_FALSE(parse_der(der + der));
}

TEST(HostileDer, FlippedBitsNeverPassForTheSameCertificate) {
  const auto ca = parse_pem(authority().certificate_pem());
  for (std::size_t i = 0; i < device().der.size(); ++i)
    for (unsigned bit = 0; bit < 8; bit += 3) {
      std::string der = device().der;
      der[i] = static_cast<char>(der[i] ^ (1u << bit));
      const auto parsed = parse_der(der);
      if (!parsed) continue;
      EXPECT_NE(parsed->id, device().id);
      EXPECT_EQ(parsed->der, der);
      EXPECT_FALSE(is_signed_by(*parsed, *ca)) << i << "/" << bit;
    }
}

TEST(HostileDer, HugeLengthsAndDeepNestsCostNothing) {
  EXPECT_EQ(parse_der(std::string(1 << 20, '0')).error().kind, ErrorKind::kTooLarge);
  EXPECT_FALSE(parse_der(std::string("\x30\x84\xff\xff\xff\xff", 6)));
  EXPECT_FALSE(parse_der(std::string("\x30\x80", 2) + std::string(1000, '\0')));
  std::string nested;
  for (int i = 0; i < 8000; ++i) nested += std::string("\x30\x80", 2);
  EXPECT_FALSE(parse_der(nested)) << "constructed of indefinite length, eight thousand deep";
}

TEST(HostileDer, BerThatIsNotDerIsRefused) {
  // The outer length in three octets instead of two: the same certificate by another encoding.
  const std::string& der = device().der;
  ASSERT_EQ(static_cast<unsigned char>(der[1]), 0x82);
  const std::string ber = std::string("\x30\x83\x00", 3) + der.substr(2);
  EXPECT_FALSE(parse_der(ber));
}

TEST(HostileCertificates, WeakAndUnknownKeysAreDescribedAsSuch) {
  auto rsa1 = parse_der(strange({.key = rsa_with_exponent(1)}));
  ASSERT_TRUE(rsa1) << rsa1.error().message;
  EXPECT_FALSE(rsa1->key_is_sound);
  EXPECT_FALSE(parse_der(strange({.key = rsa_with_exponent(4)}))->key_is_sound);
  EXPECT_TRUE(parse_der(strange({.key = rsa_with_exponent(65537)}))->key_is_sound);
  EXPECT_EQ(parse_der(strange({.key = EVP_RSA_gen(1024)}))->key_bits, 1024);
  EXPECT_EQ(parse_der(strange({.key = EVP_EC_gen("secp256k1")}))->key_curve, "secp256k1");
  EXPECT_EQ(parse_der(strange({.key = EVP_EC_gen("P-521")}))->key_curve, "P-521");
  EXPECT_EQ(parse_der(strange({.key = EVP_EC_gen("P-256"), .digest = EVP_sha1()}))->signature_digest, "SHA1");
  auto ed = parse_der(strange({.key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")}));
  ASSERT_TRUE(ed);
  EXPECT_EQ(ed->key_curve, "");
  EXPECT_NE(ed->key_algorithm, "RSA");
}

TEST(HostileCertificates, NegativeSerialsAreSeen) {
  auto parsed = parse_der(strange({.key = EVP_EC_gen("P-256"), .serial = -31}));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->serial, "-1f");
}

TEST(HostileCertificates, AnEmptySubjectIsEmpty) {
  auto parsed = parse_der(strange({.key = EVP_EC_gen("P-256"), .empty_subject = true}));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->subject, "");
  EXPECT_EQ(parsed->common_name, "");
  EXPECT_TRUE(alternative_names(parsed->pem)->empty());
}

TEST(HostileCertificates, NamesAreEscaped) {
  auto parsed = parse_der(strange({.key = EVP_EC_gen("P-256"), .common_name = std::string("a,O=evil+C=x\0\n\"", 16)}));
  ASSERT_TRUE(parsed);
  EXPECT_THAT(parsed->subject, StartsWith("CN=a\\,O=evil\\+C=x")) << "one entry, not three";
}

TEST(HostilePem, BlocksThatLieAreRefused) {
  for (const std::string& text :
       {std::string("-----BEGIN CERTIFICATE-----"), std::string("-----BEGIN CERTIFICATE-----\n-----END X-----\n"),
        std::string("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"),
        device().pem.substr(0, device().pem.size() / 2), "-----BEGIN CERTIFICATE-----\n" + device().pem,
        std::string("-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n"
                    "-----END CERTIFICATE-----\n"),
        std::string(1000, '\0')})
    EXPECT_FALSE(parse_pem(text)) << text.substr(0, 60);
  EXPECT_EQ(parse_pem(std::string(65 * 1024, 'A')).error().kind, ErrorKind::kTooLarge);
}

std::string request_for(EVP_PKEY* key, int subject_entries = 1) {
  X509_REQ* request = X509_REQ_new();
  X509_REQ_set_pubkey(request, key);
  for (int i = 0; i < subject_entries; ++i)
    X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(request), NID_organizationalUnitName, MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>("unit"), 4, -1, 0);
  X509_REQ_sign(request, key, EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256());
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509_REQ(bio, request);
  char* bytes = nullptr;
  const long length = BIO_get_mem_data(bio, &bytes);
  std::string pem(bytes, static_cast<std::size_t>(length));
  BIO_free(bio);
  X509_REQ_free(request);
  EVP_PKEY_free(key);
  return pem;
}

TEST(HostileRequests, KeysThatAreNotAcceptedAreRefusedByName) {
  for (EVP_PKEY* key :
       {EVP_RSA_gen(1024), EVP_EC_gen("secp256k1"), EVP_EC_gen("P-224"), EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"),
        EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519")}) {
    const auto made = authority().sign_request(request_for(key), kValidity);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().kind, ErrorKind::kInvalid) << made.error().message;
  }
}

TEST(HostileRequests, ManyNamesAreTakenAndTooManyAreNot) {
  EXPECT_TRUE(authority().sign_request(request_for(EVP_EC_gen("P-256"), 0), kValidity)) << "an empty subject";
  EXPECT_TRUE(authority().sign_request(request_for(EVP_EC_gen("P-256"), 100), kValidity));
  EXPECT_EQ(authority().sign_request(request_for(EVP_EC_gen("P-256"), 2000), kValidity).error().kind,
            ErrorKind::kTooLarge);
}

TEST(HostileRequests, EveryTruncationIsRefused) {
  const std::string pem = request_for(EVP_EC_gen("P-256"));
  for (std::size_t length = 0; length + 2 < pem.size(); length += 7)
    EXPECT_FALSE(authority().sign_request(std::string_view(pem).substr(0, length), kValidity)) << length;
}

}  // namespace
}  // namespace muster::x509
