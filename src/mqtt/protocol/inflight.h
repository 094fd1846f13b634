// SPDX-License-Identifier: Apache-2.0
// Inflight: the packet identifiers of one session, QoS 1 and 2, both ways (MQTT 5 section 4.3, 4.4, 4.6). It belongs to
// the session and outlives connections; a Connection works on it while attached. The owner numbers outgoing messages in
// order, and the number (the token) decides the packet id: so a message that is sent again after a crash, from a store
// that knows its number alone, has the identifier that the client may remember. Single-threaded. Bounded: outgoing by
// kMaxOutgoing, incoming QoS 2 by the receive maximum that the Connection enforces. A session that never sent QoS > 0
// owns no heap memory here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace muster::mqtt {

// Messages sent to the client, in order of first sending, until the client finished them.
class OutgoingInflight {
 public:
  static constexpr std::size_t kMaxOutgoing = 4096;  // look-ups are linear from the oldest

  enum class Wait : std::uint8_t { kPuback, kPubrec, kPubcomp };
  struct Entry {
    std::uint64_t token = 0;
    std::uint16_t packet_id = 0;
    Wait wait = Wait::kPuback;
    bool sent = false;  // on the present connection; counts against the client's receive maximum
  };

  static std::uint16_t packet_id_of(std::uint64_t token) { return static_cast<std::uint16_t>((token - 1) % 65535 + 1); }
  // The token's packet id; 0 when kMaxOutgoing are open or one 65,535 numbers older still has that id.
  std::uint16_t add(std::uint64_t token, std::uint8_t qos);
  std::uint16_t add_sent(std::uint64_t token, std::uint8_t qos) {
    const std::uint16_t packet_id = add(token, qos);
    if (packet_id != 0) entries_.back().sent = true;
    return packet_id;
  }
  // Puts back what a store remembered, in order; false when the id is 0, taken or there are too many.
  bool restore(const Entry& entry);
  Entry* find(std::uint16_t packet_id);
  bool remove(std::uint16_t packet_id);
  void connection_began();  // nothing is sent yet on the new connection
  std::span<const Entry> entries() const { return std::span(entries_).subspan(head_); }  // oldest first
  std::size_t size() const { return entries_.size() - head_; }
  bool empty() const { return size() == 0; }
  void clear();

 private:
  std::vector<Entry> entries_;  // before head_: done
  std::size_t head_ = 0;
};

// QoS 2 packet ids received and not released yet: a PUBLISH with one of them is a repetition.
class IncomingInflight {
 public:
  static constexpr std::size_t kMaxIncoming = 4096;  // of a session; MQTT 5 clients meet the receive maximum before
  bool add(std::uint16_t packet_id);                 // false: it is there already
  bool contains(std::uint16_t packet_id) const;
  bool remove(std::uint16_t packet_id);
  std::span<const std::uint16_t> ids() const { return ids_; }  // ascending
  std::size_t size() const { return ids_.size(); }
  void clear();

 private:
  std::vector<std::uint16_t> ids_;
};

struct Inflight {
  OutgoingInflight outgoing;
  IncomingInflight incoming;
  void clear() {
    outgoing.clear();
    incoming.clear();
  }
};

}  // namespace muster::mqtt
