// SPDX-License-Identifier: Apache-2.0
// Random valid packets: encoded, decoded, encoded again, the bytes are the same; every prefix asks for more; every
// changed byte gives a packet or an error, and what decodes encodes again.
#include <gtest/gtest.h>

#include <random>

#include "mqtt/codec/decode.h"
#include "mqtt/codec/encode.h"
#include "mqtt/codec/topics.h"

namespace muster::mqtt {
namespace {

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  bool coin() { return below(2) == 0; }

  // Kept until the generator dies, so that packets may view it.
  std::string_view keep(std::string text) {
    kept_.push_back(std::make_unique<std::string>(std::move(text)));
    return *kept_.back();
  }
  std::string_view word() {
    static const std::string kWords[] = {
        "", "a", "x/y", "$aws/things/t1/jobs/notify", "\xc3\xa4\xf0\x9f\x98\x80", "client-1"};
    return kWords[below(std::size(kWords))];
  }
  std::string_view topic() {
    const std::string_view chosen = word();
    return chosen.empty() ? "t" : chosen;
  }
  std::string_view filter() {
    static const std::string kFilters[] = {"a", "#", "+/b", "a/+/#", "$share/g/x/#", "$SYS/+"};
    return kFilters[below(std::size(kFilters))];
  }
  std::string_view blob() {
    std::string bytes;
    for (auto n = coin() ? below(10) : below(300); n > 0; --n) bytes += static_cast<char>(below(256));
    return keep(std::move(bytes));
  }
  std::uint16_t id() { return static_cast<std::uint16_t>(1 + below(65535)); }

  Properties properties(Version version, unsigned packet) {
    if (version == Version::k311 || coin()) return {};
    writers_.push_back(std::make_unique<PropertyWriter>());
    PropertyWriter& writer = *writers_.back();
    for (unsigned n = 0; n < 64; ++n) {
      const PropertyRule* rule = find_property_rule(static_cast<std::uint8_t>(n));
      if (rule == nullptr || ((rule->packets >> packet) & 1) == 0 || coin()) continue;
      if (rule->id == PropertyId::kAuthenticationData && !writer.view().has(PropertyId::kAuthenticationMethod))
        continue;
      Property property{.id = rule->id};
      const std::uint64_t span = std::uint64_t{rule->most} - rule->least + 1;
      property.number = static_cast<std::uint32_t>(rule->least + below(span));
      if (rule->type == PropertyType::kByte) property.number &= 1;
      property.text = rule->type == PropertyType::kBinary ? blob() : topic();
      property.value = word();
      writer.add(property);
      if (rule->may_repeat && coin()) writer.add(property);
    }
    return writer.view();
  }

  template <class T>
  T ack(Version version, PacketType type) {
    T packet;
    packet.packet_id = id();
    if (version == Version::k5) {
      const bool release = type == PacketType::kPubrel || type == PacketType::kPubcomp;
      if (coin()) packet.reason = release ? Reason::kPacketIdentifierNotFound : Reason::kNotAuthorized;
      packet.properties = properties(version, static_cast<unsigned>(type));
    }
    return packet;
  }

  Connect connect(Version version) {
    Connect packet{.version = version, .clean_start = coin(), .keep_alive_s = id()};
    packet.client_id = word();
    packet.has_username = coin();
    if (packet.has_username) packet.username = word();
    packet.has_password = coin() && (packet.has_username || version == Version::k5);
    if (packet.has_password) packet.password = blob();
    packet.has_will = coin();
    if (packet.has_will) {
      packet.will = {topic(), blob(), static_cast<std::uint8_t>(below(3)), coin(), properties(version, 0)};
    }
    packet.properties = properties(version, 1);
    return packet;
  }

  Publish publish(Version version) {
    Publish packet{.topic = topic(), .payload = blob(), .qos = static_cast<std::uint8_t>(below(3)), .retain = coin()};
    packet.dup = packet.qos > 0 && coin();
    packet.packet_id = packet.qos > 0 ? id() : 0;
    packet.properties = properties(version, 3);
    return packet;
  }

  std::string subscribe(Version version) {
    std::vector<SubscribeFilter> filters(1 + below(4));
    for (SubscribeFilter& one : filters) {
      one = {filter(), static_cast<std::uint8_t>(below(3)), coin(), coin(), static_cast<std::uint8_t>(below(3))};
      if (is_shared(one.filter)) one.no_local = false;
    }
    std::string out;
    EXPECT_TRUE(encode_subscribe(out, version, id(), filters, properties(version, 8)));
    return out;
  }

  std::string unsubscribe(Version version) {
    std::vector<std::string_view> filters(1 + below(4));
    for (std::string_view& one : filters) one = filter();
    std::string out;
    EXPECT_TRUE(encode_unsubscribe(out, version, id(), filters, properties(version, 10)));
    return out;
  }

  // The bytes of a random valid packet.
  std::string packet(Version version) {
    const std::string_view codes = std::string_view("\x00\x01\x02\x80", 4).substr(0, 1 + below(4));
    const std::string_view gone = std::string_view("\x00\x11\x80", 3).substr(0, 1 + below(3));
    const Reason refused = version == Version::k5 ? Reason::kServerBusy : Reason::kServerUnavailable;
    std::string out;
    bool ok = true;
    switch (below(version == Version::k5 ? 15 : 14)) {
      case 0:
        ok = encode(out, connect(version));
        break;
      case 1: {
        Connack connack{false, coin() ? refused : Reason::kSuccess, properties(version, 2)};
        connack.session_present = connack.reason == Reason::kSuccess && coin();
        ok = encode(out, version, connack);
        break;
      }
      case 2:
        ok = encode(out, version, ack<Puback>(version, PacketType::kPuback));
        break;
      case 3:
        ok = encode(out, version, ack<Pubrec>(version, PacketType::kPubrec));
        break;
      case 4:
        ok = encode(out, version, ack<Pubrel>(version, PacketType::kPubrel));
        break;
      case 5:
        ok = encode(out, version, ack<Pubcomp>(version, PacketType::kPubcomp));
        break;
      case 6:
        return subscribe(version);
      case 7:
        ok = encode(out, version, Suback{id(), codes, properties(version, 9)});
        break;
      case 8:
        return unsubscribe(version);
      case 9:
        ok = encode(out, version, Unsuback{id(), gone, properties(version, 11)});
        break;
      case 10:
        ok = encode(out, Pingreq{});
        break;
      case 11:
        ok = encode(out, Pingresp{});
        break;
      case 12:
        ok = encode(out, version, Disconnect{Reason::kSuccess, properties(version, 14)});
        break;
      case 13:
        ok = encode(out, version, publish(version));
        break;
      default:
        ok = encode(out, Auth{Reason::kContinueAuthentication, properties(version, 15)});
        break;
    }
    EXPECT_TRUE(ok);
    return out;
  }

 private:
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<std::string>> kept_;
  std::vector<std::unique_ptr<PropertyWriter>> writers_;
};

void check_prefixes(const std::string& bytes, Version version) {
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_EQ(decode(std::string_view(bytes).substr(0, size), version).status, DecodeStatus::kNeedMore);
  }
}

void check_damaged(std::string bytes, Version version, Generator& generator) {
  for (int i = 0; i < 8 && !bytes.empty(); ++i) {
    bytes[generator.below(bytes.size())] = static_cast<char>(generator.below(256));
    const DecodeOutcome outcome = decode(bytes, version);
    if (outcome.status == DecodeStatus::kError) {
      ASSERT_GE(static_cast<int>(outcome.error.reason), 0x80);
    }
    if (outcome.status != DecodeStatus::kPacket) continue;
    std::string again;
    ASSERT_TRUE(encode(again, version, outcome.packet));
    const bool connect = std::holds_alternative<Connect>(outcome.packet);
    const Version read_as = connect ? std::get<Connect>(outcome.packet).version : version;
    const DecodeOutcome second = decode(again, read_as);
    ASSERT_EQ(second.status, DecodeStatus::kPacket) << second.error.text;
  }
}

TEST(RoundTrip, RandomPacketsOfBothVersions) {
  for (const Version version : {Version::k311, Version::k5}) {
    for (std::uint64_t seed = 0; seed < 4000; ++seed) {
      Generator generator(seed);
      const std::string bytes = generator.packet(version);
      const std::string received = bytes + "next";
      const DecodeOutcome outcome = decode(received, version);
      ASSERT_EQ(outcome.status, DecodeStatus::kPacket) << "seed " << seed << ": " << outcome.error.text;
      ASSERT_EQ(outcome.consumed, bytes.size());
      std::string again;
      ASSERT_TRUE(encode(again, version, outcome.packet));
      ASSERT_EQ(again, bytes) << "seed " << seed;
      check_prefixes(bytes, version);
      check_damaged(bytes, version, generator);
    }
  }
}

TEST(RoundTrip, ManyPacketsInOneBuffer) {
  Generator generator(99);
  std::string all;
  for (int i = 0; i < 200; ++i) all += generator.packet(Version::k5);
  std::string_view rest = all;
  std::string again;
  while (!rest.empty()) {
    const DecodeOutcome outcome = decode(rest, Version::k5);
    ASSERT_EQ(outcome.status, DecodeStatus::kPacket);
    encode(again, Version::k5, outcome.packet);
    rest.remove_prefix(outcome.consumed);
  }
  EXPECT_EQ(again, all);
}

TEST(Encode, NothingIsAppendedWhenAStringIsTooLong) {
  const std::string huge(65536, 'x');
  std::string out = "before";
  EXPECT_FALSE(encode(out, Version::k311, Publish{.topic = huge}));
  EXPECT_FALSE(encode(out, Connect{.client_id = huge}));
  const SubscribeFilter filter{huge};
  EXPECT_FALSE(encode_subscribe(out, Version::k5, 1, std::span(&filter, 1)));
  EXPECT_EQ(out, "before");
}

TEST(Encode, CodesOf311) {
  std::string out;
  const char codes[] = {0, 1, static_cast<char>(0x87)};
  encode(out, Version::k311, Suback{5, std::string_view(codes, 3), {}});
  EXPECT_EQ(out, std::string("\x90\x05\x00\x05\x00\x01\x80", 7));
  out.clear();
  encode(out, Version::k311, Connack{true, Reason::kNotAuthorized, {}});
  EXPECT_EQ(out, std::string("\x20\x02\x00\x05", 4));
  for (std::uint8_t code = 0; code <= 5; ++code) EXPECT_EQ(connect_return_code(reason_of_return_code(code)), code);
}

TEST(PublishImage, IsPatchedInEachCopyOnly) {
  for (const Version version : {Version::k311, Version::k5}) {
    PublishImage image;
    ASSERT_TRUE(image.build(version, {.topic = "a/b", .payload = std::string_view("pp"), .qos = 1, .dup = true}));
    std::string out;
    image.append_to(out, 0x1234);
    image.append_to(out, 7, true);
    image.append_to(out, 8);
    std::string_view rest = out;
    for (const auto& [id, dup] : {std::pair{0x1234, false}, {7, true}, {8, false}}) {
      const DecodeOutcome outcome = decode(rest, version);
      ASSERT_EQ(outcome.status, DecodeStatus::kPacket);
      EXPECT_EQ(outcome.consumed, image.size());
      const auto& publish = std::get<Publish>(outcome.packet);
      EXPECT_EQ(publish.packet_id, id);
      EXPECT_EQ(publish.dup, dup);
      EXPECT_EQ(publish.topic, "a/b");
      EXPECT_EQ(publish.payload, "pp");
      rest.remove_prefix(outcome.consumed);
    }
    EXPECT_TRUE(rest.empty());
  }
}

TEST(PublishImage, LeavesOutWhatBelongsToTheSendersConnection) {
  PropertyWriter writer;
  writer.add(PropertyId::kTopicAlias, 3).add(PropertyId::kContentType, "text").add_user("k", "v");
  const Publish publish{.topic = "t", .payload = "p", .properties = writer.view()};
  PublishImage image;
  const std::uint32_t ids[] = {5, 300'000};
  ASSERT_TRUE(image.build(Version::k5, publish, ids));
  std::string out;
  image.append_to(out);
  const DecodeOutcome outcome = decode(out, Version::k5);
  ASSERT_EQ(outcome.status, DecodeStatus::kPacket) << outcome.error.text;
  const Properties& read = std::get<Publish>(outcome.packet).properties;
  EXPECT_FALSE(read.has(PropertyId::kTopicAlias));
  EXPECT_EQ(read.text(PropertyId::kContentType), "text");
  std::vector<std::uint32_t> found;
  for (const Property& property : read) {
    if (property.id == PropertyId::kSubscriptionIdentifier) found.push_back(property.number);
  }
  EXPECT_EQ(found, (std::vector<std::uint32_t>{5, 300'000}));
  ASSERT_TRUE(image.build(Version::k311, publish));
  out.clear();
  image.append_to(out);
  EXPECT_EQ(out, std::string("\x30\x04\x00\x01tp", 6));
}

TEST(PublishImage, RefusesATopicThatDoesNotFit) {
  PublishImage image;
  const std::string huge(65536, 'x');
  EXPECT_FALSE(image.build(Version::k5, {.topic = huge}));
  EXPECT_TRUE(image.empty());
}

}  // namespace
}  // namespace muster::mqtt
