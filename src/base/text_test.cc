// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

using namespace std::string_literals;

TEST(Hex, RoundTripsAndRefuses) {
  EXPECT_EQ(to_hex("\x00\xff\x7f"s), "00ff7f");
  EXPECT_EQ(*from_hex("00FF7f"), "\x00\xff\x7f"s);
  EXPECT_EQ(*from_hex(""), "");
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("0g"));
}

TEST(Base64, MatchesRfc4648) {
  const std::pair<std::string, std::string> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"},
                                                       {"\xff\xfe\xfd"s, "//79"}};
  for (const auto& [plain, encoded] : cases) {
    EXPECT_EQ(to_base64(plain), encoded);
    EXPECT_EQ(*from_base64(encoded), plain);
  }
}

TEST(Base64, IsStrict) {
  for (const char* bad :
       {"Zg", "Zg=", "Zg===", "Z===", "====", "Zm9v\n", " Zm9v", "Zm 9v", "Zh==", "Zm9=", "Z=g=", "Zm-_"}) {
    EXPECT_FALSE(from_base64(bad)) << bad;
  }
}

TEST(Base64Url, HasNoPadding) {
  EXPECT_EQ(to_base64url("\xff\xfe\xfd\xfc"s), "__79_A");
  EXPECT_EQ(*from_base64url("__79_A"), "\xff\xfe\xfd\xfc"s);
  EXPECT_FALSE(from_base64url("__79_A=="));
  EXPECT_FALSE(from_base64url("//79"));
  EXPECT_FALSE(from_base64url("A"));
}

TEST(Percent, EncodesAsSigV4Wants) {
  EXPECT_EQ(percent_encode("Az09-_.~"), "Az09-_.~");
  EXPECT_EQ(percent_encode("a b/c+d*\xC3\xA9\x00"s), "a%20b%2Fc%2Bd%2A%C3%A9%00");
  EXPECT_EQ(percent_encode("a/b c", true), "a/b%20c");
}

TEST(Percent, DecodesAndRefuses) {
  EXPECT_EQ(*percent_decode("a%2fb%2Fc+d"), "a/b/c+d");
  EXPECT_EQ(*percent_decode("a+b%2B", true), "a b+");
  for (const char* bad : {"%", "a%2", "%zz", "%2g", "%%20"}) EXPECT_FALSE(percent_decode(bad)) << bad;
}

TEST(Utf8, AcceptsWellFormedOnly) {
  for (const char* good :
       {"", "abc", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xC3", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "a\xE2\x82", "\xE2\x82z"}) {
    EXPECT_FALSE(is_utf8(bad));
  }
}

TEST(Control, FindsC0DelAndC1) {
  EXPECT_FALSE(has_control_characters("plain \xC3\xA9 \xC2\xA0"));
  for (const std::string& text : {"\x00"s, "a\n"s, "\x1f"s, "\x7f"s, "\xC2\x80"s, "a\xC2\x9F"s}) {
    EXPECT_TRUE(has_control_characters(text));
  }
}

TEST(Text, TrimsSplitsCompares) {
  EXPECT_EQ(trim(" \t a b \r\n"), "a b");
  EXPECT_EQ(trim("  "), "");
  EXPECT_EQ(split("a,,b,", ','), (std::vector<std::string_view>{"a", "", "b", ""}));
  EXPECT_EQ(split("", ','), (std::vector<std::string_view>{""}));
  EXPECT_TRUE(equals_ignore_case("Content-Type", "content-TYPE"));
  EXPECT_FALSE(equals_ignore_case("a[", "A{"));
  EXPECT_EQ(lower("AbZ[\xC3\x89"), "abz[\xC3\x89");
}

TEST(ParseInt, TakesTheWholeText) {
  EXPECT_EQ(parse_int("0"), 0);
  EXPECT_EQ(parse_int("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(parse_int("+12"), 12);
  for (const char* bad : {"", "+", "-", "+-1", "1 ", " 1", "1.0", "9223372036854775808", "0x1", "1e3"}) {
    EXPECT_FALSE(parse_int(bad)) << bad;
  }
}

TEST(Wildcard, MatchesAsPoliciesDo) {
  EXPECT_TRUE(wildcard_match("*", ""));
  EXPECT_TRUE(wildcard_match("iot:*Thing*", "iot:CreateThingGroup"));
  EXPECT_TRUE(wildcard_match("a?c", "abc"));
  EXPECT_TRUE(wildcard_match("*a*b", "aabab"));
  EXPECT_TRUE(wildcard_match("", ""));
  EXPECT_FALSE(wildcard_match("", "a"));
  EXPECT_FALSE(wildcard_match("a?c", "ac"));
  EXPECT_FALSE(wildcard_match("*a*b", "aaba"));
  EXPECT_FALSE(wildcard_match("abc", "abcd"));
  // Exponential in a backtracking matcher.
  std::string pattern, text(2000, 'a');
  for (int i = 0; i < 200; ++i) pattern += "*a";
  EXPECT_FALSE(wildcard_match(pattern + "b", text));
}

constexpr std::int64_t kTime = 1'795'406'706'789;  // 2026-11-23T04:05:06.789Z

TEST(Dates, AreWrittenInAwsFormats) {
  EXPECT_EQ(to_iso8601(kTime), "2026-11-23T04:05:06.789Z");
  EXPECT_EQ(to_iso8601(kTime, false), "2026-11-23T04:05:06Z");
  EXPECT_EQ(to_amz_date(kTime), "20261123T040506Z");
  EXPECT_EQ(to_http_date(kTime), "Mon, 23 Nov 2026 04:05:06 GMT");
  EXPECT_EQ(to_http_date(784'111'777'000), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(to_iso8601(-1), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(to_http_date(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
  EXPECT_EQ(to_iso8601(951'782'400'000), "2000-02-29T00:00:00.000Z");
  EXPECT_EQ(to_iso8601(INT64_MAX), "9999-12-31T23:59:59.999Z");
  EXPECT_EQ(to_iso8601(INT64_MIN), "0000-01-01T00:00:00.000Z");
}

TEST(Dates, AreReadBack) {
  EXPECT_EQ(parse_amz_date("20261123T040506Z"), kTime - 789);
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784'111'777'000);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), 784'111'777'000);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994"), 784'111'777'000);
  EXPECT_EQ(parse_iso8601("2026-11-23T04:05:06.789Z"), kTime);
  EXPECT_EQ(parse_iso8601("2026-11-23T04:05:06.7891234Z"), kTime);
  EXPECT_EQ(parse_iso8601("2026-11-23T05:35:06.789+01:30"), kTime);
  EXPECT_EQ(parse_iso8601("2026-11-22T23:05:06.789-0500"), kTime);
  EXPECT_EQ(parse_iso8601("2026-11-23 04:05:06"), kTime - 789);
  EXPECT_EQ(parse_iso8601("2026-11-23T04:05"), kTime - 6789);
  EXPECT_EQ(parse_iso8601("2026-11-23"), kTime - 14'706'789);
}

TEST(Dates, RefuseNonsense) {
  for (const char* bad : {"", "20261123T040506", "20261323T040506Z", "20260230T040506Z", "20261123T240506Z",
                          "20261123T046006Z", "20261123T040506Zx", "2026112xT040506Z", "-0261123T040506Z"}) {
    EXPECT_FALSE(parse_amz_date(bad)) << bad;
  }
  for (const char* bad : {"", "2026", "2026-11", "2026-02-29", "2026-11-23T", "2026-11-23T04", "2026-11-23T04:05:06.",
                          "2026-11-23T04:05:06+1", "2026-11-23T04:05:06+24:00", "2026-11-23T04:05:06ZZ"}) {
    EXPECT_FALSE(parse_iso8601(bad)) << bad;
  }
  for (const char* bad :
       {"", "Sun, 06 Nov 1994 08:49:37", "Sun, 6 Nov 1994 08:49:37 GMT", "Foo, 06 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT "}) {
    EXPECT_FALSE(parse_http_date(bad)) << bad;
  }
}

}  // namespace
}  // namespace muster
