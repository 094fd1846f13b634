// SPDX-License-Identifier: Apache-2.0
#include "mqtt/broker/message.h"

#include "mqtt/broker/stored_bytes.h"

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
  put_number(out, static_cast<std::uint64_t>(message.expires_ms), 8);
  put_number(out, static_cast<std::uint64_t>(message.created_ms), 8);
  put_number(out, message.present, 8);
  put_text(out, message.topic);
  put_text(out, message.properties);
  out.append(message.payload);
  return out;
}

std::optional<MessageRef> from_stored(std::string_view bytes) {
  StoredReader reader(bytes);
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
