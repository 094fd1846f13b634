// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace muster::log {
namespace {

constexpr std::int64_t kTime = 1'795'406'706'789;

TEST(Log, WritesText) {
  EXPECT_EQ(
      line(Level::kWarn, Format::kText, kTime, "it broke", {{"thing", "t1"}, {"n", 5}, {"why", "a b"}, {"e", ""}}),
      "2026-11-23T04:05:06.789Z warn it broke thing=t1 n=5 why=\"a b\" e=\"\"\n");
}

TEST(Log, HostileValuesStayOnOneLine) {
  std::string text = line(Level::kInfo, Format::kText, kTime, "m", {{"v", "x\nINFO fake=1\x1b[2J\x7f\xC2\x9B"}});
  EXPECT_EQ(text, "2026-11-23T04:05:06.789Z info m v=\"x\\nINFO fake=1\\u001b[2J\\u007f\\u009b\"\n");
  EXPECT_EQ(line(Level::kInfo, Format::kText, kTime, "m", {{"v", "\xff"}}),
            "2026-11-23T04:05:06.789Z info m v=\"\\\\xff\"\n");
}

TEST(Log, JsonLinesParse) {
  std::string text = line(Level::kError, Format::kJson, kTime, "say \"hi\"", {{"n", -7}, {"bad", "\xff\x01"}});
  auto value = parse_json(text);
  ASSERT_TRUE(value) << text;
  const json::object& object = value->get_object();
  EXPECT_EQ(get_string(object, "level"), "error");
  EXPECT_EQ(get_string(object, "message"), "say \"hi\"");
  EXPECT_EQ(get_int(object, "n"), -7);
  EXPECT_EQ(get_string(object, "bad"), "\\xff\x01");
  EXPECT_EQ(get_string(object, "time"), "2026-11-23T04:05:06.789Z");
}

TEST(Log, LongValuesAreCutBetweenCharacters) {
  std::string long_value = "a";
  for (int i = 0; i < 10'000; ++i) long_value += "\xE2\x82\xAC";
  std::string text = line(Level::kInfo, Format::kJson, kTime, "m", {{"v", long_value}});
  EXPECT_LT(text.size(), 5000u);
  EXPECT_EQ(text.find("\\\\x"), std::string::npos);
  EXPECT_TRUE(parse_json(text));
}

TEST(Log, LevelsAreFiltered) {
  configure(Level::kWarn, Format::kText);
  EXPECT_FALSE(enabled(Level::kInfo));
  EXPECT_TRUE(enabled(Level::kWarn));
  configure(Level::kInfo, Format::kText);
}

}  // namespace
}  // namespace muster::log
