// SPDX-License-Identifier: Apache-2.0
#include "mqtt/codec/topics.h"

#include <gtest/gtest.h>

#include <random>

namespace muster::mqtt {
namespace {

using namespace std::string_literals;

TEST(Topics, NamesAreTextWithoutWildcards) {
  for (const std::string& good :
       {"a"s, "/"s, "a/b/c"s, "//"s, " "s, "$aws/things/x/jobs/start-next"s, "\xc3\xa4/\xe2\x82\xac"s,
        "\xf0\x9f\x98\x80"s, "\xef\xbb\xbf"s, std::string(65535, 'x'), "\x01\x7f"s}) {
    EXPECT_TRUE(is_topic_name(good)) << good;
  }
  for (const std::string& bad :
       {""s, "a/+"s, "#"s, "a#b"s, "a\0b"s, "\0"s, "12345678\0"s, "\xc3"s, "\xc0\x80"s, "\xff"s, "\xed\xa0\x80"s,
        "\xed\xbf\xbf"s, "\xf4\x90\x80\x80"s, "abcdefgh\x80"s, "\xc3\xa4\0"s, std::string(65536, 'x')}) {
    EXPECT_FALSE(is_topic_name(bad)) << bad;
  }
}

TEST(Topics, AZeroByteIsFoundAtEveryPosition) {
  for (std::size_t size = 1; size < 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'x');
      EXPECT_TRUE(is_mqtt_text(text));
      text[at] = '\0';
      EXPECT_FALSE(is_mqtt_text(text)) << size << " " << at;
      text[at] = '\x80';
      EXPECT_FALSE(is_mqtt_text(text)) << size << " " << at;
    }
  }
}

TEST(Topics, WildcardsStandAloneInTheirLevel) {
  for (const std::string_view good :
       {"a", "#", "+", "+/+", "a/#", "/#", "+/#", "a/+/b", "/", "$SYS/#", "$share", "$shared/a"}) {
    EXPECT_TRUE(is_topic_filter(good)) << good;
  }
  for (const std::string_view bad : {"", "a#", "#/a", "a/#/b", "a+", "+a", "a/b+/c", "##", "++", "a/#b", "/#/"}) {
    EXPECT_FALSE(is_topic_filter(bad)) << bad;
  }
}

TEST(Topics, SharedFiltersHaveAGroupAndAFilter) {
  const auto shared = parse_shared("$share/g/a/+/#");
  ASSERT_TRUE(shared);
  EXPECT_EQ(shared->group, "g");
  EXPECT_EQ(shared->filter, "a/+/#");
  EXPECT_EQ(parse_shared("$share/g//a")->filter, "/a");
  for (const std::string_view bad : {"$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/g#/a",
                                     "$share/g/a#", "$shared/g/a", "share/g/a"}) {
    EXPECT_FALSE(parse_shared(bad)) << bad;
  }
  EXPECT_FALSE(is_topic_filter("$share/g/"));
  EXPECT_TRUE(is_topic_filter("$share/g/#"));
}

struct Match {
  std::string_view filter, topic;
  bool expected;
};

TEST(Topics, MatchAsTheSpecificationShows) {
  // MQTT 5, 4.7.1.2, 4.7.1.3 and 4.7.2, with their neighbours.
  constexpr Match kCases[] = {
      {"sport/tennis/player1/#", "sport/tennis/player1", true},
      {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
      {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
      {"sport/#", "sport", true},
      {"sport/#", "sports", false},
      {"#", "a/b/c", true},
      {"#", "/", true},
      {"sport/tennis/+", "sport/tennis/player1", true},
      {"sport/tennis/+", "sport/tennis/player1/ranking", false},
      {"sport/+", "sport", false},
      {"sport/+", "sport/", true},
      {"+/+", "/finance", true},
      {"/+", "/finance", true},
      {"+", "/finance", false},
      {"+", "finance", true},
      {"#", "$SYS/x", false},
      {"+/x", "$SYS/x", false},
      {"$SYS/#", "$SYS/x", true},
      {"$SYS/#", "$SYS", true},
      {"$SYS/+/a", "$SYS/x/a", true},
      {"a/b", "a/b", true},
      {"a/b", "A/b", false},
      {"a/b", "a/b/", false},
      {"a/b/", "a/b", false},
      {"a//b", "a//b", true},
      {"a/+/b", "a//b", true},
      {"a/+/b/#", "a/x/b", true},
      {"a/+/#", "a", false},
      {"/", "/", true},
      {"+/", "a/", true},
      {"a/$b/#", "a/$b/c", true},
      {"a/#", "a/$b", true},
  };
  for (const Match& one : kCases) {
    EXPECT_EQ(topic_matches(one.filter, one.topic), one.expected) << one.filter << " on " << one.topic;
  }
}

std::vector<std::string> levels_of(std::string_view topic) {
  std::vector<std::string> out;
  for (const std::string_view level : Levels(topic)) out.emplace_back(level);
  return out;
}

TEST(Topics, LevelsKeepEmptyOnes) {
  using Strings = std::vector<std::string>;
  EXPECT_EQ(levels_of("a"), (Strings{"a"}));
  EXPECT_EQ(levels_of("a/b"), (Strings{"a", "b"}));
  EXPECT_EQ(levels_of("/"), (Strings{"", ""}));
  EXPECT_EQ(levels_of("a//b/"), (Strings{"a", "", "b", ""}));
  EXPECT_EQ(levels_of(""), (Strings{""}));
  EXPECT_EQ(levels_of(std::string_view()), (Strings{""}));
  for (const std::string_view topic : {"a", "a/b", "/", "a//b/", ""}) {
    EXPECT_EQ(count_levels(topic), levels_of(topic).size());
  }
}

// A second, obvious implementation over vectors of levels, as a referee.
bool slow_match(const std::vector<std::string>& filter, const std::vector<std::string>& topic, std::size_t f,
                std::size_t t) {
  if (f == filter.size()) return t == topic.size();
  if (filter[f] == "#") return true;
  if (t == topic.size()) return false;
  return (filter[f] == "+" || filter[f] == topic[t]) && slow_match(filter, topic, f + 1, t + 1);
}

TEST(Topics, RandomMatchesAgreeWithTheObviousImplementation) {
  std::mt19937_64 random(7);
  const std::vector<std::string> words = {"", "a", "b", "$x", "ab"};
  int matches = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string topic, filter;
    for (std::size_t n = 1 + random() % 4; n > 0; --n) topic += words[random() % words.size()] + (n > 1 ? "/" : "");
    for (std::size_t n = 1 + random() % 4; n > 0; --n) {
      const auto pick = random() % 8;
      if (pick == 0 && n == 1) {
        filter += "#";
      } else {
        filter += (pick < 3 ? "+" : words[random() % words.size()]) + (n > 1 ? "/" : "");
      }
    }
    if (!is_topic_name(topic) || !is_topic_filter(filter)) continue;
    bool expected = slow_match(levels_of(filter), levels_of(topic), 0, 0);
    if (topic[0] == '$' && (filter[0] == '+' || filter[0] == '#')) expected = false;
    ASSERT_EQ(topic_matches(filter, topic), expected) << filter << " on " << topic;
    matches += expected ? 1 : 0;
  }
  EXPECT_GT(matches, 1000);
}

TEST(Topics, OwnLevelsStartBehindTheReservedPrefix) {
  EXPECT_EQ(count_own_levels("a/b/c"), 3u);
  EXPECT_EQ(count_own_levels("$aws/rules/name/a/b"), 2u);
  EXPECT_EQ(count_own_levels("$aws/rules/name"), 3u);
  EXPECT_EQ(count_own_levels("$aws/things/t/jobs/get"), 5u);
  EXPECT_EQ(count_own_levels("$share/group/a/b"), 2u);
}

}  // namespace
}  // namespace muster::mqtt
