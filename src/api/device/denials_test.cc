// SPDX-License-Identifier: Apache-2.0
#include "api/device/denials.h"

#include <gtest/gtest.h>

namespace muster::api::device {
namespace {

Findings because() {
  return {{"policy.none", "No policy allows it.", {}}};
}

TEST(Denials, TheSameAgainIsCounted) {
  io::VirtualClock clock;
  Denials denials(clock);
  const auto first_ms = clock.now_ms();
  denials.record({"c", "192.0.2.1", "iot:Publish", "a", "p"}, because);
  clock.advance_ms(1000);
  denials.record({"c", "192.0.2.1", "iot:Publish", "b", "p"}, because);
  clock.advance_ms(1000);
  int asked = 0;
  denials.record({"c", "192.0.2.1", "iot:Publish", "a", "p"}, [&] {
    ++asked;
    return Findings{};
  });
  EXPECT_EQ(asked, 0);
  const auto kept = denials.of("c");
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[0].name, "a");
  EXPECT_EQ(kept[0].times, 2);
  EXPECT_EQ(kept[0].first_ms, first_ms);
  EXPECT_EQ(kept[0].last_ms, first_ms + 2000);
  EXPECT_EQ(kept[0].reasons.front().code, "policy.none");
  EXPECT_TRUE(denials.of("d").empty());
}

TEST(Denials, AreBoundedByClientAndInAll) {
  io::VirtualClock clock;
  Denials denials(clock);
  for (int i = 0; i < 40; ++i) denials.record({"busy", "192.0.2.1", "iot:Publish", std::to_string(i), "p"}, because);
  ASSERT_EQ(denials.of("busy").size(), Denials::kOfClient);
  EXPECT_EQ(denials.of("busy").front().name, "39");
  EXPECT_EQ(denials.of("busy").back().name, "24");
  for (std::size_t i = 0; i < Denials::kClients - 1; ++i) {
    denials.record({"c" + std::to_string(i), "192.0.2.1", "iot:Connect", "x", ""}, because);
  }
  denials.record({"busy", "192.0.2.1", "iot:Publish", "39", "p"}, because);  // used again: stays
  denials.record({"one-more", "192.0.2.1", "iot:Connect", "x", ""}, because);
  EXPECT_FALSE(denials.of("busy").empty());
  EXPECT_TRUE(denials.of("c0").empty());
  EXPECT_FALSE(denials.of("c1").empty());
}

TEST(Denials, LongNamesAreCutAndLongClientsLeftOut) {
  io::VirtualClock clock;
  Denials denials(clock);
  denials.record({"c", "192.0.2.1", "iot:Publish", std::string(70'000, 'x'), "p"}, because);
  EXPECT_EQ(denials.of("c").front().name.size(), Denials::kMaxNameBytes);
  const std::string id(Denials::kMaxClientBytes + 1, 'c');
  denials.record({id, "192.0.2.1", "iot:Publish", "a", "p"}, because);
  EXPECT_TRUE(denials.of(id).empty());
}

TEST(Denials, OnlySoManyAreExplainedInASecond) {
  io::VirtualClock clock;
  Denials denials(clock);
  int asked = 0;
  const auto reasons = [&] {
    ++asked;
    return because();
  };
  for (int i = 0; i < 1000; ++i) denials.record({"c", "192.0.2.1", "iot:Subscribe", std::to_string(i), "p"}, reasons);
  EXPECT_EQ(asked, Denials::kExplainedASecond);
  EXPECT_EQ(denials.of("c").front().reasons.front().code, "denial.not_explained");
  clock.advance_ms(1000);
  denials.record({"c", "192.0.2.1", "iot:Subscribe", "later", "p"}, reasons);
  EXPECT_EQ(denials.of("c").front().reasons.front().code, "policy.none");
}

TEST(Denials, EveryOneIsTold) {
  io::VirtualClock clock;
  Denials denials(clock);
  std::vector<std::string> told;
  denials.on_refused([&](const Refused& refused) {
    told.push_back(std::string(refused.source_ip) + ' ' + std::string(refused.action) + ' ' +
                   std::string(refused.name.substr(0, 5)));
  });
  for (int i = 0; i < 2; ++i) denials.record({"c", "192.0.2.1", "iot:Publish", "topic", "p"}, because);
  const std::string long_id(Denials::kMaxClientBytes + 1, 'c');
  denials.record({long_id, "192.0.2.2", "iot:Connect", long_id, "p"}, because);
  EXPECT_EQ(told, (std::vector<std::string>{"192.0.2.1 iot:Publish topic", "192.0.2.1 iot:Publish topic",
                                            "192.0.2.2 iot:Connect ccccc"}));
}

}  // namespace
}  // namespace muster::api::device
