// SPDX-License-Identifier: Apache-2.0
// Ed25519 signatures (RFC 8032) over OpenSSL: a key pair whose public half proves what the private half has signed.
// Values; const functions are callable from any thread. Errors: kInvalid for a text that is no such key.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace muster {

class Ed25519PublicKey {
 public:
  // PEM: "PUBLIC KEY".
  static Result<Ed25519PublicKey> from_pem(std::string_view pem);
  bool verify(std::string_view message, std::string_view signature) const;
  std::string pem() const;
  std::string raw() const;  // 32 bytes

 private:
  friend class Ed25519PrivateKey;
  struct State;
  std::shared_ptr<const State> state_;
};

class Ed25519PrivateKey {
 public:
  static Ed25519PrivateKey generate();  // aborts the process when the system has no randomness
  // PEM: "PRIVATE KEY" (PKCS #8), unencrypted.
  static Result<Ed25519PrivateKey> from_pem(std::string_view pem);
  std::string sign(std::string_view message) const;  // 64 bytes
  std::string pem() const;                           // secret
  Ed25519PublicKey public_key() const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace muster
