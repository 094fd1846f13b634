// SPDX-License-Identifier: Apache-2.0
// The few MQTT packets a load generator needs, as bytes: builders for the client's side and a splitter for what comes
// back. Nothing is checked beyond what tells packets apart; the broker under test is not hostile. The payload of a
// measured message begins with a Stamp.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace muster::bench {

static_assert(std::endian::native == std::endian::little, "stamps are written as they stand in memory");

struct Stamp {
  std::uint32_t flow = 0;  // which publisher
  std::uint32_t sequence = 0;
  std::int64_t due_ns = 0;  // when it was to be sent, by the steady clock
};

struct ConnectOptions {
  bool v5 = false;
  bool clean = true;
};

// Appends a packet.
void append_connect(std::string& out, std::string_view client_id, const ConnectOptions& options);
void append_subscribe(std::string& out, std::string_view filter, int qos, bool v5);
// The packet id is 0 and the stamp empty; `stamp_at` and `id_at` tell where they stand in the packet.
struct PublishLayout {
  std::size_t bytes = 0, id_at = 0, stamp_at = 0;
};
PublishLayout append_publish(std::string& out, std::string_view topic, std::size_t payload_bytes, int qos, bool v5);

struct Frame {
  std::uint8_t first = 0;      // type and flags
  const char* body = nullptr;  // behind the fixed header
  std::uint32_t bytes = 0;     // of the body
  int type() const { return first >> 4; }
};

// Takes the next whole packet of [at, end); false, and `at` unmoved, when there is none.
inline bool next_frame(const char*& at, const char* end, Frame& frame) {
  if (end - at < 2) return false;
  const char* p = at + 1;
  std::uint32_t bytes = static_cast<std::uint8_t>(*p++);
  if (bytes >= 0x80) {
    bytes &= 0x7f;
    for (int shift = 7;; shift += 7) {
      if (p == end) return false;
      const auto next = static_cast<std::uint8_t>(*p++);
      bytes |= static_cast<std::uint32_t>(next & 0x7f) << shift;
      if (next < 0x80 || shift == 21) break;
    }
  }
  if (static_cast<std::uint32_t>(end - p) < bytes) return false;
  frame = {static_cast<std::uint8_t>(*at), p, bytes};
  at = p + bytes;
  return true;
}

inline std::uint32_t two_bytes(const char* at) {
  return static_cast<std::uint32_t>(static_cast<std::uint8_t>(at[0])) << 8 | static_cast<std::uint8_t>(at[1]);
}

struct Delivery {
  std::uint32_t flow = 0, sequence = 0;
  std::int64_t due_ns = 0;
  std::uint32_t packet_id = 0;  // 0: QoS 0
  bool duplicate = false;
};

inline bool read_delivery(const Frame& frame, bool v5, Delivery& delivery) {
  const char* at = frame.body + 2 + two_bytes(frame.body);
  delivery.packet_id = 0;
  delivery.duplicate = (frame.first & 8) != 0;
  if ((frame.first & 6) != 0) {
    delivery.packet_id = two_bytes(at);
    at += 2;
  }
  if (v5) at += 1 + static_cast<std::uint8_t>(*at);  // properties below 128 bytes
  if (frame.body + frame.bytes - at < static_cast<std::ptrdiff_t>(sizeof(Stamp))) return false;
  std::memcpy(&delivery.flow, at, 4);
  std::memcpy(&delivery.sequence, at + 4, 4);
  std::memcpy(&delivery.due_ns, at + 8, 8);
  return true;
}

}  // namespace muster::bench
