// SPDX-License-Identifier: Apache-2.0
// Session: what outlives a network connection: subscriptions, what is in flight, the queue of messages that wait, the
// will whose time has not come. Owned by the Broker, on its loop; a persistent one (expiry above 0) has records in the
// store, reloaded at start. Messages in `sent` and `queue` are numbered in order; the number is the key of the stored
// copy and the token in Inflight.
//
// Records: kSession: client id -> JSON {version, expiry_s, disconnected_ms (0 = connected), principal, will,
// will_delay_s}; kSubscription: client id, filter -> JSON {qos, nl, rap, rh, id}; kSessionQueue: client id, number ->
// message.h's form.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "mqtt/broker/journal.h"
#include "mqtt/broker/message.h"
#include "mqtt/broker/ports.h"
#include "mqtt/broker/ring.h"
#include "mqtt/broker/subscriptions.h"
#include "mqtt/protocol/inflight.h"

namespace muster::mqtt {

class ClientLink;

// A message owed to the session at QoS 1.
struct Held {
  MessageRef message;
  std::uint64_t number = 0;
  std::unique_ptr<std::vector<std::uint32_t>> identifiers;  // usually none
  bool stored = false;
  bool retain = false;  // as this subscriber sees it
};

struct SessionWill {
  MessageRef message;
  std::uint32_t delay_s = 0;
  std::int64_t due_ms = 0;                 // 0 while connected
  std::shared_ptr<ConnectionGrant> grant;  // asked again when it is published; null after a restart
};

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

struct Session {
  std::string client_id;
  ClientLink* link = nullptr;
  Version version = Version::k311;
  bool stored = false;  // has records
  std::uint32_t expiry_s = 0;
  std::int64_t disconnected_ms = 0;
  std::int64_t expires_ms = 0;  // while disconnected
  std::unordered_map<std::string, Subscription, TextHash, std::equal_to<>> filters;
  Inflight inflight;
  std::vector<Held> sent;  // not acknowledged yet, kept for redelivery (persistent sessions); ascending numbers
  Ring<Held> queue;
  std::uint64_t next_number = 1;
  std::size_t held_bytes = 0;  // of sent and queue
  std::uint64_t dropped = 0;
  bool overflow_logged = false;
  // Back-pressure: publishers whose acknowledgement waits until this client has taken more of its queue.
  std::vector<Journal::Waiter> held_acks;
  std::int64_t held_since_ms = 0;  // steady
  bool slow = false;               // did not catch up in time: nobody waits for it until its queue is empty
  bool resend = false;             // entries of inflight wait for a free window after a reconnection
  std::unique_ptr<SessionWill> will;
  std::string principal_id;
  std::string last_disconnect;
  // Scratch of the publish that is being routed.
  std::uint64_t match_round = 0;
  std::uint32_t match_index = 0;

  bool persistent() const { return expiry_s > 0; }
  Held* find_sent(std::uint64_t number);
  // Takes it out; empty Held when it is not there.
  Held take_sent(std::uint64_t number);
};

std::string session_key(std::string_view client_id);
std::string subscription_key(std::string_view client_id, std::string_view filter);
std::string queue_key(std::string_view client_id, std::uint64_t number);

std::string session_record(const Session& session);
std::string subscription_record(const Subscription& subscription);
// kInternal on a corrupt record.
Status read_session_record(Session& session, std::string_view record);
Status read_subscription_record(Subscription& subscription, std::string_view record);

}  // namespace muster::mqtt
