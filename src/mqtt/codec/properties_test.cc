// SPDX-License-Identifier: Apache-2.0
#include "mqtt/codec/properties.h"

#include <gtest/gtest.h>

#include "mqtt/codec/decode.h"
#include "mqtt/codec/encode.h"

namespace muster::mqtt {
namespace {

using namespace std::string_literals;

// The bytes of a valid property with this identifier.
std::string sample(const PropertyRule& rule) {
  std::string out(1, static_cast<char>(rule.id));
  switch (rule.type) {
    case PropertyType::kByte:
      return out + "\x01";
    case PropertyType::kTwoBytes:
      return out + "\x00\x01"s;
    case PropertyType::kFourBytes:
      return out + "\x00\x00\x00\x01"s;
    case PropertyType::kVarint:
      return out + "\x01";
    case PropertyType::kText:
    case PropertyType::kBinary:
      return out + "\x00\x01x"s;
    case PropertyType::kPair:
      return out + "\x00\x01k\x00\x01v"s;
  }
  return out;
}

std::string with_length(std::string_view properties) {
  std::string out;
  append_varint(out, static_cast<std::uint32_t>(properties.size()));
  return out += properties;
}

std::string framed(unsigned first_byte, std::string_view body) {
  std::string out(1, static_cast<char>(first_byte));
  append_varint(out, static_cast<std::uint32_t>(body.size()));
  return out += body;
}

// A packet of MQTT 5 of that type (0: CONNECT with will properties) that carries the given properties.
std::string packet_with(unsigned type, std::string_view properties) {
  const std::string carried = with_length(properties);
  switch (type) {
    case 0:
      return framed(0x10, "\x00\x04MQTT\x05\x06\x00\x00\x00\x00\x01"s + "c" + carried + "\x00\x01t\x00\x00"s);
    case 1:
      return framed(0x10, "\x00\x04MQTT\x05\x02\x00\x00"s + carried + "\x00\x01"s + "c");
    case 2:
      return framed(0x20, "\x00\x00"s + carried);
    case 3:
      return framed(0x30, "\x00\x01t"s + carried + "payload");
    case 8:
      return framed(0x82, "\x00\x01"s + carried + "\x00\x01t\x00"s);
    case 9:
      return framed(0x90, "\x00\x01"s + carried + "\x00"s);
    case 10:
      return framed(0xA2, "\x00\x01"s + carried + "\x00\x01t"s);
    case 11:
      return framed(0xB0, "\x00\x01"s + carried + "\x00"s);
    case 14:
      return framed(0xE0, "\x00"s + carried);
    case 15:
      return framed(0xF0, "\x18"s + carried);
    default:
      return framed(type << 4 | (type == 6 ? 2u : 0u), "\x00\x01\x00"s + carried);
  }
}

constexpr unsigned kCarriers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15};

DecodeOutcome decode5(const std::string& bytes) {
  return decode(bytes, Version::k5);
}

// MQTT 5, table 2-4, transcribed a second time: identifier, packets.
struct Row {
  unsigned id;
  std::vector<unsigned> packets;
};
const Row kTable[] = {
    {0x01, {3, 0}},
    {0x02, {3, 0}},
    {0x03, {3, 0}},
    {0x08, {3, 0}},
    {0x09, {3, 0}},
    {0x0B, {3, 8}},
    {0x11, {1, 2, 14}},
    {0x12, {2}},
    {0x13, {2}},
    {0x15, {1, 2, 15}},
    {0x16, {1, 2, 15}},
    {0x17, {1}},
    {0x18, {0}},
    {0x19, {1}},
    {0x1A, {2}},
    {0x1C, {2, 14}},
    {0x1F, {2, 4, 5, 6, 7, 9, 11, 14, 15}},
    {0x21, {1, 2}},
    {0x22, {1, 2}},
    {0x23, {3}},
    {0x24, {2}},
    {0x25, {2}},
    {0x26, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15}},
    {0x27, {1, 2}},
    {0x28, {2}},
    {0x29, {2}},
    {0x2A, {2}},
};

TEST(Properties, EachIsAllowedExactlyWhereTheSpecificationSays) {
  for (unsigned id = 0; id < 256; ++id) {
    const PropertyRule* rule = find_property_rule(static_cast<std::uint8_t>(id));
    const auto row = std::find_if(std::begin(kTable), std::end(kTable), [&](const Row& r) { return r.id == id; });
    ASSERT_EQ(rule != nullptr, row != std::end(kTable)) << id;
    for (const unsigned carrier : kCarriers) {
      std::string properties = rule == nullptr ? std::string(1, static_cast<char>(id)) + "\x00\x01x"s : sample(*rule);
      if (id == 0x16) properties = sample(*find_property_rule(0x15)) + properties;
      const bool allowed = rule != nullptr && std::count(row->packets.begin(), row->packets.end(), carrier) > 0;
      const DecodeOutcome outcome = decode5(packet_with(carrier, properties));
      ASSERT_EQ(outcome.status == DecodeStatus::kPacket, allowed)
          << "property " << id << " in " << carrier << ": " << outcome.error.text;
      if (!allowed) {
        EXPECT_EQ(outcome.error.reason, Reason::kMalformedPacket);
      }
    }
  }
}

TEST(Properties, OnlyUserPropertiesRepeatAndSubscriptionIdentifiersInPublish) {
  for (const Row& row : kTable) {
    const PropertyRule& rule = *find_property_rule(static_cast<std::uint8_t>(row.id));
    std::string twice = sample(rule) + sample(rule);
    if (row.id == 0x16) twice = sample(*find_property_rule(0x15)) + twice;
    for (const unsigned carrier : row.packets) {
      const DecodeOutcome outcome = decode5(packet_with(carrier, twice));
      const bool may = row.id == 0x26 || (row.id == 0x0B && carrier == 3);
      EXPECT_EQ(outcome.status == DecodeStatus::kPacket, may) << row.id << " in " << carrier;
      if (!may) {
        EXPECT_EQ(outcome.error.reason, Reason::kProtocolError);
      }
    }
  }
}

TEST(Properties, CutAtAnyByteTheyAreMalformed) {
  for (const Row& row : kTable) {
    if (row.id == 0x16) continue;
    const std::string whole = sample(*find_property_rule(static_cast<std::uint8_t>(row.id)));
    for (std::size_t size = 1; size < whole.size(); ++size) {
      const DecodeOutcome outcome = decode5(packet_with(row.packets[0], whole.substr(0, size)));
      EXPECT_EQ(outcome.status, DecodeStatus::kError) << row.id << " cut to " << size;
      EXPECT_EQ(outcome.error.reason, Reason::kMalformedPacket);
    }
  }
}

TEST(Properties, ValuesOutOfRangeAreRefused) {
  struct Case {
    unsigned carrier;
    std::string bytes;
    Reason reason;
  };
  const Case kCases[] = {
      {3, "\x01\x02", Reason::kProtocolError},                    // payload format 2
      {8, "\x0B\x00"s, Reason::kProtocolError},                   // subscription identifier 0
      {8, "\x0B\xff\xff\xff\xff\x01", Reason::kMalformedPacket},  // five bytes
      {8, "\x0B\x81\x00"s, Reason::kMalformedPacket},             // not the shortest form
      {1, "\x21\x00\x00"s, Reason::kProtocolError},               // receive maximum 0
      {1, "\x27\x00\x00\x00\x00"s, Reason::kProtocolError},       // maximum packet size 0
      {1, "\x17\x02", Reason::kProtocolError},                    // request problem information 2
      {1, "\x19\x02", Reason::kProtocolError},
      {2, "\x24\x02", Reason::kProtocolError},  // maximum QoS 2 is said by leaving it out
      {2, "\x25\x02", Reason::kProtocolError},
      {3, "\x23\x00\x00"s, Reason::kTopicAliasInvalid},
      {3, "\x08\x00\x00"s, Reason::kProtocolError},                        // empty response topic
      {3, "\x08\x00\x01#"s, Reason::kProtocolError},                       // wildcard in it
      {3, "\x03\x00\x01\xff"s, Reason::kMalformedPacket},                  // content type not UTF-8
      {3, "\x26\x00\x01\x00\x00\x00"s, Reason::kMalformedPacket},          // U+0000 in a name
      {3, "\x26\x00\x00\x00\x03\xed\xa0\x80"s, Reason::kMalformedPacket},  // surrogate in a value
      {1, "\x16\x00\x01x"s, Reason::kProtocolError},                       // authentication data without a method
  };
  for (const Case& one : kCases) {
    const DecodeOutcome outcome = decode5(packet_with(one.carrier, one.bytes));
    EXPECT_EQ(outcome.status, DecodeStatus::kError);
    EXPECT_EQ(outcome.error.reason, one.reason) << testing::PrintToString(one.bytes) << outcome.error.text;
  }
}

TEST(Properties, LengthBeyondThePacketIsMalformed) {
  const DecodeOutcome outcome = decode5(framed(0x30, "\x00\x01t\x7f"s));
  EXPECT_EQ(outcome.status, DecodeStatus::kError);
  EXPECT_EQ(outcome.error.reason, Reason::kMalformedPacket);
}

TEST(Properties, WhatTheWriterWroteIsRead) {
  PropertyWriter writer;
  writer.add(PropertyId::kPayloadFormat, 1)
      .add(PropertyId::kMessageExpiry, 0x01020304)
      .add(PropertyId::kTopicAlias, 0xFFFE)
      .add(PropertyId::kSubscriptionIdentifier, 268'435'455)
      .add(PropertyId::kResponseTopic, "r/t")
      .add(PropertyId::kCorrelationData, "\0\xff"s)
      .add_user("k", "1")
      .add_user("k", "2");
  const std::string bytes = packet_with(3, writer.view().bytes());
  const DecodeOutcome outcome = decode5(bytes);
  ASSERT_EQ(outcome.status, DecodeStatus::kPacket) << outcome.error.text;
  const Properties& read = std::get<Publish>(outcome.packet).properties;
  EXPECT_EQ(read.present(), writer.view().present());
  EXPECT_EQ(read.number(PropertyId::kPayloadFormat), 1u);
  EXPECT_EQ(read.number(PropertyId::kMessageExpiry), 0x01020304u);
  EXPECT_EQ(read.number(PropertyId::kTopicAlias), 0xFFFEu);
  EXPECT_EQ(read.number(PropertyId::kSubscriptionIdentifier), 268'435'455u);
  EXPECT_EQ(read.text(PropertyId::kResponseTopic), "r/t");
  EXPECT_EQ(read.text(PropertyId::kCorrelationData), "\0\xff"s);
  EXPECT_EQ(read.number(PropertyId::kReceiveMaximum), std::nullopt);
  EXPECT_EQ(read.number(PropertyId::kReceiveMaximum, 7), 7u);
  EXPECT_EQ(read.text(PropertyId::kContentType), std::nullopt);
  std::string users;
  for (const Property& property : read) {
    if (property.id == PropertyId::kUserProperty) users.append(property.text).append(property.value);
  }
  EXPECT_EQ(users, "k1k2");
}

TEST(Properties, TooLongTextIsCutAtACharacter) {
  PropertyWriter writer;
  std::string text(65534, 'x');
  text += "\xe2\x82\xac";  // would end beyond 65535
  writer.add(PropertyId::kReasonString, text);
  EXPECT_EQ(writer.view().text(PropertyId::kReasonString), std::string(65534, 'x'));
}

TEST(Properties, AnEmptyListHasNothing) {
  const Properties none;
  EXPECT_TRUE(none.empty());
  EXPECT_TRUE(none.begin() == none.end());
  EXPECT_FALSE(none.has(PropertyId::kUserProperty));
}

}  // namespace
}  // namespace muster::mqtt
