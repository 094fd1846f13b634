// SPDX-License-Identifier: Apache-2.0
// CBOR to and from JSON values: what JSON can say, in the encoding of RFC 8949. Pure functions, any thread. The decoder
// takes definite and indefinite lengths, integers of 64 bits with sign, and finite floats; it refuses (kInvalid) byte
// strings, tags, undefined and other simple values, keys that are not text, keys that come twice, text that is not
// UTF-8, and bytes behind the item. Bounds: bytes and depth as given; what an item claims to hold is never allocated
// before it was read.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace muster {

struct CborLimits {
  std::size_t max_bytes = 128u << 10;
  std::size_t max_depth = 16;
};

Result<json::value> parse_cbor(std::string_view bytes, const CborLimits& limits = {});
// Shortest heads, definite lengths, doubles in 64 bits.
std::string to_cbor(const json::value& value);

}  // namespace muster
