// SPDX-License-Identifier: Apache-2.0
#include "mqtt/broker/message.h"

namespace muster::mqtt {

namespace {

// MQTT 5 section 3.3.2.3: these travel with the message to every receiver.
bool is_forwarded(PropertyId id) {
  switch (id) {
    case PropertyId::kPayloadFormat:
    case PropertyId::kContentType:
    case PropertyId::kResponseTopic:
    case PropertyId::kCorrelationData:
    case PropertyId::kUserProperty:
      return true;
    default:
      return false;
  }
}

PropertyWriter forwarded(const Properties& properties) {
  PropertyWriter writer;
  for (const Property& property : properties) {
    if (is_forwarded(property.id)) writer.add(property);
  }
  return writer;
}

void put(std::string& out, std::uint64_t value, unsigned bytes) {
  for (unsigned i = bytes; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
}

void put_text(std::string& out, std::string_view text) {
  put(out, text.size(), 4);
  out.append(text);
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  std::uint64_t number(unsigned bytes) {
    if (rest_.size() < bytes) {
      ok_ = false;
      return 0;
    }
    std::uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value = value << 8 | static_cast<unsigned char>(rest_[i]);
    rest_.remove_prefix(bytes);
    return value;
  }
  std::string_view text() {
    const std::uint64_t size = number(4);
    if (rest_.size() < size) {
      ok_ = false;
      return {};
    }
    const std::string_view value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return value;
  }
  std::string_view rest() const { return rest_; }
  bool ok() const { return ok_; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

std::string stored(std::string_view topic, std::string_view payload, const Properties& properties, bool retain,
                   std::uint8_t qos, std::int64_t expires_ms, std::int64_t created_ms, std::uint16_t packet_id,
                   const std::vector<std::uint32_t>& identifiers) {
  std::string out;
  out.reserve(64 + topic.size() + payload.size() + properties.bytes().size());
  out.push_back(2);
  out.push_back(static_cast<char>((retain ? 1 : 0) | qos << 1));
  put(out, packet_id, 2);
  put(out, static_cast<std::uint64_t>(expires_ms), 8);
  put(out, static_cast<std::uint64_t>(created_ms), 8);
  put(out, properties.present(), 8);
  const auto count = static_cast<std::uint8_t>(std::min<std::size_t>(identifiers.size(), 255));
  put(out, count, 1);
  for (std::size_t i = 0; i < count; ++i) put(out, identifiers[i], 4);
  put_text(out, topic);
  put_text(out, properties.bytes());
  out.append(payload);
  return out;
}

}  // namespace

std::int64_t expiry_of(const Publish& publish, std::int64_t now_ms) {
  const auto interval_s = publish.properties.number(PropertyId::kMessageExpiry);
  return interval_s ? now_ms + std::int64_t{*interval_s} * 1000 : 0;
}

MessageRef keep(const Publish& publish, std::int64_t now_ms) {
  auto* message = new Message;
  message->topic = publish.topic;
  message->payload = publish.payload;
  message->qos = publish.qos;
  message->retain = publish.retain;
  message->created_ms = now_ms;
  if (!publish.properties.empty()) {
    const PropertyWriter writer = forwarded(publish.properties);
    message->properties = writer.view().bytes();
    message->present = writer.view().present();
    message->expires_ms = expiry_of(publish, now_ms);
  }
  return MessageRef(message);
}

Publish publish_of(const Will& will) {
  Publish publish;
  publish.topic = will.topic;
  publish.payload = will.payload;
  publish.qos = will.qos;
  publish.retain = will.retain;
  publish.properties = will.properties;
  return publish;
}

Publish publish_of(const Message& message, std::int64_t now_ms, PropertyWriter& scratch) {
  Publish publish;
  publish.topic = message.topic;
  publish.payload = message.payload;
  publish.qos = message.qos;
  publish.retain = message.retain;
  publish.properties = Properties(message.properties, message.present);
  if (message.expires_ms != 0) {
    scratch.clear();
    for (const Property& property : Properties(message.properties, message.present)) scratch.add(property);
    const std::int64_t left_s = std::max<std::int64_t>(0, (message.expires_ms - now_ms + 999) / 1000);
    scratch.add(PropertyId::kMessageExpiry, static_cast<std::uint32_t>(left_s));
    publish.properties = scratch.view();
  }
  return publish;
}

std::string to_stored(const Publish& publish, const Message& times, std::uint16_t packet_id,
                      const std::vector<std::uint32_t>& identifiers) {
  const PropertyWriter writer = forwarded(publish.properties);
  return stored(publish.topic, publish.payload, writer.view(), publish.retain, publish.qos, times.expires_ms,
                times.created_ms, packet_id, identifiers);
}

std::string to_stored(const Message& message) {
  return stored(message.topic, message.payload, Properties(message.properties, message.present), message.retain,
                message.qos, message.expires_ms, message.created_ms, 0, {});
}

std::optional<StoredMessage> from_stored(std::string_view bytes) {
  Reader reader(bytes);
  const std::uint64_t version = reader.number(1);
  if (version != 1 && version != 2) return std::nullopt;
  const std::uint64_t flags = reader.number(1);
  StoredMessage result;
  result.packet_id = static_cast<std::uint16_t>(reader.number(2));
  MessageRef owner(new Message);
  auto& message = const_cast<Message&>(*owner);
  message.expires_ms = static_cast<std::int64_t>(reader.number(8));
  if (version == 2) message.created_ms = static_cast<std::int64_t>(reader.number(8));
  message.present = reader.number(8);
  const std::uint64_t count = reader.number(1);
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    result.identifiers.push_back(static_cast<std::uint32_t>(reader.number(4)));
  }
  message.topic = reader.text();
  message.properties = reader.text();
  if (!reader.ok()) return std::nullopt;
  message.payload = reader.rest();
  message.retain = (flags & 1) != 0;
  message.qos = static_cast<std::uint8_t>(flags >> 1 & 3);
  result.message = std::move(owner);
  return result;
}

}  // namespace muster::mqtt
