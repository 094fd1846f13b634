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

  // Takes a connected stream on this loop; `initial` was already read from it. On the loop.
  void accept(std::unique_ptr<io::Stream> stream, std::string initial = {});

  // store::Publisher. Thread-safe. `handled` is called on the loop when every message is in the output of the online
  // subscribers and durably queued for persistent sessions.
  void publish_from_server(std::vector<store::OutboxMessage> batch, std::function<void()> handled);
  // One message on behalf of an HTTPS caller (iot-data Publish, authorised by the caller). Thread-safe; `done(true)`
  // when durable where owed. `$` topics and invalid topic names: false.
  void publish(std::string topic, std::string payload, std::uint8_t qos, bool retain, std::function<void(bool)> done);

  // After a change of a certificate or its policies: connections whose grant is no longer valid are closed.
  // Thread-safe.
  void recheck(std::string principal_id);
  void recheck_all();

  // MQTT 5 clients get DISCONNECT 0x8B; wills of clean stops are not published; writes what is pending, then calls
  // `stopped`. Thread-safe; accept() closes what comes later.
  void stop(std::function<void()> stopped);

  std::vector<ClientSummary> clients() const;  // on the loop
  // Closes a client's connection (admin); true when it was connected. On the loop.
  bool disconnect(std::string_view client_id, std::string_view reason);
  const BrokerStats& stats() const;  // thread-safe

  struct State;

 private:
  explicit Broker(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace muster::mqtt
