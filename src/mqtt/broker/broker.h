// SPDX-License-Identifier: Apache-2.0
// Broker: sessions, subscriptions, retained messages and wills over the connections it was handed. Owned by
// server/wiring; lives on one Loop, where all its state is touched; functions marked thread-safe post to it.
//
// A round: every readable client is read and parsed, messages are encoded once per protocol version and copied into the
// subscribers' output, records owed to persistent sessions are collected; at the end of the round one transaction is
// started for those records and each client with output is written once. Acknowledgements (PUBACK, SUBACK, CONNACK of a
// persistent session) that depend on such records leave when the transaction is durable, in the order MQTT wants.
//
// It refuses: QoS 2, shared subscriptions and enhanced authentication, with the reason codes of MQTT 5. Who may do what
// is the Authorizer's to say (ports.h); AWS's behaviour decides what a refusal does: an unauthorised PUBLISH closes the
// connection (MQTT 5: DISCONNECT 0x87), an unauthorised filter fails in its SUBACK, an unauthorised delivery is left
// out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/env.h"
#include "io/loop.h"
#include "io/stream.h"
#include "mqtt/broker/options.h"
#include "mqtt/broker/ports.h"
#include "store/outbox.h"
#include "store/store.h"

namespace muster::mqtt {

// Where a connection came from.
struct Arrival {
  std::string initial;                                // already read from the stream
  std::shared_ptr<const TransportIdentity> identity;  // what the transport proved, or null
  std::uint16_t listener = 0;                         // of add_listener()
};

// A message that the server publishes itself.
struct ServerMessage {
  std::string topic;
  std::string payload;
  std::uint8_t qos = 0;
  bool retain = false;
  std::string properties;  // MQTT 5, of a PropertyWriter
  std::uint64_t present = 0;
};

enum class PublishOutcome : std::uint8_t {
  kDone,  // durable where owed
  kBadTopic,
  kTooLarge,
  kNoRoom,       // too many retained messages
  kUnavailable,  // stopping
};

struct RetainedSummary {
  std::string topic;
  std::string payload;  // left empty in lists
  std::size_t payload_bytes = 0;
  std::uint8_t qos = 0;
  std::int64_t modified_ms = 0;
  std::string properties;
  std::uint64_t present = 0;
};

class Broker {
 public:
  // Reloads sessions, queues and retained messages; blocks, so before the loop runs. All references outlive the broker.
  static Result<std::unique_ptr<Broker>> create(io::Loop& loop, const io::Clock& clock, store::Store& store,
                                                Authorizer& authorizer, const BrokerOptions& options);
  // On the loop, or after the loop has stopped. Open connections are dropped.
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  // Asked in order for each PUBLISH on a topic that begins with '$'. Before the first accept().
  void add_ingress(IngressHook& hook);
  // Starts the timers (keep-alive, expiry, wills). Tests that own a virtual clock call tick() instead.
  void start();
  // Everything whose time has come, by the clock. On the loop.
  void tick();

  // Names what connections come in by, for counters and the client list; 0 is "other". Before start().
  std::uint16_t add_listener(std::string name);
  // Takes a connected stream on this loop. On the loop.
  void accept(std::unique_ptr<io::Stream> stream, Arrival arrival = {});
  // Told about clients; outlives the broker. Before start().
  void set_lifecycle(Lifecycle& lifecycle);

  // store::Publisher. Thread-safe. `handled` is called on the loop when every message is in the output of the online
  // subscribers and durably queued for persistent sessions.
  void publish_from_server(std::vector<store::OutboxMessage> batch, std::function<void()> handled);
  // One message on behalf of somebody whom the caller has authorised (iot-data Publish, lifecycle events). Thread-safe;
  // `done` on the loop, or null. The topic may begin with '$'.
  void publish(ServerMessage message, std::function<void(PublishOutcome)> done);

  // The retained message of a topic, and up to `limit` topics behind `after` in byte order. Thread-safe; `done` on the
  // loop.
  void retained_message(std::string topic, std::function<void(std::optional<RetainedSummary>)> done);
  void retained_messages(std::string after, std::size_t limit, std::function<void(std::vector<RetainedSummary>)> done);

  // After a change of a certificate or its policies: connections whose grant is no longer valid are closed.
  // Thread-safe.
  void recheck(std::string principal_id);
  void recheck_all();

  // MQTT 5 clients get DISCONNECT 0x8B; wills of clean stops are not published; writes what is pending, then calls
  // `stopped`. Thread-safe; accept() closes what comes later.
  void stop(std::function<void()> stopped);

  // Sessions, connected or kept, in the order of their client ids: at most `limit` behind `after`. Thread-safe; `done`
  // on the loop.
  void clients(std::string after, std::size_t limit, std::function<void(std::vector<ClientSummary>)> done);
  // Closes a client's connection (admin); true when it was connected. Thread-safe; `done` on the loop, or null.
  void disconnect(std::string client_id, std::string reason, std::function<void(bool)> done);
  const BrokerStats& stats() const;  // thread-safe

  struct State;

 private:
  explicit Broker(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace muster::mqtt
