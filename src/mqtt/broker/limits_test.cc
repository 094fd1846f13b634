// SPDX-License-Identifier: Apache-2.0
// Bounds that an operator sets: each answers as the protocol says.
#include "mqtt/broker/broker_fixture.h"

namespace muster::mqtt {
namespace {

class LimitsTest : public BrokerTest {
 public:
  static bool is_v5() { return GetParam() == Version::k5; }
  void restart() {
    kill_broker();
    make_broker();
  }
};
INSTANTIATE_TEST_SUITE_P(Versions, LimitsTest, ::testing::Values(Version::k311, Version::k5),
                         [](const auto& instance) { return instance.param == Version::k5 ? "v5" : "v311"; });

TEST_P(LimitsTest, TopicsWithTooManyLevelsEndTheConnection) {
  options.max_topic_levels = 8;
  restart();
  auto device = connected("d");
  device->subscribe("1/2/3/4/5/6/7/8", 0);
  EXPECT_EQ(device->take_one(PacketType::kSuback).codes, std::string(1, '\0'));
  device->subscribe("1/2/3/4/5/6/7/8/9", 0, 2);
  EXPECT_EQ(device->take_one(PacketType::kSuback).codes, is_v5() ? "\x8f" : "\x80");
  device->publish("1/2/3/4/5/6/7/8", "x");
  EXPECT_EQ(device->take().size(), 1U);
  device->publish("1/2/3/4/5/6/7/8/9", "x");
  if (is_v5()) EXPECT_EQ(device->take_one(PacketType::kDisconnect).reason, Reason::kTopicNameInvalid);
  EXPECT_TRUE(device->closed());
}

TEST_P(LimitsTest, ASubscribeWithTooManyFiltersIsRefusedWhole) {
  options.max_filters_per_subscribe = 2;
  restart();
  auto device = connected("d");
  const SubscribeFilter filters[] = {{.filter = "a"}, {.filter = "b"}, {.filter = "c"}};
  std::string bytes;
  ASSERT_TRUE(encode_subscribe(bytes, GetParam(), 5, filters));
  device->send(bytes);
  EXPECT_EQ(device->take_one(PacketType::kSuback).codes, is_v5() ? "\x97\x97\x97" : "\x80\x80\x80");
  EXPECT_EQ(broker->total(&BrokerStats::subscriptions), 0U);
}

TEST_P(LimitsTest, PublishesAboveTheRateWaitForTheNextSecondAndNoneIsLost) {
  options.max_publishes_per_second = 10;
  restart();
  auto watcher = connected("w");
  watcher->subscribe("t", 0);
  EXPECT_EQ(watcher->take().size(), 1U);
  auto device = connected("d");
  for (int i = 0; i < 25; ++i) device->publish("t", std::to_string(i));
  EXPECT_EQ(watcher->take().size(), 10U);
  advance_ms(1000);
  EXPECT_EQ(watcher->take().size(), 10U);
  advance_ms(1000);
  EXPECT_EQ(watcher->take().size(), 5U);
  EXPECT_FALSE(device->closed());
}

TEST_P(LimitsTest, BytesAboveTheRateWaitToo) {
  options.max_bytes_per_second = 1000;
  restart();
  auto watcher = connected("w");
  watcher->subscribe("t", 0);
  EXPECT_EQ(watcher->take().size(), 1U);
  advance_ms(1000);
  auto device = connected("d");
  for (int i = 0; i < 4; ++i) {
    device->publish("t", std::string(900, 'x'));
    settle();
  }
  std::size_t got = watcher->take().size();
  EXPECT_LT(got, 4U);
  for (int i = 0; i < 6; ++i) {
    advance_ms(1000);
    got += watcher->take().size();
  }
  EXPECT_EQ(got, 4U);
}

TEST_P(LimitsTest, OneClientIdMayNotConnectTooOften) {
  options.max_connects_per_second = 1;
  restart();
  auto first = connected("d");
  auto second = device(GetParam());
  second->connect("d");
  const Seen answer = second->take_one(PacketType::kConnack);
  EXPECT_NE(answer.reason, Reason::kSuccess);
  if (is_v5()) EXPECT_EQ(answer.reason, Reason::kConnectionRateExceeded);
  EXPECT_FALSE(first->closed());
  auto other = connected("other");
  advance_ms(1000);
  auto third = connected("d");
  EXPECT_TRUE(first->closed());
}

TEST_P(LimitsTest, AShortKeepAliveIsRaised) {
  options.min_keep_alive_s = 30;
  restart();
  auto device = this->device(GetParam());
  Connect packet;
  packet.version = GetParam();
  packet.client_id = "d";
  packet.keep_alive_s = 5;
  device->connect(packet);
  const Seen answer = device->take_one(PacketType::kConnack);
  if (is_v5()) EXPECT_EQ(answer.props().number(PropertyId::kServerKeepAlive), 30U);
  EXPECT_EQ(summary("d").keep_alive_s, 30U);
}

TEST_P(LimitsTest, ExpiredCredentialsEndTheConnection) {
  authorizer.rules.expires_ms = clock.now_ms() + 100'000;
  auto device = connected("d");
  advance_ms(50'000);
  std::string ping;
  encode(ping, Pingreq{});
  device->send(ping);
  EXPECT_EQ(device->take().size(), 1U);
  advance_ms(49'000);
  EXPECT_FALSE(device->closed());
  advance_ms(3'000);
  if (is_v5()) EXPECT_EQ(device->take_one(PacketType::kDisconnect).reason, Reason::kMaximumConnectTime);
  EXPECT_TRUE(device->closed());
}

}  // namespace
}  // namespace muster::mqtt
