// SPDX-License-Identifier: Apache-2.0
#include "mqtt/codec/decode.h"

#include <gtest/gtest.h>

#include "mqtt/codec/encode.h"

namespace muster::mqtt {
namespace {

using namespace std::string_literals;

std::string framed(unsigned first_byte, std::string_view body) {
  std::string out(1, static_cast<char>(first_byte));
  append_varint(out, static_cast<std::uint32_t>(body.size()));
  return out += body;
}

struct Refusal {
  std::string name;
  std::string bytes;
  Reason reason;
};

void expect_refused(Version version, const std::vector<Refusal>& cases) {
  for (const Refusal& one : cases) {
    const DecodeOutcome outcome = decode(one.bytes, version);
    EXPECT_EQ(outcome.status, DecodeStatus::kError) << one.name;
    EXPECT_EQ(outcome.error.reason, one.reason) << one.name << ": " << outcome.error.text;
    EXPECT_EQ(outcome.consumed, 0u) << one.name;
    EXPECT_FALSE(outcome.error.text.empty()) << one.name;
  }
}

TEST(Frame, FlagsAreCheckedOnTheFirstByte) {
  // MQTT 5, table 2-2: the only good ones.
  for (unsigned first = 0; first < 256; ++first) {
    const unsigned type = first >> 4;
    const unsigned flags = first & 15;
    bool good = flags == 0 && type != 0;
    if (type == 3) good = (flags & 6) != 6 && ((flags & 6) != 0 || (flags & 8) == 0);
    if (type == 6 || type == 8 || type == 10) good = flags == 2;
    const std::string byte(1, static_cast<char>(first));
    EXPECT_EQ(read_frame(byte).status, good ? DecodeStatus::kNeedMore : DecodeStatus::kError) << first;
  }
}

TEST(Frame, RemainingLengthInAllSizes) {
  for (const std::uint32_t size : {0u, 1u, 127u, 128u, 16'383u, 16'384u, 2'097'151u, 2'097'152u, 268'435'455u}) {
    std::string bytes("\x30");
    append_varint(bytes, size);
    for (std::size_t part = 1; part < bytes.size(); ++part) {
      const Frame frame = read_frame(std::string_view(bytes).substr(0, part));
      EXPECT_EQ(frame.status, DecodeStatus::kNeedMore);
      EXPECT_EQ(frame.header_size, 0u);
    }
    const Frame frame = read_frame(bytes);
    EXPECT_EQ(frame.status, size == 0 ? DecodeStatus::kPacket : DecodeStatus::kNeedMore);
    EXPECT_EQ(frame.header_size, 1 + varint_size(size));
    EXPECT_EQ(frame.body_size, size);
  }
}

TEST(Frame, BadRemainingLengthsAreRefused) {
  for (const std::string& bad : {"\x30\x80\x00"s, "\x30\xff\x80\x00"s, "\x30\x80\x80\x80\x00"s, "\x30\xff\xff\xff\xff"s,
                                 "\x30\x80\x80\x80\x80\x01"s}) {
    const Frame frame = read_frame(bad);
    EXPECT_EQ(frame.status, DecodeStatus::kError);
    EXPECT_EQ(frame.error.reason, Reason::kMalformedPacket);
  }
}

TEST(Frame, SizeIsCheckedBeforeTheBodyArrives) {
  EXPECT_EQ(read_frame("\x30\x08", 10).status, DecodeStatus::kNeedMore);
  EXPECT_EQ(read_frame("\x30\x09", 10).status, DecodeStatus::kError);
  EXPECT_EQ(read_frame("\x30\x09", 10).error.reason, Reason::kPacketTooLarge);
  EXPECT_EQ(read_frame("\x30\xff\xff\xff\x7f", 1024).error.reason, Reason::kPacketTooLarge);
}

TEST(Decode, ConnectRefusals) {
  const std::string mqtt4 = "\x00\x04MQTT\x04"s;
  const std::string mqtt5 = "\x00\x04MQTT\x05"s;
  const auto malformed = Reason::kMalformedPacket;
  expect_refused(
      Version::k311,
      {
          {"empty", framed(0x10, ""), malformed},
          {"wrong name", framed(0x10, "\x00\x04MQTX\x04\x02\x00\x00\x00\x00"s), Reason::kUnsupportedProtocolVersion},
          {"lower case name", framed(0x10, "\x00\x04mqtt\x04\x02\x00\x00\x00\x00"s),
           Reason::kUnsupportedProtocolVersion},
          {"3.1", framed(0x10, "\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01x"s), Reason::kUnsupportedProtocolVersion},
          {"level 3", framed(0x10, "\x00\x04MQTT\x03\x02\x00\x00\x00\x00"s), Reason::kUnsupportedProtocolVersion},
          {"level 6", framed(0x10, "\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x00"s), Reason::kUnsupportedProtocolVersion},
          {"bridge bit", framed(0x10, "\x00\x04MQTT\x84\x02\x00\x00\x00\x00"s), Reason::kUnsupportedProtocolVersion},
          {"reserved flag", framed(0x10, mqtt4 + "\x03\x00\x00\x00\x00"s), malformed},
          {"will QoS 3", framed(0x10, mqtt4 + "\x1e\x00\x00\x00\x00\x00\x01t\x00\x00"s), malformed},
          {"will QoS without will", framed(0x10, mqtt4 + "\x0a\x00\x00\x00\x00"s), malformed},
          {"will retain without will", framed(0x10, mqtt4 + "\x22\x00\x00\x00\x00"s), malformed},
          {"password without user, 3.1.1", framed(0x10, mqtt4 + "\x42\x00\x00\x00\x00\x00\x01p"s), malformed},
          {"client id cut off", framed(0x10, mqtt4 + "\x02\x00\x00\x00\x05pp"s), malformed},
          {"client id with U+0000", framed(0x10, mqtt4 + "\x02\x00\x00\x00\x01\x00"s), malformed},
          {"client id surrogate", framed(0x10, mqtt4 + "\x02\x00\x00\x00\x03\xed\xa0\x80"s), malformed},
          {"trailing bytes", framed(0x10, mqtt4 + "\x02\x00\x00\x00\x00x"s), malformed},
          {"no will topic", framed(0x10, mqtt4 + "\x06\x00\x00\x00\x00"s), malformed},
          {"empty will topic", framed(0x10, mqtt4 + "\x06\x00\x00\x00\x00\x00\x00\x00\x00"s),
           Reason::kTopicNameInvalid},
          {"wildcard will topic", framed(0x10, mqtt4 + "\x06\x00\x00\x00\x00\x00\x01#\x00\x00"s),
           Reason::kTopicNameInvalid},
          {"no user name", framed(0x10, mqtt4 + "\x82\x00\x00\x00\x00"s), malformed},
          {"user name not UTF-8", framed(0x10, mqtt4 + "\x82\x00\x00\x00\x00\x00\x01\xff"s), malformed},
          {"5 without properties", framed(0x10, mqtt5 + "\x02\x00\x00"s), malformed},
          {"5 without client id", framed(0x10, mqtt5 + "\x02\x00\x00\x00"s), malformed},
      });
}

TEST(Decode, ARefusedConnectTellsItsLevel) {
  struct Case {
    std::string body;
    int level;
  };
  for (const Case& one :
       {Case{"\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01x"s, 3}, Case{"\x00\x04MQTT\x03\x02"s, 3},
        Case{"\x00\x04MQTT\x06\x02"s, 6}, Case{"\x00\x04MQTT\x05\x01\x00\x00\x00\x00\x00"s, 5},
        Case{"\x00\x04MQTT\x04\x01\x00\x00\x00\x00"s, 4}, Case{"\x00\x04HTTP\x04"s, -1}, Case{"\x00"s, -1}}) {
    Packet packet;
    const Decoded decoded = decode_body(0x10, one.body, Version::k311, packet);
    EXPECT_FALSE(decoded.ok);
    EXPECT_EQ(decoded.connect_level, one.level) << one.body;
  }
}

TEST(Decode, ConnectOf5MayHaveAPasswordAlone) {
  const std::string bytes = framed(0x10, "\x00\x04MQTT\x05\x42\x00\x0a\x00\x00\x01x\x00\x02pw"s);
  const DecodeOutcome outcome = decode(bytes, Version::k311);
  ASSERT_EQ(outcome.status, DecodeStatus::kPacket) << outcome.error.text;
  const auto& connect = std::get<Connect>(outcome.packet);
  EXPECT_EQ(connect.version, Version::k5);
  EXPECT_EQ(connect.keep_alive_s, 10);
  EXPECT_EQ(connect.client_id, "x");
  EXPECT_FALSE(connect.has_username);
  EXPECT_EQ(connect.password, "pw");
}

TEST(Decode, PublishRefusals) {
  expect_refused(Version::k311, {
                                    {"empty topic", framed(0x30, "\x00\x00x"s), Reason::kProtocolError},
                                    {"wildcard",
                                     framed(0x30,
                                            "\x00\x03"
                                            "a/+"s),
                                     Reason::kTopicNameInvalid},
                                    {"hash", framed(0x30, "\x00\x01#"s), Reason::kTopicNameInvalid},
                                    {"U+0000", framed(0x30, "\x00\x01\x00"s), Reason::kMalformedPacket},
                                    {"overlong UTF-8", framed(0x30, "\x00\x02\xc0\xaf"s), Reason::kMalformedPacket},
                                    {"surrogate", framed(0x30, "\x00\x03\xed\xa0\x80"s), Reason::kMalformedPacket},
                                    {"topic cut off",
                                     framed(0x30,
                                            "\x00\x09"
                                            "a"s),
                                     Reason::kMalformedPacket},
                                    {"no packet id",
                                     framed(0x32,
                                            "\x00\x01"
                                            "a"s),
                                     Reason::kMalformedPacket},
                                    {"half a packet id",
                                     framed(0x32,
                                            "\x00\x01"
                                            "a\x01"s),
                                     Reason::kMalformedPacket},
                                    {"packet id 0",
                                     framed(0x32,
                                            "\x00\x01"
                                            "a\x00\x00"s),
                                     Reason::kProtocolError},
                                    {"empty body", framed(0x30, ""), Reason::kMalformedPacket},
                                    {"QoS 3",
                                     framed(0x36,
                                            "\x00\x01"
                                            "a\x00\x01"s),
                                     Reason::kMalformedPacket},
                                    {"DUP at QoS 0",
                                     framed(0x38,
                                            "\x00\x01"
                                            "a"s),
                                     Reason::kMalformedPacket},
                                });
  expect_refused(Version::k5, {
                                  {"no property length",
                                   framed(0x30,
                                          "\x00\x01"
                                          "a"s),
                                   Reason::kMalformedPacket},
                                  {"empty topic without alias", framed(0x30, "\x00\x00\x00x"s), Reason::kProtocolError},
                                  {"alias 0", framed(0x30, "\x00\x00\x03\x23\x00\x00"s), Reason::kTopicAliasInvalid},
                              });
}

TEST(Decode, PublishViewsTheInput) {
  const std::string bytes = framed(0x3b,
                                   "\x00\x03"
                                   "a/b\x12\x34hello"s);
  const DecodeOutcome outcome = decode(bytes, Version::k311);
  ASSERT_EQ(outcome.status, DecodeStatus::kPacket);
  EXPECT_EQ(outcome.consumed, bytes.size());
  const auto& publish = std::get<Publish>(outcome.packet);
  EXPECT_EQ(publish.topic, "a/b");
  EXPECT_EQ(publish.payload, "hello");
  EXPECT_EQ(publish.payload.data(), bytes.data() + bytes.size() - 5);
  EXPECT_EQ(publish.packet_id, 0x1234);
  EXPECT_EQ(publish.qos, 1);
  EXPECT_TRUE(publish.retain);
  EXPECT_TRUE(publish.dup);
}

TEST(Decode, AckRefusals) {
  for (const unsigned first : {0x40u, 0x50u, 0x62u, 0x70u}) {
    expect_refused(Version::k311, {
                                      {"empty", framed(first, ""), Reason::kMalformedPacket},
                                      {"one byte", framed(first, "\x01"), Reason::kMalformedPacket},
                                      {"packet id 0", framed(first, "\x00\x00"s), Reason::kProtocolError},
                                      {"a reason in 3.1.1", framed(first, "\x00\x01\x00"s), Reason::kMalformedPacket},
                                  });
    expect_refused(Version::k5,
                   {
                       {"unknown reason", framed(first, "\x00\x01\x05"s), Reason::kProtocolError},
                       {"cut properties", framed(first, "\x00\x01\x00\x05"s), Reason::kMalformedPacket},
                       {"bytes behind the properties", framed(first, "\x00\x01\x00\x00x"s), Reason::kMalformedPacket},
                   });
  }
  // Reason codes of one are none of the other.
  EXPECT_EQ(decode(framed(0x40, "\x00\x01\x92"s), Version::k5).status, DecodeStatus::kError);
  EXPECT_EQ(decode(framed(0x62, "\x00\x01\x92"s), Version::k5).status, DecodeStatus::kPacket);
  EXPECT_EQ(decode(framed(0x62, "\x00\x01\x87"s), Version::k5).status, DecodeStatus::kError);
  EXPECT_EQ(decode(framed(0x40, "\x00\x01\x87"s), Version::k5).status, DecodeStatus::kPacket);
}

TEST(Decode, SubscribeRefusals) {
  const auto malformed = Reason::kMalformedPacket;
  for (const Version version : {Version::k311, Version::k5}) {
    const std::string id = version == Version::k5 ? "\x00\x01\x00"s : "\x00\x01"s;
    expect_refused(version, {
                                {"no filter", framed(0x82, id), Reason::kProtocolError},
                                {"no filter to unsubscribe", framed(0xa2, id), Reason::kProtocolError},
                                {"packet id 0",
                                 framed(0x82,
                                        "\x00\x00\x00\x00\x01"
                                        "a\x00"s),
                                 Reason::kProtocolError},
                                {"no options",
                                 framed(0x82, id + "\x00\x01"
                                                   "a"s),
                                 malformed},
                                {"filter cut off",
                                 framed(0x82, id + "\x00\x05"
                                                   "a"s),
                                 malformed},
                                {"QoS 3",
                                 framed(0x82, id + "\x00\x01"
                                                   "a\x03"s),
                                 malformed},
                                {"reserved options",
                                 framed(0x82, id + "\x00\x01"
                                                   "a\x40"s),
                                 malformed},
                                {"reserved option",
                                 framed(0x82, id + "\x00\x01"
                                                   "a\x80"s),
                                 malformed},
                                {"empty filter", framed(0x82, id + "\x00\x00\x00"s), Reason::kTopicFilterInvalid},
                                {"bad wildcard",
                                 framed(0x82, id +
                                                  "\x00\x03"
                                                  "a/#"s +
                                                  "\x00\x00\x03"
                                                  "a#b\x00"s),
                                 Reason::kTopicFilterInvalid},
                                {"filter not UTF-8", framed(0x82, id + "\x00\x01\xff\x00"s), malformed},
                                {"share without a filter", framed(0x82, id + "\x00\x09$share/g/\x00"s),
                                 Reason::kTopicFilterInvalid},
                                {"unsubscribe bad wildcard",
                                 framed(0xa2, id + "\x00\x02"
                                                   "a#"s),
                                 Reason::kTopicFilterInvalid},
                            });
  }
  expect_refused(Version::k311, {{"options of 5",
                                  framed(0x82,
                                         "\x00\x01\x00\x01"
                                         "a\x04"s),
                                  malformed}});
  expect_refused(Version::k5, {
                                  {"retain handling 3",
                                   framed(0x82,
                                          "\x00\x01\x00\x00\x01"
                                          "a\x30"s),
                                   Reason::kProtocolError},
                                  {"No Local on a shared one", framed(0x82, "\x00\x01\x00\x00\x0a$share/g/a\x04"s),
                                   Reason::kProtocolError},
                              });
}

TEST(Decode, TheFilterListIsInOrder) {
  const std::string bytes = framed(0x82,
                                   "\x00\x07\x00\x00\x01"
                                   "a\x01\x00\x03"
                                   "b/#\x2e\x00\x01+\x00"s);
  const DecodeOutcome outcome = decode(bytes, Version::k5);
  ASSERT_EQ(outcome.status, DecodeStatus::kPacket) << outcome.error.text;
  const auto& subscribe = std::get<Subscribe>(outcome.packet);
  EXPECT_EQ(subscribe.packet_id, 7);
  ASSERT_EQ(subscribe.filters.size(), 3u);
  std::vector<SubscribeFilter> filters;
  for (const SubscribeFilter filter : subscribe.filters) filters.push_back(filter);
  ASSERT_EQ(filters.size(), 3u);
  EXPECT_EQ(filters[0].filter, "a");
  EXPECT_EQ(filters[0].qos, 1);
  EXPECT_FALSE(filters[0].no_local);
  EXPECT_EQ(filters[1].filter, "b/#");
  EXPECT_EQ(filters[1].qos, 2);
  EXPECT_TRUE(filters[1].no_local);
  EXPECT_TRUE(filters[1].retain_as_published);
  EXPECT_EQ(filters[1].retain_handling, 2);
  EXPECT_EQ(filters[2].filter, "+");
}

TEST(Decode, ServerPacketRefusals) {
  const auto malformed = Reason::kMalformedPacket;
  expect_refused(Version::k311, {
                                    {"CONNACK cut", framed(0x20, "\x00"s), malformed},
                                    {"CONNACK flags", framed(0x20, "\x02\x00"s), malformed},
                                    {"CONNACK code 6", framed(0x20, "\x00\x06"s), malformed},
                                    {"session present in a refusal", framed(0x20, "\x01\x05"s), malformed},
                                    {"CONNACK long", framed(0x20, "\x00\x00\x00"s), malformed},
                                    {"SUBACK without codes", framed(0x90, "\x00\x01"s), Reason::kProtocolError},
                                    {"SUBACK code of 5", framed(0x90, "\x00\x01\x87"s), Reason::kProtocolError},
                                    {"UNSUBACK with codes", framed(0xb0, "\x00\x01\x00"s), malformed},
                                    {"PINGRESP body", framed(0xd0, "x"), malformed},
                                });
  expect_refused(Version::k5, {
                                  {"CONNACK unknown reason", framed(0x20, "\x00\x01\x00"s), malformed},
                                  {"CONNACK without properties", framed(0x20, "\x00\x00"s), malformed},
                                  {"UNSUBACK without codes", framed(0xb0, "\x00\x01\x00"s), Reason::kProtocolError},
                                  {"SUBACK unknown reason", framed(0x90, "\x00\x01\x00\x03"s), Reason::kProtocolError},
                              });
}

TEST(Decode, FarewellRefusals) {
  expect_refused(Version::k311, {
                                    {"PINGREQ body", framed(0xc0, "x"), Reason::kMalformedPacket},
                                    {"DISCONNECT body in 3.1.1", framed(0xe0, "\x00"s), Reason::kMalformedPacket},
                                    {"AUTH in 3.1.1", framed(0xf0, ""), Reason::kMalformedPacket},
                                });
  expect_refused(Version::k5, {
                                  {"DISCONNECT reason", framed(0xe0, "\x01"), Reason::kProtocolError},
                                  {"DISCONNECT trailing", framed(0xe0, "\x00\x00x"s), Reason::kMalformedPacket},
                                  {"AUTH reason", framed(0xf0, "\x87"), Reason::kProtocolError},
                              });
  EXPECT_EQ(std::get<Disconnect>(decode(framed(0xe0, ""), Version::k5).packet).reason, Reason::kSuccess);
  EXPECT_EQ(std::get<Disconnect>(decode(framed(0xe0, "\x04"), Version::k5).packet).reason, Reason::kDisconnectWithWill);
}

}  // namespace
}  // namespace muster::mqtt
