// SPDX-License-Identifier: Apache-2.0
// Message: an application message that outlives the packet it came in (queued, in flight, retained, will), shared by
// all that hold it; and its form in the store. Constant once made, and counted atomically: shards share
// retained messages. What is delivered at
// once is never made a Message.
//
// Stored form of retained messages and wills (stored_bytes.h): version 1 | flags (bit 0 retain, bits 1-2 QoS) |
// expires_ms 8 | created_ms 8 | property mask 8 | topic length 4, topic | properties length 4, properties | payload.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mqtt/codec/encode.h"
#include "mqtt/codec/packets.h"

namespace muster::mqtt {

struct Message {
  std::string topic;
  std::string payload;
  std::string properties;       // what MQTT 5 forwards: no alias, no subscription identifiers, no expiry
  std::uint64_t present = 0;    // mask of them
  std::int64_t expires_ms = 0;  // 0 = never
  std::int64_t created_ms = 0;  // when the server took it
  std::uint8_t qos = 0;
  bool retain = false;
  std::atomic<std::uint32_t> references{0};

  std::size_t bytes() const { return topic.size() + payload.size() + properties.size() + sizeof(Message); }
  bool expired(std::int64_t now_ms) const { return expires_ms != 0 && now_ms >= expires_ms; }
};

class MessageRef {
 public:
  MessageRef() = default;
  explicit MessageRef(Message* message) : message_(message) { take(); }
  MessageRef(const MessageRef& other) : message_(other.message_) {
    if (message_ != nullptr) take();
  }
  MessageRef(MessageRef&& other) noexcept : message_(std::exchange(other.message_, nullptr)) {}
  MessageRef& operator=(MessageRef other) noexcept {
    std::swap(message_, other.message_);
    return *this;
  }
  ~MessageRef() {
    if (message_ != nullptr && message_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete message_;
  }
  explicit operator bool() const { return message_ != nullptr; }
  const Message* operator->() const { return message_; }
  const Message& operator*() const { return *message_; }
  const Message* get() const { return message_; }

 private:
  void take() { message_->references.fetch_add(1, std::memory_order_relaxed); }
  Message* message_ = nullptr;
};

// A copy that may be kept. `now_ms` starts the expiry interval, if the properties carry one.
MessageRef keep(const Publish& publish, std::int64_t now_ms);
MessageRef keep_without_expiry(const Publish& publish, std::int64_t now_ms);
// `message` as a packet for a receiver, with what is left of its expiry in `scratch`; views of both.
Publish publish_of(const Message& message, std::int64_t now_ms, PropertyWriter& scratch);

std::string to_stored(const Message& message);
std::optional<MessageRef> from_stored(std::string_view bytes);  // nullopt: corrupt

// MQTT 5 section 3.3.2.3: the properties that travel with a message to every receiver, without its expiry.
PropertyWriter forwarded(const Properties& properties);

// Absolute expiry of an arriving PUBLISH; 0 = never.
std::int64_t expiry_of(const Publish& publish, std::int64_t now_ms);

}  // namespace muster::mqtt
