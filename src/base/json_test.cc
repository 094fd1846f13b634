// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <gtest/gtest.h>

#include <random>

namespace muster {
namespace {

std::string round_trip(std::string_view text) {
  auto value = parse_json(text);
  return value ? to_text(*value) : "error: " + value.error().message;
}

TEST(Json, KeepsNumbersAsPeopleWroteThem) {
  for (const char* text : {"21.5", "100.0", "0.1", "-3", "9223372036854775807", "-9223372036854775808",
                           "18446744073709551615", "1486687079.743", "1e+300", "-0.5"}) {
    EXPECT_EQ(round_trip(text), text);
  }
}

TEST(Json, DoublesAreExact) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    double number = std::bit_cast<double>(random());
    if (!std::isfinite(number)) continue;
    char buffer[40];
    auto end = std::snprintf(buffer, sizeof buffer, "%.17g", number);
    if (std::string_view(buffer).find_first_of(".e") == std::string_view::npos) continue;
    auto value = parse_json({buffer, static_cast<std::size_t>(end)});
    ASSERT_TRUE(value) << buffer;
    ASSERT_EQ(value->to_number<double>(), number) << buffer;
    ASSERT_EQ(parse_json(to_text(*value))->to_number<double>(), number) << buffer;
  }
}

TEST(Json, KeepsOrderAndTheLastDuplicate) {
  EXPECT_EQ(round_trip(R"({"b":1,"a":[true,null,"x"],"b":2})"), R"({"b":2,"a":[true,null,"x"]})");
}

TEST(Json, EscapesWhatMustBeEscaped) {
  EXPECT_EQ(round_trip(R"("\u0001\n\"\\\/\u20ac\ud83d\ude00")"), "\"\\u0001\\n\\\"\\\\/\xE2\x82\xAC\xF0\x9F\x98\x80\"");
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const char* bad :
       {"",         " ",        "{",           "[1,]",    "{\"a\":1,}", "nul",       "01",
        "1 2",      "{}x",      "'a'",         "// c\n1", "NaN",        "+1",        "1.",
        "\"\x01\"", "\"\xff\"", "\"\\ud800\"", "\"\\x\"", "\"a",        "{\"a\" 1}", "\xEF\xBB\xBF{}"}) {
    auto value = parse_json(bad);
    ASSERT_FALSE(value) << bad;
    EXPECT_EQ(value.error().kind, ErrorKind::kInvalid);
  }
}

TEST(Json, NumbersBeyondDoubleAreRefusedOrFinite) {
  for (const char* text : {"1e400", "-1e400", "1e-400", "123456789012345678901234567890"}) {
    auto value = parse_json(text);
    if (value) {
      EXPECT_TRUE(std::isfinite(value->to_number<double>())) << text;
    }
  }
  std::string digits(100'000, '9');
  auto value = parse_json(digits);
  EXPECT_FALSE(value);
}

TEST(Json, LimitsDepthAndSize) {
  std::string nested = std::string(64, '[') + std::string(64, ']');
  EXPECT_TRUE(parse_json(nested));
  EXPECT_FALSE(parse_json('[' + nested + ']'));
  EXPECT_FALSE(parse_json(std::string(1'000'000, '[')));
  EXPECT_TRUE(parse_json("[[1]]", {.max_bytes = 5, .max_depth = 2}));
  EXPECT_FALSE(parse_json("[[[1]]]", {.max_bytes = 99, .max_depth = 2}));
  EXPECT_EQ(parse_json("[[1] ]", {.max_bytes = 5, .max_depth = 2}).error().kind, ErrorKind::kTooLarge);
}

TEST(Json, GettersFallBack) {
  auto value =
      parse_json(R"({"s":"x","i":-5,"u":18446744073709551615,"d":1e300,"f":2.9,"b":true,"n":null,"o":{},"a":[]})");
  const json::object& object = value->get_object();
  EXPECT_EQ(get_string(object, "s"), "x");
  EXPECT_EQ(get_string(object, "i", "no"), "no");
  EXPECT_EQ(get_int(object, "i"), -5);
  EXPECT_EQ(get_int(object, "f"), 2);
  EXPECT_EQ(get_int(object, "s", 9), 9);
  EXPECT_EQ(get_int(object, "u", 9), 9);  // does not fit
  EXPECT_EQ(get_int(object, "d", 9), 9);
  EXPECT_EQ(get_double(object, "i"), -5.0);
  EXPECT_TRUE(get_bool(object, "b"));
  EXPECT_FALSE(has(object, "n"));
  EXPECT_FALSE(has(object, "absent"));
  EXPECT_TRUE(has(object, "o"));
  EXPECT_NE(find_object(object, "o"), nullptr);
  EXPECT_EQ(find_object(object, "a"), nullptr);
  EXPECT_NE(find_array(object, "a"), nullptr);
}

TEST(Json, CorruptRecordsAreInternal) {
  EXPECT_EQ(parse_record("{").error().kind, ErrorKind::kInternal);
  EXPECT_EQ(parse_record("[]").error().kind, ErrorKind::kInternal);
  EXPECT_EQ(get_int(*parse_record(R"({"a":1})"), "a"), 1);
}

}  // namespace
}  // namespace muster
