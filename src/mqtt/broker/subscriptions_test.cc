// SPDX-License-Identifier: Apache-2.0
#include "mqtt/broker/subscriptions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>

#include "mqtt/codec/topics.h"

namespace muster::mqtt {
namespace {

struct Linked {
  std::string filter;
  Subscription subscription;
};

std::vector<std::string> matches(const Subscriptions& trie, const std::vector<std::unique_ptr<Linked>>& all,
                                 std::string_view topic) {
  std::vector<std::string> found;
  trie.match(topic, [&](std::span<Subscription* const> list, Subscriptions::Groups) {
    for (const Subscription* subscription : list) {
      for (const auto& one : all) {
        if (&one->subscription == subscription) found.push_back(one->filter);
      }
    }
  });
  std::sort(found.begin(), found.end());
  return found;
}

TEST(Subscriptions, FollowTheExamplesOfTheSpecification) {
  Subscriptions trie;
  std::vector<std::unique_ptr<Linked>> all;
  for (const char* filter : {"#", "sport/tennis/player1/#", "sport/tennis/+", "sport/+", "+", "+/+", "/+", "sport/#",
                             "$SYS/#", "$SYS/monitor/+", "+/monitor/Clients"}) {
    all.push_back(std::make_unique<Linked>());
    all.back()->filter = filter;
    trie.link(filter, all.back()->subscription);
  }
  using List = std::vector<std::string>;
  EXPECT_EQ(matches(trie, all, "sport/tennis/player1"),
            (List{"#", "sport/#", "sport/tennis/+", "sport/tennis/player1/#"}));
  EXPECT_EQ(matches(trie, all, "sport/tennis/player1/ranking"), (List{"#", "sport/#", "sport/tennis/player1/#"}));
  EXPECT_EQ(matches(trie, all, "sport"), (List{"#", "+", "sport/#"}));
  EXPECT_EQ(matches(trie, all, "sport/"), (List{"#", "+/+", "sport/#", "sport/+"}));
  EXPECT_EQ(matches(trie, all, "/finance"), (List{"#", "+/+", "/+"}));
  EXPECT_EQ(matches(trie, all, "$SYS/monitor/Clients"), (List{"$SYS/#", "$SYS/monitor/+"}));
  EXPECT_EQ(matches(trie, all, "$SYS"), (List{"$SYS/#"}));
}

TEST(Subscriptions, AgreeWithThePlainMatcherUnderRandomChange) {
  std::mt19937 random(7);
  const auto pick = [&](const std::vector<std::string>& from) { return from[random() % from.size()]; };
  const std::vector<std::string> levels{"a", "b", "c", "", "a long level that does not fit", "$x"};
  const auto make = [&](bool filter) {
    std::string text;
    const std::size_t depth = 1 + random() % 5;
    for (std::size_t i = 0; i < depth; ++i) {
      if (i > 0) text += '/';
      const unsigned kind = random() % 6;
      if (filter && kind == 0) {
        text += '+';
      } else if (filter && kind == 1 && i + 1 == depth) {
        text += '#';
      } else {
        text += pick(levels);
      }
    }
    return text.empty() ? std::string("a") : text;
  };
  Subscriptions trie;
  std::vector<std::unique_ptr<Linked>> all;
  for (int round = 0; round < 4000; ++round) {
    if (all.size() < 20 || random() % 2 == 0) {
      all.push_back(std::make_unique<Linked>());
      all.back()->filter = make(true);
      trie.link(all.back()->filter, all.back()->subscription);
    } else {
      const std::size_t at = random() % all.size();
      trie.unlink(all[at]->subscription);
      std::swap(all[at], all.back());
      all.pop_back();
    }
    const std::string topic = make(false);
    std::vector<std::string> expected;
    for (const auto& one : all) {
      if (topic_matches(one->filter, topic)) expected.push_back(one->filter);
    }
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(matches(trie, all, topic), expected) << topic;
    ASSERT_EQ(trie.size(), all.size());
  }
  for (const auto& one : all) trie.unlink(one->subscription);
  EXPECT_EQ(trie.nodes(), 0U);  // nothing leaks under churn
  EXPECT_TRUE(matches(trie, {}, "a").empty());
}

TEST(Subscriptions, ManyUnderOneFilterLeaveInConstantTime) {
  Subscriptions trie;
  std::vector<Subscription> crowd(20'000);
  for (Subscription& one : crowd) trie.link("fleet/all", one);
  std::size_t seen = 0;
  trie.match("fleet/all", [&](std::span<Subscription* const> list, Subscriptions::Groups) { seen += list.size(); });
  EXPECT_EQ(seen, crowd.size());
  for (Subscription& one : crowd) trie.unlink(one);
  EXPECT_EQ(trie.size(), 0U);
  EXPECT_EQ(trie.nodes(), 0U);
}

TEST(Subscriptions, SharedOnesAreGroupsAtTheirFilter) {
  Subscriptions trie;
  Subscription a, b, c, plain;
  const std::uint64_t before = trie.version();
  trie.link("$share/g/t/+", a);
  trie.link("$share/g/t/+", b);
  trie.link("$share/h/t/+", c);
  trie.link("t/1", plain);
  EXPECT_NE(trie.version(), before);
  EXPECT_EQ(a.group, b.group);
  EXPECT_NE(a.group, c.group);
  std::size_t direct = 0, groups = 0, members = 0;
  const auto count = [&](std::span<Subscription* const> list, Subscriptions::Groups found) {
    direct += list.size();
    groups += found.size();
    for (const auto& group : found) members += group->members.size();
  };
  trie.match("t/1", count);
  EXPECT_EQ(std::tie(direct, groups, members), std::make_tuple(1U, 2U, 3U));
  for (Subscription* one : {&a, &c, &b, &plain}) trie.unlink(*one);
  EXPECT_EQ(trie.nodes(), 0U);
  EXPECT_EQ(trie.size(), 0U);
}

}  // namespace
}  // namespace muster::mqtt
