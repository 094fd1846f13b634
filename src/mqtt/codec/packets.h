// SPDX-License-Identifier: Apache-2.0
// One struct per MQTT control packet, 3.1.1 and 5 together. Decoded packets are views into the receive buffer and die
// with it; nothing is copied. Reason holds MQTT 5's codes (section 2.4) for both versions; encode maps them for 3.1.1.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

#include "mqtt/codec/properties.h"

namespace muster::mqtt {

enum class Version : std::uint8_t { k311 = 4, k5 = 5 };

enum class PacketType : std::uint8_t {
  kConnect = 1,
  kConnack = 2,
  kPublish = 3,
  kPuback = 4,
  kPubrec = 5,
  kPubrel = 6,
  kPubcomp = 7,
  kSubscribe = 8,
  kSuback = 9,
  kUnsubscribe = 10,
  kUnsuback = 11,
  kPingreq = 12,
  kPingresp = 13,
  kDisconnect = 14,
  kAuth = 15,
};

enum class Reason : std::uint8_t {
  kSuccess = 0x00,  // also: normal disconnection, granted QoS 0
  kGrantedQos1 = 0x01,
  kGrantedQos2 = 0x02,
  kDisconnectWithWill = 0x04,
  kNoMatchingSubscribers = 0x10,
  kNoSubscriptionExisted = 0x11,
  kContinueAuthentication = 0x18,
  kReauthenticate = 0x19,
  kUnspecifiedError = 0x80,
  kMalformedPacket = 0x81,
  kProtocolError = 0x82,
  kImplementationSpecificError = 0x83,
  kUnsupportedProtocolVersion = 0x84,
  kClientIdentifierNotValid = 0x85,
  kBadUserNameOrPassword = 0x86,
  kNotAuthorized = 0x87,
  kServerUnavailable = 0x88,
  kServerBusy = 0x89,
  kBanned = 0x8A,
  kServerShuttingDown = 0x8B,
  kBadAuthenticationMethod = 0x8C,
  kKeepAliveTimeout = 0x8D,
  kSessionTakenOver = 0x8E,
  kTopicFilterInvalid = 0x8F,
  kTopicNameInvalid = 0x90,
  kPacketIdentifierInUse = 0x91,
  kPacketIdentifierNotFound = 0x92,
  kReceiveMaximumExceeded = 0x93,
  kTopicAliasInvalid = 0x94,
  kPacketTooLarge = 0x95,
  kMessageRateTooHigh = 0x96,
  kQuotaExceeded = 0x97,
  kAdministrativeAction = 0x98,
  kPayloadFormatInvalid = 0x99,
  kRetainNotSupported = 0x9A,
  kQosNotSupported = 0x9B,
  kUseAnotherServer = 0x9C,
  kServerMoved = 0x9D,
  kSharedSubscriptionsNotSupported = 0x9E,
  kConnectionRateExceeded = 0x9F,
  kMaximumConnectTime = 0xA0,
  kSubscriptionIdentifiersNotSupported = 0xA1,
  kWildcardSubscriptionsNotSupported = 0xA2,
};

struct Will {
  std::string_view topic;
  std::string_view payload;
  std::uint8_t qos = 0;
  bool retain = false;
  Properties properties;
};

struct Connect {
  Version version = Version::k311;
  bool clean_start = true;  // 3.1.1: clean session
  std::uint16_t keep_alive_s = 0;
  std::string_view client_id;
  bool has_username = false;
  bool has_password = false;
  bool has_will = false;
  std::string_view username;
  std::string_view password;
  Will will;
  Properties properties;
};

struct Connack {
  bool session_present = false;
  Reason reason = Reason::kSuccess;  // 3.1.1 return codes are mapped both ways
  Properties properties;
};

struct Publish {
  std::string_view topic;  // empty only in MQTT 5 with a topic alias
  std::string_view payload;
  std::uint8_t qos = 0;
  bool retain = false;
  bool dup = false;
  std::uint16_t packet_id = 0;  // 0 at QoS 0
  Properties properties;
  // The whole packet as it was received, when it may be forwarded as it is (topic and properties are the packet's own);
  // else empty.
  std::string_view raw;
  Version raw_version = Version::k311;
};

struct Ack {
  std::uint16_t packet_id = 0;
  Reason reason = Reason::kSuccess;
  Properties properties;
};
struct Puback : Ack {};
struct Pubrec : Ack {};
struct Pubrel : Ack {};
struct Pubcomp : Ack {};

struct SubscribeFilter {
  std::string_view filter;
  std::uint8_t qos = 0;
  bool no_local = false;             // MQTT 5
  bool retain_as_published = false;  // MQTT 5
  std::uint8_t retain_handling = 0;  // MQTT 5: 0 send, 1 send when new, 2 never
};

// The topic filters of a SUBSCRIBE (UNSUBSCRIBE), in order, read off validated bytes: for (SubscribeFilter f :
// filters).
class FilterList {
 public:
  FilterList() = default;
  FilterList(std::string_view valid, std::uint32_t count, bool with_options)
      : bytes_(valid), count_(count), with_options_(with_options) {}
  std::size_t size() const { return count_; }
  class Iterator {
   public:
    Iterator(std::string_view rest, bool with_options) : rest_(rest), with_options_(with_options) {}
    SubscribeFilter operator*() const;
    Iterator& operator++();
    bool operator==(const Iterator& other) const { return rest_.size() == other.rest_.size(); }

   private:
    std::string_view rest_;
    bool with_options_;
  };
  Iterator begin() const { return {bytes_, with_options_}; }
  Iterator end() const { return {std::string_view(), with_options_}; }

 private:
  std::string_view bytes_;
  std::uint32_t count_ = 0;
  bool with_options_ = true;
};

struct Subscribe {
  std::uint16_t packet_id = 0;
  FilterList filters;  // at least one
  Properties properties;
};

struct Suback {
  std::uint16_t packet_id = 0;
  std::string_view codes;  // one byte (a Reason) for each filter
  Properties properties;
};

struct Unsubscribe {
  std::uint16_t packet_id = 0;
  FilterList filters;
  Properties properties;
};

struct Unsuback {
  std::uint16_t packet_id = 0;
  std::string_view codes;  // empty in 3.1.1
  Properties properties;
};

struct Pingreq {};
struct Pingresp {};

struct Disconnect {
  Reason reason = Reason::kSuccess;
  Properties properties;
};

struct Auth {  // MQTT 5
  Reason reason = Reason::kSuccess;
  Properties properties;
};

using Packet = std::variant<Connect, Connack, Publish, Puback, Pubrec, Pubrel, Pubcomp, Subscribe, Suback, Unsubscribe,
                            Unsuback, Pingreq, Pingresp, Disconnect, Auth>;

std::string_view to_string(PacketType type);
std::string_view to_string(Reason reason);  // the specification's name, e.g. "Topic Name invalid"

}  // namespace muster::mqtt
