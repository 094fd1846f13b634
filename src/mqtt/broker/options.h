// SPDX-License-Identifier: Apache-2.0
// Limits of the broker, each with its default and where that comes from; and the counters and client list it shows.
// Values only. Every limit answers as the protocol says (reason code, then closure where the protocol closes).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "mqtt/broker/ports.h"

namespace muster::mqtt {

struct BrokerOptions {
  std::size_t max_connections = 100'000;       // beyond: closed before CONNECT is read
  std::int64_t connect_deadline_ms = 10'000;   // from accept to a whole CONNECT
  std::size_t max_payload_bytes = 131'072;     // AWS quota: 128 KB
  std::size_t max_packet_bytes = 149'504;      // AWS's Maximum Packet Size
  std::size_t max_connect_bytes = 140'000;     // a CONNECT with a will of full size; bounds memory before authorisation
  std::size_t max_stranger_bytes = 64u << 20;  // incomplete CONNECTs of all connections together
  std::size_t max_client_id_bytes = 128;       // AWS quota
  std::size_t max_topic_bytes = 1024;          // AWS: 256 plus reserved prefix
  std::size_t max_topic_levels = 128;          // of names and filters, behind $aws/rules/NAME/ (AWS: 7 slashes, so 8)
  std::uint32_t max_keep_alive_s = 1200;       // AWS; also taken when a client asks for 0
  std::uint32_t min_keep_alive_s = 0;          // a shorter one is raised to it, Server Keep Alive says so (AWS: 30)
  std::uint32_t session_expiry_s = 3600;       // MQTT 3.1.1 persistent sessions; AWS default 1 h
  std::uint32_t max_session_expiry_s = 604'800;  // AWS maximum, 7 days
  std::size_t max_sessions = 1'000'000;          // connected and stored together
  std::size_t max_subscriptions = 1000;          // each session (AWS profile: 50)
  std::size_t max_filters_per_subscribe = 1000;  // in one SUBSCRIBE or UNSUBSCRIBE: Quota exceeded (AWS: 8)
  std::uint16_t receive_maximum = 100;           // unacknowledged QoS 1 PUBLISHes of a client (AWS: 100)
  std::uint16_t max_inflight = 100;              // unacknowledged towards a client, at most what it announced
  // Back-pressure: when a connected client has a quarter of its queue waiting, PUBACKs of those who publish to it are
  // held back until an eighth is left, at most for this long; then it counts as slow until its queue is empty.
  // Meanwhile its queue may grow to 16 times the count, within the bytes.
  std::int64_t max_hold_ms = 1000;
  std::string message_log_directory;    // where messages owed to persistent sessions are kept
  std::function<bool()> may_write_log;  // tests: false makes a write fail
  std::size_t max_log_segments = 16;    // of 64 MiB each and shard; beyond, what lives in the oldest is written again
  // Messages held for one session: what waits for an absent or slow client. When full, the oldest that was not sent yet
  // is dropped, counted in the client list and logged: the newest state is worth most to a device that comes back.
  std::size_t max_queue_messages = 1000;
  std::size_t max_queue_bytes = 4u << 20;
  std::size_t max_held_bytes = 512u << 20;  // queues of all sessions; beyond, the same policy for each new message
  // Unsent bytes of one client: above it QoS 0 is dropped, QoS 1 stays in the queue, and the client is not read from.
  std::size_t max_output_bytes = 1u << 20;
  std::int64_t write_stall_ms = 30'000;  // output pending without any progress: disconnected
  // Rates of one connection; 0: none. What is above is not read until its time has come: back-pressure, no closure.
  std::uint32_t max_publishes_per_second = 0;  // PUBLISHes from the client (AWS: 100)
  std::uint64_t max_bytes_per_second = 0;      // in both directions together (AWS: 512 KB)
  std::uint32_t max_connects_per_second = 0;   // of one client id, beyond: CONNACK Connection rate exceeded (AWS: 1)
  std::uint16_t topic_alias_maximum = 8;       // announced to clients (AWS: 8)
  std::size_t max_retained = 100'000;
  std::size_t max_retained_bytes = 256u << 20;  // in memory
  bool allow_anonymous_without_id = true;       // an empty client id gets an assigned one (AWS does so)
};

// Written by the broker's loop alone, read by any thread: no locked instruction on the path of a message.
class Counter {
 public:
  operator std::uint64_t() const { return value_.load(std::memory_order_relaxed); }  // NOLINT
  void operator++() { *this += 1; }
  void operator--() { *this -= 1; }
  void operator+=(std::uint64_t by) { value_.store(*this + by, std::memory_order_relaxed); }
  void operator-=(std::uint64_t by) { value_.store(*this - by, std::memory_order_relaxed); }
  void operator=(std::uint64_t to) { value_.store(to, std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Counters of one shard since start; any thread may read.
struct BrokerStats {
  Counter sessions;  // now
  Counter subscriptions;
  Counter retained;
  Counter queued_messages;
  Counter queued_bytes;
  Counter moved;    // connections that went to the shard of their client id
  Counter refused;  // bounds: connections closed unread
  Counter auth_failures;
  Counter denied;  // publish, subscribe or receive without permission
  Counter takeovers;
  Counter protocol_errors;
  Counter messages_in;
  Counter messages_out;
  Counter dropped;          // QoS 0 for slow clients, and queue overflow
  Counter expired;          // message expiry
  Counter durable_batches;  // transactions of session state
  Counter log_syncs;        // of the message log
};

// Of one listener on one shard.
struct ListenerStats {
  Counter connections;  // open now
  Counter accepted;
  Counter connects;
  Counter refused;
  Counter auth_failures;
  Counter protocol_errors;
  Counter messages_in;
  Counter messages_out;
  Counter bytes_in;
  Counter bytes_out;
};

struct ClientQuery {
  std::vector<std::string> client_ids, certificate_ids;
};
struct ClientSummary {
  std::string client_id;
  bool connected = false;
  std::uint8_t protocol = 4;  // 4: 3.1.1, 5: 5.0
  std::string address;
  std::uint16_t port = 0;
  bool tls = false;
  std::string listener;  // the name it came in by
  std::string principal_id;
  PrincipalKind principal_kind = PrincipalKind::kUnknown;
  std::uint32_t keep_alive_s = 0;
  std::uint32_t session_expiry_s = 0;
  std::size_t subscriptions = 0;
  std::size_t inflight = 0;
  std::size_t queued = 0;
  std::size_t queued_bytes = 0;
  std::uint64_t dropped = 0;
  std::int64_t connected_ms = 0;
  std::int64_t disconnected_ms = 0;
  std::string last_disconnect;  // why the last connection ended
};

}  // namespace muster::mqtt
