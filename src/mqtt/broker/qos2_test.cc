// SPDX-License-Identifier: Apache-2.0
// QoS 2: exactly once through reconnections and crashes, both ways. MQTT 5 section 4.3.3.
#include <filesystem>

#include "mqtt/broker/broker_fixture.h"

namespace muster::mqtt {
namespace {

class Qos2Test : public BrokerTest {
 public:
  std::unique_ptr<Device> subscriber(std::string_view client_id, std::uint8_t qos = 2) {
    auto made = persistent(client_id, false);
    made->subscribe("t", qos);
    EXPECT_EQ(made->take_one(PacketType::kSuback).codes, std::string(1, static_cast<char>(qos)));
    return made;
  }
  void crash() {
    kill_broker();
    log_fails = false;
    make_broker();
  }
};
INSTANTIATE_TEST_SUITE_P(Versions, Qos2Test, ::testing::Values(Version::k311, Version::k5),
                         [](const auto& instance) { return instance.param == Version::k5 ? "v5" : "v311"; });

TEST_P(Qos2Test, TheWholeHandshakeBothWays) {
  for (const bool kept : {false, true}) {
    auto receiver = kept ? persistent("kept", false) : connected("clean");
    receiver->subscribe("t", 2);
    EXPECT_EQ(receiver->take_one(PacketType::kSuback).codes, "\2");
    auto sender = connected("s");
    sender->publish("t", "once", 2, 7);
    EXPECT_EQ(sender->take_one(PacketType::kPubrec).packet_id, 7);
    const Seen got = receiver->take_one(PacketType::kPublish);
    EXPECT_EQ(got.qos, 2);
    EXPECT_EQ(got.payload, "once");
    EXPECT_FALSE(got.dup);
    receiver->ack(PacketType::kPubrec, got.packet_id);
    EXPECT_EQ(receiver->take_one(PacketType::kPubrel).packet_id, got.packet_id);
    receiver->ack(PacketType::kPubcomp, got.packet_id);
    EXPECT_TRUE(receiver->take().empty());
    sender->ack(PacketType::kPubrel, 7);
    EXPECT_EQ(sender->take_one(PacketType::kPubcomp).packet_id, 7);
    EXPECT_EQ(broker->total(&BrokerStats::queued_messages), 0U);
    receiver->disconnect();
  }
}

TEST_P(Qos2Test, GrantedQosIsTheSmallerOfBoth) {
  auto receiver = connected("r");
  receiver->subscribe("t", 1);
  EXPECT_EQ(receiver->take_one(PacketType::kSuback).codes, "\1");
  auto sender = connected("s");
  sender->publish("t", "x", 2, 1);
  EXPECT_EQ(sender->take_one(PacketType::kPubrec).packet_id, 1);
  EXPECT_EQ(receiver->take_one(PacketType::kPublish).qos, 1);
}

TEST_P(Qos2Test, ARepetitionIsNotDeliveredAgain) {
  auto receiver = connected("r");
  receiver->subscribe("t", 2);
  EXPECT_EQ(receiver->take().size(), 1U);
  auto sender = persistent("s", false);
  sender->publish("t", "x", 2, 5);
  EXPECT_EQ(sender->take_one(PacketType::kPubrec).packet_id, 5);
  sender->publish("t", "x", 2, 5);
  EXPECT_EQ(sender->take_one(PacketType::kPubrec).packet_id, 5);
  sender->drop();
  sender = persistent("s", true);
  sender->publish("t", "x", 2, 5);
  EXPECT_EQ(sender->take_one(PacketType::kPubrec).packet_id, 5);
  settle();
  crash();
  sender = persistent("s", true);
  sender->publish("t", "x", 2, 5);
  EXPECT_EQ(sender->take_one(PacketType::kPubrec).packet_id, 5);
  EXPECT_EQ(receiver->take().size(), 1U);
  sender->ack(PacketType::kPubrel, 5);
  EXPECT_EQ(sender->take_one(PacketType::kPubcomp).packet_id, 5);
  crash();
  sender = persistent("s", true);
  auto another = connected("r");
  another->subscribe("t", 2);
  EXPECT_EQ(another->take().size(), 1U);
  sender->publish("t", "y", 2, 5);  // the id is free again, for another message
  EXPECT_EQ(sender->take_one(PacketType::kPubrec).packet_id, 5);
  EXPECT_EQ(another->take_one(PacketType::kPublish).payload, "y");
}

TEST_P(Qos2Test, APersistentSessionsMessageIsSentOnceDurable) {
  auto receiver = subscriber("r");
  auto sender = connected("s");
  settle();
  log_fails = true;
  sender->publish("t", "x", 2, 1);
  EXPECT_TRUE(sender->take().empty());
  EXPECT_TRUE(receiver->take().empty()) << "its packet id would mean another message after a crash";
  mend_log();
  EXPECT_EQ(sender->take_one(PacketType::kPubrec).packet_id, 1);
  EXPECT_EQ(receiver->take_one(PacketType::kPublish).packet_id, 1);
}

TEST_P(Qos2Test, PubrelAndPubcompWaitForTheDisk) {
  auto receiver = subscriber("r");
  auto sender = persistent("s", false);
  sender->publish("t", "x", 2, 1);
  EXPECT_EQ(sender->take().size(), 1U);
  const Seen got = receiver->take_one(PacketType::kPublish);
  settle();
  log_fails = true;
  receiver->ack(PacketType::kPubrec, got.packet_id);
  EXPECT_TRUE(receiver->take().empty());
  sender->ack(PacketType::kPubrel, 1);
  EXPECT_TRUE(sender->take().empty());
  mend_log();
  EXPECT_EQ(receiver->take_one(PacketType::kPubrel).packet_id, got.packet_id);
  EXPECT_EQ(sender->take_one(PacketType::kPubcomp).packet_id, 1);
}

// At every step of the delivery: a crash, and the client resumes with the same packet id.
TEST_P(Qos2Test, ACrashResumesTheDeliveryWhereItWas) {
  auto receiver = subscriber("r");
  auto sender = connected("s");
  sender->publish("t", "x", 2, 1);
  EXPECT_EQ(sender->take().size(), 1U);
  const std::uint16_t id = receiver->take_one(PacketType::kPublish).packet_id;
  crash();
  receiver = persistent("r", true);
  ASSERT_EQ(backlog.size(), 1U);
  EXPECT_EQ(backlog[0].packet_id, id);
  EXPECT_TRUE(backlog[0].dup);
  EXPECT_EQ(backlog[0].payload, "x");
  receiver->ack(PacketType::kPubrec, id);
  EXPECT_EQ(receiver->take_one(PacketType::kPubrel).packet_id, id);
  crash();
  receiver = persistent("r", true);
  ASSERT_EQ(backlog.size(), 1U);
  EXPECT_EQ(backlog[0].type, PacketType::kPubrel);
  EXPECT_EQ(backlog[0].packet_id, id);
  receiver->ack(PacketType::kPubcomp, id);
  EXPECT_TRUE(receiver->take().empty());
  advance_ms(1000);  // done goes lazily
  crash();
  receiver = persistent("r", true);
  EXPECT_TRUE(backlog.empty());
  EXPECT_EQ(broker->total(&BrokerStats::queued_messages), 0U);
}

TEST_P(Qos2Test, PacketIdsGoOnBehindACrash) {
  auto receiver = subscriber("r");
  auto sender = connected("s");
  for (std::uint16_t i = 1; i <= 3; ++i) {
    sender->publish("t", std::to_string(i), 2, i);
    EXPECT_EQ(sender->take().size(), 1U);
  }
  EXPECT_EQ(receiver->take().size(), 3U);
  crash();
  sender = connected("s");
  sender->publish("t", "4", 2, 1);
  EXPECT_EQ(sender->take().size(), 1U);
  receiver = persistent("r", true);
  ASSERT_EQ(backlog.size(), 4U);
  for (std::uint16_t i = 0; i < 4; ++i) EXPECT_EQ(backlog[i].packet_id, i + 1);
  EXPECT_TRUE(backlog[0].dup);
  EXPECT_EQ(backlog[3].payload, "4");
}

TEST_P(Qos2Test, AMessageForAnAbsentSessionIsNotMarkedAsRepeated) {
  auto receiver = subscriber("r");
  receiver->disconnect();
  auto sender = connected("s");
  sender->publish("t", "x", 2, 1);
  EXPECT_EQ(sender->take().size(), 1U);
  settle();
  crash();
  receiver = persistent("r", true);
  ASSERT_EQ(backlog.size(), 1U);
  EXPECT_FALSE(backlog[0].dup);
}

TEST_P(Qos2Test, ManyRestartsKeepOneCopyAndDropOldFiles) {
  auto receiver = subscriber("r");
  receiver->disconnect();
  auto sender = connected("s");
  for (std::uint16_t i = 1; i <= 20; ++i) sender->publish("t", std::to_string(i), 2, i);
  EXPECT_EQ(sender->take().size(), 20U);
  for (int i = 0; i < 5; ++i) crash();
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    files += entry.is_regular_file() ? 1 : 0;
  }
  EXPECT_LE(files, 2U);
  receiver = persistent("r", true);
  ASSERT_EQ(backlog.size(), 20U);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(backlog[i].payload, std::to_string(i + 1));
}

TEST_P(Qos2Test, AnUnknownReleaseIsAnswered) {
  auto device = connected("d");
  device->ack(PacketType::kPubrel, 9);
  const Seen answer = device->take_one(PacketType::kPubcomp);
  EXPECT_EQ(answer.packet_id, 9);
  if (GetParam() == Version::k5) EXPECT_EQ(answer.reason, Reason::kPacketIdentifierNotFound);
}

TEST_P(Qos2Test, WillsAndRetainedMessagesKeepTheirQos) {
  auto watcher = connected("w");
  watcher->subscribe("t", 2);
  EXPECT_EQ(watcher->take().size(), 1U);
  auto mortal = device(GetParam());
  Connect packet;
  packet.version = GetParam();
  packet.client_id = "mortal";
  packet.has_will = true;
  packet.will.topic = "t";
  packet.will.payload = "gone";
  packet.will.qos = 2;
  packet.will.retain = true;
  mortal->connect(packet);
  EXPECT_EQ(mortal->take().size(), 1U);
  mortal->drop();
  EXPECT_EQ(watcher->take_one(PacketType::kPublish).qos, 2);
  auto late = connected("late");
  late->subscribe("t", 2);
  const auto seen = late->take();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[1].qos, 2);
  EXPECT_TRUE(seen[1].retain);
}

// A hook that answers when it is told to.
class Held final : public IngressHook {
 public:
  bool handle(const Ingress& message, std::function<void(bool)> handled) override {
    if (!message.topic.starts_with("$work/")) return false;
    ++asked;
    waiting.push_back(std::move(handled));
    return true;
  }
  std::atomic<int> asked{0};
  std::vector<std::function<void(bool)>> waiting;  // the loop's
};

TEST_P(Qos2Test, ARequestThatFailedIsCarriedOutWhenItIsRepeated) {
  Held hook;
  hooks.push_back(&hook);
  kill_broker();
  make_broker();
  auto sender = persistent("s", false);
  sender->publish("$work/1", "x", 2, 5);
  settle();
  on_loop([&] { hook.waiting.at(0)(false); });
  EXPECT_TRUE(sender->closed());
  sender = persistent("s", true);
  sender->publish("$work/1", "x", 2, 5);
  EXPECT_TRUE(sender->take().empty()) << "nothing was done yet";
  EXPECT_EQ(hook.asked, 2);
  on_loop([&] { hook.waiting.at(1)(true); });
  EXPECT_EQ(sender->take_one(PacketType::kPubrec).packet_id, 5);
  crash();
  sender = persistent("s", true);
  sender->publish("$work/1", "x", 2, 5);
  EXPECT_EQ(sender->take_one(PacketType::kPubrec).packet_id, 5);
  EXPECT_EQ(hook.asked, 2) << "done once";
}

TEST_P(Qos2Test, ARetainedUpdateIsDurableWithItsPacketId) {
  auto sender = persistent("s", false);
  sender->publish("kept", "old", 2, 1, true);
  EXPECT_EQ(sender->take().size(), 1U);
  settle();
  store->set_faults({.sync_at_once = false});  // the store never gets it
  sender->publish("kept", "new", 2, 2, true);
  EXPECT_EQ(sender->take_one(PacketType::kPubrec).packet_id, 2);
  sender->publish("kept/2", "", 2, 3, true);
  EXPECT_EQ(sender->take_one(PacketType::kPubrec).packet_id, 3);
  kill_broker();
  store->crash();
  store->set_faults({});
  make_broker();
  auto reader = connected("r");
  reader->subscribe("kept", 0);
  const auto seen = reader->take();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[1].payload, "new");
  settle();
  kill_broker();
  make_broker();
  auto again = connected("again");
  again->subscribe("kept", 0);
  EXPECT_EQ(again->take().size(), 2U);
}

TEST_P(Qos2Test, WhatIsTooLargeAfterAReconnectionStopsNothing) {
  if (GetParam() != Version::k5) GTEST_SKIP() << "MQTT 5 only";
  auto receiver = subscriber("r", 1);
  auto sender = connected("s");
  for (std::uint16_t i = 1; i <= 3; ++i) {
    sender->publish("t", i == 2 ? std::string(500, 'x') : std::to_string(i), 1, i);
    EXPECT_EQ(sender->take().size(), 1U);
  }
  EXPECT_EQ(receiver->take().size(), 3U);
  receiver->drop();
  receiver = device(GetParam());
  PropertyWriter writer;
  writer.add(PropertyId::kMaximumPacketSize, 100);
  writer.add(PropertyId::kSessionExpiry, 3600);
  Connect packet;
  packet.version = Version::k5;
  packet.clean_start = false;
  packet.client_id = "r";
  packet.properties = writer.view();
  receiver->connect(packet);
  const auto seen = receiver->take();
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_EQ(seen[1].payload, "1");
  EXPECT_EQ(seen[2].payload, "3");
  receiver->puback(1);
  receiver->puback(3);
  EXPECT_TRUE(receiver->take().empty());
  EXPECT_EQ(broker->total(&BrokerStats::queued_messages), 0U);
}

TEST_P(Qos2Test, RepetitionsWithoutEndDoNotHoldUpOthers) {
  auto sender = persistent("s", false);
  auto other = connected("other");
  std::string flood;
  Publish packet;
  packet.topic = "t";
  packet.qos = 2;
  packet.packet_id = 7;
  for (int i = 0; i < 20'000; ++i) encode(flood, GetParam(), packet);
  sender->send(flood);
  std::string ping;
  encode(ping, Pingreq{});
  other->send(ping);
  EXPECT_EQ(other->take_one(PacketType::kPingresp).type, PacketType::kPingresp);
}

}  // namespace
}  // namespace muster::mqtt
