// SPDX-License-Identifier: Apache-2.0
#include "base/cbor.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace muster {
namespace {

std::string bytes(std::string_view hex) {
  return from_hex(hex).value();
}
std::string decoded(std::string_view hex) {
  auto value = parse_cbor(bytes(hex));
  return value ? to_text(*value) : value.error().message;
}
std::string encoded(std::string_view text) {
  return to_hex(to_cbor(parse_json(text).value()));
}

// RFC 8949 appendix A, as far as JSON can say it.
TEST(Cbor, ExamplesOfTheStandard) {
  EXPECT_EQ(decoded("00"), "0");
  EXPECT_EQ(decoded("17"), "23");
  EXPECT_EQ(decoded("1818"), "24");
  EXPECT_EQ(decoded("1903e8"), "1000");
  EXPECT_EQ(decoded("1a000f4240"), "1000000");
  EXPECT_EQ(decoded("1b000000e8d4a51000"), "1000000000000");
  EXPECT_EQ(decoded("20"), "-1");
  EXPECT_EQ(decoded("3903e7"), "-1000");
  EXPECT_EQ(decoded("3b7fffffffffffffff"), "-9223372036854775808");
  EXPECT_EQ(decoded("f93e00"), "1.5");
  EXPECT_EQ(decoded("f90001"), to_text(json::value(5.960464477539063e-8)));
  EXPECT_EQ(decoded("f9c400"), to_text(json::value(-4.0)));
  EXPECT_EQ(decoded("fa47c35000"), to_text(json::value(100000.0)));
  EXPECT_EQ(decoded("fb3ff199999999999a"), "1.1");
  EXPECT_EQ(decoded("f4"), "false");
  EXPECT_EQ(decoded("f5"), "true");
  EXPECT_EQ(decoded("f6"), "null");
  EXPECT_EQ(decoded("60"), R"("")");
  EXPECT_EQ(decoded("6449455446"), R"("IETF")");
  EXPECT_EQ(decoded("62c3bc"), "\"\u00fc\"");
  EXPECT_EQ(decoded("8301820203820405"), "[1,[2,3],[4,5]]");
  EXPECT_EQ(decoded("a26161016162820203"), R"({"a":1,"b":[2,3]})");
  EXPECT_EQ(decoded("7f657374726561646d696e67ff"), R"("streaming")");
  EXPECT_EQ(decoded("9f018202039f0405ffff"), "[1,[2,3],[4,5]]");
  EXPECT_EQ(decoded("bf61610161629f0203ffff"), R"({"a":1,"b":[2,3]})");
}

TEST(Cbor, WritesTheShortestHeads) {
  EXPECT_EQ(encoded("23"), "17");
  EXPECT_EQ(encoded("24"), "1818");
  EXPECT_EQ(encoded("255"), "18ff");
  EXPECT_EQ(encoded("256"), "190100");
  EXPECT_EQ(encoded("65536"), "1a00010000");
  EXPECT_EQ(encoded("4294967296"), "1b0000000100000000");
  EXPECT_EQ(encoded("-1"), "20");
  EXPECT_EQ(encoded("-257"), "390100");
  EXPECT_EQ(encoded("1.5"), "fb3ff8000000000000");
  EXPECT_EQ(encoded(R"({"a":[true,false,null],"b":"x"})"),
            "a2616183f5f4f6616261"
            "78");
}

TEST(Cbor, WhatWasWrittenIsReadBack) {
  const std::string text =
      R"({"a":1,"b":-70000,"c":[1,"two",{"d":null}],"long":")" + std::string(70'000, 'x') + R"(","e":2.25})";
  auto back = parse_cbor(to_cbor(parse_json(text).value()));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(to_text(*back), text);
}

TEST(Cbor, RefusesWhatJsonCannotSay) {
  for (std::string_view hex : {"4401020304",          // byte string
                               "c074",                // tag
                               "d9d9f700",            // self-described
                               "f7",                  // undefined
                               "f0",                  // simple value
                               "f820",                // simple value in a byte of its own
                               "f97c00",              // infinity
                               "f97e00",              // not a number
                               "fb7ff0000000000000",  // infinity in 64 bits
                               "1bffffffffffffffff",  // beyond int64
                               "3bffffffffffffffff",  //
                               "a10102",              // a key that is an integer
                               "a2616101616102",      // a key twice
                               "61ff",                // not UTF-8
                               "7f6161416"
                               "2ff",              // a part that is a byte string
                               "7f7f6161ffff"}) {  // a part of indefinite length
    EXPECT_TRUE(decoded(hex).starts_with("Invalid CBOR")) << hex << ": " << decoded(hex);
  }
}

TEST(Cbor, RefusesWhatIsCutOffAndWhatFollows) {
  const std::string whole = to_cbor(parse_json(R"({"a":[1,2.5,"text",{"b":-1000}],"c":true})").value());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(parse_cbor(std::string_view(whole).substr(0, length))) << length;
  }
  EXPECT_FALSE(parse_cbor(whole + "\x01"));
  EXPECT_FALSE(parse_cbor(""));
  for (std::string_view hex : {"ff", "1c", "1f", "3f", "df", "9f", "bf", "7f", "9f01", "bf6161", "bf6161ff"}) {
    EXPECT_FALSE(parse_cbor(bytes(hex))) << hex;
  }
}

TEST(Cbor, ClaimedLengthsAreNotBelieved) {
  for (std::string_view hex : {"9bffffffffffffffff", "bbffffffffffffffff", "7bffffffffffffffff", "9a7fffffff01"}) {
    EXPECT_FALSE(parse_cbor(bytes(hex))) << hex;
  }
}

TEST(Cbor, DepthAndSizeAreBounded) {
  const CborLimits limits{.max_bytes = 100, .max_depth = 4};
  EXPECT_TRUE(parse_cbor(bytes("8181818101"), limits));
  EXPECT_FALSE(parse_cbor(bytes("818181818101"), limits));
  EXPECT_FALSE(parse_cbor(std::string(90, '\x9f'), limits));
  EXPECT_EQ(parse_cbor(std::string(101, '\0'), limits).error().kind, ErrorKind::kTooLarge);
}

}  // namespace
}  // namespace muster
