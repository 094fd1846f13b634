// SPDX-License-Identifier: Apache-2.0
// The issuing half of base/x509.h.
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>

#include <ctime>

#include "base/crypto.h"
#include "base/x509.h"
#include "base/x509_openssl.h"

namespace muster::x509 {

using namespace openssl;

namespace {

constexpr std::size_t kMaxRequest = 16 * 1024;

Result<KeyPtr> new_key(KeyKind kind) {
  KeyPtr key(kind == KeyKind::kRsa2048 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
  if (!key) return failed("key generation");
  return key;
}

Result<KeyPair> key_text(EVP_PKEY* key) {
  Bio priv = make_bio(), pub = make_bio();
  if (PEM_write_bio_PrivateKey_traditional(priv.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      PEM_write_bio_PUBKEY(pub.get(), key) != 1) {
    return failed("key to PEM");
  }
  return KeyPair{bio_text(priv.get()), bio_text(pub.get())};
}

struct Extension {
  int nid;
  std::string value;
};

struct Draft {
  X509_NAME* subject = nullptr;  // or common_name
  std::string common_name;
  EVP_PKEY* key = nullptr;  // the subject's, public part
  Validity validity;
  std::vector<Extension> extensions;
};

bool add_extension(X509* certificate, X509* issuer, const Extension& extension) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, &context, extension.nid, extension.value.c_str());
  bool added = made != nullptr && X509_add_ext(certificate, made, -1) == 1;
  X509_EXTENSION_free(made);
  return added;
}

bool set_validity(X509* certificate, const Validity& validity) {
  constexpr std::int64_t kLast = 253'402'300'799'000;  // 9999-12-31T23:59:59Z
  if (validity.not_before_ms < 0 || validity.not_after_ms <= validity.not_before_ms || validity.not_after_ms > kLast) {
    return false;
  }
  return ASN1_TIME_set(X509_getm_notBefore(certificate), static_cast<std::time_t>(validity.not_before_ms / 1000)) &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), static_cast<std::time_t>(validity.not_after_ms / 1000));
}

// RFC 5280 4.1.2.2: positive, at most 20 octets; random so that nobody can predict what gets signed.
bool set_random_serial(X509* certificate) {
  std::string bytes = random_bytes(16);
  bytes[0] = static_cast<char>((bytes[0] & 0x3F) | 0x40);
  BIGNUM* number =
      BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr);
  bool set = number != nullptr && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return set;
}

bool set_subject(X509* certificate, const Draft& draft) {
  if (draft.subject != nullptr) return X509_set_subject_name(certificate, draft.subject) == 1;
  const auto* text = reinterpret_cast<const unsigned char*>(draft.common_name.data());
  return X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName, MBSTRING_UTF8, text,
                                    static_cast<int>(draft.common_name.size()), -1, 0) == 1;
}

// issuer null: self-signed.
Result<Certificate> issue(const Draft& draft, X509* issuer, EVP_PKEY* issuer_key) {
  X509Ptr certificate(X509_new());
  if (!certificate) return failed("certificate");
  X509* made = certificate.get();
  if (!set_validity(made, draft.validity)) return invalid("The validity is not a range of dates");
  X509* signer = issuer != nullptr ? issuer : made;
  bool good = X509_set_version(made, 2) == 1 && set_random_serial(made) && set_subject(made, draft) &&
              X509_set_pubkey(made, draft.key) == 1 && X509_set_issuer_name(made, X509_get_subject_name(signer)) == 1;
  for (const Extension& extension : draft.extensions) good = good && add_extension(made, signer, extension);
  if (!good || X509_sign(made, issuer_key, EVP_sha256()) == 0) return failed("certificate");
  return describe(made);
}

Status check_request_key(EVP_PKEY* key) {
  int bits = EVP_PKEY_get_bits(key);
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
    if (bits >= 2048 && bits <= 4096 && is_sound(key)) return {};
    if (bits >= 2048 && bits <= 4096) return invalid("The CSR's RSA key has an exponent that protects nothing");
    return invalid("The CSR's RSA key must have 2048 to 4096 bits");
  }
  char group[32] = "";
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) == 1) {
    std::string_view name = group;
    if (name == "prime256v1" || name == "P-256" || name == "secp384r1" || name == "P-384") return {};
  }
  return invalid("The CSR's key must be RSA, NIST P-256 or NIST P-384");
}

const std::vector<Extension> kDeviceExtensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                                                  {NID_key_usage, "critical,digitalSignature"},
                                                  {NID_subject_key_identifier, "hash"},
                                                  {NID_authority_key_identifier, "keyid"},
                                                  {NID_ext_key_usage, "clientAuth"}};

// Characters that would start another entry in OpenSSL's extension syntax never reach it.
Result<std::string> alternative_names(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    unsigned char address[16];
    bool is_address = inet_pton(AF_INET, name.c_str(), address) == 1 || inet_pton(AF_INET6, name.c_str(), address) == 1;
    if (!is_address) {
      if (name.empty() || name.size() > 253) return invalid("'" + name + "' is not a host name");
      for (char c : name) {
        bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '*' || c == '_';
        if (!allowed) return invalid("'" + name + "' is not a host name");
      }
    }
    if (!out.empty()) out += ',';
    out += (is_address ? "IP:" : "DNS:") + name;
  }
  return out;
}

}  // namespace

Result<KeyPair> generate_key(KeyKind kind) {
  TRY(KeyPtr key, new_key(kind));
  return key_text(key.get());
}

Result<CertificateAuthority> CertificateAuthority::create(std::string_view common_name, const Validity& validity) {
  TRY(KeyPtr key, new_key(KeyKind::kP256));
  Draft draft;
  draft.common_name = common_name;
  draft.key = key.get();
  draft.validity = validity;
  draft.extensions = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                      {NID_key_usage, "critical,keyCertSign,cRLSign"},
                      {NID_subject_key_identifier, "hash"}};
  TRY(Certificate certificate, issue(draft, nullptr, key.get()));
  TRY(KeyPair pair, key_text(key.get()));
  CertificateAuthority authority;
  authority.certificate_pem_ = certificate.pem;
  authority.key_pem_ = pair.private_pem;
  return authority;
}

Result<CertificateAuthority> CertificateAuthority::load(std::string_view certificate_pem, std::string_view key_pem) {
  TRY(Certificate certificate, parse_pem(certificate_pem));
  if (!certificate.is_ca) return invalid("The certificate is not one of a certificate authority");
  if (!key_matches(certificate_pem, key_pem)) return invalid("The private key does not belong to the certificate");
  CertificateAuthority authority;
  authority.certificate_pem_ = certificate.pem;
  authority.key_pem_ = key_pem;
  return authority;
}

Result<Issued> CertificateAuthority::issue_server(const std::vector<std::string>& names,
                                                  const Validity& validity) const {
  if (names.empty() || names.size() > 100) return invalid("A server certificate needs 1 to 100 names");
  TRY(std::string alternatives, alternative_names(names));
  TRY(X509Ptr ca, read_pem(certificate_pem_));
  TRY(KeyPtr ca_key, read_private_key(key_pem_));
  TRY(KeyPtr key, new_key(KeyKind::kP256));
  Draft draft;
  draft.common_name = names[0].substr(0, 64);
  draft.key = key.get();
  draft.validity = validity;
  draft.extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                      {NID_key_usage, "critical,digitalSignature"},
                      {NID_ext_key_usage, "serverAuth"},
                      {NID_subject_alt_name, alternatives},
                      {NID_subject_key_identifier, "hash"},
                      {NID_authority_key_identifier, "keyid"}};
  Issued issued;
  TRY(issued.certificate, issue(draft, ca.get(), ca_key.get()));
  TRY(issued.key, key_text(key.get()));
  return issued;
}

Result<Issued> CertificateAuthority::issue_device(KeyKind kind, const Validity& validity) const {
  TRY(X509Ptr ca, read_pem(certificate_pem_));
  TRY(KeyPtr ca_key, read_private_key(key_pem_));
  TRY(KeyPtr key, new_key(kind));
  Draft draft;
  draft.common_name = "AWS IoT Certificate";
  draft.key = key.get();
  draft.validity = validity;
  draft.extensions = kDeviceExtensions;
  Issued issued;
  TRY(issued.certificate, issue(draft, ca.get(), ca_key.get()));
  TRY(issued.key, key_text(key.get()));
  return issued;
}

Result<Issued> CertificateAuthority::sign_request(std::string_view csr_pem, const Validity& validity) const {
  if (csr_pem.empty()) return invalid("The CSR is empty");
  if (csr_pem.size() > kMaxRequest) return make_error(ErrorKind::kTooLarge, "The CSR is too long");
  Bio bio = make_bio(csr_pem);
  RequestPtr request(PEM_read_bio_X509_REQ(bio.get(), nullptr, no_password, nullptr));
  EVP_PKEY* key = request ? X509_REQ_get0_pubkey(request.get()) : nullptr;
  ERR_clear_error();
  if (key == nullptr) return invalid("The CSR cannot be parsed");
  // Before its signature is checked: a huge key would make that expensive.
  TRY_VOID(check_request_key(key));
  int verified = X509_REQ_verify(request.get(), key);
  ERR_clear_error();
  if (verified != 1) return invalid("The CSR's signature is not valid");
  TRY(X509Ptr ca, read_pem(certificate_pem_));
  TRY(KeyPtr ca_key, read_private_key(key_pem_));
  Draft draft;
  draft.subject = X509_REQ_get_subject_name(request.get());
  draft.key = key;
  draft.validity = validity;
  draft.extensions = kDeviceExtensions;
  Issued issued;
  TRY(issued.certificate, issue(draft, ca.get(), ca_key.get()));
  return issued;
}

}  // namespace muster::x509
