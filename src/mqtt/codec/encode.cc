// SPDX-License-Identifier: Apache-2.0
#include "mqtt/codec/encode.h"

namespace muster::mqtt {
namespace {

constexpr std::size_t kMaxString = 65535;
constexpr std::size_t kMaxBody = 268'435'455;

std::uint8_t first_byte(PacketType type, unsigned flags = 0) {
  return static_cast<std::uint8_t>(static_cast<unsigned>(type) << 4 | flags);
}

void put8(std::string& out, unsigned value) {
  out += static_cast<char>(value);
}
void put16(std::string& out, unsigned value) {
  put8(out, value >> 8);
  put8(out, value & 0xff);
}
void put_string(std::string& out, std::string_view text) {
  put16(out, static_cast<unsigned>(text.size()));
  out += text;
}
bool fits(std::string_view text) {
  return text.size() <= kMaxString;
}

// With the length in front; nothing in 3.1.1.
std::size_t properties_size(Version version, const Properties& properties) {
  if (version == Version::k311) return 0;
  const std::size_t size = properties.bytes().size();
  return size > kMaxBody ? kMaxBody + 1 : varint_size(static_cast<std::uint32_t>(size)) + size;
}
void put_properties(std::string& out, Version version, const Properties& properties) {
  if (version == Version::k311) return;
  append_varint(out, static_cast<std::uint32_t>(properties.bytes().size()));
  out += properties.bytes();
}

bool begin(std::string& out, std::uint8_t first, std::size_t body) {
  if (body > kMaxBody) return false;
  put8(out, first);
  append_varint(out, static_cast<std::uint32_t>(body));
  return true;
}

bool put_ack(std::string& out, std::uint8_t first, Version version, const Ack& packet) {
  // MQTT 5 leaves out reason and property length when they say nothing.
  const bool with_properties = version == Version::k5 && !packet.properties.empty();
  const bool with_reason = with_properties || (version == Version::k5 && packet.reason != Reason::kSuccess);
  const std::size_t body =
      2 + (with_reason ? 1 : 0) + (with_properties ? properties_size(version, packet.properties) : 0);
  if (!begin(out, first, body)) return false;
  put16(out, packet.packet_id);
  if (with_reason) put8(out, static_cast<unsigned>(packet.reason));
  if (with_properties) put_properties(out, version, packet.properties);
  return true;
}

bool put_reason(std::string& out, PacketType type, Reason reason, const Properties& properties) {
  const bool with_properties = !properties.empty();
  const bool with_reason = with_properties || reason != Reason::kSuccess;
  const std::size_t body = (with_reason ? 1 : 0) + (with_properties ? properties_size(Version::k5, properties) : 0);
  if (!begin(out, first_byte(type), body)) return false;
  if (with_reason) put8(out, static_cast<unsigned>(reason));
  if (with_properties) put_properties(out, Version::k5, properties);
  return true;
}

unsigned options_byte(Version version, const SubscribeFilter& filter) {
  if (version == Version::k311) return filter.qos;
  return filter.qos | (filter.no_local ? 4u : 0u) | (filter.retain_as_published ? 8u : 0u) |
         static_cast<unsigned>(filter.retain_handling) << 4;
}

template <class Filters, class View>
bool put_request(std::string& out, PacketType type, Version version, std::uint16_t packet_id, const Filters& filters,
                 const Properties& properties, const View& view) {
  const bool with_options = type == PacketType::kSubscribe;
  std::size_t body = 2 + properties_size(version, properties);
  for (const auto& item : filters) {
    const std::string_view filter = view(item);
    if (!fits(filter)) return false;
    body += 2 + filter.size() + (with_options ? 1 : 0);
  }
  if (!begin(out, first_byte(type, 2), body)) return false;
  put16(out, packet_id);
  put_properties(out, version, properties);
  for (const auto& item : filters) {
    put_string(out, view(item));
    if constexpr (requires { item.qos; }) {
      if (with_options) put8(out, options_byte(version, item));
    }
  }
  return true;
}

bool put_codes(std::string& out, PacketType type, Version version, std::uint16_t packet_id, std::string_view codes,
               const Properties& properties) {
  if (!begin(out, first_byte(type), 2 + properties_size(version, properties) + codes.size())) return false;
  put16(out, packet_id);
  put_properties(out, version, properties);
  for (const char code : codes) {
    const bool failure = version == Version::k311 && static_cast<unsigned char>(code) > 2;
    put8(out, failure ? 0x80u : static_cast<unsigned char>(code));
  }
  return true;
}

std::size_t publish_body(Version version, const Publish& packet) {
  return 2 + packet.topic.size() + (packet.qos > 0 ? 2 : 0) + properties_size(version, packet.properties) +
         packet.payload.size();
}

unsigned publish_flags(const Publish& packet) {
  return (packet.dup ? 8u : 0u) | static_cast<unsigned>(packet.qos) << 1 | (packet.retain ? 1u : 0u);
}

}  // namespace

std::uint32_t varint_size(std::uint32_t value) {
  if (value < 128) return 1;
  if (value < 16'384) return 2;
  return value < 2'097'152 ? 3 : 4;
}

void append_varint(std::string& out, std::uint32_t value) {
  while (value >= 128) {
    put8(out, (value & 0x7f) | 0x80);
    value >>= 7;
  }
  put8(out, value);
}

std::uint8_t connect_return_code(Reason reason) {
  switch (reason) {
    case Reason::kSuccess:
      return 0;
    case Reason::kUnsupportedProtocolVersion:
      return 1;
    case Reason::kClientIdentifierNotValid:
      return 2;
    case Reason::kBadUserNameOrPassword:
    case Reason::kBadAuthenticationMethod:
      return 4;
    case Reason::kNotAuthorized:
    case Reason::kBanned:
      return 5;
    default:
      return 3;
  }
}

Reason reason_of_return_code(std::uint8_t code) {
  switch (code) {
    case 0:
      return Reason::kSuccess;
    case 1:
      return Reason::kUnsupportedProtocolVersion;
    case 2:
      return Reason::kClientIdentifierNotValid;
    case 3:
      return Reason::kServerUnavailable;
    case 4:
      return Reason::kBadUserNameOrPassword;
    case 5:
      return Reason::kNotAuthorized;
    default:
      return Reason::kUnspecifiedError;
  }
}

bool encode(std::string& out, const Connect& packet) {
  const Version version = packet.version;
  const Will& will = packet.will;
  if (!fits(packet.client_id) || !fits(packet.username) || !fits(packet.password)) return false;
  if (!fits(will.topic) || !fits(will.payload)) return false;
  std::size_t body = 10 + properties_size(version, packet.properties) + 2 + packet.client_id.size();
  if (packet.has_will) {
    body += properties_size(version, will.properties) + 2 + will.topic.size() + 2 + will.payload.size();
  }
  if (packet.has_username) body += 2 + packet.username.size();
  if (packet.has_password) body += 2 + packet.password.size();
  if (!begin(out, first_byte(PacketType::kConnect), body)) return false;
  put_string(out, "MQTT");
  put8(out, static_cast<unsigned>(version));
  unsigned flags =
      (packet.clean_start ? 2u : 0u) | (packet.has_password ? 0x40u : 0u) | (packet.has_username ? 0x80u : 0u);
  if (packet.has_will) flags |= 4u | static_cast<unsigned>(will.qos) << 3 | (will.retain ? 0x20u : 0u);
  put8(out, flags);
  put16(out, packet.keep_alive_s);
  put_properties(out, version, packet.properties);
  put_string(out, packet.client_id);
  if (packet.has_will) {
    put_properties(out, version, will.properties);
    put_string(out, will.topic);
    put_string(out, will.payload);
  }
  if (packet.has_username) put_string(out, packet.username);
  if (packet.has_password) put_string(out, packet.password);
  return true;
}

bool encode(std::string& out, Version version, const Connack& packet) {
  const bool old = version == Version::k311;
  if (!begin(out, first_byte(PacketType::kConnack), 2 + properties_size(version, packet.properties))) return false;
  put8(out, packet.session_present && packet.reason == Reason::kSuccess ? 1 : 0);
  put8(out, old ? connect_return_code(packet.reason) : static_cast<unsigned>(packet.reason));
  put_properties(out, version, packet.properties);
  return true;
}

bool encode(std::string& out, Version version, const Publish& packet) {
  if (!fits(packet.topic)) return false;
  if (!begin(out, first_byte(PacketType::kPublish, publish_flags(packet)), publish_body(version, packet))) return false;
  put_string(out, packet.topic);
  if (packet.qos > 0) put16(out, packet.packet_id);
  put_properties(out, version, packet.properties);
  out += packet.payload;
  return true;
}

bool encode(std::string& out, Version version, const Puback& packet) {
  return put_ack(out, first_byte(PacketType::kPuback), version, packet);
}
bool encode(std::string& out, Version version, const Pubrec& packet) {
  return put_ack(out, first_byte(PacketType::kPubrec), version, packet);
}
bool encode(std::string& out, Version version, const Pubrel& packet) {
  return put_ack(out, first_byte(PacketType::kPubrel, 2), version, packet);
}
bool encode(std::string& out, Version version, const Pubcomp& packet) {
  return put_ack(out, first_byte(PacketType::kPubcomp), version, packet);
}

bool encode(std::string& out, Version version, const Subscribe& packet) {
  return put_request(out, PacketType::kSubscribe, version, packet.packet_id, packet.filters, packet.properties,
                     [](const SubscribeFilter& filter) { return filter.filter; });
}
bool encode_subscribe(std::string& out, Version version, std::uint16_t packet_id,
                      std::span<const SubscribeFilter> filters, const Properties& properties) {
  return put_request(out, PacketType::kSubscribe, version, packet_id, filters, properties,
                     [](const SubscribeFilter& filter) { return filter.filter; });
}

bool encode(std::string& out, Version version, const Suback& packet) {
  return put_codes(out, PacketType::kSuback, version, packet.packet_id, packet.codes, packet.properties);
}

bool encode(std::string& out, Version version, const Unsubscribe& packet) {
  return put_request(out, PacketType::kUnsubscribe, version, packet.packet_id, packet.filters, packet.properties,
                     [](const SubscribeFilter& filter) { return filter.filter; });
}
bool encode_unsubscribe(std::string& out, Version version, std::uint16_t packet_id,
                        std::span<const std::string_view> filters, const Properties& properties) {
  return put_request(out, PacketType::kUnsubscribe, version, packet_id, filters, properties,
                     [](std::string_view filter) { return filter; });
}

bool encode(std::string& out, Version version, const Unsuback& packet) {
  const std::string_view codes = version == Version::k311 ? std::string_view() : packet.codes;
  return put_codes(out, PacketType::kUnsuback, version, packet.packet_id, codes, packet.properties);
}

bool encode(std::string& out, const Pingreq&) {
  return begin(out, first_byte(PacketType::kPingreq), 0);
}
bool encode(std::string& out, const Pingresp&) {
  return begin(out, first_byte(PacketType::kPingresp), 0);
}

bool encode(std::string& out, Version version, const Disconnect& packet) {
  if (version == Version::k311) return begin(out, first_byte(PacketType::kDisconnect), 0);
  return put_reason(out, PacketType::kDisconnect, packet.reason, packet.properties);
}
bool encode(std::string& out, const Auth& packet) {
  return put_reason(out, PacketType::kAuth, packet.reason, packet.properties);
}

bool encode(std::string& out, Version version, const Packet& packet) {
  return std::visit(
      [&](const auto& one) {
        using T = std::decay_t<decltype(one)>;
        if constexpr (std::is_same_v<T, Connect> || std::is_same_v<T, Pingreq> || std::is_same_v<T, Pingresp> ||
                      std::is_same_v<T, Auth>) {
          return encode(out, one);
        } else {
          return encode(out, version, one);
        }
      },
      packet);
}

bool PublishImage::build(Version version, const Publish& publish, std::span<const std::uint32_t> subscription_ids) {
  view_ = {};
  version_ = version;
  qos_ = publish.qos;
  first_byte_ = static_cast<std::uint8_t>(0x30 | publish.qos << 1 | (publish.retain ? 1 : 0));
  if (!publish.raw.empty() && publish.raw_version == version && subscription_ids.empty()) {
    const bool had_id = (publish.raw.front() & 6) != 0;
    if (had_id == (publish.qos > 0)) {
      view_ = publish.raw;
      packet_id_at_ = static_cast<std::uint32_t>(publish.topic.data() + publish.topic.size() - publish.raw.data());
      return true;
    }
  }
  bytes_.clear();
  Publish copy = publish;
  copy.dup = false;
  copy.packet_id = 0;
  PropertyWriter writer;
  if (version == Version::k311) {
    copy.properties = {};
  } else if (publish.properties.has(PropertyId::kTopicAlias) || !subscription_ids.empty() ||
             publish.properties.has(PropertyId::kSubscriptionIdentifier)) {
    for (const Property& property : publish.properties) {
      if (property.id == PropertyId::kTopicAlias || property.id == PropertyId::kSubscriptionIdentifier) continue;
      writer.add(property);
    }
    for (const std::uint32_t id : subscription_ids) writer.add(PropertyId::kSubscriptionIdentifier, id);
    copy.properties = writer.view();
  }
  const std::size_t body = publish_body(version, copy);
  if (body > kMaxBody) return false;
  const std::uint32_t header = 1 + varint_size(static_cast<std::uint32_t>(body));
  bytes_.reserve(header + body);
  if (!encode(bytes_, version, copy)) return false;
  packet_id_at_ = static_cast<std::uint32_t>(header + 2 + copy.topic.size());
  view_ = bytes_;
  return true;
}

void PublishImage::append_to(std::string& out, std::uint16_t packet_id, bool dup) const {
  if (view_.empty()) return;
  const std::size_t at = out.size();
  out += view_;
  out[at] = static_cast<char>(first_byte_ | (dup ? 8 : 0));
  if (qos_ == 0) return;
  out[at + packet_id_at_] = static_cast<char>(packet_id >> 8);
  out[at + packet_id_at_ + 1] = static_cast<char>(packet_id & 0xff);
}

}  // namespace muster::mqtt
