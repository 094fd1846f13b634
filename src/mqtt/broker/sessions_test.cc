// SPDX-License-Identifier: Apache-2.0
// What outlives a connection, and what outlives the process: persistent sessions, queues, wills, acknowledgements after
// stable storage.
#include <algorithm>
#include <future>

#include "mqtt/broker/broker_fixture.h"

namespace muster::mqtt {
namespace {

class SessionTest : public BrokerTest {
 public:
  static bool is_v5() { return GetParam() == Version::k5; }
};

INSTANTIATE_TEST_SUITE_P(Versions, SessionTest, ::testing::Values(Version::k311, Version::k5),
                         [](const auto& instance) { return instance.param == Version::k5 ? "v5" : "v311"; });

TEST_P(SessionTest, ACleanSessionIsForgotten) {
  auto first = connected("c");
  first->subscribe("a", 1);
  EXPECT_EQ(first->take().size(), 1U);
  first->drop();
  EXPECT_EQ(broker->total(&BrokerStats::sessions), 0U);
  EXPECT_EQ(broker->total(&BrokerStats::subscriptions), 0U);
  EXPECT_EQ(store->size(), 0U);  // nothing of it ever touched the store
  persistent("c", false);
}

TEST_P(SessionTest, QueuesForTheAbsentInOrder) {
  auto device = persistent("p", false);
  device->subscribe("a/#", 1);
  EXPECT_EQ(device->take().size(), 1U);
  device->disconnect();
  auto sender = connected("s");
  for (std::uint16_t i = 1; i <= 20; ++i) sender->publish("a/" + std::to_string(i % 3), std::to_string(i), 1, i);
  sender->publish("a/0", "lost: QoS 0", 0);
  EXPECT_EQ(sender->take().size(), 20U);
  auto again = persistent("p", true);
  ASSERT_EQ(backlog.size(), 20U);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(backlog[i].payload, std::to_string(i + 1));
    EXPECT_FALSE(backlog[i].dup);
    again->puback(backlog[i].packet_id);
  }
  settle();
  again->drop();
  persistent("p", true);
  EXPECT_TRUE(backlog.empty());
}

TEST_P(SessionTest, RepeatsWhatWasNotAcknowledgedWithDup) {
  auto device = persistent("p", false);
  device->subscribe("a", 1);
  EXPECT_EQ(device->take().size(), 1U);
  auto sender = connected("s");
  sender->publish("a", "1", 1, 1);
  sender->publish("a", "2", 1, 2);
  const auto seen = device->take();
  ASSERT_EQ(seen.size(), 2U);
  device->puback(seen[0].packet_id);
  settle();
  device->drop();
  sender->publish("a", "3", 1, 3);
  settle();
  auto again = persistent("p", true);
  ASSERT_EQ(backlog.size(), 2U);
  EXPECT_EQ(backlog[0].payload, "2");
  EXPECT_TRUE(backlog[0].dup);
  EXPECT_EQ(backlog[0].packet_id, seen[1].packet_id);
  EXPECT_EQ(backlog[1].payload, "3");
  EXPECT_FALSE(backlog[1].dup);
}

TEST_P(SessionTest, SessionsQueuesAndInflightSurviveARestart) {
  auto device = persistent("p", false);
  device->subscribe("a/#", 1);
  device->subscribe("b", 1, 2);
  EXPECT_EQ(device->take().size(), 2U);
  auto sender = connected("s");
  sender->publish("a/1", "in flight", 1, 1);
  const Seen flight = device->take_one(PacketType::kPublish);
  device->drop();
  sender->publish("a/2", "queued", 1, 2);
  EXPECT_EQ(sender->take().size(), 2U);
  kill_broker();
  make_broker();
  EXPECT_EQ(broker->total(&BrokerStats::subscriptions), 2U);
  auto other = connected("s2");
  other->publish("b", "after", 1, 1);
  EXPECT_EQ(other->take_one(PacketType::kPuback).reason, Reason::kSuccess);
  auto again = persistent("p", true);
  ASSERT_EQ(backlog.size(), 3U);
  EXPECT_EQ(backlog[0].payload, "in flight");
  EXPECT_TRUE(backlog[0].dup);
  EXPECT_EQ(backlog[0].packet_id, flight.packet_id);
  EXPECT_EQ(backlog[1].payload, "queued");
  EXPECT_FALSE(backlog[1].dup);
  EXPECT_EQ(backlog[2].payload, "after");
  for (const Seen& one : backlog) again->puback(one.packet_id);
  settle();
  advance_ms(1000);  // lazy removal
  kill_broker();
  make_broker();
  EXPECT_EQ(broker->total(&BrokerStats::queued_messages), 0U);
  persistent("p", true);
  EXPECT_TRUE(backlog.empty());
}

TEST_P(SessionTest, ACleanStartEndsThePersistentSession) {
  auto device = persistent("p", false);
  device->subscribe("a", 1);
  EXPECT_EQ(device->take().size(), 1U);
  device->drop();
  auto sender = connected("s");
  sender->publish("a", "old", 1, 1);
  settle();
  auto fresh = connected("p", true);
  EXPECT_TRUE(fresh->take().empty());
  fresh->drop();
  EXPECT_EQ(store->size(), 0U);
  // Numbers start again, and old removals must not hit new messages.
  auto third = persistent("p", false);
  third->subscribe("a", 1);
  settle();
  third->drop();
  sender->publish("a", "new", 1, 2);
  advance_ms(1000);
  kill_broker();
  make_broker();
  persistent("p", true);
  ASSERT_EQ(backlog.size(), 1U);
  EXPECT_EQ(backlog[0].payload, "new");
}

TEST_P(SessionTest, AnAbsentSessionExpiresAndLeavesNothing) {
  auto device = persistent("p", false, 100);
  device->subscribe("a", 1);
  EXPECT_EQ(device->take().size(), 1U);
  device->drop();
  auto sender = connected("s");
  sender->publish("a", "x", 1, 1);
  EXPECT_EQ(sender->take().size(), 1U);
  sender->disconnect();
  const std::int64_t expiry_ms = (is_v5() ? 100 : 3600) * 1000LL;
  advance_ms(expiry_ms - 1000);
  EXPECT_EQ(broker->total(&BrokerStats::sessions), 1U);
  advance_ms(2000);
  EXPECT_EQ(broker->total(&BrokerStats::sessions), 0U);
  EXPECT_EQ(broker->total(&BrokerStats::queued_messages), 0U);
  EXPECT_EQ(broker->total(&BrokerStats::queued_bytes), 0U);
  EXPECT_EQ(store->size(), 0U);
}

TEST_P(SessionTest, ExpiryCountsOnThroughARestart) {
  auto device = persistent("p", false, 3600);
  device->drop();
  advance_ms(3'000'000);
  kill_broker();
  clock.advance_ms(700'000);
  make_broker();
  EXPECT_EQ(broker->total(&BrokerStats::sessions), 0U);
}

TEST_P(SessionTest, PubackLeavesOnlyAfterTheSync) {
  auto device = persistent("p", false);
  device->subscribe("a", 1);
  EXPECT_EQ(device->take().size(), 1U);
  device->drop();
  auto sender = connected("s");
  settle();
  log_fails = true;
  sender->publish("a", "1", 1, 1);
  sender->publish("nobody", "2", 1, 2);  // owed to nobody, but its PUBACK keeps its place
  EXPECT_TRUE(sender->take().empty());
  mend_log();
  const auto seen = sender->take();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].packet_id, 1);
  EXPECT_EQ(seen[1].packet_id, 2);
}

TEST_P(SessionTest, WhatIsNotSyncedIsNotPromised) {
  auto device = persistent("p", false);
  device->subscribe("a", 1);
  EXPECT_EQ(device->take().size(), 1U);
  device->drop();
  auto sender = connected("s");
  settle();
  log_fails = true;
  sender->publish("a", "never acknowledged", 1, 1);
  EXPECT_TRUE(sender->take().empty());
  kill_broker();
  log_fails = false;
  make_broker();
  persistent("p", true);
  EXPECT_TRUE(backlog.empty());
}

TEST_P(SessionTest, ConnackAndSubackOfAPersistentSessionWaitForTheSync) {
  settle();
  store->set_faults({.sync_at_once = false});
  auto device = this->device(GetParam());
  device->connect("p", false, 600);
  EXPECT_TRUE(device->take().empty());
  store->flush();
  EXPECT_EQ(device->take_one(PacketType::kConnack).reason, Reason::kSuccess);
  device->subscribe("a", 1);
  EXPECT_TRUE(device->take().empty());
  store->flush();
  EXPECT_EQ(device->take_one(PacketType::kSuback).codes, "\1");
}

TEST_P(SessionTest, ARefusingDiskDelaysAcknowledgementsAndLosesNothing) {
  auto device = persistent("p", false);
  device->subscribe("a", 1);
  EXPECT_EQ(device->take().size(), 1U);
  device->drop();
  auto sender = connected("s");
  settle();
  log_fails = true;
  sender->publish("a", "1", 1, 1);
  EXPECT_TRUE(sender->take().empty());
  auto refused = this->device(GetParam());
  refused->connect("other");
  EXPECT_EQ(refused->take_one(PacketType::kConnack).reason, Reason::kServerUnavailable);
  mend_log();
  const auto seen = sender->take();
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].packet_id, 1);
  persistent("p", true);
  ASSERT_EQ(backlog.size(), 1U);
}

TEST_P(SessionTest, ARefusingStoreDelaysSubackAndLosesNothing) {
  auto device = persistent("p", false);
  settle();
  store->set_faults({.refuse = 1.0});
  device->subscribe("a", 1);
  EXPECT_TRUE(device->take().empty());
  auto refused = this->device(GetParam());
  refused->connect("other");
  EXPECT_EQ(refused->take_one(PacketType::kConnack).reason, Reason::kServerUnavailable);
  store->set_faults({});
  // The retry is on the loop's real timer: 100 ms after the first refusal, then 200.
  std::promise<void> later;
  std::unique_ptr<io::Loop::TimerToken> token;
  on_loop([&] { token = loop.after_ms(400, [&] { later.set_value(); }); });
  later.get_future().wait();
  EXPECT_EQ(device->take_one(PacketType::kSuback).codes, "\1");
}

TEST_P(SessionTest, AFullQueueDropsTheOldestAndCountsIt) {
  kill_broker();
  options.max_queue_messages = 5;
  make_broker();
  auto device = persistent("p", false);
  device->subscribe("a", 1);
  EXPECT_EQ(device->take().size(), 1U);
  device->drop();
  auto sender = connected("s");
  for (std::uint16_t i = 1; i <= 8; ++i) sender->publish("a", std::to_string(i), 1, i);
  EXPECT_EQ(sender->take().size(), 8U);
  EXPECT_EQ(summary("p").dropped, 3U);
  EXPECT_EQ(broker->total(&BrokerStats::dropped), 3U);
  advance_ms(1000);
  kill_broker();
  make_broker();
  persistent("p", true);
  ASSERT_EQ(backlog.size(), 5U);
  EXPECT_EQ(backlog[0].payload, "4");
  EXPECT_EQ(backlog[4].payload, "8");
}

TEST_P(SessionTest, MessagesExpireInTheQueue) {
  if (!is_v5()) GTEST_SKIP() << "MQTT 5 only";
  auto device = persistent("p", false);
  device->subscribe("a", 1);
  EXPECT_EQ(device->take().size(), 1U);
  device->drop();
  auto sender = connected("s");
  for (const std::uint32_t expiry_s : {10U, 100U}) {
    PropertyWriter writer;
    writer.add(PropertyId::kMessageExpiry, expiry_s);
    Publish packet;
    packet.topic = "a";
    const std::string payload = std::to_string(expiry_s);
    packet.payload = payload;
    packet.qos = 1;
    packet.packet_id = static_cast<std::uint16_t>(expiry_s);
    packet.properties = writer.view();
    std::string bytes;
    encode(bytes, Version::k5, packet);
    sender->send(bytes);
  }
  EXPECT_EQ(sender->take().size(), 2U);
  advance_ms(40'000);
  persistent("p", true);
  ASSERT_EQ(backlog.size(), 1U);
  EXPECT_EQ(backlog[0].payload, "100");
  EXPECT_EQ(backlog[0].props().number(PropertyId::kMessageExpiry), 60U);
  EXPECT_EQ(broker->total(&BrokerStats::expired), 1U);
}

TEST_P(SessionTest, ADelayedWillWaitsAndIsCancelledByAReturn) {
  if (!is_v5()) GTEST_SKIP() << "MQTT 5 only";
  auto watcher = connected("w");
  watcher->subscribe("gone", 0);
  EXPECT_EQ(watcher->take().size(), 1U);
  PropertyWriter connect_properties, will_properties;
  connect_properties.add(PropertyId::kSessionExpiry, 1000);
  will_properties.add(PropertyId::kWillDelay, 50);
  Connect packet;
  packet.version = Version::k5;
  packet.client_id = "mortal";
  packet.clean_start = false;
  packet.has_will = true;
  packet.will.topic = "gone";
  packet.will.payload = "bye";
  packet.will.properties = will_properties.view();
  packet.properties = connect_properties.view();
  auto first = device(Version::k5);
  first->connect(packet);
  EXPECT_EQ(first->take().size(), 1U);
  first->drop();
  advance_ms(40'000);
  auto second = device(Version::k5);
  second->connect(packet);
  EXPECT_EQ(second->take().size(), 1U);
  advance_ms(20'000);
  EXPECT_TRUE(watcher->take().empty());
  second->drop();
  // The process ends while the will waits: it comes when its time has come all the same.
  kill_broker();
  make_broker();
  auto again = connected("w2");
  again->subscribe("gone", 0);
  EXPECT_EQ(again->take().size(), 1U);
  advance_ms(49'000);
  EXPECT_TRUE(again->take().empty());
  advance_ms(2'000);
  EXPECT_EQ(again->take_one(PacketType::kPublish).payload, "bye");
  // Once.
  kill_broker();
  make_broker();
  auto third = connected("w3");
  third->subscribe("gone", 0);
  EXPECT_EQ(third->take().size(), 1U);
  advance_ms(60'000);
  EXPECT_TRUE(third->take().empty());
}

TEST_P(SessionTest, TakeoverKeepsThePersistentSession) {
  auto first = persistent("p", false);
  first->subscribe("a", 1);
  EXPECT_EQ(first->take().size(), 1U);
  auto sender = connected("s");
  sender->publish("a", "1", 1, 1);
  const Seen once = first->take_one(PacketType::kPublish);
  auto second = persistent("p", true);
  ASSERT_EQ(backlog.size(), 1U);
  EXPECT_TRUE(backlog[0].dup);
  EXPECT_EQ(backlog[0].packet_id, once.packet_id);
  EXPECT_TRUE(first->closed());
  second->puback(backlog[0].packet_id);
  sender->publish("a", "2", 1, 2);
  EXPECT_EQ(second->take_one(PacketType::kPublish).payload, "2");
  EXPECT_EQ(broker->total(&BrokerStats::sessions), 2U);
}

// Whoever comes with the client id, another device or the same with another certificate, has what its own grant allows.
TEST_P(SessionTest, ASessionGoesOnWithoutWhatItsNextClientMayNotHave) {
  auto first = persistent("p", false);
  for (const char* filter : {"secret/+", "both/#", "own", "$share/g/team/+"}) first->subscribe(filter, 1);
  EXPECT_EQ(first->take().size(), 4U);
  auto sender = connected("s");
  for (const char* topic : {"secret/sent", "own"}) sender->publish(topic, "1", 1, 1);
  EXPECT_EQ(first->take().size(), 2U);  // not acknowledged
  first->drop();
  for (const char* topic : {"secret/waits", "both/a", "own", "team/x", "both/b"}) sender->publish(topic, "2", 1, 1);
  settle();
  on_loop([&] {
    authorizer.rules.no_subscribe = {"secret/+", "$share/g/team/+"};
    authorizer.rules.no_receive = {"both/b"};
  });
  auto second = persistent("p", true);
  std::vector<std::string> topics;
  for (const Seen& seen : backlog) topics.push_back(seen.topic + " " + seen.payload);
  EXPECT_EQ(topics, (std::vector<std::string>{"own 1", "both/a 2", "own 2"}));
  for (const Seen& seen : backlog) second->puback(seen.packet_id);
  for (const char* topic : {"secret/later", "team/later", "own"}) sender->publish(topic, "3", 1, 1);
  EXPECT_EQ(second->take_one(PacketType::kPublish).topic, "own");
  EXPECT_EQ(broker->total(&BrokerStats::subscriptions), 2U);
  EXPECT_EQ(summary("p").queued, 0U);
  // Neither comes back by the records.
  second->drop();
  settle();
  kill_broker();
  make_broker();
  on_loop([&] { authorizer.rules = {}; });
  auto third = persistent("p", true);
  EXPECT_EQ(broker->total(&BrokerStats::subscriptions), 2U);
  for (const Seen& seen : backlog) EXPECT_EQ(seen.topic, "own") << seen.payload;
}

TEST_P(SessionTest, AllowedWhatItHadTheNextClientLosesNothing) {
  auto first = persistent("p", false);
  first->subscribe("a/#", 2);
  EXPECT_EQ(first->take().size(), 1U);
  first->drop();
  auto sender = connected("s");
  for (std::uint16_t i = 1; i <= 20; ++i) sender->publish("a/" + std::to_string(i), "x", 1, i);
  settle();
  on_loop([&] { authorizer.rules.kind = PrincipalKind::kIam; });
  auto second = persistent("p", true);
  EXPECT_EQ(backlog.size(), 20U);
}

TEST_P(SessionTest, TheWindowHoldsBackWhatTheClientDoesNotAcknowledge) {
  if (!is_v5()) GTEST_SKIP() << "MQTT 5 only";
  auto device = this->device(Version::k5);
  PropertyWriter properties;
  properties.add(PropertyId::kReceiveMaximum, 3);
  Connect packet;
  packet.version = Version::k5;
  packet.client_id = "narrow";
  packet.properties = properties.view();
  device->connect(packet);
  device->subscribe("a", 1);
  EXPECT_EQ(device->take().size(), 2U);
  auto sender = connected("s");
  for (std::uint16_t i = 1; i <= 10; ++i) sender->publish("a", std::to_string(i), 1, i);
  std::vector<std::string> order;
  for (int round = 0; round < 10; ++round) {
    const auto seen = device->take();
    EXPECT_LE(seen.size(), 3U);
    for (const Seen& one : seen) {
      order.push_back(one.payload);
      device->puback(one.packet_id);
    }
  }
  ASSERT_EQ(order.size(), 10U);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(order[i], std::to_string(i + 1));
  EXPECT_EQ(broker->total(&BrokerStats::queued_messages), 0U);
}

TEST_P(SessionTest, ServerMessagesAreHandledOnlyWhenDurable) {
  auto device = persistent("p", false);
  device->subscribe("$aws/things/p/jobs/notify", 1);
  EXPECT_EQ(device->take().size(), 1U);
  device->drop();
  settle();
  log_fails = true;
  std::atomic<bool> handled{false};
  broker->publish_from_server({{"$aws/things/p/jobs/notify", "{}", 1}}, [&] { handled = true; });
  settle();
  EXPECT_FALSE(handled);
  mend_log();
  EXPECT_TRUE(handled);
  kill_broker();
  make_broker();
  persistent("p", true);
  ASSERT_EQ(backlog.size(), 1U);
}

TEST_P(SessionTest, ClientsAreFoundByIdAndByPrincipalOnceEach) {
  const auto found = [&](ClientQuery query) {
    std::vector<std::string> ids;
    std::promise<void> done;
    broker->find_clients(std::move(query), [&](std::vector<ClientSummary> list) {
      for (const auto& row : list) ids.push_back(row.client_id + (row.connected ? "" : " away"));
      done.set_value();
    });
    done.get_future().wait();
    std::ranges::sort(ids);
    return ids;
  };
  auto here = connected("here");
  auto away = persistent("away", false);
  away->drop();
  settle();
  using Ids = std::vector<std::string>;
  EXPECT_EQ(found({{"here", "nobody"}, {}}), Ids{"here"});
  EXPECT_EQ(found({{"here"}, {"principal"}}), (Ids{"away away", "here"}));
  EXPECT_EQ(found({{}, {"another"}}), Ids{});
  // A token may be made out to any name, a certificate's id too.
  on_loop([&] { authorizer.rules.kind = PrincipalKind::kToken; });
  auto token = connected("token");
  EXPECT_EQ(found({{}, {"principal"}}), (Ids{"away away", "here"}));
  EXPECT_EQ(found({}), Ids{});
}

}  // namespace
}  // namespace muster::mqtt
