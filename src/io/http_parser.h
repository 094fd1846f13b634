// SPDX-License-Identifier: Apache-2.0
// Parsing of HTTP/1.x requests from bytes in memory: the head as a whole, and chunked bodies. Boost.Beast's parser does
// the grammar; what it tolerates and we do not (folded lines, duplicate lengths, stray bytes) is refused around it.
// Pure; bounded by what it is given; hostile input ends in HttpFault.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/http_server.h"

namespace muster::io {

struct HttpFault {
  int status = 400;
  std::string reason;
};

struct HttpHead {
  HttpRequest request;  // without peer
  int minor_version = 1;
  bool keep_alive = true;
  bool chunked = false;
  bool expect_continue = false;
  std::int64_t content_length = 0;  // 0 when chunked
};

// Where the first head in `bytes` ends (after the empty line); npos when it is not there yet. Looks from `scanned` on.
std::size_t find_head_end(std::string_view bytes, std::size_t scanned = 0);
// `head` as found by find_head_end.
std::expected<HttpHead, HttpFault> parse_http_head(std::string_view head, const HttpLimits& limits = {});

// De-chunks. Give it the bytes not consumed so far; it tells how many it took and where in them the payload is.
class ChunkedParser {
 public:
  ChunkedParser();
  ~ChunkedParser();
  struct Step {
    std::size_t consumed = 0;  // 0: needs more bytes after those given
    std::string_view payload;  // within the bytes given; may be empty
    bool done = false;         // the last chunk and its trailers were consumed
  };
  std::expected<Step, HttpFault> step(std::string_view bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace muster::io
