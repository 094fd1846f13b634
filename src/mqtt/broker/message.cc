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

}  // namespace

PropertyWriter forwarded(const Properties& properties) {
  PropertyWriter writer;
  for (const Property& property : properties) {
    if (is_forwarded(property.id)) writer.add(property);
  }
  return writer;
}

std::int64_t expiry_of(const Publish& publish, std::int64_t now_ms) {
  const auto interval_s = publish.properties.number(PropertyId::kMessageExpiry);
  return interval_s ? now_ms + std::int64_t{*interval_s} * 1000 : 0;
}

MessageRef keep(const Publish& publish, std::int64_t now_ms) {
  const MessageRef kept = keep_without_expiry(publish, now_ms);
  if (!publish.properties.empty()) const_cast<Message&>(*kept).expires_ms = expiry_of(publish, now_ms);
  return kept;
}

MessageRef keep_without_expiry(const Publish& publish, std::int64_t now_ms) {
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

std::string to_stored(const Message& message) {
  std::string out;
  out.reserve(64 + message.bytes());
  out.push_back(1);
  out.push_back(static_cast<char>((message.retain ? 1 : 0) | message.qos << 1));
  put(out, static_cast<std::uint64_t>(message.expires_ms), 8);
  put(out, static_cast<std::uint64_t>(message.created_ms), 8);
  put(out, message.present, 8);
  put_text(out, message.topic);
  put_text(out, message.properties);
  out.append(message.payload);
  return out;
}

std::optional<MessageRef> from_stored(std::string_view bytes) {
  Reader reader(bytes);
  if (reader.number(1) != 1) return std::nullopt;
  const std::uint64_t flags = reader.number(1);
  auto* message = new Message;
  MessageRef owner(message);
  message->expires_ms = static_cast<std::int64_t>(reader.number(8));
  message->created_ms = static_cast<std::int64_t>(reader.number(8));
  message->present = reader.number(8);
  message->topic = reader.text();
  message->properties = reader.text();
  if (!reader.ok()) return std::nullopt;
  message->payload = reader.rest();
  message->retain = (flags & 1) != 0;
  message->qos = static_cast<std::uint8_t>(flags >> 1 & 3);
  return owner;
}

}  // namespace muster::mqtt
