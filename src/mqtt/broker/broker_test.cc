// SPDX-License-Identifier: Apache-2.0
// Connections, subscriptions, delivery and permissions, in both versions.
#include "mqtt/broker/broker.h"

#include "mqtt/broker/broker_fixture.h"
#include "mqtt/broker/broker_metrics.h"

namespace muster::mqtt {
namespace {

INSTANTIATE_TEST_SUITE_P(Versions, BrokerTest, ::testing::Values(Version::k311, Version::k5),
                         [](const auto& instance) { return instance.param == Version::k5 ? "v5" : "v311"; });

bool is_v5() {
  return BrokerTest::GetParam() == Version::k5;
}

TEST_P(BrokerTest, DeliversToSubscribersAtTheLowerQos) {
  auto zero = connected("zero");
  auto one = connected("one");
  auto sender = connected("sender");
  zero->subscribe("a/+", 0);
  EXPECT_EQ(zero->take_one(PacketType::kSuback).codes, std::string("\0", 1));
  one->subscribe("a/#", 1, 7);
  const Seen suback = one->take_one(PacketType::kSuback);
  EXPECT_EQ(suback.codes, "\1");
  EXPECT_EQ(suback.packet_id, 7);
  sender->publish("a/b", "hello", 1, 9);
  EXPECT_EQ(sender->take_one(PacketType::kPuback).packet_id, 9);
  const Seen at_zero = zero->take_one(PacketType::kPublish);
  EXPECT_EQ(at_zero.qos, 0);
  EXPECT_EQ(at_zero.payload, "hello");
  const Seen at_one = one->take_one(PacketType::kPublish);
  EXPECT_EQ(at_one.qos, 1);
  EXPECT_EQ(at_one.topic, "a/b");
  EXPECT_NE(at_one.packet_id, 0);
  EXPECT_FALSE(at_one.dup);
  sender->publish("a/b", "low", 0);
  EXPECT_EQ(one->take_one(PacketType::kPublish).qos, 0);
  EXPECT_TRUE(sender->take().empty());
}

TEST_P(BrokerTest, OverlappingFiltersDeliverOnceAtTheHighestQos) {
  auto device = connected("d");
  device->subscribe("x/#", 0);
  device->subscribe("x/y", 1, 2);
  EXPECT_EQ(device->take().size(), 2U);
  device->publish("x/y", "me too", 1, 3);
  const auto seen = device->take();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].type, PacketType::kPublish);
  EXPECT_EQ(seen[0].qos, 1);
  EXPECT_EQ(seen[1].type, PacketType::kPuback);
}

TEST_P(BrokerTest, UnsubscribeStopsDelivery) {
  auto device = connected("d");
  device->subscribe("x", 1);
  EXPECT_EQ(device->take().size(), 1U);
  const std::vector<std::string_view> filters{"x", "never"};
  std::string bytes;
  ASSERT_TRUE(encode_unsubscribe(bytes, GetParam(), 5, filters));
  device->send(bytes);
  const Seen unsuback = device->take_one(PacketType::kUnsuback);
  EXPECT_EQ(unsuback.packet_id, 5);
  if (is_v5()) EXPECT_EQ(unsuback.codes, std::string("\x00\x11", 2));
  device->publish("x", "gone");
  EXPECT_TRUE(device->take().empty());
  EXPECT_EQ(broker->total(&BrokerStats::subscriptions), 0U);
}

TEST_P(BrokerTest, NoMatchingSubscribersIsSaidInVersion5) {
  auto device = connected("d");
  device->publish("nobody/listens", "x", 1, 1);
  EXPECT_EQ(device->take_one(PacketType::kPuback).reason, is_v5() ? Reason::kNoMatchingSubscribers : Reason::kSuccess);
}

TEST_P(BrokerTest, TakeoverDisconnectsTheFirst) {
  auto first = connected("same");
  auto second = connected("same");
  const auto seen = first->take();
  if (is_v5()) {
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].type, PacketType::kDisconnect);
    EXPECT_EQ(seen[0].reason, Reason::kSessionTakenOver);
  } else {
    EXPECT_TRUE(seen.empty());
  }
  EXPECT_TRUE(first->closed());
  EXPECT_FALSE(second->closed());
  EXPECT_EQ(broker->total(&BrokerStats::takeovers), 1U);
  second->subscribe("still/here", 0);
  EXPECT_EQ(second->take_one(PacketType::kSuback).codes.size(), 1U);
}

TEST_P(BrokerTest, AnEmptyClientIdGetsAnAssignedOne) {
  auto device = this->device(GetParam());
  device->connect("", true);
  const Seen connack = device->take_one(PacketType::kConnack);
  EXPECT_EQ(connack.reason, Reason::kSuccess);
  if (is_v5()) EXPECT_TRUE(connack.props().has(PropertyId::kAssignedClientId));
  auto refused = this->device(Version::k311);
  refused->connect("", false);
  EXPECT_EQ(refused->take_one(PacketType::kConnack).reason, Reason::kClientIdentifierNotValid);
  EXPECT_TRUE(refused->closed());
}

TEST_P(BrokerTest, RefusesClientIdsThatAreTooLong) {
  auto device = this->device(GetParam());
  device->connect(std::string(129, 'x'));
  EXPECT_EQ(device->take_one(PacketType::kConnack).reason, Reason::kClientIdentifierNotValid);
  EXPECT_TRUE(device->closed());
  EXPECT_EQ(broker->total(&BrokerStats::sessions), 0U);
}

TEST_P(BrokerTest, ConnackOfVersion5NamesTheLimits) {
  auto device = this->device(Version::k5);
  Connect packet;
  packet.version = Version::k5;
  packet.client_id = "limits";
  packet.keep_alive_s = 0;
  device->connect(packet);
  const Seen connack = device->take_one(PacketType::kConnack);
  const Properties properties = connack.props();
  EXPECT_FALSE(properties.has(PropertyId::kMaximumQos));
  EXPECT_FALSE(properties.has(PropertyId::kSharedSubscriptionAvailable));
  EXPECT_EQ(properties.number(PropertyId::kReceiveMaximum), 100U);
  EXPECT_EQ(properties.number(PropertyId::kMaximumPacketSize), 149'504U);
  EXPECT_EQ(properties.number(PropertyId::kServerKeepAlive), 1200U);
}

TEST_P(BrokerTest, KeepAliveEndsASilentClient) {
  auto silent = connected("silent");
  auto alive = connected("alive");
  alive->subscribe("wills/#", 0);
  EXPECT_EQ(alive->take().size(), 1U);
  advance_ms(80'000);
  std::string ping;
  encode(ping, Pingreq{});
  alive->send(ping);
  EXPECT_EQ(alive->take_one(PacketType::kPingresp).type, PacketType::kPingresp);
  EXPECT_FALSE(silent->closed());
  advance_ms(12'000);  // 92 s: 1.5 times 60 s are over
  EXPECT_TRUE(silent->closed());
  EXPECT_FALSE(alive->closed());
  if (is_v5()) {
    const auto seen = silent->take();
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].reason, Reason::kKeepAliveTimeout);
  }
}

TEST_P(BrokerTest, AConnectionThatSaysNothingIsClosed) {
  auto mute = device(GetParam());
  mute->send("\x10");  // the beginning of a CONNECT
  advance_ms(9'000);
  EXPECT_FALSE(mute->closed());
  advance_ms(2'000);
  EXPECT_TRUE(mute->closed());
  advance_ms(5'000);
  EXPECT_EQ(broker->total(&ListenerStats::connections), 0U);
}

TEST_P(BrokerTest, RefusesWhatTheAuthorizerRefuses) {
  authorizer.rules.no_connect = {"bad"};
  auto device = this->device(GetParam());
  device->connect("bad");
  EXPECT_EQ(device->take_one(PacketType::kConnack).reason, Reason::kNotAuthorized);
  EXPECT_TRUE(device->closed());
  auto user = this->device(GetParam());
  Connect packet;
  packet.version = GetParam();
  packet.client_id = "bad";
  packet.has_username = packet.has_password = true;
  packet.username = "u";
  packet.password = "p";
  user->connect(packet);
  EXPECT_EQ(user->take_one(PacketType::kConnack).reason, Reason::kBadUserNameOrPassword);
  EXPECT_EQ(broker->total(&ListenerStats::auth_failures), 2U);
  EXPECT_EQ(broker->total(&BrokerStats::sessions), 0U);
}

TEST_P(BrokerTest, WaitsForASlowAuthorizerAndKeepsWhatCameBehindConnect) {
  authorizer.hold = true;
  auto device = this->device(GetParam());
  device->connect("slow");
  device->subscribe("a", 1, 3);
  device->publish("a", "early", 1, 4);
  EXPECT_TRUE(device->take().empty());
  on_loop([&] {
    Authorizer::Decision yes;
    yes.grant = std::make_unique<RuledGrant>(authorizer.rules);
    authorizer.held.at(0)(std::move(yes));
  });
  const auto seen = device->take();
  ASSERT_EQ(seen.size(), 4U);
  EXPECT_EQ(seen[0].type, PacketType::kConnack);
  EXPECT_EQ(seen[1].type, PacketType::kSuback);
  // One that went away before its answer is harmless.
  auto gone = this->device(GetParam());
  gone->connect("gone");
  settle();
  gone->drop();
  on_loop([&] {
    Authorizer::Decision yes;
    yes.grant = std::make_unique<RuledGrant>(authorizer.rules);
    authorizer.held.at(1)(std::move(yes));
  });
  settle();
  EXPECT_EQ(summary("gone").client_id, "");
}

TEST_P(BrokerTest, AnUnauthorisedPublishClosesTheConnection) {
  authorizer.rules.no_publish = {"secret"};
  for (const std::uint8_t qos : {0, 1}) {
    auto device = connected("d");
    device->publish("secret", "x", qos, qos);
    const auto seen = device->take();
    if (is_v5()) {
      ASSERT_EQ(seen.size(), 1U);
      EXPECT_EQ(seen[0].type, PacketType::kDisconnect);
      EXPECT_EQ(seen[0].reason, Reason::kNotAuthorized);
    } else {
      EXPECT_TRUE(seen.empty());
    }
    EXPECT_TRUE(device->closed());
  }
}

TEST_P(BrokerTest, AnUnauthorisedRetainedPublishLeavesNothing) {
  authorizer.rules.retain_denied = true;
  auto device = connected("d");
  device->publish("r", "x", 0, 0, true);
  EXPECT_TRUE(device->closed());
  EXPECT_EQ(broker->total(&BrokerStats::retained), 0U);
}

TEST_P(BrokerTest, AnUnauthorisedFilterFailsAloneInItsSuback) {
  authorizer.rules.no_subscribe = {"forbidden/#"};
  auto device = connected("d");
  std::vector<SubscribeFilter> wanted(2);
  wanted[0].filter = "forbidden/#";
  wanted[1].filter = "allowed";
  wanted[1].qos = 1;
  std::string bytes;
  ASSERT_TRUE(encode_subscribe(bytes, GetParam(), 8, wanted));
  device->send(bytes);
  EXPECT_EQ(device->take_one(PacketType::kSuback).codes, is_v5() ? "\x87\x01" : "\x80\x01");
  device->publish("forbidden/x", "x");
  EXPECT_TRUE(device->take().empty());
  EXPECT_FALSE(device->closed());
}

TEST_P(BrokerTest, WhatMayNotBeReceivedIsNotDelivered) {
  authorizer.rules.no_receive = {"a/secret"};
  auto device = connected("d");
  device->subscribe("a/#", 1);
  EXPECT_EQ(device->take().size(), 1U);
  device->publish("a/secret", "x", 1, 1);
  EXPECT_EQ(device->take_one(PacketType::kPuback).packet_id, 1);
  device->publish("a/open", "y", 0);
  EXPECT_EQ(device->take_one(PacketType::kPublish).payload, "y");
}

TEST_P(BrokerTest, QueuedMessagesAreCheckedWhenTheyAreDelivered) {
  auto device = connected("d", false, 3600);
  device->subscribe("a/#", 1);
  EXPECT_EQ(device->take().size(), 1U);
  device->drop();
  auto sender = connected("s");
  sender->publish("a/1", "1", 1, 1);
  sender->publish("a/2", "2", 1, 2);
  EXPECT_EQ(sender->take().size(), 2U);
  authorizer.rules.no_receive = {"a/1"};
  auto again = this->device(GetParam());
  again->connect("d", false, 3600);
  const auto seen = again->take();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[1].payload, "2");
}

TEST_P(BrokerTest, RecheckClosesWhatIsNoLongerValid) {
  auto device = connected("d");
  broker->recheck("other");
  EXPECT_FALSE(device->closed());
  broker->recheck("principal");
  EXPECT_FALSE(device->closed());
  on_loop([&] { authorizer.rules.valid = false; });
  broker->recheck("other");
  EXPECT_FALSE(device->closed());
  broker->recheck("principal");
  EXPECT_TRUE(device->closed());
}

TEST_P(BrokerTest, RetainedMessagesReachNewSubscribersAndCanBeDeleted) {
  auto sender = connected("s");
  sender->publish("state/a", "on", 1, 1, true);
  sender->publish("state/b", "off", 0, 0, true);
  EXPECT_EQ(sender->take().size(), 1U);
  auto device = connected("d");
  device->subscribe("state/#", 1);
  auto seen = device->take();
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_EQ(seen[0].type, PacketType::kSuback);
  EXPECT_EQ(seen[1].payload, "on");
  EXPECT_TRUE(seen[1].retain);
  EXPECT_EQ(seen[1].qos, 1);
  EXPECT_EQ(seen[2].payload, "off");
  EXPECT_EQ(seen[2].qos, 0);
  // Live messages come without the flag.
  sender->publish("state/a", "again", 0, 0, true);
  EXPECT_FALSE(device->take_one(PacketType::kPublish).retain);
  sender->publish("state/a", "", 0, 0, true);
  sender->publish("state/b", "", 0, 0, true);
  EXPECT_EQ(device->take().size(), 2U);
  kill_broker();
  make_broker();
  EXPECT_EQ(broker->total(&BrokerStats::retained), 0U);
}

TEST_P(BrokerTest, RetainedMessagesSurviveARestart) {
  auto sender = connected("s");
  sender->publish("state", "kept", 1, 1, true);
  EXPECT_EQ(sender->take_one(PacketType::kPuback).packet_id, 1);
  kill_broker();
  make_broker();
  auto device = connected("d");
  device->subscribe("state", 0);
  const auto seen = device->take();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[1].payload, "kept");
}

TEST_P(BrokerTest, AWillComesWhenTheConnectionIsLostAndNotOnDisconnect) {
  auto watcher = connected("w");
  watcher->subscribe("gone", 1);
  EXPECT_EQ(watcher->take().size(), 1U);
  Connect packet;
  packet.version = GetParam();
  packet.client_id = "mortal";
  packet.has_will = true;
  packet.will.topic = "gone";
  packet.will.payload = "bye";
  packet.will.qos = 1;
  auto polite = device(GetParam());
  polite->connect(packet);
  EXPECT_EQ(polite->take().size(), 1U);
  polite->disconnect();
  EXPECT_TRUE(watcher->take().empty());
  auto lost = device(GetParam());
  lost->connect(packet);
  EXPECT_EQ(lost->take().size(), 1U);
  lost->drop();
  EXPECT_EQ(watcher->take_one(PacketType::kPublish).payload, "bye");
  // A violation of the protocol is a loss as well.
  auto rude = device(GetParam());
  rude->connect(packet);
  EXPECT_EQ(rude->take().size(), 1U);
  rude->connect(packet);
  EXPECT_TRUE(rude->closed());
  EXPECT_EQ(watcher->take_one(PacketType::kPublish).payload, "bye");
}

TEST_P(BrokerTest, AWillWithoutPermissionRefusesTheConnect) {
  authorizer.rules.no_publish = {"gone"};
  Connect packet;
  packet.version = GetParam();
  packet.client_id = "mortal";
  packet.has_will = true;
  packet.will.topic = "gone";
  auto device = this->device(GetParam());
  device->connect(packet);
  EXPECT_EQ(device->take_one(PacketType::kConnack).reason, Reason::kNotAuthorized);
  EXPECT_TRUE(device->closed());
}

TEST_P(BrokerTest, PropertiesTravelInVersion5) {
  auto receiver = device(Version::k5);
  receiver->connect("r");
  receiver->subscribe("t", 0);
  EXPECT_EQ(receiver->take().size(), 2U);
  auto old = device(Version::k311);
  old->connect("old");
  old->subscribe("t", 0);
  EXPECT_EQ(old->take().size(), 2U);
  auto sender = device(Version::k5);
  sender->connect("s");
  EXPECT_EQ(sender->take().size(), 1U);
  PropertyWriter writer;
  writer.add(PropertyId::kContentType, "text/plain").add_user("k", "v").add(PropertyId::kResponseTopic, "back");
  Publish packet;
  packet.topic = "t";
  packet.payload = "p";
  packet.properties = writer.view();
  std::string bytes;
  encode(bytes, Version::k5, packet);
  sender->send(bytes);
  const Seen seen = receiver->take_one(PacketType::kPublish);
  EXPECT_EQ(seen.props().text(PropertyId::kContentType), "text/plain");
  EXPECT_TRUE(seen.props().has(PropertyId::kUserProperty));
  EXPECT_EQ(old->take_one(PacketType::kPublish).payload, "p");
}

TEST_P(BrokerTest, NoLocalAndSubscriptionIdentifiersInVersion5) {
  auto device = this->device(Version::k5);
  device->connect("d");
  SubscribeFilter wanted;
  wanted.filter = "t";
  wanted.no_local = true;
  PropertyWriter writer;
  writer.add(PropertyId::kSubscriptionIdentifier, 77);
  std::string bytes;
  ASSERT_TRUE(encode_subscribe(bytes, Version::k5, 1, std::span(&wanted, 1), writer.view()));
  device->send(bytes);
  EXPECT_EQ(device->take().size(), 2U);
  device->publish("t", "own");
  EXPECT_TRUE(device->take().empty());
  auto sender = connected("s");
  sender->publish("t", "other");
  EXPECT_EQ(device->take_one(PacketType::kPublish).props().number(PropertyId::kSubscriptionIdentifier), 77U);
}

TEST_P(BrokerTest, ServerMessagesReachSubscribersAndAreHandled) {
  auto device = connected("d");
  device->subscribe("$aws/things/t/jobs/notify", 1);
  EXPECT_EQ(device->take().size(), 1U);
  std::atomic<int> handled{0};
  broker->publish_from_server({{"$aws/things/t/jobs/notify", "{}", 1}, {"$aws/nobody", "{}", 1}}, [&] { ++handled; });
  EXPECT_EQ(device->take_one(PacketType::kPublish).payload, "{}");
  EXPECT_EQ(handled, 1);
  std::atomic<int> accepted{0}, refused{0};
  const auto count = [&](PublishOutcome outcome) { ++(outcome == PublishOutcome::kDone ? accepted : refused); };
  broker->publish({.topic = "plain", .payload = "x", .qos = 1}, count);
  broker->publish({.topic = "$aws/x", .payload = "x", .qos = 1}, count);
  broker->publish({.topic = "a/+", .payload = "x", .qos = 1}, count);
  broker->publish({.topic = "large", .payload = std::string(options.max_payload_bytes + 1, 'x')}, count);
  settle();
  EXPECT_EQ(accepted, 2);
  EXPECT_EQ(refused, 2);
}

TEST_P(BrokerTest, RetainedMessagesCanBeReadByTheServer) {
  broker->publish({.topic = "r/1", .payload = "one", .qos = 1, .retain = true}, nullptr);
  broker->publish({.topic = "r/2", .payload = "second", .retain = true}, nullptr);
  std::optional<RetainedSummary> one, none;
  std::vector<RetainedSummary> all, rest;
  broker->retained_message("r/1", [&](auto found) { one = std::move(found); });
  broker->retained_message("r/3", [&](auto found) { none = std::move(found); });
  broker->retained_messages("", 10, [&](auto list) { all = std::move(list); });
  broker->retained_messages("r/1", 10, [&](auto list) { rest = std::move(list); });
  settle();
  ASSERT_TRUE(one);
  EXPECT_EQ(one->payload, "one");
  EXPECT_EQ(one->qos, 1);
  EXPECT_EQ(one->modified_ms, clock.now_ms());
  EXPECT_FALSE(none);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1].payload_bytes, 6U);
  ASSERT_EQ(rest.size(), 1U);
  EXPECT_EQ(rest[0].topic, "r/2");
}

TEST_P(BrokerTest, StopSaysGoodByeAndReports) {
  auto device = connected("d");
  std::atomic<bool> stopped{false};
  broker->stop([&] { stopped = true; });
  const auto seen = device->take();
  if (is_v5()) {
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].reason, Reason::kServerShuttingDown);
  }
  EXPECT_TRUE(device->closed());
  EXPECT_TRUE(stopped);
  auto late = this->device(GetParam());
  EXPECT_TRUE(late->closed());
}

TEST_P(BrokerTest, ClientListAndMetricsShowTheConnection) {
  auto device = connected("shown", false, 600);
  device->subscribe("a", 1);
  EXPECT_EQ(device->take().size(), 1U);
  const ClientSummary row = summary("shown");
  EXPECT_TRUE(row.connected);
  EXPECT_EQ(row.subscriptions, 1U);
  EXPECT_EQ(row.keep_alive_s, 60U);
  EXPECT_EQ(row.principal_id, "principal");
  EXPECT_EQ(row.session_expiry_s, is_v5() ? 600U : 3600U);
  metrics::Registry registry;
  register_metrics(registry, *broker);
  EXPECT_NE(registry.exposition().find("muster_mqtt_connections 1"), std::string::npos);
  std::atomic<bool> found{false};
  broker->disconnect("shown", "admin", [&](bool was) { found = was; });
  settle();
  EXPECT_TRUE(found);
  EXPECT_TRUE(device->closed());
  EXPECT_EQ(summary("shown").last_disconnect, "admin");
}

}  // namespace
}  // namespace muster::mqtt
