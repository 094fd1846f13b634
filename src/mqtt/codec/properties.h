// SPDX-License-Identifier: Apache-2.0
// MQTT 5 properties (section 2.2.2), driven by one table: type, packets that may carry it, whether it may repeat.
// Properties is a view of bytes that were validated once; PropertyWriter makes such bytes. Nothing allocates on the
// reading side; views live as long as the receive buffer. In 3.1.1 a Properties is always empty.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace muster::mqtt {

enum class PropertyId : std::uint8_t {
  kPayloadFormat = 0x01,
  kMessageExpiry = 0x02,
  kContentType = 0x03,
  kResponseTopic = 0x08,
  kCorrelationData = 0x09,
  kSubscriptionIdentifier = 0x0B,
  kSessionExpiry = 0x11,
  kAssignedClientId = 0x12,
  kServerKeepAlive = 0x13,
  kAuthenticationMethod = 0x15,
  kAuthenticationData = 0x16,
  kRequestProblemInformation = 0x17,
  kWillDelay = 0x18,
  kRequestResponseInformation = 0x19,
  kResponseInformation = 0x1A,
  kServerReference = 0x1C,
  kReasonString = 0x1F,
  kReceiveMaximum = 0x21,
  kTopicAliasMaximum = 0x22,
  kTopicAlias = 0x23,
  kMaximumQos = 0x24,
  kRetainAvailable = 0x25,
  kUserProperty = 0x26,
  kMaximumPacketSize = 0x27,
  kWildcardSubscriptionAvailable = 0x28,
  kSubscriptionIdentifierAvailable = 0x29,
  kSharedSubscriptionAvailable = 0x2A,
};

enum class PropertyType : std::uint8_t { kByte, kTwoBytes, kFourBytes, kVarint, kText, kBinary, kPair };

struct PropertyRule {
  PropertyId id;
  PropertyType type;
  std::uint16_t packets;      // bit n: packet type n may carry it; bit 0: will properties
  bool may_repeat;            // user properties anywhere
  std::uint32_t least, most;  // value range of the numeric ones
};
// nullptr for an unknown identifier.
const PropertyRule* find_property_rule(std::uint8_t id);

struct Property {
  PropertyId id{};
  std::uint32_t number = 0;  // numeric types
  std::string_view text;     // text, binary; name of a user property
  std::string_view value;    // value of a user property
};

class Properties {
 public:
  Properties() = default;
  // `valid` must have passed validation (the decoder) or come from a PropertyWriter.
  Properties(std::string_view valid, std::uint64_t present) : bytes_(valid), present_(present) {}

  bool empty() const { return bytes_.empty(); }
  bool has(PropertyId id) const { return (present_ >> static_cast<unsigned>(id)) & 1; }
  std::optional<std::uint32_t> number(PropertyId id) const;
  std::uint32_t number(PropertyId id, std::uint32_t fallback) const;
  std::optional<std::string_view> text(PropertyId id) const;  // strings and binary
  std::string_view bytes() const { return bytes_; }           // without the length in front
  std::uint64_t present() const { return present_; }

  // for (const Property& property : properties), in wire order.
  class Iterator {
   public:
    explicit Iterator(std::string_view rest) : rest_(rest) { step(); }
    const Property& operator*() const { return current_; }
    const Property* operator->() const { return &current_; }
    Iterator& operator++() {
      step();
      return *this;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    friend class Properties;
    Iterator(const char* end, int) : at_(end) {}
    void step();
    Property current_;
    std::string_view rest_;
    const char* at_ = nullptr;  // where current_ starts; the end of the bytes once past the last
  };
  Iterator begin() const { return Iterator(bytes_); }
  Iterator end() const { return Iterator(bytes_.data() + bytes_.size(), 0); }

 private:
  std::string_view bytes_;
  std::uint64_t present_ = 0;
};

// Collects properties for an outgoing packet. The caller picks properties that the packet may carry; text longer than
// 65535 bytes is cut at a character.
class PropertyWriter {
 public:
  PropertyWriter& add(PropertyId id, std::uint32_t number);
  PropertyWriter& add(PropertyId id, std::string_view text);
  PropertyWriter& add_user(std::string_view name, std::string_view value);
  PropertyWriter& add(const Property& property);
  void clear();
  // Valid until this writer changes or dies.
  Properties view() const { return {bytes_, present_}; }

 private:
  std::string bytes_;
  std::uint64_t present_ = 0;
};

}  // namespace muster::mqtt
