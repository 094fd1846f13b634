// SPDX-License-Identifier: Apache-2.0
#include "base/x509.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <ctime>

#include "base/crypto.h"
#include "base/text.h"
#include "base/x509_openssl.h"

namespace muster::x509 {

using namespace openssl;

namespace {

constexpr std::size_t kMaxPem = 64 * 1024;
constexpr std::size_t kMaxDer = 16 * 1024;

std::string name_text(const X509_NAME* name) {
  Bio bio = make_bio();
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  return bio_text(bio.get());
}

std::string common_name(const X509_NAME* name) {
  int index = -1, last = -1;
  while ((index = X509_NAME_get_index_by_NID(name, NID_commonName, index)) >= 0) last = index;
  if (last < 0) return {};
  unsigned char* utf8 = nullptr;
  int length = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
  if (length < 0) return {};
  std::string text(reinterpret_cast<char*>(utf8), static_cast<std::size_t>(length));
  OPENSSL_free(utf8);
  return text;
}

Result<std::int64_t> time_ms(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return invalid("The certificate's validity cannot be read");
  return static_cast<std::int64_t>(timegm(&parts)) * 1000;
}

std::string serial_text(const ASN1_INTEGER* serial) {
  std::unique_ptr<BIGNUM, decltype(&BN_free)> number(ASN1_INTEGER_to_BN(serial, nullptr), BN_free);
  char* hex = number ? BN_bn2hex(number.get()) : nullptr;
  if (hex == nullptr) return {};
  std::string text = lower(hex);
  OPENSSL_free(hex);
  while (text.size() > 1 && text[0] == '0') text.erase(0, 1);
  return text;
}

// Empty for another kind of key.
std::string curve_of(EVP_PKEY* key) {
  char group[64] = "";
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC || EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) != 1)
    return {};
  const std::string_view name = group;
  if (name == "prime256v1") return "P-256";
  if (name == "secp384r1") return "P-384";
  if (name == "secp521r1") return "P-521";
  return group;
}

std::string signature_digest(X509* certificate) {
  int digest = NID_undef;
  if (X509_get_signature_info(certificate, &digest, nullptr, nullptr, nullptr) != 1) return {};
  const char* name = digest == NID_undef ? nullptr : OBJ_nid2sn(digest);
  return name == nullptr ? std::string() : name;
}

}  // namespace

namespace openssl {

Bio make_bio(std::string_view text) {
  // A read-only BIO over the caller's bytes when there is text, else one that grows.
  BIO* bio =
      text.data() != nullptr ? BIO_new_mem_buf(text.data(), static_cast<int>(text.size())) : BIO_new(BIO_s_mem());
  return Bio(bio);
}

std::string bio_text(BIO* bio) {
  char* bytes = nullptr;
  long length = BIO_get_mem_data(bio, &bytes);
  return length > 0 ? std::string(bytes, static_cast<std::size_t>(length)) : std::string();
}

// Without it OpenSSL would ask the terminal for the password of an encrypted block.
int no_password(char*, int, int, void*) {
  return -1;
}

Error failed(const char* what) {
  char buffer[256] = "";
  if (unsigned long code = ERR_get_error(); code != 0) ERR_error_string_n(code, buffer, sizeof buffer);
  ERR_clear_error();
  return internal(std::string(what) + ": " + buffer);
}

Result<X509Ptr> read_pem(std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  if (pem.empty()) return invalid("The certificate PEM is empty");
  if (pem.size() > kMaxPem) return make_error(ErrorKind::kTooLarge, "The certificate PEM is too long");
  std::size_t first = pem.find(kBegin);
  if (first == pem.npos) return invalid("The certificate is not in PEM format");
  if (pem.find(kBegin, first + 1) != pem.npos) return invalid("The PEM must hold exactly one certificate");
  Bio bio = make_bio(pem);
  X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  if (!certificate) return invalid("The certificate cannot be parsed");
  return certificate;
}

Result<KeyPtr> read_private_key(std::string_view pem) {
  if (pem.empty() || pem.size() > kMaxPem) return invalid("The private key PEM is empty or too long");
  Bio bio = make_bio(pem);
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  if (!key) return invalid("The private key cannot be parsed");
  return key;
}

bool is_sound(EVP_PKEY* key) {
  const int id = EVP_PKEY_get_base_id(key);
  if (id != EVP_PKEY_RSA && id != EVP_PKEY_RSA_PSS) return true;
  BIGNUM* exponent = nullptr;
  const bool sound = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 && BN_is_odd(exponent) &&
                     !BN_is_one(exponent) && !BN_is_negative(exponent);
  BN_free(exponent);
  return sound;
}

Result<Certificate> describe(X509* certificate) {
  Certificate out;
  unsigned char* der = nullptr;
  int length = i2d_X509(certificate, &der);
  if (length <= 0) return invalid("The certificate cannot be encoded");
  out.der.assign(reinterpret_cast<char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  if (out.der.size() > kMaxDer) return make_error(ErrorKind::kTooLarge, "The certificate is too long");
  out.id = sha256_hex(out.der);
  Bio bio = make_bio();
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) return failed("certificate to PEM");
  out.pem = bio_text(bio.get());
  out.subject = name_text(X509_get_subject_name(certificate));
  out.issuer = name_text(X509_get_issuer_name(certificate));
  out.common_name = common_name(X509_get_subject_name(certificate));
  out.serial = serial_text(X509_get0_serialNumber(certificate));
  out.is_ca = X509_check_ca(certificate) == 1;
  TRY(out.not_before_ms, time_ms(X509_get0_notBefore(certificate)));
  TRY(out.not_after_ms, time_ms(X509_get0_notAfter(certificate)));
  EVP_PKEY* key = X509_get0_pubkey(certificate);
  ERR_clear_error();
  if (key == nullptr) return invalid("The certificate's public key is of an unknown kind");
  const char* kind = EVP_PKEY_get0_type_name(key);
  out.key_algorithm = kind != nullptr ? kind : "";
  out.key_bits = EVP_PKEY_get_bits(key);
  out.key_is_sound = is_sound(key);
  out.key_curve = curve_of(key);
  out.signature_digest = signature_digest(certificate);
  ERR_clear_error();
  return out;
}

}  // namespace openssl

Result<Certificate> parse_pem(std::string_view pem) {
  TRY(X509Ptr certificate, read_pem(pem));
  return describe(certificate.get());
}

Result<Certificate> parse_der(std::string_view der) {
  if (der.empty()) return invalid("The certificate is empty");
  if (der.size() > kMaxDer) return make_error(ErrorKind::kTooLarge, "The certificate is too long");
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const unsigned char* end = at + der.size();
  X509Ptr certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!certificate || at != end) return invalid("The certificate cannot be parsed");
  TRY(Certificate out, describe(certificate.get()));
  // BER that is not DER would give one certificate two ids.
  if (out.der != der) return invalid("The certificate is not in DER format");
  return out;
}

Status verify_issued_by(const Certificate& certificate, std::string_view ca_pem, std::int64_t now_ms) {
  TRY(X509Ptr ca, read_pem(ca_pem));
  const auto* at = reinterpret_cast<const unsigned char*>(certificate.der.data());
  X509Ptr leaf(d2i_X509(nullptr, &at, static_cast<long>(certificate.der.size())));
  if (!leaf) return invalid("The certificate cannot be parsed");
  std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)> store(X509_STORE_new(), X509_STORE_free);
  std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)> context(X509_STORE_CTX_new(), X509_STORE_CTX_free);
  if (!store || !context || X509_STORE_add_cert(store.get(), ca.get()) != 1 ||
      X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), nullptr) != 1) {
    return failed("certificate store");
  }
  X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context.get()), static_cast<std::time_t>(now_ms / 1000));
  int verified = X509_verify_cert(context.get());
  ERR_clear_error();
  if (verified == 1) return {};
  return invalid(std::string("The certificate is not valid: ") +
                 X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
}

bool is_signed_by(const Certificate& certificate, const Certificate& ca) {
  const auto read = [](const std::string& der) {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    return X509Ptr(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  };
  const X509Ptr leaf = read(certificate.der), issuer = read(ca.der);
  EVP_PKEY* key = issuer ? X509_get0_pubkey(issuer.get()) : nullptr;
  const bool is = leaf && key != nullptr && ca.is_ca && X509_check_issued(issuer.get(), leaf.get()) == X509_V_OK &&
                  X509_verify(leaf.get(), key) == 1;
  ERR_clear_error();
  return is;
}

bool key_matches(std::string_view certificate_pem, std::string_view private_key_pem) {
  auto certificate = read_pem(certificate_pem);
  auto key = read_private_key(private_key_pem);
  bool same = certificate && key && X509_check_private_key(certificate->get(), key->get()) == 1;
  ERR_clear_error();
  return same;
}

}  // namespace muster::x509
