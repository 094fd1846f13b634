// SPDX-License-Identifier: Apache-2.0
// Bytes to packets, MQTT 3.1.1 (OASIS 2014) and 5 (OASIS 2019). Strict: whatever the specification calls malformed or a
// protocol error is refused with its MQTT 5 reason code. Pure, no allocation, no copy: packets are views of the input.
// A packet's size is checked as soon as its fixed header is there, before anybody buffers the body.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mqtt/codec/packets.h"

namespace muster::mqtt {

inline constexpr std::uint32_t kLargestPacket = 268'435'460;  // 5 bytes of header, 268,435,455 behind it

struct DecodeError {
  Reason reason = Reason::kSuccess;
  std::string_view text;  // static; goes into the log and the MQTT 5 reason string
};

enum class DecodeStatus : std::uint8_t { kPacket, kNeedMore, kError };

struct Frame {
  DecodeStatus status = DecodeStatus::kNeedMore;
  DecodeError error;              // kError
  std::uint8_t first_byte = 0;    // type and flags
  std::uint32_t header_size = 0;  // fixed header, 2 to 5; known as soon as the header is complete, else 0
  std::uint32_t body_size = 0;
  std::size_t size() const { return std::size_t{header_size} + body_size; }
  PacketType type() const { return static_cast<PacketType>(first_byte >> 4); }
};

// Looks at the packet at the start of `bytes`. kPacket: all size() bytes are there. kNeedMore with header_size > 0: at
// least size() bytes are needed. kError: unknown type, wrong flags, bad length, or larger than max_packet.
Frame read_frame(std::string_view bytes, std::uint32_t max_packet = kLargestPacket);

// Decodes the body of a complete frame. CONNECT names its own version; `version` is for all others.
struct Decoded {
  bool ok = false;
  DecodeError error;
  // For a refused CONNECT: the protocol level it asked for (-1 when not even that was readable).
  int connect_level = -1;
};
// PUBLISH alone, without the detour over Packet: nearly all packets are. `frame` is the complete packet.
Decoded decode_publish(std::uint8_t first_byte, std::uint32_t header_size, std::string_view frame, Version version,
                       Publish& into);
Decoded decode_body(std::uint8_t first_byte, std::string_view body, Version version, Packet& into);

// Both steps. `consumed` is the packet's size when kPacket.
struct DecodeOutcome {
  DecodeStatus status = DecodeStatus::kNeedMore;
  DecodeError error;
  std::size_t consumed = 0;
  Packet packet;
};
DecodeOutcome decode(std::string_view bytes, Version version, std::uint32_t max_packet = kLargestPacket);

}  // namespace muster::mqtt
