// SPDX-License-Identifier: Apache-2.0
#include "base/public_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

namespace muster {
namespace {

constexpr std::size_t kMaxPemBytes = 8 * 1024;
constexpr int kMinRsaBits = 2048, kMaxRsaBits = 8192;
constexpr std::size_t kMaxExponentBytes = 8;

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(OSSL_PARAM_BLD* builder) const { OSSL_PARAM_BLD_free(builder); }
  void operator()(OSSL_PARAM* parameters) const { OSSL_PARAM_free(parameters); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  void operator()(ECDSA_SIG* signature) const { ECDSA_SIG_free(signature); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Error no_key() {
  ERR_clear_error();
  return invalid("not a public key that is supported: RSA of 2048 to 8192 bits, P-256 or P-384");
}

Owned<BIGNUM> number(std::string_view bytes) {
  return Owned<BIGNUM>(BN_bin2bn(bytes_of(bytes), static_cast<int>(bytes.size()), nullptr));
}

EVP_PKEY* make_key(const char* type, OSSL_PARAM* parameters) {
  Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) <= 0) return nullptr;
  if (EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters) <= 0) return nullptr;
  return key;
}

struct SchemeRow {
  PublicKey::Kind kind;
  const EVP_MD* (*digest)();
  bool pss;
};

SchemeRow row_of(PublicKey::Scheme scheme) {
  using Scheme = PublicKey::Scheme;
  using Kind = PublicKey::Kind;
  switch (scheme) {
    case Scheme::kRsaSha256:
      return {Kind::kRsa, EVP_sha256, false};
    case Scheme::kRsaSha384:
      return {Kind::kRsa, EVP_sha384, false};
    case Scheme::kRsaSha512:
      return {Kind::kRsa, EVP_sha512, false};
    case Scheme::kPssSha256:
      return {Kind::kRsa, EVP_sha256, true};
    case Scheme::kEcdsaP256Sha256:
      return {Kind::kP256, EVP_sha256, false};
    case Scheme::kEcdsaP384Sha384:
      return {Kind::kP384, EVP_sha384, false};
  }
  return {Kind::kRsa, EVP_sha256, false};
}

// r || s -> DER. Empty when the length is not exactly twice the curve's.
std::string der_of(std::string_view raw, std::size_t half) {
  if (raw.size() != 2 * half) return {};
  Owned<ECDSA_SIG> signature(ECDSA_SIG_new());
  Owned<BIGNUM> r = number(raw.substr(0, half)), s = number(raw.substr(half));
  if (!signature || !r || !s || ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) return {};
  (void)r.release();  // the signature's now
  (void)s.release();
  unsigned char* der = nullptr;
  const int length = i2d_ECDSA_SIG(signature.get(), &der);
  if (length <= 0) return {};
  std::string out(reinterpret_cast<char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return out;
}

}  // namespace

struct PublicKey::Handle {
  explicit Handle(EVP_PKEY* owned) : key(owned) {}
  ~Handle() { EVP_PKEY_free(key); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  EVP_PKEY* key;
};

Result<PublicKey> PublicKey::accept(void* evp_pkey) {
  if (evp_pkey == nullptr) return no_key();
  auto* key = static_cast<EVP_PKEY*>(evp_pkey);
  auto handle = std::make_shared<const Handle>(key);
  Owned<EVP_PKEY_CTX> check(EVP_PKEY_CTX_new(key, nullptr));
  if (!check || EVP_PKEY_public_check_quick(check.get()) != 1) return no_key();  // also: the point is on the curve
  if (EVP_PKEY_is_a(key, "RSA") == 1) {
    const int bits = EVP_PKEY_get_bits(key);
    if (bits < kMinRsaBits || bits > kMaxRsaBits) return no_key();
    return PublicKey(Kind::kRsa, std::move(handle));
  }
  char group[32] = {};
  std::size_t length = 0;
  if (EVP_PKEY_is_a(key, "EC") != 1 || EVP_PKEY_get_group_name(key, group, sizeof group, &length) != 1) return no_key();
  const std::string_view name(group, length);
  if (name == "prime256v1") return PublicKey(Kind::kP256, std::move(handle));
  if (name == "secp384r1") return PublicKey(Kind::kP384, std::move(handle));
  return no_key();
}

Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
  if (pem.size() > kMaxPemBytes) return no_key();
  Owned<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return no_key();
  auto no_password = [](char*, int, int, void*) { return -1; };
  return accept(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_password, nullptr));
}

Result<PublicKey> PublicKey::from_rsa(std::string_view modulus, std::string_view exponent) {
  if (modulus.size() > kMaxRsaBits / 8 + 1 || exponent.empty() || exponent.size() > kMaxExponentBytes) return no_key();
  Owned<BIGNUM> n = number(modulus), e = number(exponent);
  Owned<OSSL_PARAM_BLD> builder(OSSL_PARAM_BLD_new());
  if (!n || !e || !builder || BN_num_bits(n.get()) < kMinRsaBits || BN_is_odd(e.get()) != 1) return no_key();
  if (OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return no_key();
  }
  Owned<OSSL_PARAM> parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  return accept(make_key("RSA", parameters.get()));
}

Result<PublicKey> PublicKey::from_point(Kind curve, std::string_view x, std::string_view y) {
  const std::size_t length = curve == Kind::kP256 ? 32 : 48;
  if (curve == Kind::kRsa || x.size() != length || y.size() != length) return no_key();
  const std::string point = "\x04" + std::string(x) + std::string(y);
  const char* group = curve == Kind::kP256 ? "prime256v1" : "secp384r1";
  Owned<OSSL_PARAM_BLD> builder(OSSL_PARAM_BLD_new());
  if (!builder || OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1) {
    return no_key();
  }
  Owned<OSSL_PARAM> parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  TRY(PublicKey key, accept(make_key("EC", parameters.get())));
  if (key.kind() != curve) return no_key();
  return key;
}

bool PublicKey::verify(Scheme scheme, std::string_view text, std::string_view signature) const {
  const SchemeRow row = row_of(scheme);
  if (row.kind != kind_ || signature.empty()) return false;
  std::string der;
  if (kind_ != Kind::kRsa) {
    der = der_of(signature, kind_ == Kind::kP256 ? 32 : 48);
    if (der.empty()) return false;
    signature = der;
  }
  Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* options = nullptr;  // the context's
  bool right = context && EVP_DigestVerifyInit(context.get(), &options, row.digest(), nullptr, handle_->key) == 1;
  if (right && row.pss) {
    right = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
  }
  right =
      right && EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(text), text.size()) == 1;
  ERR_clear_error();
  return right;
}

}  // namespace muster
