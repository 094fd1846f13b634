// SPDX-License-Identifier: Apache-2.0
// JSON web tokens with a signature (RFC 7515, 7519) and JSON web key sets (RFC 7517): parsed and verified, nothing
// else. Pure functions and values. Only RS256, RS384, RS512, PS256, ES256 and ES384 exist here: "none" and the HMAC
// algorithms are refused while the token is parsed, before any key is looked at, and an algorithm that is not one of
// the key's kind (or not the one that the key names) never verifies.
// Bounds: tokens 20,000 bytes (AWS's for WebIdentityToken), JSON depth 16; key sets 256 KiB and 100 keys. Duplicate
// members of header or claims are refused: readers that disagree about them can be played against each other.
// All errors are kInvalid with a message that repeats nothing of the token.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/public_key.h"
#include "base/result.h"

namespace muster::jwt {

enum class Algorithm : std::uint8_t { kRs256, kRs384, kRs512, kPs256, kEs256, kEs384 };

struct Token {
  Algorithm algorithm = Algorithm::kRs256;
  std::string key_id;  // header "kid", or empty
  json::object claims;
  std::string signed_text;
  std::string signature;
};

// Nothing of the token is true before verify() says so.
Result<Token> parse_token(std::string_view text);

struct Key {
  std::string id;         // "kid", or empty
  std::string algorithm;  // "alg", or empty: any that fits the kind
  PublicKey key;
};

// Keys for encryption and kinds that are not supported are left out; kInvalid when none is left or the text is no set.
Result<std::vector<Key>> parse_key_set(std::string_view text);

// Whether one of the keys made the signature: the one that the token names, or, when it names none, any of them.
// kNotFound: the token names a key that is not among them (it may be a newer one).
Status verify(const Token& token, std::span<const Key> keys);

}  // namespace muster::jwt
