// SPDX-License-Identifier: Apache-2.0
// WebSocket frames as a server sees them (RFC 6455 section 5), without I/O: a decoder that unmasks in place and holds
// no more than one control frame, whatever length a header announces, and the heads of frames to send. Owned by
// io/websocket_stream; pure. Refused: text (1003), unmasked frames, reserved bits and opcodes, control frames that are
// fragmented or longer than 125 bytes, lengths not in their shortest form or with the top bit set (1002), a close
// reason that is not UTF-8 (1007).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace muster::io {

inline constexpr std::size_t kMaxControlBytes = 125;  // RFC 6455 section 5.5

enum class WebSocketOpcode : std::uint8_t {
  kContinuation = 0x0,
  kText = 0x1,
  kBinary = 0x2,
  kClose = 0x8,
  kPing = 0x9,
  kPong = 0xA,
};

namespace close_code {
inline constexpr std::uint16_t kNormal = 1000;
inline constexpr std::uint16_t kProtocolError = 1002;
inline constexpr std::uint16_t kUnsupported = 1003;
inline constexpr std::uint16_t kBadText = 1007;
}  // namespace close_code

class WebSocketDecoder {
 public:
  enum class Phase : std::uint8_t { kOpen, kPeerClosed, kBroken };

  // Received bytes, in order. The payload of the data frames in them is moved to the front of `bytes`; answers how much
  // that is. After the phase is no longer kOpen, bytes are ignored.
  std::size_t decode(std::span<char> bytes);
  Phase phase() const { return phase_; }
  // What our close frame says: the code of the peer's (0: it had none), or of the error.
  std::uint16_t close_code() const { return close_code_; }
  // The payload of the latest ping, once; earlier ones need no answer (RFC 6455 section 5.5.3).
  std::optional<std::string> take_ping();

 private:
  std::size_t take_head(std::span<const char> bytes);
  void begin_frame();
  void end_frame();
  void end_close();
  void fail(std::uint16_t code);
  std::size_t unmask(char* at, std::size_t count);
  bool is_control() const { return (head_[0] & 0x08) != 0; }

  std::array<std::uint8_t, 14> head_{};
  std::uint8_t head_bytes_ = 0;  // of it received
  std::uint8_t mask_at_ = 0;     // offset of the mask within it, and of the next byte within the mask
  std::uint8_t mask_turn_ = 0;
  Phase phase_ = Phase::kOpen;
  bool in_frame_ = false;
  bool in_message_ = false;  // a data frame without FIN came
  bool pinged_ = false;
  std::uint16_t close_code_ = 0;
  std::uint64_t left_ = 0;  // of the frame's payload
  std::string control_;     // of the control frame that is arriving
  std::string ping_;
};

// The head of an unmasked, final frame.
void append_frame_head(std::string& out, WebSocketOpcode opcode, std::uint64_t payload_bytes);
std::string control_frame(WebSocketOpcode opcode, std::string_view payload);
std::string close_frame(std::uint16_t code);  // 0: without a code

}  // namespace muster::io
