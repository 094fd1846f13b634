// SPDX-License-Identifier: Apache-2.0
#include "io/websocket_frames.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/text.h"

namespace muster::io {
namespace {

constexpr std::uint8_t kFin = 0x80;
constexpr std::uint8_t kReservedBits = 0x70;
constexpr std::uint8_t kMasked = 0x80;

// RFC 6455 section 7.4: what an endpoint may send.
bool is_close_code(std::uint16_t code) {
  const bool defined = code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
  return defined || (code >= 3000 && code <= 4999);
}

}  // namespace

void WebSocketDecoder::fail(std::uint16_t code) {
  phase_ = Phase::kBroken;
  close_code_ = code;
}

// Takes bytes of the frame's head until it is complete; answers how many.
std::size_t WebSocketDecoder::take_head(std::span<const char> bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size()) {
    head_[head_bytes_++] = static_cast<std::uint8_t>(bytes[taken++]);
    if (head_bytes_ < 2) continue;
    const std::uint8_t length = head_[1] & 0x7f;
    const std::uint8_t extra = length == 127 ? 8 : (length == 126 ? 2 : 0);
    // A wrong frame is refused by its first two bytes, not after the rest has come.
    if (head_bytes_ == 2) {
      mask_at_ = static_cast<std::uint8_t>(2 + extra);
      const std::uint8_t opcode = head_[0] & 0x0f;
      const bool known = opcode <= 0x2 || (opcode >= 0x8 && opcode <= 0xA);
      const bool bad_control = is_control() && ((head_[0] & kFin) == 0 || length > kMaxControlBytes);
      const bool bad_sequence = !is_control() && ((opcode == 0) != in_message_);
      if ((head_[0] & kReservedBits) != 0 || !known || (head_[1] & kMasked) == 0 || bad_control || bad_sequence) {
        fail(close_code::kProtocolError);
        return taken;
      }
      if (opcode == static_cast<std::uint8_t>(WebSocketOpcode::kText)) {
        fail(close_code::kUnsupported);
        return taken;
      }
    }
    if (head_bytes_ == mask_at_ + 4) {
      begin_frame();
      return taken;
    }
  }
  return taken;
}

void WebSocketDecoder::begin_frame() {
  left_ = head_[1] & 0x7f;
  if (mask_at_ > 2) {
    const std::uint64_t smallest = left_ == 126 ? 126 : 0x10000;
    left_ = 0;
    for (std::uint8_t i = 2; i < mask_at_; ++i) left_ = left_ << 8 | head_[i];
    if (left_ < smallest || left_ >> 63 != 0) return fail(close_code::kProtocolError);
  }
  head_bytes_ = 0;
  mask_turn_ = 0;
  in_frame_ = true;
  if (!is_control()) in_message_ = (head_[0] & kFin) == 0;
  if (left_ == 0) end_frame();
}

std::size_t WebSocketDecoder::unmask(char* at, std::size_t count) {
  std::array<std::uint8_t, 8> turned{};
  for (std::size_t i = 0; i < turned.size(); ++i) turned[i] = head_[mask_at_ + ((mask_turn_ + i) & 3)];
  const auto mask = std::bit_cast<std::uint64_t>(turned);
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at + i, 8);
    word ^= mask;
    std::memcpy(at + i, &word, 8);
  }
  for (; i < count; ++i) at[i] = static_cast<char>(static_cast<std::uint8_t>(at[i]) ^ turned[i & 7]);
  mask_turn_ = static_cast<std::uint8_t>((mask_turn_ + count) & 3);
  return count;
}

std::size_t WebSocketDecoder::decode(std::span<char> bytes) {
  std::size_t from = 0;
  std::size_t to = 0;
  while (from < bytes.size() && phase_ == Phase::kOpen) {
    if (!in_frame_) {
      from += take_head(bytes.subspan(from));
      continue;
    }
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size() - from));
    char* piece = bytes.data() + from;
    unmask(piece, count);
    if (is_control()) {
      control_.append(piece, count);
    } else {
      if (to != from) std::memmove(bytes.data() + to, piece, count);
      to += count;
    }
    from += count;
    left_ -= count;
    if (left_ == 0) end_frame();
  }
  return to;
}

void WebSocketDecoder::end_frame() {
  in_frame_ = false;
  switch (static_cast<WebSocketOpcode>(head_[0] & 0x0f)) {
    case WebSocketOpcode::kClose:
      end_close();
      break;
    case WebSocketOpcode::kPing:
      pinged_ = true;
      ping_ = std::move(control_);
      break;
    default:
      break;
  }
  if (is_control()) std::string().swap(control_);
}

void WebSocketDecoder::end_close() {
  if (control_.empty()) {
    phase_ = Phase::kPeerClosed;
    return;
  }
  if (control_.size() == 1) return fail(close_code::kProtocolError);
  const auto code =
      static_cast<std::uint16_t>(static_cast<std::uint8_t>(control_[0]) << 8 | static_cast<std::uint8_t>(control_[1]));
  if (!is_close_code(code)) return fail(close_code::kProtocolError);
  if (!is_utf8(std::string_view(control_).substr(2))) return fail(close_code::kBadText);
  phase_ = Phase::kPeerClosed;
  close_code_ = code;
}

std::optional<std::string> WebSocketDecoder::take_ping() {
  if (!std::exchange(pinged_, false)) return std::nullopt;
  return std::exchange(ping_, std::string());
}

void append_frame_head(std::string& out, WebSocketOpcode opcode, std::uint64_t payload_bytes) {
  out.push_back(static_cast<char>(kFin | static_cast<std::uint8_t>(opcode)));
  int extra = 0;
  if (payload_bytes < 126) {
    out.push_back(static_cast<char>(payload_bytes));
  } else if (payload_bytes <= 0xffff) {
    out.push_back(126);
    extra = 2;
  } else {
    out.push_back(127);
    extra = 8;
  }
  for (int i = extra - 1; i >= 0; --i) out.push_back(static_cast<char>(payload_bytes >> (8 * i)));
}

std::string control_frame(WebSocketOpcode opcode, std::string_view payload) {
  std::string frame;
  append_frame_head(frame, opcode, payload.size());
  return frame.append(payload);
}

std::string close_frame(std::uint16_t code) {
  std::string payload;
  if (code != 0) {
    payload.push_back(static_cast<char>(code >> 8));
    payload.push_back(static_cast<char>(code & 0xff));
  }
  return control_frame(WebSocketOpcode::kClose, payload);
}

}  // namespace muster::io
