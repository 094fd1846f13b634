// SPDX-License-Identifier: Apache-2.0
// Clients that do not behave: slow readers, floods, garbage, storms; and the reserved topics.
#include <random>

#include "mqtt/broker/broker_fixture.h"

namespace muster::mqtt {
namespace {

// Answers on $echo/..., holds what it is told to hold, refuses the rest.
class EchoHook final : public IngressHook {
 public:
  bool handle(const Ingress& message, std::function<void(bool accepted)> handled) override {
    if (!message.topic.starts_with("$echo/")) return false;
    seen.push_back(message.topic + "=" + message.payload);
    if (message.topic == "$echo/hold") {
      held.push_back(std::move(handled));
      return true;
    }
    if (message.topic == "$echo/fail") {
      handled(false);
      return true;
    }
    message.reply(message.topic + "/accepted", message.payload);
    replies.push_back(message.reply);
    handled(true);
    return true;
  }
  std::vector<std::string> seen;
  std::vector<std::function<void(bool)>> held;
  std::vector<std::function<void(std::string, std::string)>> replies;
};

class HostileTest : public BrokerTest {
 protected:
  void SetUp() override {
    hooks = {&echo};
    options.max_output_bytes = 64 * 1024;
    options.max_queue_messages = 50;
    BrokerTest::SetUp();
  }
  static bool is_v5() { return GetParam() == Version::k5; }
  EchoHook echo;
};

INSTANTIATE_TEST_SUITE_P(Versions, HostileTest, ::testing::Values(Version::k311, Version::k5),
                         [](const auto& instance) { return instance.param == Version::k5 ? "v5" : "v311"; });

TEST_P(HostileTest, ReservedTopicsGoToTheirHookAndTheReplyToTheRequesterAlone) {
  auto other = connected("other");
  other->subscribe("$echo/a/accepted", 1);
  EXPECT_EQ(other->take().size(), 1U);
  auto device = connected("d");
  device->publish("$echo/a", "x", 1, 5);
  auto seen = device->take();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].topic, "$echo/a/accepted");
  EXPECT_EQ(seen[0].qos, 0);  // not subscribed
  EXPECT_EQ(seen[1].packet_id, 5);
  device->subscribe("$echo/+/accepted", 1, 6);
  EXPECT_EQ(device->take().size(), 1U);
  device->publish("$echo/a", "y", 0);
  const Seen reply = device->take_one(PacketType::kPublish);  // once, although it subscribed
  EXPECT_EQ(reply.qos, 1);
  EXPECT_EQ(reply.payload, "y");
  device->puback(reply.packet_id);
  EXPECT_TRUE(other->take().empty());
  // A reply after the connection is gone goes nowhere.
  device->drop();
  on_loop([&] { echo.replies.at(0)("$echo/a/accepted", "late"); });
  EXPECT_TRUE(other->take().empty());
}

TEST_P(HostileTest, AReplyNeedsThePermissionToReceive) {
  authorizer.rules.no_receive = {"$echo/a/accepted"};
  auto device = connected("d");
  device->publish("$echo/a", "x", 1, 5);
  EXPECT_EQ(device->take_one(PacketType::kPuback).packet_id, 5);
}

TEST_P(HostileTest, UnknownReservedTopicsAreRefused) {
  auto device = connected("d");
  device->publish("$unknown/x", "x", 1, 5);
  const auto seen = device->take();
  if (is_v5()) {
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].type, PacketType::kPuback);
    EXPECT_EQ(seen[0].reason, Reason::kTopicNameInvalid);
    device->publish("$unknown/x", "x", 0);
    EXPECT_EQ(device->take_one(PacketType::kDisconnect).reason, Reason::kTopicNameInvalid);
  } else {
    EXPECT_TRUE(seen.empty());
  }
  EXPECT_TRUE(device->closed());
  auto permitted = connected("p");
  on_loop([&] { authorizer.rules.no_publish = {"$echo/a"}; });
  permitted->publish("$echo/a", "x", 1, 5);
  EXPECT_TRUE(permitted->closed());
  EXPECT_TRUE(echo.seen.empty());
}

TEST_P(HostileTest, AcknowledgementsKeepTheirOrderBehindASlowRequest) {
  auto device = connected("d");
  device->publish("$echo/hold", "x", 1, 1);
  device->publish("plain", "x", 1, 2);
  device->publish("$echo/hold", "x", 1, 3);
  EXPECT_TRUE(device->take().empty());
  on_loop([&] { echo.held.at(1)(true); });
  EXPECT_TRUE(device->take().empty());
  on_loop([&] { echo.held.at(0)(true); });
  const auto seen = device->take();
  ASSERT_EQ(seen.size(), 3U);
  for (std::uint16_t i = 0; i < 3; ++i) EXPECT_EQ(seen[i].packet_id, i + 1);
  // What could not be done is not acknowledged.
  device->publish("$echo/fail", "x", 1, 4);
  EXPECT_TRUE(device->closed());
}

TEST_P(HostileTest, TooManyRequestsInWorkStopTheReading) {
  auto device = connected("d", true, 0);
  for (int i = 0; i < 200; ++i) device->publish("$echo/hold", "x", 0);
  settle();
  std::size_t taken = 0;
  on_loop([&] { taken = echo.held.size(); });
  EXPECT_GE(taken, 64U);
  EXPECT_LE(taken, 65U);
  for (std::size_t done = 0; done < 200; ++done) {
    settle();
    on_loop([&] {
      if (done < echo.held.size()) echo.held[done](true);
    });
  }
  settle();
  on_loop([&] { taken = echo.held.size(); });
  EXPECT_EQ(taken, 200U);
}

TEST_P(HostileTest, ASlowReaderCostsBoundedMemoryAndNobodyElseWaits) {
  auto slow = device(GetParam(), 4096);
  slow->connect("slow");
  slow->subscribe("t", 0);
  EXPECT_EQ(slow->take().size(), 2U);
  const auto drain = [&] {
    std::vector<Seen> all;
    for (int quiet = 0; quiet < 5; ++quiet) {
      for (Seen& one : slow->take()) {
        all.push_back(std::move(one));
        quiet = 0;
      }
    }
    return all;
  };
  auto quick = connected("quick");
  quick->subscribe("t", 0);
  EXPECT_EQ(quick->take().size(), 1U);
  slow->set_reading(false);
  auto sender = connected("s");
  const std::string payload(8000, 'x');
  std::size_t got = 0;
  for (int i = 0; i < 100; ++i) {
    sender->publish("t", payload, 0);
    got += quick->take().size();
  }
  EXPECT_EQ(got, 100U);
  EXPECT_GT(summary("slow").dropped, 80U);
  slow->set_reading(true);
  const std::size_t late = drain().size();
  EXPECT_GE(late, 8U);
  EXPECT_LE(late, 12U);
  // It is served again.
  sender->publish("t", "fresh", 0);
  const std::vector<Seen> fresh = drain();
  ASSERT_EQ(fresh.size(), 1U);
  EXPECT_TRUE(fresh[0].payload == "fresh");
}

TEST_P(HostileTest, QosOneOfASlowReaderWaitsInItsQueueInOrder) {
  auto slow = device(GetParam(), 4096);
  slow->connect("slow");
  slow->subscribe("t", 1);
  EXPECT_EQ(slow->take().size(), 2U);
  slow->set_reading(false);
  auto sender = connected("s");
  for (std::uint16_t i = 1; i <= 40; ++i) {
    sender->publish("t", std::to_string(i) + std::string(4000, 'x'), 1, i);
    settle();
  }
  slow->set_reading(true);
  int expected = 1;
  for (int round = 0; round < 40 && expected <= 40; ++round) {
    for (const Seen& one : slow->take()) {
      EXPECT_EQ(std::stoi(one.payload), expected++);
      slow->puback(one.packet_id);
    }
  }
  EXPECT_EQ(expected, 41);
  EXPECT_EQ(broker->total(&BrokerStats::dropped), 0U);
  EXPECT_EQ(broker->total(&BrokerStats::queued_bytes), 0U);
}

TEST_P(HostileTest, PublishersWaitForAClientThatTakesItsTimeAndNotForOneThatSleeps) {
  auto slow = connected("slow");
  slow->subscribe("t", 1);
  EXPECT_EQ(slow->take().size(), 1U);
  auto sender = connected("s");
  // 100 fit into the client's window; a quarter of 50 may wait; from then on acknowledgements are held back.
  for (std::uint16_t i = 1; i <= 150; ++i) sender->publish("t", std::to_string(i), 1, i);
  EXPECT_EQ(sender->take().size(), 112U);
  int expected = 1;
  for (int round = 0; round < 10; ++round) {
    for (const Seen& one : slow->take()) {
      EXPECT_EQ(one.payload, std::to_string(expected++));
      slow->puback(one.packet_id);
    }
  }
  EXPECT_EQ(expected, 151);
  EXPECT_EQ(sender->take().size(), 38U);
  EXPECT_EQ(broker->total(&BrokerStats::dropped), 0U);
  // One that acknowledges nothing holds a publisher for a second, once.
  for (std::uint16_t i = 1; i <= 150; ++i) sender->publish("t", "x", 1, i);
  EXPECT_EQ(sender->take().size(), 112U);
  advance_ms(1000);
  EXPECT_EQ(sender->take().size(), 38U);
  for (std::uint16_t i = 1; i <= 100; ++i) sender->publish("t", "y", 1, i);
  EXPECT_EQ(sender->take().size(), 100U);
  EXPECT_EQ(broker->total(&BrokerStats::dropped), 100U);
  // And one that goes away holds nobody.
  auto other = connected("other");
  other->subscribe("u", 1);
  EXPECT_EQ(other->take().size(), 1U);
  for (std::uint16_t i = 1; i <= 150; ++i) sender->publish("u", "x", 1, i);
  EXPECT_EQ(sender->take().size(), 112U);
  other->drop();
  EXPECT_EQ(sender->take().size(), 38U);
}

TEST_P(HostileTest, AClientThatReadsNothingIsDisconnected) {
  auto slow = device(GetParam(), 4096);
  slow->connect("slow");
  slow->subscribe("t", 0);
  EXPECT_EQ(slow->take().size(), 2U);
  slow->set_reading(false);
  auto sender = connected("s");
  sender->publish("t", std::string(50'000, 'x'), 0);
  advance_ms(20'000);
  EXPECT_EQ(broker->total(&ListenerStats::connections), 2U);
  advance_ms(15'000);
  advance_ms(5'000);
  EXPECT_EQ(broker->total(&ListenerStats::connections), 1U);
  EXPECT_EQ(broker->total(&BrokerStats::sessions), 1U);
}

TEST_P(HostileTest, AFloodOfPingsFromAClientThatDoesNotReadStopsTheReading) {
  auto flood = device(GetParam(), 4096);
  flood->connect("flood");
  EXPECT_EQ(flood->take().size(), 1U);
  flood->set_reading(false);
  std::string pings;
  for (int i = 0; i < 200'000; ++i) encode(pings, Pingreq{});
  flood->send(pings);
  settle();
  // 400 KB of answers are wanted; the output stops at its bound plus one read.
  EXPECT_LT(broker->total(&ListenerStats::bytes_in), 64U * 1024 + 2 * 64 * 1024 + 4096);
}

TEST_P(HostileTest, PacketsAboveTheLimitEndTheConnectionBeforeTheyAreBuffered) {
  auto device = connected("d");
  device->send(std::string("\x30\xff\xff\xff\x7f", 5));
  EXPECT_TRUE(device->closed());
  auto large = connected("l");
  large->publish("t", std::string(131'073, 'x'), 0);
  EXPECT_TRUE(large->closed());
  auto fits = connected("f");
  fits->subscribe("t", 0);
  EXPECT_EQ(fits->take().size(), 1U);
  fits->publish("t", std::string(131'072, 'x'), 0);
  EXPECT_EQ(fits->take_one(PacketType::kPublish).payload.size(), 131'072U);
}

TEST_P(HostileTest, IncompleteConnectsShareOneBound) {
  kill_broker();
  options.max_stranger_bytes = 100'000;
  make_broker();
  const std::string part =
      std::string("\x10\xe0\xc4\x08\0\4MQTT", 10) + static_cast<char>(GetParam()) + std::string(60'000, '\0');
  auto first = device(GetParam());
  first->send(part.substr(0, 60'000));
  auto second = device(GetParam());
  second->send(part.substr(0, 60'000));
  settle();
  EXPECT_FALSE(first->closed());
  EXPECT_TRUE(second->closed());
  EXPECT_EQ(broker->total(&BrokerStats::refused), 1U);
  auto small = device(GetParam());  // in two pieces
  small->send(part.substr(0, 900));
  settle();
  EXPECT_FALSE(small->closed());
  connected("d");
  // What was let go is free again.
  first->drop();
  settle();
  auto third = device(GetParam());
  third->send(part.substr(0, 60'000));
  settle();
  EXPECT_FALSE(third->closed());
}

TEST_P(HostileTest, TheNumberOfConnectionsAndSubscriptionsIsBounded) {
  kill_broker();
  options.max_connections = 2;
  options.max_subscriptions = 2;
  make_broker();
  auto a = connected("a");
  auto b = connected("b");
  auto c = device(GetParam());
  EXPECT_TRUE(c->closed());
  EXPECT_EQ(broker->total(&BrokerStats::refused), 1U);
  a->subscribe("1", 0);
  a->subscribe("2", 0);
  a->subscribe("3", 0);
  a->subscribe("1", 1);
  const auto seen = a->take();
  ASSERT_EQ(seen.size(), 4U);
  EXPECT_EQ(seen[2].codes, is_v5() ? "\x97" : "\x80");
  EXPECT_EQ(seen[3].codes, "\1");
  std::string deep = "a";
  for (int i = 0; i < 200; ++i) deep += "/a";
  b->subscribe(deep, 0);
  EXPECT_EQ(b->take_one(PacketType::kSuback).codes, is_v5() ? "\x8f" : "\x80");
}

TEST_P(HostileTest, RetainedMessagesAreBoundedAndExpire) {
  kill_broker();
  options.max_retained = 3;
  options.max_retained_bytes = 10'000;
  make_broker();
  auto device = connected("d");
  device->publish("1", "x", 0, 0, true);
  device->publish("2", std::string(9'000, 'x'), 0, 0, true);
  settle();
  EXPECT_EQ(broker->total(&BrokerStats::retained), 2U);
  device->publish("3", std::string(9'000, 'x'), 1, 7, true);  // too many bytes
  const auto seen = device->take();
  if (is_v5()) {
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].reason, Reason::kQuotaExceeded);
  } else {
    EXPECT_TRUE(device->closed());  // 3.1.1 has no other way to say no
    device = connected("d2");
  }
  device->publish("2", "small again", 0, 0, true);
  EXPECT_TRUE(device->take().empty());
  if (!is_v5()) return;
  PropertyWriter writer;
  writer.add(PropertyId::kMessageExpiry, 30);
  Publish packet;
  packet.topic = "3";
  packet.payload = "short-lived";
  packet.retain = true;
  packet.properties = writer.view();
  std::string bytes;
  encode(bytes, Version::k5, packet);
  device->send(bytes);
  device->publish("4", "one too many", 1, 8, true);
  EXPECT_EQ(device->take_one(PacketType::kPuback).reason, Reason::kQuotaExceeded);
  advance_ms(61'000);
  EXPECT_EQ(broker->total(&BrokerStats::retained), 2U);
  device->publish("4", "fits now", 1, 9, true);
  EXPECT_EQ(device->take_one(PacketType::kPuback).reason, Reason::kNoMatchingSubscribers);
}

TEST_P(HostileTest, WillsOnReservedTopicsAreRefused) {
  Connect packet;
  packet.version = GetParam();
  packet.client_id = "w";
  packet.has_will = true;
  packet.will.topic = "$echo/a";
  auto device = this->device(GetParam());
  device->connect(packet);
  const auto seen = device->take();
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_NE(seen[0].reason, Reason::kSuccess);
  EXPECT_TRUE(device->closed());
}

TEST_P(HostileTest, AStormOfConnectionsAndGarbageLeavesNothingBehind) {
  std::mt19937 random(GetParam() == Version::k5 ? 5 : 3);
  auto observer = connected("observer");
  observer->subscribe("#", 0);
  EXPECT_EQ(observer->take().size(), 1U);
  std::vector<std::unique_ptr<Device>> crowd;
  for (int step = 0; step < 1500; ++step) {
    const unsigned action = random() % 10;
    if (crowd.size() < 4 || (action < 2 && crowd.size() < 40)) {
      crowd.push_back(device(random() % 2 == 0 ? Version::k311 : Version::k5, 1 + random() % 3000));
      crowd.back()->connect("client" + std::to_string(random() % 6), random() % 2 == 0, random() % 2 * 1000);
      continue;
    }
    auto& one = crowd[random() % crowd.size()];
    switch (action) {
      case 2:
        one->drop();
        [[fallthrough]];
      case 3:
        std::swap(one, crowd.back());
        crowd.pop_back();
        break;
      case 4: {
        std::string garbage(random() % 60, '\0');
        for (char& byte : garbage) byte = static_cast<char>(random());
        one->send(garbage);
        break;
      }
      case 5:
        one->subscribe(random() % 2 == 0 ? "a/#" : "+/b", static_cast<std::uint8_t>(random() % 2));
        break;
      case 6:
        one->set_reading(random() % 2 == 0);
        break;
      case 7:
        advance_ms(static_cast<std::int64_t>(random() % 20'000));
        break;
      default: {
        const std::uint8_t qos = static_cast<std::uint8_t>(random() % 2);
        one->publish("a/b", std::string(random() % 2000, 'p'), qos, static_cast<std::uint16_t>(qos * (step + 1)),
                     random() % 20 == 0);
      }
    }
  }
  crowd.clear();
  settle();
  advance_ms(3000);
  advance_ms(3000);
  EXPECT_LE(broker->total(&ListenerStats::connections), 1U);  // the observer, unless its keep-alive ran out
  advance_ms(3600 * 1000);
  advance_ms(3600 * 1000);
  EXPECT_EQ(broker->total(&BrokerStats::sessions), 0U);
  EXPECT_EQ(broker->total(&BrokerStats::subscriptions), 0U);
  EXPECT_EQ(broker->total(&BrokerStats::queued_messages), 0U);
  EXPECT_EQ(broker->total(&BrokerStats::queued_bytes), 0U);
  advance_ms(1000);
  EXPECT_EQ(store->size(), broker->total(&BrokerStats::retained));
}

}  // namespace
}  // namespace muster::mqtt
