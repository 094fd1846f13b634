// SPDX-License-Identifier: Apache-2.0
// Session: what outlives a network connection: subscriptions, what is in flight, the queue of messages that wait, the
// will whose time has not come. Owned by one shard, on its loop; other shards see its face. A persistent one (expiry
// above 0) has records in the store and its messages in the message log, reloaded at start. Messages are numbered in
// the order of routing; the number is the token in Inflight, which decides the packet id.
//
// Records: kSession: client id -> JSON {id, version, expiry_s, disconnected_ms (0 = connected), sent_until, principal,
// principal_kind, will, will_delay_s, will_expiry_s}; kSubscription: client id, filter -> JSON {qos, nl, rap, rh, id}.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "mqtt/broker/message.h"
#include "mqtt/broker/ports.h"
#include "mqtt/broker/ring.h"
#include "mqtt/broker/subscriptions.h"
#include "mqtt/broker/waiter.h"
#include "mqtt/protocol/inflight.h"

namespace muster::mqtt {

class ClientLink;

// A message owed to the session at QoS 1 or 2.
struct Held {
  MessageRef message;
  std::uint64_t number = 0;
  std::unique_ptr<std::vector<std::uint32_t>> identifiers;  // usually none
  std::uint64_t segment = 0;                                // of the message log, when stored
  std::uint64_t round = 0;     // of this shard's message log that makes it durable; 0: see position
  std::uint64_t position = 0;  // of the shared log, when another shard wrote it
  std::uint8_t qos = 1;
  bool stored = false;
  bool retain = false;    // as this subscriber sees it
  bool released = false;  // QoS 2: the client has it, PUBREL is what it gets
};

struct SessionWill {
  MessageRef message;
  std::uint32_t delay_s = 0;
  std::optional<std::uint32_t> expiry_s;   // of the message, from when it is published (MQTT 5 section 3.1.3.2.4)
  std::int64_t due_ms = 0;                 // 0 while connected
  std::shared_ptr<ConnectionGrant> grant;  // asked again when it is published; null after a restart
};

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

// What other shards see of a session; lives as long as anybody refers to it.
struct SessionFace {
  std::uint64_t id = 0;  // never used again for another session
  std::uint16_t shard = 0;
  std::atomic<bool> online{false};  // for who chooses a member of a shared subscription
  std::atomic<bool> busy{false};    // has more waiting than it takes
  std::atomic<bool> persistent{false};
  std::atomic<std::uint64_t> last_number{0};  // of the messages for it; whoever routes one takes the next
  std::uint64_t take_number() { return last_number.fetch_add(1, std::memory_order_relaxed) + 1; }
};

struct Session {
  std::string client_id;
  std::shared_ptr<SessionFace> face = std::make_shared<SessionFace>();
  ClientLink* link = nullptr;
  Version version = Version::k311;
  bool stored = false;  // has records
  std::uint32_t expiry_s = 0;
  std::int64_t disconnected_ms = 0;
  std::int64_t expires_ms = 0;   // while disconnected
  std::uint64_t sent_until = 0;  // numbers up to this one may have been sent; kept while disconnected
  std::unordered_map<std::string, Subscription, TextHash, std::equal_to<>> filters;
  Inflight inflight;
  Ring<Held> sent;  // not acknowledged yet, kept for redelivery (persistent sessions); ascending numbers
  Ring<Held> queue;
  std::size_t held_bytes = 0;   // of sent and queue
  std::size_t queue_bytes = 0;  // of queue
  std::uint64_t dropped = 0;
  bool overflow_logged = false;
  // Back-pressure: publishers whose acknowledgement waits until this client has taken more of its queue.
  std::unordered_map<std::uint16_t, std::uint64_t> received_in;  // segments of the message log, of inflight.incoming
  std::vector<Waiter> held_acks;
  std::int64_t held_since_ms = 0;  // steady
  bool slow = false;               // did not catch up in time: nobody waits for it until its queue is empty
  bool resend = false;             // entries of inflight wait for a free window after a reconnection
  bool awaits_log = false;         // the next message of the queue may be sent once it is durable
  std::unique_ptr<SessionWill> will;
  std::string principal_id;
  PrincipalKind principal_kind = PrincipalKind::kUnknown;
  std::string last_disconnect;

  std::uint64_t id() const { return face->id; }
  bool persistent() const { return expiry_s > 0; }
  void keep_sent(Held held);  // in order of numbers
  Held* find_sent(std::uint64_t number);
  std::size_t sent_index(std::uint64_t number) const;  // sent.size() when it is not there
  // Takes it out; empty Held when it is not there.
  Held take_sent(std::uint64_t number);
};

std::string session_key(std::string_view client_id);
std::string subscription_key(std::string_view client_id, std::string_view filter);

std::string session_record(const Session& session);
std::string subscription_record(const Subscription& subscription);
// kInternal on a corrupt record.
Status read_session_record(Session& session, std::string_view record);
Status read_subscription_record(Subscription& subscription, std::string_view record);

}  // namespace muster::mqtt
