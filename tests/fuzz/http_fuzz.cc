// SPDX-License-Identifier: Apache-2.0
// links: muster_io
// HTTP/1.1 requests: a head, then a chunked body that arrives in pieces whose size the input's first byte chooses.
// Whatever is accepted must hold what the rest of the program relies on.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "io/http_parser.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_head(const muster::io::HttpHead& head) {
  require(!head.request.method.empty() && !head.request.target.empty());
  require(head.request.target.front() == '/' || head.request.target == "*");
  require(head.content_length >= 0 && !(head.chunked && head.content_length > 0));
  require(head.request.headers.count("host") <= 1);
  for (const auto& [name, value] : head.request.headers.items()) {
    require(!name.empty() && name.find_first_of(" \r\n:") == std::string::npos);
    require(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
  }
}

void decode_body(std::string_view wire, std::size_t piece_bytes) {
  muster::io::ChunkedParser parser;
  std::string pending;
  while (true) {
    const auto step = parser.step(pending);
    if (!step) return;
    require(step->consumed <= pending.size() && step->payload.size() <= step->consumed);
    pending.erase(0, step->consumed);
    if (step->done) return;
    if (step->consumed > 0) continue;
    if (wire.empty()) return;
    const std::string_view piece = wire.substr(0, piece_bytes);
    pending.append(piece);
    wire.remove_prefix(piece.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  const std::size_t end = muster::io::find_head_end(input);
  if (end == std::string_view::npos) {
    (void)muster::io::parse_http_head(input);
    return 0;
  }
  const auto head = muster::io::parse_http_head(input.substr(0, end));
  if (head) check_head(*head);
  if (!head || head->chunked) decode_body(input.substr(end), 1 + bytes[0] % 64u);
  return 0;
}
