// SPDX-License-Identifier: Apache-2.0
#include "mqtt/protocol/connection.h"

#include <gtest/gtest.h>

#include <random>

#include "mqtt/protocol/test_peer.h"

namespace muster::mqtt {
namespace {

using namespace std::string_literals;
using Lines = std::vector<std::string>;

const std::string kConnect4 =
    "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01"
    "c"s;
const std::string kConnect5 =
    "\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01"
    "c"s;

template <class T>
T sent(const std::string& bytes, Version version) {
  const DecodeOutcome outcome = decode(bytes, version);
  EXPECT_EQ(outcome.status, DecodeStatus::kPacket) << outcome.error.text;
  EXPECT_EQ(outcome.consumed, bytes.size()) << "more or less than one packet";
  const T* packet = std::get_if<T>(&outcome.packet);
  EXPECT_NE(packet, nullptr);
  return packet == nullptr ? T{} : *packet;
}

class BothVersions : public testing::TestWithParam<Version> {
 protected:
  // The error of the last packet, the DISCONNECT that 5 and not 3.1.1 gets, and the closed state.
  void expect_failed(TestPeer& peer, Reason reason) {
    ASSERT_FALSE(peer.events.empty());
    EXPECT_EQ(peer.events.back(), "error " + std::to_string(static_cast<int>(reason)));
    EXPECT_TRUE(peer.connection.closed());
    if (GetParam() == Version::k311) {
      EXPECT_EQ(peer.out, "");
    } else {
      EXPECT_EQ(sent<Disconnect>(peer.out, Version::k5).reason, reason);
    }
    peer.feed("\xc0\x00"s);
    EXPECT_EQ(peer.pending.substr(peer.pending.size() - 2), "\xc0\x00"s) << "a closed connection consumes nothing";
  }
};
INSTANTIATE_TEST_SUITE_P(Mqtt, BothVersions, testing::Values(Version::k311, Version::k5),
                         [](const auto& info) { return info.param == Version::k5 ? "v5" : "v311"; });

TEST(Connection, IsSmallWhenIdle) {
  EXPECT_LE(sizeof(Connection), 120u);
  EXPECT_LE(sizeof(Inflight), 80u);
}

TEST_P(BothVersions, NothingIsHandledUntilConnectIsAnswered) {
  TestPeer peer;
  peer.feed((GetParam() == Version::k5 ? kConnect5 : kConnect4) + "\xc0\x00"s);
  EXPECT_EQ(peer.take_events(), Lines{"connect c"});
  EXPECT_EQ(peer.pending, "\xc0\x00"s);
  EXPECT_EQ(peer.connection.state(), Connection::State::kConnecting);
  EXPECT_EQ(peer.connection.deadline_ms(), 10'000);
  peer.connection.accept(peer.inflight, false, peer.out);
  EXPECT_FALSE(sent<Connack>(peer.take_out(), GetParam()).session_present);
  peer.feed("");
  EXPECT_EQ(peer.take_events(), Lines{"pingreq"});
  EXPECT_EQ(peer.out, "\xd0\x00"s);
}

TEST(Connection, ConnackOf5TellsTheLimits) {
  TestPeer peer({.max_packet_bytes = 2000,
                 .receive_maximum = 10,
                 .topic_alias_maximum = 3,
                 .maximum_qos = 1,
                 .shared_available = false,
                 .max_keep_alive_s = 30});
  peer.feed(kConnect5);
  PropertyWriter extra;
  extra.add(PropertyId::kAssignedClientId, "given");
  peer.connection.accept(peer.inflight, true, peer.out, extra.view());
  const auto connack = sent<Connack>(peer.out, Version::k5);
  EXPECT_TRUE(connack.session_present);
  EXPECT_EQ(connack.properties.number(PropertyId::kReceiveMaximum), 10u);
  EXPECT_EQ(connack.properties.number(PropertyId::kMaximumQos), 1u);
  EXPECT_EQ(connack.properties.number(PropertyId::kMaximumPacketSize), 2000u);
  EXPECT_EQ(connack.properties.number(PropertyId::kTopicAliasMaximum), 3u);
  EXPECT_EQ(connack.properties.number(PropertyId::kSharedSubscriptionAvailable), 0u);
  EXPECT_EQ(connack.properties.number(PropertyId::kServerKeepAlive), 30u);
  EXPECT_EQ(connack.properties.text(PropertyId::kAssignedClientId), "given");
  EXPECT_FALSE(connack.properties.has(PropertyId::kRetainAvailable));
  EXPECT_EQ(peer.connection.keep_alive_s(), 30);
}

struct FirstBytes {
  const char* name;
  std::string bytes;
  std::string answer;  // exact
  Reason reason;
};

TEST(Connection, WhatIsNotAConnectIsTurnedAway) {
  const FirstBytes kCases[] = {
      {"ping first", "\xc0\x00"s, "", Reason::kProtocolError},
      {"publish first", "\x30\x04\x00\x01tx"s, "", Reason::kProtocolError},
      {"HTTP", "GET / HTTP/1.1\r\n\r\n", "", Reason::kProtocolError},
      {"TLS", "\x16\x03\x01\x02\x00"s, "", Reason::kProtocolError},
      {"zeros", std::string(100, '\0'), "", Reason::kProtocolError},
      {"MQTT 3.1",
       "\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01"
       "c"s,
       "\x20\x02\x00\x01"s, Reason::kUnsupportedProtocolVersion},
      {"level 2",
       "\x10\x0d\x00\x04MQTT\x02\x02\x00\x3c\x00\x01"
       "c"s,
       "\x20\x02\x00\x01"s, Reason::kUnsupportedProtocolVersion},
      {"level 6",
       "\x10\x0d\x00\x04MQTT\x06\x02\x00\x3c\x00\x01"
       "c"s,
       "\x20\x03\x00\x84\x00"s, Reason::kUnsupportedProtocolVersion},
      {"another protocol",
       "\x10\x0d\x00\x04XMPP\x04\x02\x00\x3c\x00\x01"
       "c"s,
       "", Reason::kUnsupportedProtocolVersion},
      {"malformed 3.1.1",
       "\x10\x0d\x00\x04MQTT\x04\x03\x00\x3c\x00\x01"
       "c"s,
       "", Reason::kMalformedPacket},
      {"malformed 5",
       "\x10\x0e\x00\x04MQTT\x05\x03\x00\x3c\x00\x00\x01"
       "c"s,
       "\x20\x03\x00\x81\x00"s, Reason::kMalformedPacket},
      {"no id, not clean", "\x10\x0c\x00\x04MQTT\x04\x00\x00\x3c\x00\x00"s, "\x20\x02\x00\x02"s,
       Reason::kClientIdentifierNotValid},
      {"enhanced authentication",
       "\x10\x12\x00\x04MQTT\x05\x02\x00\x3c\x04\x15\x00\x01m\x00\x01"
       "c"s,
       "\x20\x03\x00\x8c\x00"s, Reason::kBadAuthenticationMethod},
      {"will QoS 2, 3.1.1",
       "\x10\x13\x00\x04MQTT\x04\x16\x00\x3c\x00\x01"
       "c\x00\x01t\x00\x01w"s,
       "", Reason::kQosNotSupported},
      {"will QoS 2, 5",
       "\x10\x15\x00\x04MQTT\x05\x16\x00\x3c\x00\x00\x01"
       "c\x00\x00\x01t\x00\x01w"s,
       "\x20\x03\x00\x9b\x00"s, Reason::kQosNotSupported},
      {"too large", "\x10\xff\xff\xff\x7f"s, "", Reason::kPacketTooLarge},
  };
  for (const FirstBytes& one : kCases) {
    TestPeer peer({.maximum_qos = 1});
    peer.feed(one.bytes);
    EXPECT_EQ(peer.events, Lines{"error " + std::to_string(static_cast<int>(one.reason))}) << one.name;
    EXPECT_EQ(peer.out, one.answer) << one.name << testing::PrintToString(peer.out);
    EXPECT_TRUE(peer.connection.closed()) << one.name;
  }
}

TEST_P(BothVersions, RefusalsOfTheOwnerAreMapped) {
  for (const auto& [reason, code] : {std::pair{Reason::kNotAuthorized, 5},
                                     {Reason::kBadUserNameOrPassword, 4},
                                     {Reason::kServerUnavailable, 3},
                                     {Reason::kServerBusy, 3},
                                     {Reason::kClientIdentifierNotValid, 2}}) {
    TestPeer peer;
    peer.feed(GetParam() == Version::k5 ? kConnect5 : kConnect4);
    peer.connection.refuse(reason, peer.out);
    EXPECT_TRUE(peer.connection.closed());
    ASSERT_GE(peer.out.size(), 4u);
    EXPECT_EQ(peer.out[3], static_cast<char>(GetParam() == Version::k5 ? static_cast<int>(reason) : code));
    peer.take_out();
    peer.connection.accept(peer.inflight, false, peer.out);  // too late
    EXPECT_EQ(peer.out, "");
  }
}

TEST_P(BothVersions, ASecondConnectEndsTheConnection) {
  TestPeer peer;
  peer.connect(GetParam());
  peer.feed(GetParam() == Version::k5 ? kConnect5 : kConnect4);
  expect_failed(peer, Reason::kProtocolError);
}

TEST_P(BothVersions, ASecondConnectIsAProtocolErrorWhateverItHolds) {
  TestPeer peer;
  peer.connect(GetParam());
  peer.feed(
      "\x10\x0a\x00\x03"
      "a/b\x03\x23\x00\x01\x31"s);  // another protocol's name
  expect_failed(peer, Reason::kProtocolError);
}

TEST_P(BothVersions, PacketsOfServersEndTheConnection) {
  const bool v5 = GetParam() == Version::k5;
  for (const std::string& bytes : {"\xd0\x00"s, v5 ? "\x20\x03\x00\x00\x00"s : "\x20\x02\x00\x00"s,
                                   v5 ? "\x90\x04\x00\x01\x00\x00"s : "\x90\x03\x00\x01\x00"s,
                                   v5 ? "\xb0\x04\x00\x01\x00\x00"s : "\xb0\x02\x00\x01"s}) {
    TestPeer peer;
    peer.connect(GetParam());
    peer.feed(bytes);
    expect_failed(peer, Reason::kProtocolError);
  }
}

TEST(Connection, AuthEndsTheConnection) {
  TestPeer peer;
  peer.connect(Version::k5);
  peer.feed("\xf0\x00"s);
  EXPECT_EQ(peer.events, Lines{"error 130"});
}

TEST_P(BothVersions, MalformedAndTooLargePacketsEndTheConnection) {
  struct Case {
    std::string bytes;
    Reason reason;
  };
  for (const Case& one : {Case{"\xc1\x00"s, Reason::kMalformedPacket}, Case{"\x00\x00"s, Reason::kMalformedPacket},
                          Case{"\x30\x80\x80\x80\x80\x01"s, Reason::kMalformedPacket},
                          Case{"\x30\xff\xff\xff\x7f"s, Reason::kPacketTooLarge},
                          Case{"\x36\x05\x00\x01t\x00\x01"s, Reason::kMalformedPacket}}) {
    TestPeer peer;
    peer.connect(GetParam());
    peer.feed(one.bytes);
    expect_failed(peer, one.reason);
  }
}

TEST_P(BothVersions, PublishReachesTheOwnerAndIsAnswered) {
  TestPeer peer;
  peer.connect(GetParam());
  peer.feed_packet(Publish{.topic = "a/b", .payload = "x"});
  peer.feed_packet(Publish{.topic = "a/b", .payload = "y", .qos = 1, .packet_id = 7});
  EXPECT_EQ(peer.take_events(), (Lines{"publish a/b x q0 id0", "publish a/b y q1 id7"}));
  EXPECT_EQ(peer.out, "");
  EXPECT_EQ(peer.connection.unanswered(), 1u);
  peer.connection.puback(7, Reason::kSuccess, peer.out);
  EXPECT_EQ(peer.take_out(), "\x40\x02\x00\x07"s);
  EXPECT_EQ(peer.connection.unanswered(), 0u);
  peer.connection.puback(8, Reason::kNoMatchingSubscribers, peer.out);
  EXPECT_EQ(peer.out, GetParam() == Version::k5 ? "\x40\x03\x00\x08\x10"s : "\x40\x02\x00\x08"s);
}

TEST_P(BothVersions, QosAboveTheMaximumEndsTheConnection) {
  TestPeer peer({.maximum_qos = 1});
  peer.connect(GetParam());
  peer.feed_packet(Publish{.topic = "t", .qos = 2, .packet_id = 1});
  expect_failed(peer, Reason::kQosNotSupported);
}

TEST_P(BothVersions, TooLongTopicsAndRefusedRetainEndTheConnection) {
  TestPeer peer({.max_topic_bytes = 8, .retain_available = false});
  peer.connect(GetParam());
  peer.feed_packet(Publish{.topic = "12345678"});
  EXPECT_EQ(peer.take_events().size(), 1u);
  peer.feed_packet(Publish{.topic = "123456789"});
  expect_failed(peer, Reason::kTopicNameInvalid);
  TestPeer other({.retain_available = false});
  other.connect(GetParam());
  other.feed_packet(Publish{.topic = "t", .retain = true});
  expect_failed(other, Reason::kRetainNotSupported);
}

TEST(Connection, ReceiveMaximumIsEnforcedIn5) {
  TestPeer peer({.receive_maximum = 3});
  peer.connect(Version::k5);
  for (std::uint16_t id = 1; id <= 3; ++id) peer.feed_packet(Publish{.topic = "t", .qos = 1, .packet_id = id});
  peer.feed_packet(Publish{.topic = "t"});  // QoS 0 does not count
  EXPECT_TRUE(peer.connection.connected());
  peer.connection.puback(1, Reason::kSuccess, peer.out);
  peer.take_out();
  peer.feed_packet(Publish{.topic = "t", .qos = 1, .packet_id = 4});
  EXPECT_TRUE(peer.connection.connected());
  peer.feed_packet(Publish{.topic = "t", .qos = 1, .packet_id = 5});
  EXPECT_EQ(peer.events.back(), "error 147");
  EXPECT_EQ(sent<Disconnect>(peer.out, Version::k5).reason, Reason::kReceiveMaximumExceeded);
}

std::string publish_with_alias(std::string_view topic, std::uint32_t alias) {
  PropertyWriter writer;
  writer.add(PropertyId::kTopicAlias, alias);
  std::string out;
  encode(out, Version::k5, Publish{.topic = topic, .properties = writer.view()});
  return out;
}

TEST(Connection, TopicAliasesAreResolvedAndReplaced) {
  TestPeer peer({.topic_alias_maximum = 2});
  peer.connect(Version::k5);
  for (const auto& [topic, alias] : {std::pair{"a", 2u}, {"", 2u}, {"b", 1u}, {"", 1u}, {"c", 2u}, {"", 2u}}) {
    peer.feed(publish_with_alias(topic, alias));
  }
  Lines topics;
  for (const std::string& line : peer.take_events()) topics.push_back(line.substr(0, 9));
  EXPECT_EQ(topics, (Lines{"publish a", "publish a", "publish b", "publish b", "publish c", "publish c"}));
}

TEST(Connection, BadTopicAliasesEndTheConnection) {
  struct Case {
    std::string bytes;
    int reason;
    std::uint16_t maximum;
  };
  for (const Case& one : {Case{publish_with_alias("t", 3), 0x94, 2}, Case{publish_with_alias("t", 1), 0x94, 0},
                          Case{publish_with_alias("", 1), 0x82, 2}, Case{publish_with_alias("", 65535), 0x94, 2}}) {
    TestPeer peer({.topic_alias_maximum = one.maximum});
    peer.connect(Version::k5);
    peer.feed(one.bytes);
    EXPECT_EQ(peer.events, Lines{"error " + std::to_string(one.reason)});
  }
}

TEST(Connection, ASubscriptionIdentifierFromAClientIsAnError) {
  TestPeer peer;
  peer.connect(Version::k5);
  peer.feed("\x30\x06\x00\x01t\x02\x0b\x01"s);
  EXPECT_EQ(peer.events, Lines{"error 130"});
}

TEST_P(BothVersions, SubscribeAndUnsubscribeAreHandedOver) {
  TestPeer peer;
  peer.connect(GetParam());
  const SubscribeFilter filters[] = {{"a/#", 1}, {"b", 2}};
  std::string bytes;
  encode_subscribe(bytes, GetParam(), 9, filters);
  const std::string_view names[] = {"a/#"};
  encode_unsubscribe(bytes, GetParam(), 10, names);
  peer.feed(bytes);
  EXPECT_EQ(peer.events, (Lines{"subscribe a/# b", "unsubscribe 1"}));
  peer.connection.suback(9, "\x01\x87", peer.out);
  peer.connection.unsuback(10, "\x11", peer.out);
  EXPECT_EQ(peer.out, GetParam() == Version::k5 ? "\x90\x05\x00\x09\x00\x01\x87\xb0\x04\x00\x0a\x00\x11"s
                                                : "\x90\x04\x00\x09\x01\x80\xb0\x02\x00\x0a"s);
}

TEST(Connection, SubscriptionIdentifiersCanBeUnavailable) {
  TestPeer peer({.subscription_identifiers_available = false});
  peer.connect(Version::k5);
  peer.feed("\x82\x09\x00\x01\x02\x0b\x05\x00\x01t\x00"s);
  EXPECT_EQ(peer.events, Lines{"error 161"});
}

TEST_P(BothVersions, DisconnectEndsInSilence) {
  TestPeer peer;
  peer.connect(GetParam());
  peer.feed("\xe0\x00\xc0\x00"s);
  EXPECT_EQ(peer.events, Lines{"disconnect 0"});
  EXPECT_EQ(peer.out, "");
  EXPECT_TRUE(peer.connection.closed());
  EXPECT_EQ(peer.pending, "\xc0\x00"s);
}

TEST(Connection, DisconnectCannotProlongASessionThatEndsWithTheConnection) {
  TestPeer peer;
  peer.connect(Version::k5);
  peer.feed("\xe0\x07\x00\x05\x11\x00\x00\x00\x0a"s);
  EXPECT_EQ(peer.events, Lines{"error 130"});
  TestPeer other;
  PropertyWriter writer;
  writer.add(PropertyId::kSessionExpiry, 60);
  other.feed_packet(Connect{.version = Version::k5, .client_id = "c", .properties = writer.view()});
  other.connection.accept(other.inflight, false, other.out);
  other.feed("\xe0\x07\x04\x05\x11\x00\x00\x00\x0a"s);
  EXPECT_EQ(other.events.back(), "disconnect 4");
}

TEST_P(BothVersions, KeepAliveRunsOutAfterOneAndAHalfTimes) {
  TestPeer peer({.connect_deadline_ms = 5000}, 1000);
  EXPECT_EQ(peer.connection.deadline_ms(), 6000);
  peer.feed(GetParam() == Version::k5 ? kConnect5 : kConnect4, 2000);
  peer.connection.accept(peer.inflight, false, peer.out);
  peer.take_out();
  EXPECT_EQ(peer.connection.deadline_ms(), 92'000);
  peer.feed("\xc0\x00"s, 50'000);
  peer.take_out();
  EXPECT_EQ(peer.connection.deadline_ms(), 140'000);
  peer.feed("\x30"s, 100'000);  // half a packet is no packet
  EXPECT_EQ(peer.connection.deadline_ms(), 140'000);
  peer.connection.set_paused(true, 110'000);
  EXPECT_EQ(peer.connection.deadline_ms(), 0);
  peer.connection.set_paused(false, 120'000);
  EXPECT_EQ(peer.connection.deadline_ms(), 210'000);
  EXPECT_FALSE(peer.connection.expire(209'999, peer, peer.out));
  EXPECT_TRUE(peer.connection.expire(210'000, peer, peer.out));
  expect_failed(peer, Reason::kKeepAliveTimeout);
  EXPECT_FALSE(peer.connection.expire(999'000, peer, peer.out));
}

TEST(Connection, WithoutConnectTheDeadlineClosesInSilence) {
  TestPeer peer({.connect_deadline_ms = 5000});
  EXPECT_TRUE(peer.connection.expire(5000, peer, peer.out));
  EXPECT_EQ(peer.events, Lines{"error 141"});
  EXPECT_EQ(peer.out, "");
}

TEST(Connection, KeepAliveWishesAreBounded) {
  struct Case {
    int asked, in_force;
  };
  for (const Case& one : {Case{0, 1200}, Case{10, 30}, Case{60, 60}, Case{65535, 1200}}) {
    TestPeer peer({.min_keep_alive_s = 30, .max_keep_alive_s = 1200});
    peer.feed_packet(Connect{.version = Version::k5, .keep_alive_s = static_cast<std::uint16_t>(one.asked)});
    peer.connection.accept(peer.inflight, false, peer.out);
    EXPECT_EQ(peer.connection.keep_alive_s(), one.in_force);
    const auto told = sent<Connack>(peer.out, Version::k5).properties.number(PropertyId::kServerKeepAlive);
    EXPECT_EQ(told.value_or(static_cast<std::uint32_t>(one.asked)), static_cast<std::uint32_t>(one.in_force));
  }
  TestPeer none;
  none.feed_packet(Connect{.version = Version::k311});
  none.connection.accept(none.inflight, false, none.out);
  EXPECT_EQ(none.connection.deadline_ms(), 0) << "keep-alive 0 never runs out";
}

TEST_P(BothVersions, PausedItStopsBehindThePacketInHand) {
  TestPeer peer;
  peer.connect(GetParam());
  peer.connection.set_paused(true, 0);
  peer.feed("\xc0\x00\xc0\x00"s);
  EXPECT_EQ(peer.events, Lines{});
  peer.connection.set_paused(false, 0);
  peer.feed("");
  EXPECT_EQ(peer.events.size(), 2u);
}

TEST_P(BothVersions, AnySplitOfTheInputGivesTheSameEvents) {
  std::string bytes = GetParam() == Version::k5 ? kConnect5 : kConnect4;
  encode(bytes, GetParam(), Publish{.topic = "a", .payload = "1", .qos = 1, .packet_id = 1});
  const SubscribeFilter filter{"x/#", 1};
  encode_subscribe(bytes, GetParam(), 2, std::span(&filter, 1));
  bytes += "\xc0\x00"s;
  encode(bytes, GetParam(), Publish{.topic = "b", .payload = std::string_view("22")});
  bytes += "\xe0\x00"s;
  const Lines expected = {"connect c", "publish a 1 q1 id1",  "subscribe x/#",
                          "pingreq",   "publish b 22 q0 id0", "disconnect 0"};
  std::mt19937_64 random(3);
  for (int round = 0; round < 300; ++round) {
    TestPeer peer;
    peer.answer_publishes = true;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t size = std::min<std::size_t>(1 + random() % (round % 10 + 1), bytes.size() - at);
      peer.feed(std::string_view(bytes).substr(at, size));
      if (peer.connection.state() == Connection::State::kConnecting) {
        peer.connection.accept(peer.inflight, false, peer.out);
        peer.feed("");
      }
      at += size;
    }
    ASSERT_EQ(peer.events, expected);
    ASSERT_EQ(peer.pending, "");
  }
}

TEST(Connection, WantedTellsTheSizeOfAPacketThatArrivesInParts) {
  TestPeer peer;
  peer.connect(Version::k311);
  EXPECT_EQ(peer.connection.wanted(""), 0u);
  EXPECT_EQ(peer.connection.wanted("\x30"), 0u);
  EXPECT_EQ(peer.connection.wanted("\x30\x90\x4e"), 10'003u);
  EXPECT_EQ(peer.connection.wanted("\x30\xff\xff\xff\x7f"), 0u);  // receive() will refuse it
}

TEST(Connection, ReasonsAreThoseThatThePacketMayCarry) {
  for (unsigned code = 0x80; code <= 0xA2; ++code) {
    TestPeer peer;
    peer.connect(Version::k5);
    peer.connection.disconnect(static_cast<Reason>(code), peer.out);
    EXPECT_EQ(decode(peer.out, Version::k5).status, DecodeStatus::kPacket) << "DISCONNECT " << code;
  }
  for (const Reason reason : {Reason::kServerShuttingDown, Reason::kSessionTakenOver, Reason::kQuotaExceeded,
                              Reason::kPacketTooLarge, Reason::kAdministrativeAction, Reason::kServerUnavailable}) {
    TestPeer peer;
    peer.feed(kConnect5);
    peer.connection.refuse(reason, peer.out);
    EXPECT_EQ(decode(peer.out, Version::k5).status, DecodeStatus::kPacket) << "CONNACK " << to_string(reason);
  }
}

TEST(Connection, TakenOverItTellsOnly5) {
  for (const Version version : {Version::k311, Version::k5}) {
    TestPeer peer;
    peer.connect(version);
    peer.connection.disconnect(Reason::kSessionTakenOver, peer.out);
    EXPECT_EQ(peer.out, version == Version::k5 ? "\xe0\x01\x8e"s : ""s);
    EXPECT_EQ(peer.events, Lines{}) << "our own decision is no protocol error";
    PublishImage image;
    ASSERT_TRUE(image.build(version, {.topic = "t"}));
    EXPECT_EQ(peer.connection.send(image, peer.out), SendOutcome::kClosed);
  }
}

}  // namespace
}  // namespace muster::mqtt
