// SPDX-License-Identifier: Apache-2.0
// For tests: an issuer of tokens with a key of its own, its key set, and raw signatures.
#pragma once

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace muster::jwt {

class TestSigner {
 public:
  // "RSA", "P-256", "P-384" or another curve's name.
  explicit TestSigner(const std::string& kind = "RSA", int bits = 2048)
      : kind_(kind), key_(kind == "RSA" ? EVP_RSA_gen(static_cast<unsigned>(bits)) : EVP_EC_gen(kind.c_str())) {}
  ~TestSigner() { EVP_PKEY_free(key_); }
  TestSigner(const TestSigner&) = delete;
  TestSigner& operator=(const TestSigner&) = delete;

  std::string public_pem() const {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(bio, key_);
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio, &text);
    std::string pem(text, static_cast<std::size_t>(size));
    BIO_free(bio);
    return pem;
  }
  std::string number(const char* parameter) const {
    BIGNUM* value = nullptr;
    EVP_PKEY_get_bn_param(key_, parameter, &value);
    const int length = kind_ == "RSA" ? BN_num_bytes(value) : kind_ == "P-256" ? 32 : 48;
    std::string bytes(static_cast<std::size_t>(length), '\0');
    BN_bn2binpad(value, reinterpret_cast<unsigned char*>(bytes.data()), length);
    BN_free(value);
    return bytes;
  }
  // One member of a key set.
  std::string jwk(const std::string& id, const std::string& extra = {}) const {
    std::string text = R"({"kid":")" + id + '"' + extra;
    if (kind_ == "RSA") {
      text += R"(,"kty":"RSA","n":")" + to_base64url(number(OSSL_PKEY_PARAM_RSA_N)) + R"(","e":")" +
              to_base64url(number(OSSL_PKEY_PARAM_RSA_E)) + "\"}";
    } else {
      text += R"(,"kty":"EC","crv":")" + kind_ + R"(","x":")" + to_base64url(number(OSSL_PKEY_PARAM_EC_PUB_X)) +
              R"(","y":")" + to_base64url(number(OSSL_PKEY_PARAM_EC_PUB_Y)) + "\"}";
    }
    return text;
  }
  // DER for elliptic curves.
  std::string sign(std::string_view text, const EVP_MD* digest = EVP_sha256(), bool pss = false) const {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_PKEY_CTX* options = nullptr;
    EVP_DigestSignInit(context, &options, digest, nullptr, key_);
    if (pss) {
      EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
      EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
    }
    std::size_t size = 0;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    EVP_DigestSign(context, nullptr, &size, bytes, text.size());
    std::string out(size, '\0');
    EVP_DigestSign(context, reinterpret_cast<unsigned char*>(out.data()), &size, bytes, text.size());
    out.resize(size);
    EVP_MD_CTX_free(context);
    return out;
  }
  // As JSON web signatures have it.
  std::string jose(std::string_view algorithm, std::string_view text) const {
    const EVP_MD* digest = algorithm.ends_with("384")   ? EVP_sha384()
                           : algorithm.ends_with("512") ? EVP_sha512()
                                                        : EVP_sha256();
    std::string der = sign(text, digest, algorithm.starts_with("PS"));
    if (kind_ == "RSA") return der;
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* signature = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
    const int half = kind_ == "P-384" ? 48 : 32;
    std::string raw(static_cast<std::size_t>(half) * 2, '\0');
    auto* out = reinterpret_cast<unsigned char*>(raw.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, half);
    BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + half, half);
    ECDSA_SIG_free(signature);
    return raw;
  }
  // A token with that header and those claims, both JSON text; `algorithm` is what it is really signed with.
  std::string token(const std::string& header, const std::string& claims, std::string_view algorithm = "RS256") const {
    const std::string text = to_base64url(header) + "." + to_base64url(claims);
    return text + "." + to_base64url(jose(algorithm, text));
  }

 private:
  std::string kind_;
  EVP_PKEY* key_;
};

inline std::string key_set(const std::vector<std::string>& keys) {
  std::string text = R"({"keys":[)";
  for (const std::string& key : keys) text += (text.ends_with('[') ? "" : ",") + key;
  return text + "]}";
}

}  // namespace muster::jwt
