// SPDX-License-Identifier: Apache-2.0
#include "domain/audit/denials.h"

#include <gtest/gtest.h>

namespace muster::audit {
namespace {

Event denied(std::int64_t time_ms, std::string name, std::string address = "192.0.2.1") {
  Event event;
  event.time_ms = time_ms;
  event.id = "id-" + std::to_string(time_ms);
  event.source = "iot.amazonaws.com";
  event.name = std::move(name);
  event.address = std::move(address);
  event.error_code = "AccessDeniedException";
  event.parameters = "{}";
  return event;
}

bool offer(Denials& denials, Event event) {
  return denials.is_new(event);
}

TEST(AuditDenials, TheSameWithinAMinuteIsCountedAndSummarised) {
  Denials denials;
  EXPECT_TRUE(offer(denials, denied(1000, "CreateThing")));
  for (int i = 1; i <= 500; ++i) EXPECT_FALSE(offer(denials, denied(1000 + i, "CreateThing")));
  EXPECT_TRUE(offer(denials, denied(1100, "DeleteThing")));
  EXPECT_TRUE(denials.over(60'999).empty());
  const auto over = denials.over(61'000);
  ASSERT_EQ(over.size(), 1u);
  EXPECT_EQ(over[0].name, "CreateThing");
  EXPECT_EQ(get_int(over[0].additional, "repetitions"), 500);
  EXPECT_EQ(get_string(over[0].additional, "firstEventID"), "id-1000");
  EXPECT_EQ(over[0].time_ms, 1500);
  EXPECT_NE(over[0].id, "id-1000");
  EXPECT_TRUE(denials.over(61'100).empty());  // once is no repetition
  EXPECT_EQ(denials.kinds(), 0u);
  EXPECT_TRUE(offer(denials, denied(62'000, "CreateThing")));
}

TEST(AuditDenials, WhoWhereWhatAndOnWhatTellThemApart) {
  Denials denials;
  Event event = denied(1, "CreateThing");
  EXPECT_TRUE(offer(denials, event));
  event.who.access_key_id = "AKIA1";
  EXPECT_TRUE(offer(denials, event));
  event.address = "192.0.2.2";
  EXPECT_TRUE(offer(denials, event));
  event.resources = {{"", "arn:aws:iot:r:1:thing/a"}};
  EXPECT_TRUE(offer(denials, event));
  event.error_code = "ForbiddenException";
  EXPECT_TRUE(offer(denials, event));
  event.request_id = "other";
  event.user_agent = "other";
  EXPECT_FALSE(offer(denials, event));
}

TEST(AuditDenials, WhoVariesTheCallIsBoundedByItsSource) {
  Denials denials;
  std::size_t recorded = 0;
  for (int i = 0; i < 10'000; ++i) {
    Event event = denied(1000, "Op");
    event.who.access_key_id = "AKIA" + std::to_string(i);
    event.parameters = std::string(1000, 'x');
    if (denials.is_new(event)) ++recorded;
  }
  EXPECT_EQ(recorded, Denials::kOfSource + 1);
  EXPECT_TRUE(offer(denials, denied(1000, "Op", "192.0.2.2")));  // others are not hurt
  const auto over = denials.over(70'000);
  ASSERT_EQ(over.size(), 1u);
  EXPECT_EQ(over[0].name, "ManyDeniedCalls");
  EXPECT_EQ(over[0].address, "192.0.2.1");
  EXPECT_EQ(get_int(over[0].additional, "repetitions"), 10'000 - 60 - 1);
}

TEST(AuditDenials, AddressesOfOneIpv6NetworkAreOneSource) {
  EXPECT_EQ(source_of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(source_of("::ffff:192.0.2.1"), "::ffff:192.0.2.1");
  EXPECT_EQ(source_of("192.0.2.1"), "192.0.2.1");
  Denials denials;
  std::size_t recorded = 0;
  for (int i = 0; i < 1000; ++i) {
    recorded += offer(denials, denied(1, "Op", "2001:db8::" + std::to_string(i)));
  }
  EXPECT_EQ(recorded, Denials::kOfSource + 1);
}

Event known(std::int64_t time_ms, std::string name, std::string user) {
  Event event = denied(time_ms, std::move(name));
  event.known = true;
  event.who.type = "IAMUser";
  event.who.arn = "arn:aws:iam::123456789012:user/" + user;
  return event;
}

TEST(AuditDenials, StrangersDoNotHideAKnownCallerBehindTheSameAddress) {
  Denials denials;
  for (int i = 0; i < 70; ++i) offer(denials, denied(1, "Op" + std::to_string(i)));
  EXPECT_TRUE(offer(denials, known(2, "DeleteUser", "ann")));
  EXPECT_FALSE(offer(denials, known(3, "DeleteUser", "ann")));
  Event of_data = known(4, "Publish", "ann");
  of_data.data = true;
  EXPECT_TRUE(denials.is_new(of_data));
  EXPECT_EQ(of_data.name, "Publish");
}

TEST(AuditDenials, ControlPlaneCallsOfAKnownCallerAreAllRecorded) {
  Denials denials;
  for (int i = 0; i < 500; ++i) {
    Event event = known(1, "DeleteUser", "ann");
    event.resources = {{"", "arn:aws:iam::123456789012:user/u" + std::to_string(i)}};
    EXPECT_TRUE(denials.is_new(event));
    EXPECT_EQ(event.name, "DeleteUser");
    EXPECT_FALSE(denials.is_new(event));
  }
}

TEST(AuditDenials, DataPlaneCallsOfAKnownCallerAreBoundedByPrincipal) {
  Denials denials;
  std::size_t recorded = 0;
  for (int i = 0; i < 1000; ++i) {
    Event event = known(1, "Publish", "ann");
    event.data = true;
    event.address = "192.0.2." + std::to_string(i % 200);
    event.who.access_key_id = "AKIA" + std::to_string(i % 2);
    event.resources = {{"", "arn:aws:iot:r:1:topic/" + std::to_string(i)}};
    recorded += denials.is_new(event);
  }
  EXPECT_EQ(recorded, Denials::kOfSource + 1);
  Event other = known(1, "Publish", "bob");
  other.data = true;
  EXPECT_TRUE(denials.is_new(other));
  EXPECT_EQ(other.name, "Publish");
  const auto over = denials.over(70'000);
  ASSERT_EQ(over.size(), 1u);
  EXPECT_EQ(over[0].name, "ManyDeniedCalls");
  EXPECT_EQ(over[0].who.arn, "arn:aws:iam::123456789012:user/ann");
}

TEST(AuditDenials, AFullMemoryStillRecordsKnownCallers) {
  Denials denials;
  std::size_t recorded = 0;
  const std::size_t many = Denials::kKinds + 5000;
  for (std::size_t i = 0; i < many; ++i) recorded += offer(denials, known(1, "Op" + std::to_string(i), "ann"));
  EXPECT_EQ(recorded, many);
  EXPECT_EQ(denials.kinds(), Denials::kKinds);
  EXPECT_TRUE(offer(denials, denied(1, "Op")));  // strangers have their own
}

TEST(AuditDenials, MemoryIsBoundedWhateverComes) {
  Denials denials;
  std::size_t recorded = 0;
  for (int i = 0; i < 100'000; ++i) {
    const std::string address =
        std::to_string(1 + i / 65536) + "." + std::to_string(i / 256 % 256) + "." + std::to_string(i % 256) + ".1";
    recorded += offer(denials, denied(1, "Op", address));
  }
  EXPECT_LE(denials.kinds(), 2 * Denials::kKinds + 1);
  EXPECT_LE(recorded, 2 * Denials::kKinds + 1);
  EXPECT_FALSE(denials.over(100'000).empty());
  EXPECT_EQ(denials.kinds(), 0u);
}

TEST(AuditDenials, AtTheEndAllAreSummarised) {
  Denials denials;
  for (int i = 0; i < 3; ++i) offer(denials, denied(1, "Op"));
  const auto all = denials.all();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(get_int(all[0].additional, "repetitions"), 2);
}

}  // namespace
}  // namespace muster::audit
