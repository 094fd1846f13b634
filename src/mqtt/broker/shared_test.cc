// SPDX-License-Identifier: Apache-2.0
// Shared subscriptions, MQTT 5 section 4.8.2; 3.1.1 clients may use them, too.
#include "mqtt/broker/broker_fixture.h"

namespace muster::mqtt {
namespace {

class SharedTest : public BrokerTest {
 public:
  std::unique_ptr<Device> member(std::string_view id, std::string_view filter, std::uint8_t qos = 1,
                                 bool clean = true) {
    auto made = connected(id, clean, clean ? 0 : 600);
    made->subscribe(filter, qos);
    EXPECT_EQ(made->take_one(PacketType::kSuback).codes, std::string(1, static_cast<char>(qos)));
    return made;
  }
};
INSTANTIATE_TEST_SUITE_P(Versions, SharedTest, ::testing::Values(Version::k311, Version::k5),
                         [](const auto& instance) { return instance.param == Version::k5 ? "v5" : "v311"; });

TEST_P(SharedTest, EachMessageGoesToOneMemberOfEachGroupInTurn) {
  auto a = member("a", "$share/g/t/+", 0);
  auto b = member("b", "$share/g/t/+", 0);
  auto other = member("o", "$share/h/t/1", 0);
  auto plain = member("p", "t/1", 0);
  auto sender = connected("s");
  for (int i = 0; i < 10; ++i) sender->publish("t/1", std::to_string(i));
  const auto of_a = a->take(), of_b = b->take();
  EXPECT_EQ(of_a.size(), 5U);
  EXPECT_EQ(of_b.size(), 5U);
  EXPECT_EQ(other->take().size(), 10U);
  EXPECT_EQ(plain->take().size(), 10U);
  std::set<std::string> all;
  for (const Seen& one : of_a) all.insert(one.payload);
  for (const Seen& one : of_b) all.insert(one.payload);
  EXPECT_EQ(all.size(), 10U);
}

TEST_P(SharedTest, AnAbsentMemberGetsNothingWhileAnotherIsThere) {
  auto absent = member("absent", "$share/g/t", 1, false);
  absent->drop();
  auto present = member("present", "$share/g/t", 1);
  auto sender = connected("s");
  for (std::uint16_t i = 1; i <= 6; ++i) sender->publish("t", std::to_string(i), 1, i);
  EXPECT_EQ(sender->take().size(), 6U);
  EXPECT_EQ(present->take().size(), 6U);
  EXPECT_EQ(summary("absent").queued, 0U);
  present->disconnect();
  sender->publish("t", "waits", 1, 7);
  EXPECT_EQ(sender->take().size(), 1U);
  EXPECT_EQ(summary("absent").queued, 1U);
}

TEST_P(SharedTest, RetainedMessagesAreNotSentToThem) {
  auto sender = connected("s");
  sender->publish("t", "kept", 0, 0, true);
  EXPECT_TRUE(sender->take().empty());
  auto shared = member("a", "$share/g/t");
  EXPECT_TRUE(shared->take().empty());
}

TEST_P(SharedTest, AMemberThatAlsoSubscribesPlainlyGetsBoth) {
  auto both = member("a", "$share/g/t", 0);
  both->subscribe("t", 0, 2);
  EXPECT_EQ(both->take().size(), 1U);
  auto sender = connected("s");
  sender->publish("t", "x");
  EXPECT_EQ(both->take().size(), 2U);
  std::string bytes;
  const std::string_view name = "$share/g/t";
  encode_unsubscribe(bytes, both->version, 3, std::span(&name, 1));
  both->send(bytes);
  EXPECT_EQ(both->take_one(PacketType::kUnsuback).packet_id, 3);
  sender->publish("t", "y");
  EXPECT_EQ(both->take().size(), 1U);
}

TEST_P(SharedTest, ABusyMemberIsPassedOver) {
  options.max_queue_messages = 8;
  options.max_inflight = 2;
  kill_broker();
  make_broker();
  auto slow = member("slow", "$share/g/t", 1);
  auto quick = member("quick", "$share/g/t", 1);
  slow->set_reading(false);
  auto sender = connected("s");
  std::size_t quick_got = 0;
  for (std::uint16_t i = 1; i <= 60; ++i) {
    sender->publish("t", std::to_string(i), 1, i);
    for (const Seen& one : quick->take()) {
      ++quick_got;
      quick->puback(one.packet_id);
    }
    sender->take();
  }
  EXPECT_GT(quick_got, 50U);
  EXPECT_EQ(summary("slow").dropped, 0U);
}

TEST_P(SharedTest, ShareNamesMustBeWellFormed) {
  for (const char* filter : {"$share/g", "$share//t", "$share/g+/t", "$share/#/t", "$share/g/"}) {
    auto device = connected("d");
    device->subscribe(filter, 0);
    const auto seen = device->take();
    if (GetParam() == Version::k5) {
      ASSERT_EQ(seen.size(), 1U) << filter;
      EXPECT_EQ(seen[0].reason, Reason::kTopicFilterInvalid) << filter;
    }
    EXPECT_TRUE(device->closed()) << filter;
  }
}

TEST_P(SharedTest, MembershipSurvivesARestart) {
  auto member_a = member("a", "$share/g/t", 1, false);
  member_a->drop();
  settle();
  kill_broker();
  make_broker();
  auto sender = connected("s");
  sender->publish("t", "x", 1, 1);
  EXPECT_EQ(sender->take().size(), 1U);
  EXPECT_EQ(summary("a").queued, 1U);
}

}  // namespace
}  // namespace muster::mqtt
