// SPDX-License-Identifier: Apache-2.0
// Broker: sessions, subscriptions, retained messages and wills over the connections it was handed. Owned by
// server/wiring. It runs on one or more loops, a shard each (shard.h): a client id belongs to one shard, whose loop has
// its session and its connection; what shards share is in hub.h. Functions marked thread-safe post to the shards.
//
// A round of a shard: every readable client is read and parsed; a message that goes out as it came in is copied from
// the receive buffer into the subscribers' output, else it is encoded once per form; what is owed to persistent
// sessions is collected; at the end of the round it becomes one record of the message log, each client with output is
// written once, and other shards get what is theirs. Acknowledgements (PUBACK, PUBREC, PUBCOMP, SUBACK, CONNACK of a
// persistent session) that depend on stable storage leave when it has what they promise, in the order MQTT wants.
//
// It refuses enhanced authentication, with the reason code of MQTT 5. Who may do what is the Authorizer's to say
// (ports.h); AWS's behaviour decides what a refusal does: an unauthorised PUBLISH closes the connection (MQTT 5:
// DISCONNECT 0x87), an unauthorised filter fails in its SUBACK, an unauthorised delivery is left out.
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

struct BrokerLoop {
  io::Loop* loop = nullptr;
  Authorizer* authorizer = nullptr;  // asked on this loop
};

struct Hub;

class Broker {
 public:
  // Reloads sessions, queues and retained messages; blocks, so before the loops run. All references outlive the broker.
  static Result<std::unique_ptr<Broker>> create(const std::vector<BrokerLoop>& loops, const io::Clock& clock,
                                                store::Store& store, const BrokerOptions& options);
  // On the one loop, or after the loops have stopped. Open connections are dropped.
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  std::size_t shards() const;
  // Asked in order for each PUBLISH on a topic that begins with '$', on the shard's loop. Before the first accept().
  void add_ingress(std::size_t shard, IngressHook& hook);
  // Starts the timers (keep-alive, expiry, wills). Tests that own a virtual clock call tick() instead.
  void start();
  // Everything whose time has come, by the clock. On the shard's loop.
  void tick(std::size_t shard = 0);

  // Names what connections come in by, for counters and the client list; 0 is "other". Before start().
  std::uint16_t add_listener(std::string name);
  const std::vector<std::string>& listeners() const;
  // Takes a connected stream of this shard's loop. On that loop.
  void accept(std::size_t shard, std::unique_ptr<io::Stream> stream, Arrival arrival = {});
  // Told about clients; outlives the broker. Before start().
  void set_lifecycle(Lifecycle& lifecycle);

  // store::Publisher. Thread-safe. `handled` is called on a loop of the broker when every message is in the output of
  // the online subscribers and durably queued for persistent sessions.
  void publish_from_server(std::vector<store::OutboxMessage> batch, std::function<void()> handled);
  // One message on behalf of somebody whom the caller has authorised (iot-data Publish, lifecycle events). Thread-safe;
  // `done` on a loop of the broker, or null. The topic may begin with '$'.
  void publish(ServerMessage message, std::function<void(PublishOutcome)> done);

  // Whether anybody subscribes to the topic now, connected or not. Thread-safe, answers at once.
  bool wanted(std::string_view topic) const;

  // The retained message of a topic, and up to `limit` topics behind `after` in byte order. Thread-safe; `done` on a
  // loop.
  void retained_message(std::string topic, std::function<void(std::optional<RetainedSummary>)> done);
  void retained_messages(std::string after, std::size_t limit, std::function<void(std::vector<RetainedSummary>)> done);

  // After a change of a certificate or its policies: connections whose grant is no longer valid are closed.
  // Thread-safe.
  void recheck(std::string principal_id);
  void recheck_all();
  void recheck(std::size_t shard, std::string principal_id);

  // MQTT 5 clients get DISCONNECT 0x8B; wills of clean stops are not published; writes what is pending, then calls
  // `stopped`. Thread-safe; accept() closes what comes later.
  void stop(std::function<void()> stopped);

  // Sessions, connected or kept, in the order of their client ids: at most `limit` behind `after`. Thread-safe; `done`
  // on the loop.
  void clients(std::string after, std::size_t limit, std::function<void(std::vector<ClientSummary>)> done);
  // Sessions, connected or kept, of these client ids or of these principals; each once, in no order. Thread-safe;
  // `done` on a loop.
  void find_clients(ClientQuery query, std::function<void(std::vector<ClientSummary>)> done);
  // Closes a client's connection (admin); true when it was connected. Thread-safe; `done` on a loop of the broker, or
  // null.
  void disconnect(std::string client_id, std::string reason, std::function<void(bool)> done);
  // Waits until the message logs have written what was appended; false when one cannot. Not on a loop.
  bool flush();
  // Counters of all shards together; thread-safe.
  std::uint64_t total(Counter BrokerStats::*counter) const;
  std::uint64_t total(std::size_t listener, Counter ListenerStats::*counter) const;
  std::uint64_t total(Counter ListenerStats::*counter) const;

 private:
  explicit Broker(std::unique_ptr<Hub> hub);
  std::unique_ptr<Hub> hub_;
};

}  // namespace muster::mqtt
