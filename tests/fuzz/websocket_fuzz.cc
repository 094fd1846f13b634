// SPDX-License-Identifier: Apache-2.0
// links: muster_io
// WebSocket frames from a client, in one piece and in pieces whose size the input's first byte chooses: both must
// decode to the same bytes and the same end, and never to more than came.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "io/websocket_frames.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

struct Decoded {
  std::string payload;
  muster::io::WebSocketDecoder::Phase phase;
  std::uint16_t code;
  std::optional<std::string> ping;
};

Decoded decode(std::string_view wire, std::size_t piece_bytes) {
  muster::io::WebSocketDecoder decoder;
  Decoded out;
  while (!wire.empty()) {
    std::string piece(wire.substr(0, piece_bytes));
    wire.remove_prefix(piece.size());
    const std::size_t count = decoder.decode(piece);
    require(count <= piece.size());
    out.payload.append(piece.data(), count);
  }
  out.phase = decoder.phase();
  out.code = decoder.close_code();
  out.ping = decoder.take_ping();
  require(!out.ping || out.ping->size() <= muster::io::kMaxControlBytes);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  const Decoded whole = decode(input, input.size());
  const Decoded pieces = decode(input, 1 + bytes[0] % 64u);
  require(whole.payload == pieces.payload && whole.phase == pieces.phase && whole.code == pieces.code);
  require(whole.ping == pieces.ping);
  return 0;
}
