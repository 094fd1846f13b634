// SPDX-License-Identifier: Apache-2.0
#include "mqtt/codec/properties.h"

#include <algorithm>
#include <array>

#include "mqtt/codec/packets.h"
#include "mqtt/codec/property_check.h"
#include "mqtt/codec/reader.h"
#include "mqtt/codec/topics.h"

namespace muster::mqtt {
namespace {

using enum PropertyId;
using enum PropertyType;

constexpr std::uint16_t in(std::initializer_list<PacketType> types) {
  unsigned mask = 0;
  for (const PacketType type : types) mask |= 1u << static_cast<unsigned>(type);
  return static_cast<std::uint16_t>(mask);
}
constexpr std::uint16_t kWillOnly = 1;
constexpr std::uint16_t kConn = in({PacketType::kConnect});
constexpr std::uint16_t kCack = in({PacketType::kConnack});
constexpr std::uint16_t kPub = in({PacketType::kPublish});
constexpr std::uint16_t kDisc = in({PacketType::kDisconnect});
constexpr std::uint16_t kAuthPackets = in({PacketType::kConnect, PacketType::kConnack, PacketType::kAuth});
constexpr std::uint16_t kWithReason =
    in({PacketType::kConnack, PacketType::kPuback, PacketType::kPubrec, PacketType::kPubrel, PacketType::kPubcomp,
        PacketType::kSuback, PacketType::kUnsuback, PacketType::kDisconnect, PacketType::kAuth});
constexpr std::uint16_t kAnywhere =
    kWithReason | kConn | kPub | kWillOnly | in({PacketType::kSubscribe, PacketType::kUnsubscribe});
constexpr std::uint32_t kAny = 0xFFFFFFFF;

// MQTT 5, table 2-4, in order of identifier.
constexpr PropertyRule kRules[] = {
    {kPayloadFormat, kByte, kPub | kWillOnly, false, 0, 1},
    {kMessageExpiry, kFourBytes, kPub | kWillOnly, false, 0, kAny},
    {kContentType, kText, kPub | kWillOnly, false, 0, 0},
    {kResponseTopic, kText, kPub | kWillOnly, false, 0, 0},
    {kCorrelationData, kBinary, kPub | kWillOnly, false, 0, 0},
    {kSubscriptionIdentifier, kVarint, kPub | in({PacketType::kSubscribe}), false, 1, 268'435'455},
    {kSessionExpiry, kFourBytes, kConn | kCack | kDisc, false, 0, kAny},
    {kAssignedClientId, kText, kCack, false, 0, 0},
    {kServerKeepAlive, kTwoBytes, kCack, false, 0, 65535},
    {kAuthenticationMethod, kText, kAuthPackets, false, 0, 0},
    {kAuthenticationData, kBinary, kAuthPackets, false, 0, 0},
    {kRequestProblemInformation, kByte, kConn, false, 0, 1},
    {kWillDelay, kFourBytes, kWillOnly, false, 0, kAny},
    {kRequestResponseInformation, kByte, kConn, false, 0, 1},
    {kResponseInformation, kText, kCack, false, 0, 0},
    {kServerReference, kText, kCack | kDisc, false, 0, 0},
    {kReasonString, kText, kWithReason, false, 0, 0},
    {kReceiveMaximum, kTwoBytes, kConn | kCack, false, 1, 65535},
    {kTopicAliasMaximum, kTwoBytes, kConn | kCack, false, 0, 65535},
    {kTopicAlias, kTwoBytes, kPub, false, 1, 65535},
    {kMaximumQos, kByte, kCack, false, 0, 1},
    {kRetainAvailable, kByte, kCack, false, 0, 1},
    {kUserProperty, kPair, kAnywhere, true, 0, 0},
    {kMaximumPacketSize, kFourBytes, kConn | kCack, false, 1, kAny},
    {kWildcardSubscriptionAvailable, kByte, kCack, false, 0, 1},
    {kSubscriptionIdentifierAvailable, kByte, kCack, false, 0, 1},
    {kSharedSubscriptionAvailable, kByte, kCack, false, 0, 1},
};

constexpr auto kIndex = [] {
  std::array<std::int8_t, 64> index{};
  index.fill(-1);
  for (std::size_t i = 0; i < std::size(kRules); ++i) {
    index[static_cast<std::size_t>(kRules[i].id)] = static_cast<std::int8_t>(i);
  }
  return index;
}();

Property read_property(Reader& reader, const PropertyRule& rule) {
  Property property{.id = rule.id};
  switch (rule.type) {
    case kByte:
      property.number = reader.u8();
      break;
    case kTwoBytes:
      property.number = reader.u16();
      break;
    case kFourBytes:
      property.number = reader.u32();
      break;
    case kVarint:
      property.number = reader.varint();
      break;
    case kText:
    case kBinary:
      property.text = reader.string16();
      break;
    case kPair:
      property.text = reader.string16();
      property.value = reader.string16();
      break;
  }
  return property;
}

DecodeError out_of_range(PropertyId id) {
  if (id == kTopicAlias) return {Reason::kTopicAliasInvalid, "topic alias 0"};
  return {Reason::kProtocolError, "a property's value is out of range"};
}

DecodeError check_value(const Property& property, const PropertyRule& rule) {
  switch (rule.type) {
    case kByte:
    case kTwoBytes:
    case kFourBytes:
    case kVarint:
      if (property.number < rule.least || property.number > rule.most) return out_of_range(rule.id);
      break;
    case kText:
      if (!is_mqtt_text(property.text)) return {Reason::kMalformedPacket, "a property is not valid UTF-8"};
      if (rule.id == kResponseTopic && !is_topic_name(property.text)) {
        return {Reason::kProtocolError, "the response topic is not a topic name"};
      }
      break;
    case kBinary:
      break;
    case kPair:
      if (!is_mqtt_text(property.text) || !is_mqtt_text(property.value)) {
        return {Reason::kMalformedPacket, "a user property is not valid UTF-8"};
      }
      break;
  }
  return {};
}

// At most 65535 bytes, not cutting a character in two.
std::string_view cut(std::string_view text) {
  if (text.size() <= 65535) return text;
  std::size_t size = 65535;
  while (size > 65530 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return text.substr(0, size);
}

void append_string16(std::string& out, std::string_view text) {
  const std::string_view kept = cut(text);
  out += static_cast<char>(kept.size() >> 8);
  out += static_cast<char>(kept.size() & 0xff);
  out += kept;
}

}  // namespace

const PropertyRule* find_property_rule(std::uint8_t id) {
  if (id >= kIndex.size() || kIndex[id] < 0) return nullptr;
  return &kRules[kIndex[id]];
}

DecodeError read_properties(Reader& reader, unsigned packet, Properties& into) {
  const std::uint32_t size = reader.varint();
  const std::string_view bytes = reader.take(size);
  if (reader.failed()) return {Reason::kMalformedPacket, "bad property length"};
  if (bytes.empty()) return {};
  std::uint64_t present = 0;
  Reader inner(bytes);
  while (!inner.empty()) {
    // The identifier is a variable byte integer, yet all known ones take one byte.
    const std::uint8_t id = inner.u8();
    const PropertyRule* rule = find_property_rule(id);
    if (rule == nullptr) return {Reason::kMalformedPacket, "unknown property"};
    if (((rule->packets >> packet) & 1) == 0) return {Reason::kMalformedPacket, "property not allowed in this packet"};
    const std::uint64_t bit = std::uint64_t{1} << id;
    const bool may_repeat = rule->may_repeat || (rule->id == kSubscriptionIdentifier &&
                                                 packet == static_cast<unsigned>(PacketType::kPublish));
    if ((present & bit) != 0 && !may_repeat) return {Reason::kProtocolError, "duplicate property"};
    present |= bit;
    const Property property = read_property(inner, *rule);
    if (inner.failed()) return {Reason::kMalformedPacket, "a property is cut off"};
    if (const DecodeError error = check_value(property, *rule); error.reason != Reason::kSuccess) return error;
  }
  into = Properties(bytes, present);
  if (into.has(kAuthenticationData) && !into.has(kAuthenticationMethod)) {
    return {Reason::kProtocolError, "authentication data without a method"};
  }
  return {};
}

void Properties::Iterator::step() {
  at_ = rest_.data();
  if (rest_.empty()) return;
  Reader reader(rest_);
  const PropertyRule* rule = find_property_rule(reader.u8());
  if (rule == nullptr) {  // cannot happen with validated bytes; ends the iteration
    at_ = rest_.data() + rest_.size();
    rest_ = {};
    return;
  }
  current_ = read_property(reader, *rule);
  rest_ = rest_.substr(rest_.size() - reader.rest().size());
}

std::optional<std::uint32_t> Properties::number(PropertyId id) const {
  if (!has(id)) return std::nullopt;
  for (const Property& property : *this) {
    if (property.id == id) return property.number;
  }
  return std::nullopt;
}

std::uint32_t Properties::number(PropertyId id, std::uint32_t fallback) const {
  return has(id) ? number(id).value_or(fallback) : fallback;
}

std::optional<std::string_view> Properties::text(PropertyId id) const {
  if (!has(id)) return std::nullopt;
  for (const Property& property : *this) {
    if (property.id == id) return property.text;
  }
  return std::nullopt;
}

PropertyWriter& PropertyWriter::add(const Property& property) {
  const PropertyRule* rule = find_property_rule(static_cast<std::uint8_t>(property.id));
  if (rule == nullptr) return *this;
  bytes_ += static_cast<char>(property.id);
  present_ |= std::uint64_t{1} << static_cast<unsigned>(property.id);
  const std::uint32_t number = property.number;
  switch (rule->type) {
    case kFourBytes:
      bytes_ += static_cast<char>(number >> 24);
      bytes_ += static_cast<char>(number >> 16);
      [[fallthrough]];
    case kTwoBytes:
      bytes_ += static_cast<char>(number >> 8);
      [[fallthrough]];
    case kByte:
      bytes_ += static_cast<char>(number);
      break;
    case kVarint:
      append_varint(bytes_, std::min<std::uint32_t>(number, rule->most));
      break;
    case kText:
    case kBinary:
      append_string16(bytes_, property.text);
      break;
    case kPair:
      append_string16(bytes_, property.text);
      append_string16(bytes_, property.value);
      break;
  }
  return *this;
}

PropertyWriter& PropertyWriter::add(PropertyId id, std::uint32_t number) {
  return add(Property{.id = id, .number = number});
}
PropertyWriter& PropertyWriter::add(PropertyId id, std::string_view text) {
  return add(Property{.id = id, .text = text});
}
PropertyWriter& PropertyWriter::add_user(std::string_view name, std::string_view value) {
  return add(Property{.id = kUserProperty, .text = name, .value = value});
}
void PropertyWriter::clear() {
  bytes_.clear();
  present_ = 0;
}

}  // namespace muster::mqtt
