// SPDX-License-Identifier: Apache-2.0
#include "mqtt/codec/decode.h"

#include "mqtt/codec/encode.h"
#include "mqtt/codec/property_check.h"
#include "mqtt/codec/reader.h"
#include "mqtt/codec/topics.h"

namespace muster::mqtt {
namespace {

constexpr DecodeError malformed(std::string_view text) {
  return {Reason::kMalformedPacket, text};
}
constexpr DecodeError violation(std::string_view text) {
  return {Reason::kProtocolError, text};
}
constexpr bool bad(const DecodeError& error) {
  return error.reason != Reason::kSuccess;
}

class Reasons {
 public:
  constexpr Reasons(std::initializer_list<int> codes) {
    for (const int code : codes) words_[code / 64] |= std::uint64_t{1} << (code % 64);
  }
  constexpr bool contains(std::uint8_t code) const { return (words_[code / 64] >> (code % 64)) & 1; }

 private:
  std::uint64_t words_[4] = {};
};

// MQTT 5, the reason code tables of chapter 3.
constexpr Reasons kConnackReasons{0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
                                  0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F};
constexpr Reasons kPubackReasons{0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99};
constexpr Reasons kPubrelReasons{0x00, 0x92};
constexpr Reasons kSubackReasons{0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2};
constexpr Reasons kOldSubackCodes{0x00, 0x01, 0x02, 0x80};
constexpr Reasons kUnsubackReasons{0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91};
constexpr Reasons kDisconnectReasons{0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D,
                                     0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
                                     0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2};
constexpr Reasons kAuthReasons{0x00, 0x18, 0x19};

DecodeError check_flags(std::uint8_t first_byte) {
  const unsigned flags = first_byte & 0x0f;
  switch (static_cast<PacketType>(first_byte >> 4)) {
    case PacketType::kPublish:
      if ((flags & 6) == 6) return malformed("QoS 3");
      if ((flags & 6) == 0 && (flags & 8) != 0) return malformed("DUP set at QoS 0");
      return {};
    case PacketType::kPubrel:
    case PacketType::kSubscribe:
    case PacketType::kUnsubscribe:
      if (flags != 2) return malformed("reserved flags of the fixed header");
      return {};
    case PacketType::kConnect:
    case PacketType::kConnack:
    case PacketType::kPuback:
    case PacketType::kPubrec:
    case PacketType::kPubcomp:
    case PacketType::kSuback:
    case PacketType::kUnsuback:
    case PacketType::kPingreq:
    case PacketType::kPingresp:
    case PacketType::kDisconnect:
    case PacketType::kAuth:
      if (flags != 0) return malformed("reserved flags of the fixed header");
      return {};
  }
  return malformed("packet type 0");
}

DecodeError check_topic_name(std::string_view topic) {
  if (!is_mqtt_text(topic)) return malformed("the topic is not valid UTF-8");
  if (has_wildcard(topic)) return {Reason::kTopicNameInvalid, "wildcard in a topic name"};
  return {};
}

DecodeError read_will(Reader& reader, Connect& packet) {
  if (packet.version == Version::k5) {
    const DecodeError error = read_properties(reader, 0, packet.will.properties);
    if (bad(error)) return error;
  }
  packet.will.topic = reader.string16();
  packet.will.payload = reader.string16();
  if (reader.failed()) return malformed("the will is cut off");
  if (packet.will.topic.empty()) return {Reason::kTopicNameInvalid, "empty will topic"};
  return check_topic_name(packet.will.topic);
}

DecodeError read_connect_flags(std::uint8_t flags, Connect& packet) {
  if ((flags & 1) != 0) return malformed("reserved CONNECT flag");
  packet.clean_start = (flags & 0x02) != 0;
  packet.has_will = (flags & 0x04) != 0;
  packet.will.qos = (flags >> 3) & 3;
  packet.will.retain = (flags & 0x20) != 0;
  packet.has_password = (flags & 0x40) != 0;
  packet.has_username = (flags & 0x80) != 0;
  if (packet.will.qos == 3) return malformed("will QoS 3");
  if (!packet.has_will && (packet.will.qos != 0 || packet.will.retain)) return malformed("will flags without a will");
  if (packet.version == Version::k311 && packet.has_password && !packet.has_username) {
    return malformed("password without a user name");
  }
  return {};
}

DecodeError read_connect(Reader& reader, Connect& packet, int& level) {
  const std::string_view name = reader.string16();
  const std::uint8_t asked = reader.u8();
  if (reader.failed()) return malformed("CONNECT is cut off");
  if (name != "MQTT" && name != "MQIsdp") return {Reason::kUnsupportedProtocolVersion, "unknown protocol name"};
  level = asked;
  if (name == "MQIsdp" || (asked != 4 && asked != 5)) {
    if (name == "MQIsdp") level = 3;
    return {Reason::kUnsupportedProtocolVersion, "unsupported protocol version"};
  }
  packet.version = static_cast<Version>(asked);
  const std::uint8_t flags = reader.u8();
  packet.keep_alive_s = reader.u16();
  if (reader.failed()) return malformed("CONNECT is cut off");
  DecodeError error = read_connect_flags(flags, packet);
  if (bad(error)) return error;
  if (packet.version == Version::k5) {
    error = read_properties(reader, static_cast<unsigned>(PacketType::kConnect), packet.properties);
    if (bad(error)) return error;
  }
  packet.client_id = reader.string16();
  if (reader.failed()) return malformed("CONNECT is cut off");
  if (!is_mqtt_text(packet.client_id)) return malformed("the client identifier is not valid UTF-8");
  if (packet.has_will) {
    error = read_will(reader, packet);
    if (bad(error)) return error;
  }
  if (packet.has_username) packet.username = reader.string16();
  if (packet.has_password) packet.password = reader.string16();
  if (reader.failed()) return malformed("CONNECT is cut off");
  if (!is_mqtt_text(packet.username)) return malformed("the user name is not valid UTF-8");
  if (!reader.empty()) return malformed("bytes behind the end of CONNECT");
  return {};
}

DecodeError read_connack(Reader& reader, Version version, Connack& packet) {
  const std::uint8_t flags = reader.u8();
  const std::uint8_t code = reader.u8();
  if (reader.failed()) return malformed("CONNACK is cut off");
  if (flags > 1) return malformed("reserved CONNACK flags");
  packet.session_present = flags == 1;
  if (version == Version::k311) {
    if (code > 5) return malformed("unknown CONNACK return code");
    packet.reason = reason_of_return_code(code);
  } else {
    if (!kConnackReasons.contains(code)) return malformed("unknown CONNACK reason code");
    packet.reason = static_cast<Reason>(code);
    const DecodeError error = read_properties(reader, static_cast<unsigned>(PacketType::kConnack), packet.properties);
    if (bad(error)) return error;
  }
  if (packet.session_present && packet.reason != Reason::kSuccess) return malformed("session present in a refusal");
  if (!reader.empty()) return malformed("bytes behind the end of CONNACK");
  return {};
}

DecodeError read_publish(Reader& reader, std::uint8_t first_byte, Version version, Publish& packet) {
  packet.dup = (first_byte & 8) != 0;
  packet.qos = (first_byte >> 1) & 3;
  packet.retain = (first_byte & 1) != 0;
  packet.topic = reader.string16();
  if (packet.qos != 0) packet.packet_id = reader.u16();
  if (reader.failed()) return malformed("PUBLISH is cut off");
  DecodeError error = check_topic_name(packet.topic);
  if (bad(error)) return error;
  if (packet.qos != 0 && packet.packet_id == 0) return violation("packet identifier 0");
  if (version == Version::k5) {
    error = read_properties(reader, static_cast<unsigned>(PacketType::kPublish), packet.properties);
    if (bad(error)) return error;
  }
  if (packet.topic.empty() && !packet.properties.has(PropertyId::kTopicAlias)) {
    return violation("empty topic without a topic alias");
  }
  packet.payload = reader.rest();
  return {};
}

DecodeError read_ack(Reader& reader, PacketType type, Version version, Ack& packet) {
  packet.packet_id = reader.u16();
  if (reader.failed()) return malformed("an acknowledgement is cut off");
  if (packet.packet_id == 0) return violation("packet identifier 0");
  if (reader.empty()) return {};
  if (version == Version::k311) return malformed("bytes behind the end of an acknowledgement");
  const std::uint8_t code = reader.u8();
  const bool release = type == PacketType::kPubrel || type == PacketType::kPubcomp;
  if (!(release ? kPubrelReasons : kPubackReasons).contains(code)) return violation("unknown reason code");
  packet.reason = static_cast<Reason>(code);
  if (reader.empty()) return {};
  const DecodeError error = read_properties(reader, static_cast<unsigned>(type), packet.properties);
  if (bad(error)) return error;
  if (!reader.empty()) return malformed("bytes behind the end of an acknowledgement");
  return {};
}

DecodeError check_filter(std::string_view filter) {
  if (!is_mqtt_text(filter)) return malformed("a topic filter is not valid UTF-8");
  if (!is_topic_filter(filter)) return {Reason::kTopicFilterInvalid, "not a valid topic filter"};
  return {};
}

DecodeError check_options(std::uint8_t options, Version version, std::string_view filter) {
  if ((options & 3) == 3) return malformed("requested QoS 3");
  if (version == Version::k311) {
    return options > 2 ? malformed("reserved subscription options") : DecodeError{};
  }
  if ((options & 0xC0) != 0) return malformed("reserved subscription options");
  if ((options & 0x30) == 0x30) return violation("retain handling 3");
  if ((options & 4) != 0 && is_shared(filter)) return violation("No Local on a shared subscription");
  return {};
}

// SUBSCRIBE and UNSUBSCRIBE behind the properties.
DecodeError read_filters(Reader& reader, Version version, bool with_options, FilterList& into) {
  const std::string_view bytes = reader.rest();
  std::uint32_t count = 0;
  while (!reader.empty()) {
    const std::string_view filter = reader.string16();
    const std::uint8_t options = with_options ? reader.u8() : 0;
    if (reader.failed()) return malformed("a topic filter is cut off");
    DecodeError error = check_filter(filter);
    if (bad(error)) return error;
    error = check_options(options, version, filter);
    if (bad(error)) return error;
    ++count;
  }
  if (count == 0) return violation("no topic filter");
  into = FilterList(bytes, count, with_options);
  return {};
}

template <class Request>
DecodeError read_request(Reader& reader, PacketType type, Version version, Request& packet) {
  packet.packet_id = reader.u16();
  if (reader.failed()) return malformed("the packet identifier is cut off");
  if (packet.packet_id == 0) return violation("packet identifier 0");
  if (version == Version::k5) {
    const DecodeError error = read_properties(reader, static_cast<unsigned>(type), packet.properties);
    if (bad(error)) return error;
  }
  return read_filters(reader, version, type == PacketType::kSubscribe, packet.filters);
}

template <class Answer>
DecodeError read_codes(Reader& reader, PacketType type, Version version, const Reasons& allowed, Answer& packet) {
  packet.packet_id = reader.u16();
  if (reader.failed()) return malformed("the packet identifier is cut off");
  if (packet.packet_id == 0) return violation("packet identifier 0");
  if (version == Version::k5) {
    const DecodeError error = read_properties(reader, static_cast<unsigned>(type), packet.properties);
    if (bad(error)) return error;
  } else if (type == PacketType::kUnsuback) {
    return reader.empty() ? DecodeError{} : malformed("bytes behind the end of UNSUBACK");
  }
  packet.codes = reader.rest();
  if (packet.codes.empty()) return violation("no reason code");
  for (const char code : packet.codes) {
    if (!allowed.contains(static_cast<std::uint8_t>(code))) return violation("unknown reason code");
  }
  return {};
}

// DISCONNECT and AUTH: an optional reason, then optional properties.
template <class Farewell>
DecodeError read_reason(Reader& reader, PacketType type, Version version, const Reasons& allowed, Farewell& packet) {
  if (reader.empty()) return {};
  if (version == Version::k311) return malformed("bytes behind the end of DISCONNECT");
  const std::uint8_t code = reader.u8();
  if (!allowed.contains(code)) return violation("unknown reason code");
  packet.reason = static_cast<Reason>(code);
  if (reader.empty()) return {};
  const DecodeError error = read_properties(reader, static_cast<unsigned>(type), packet.properties);
  if (bad(error)) return error;
  if (!reader.empty()) return malformed("bytes behind the end of the properties");
  return {};
}

DecodeError read_body(std::uint8_t first_byte, Reader& reader, Version version, Packet& into, int& level) {
  const auto type = static_cast<PacketType>(first_byte >> 4);
  switch (type) {
    case PacketType::kConnect:
      return read_connect(reader, into.emplace<Connect>(), level);
    case PacketType::kConnack:
      return read_connack(reader, version, into.emplace<Connack>());
    case PacketType::kPublish:
      return read_publish(reader, first_byte, version, into.emplace<Publish>());
    case PacketType::kPuback:
      return read_ack(reader, type, version, into.emplace<Puback>());
    case PacketType::kPubrec:
      return read_ack(reader, type, version, into.emplace<Pubrec>());
    case PacketType::kPubrel:
      return read_ack(reader, type, version, into.emplace<Pubrel>());
    case PacketType::kPubcomp:
      return read_ack(reader, type, version, into.emplace<Pubcomp>());
    case PacketType::kSubscribe:
      return read_request(reader, type, version, into.emplace<Subscribe>());
    case PacketType::kUnsubscribe:
      return read_request(reader, type, version, into.emplace<Unsubscribe>());
    case PacketType::kSuback:
      return read_codes(reader, type, version, version == Version::k5 ? kSubackReasons : kOldSubackCodes,
                        into.emplace<Suback>());
    case PacketType::kUnsuback:
      return read_codes(reader, type, version, kUnsubackReasons, into.emplace<Unsuback>());
    case PacketType::kPingreq:
      into.emplace<Pingreq>();
      return reader.empty() ? DecodeError{} : malformed("PINGREQ with a body");
    case PacketType::kPingresp:
      into.emplace<Pingresp>();
      return reader.empty() ? DecodeError{} : malformed("PINGRESP with a body");
    case PacketType::kDisconnect:
      return read_reason(reader, type, version, kDisconnectReasons, into.emplace<Disconnect>());
    case PacketType::kAuth:
      if (version == Version::k311) return malformed("packet type 15");
      return read_reason(reader, type, version, kAuthReasons, into.emplace<Auth>());
  }
  return malformed("packet type 0");
}

}  // namespace

Frame read_frame(std::string_view bytes, std::uint32_t max_packet) {
  Frame frame;
  if (bytes.empty()) return frame;
  frame.first_byte = static_cast<std::uint8_t>(bytes[0]);
  frame.error = check_flags(frame.first_byte);
  if (bad(frame.error)) {
    frame.status = DecodeStatus::kError;
    return frame;
  }
  std::uint32_t length = 0;
  for (std::uint32_t i = 0; i < 4; ++i) {
    if (bytes.size() < i + 2) return frame;
    const auto byte = static_cast<std::uint8_t>(bytes[i + 1]);
    length |= static_cast<std::uint32_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) != 0) continue;
    if (byte == 0 && i != 0) break;  // not the shortest form
    frame.header_size = i + 2;
    frame.body_size = length;
    if (frame.size() > max_packet) {
      frame.status = DecodeStatus::kError;
      frame.error = {Reason::kPacketTooLarge, "the packet is larger than allowed"};
    } else if (bytes.size() >= frame.size()) {
      frame.status = DecodeStatus::kPacket;
    }
    return frame;
  }
  frame.status = DecodeStatus::kError;
  frame.error = malformed("bad remaining length");
  return frame;
}

Decoded decode_publish(std::uint8_t first_byte, std::uint32_t header_size, std::string_view frame, Version version,
                       Publish& into) {
  Decoded decoded;
  Reader reader(frame.substr(header_size));
  into = Publish{};
  decoded.error = read_publish(reader, first_byte, version, into);
  decoded.ok = !bad(decoded.error);
  if (!into.properties.has(PropertyId::kTopicAlias)) {
    into.raw = frame;
    into.raw_version = version;
  }
  return decoded;
}

Decoded decode_body(std::uint8_t first_byte, std::string_view body, Version version, Packet& into) {
  Decoded decoded;
  Reader reader(body);
  decoded.error = read_body(first_byte, reader, version, into, decoded.connect_level);
  decoded.ok = !bad(decoded.error);
  return decoded;
}

DecodeOutcome decode(std::string_view bytes, Version version, std::uint32_t max_packet) {
  DecodeOutcome outcome;
  const Frame frame = read_frame(bytes, max_packet);
  outcome.status = frame.status;
  outcome.error = frame.error;
  if (frame.status != DecodeStatus::kPacket) return outcome;
  const Decoded decoded =
      decode_body(frame.first_byte, bytes.substr(frame.header_size, frame.body_size), version, outcome.packet);
  if (decoded.ok) {
    outcome.consumed = frame.size();
  } else {
    outcome.status = DecodeStatus::kError;
    outcome.error = decoded.error;
  }
  return outcome;
}

}  // namespace muster::mqtt
