// SPDX-License-Identifier: Apache-2.0
// For tests of the broker: a loop on its own thread, a virtual clock, the memory store, an authorizer that refuses what
// it is told to refuse, and devices that speak through in-memory streams. Test code runs on the main thread and reaches
// into the loop with on_loop().
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "io/env.h"
#include "io/loop.h"
#include "mqtt/broker/broker.h"
#include "mqtt/codec/decode.h"
#include "mqtt/codec/encode.h"
#include "mqtt/codec/topics.h"
#include "store/memory_engine.h"

namespace muster::mqtt {

struct Rules {
  std::set<std::string, std::less<>> no_publish, no_subscribe, no_receive;  // exact topics and filters
  std::set<std::string, std::less<>> no_connect;                            // client ids
  bool retain_denied = false;
  bool valid = true;
  std::int64_t expires_ms = 0;
  PrincipalKind kind = PrincipalKind::kCertificate;  // of who connects from now on
};

class RuledGrant final : public ConnectionGrant {
 public:
  explicit RuledGrant(const Rules& rules) : rules_(rules), kind_(rules.kind) {}
  bool may_publish(std::string_view topic, bool retain) override {
    return !rules_.no_publish.contains(topic) && !(retain && rules_.retain_denied);
  }
  bool may_subscribe(std::string_view filter) override { return !rules_.no_subscribe.contains(filter); }
  bool may_receive(std::string_view topic) override { return !rules_.no_receive.contains(topic); }
  bool still_valid() override { return rules_.valid; }
  std::string_view principal_id() const override { return "principal"; }
  PrincipalKind principal_kind() const override { return kind_; }
  std::int64_t expires_ms() const override { return rules_.expires_ms; }

 private:
  const Rules& rules_;
  const PrincipalKind kind_;
};

class RuledAuthorizer final : public Authorizer {
 public:
  void connect(const ConnectAttempt& attempt, std::function<void(Decision)> done) override {
    if (hold) {
      held.push_back(std::move(done));
      return;
    }
    Decision decision;
    if (rules.no_connect.contains(attempt.client_id)) {
      decision.reason = "test says no";
      decision.bad_credentials = attempt.has_username;
    } else {
      decision.grant = std::make_unique<RuledGrant>(rules);
    }
    done(std::move(decision));
  }
  Rules rules;
  bool hold = false;
  std::vector<std::function<void(Decision)>> held;
};

// A packet that a device received, copied out of its buffer.
struct Seen {
  PacketType type{};
  std::uint16_t packet_id = 0;
  Reason reason = Reason::kSuccess;
  bool session_present = false;
  std::string topic, payload, codes;
  std::uint8_t qos = 0;
  bool retain = false, dup = false;
  std::string properties;
  std::uint64_t present = 0;
  Properties props() const { return {properties, present}; }
};

class BrokerTest;

// One network connection of a client.
class Device {
 public:
  Device(BrokerTest& test, Version version, std::size_t capacity = 65536);
  ~Device();
  // Sends bytes; in pieces when the pipe is full.
  void send(std::string bytes);
  void connect(const Connect& packet);
  void connect(std::string_view client_id, bool clean_start = true, std::uint32_t expiry_s = 0);
  void subscribe(std::string_view filter, std::uint8_t qos, std::uint16_t packet_id = 1);
  void publish(std::string_view topic, std::string_view payload, std::uint8_t qos = 0, std::uint16_t packet_id = 0,
               bool retain = false);
  void puback(std::uint16_t packet_id);
  void ack(PacketType type, std::uint16_t packet_id, Reason reason = Reason::kSuccess);  // PUBREC, PUBREL, PUBCOMP
  void disconnect();
  void drop();  // closes the stream without DISCONNECT
  void set_reading(bool reading);
  // What has arrived since the last call, once everything has come to rest.
  std::vector<Seen> take();
  // The one packet that arrived; fails the test otherwise.
  Seen take_one(PacketType type);
  bool closed();

  BrokerTest& test;
  Version version;

 private:
  void pump();
  std::unique_ptr<io::Stream> stream_;
  std::string inbox_, outbox_;
  bool closed_ = false, reading_ = true, waiting_ = false, writing_ = false;
};

class BrokerTest : public ::testing::TestWithParam<Version> {
 protected:
  friend class Device;
  void SetUp() override;
  void TearDown() override;

 public:
  void on_loop(const std::function<void()>& fn) {
    std::promise<void> done;
    loop.post([&] {
      fn();
      done.set_value();
    });
    done.get_future().wait();
  }
  // Long enough for every chain of rounds that a test can cause.
  void settle() {
    for (int i = 0; i < 12; ++i) {
      std::promise<void> done;
      loop.post([&] { loop.at_round_end([&] { done.set_value(); }); });
      done.get_future().wait();
      if (broker) broker->flush();
    }
  }
  void mend_log() {
    log_fails = false;
    while (!broker->flush()) std::this_thread::yield();
    settle();
  }
  void advance_ms(std::int64_t by);
  void make_broker();
  void kill_broker();  // as a crash: the store keeps what is durable
  std::unique_ptr<Device> device(Version version, std::size_t capacity = 65536) {
    return std::make_unique<Device>(*this, version, capacity);
  }
  std::unique_ptr<Device> connected(std::string_view client_id, bool clean_start = true, std::uint32_t expiry_s = 0);
  // Of a persistent session; `backlog` is then what came right behind the CONNACK.
  std::unique_ptr<Device> persistent(std::string_view client_id, bool present, std::uint32_t expiry_s = 3600);
  ClientSummary summary(std::string_view client_id);

  io::VirtualClock clock;
  io::Loop loop{"test"};
  std::unique_ptr<store::MemoryStore> store;
  RuledAuthorizer authorizer;
  BrokerOptions options;
  std::string directory;
  std::atomic<bool> log_fails{false};  // the message log's disk
  std::vector<IngressHook*> hooks;
  std::vector<Seen> backlog;
  std::unique_ptr<Broker> broker;
};

}  // namespace muster::mqtt
