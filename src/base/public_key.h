// SPDX-License-Identifier: Apache-2.0
// PublicKey: an RSA or elliptic-curve public key that checks signatures. Made from PEM or from the numbers of a JSON
// web key; immutable, copyable, any thread. Bounds: RSA 2048 to 8192 bits, P-256 and P-384; PEM 8 KiB. kInvalid for
// anything else. Over OpenSSL.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.h"

namespace muster {

class PublicKey {
 public:
  enum class Kind : std::uint8_t { kRsa, kP256, kP384 };
  // What a signature is made with. RSA with PKCS #1 v1.5 or PSS (salt as long as the hash); ECDSA as r and s of the
  // curve's length, one behind the other (RFC 7518, section 3.4).
  enum class Scheme : std::uint8_t {
    kRsaSha256,
    kRsaSha384,
    kRsaSha512,
    kPssSha256,
    kEcdsaP256Sha256,
    kEcdsaP384Sha384
  };

  static Result<PublicKey> from_pem(std::string_view pem);  // one "PUBLIC KEY" block (SubjectPublicKeyInfo)
  static Result<PublicKey> from_rsa(std::string_view modulus, std::string_view exponent);   // big-endian bytes
  static Result<PublicKey> from_point(Kind curve, std::string_view x, std::string_view y);  // of the curve's length

  Kind kind() const { return kind_; }
  // False also when the scheme is not one of this kind of key.
  bool verify(Scheme scheme, std::string_view text, std::string_view signature) const;

 private:
  struct Handle;  // EVP_PKEY
  PublicKey(Kind kind, std::shared_ptr<const Handle> handle) : kind_(kind), handle_(std::move(handle)) {}
  static Result<PublicKey> accept(void* evp_pkey);

  Kind kind_;
  std::shared_ptr<const Handle> handle_;
};

}  // namespace muster
