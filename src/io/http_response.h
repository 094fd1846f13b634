// SPDX-License-Identifier: Apache-2.0
// The bytes of a response's head, and how a response is framed. Pure. Internal to io.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "io/http_server.h"

namespace muster::io {

enum class Framing : std::uint8_t { kNone, kCounted, kChunked, kUntilClose };

struct ResponseContext {
  bool is_head = false;   // the request's method
  int minor_version = 1;  // the request's
  bool close = false;     // the connection ends after this response
  std::int64_t now_ms = 0;
};

std::string_view reason_phrase(int status);
Framing framing_of(const HttpResponse& response, const ResponseContext& context);
std::string response_head(const HttpResponse& response, const ResponseContext& context);

}  // namespace muster::io
