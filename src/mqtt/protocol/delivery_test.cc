// SPDX-License-Identifier: Apache-2.0
// Messages towards the client, acknowledgements, resumption, and QoS 2 both ways.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "mqtt/protocol/test_peer.h"

namespace muster::mqtt {
namespace {

using namespace std::string_literals;
using Lines = std::vector<std::string>;

struct TestImage : PublishImage {
  TestImage(Version version, std::uint8_t qos, std::string_view payload) {
    EXPECT_TRUE(build(version, {.topic = "t", .payload = payload, .qos = qos}));
  }
};
TestImage image_of(Version version, std::uint8_t qos, std::string_view payload = "p") {
  return TestImage(version, qos, payload);
}

std::vector<std::string> packets_in(const std::string& bytes, Version version) {
  std::vector<std::string> out;
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const DecodeOutcome outcome = decode(rest, version);
    EXPECT_EQ(outcome.status, DecodeStatus::kPacket) << outcome.error.text;
    if (outcome.status != DecodeStatus::kPacket) break;
    std::string line(to_string(static_cast<PacketType>(static_cast<std::uint8_t>(rest[0]) >> 4)));
    std::visit(
        [&](const auto& packet) {
          if constexpr (requires { packet.packet_id; }) line += " " + std::to_string(packet.packet_id);
          if constexpr (requires { packet.dup; }) line += packet.dup ? " dup" : "";
          if constexpr (requires { packet.reason; }) {
            if (packet.reason != Reason::kSuccess) line += " r" + std::to_string(static_cast<int>(packet.reason));
          }
        },
        outcome.packet);
    out.push_back(line);
    rest.remove_prefix(outcome.consumed);
  }
  return out;
}

class Delivery : public testing::TestWithParam<Version> {
 protected:
  Version version() const { return GetParam(); }
  template <class T>
  void ack(TestPeer& peer, std::uint16_t id, Reason reason = Reason::kSuccess) {
    peer.feed_packet(T{{id, reason, {}}});
  }
  Lines out(TestPeer& peer) { return packets_in(peer.take_out(), version()); }
};
INSTANTIATE_TEST_SUITE_P(Mqtt, Delivery, testing::Values(Version::k311, Version::k5),
                         [](const auto& info) { return info.param == Version::k5 ? "v5" : "v311"; });

TEST_P(Delivery, AcknowledgementsFindTheirMessage) {
  TestPeer peer;
  peer.connect(version());
  const TestImage image = image_of(version(), 1);
  std::uint16_t first = 0, second = 0;
  EXPECT_EQ(peer.connection.send(image, 100, peer.out, &first), SendOutcome::kSent);
  EXPECT_EQ(peer.connection.send(image, 200, peer.out, &second), SendOutcome::kSent);
  EXPECT_NE(first, second);
  EXPECT_EQ(out(peer), (Lines{"PUBLISH " + std::to_string(first), "PUBLISH " + std::to_string(second)}));
  ack<Puback>(peer, second);
  ack<Puback>(peer, first);
  EXPECT_EQ(peer.take_events(), (Lines{"puback t200 id" + std::to_string(second) + " r0",
                                       "puback t100 id" + std::to_string(first) + " r0"}));
  EXPECT_TRUE(peer.inflight.outgoing.empty());
  ack<Puback>(peer, first);  // twice: nothing
  ack<Puback>(peer, 999);
  EXPECT_EQ(peer.take_events(), Lines{});
  EXPECT_TRUE(peer.connection.connected());
}

TEST_P(Delivery, TheWindowIsTheSmallerOfBothMaxima) {
  TestPeer peer({.max_inflight = 5});
  PropertyWriter writer;
  writer.add(PropertyId::kReceiveMaximum, 3);
  peer.feed_packet(Connect{.version = version(), .client_id = "c", .properties = writer.view()});
  peer.connection.accept(peer.inflight, false, peer.out);
  const std::size_t expected = version() == Version::k5 ? 3 : 5;
  const TestImage image = image_of(version(), 1);
  std::uint16_t id = 0;
  for (std::size_t i = 0; i < expected; ++i) {
    EXPECT_EQ(peer.connection.window(), expected - i);
    EXPECT_EQ(peer.connection.send(image, i, peer.out, &id), SendOutcome::kSent);
  }
  peer.take_out();
  EXPECT_EQ(peer.connection.send(image, 9, peer.out, &id), SendOutcome::kWindowFull);
  EXPECT_EQ(peer.out, "");
  EXPECT_EQ(peer.inflight.outgoing.size(), expected);
  ack<Puback>(peer, id);
  EXPECT_EQ(peer.connection.send(image, 9, peer.out, &id), SendOutcome::kSent);
}

TEST(DeliveryOf5, MessagesAboveTheClientsPacketSizeAreRefused) {
  TestPeer peer;
  PropertyWriter writer;
  writer.add(PropertyId::kMaximumPacketSize, 100);
  peer.feed_packet(Connect{.version = Version::k5, .client_id = "c", .properties = writer.view()});
  peer.connection.accept(peer.inflight, false, peer.out);
  peer.take_out();
  const TestImage large = image_of(Version::k5, 0, std::string(100, 'x'));
  const TestImage large1 = image_of(Version::k5, 1, std::string(100, 'x'));
  EXPECT_EQ(peer.connection.send(large, peer.out), SendOutcome::kTooLarge);
  EXPECT_EQ(peer.connection.send(large1, 1, peer.out, nullptr), SendOutcome::kTooLarge);
  EXPECT_TRUE(peer.inflight.outgoing.empty());
  EXPECT_EQ(peer.out, "");
  EXPECT_EQ(peer.connection.send(image_of(Version::k5, 0), peer.out), SendOutcome::kSent);
}

TEST_P(Delivery, AResumedSessionIsSentAgainInOrder) {
  Inflight session;
  ConnectionLimits limits{.max_inflight = 2};
  const TestImage one = image_of(version(), 1);
  const TestImage two = image_of(version(), 2);
  {
    limits.max_inflight = 10;
    TestPeer peer(limits);
    peer.feed_packet(Connect{.version = version(), .clean_start = false, .client_id = "c"});
    peer.connection.accept(session, false, peer.out);
    std::uint16_t id = 0;
    ASSERT_EQ(peer.connection.send(one, 1, peer.out, &id), SendOutcome::kSent);  // id 1
    ASSERT_EQ(peer.connection.send(two, 2, peer.out, &id), SendOutcome::kSent);  // id 2
    ASSERT_EQ(peer.connection.send(one, 3, peer.out, &id), SendOutcome::kSent);  // id 3
    ack<Pubrec>(peer, 2);
    peer.connection.pubrel(2, peer.out);
    peer.connection.detach();
    EXPECT_TRUE(peer.connection.closed());
  }
  limits.max_inflight = 2;
  TestPeer peer(limits);
  peer.feed_packet(Connect{.version = version(), .clean_start = false, .client_id = "c"});
  peer.connection.accept(session, true, peer.out);
  peer.take_out();
  std::vector<std::uint16_t> ids;
  for (const auto& entry : session.outgoing.entries()) ids.push_back(entry.packet_id);
  ASSERT_EQ(ids, (std::vector<std::uint16_t>{1, 2, 3}));
  EXPECT_EQ(peer.connection.resend(1, one, peer.out), SendOutcome::kSent);
  EXPECT_EQ(peer.connection.resend(2, two, peer.out), SendOutcome::kSent);
  EXPECT_EQ(peer.connection.resend(3, one, peer.out), SendOutcome::kWindowFull);
  EXPECT_EQ(out(peer), (Lines{"PUBLISH 1 dup", "PUBREL 2"}));
  ack<Puback>(peer, 3);  // not sent on this connection: means nothing
  EXPECT_EQ(session.outgoing.size(), 3u);
  ack<Pubcomp>(peer, 2);
  EXPECT_EQ(peer.take_events().back(), "pubcomp t2 id2 r0");
  EXPECT_EQ(peer.connection.resend(3, one, peer.out), SendOutcome::kSent);
  EXPECT_EQ(peer.connection.resend(3, one, peer.out), SendOutcome::kSent);  // a second time: nothing
  EXPECT_EQ(out(peer), (Lines{"PUBLISH 3 dup"}));
}

TEST_P(Delivery, AFreshSessionForgetsWhatWasInFlight) {
  TestPeer peer;
  ASSERT_NE(peer.inflight.outgoing.add(1, 1), 0);
  peer.inflight.incoming.add(5);
  peer.connect(version());
  EXPECT_TRUE(peer.inflight.outgoing.empty());
  EXPECT_EQ(peer.inflight.incoming.size(), 0u);
}

TEST_P(Delivery, Qos2FromTheClientIsDeliveredOnce) {
  TestPeer peer({.maximum_qos = 2});
  peer.connect(version());
  const Publish publish{.topic = "t", .payload = "x", .qos = 2, .packet_id = 5};
  peer.feed_packet(publish);
  EXPECT_EQ(peer.take_events(), Lines{"publish t x q2 id5"});
  peer.connection.pubrec(5, Reason::kSuccess, peer.out);
  EXPECT_EQ(out(peer), Lines{"PUBREC 5"});
  Publish again = publish;
  again.dup = true;
  peer.feed_packet(again);
  EXPECT_EQ(peer.take_events(), Lines{"publish again id5"});
  peer.connection.pubrec(5, Reason::kSuccess, peer.out);
  EXPECT_EQ(out(peer), Lines{"PUBREC 5"});
  ack<Pubrel>(peer, 5);
  EXPECT_EQ(peer.take_events(), Lines{"pubrel id5"});
  peer.connection.pubcomp(5, peer.out);
  EXPECT_EQ(out(peer), Lines{"PUBCOMP 5"});
  ack<Pubrel>(peer, 5);  // a repetition: known no more
  EXPECT_EQ(out(peer), Lines{version() == Version::k5 ? "PUBCOMP 5 r146" : "PUBCOMP 5"});
  peer.feed_packet(publish);  // the id is free again
  EXPECT_EQ(peer.take_events(), Lines{"publish t x q2 id5"});
  peer.connection.pubrec(5, Reason::kNotAuthorized, peer.out);
  EXPECT_EQ(peer.inflight.incoming.size(), 0u);
  EXPECT_EQ(peer.connection.unanswered(), 0u);
}

TEST(DeliveryOf5, Qos2CountsAgainstTheReceiveMaximumUntilPubcomp) {
  TestPeer peer({.receive_maximum = 2, .maximum_qos = 2});
  peer.connect(Version::k5);
  for (std::uint16_t id : {1, 2}) {
    peer.feed_packet(Publish{.topic = "t", .qos = 2, .packet_id = id});
    peer.connection.pubrec(id, Reason::kSuccess, peer.out);
  }
  peer.feed_packet(Pubrel{{1, Reason::kSuccess, {}}});
  peer.connection.pubcomp(1, peer.out);
  peer.feed_packet(Publish{.topic = "t", .qos = 2, .packet_id = 3});
  EXPECT_TRUE(peer.connection.connected());
  peer.feed_packet(Publish{.topic = "t", .qos = 1, .packet_id = 4});
  EXPECT_EQ(peer.events.back(), "error 147");
}

TEST_P(Delivery, Qos2ToTheClientTakesItsFourSteps) {
  TestPeer peer;
  peer.connect(version());
  std::uint16_t id = 0;
  ASSERT_EQ(peer.connection.send(image_of(version(), 2), 77, peer.out, &id), SendOutcome::kSent);
  const std::string number = std::to_string(id);
  ack<Pubrec>(peer, id);
  EXPECT_EQ(peer.take_events(), Lines{"pubrec t77 id" + number + " r0"});
  peer.take_out();
  peer.connection.pubrel(id, peer.out);
  EXPECT_EQ(out(peer), Lines{"PUBREL " + number});
  ack<Pubrec>(peer, id);  // repeated: answered without asking
  EXPECT_EQ(peer.take_events(), Lines{});
  EXPECT_EQ(out(peer), Lines{"PUBREL " + number});
  ack<Pubcomp>(peer, id);
  EXPECT_EQ(peer.take_events(), Lines{"pubcomp t77 id" + number + " r0"});
  EXPECT_TRUE(peer.inflight.outgoing.empty());
  EXPECT_EQ(peer.connection.window(), 100u);
  ack<Pubrec>(peer, 999);
  EXPECT_EQ(out(peer), Lines{version() == Version::k5 ? "PUBREL 999 r146" : "PUBREL 999"});
}

TEST(DeliveryOf5, ARefusedQos2MessageIsOver) {
  TestPeer peer;
  peer.connect(Version::k5);
  std::uint16_t id = 0;
  ASSERT_EQ(peer.connection.send(image_of(Version::k5, 2), 5, peer.out, &id), SendOutcome::kSent);
  peer.take_out();
  peer.feed_packet(Pubrec{{id, Reason::kQuotaExceeded, {}}});
  EXPECT_EQ(peer.take_events(), Lines{"pubrec t5 id" + std::to_string(id) + " r151"});
  EXPECT_TRUE(peer.inflight.outgoing.empty());
  EXPECT_EQ(peer.out, "");
}

TEST_P(Delivery, AcknowledgementsOfTheWrongKindEndTheConnection) {
  for (int which = 0; which < 3; ++which) {
    TestPeer peer;
    peer.connect(version());
    std::uint16_t id = 0;
    ASSERT_EQ(peer.connection.send(image_of(version(), which == 0 ? 2 : 1), 1, peer.out, &id), SendOutcome::kSent);
    if (which == 0) ack<Puback>(peer, id);
    if (which == 1) ack<Pubrec>(peer, id);
    if (which == 2) ack<Pubcomp>(peer, id);
    EXPECT_EQ(peer.events.back(), "error 130") << which;
    EXPECT_EQ(peer.inflight.outgoing.size(), 1u) << "nothing is lost by a confused client";
  }
}

TEST(OutgoingInflight, NeverHandsOutAnIdThatIsInUse) {
  std::mt19937_64 random(5);
  OutgoingInflight inflight;
  std::set<std::uint16_t> open;
  for (int step = 0; step < 200'000; ++step) {
    if (open.size() < 40 && random() % 2 == 0) {
      const std::uint16_t id = inflight.add(static_cast<std::uint64_t>(step) + 1, 1);
      ASSERT_NE(id, 0);
      ASSERT_TRUE(open.insert(id).second);
    } else if (!open.empty()) {
      auto at = open.begin();
      if (random() % 4 == 0) std::advance(at, random() % open.size());
      ASSERT_TRUE(inflight.remove(*at));
      ASSERT_FALSE(inflight.remove(*at));
      open.erase(at);
    }
    ASSERT_EQ(inflight.size(), open.size());
  }
}

TEST(OutgoingInflight, IsBoundedAndRestorable) {
  OutgoingInflight inflight;
  EXPECT_TRUE(inflight.restore({.token = 65535, .packet_id = 65535}));
  EXPECT_FALSE(inflight.restore({.token = 65536, .packet_id = 65535}));
  EXPECT_FALSE(inflight.restore({.token = 65536, .packet_id = 0}));
  EXPECT_EQ(inflight.add(65536, 1), 1) << "0 is skipped after 65535";
  std::uint64_t token = 65537;
  while (inflight.size() < OutgoingInflight::kMaxOutgoing) ASSERT_NE(inflight.add(token++, 1), 0);
  EXPECT_EQ(inflight.add(token, 1), 0);
  EXPECT_EQ(inflight.entries().front().packet_id, 65535);
}

TEST(OutgoingInflight, AnIdIsNotTakenAgainWhileItsMessageIsOpen) {
  OutgoingInflight inflight;
  ASSERT_EQ(inflight.add(7, 2), 7);
  EXPECT_EQ(inflight.add(7 + 65535, 2), 0);
  ASSERT_EQ(inflight.add(8 + 65535, 2), 8);
  ASSERT_TRUE(inflight.remove(7));
  EXPECT_EQ(OutgoingInflight::packet_id_of(65536), 1);
}

}  // namespace
}  // namespace muster::mqtt
