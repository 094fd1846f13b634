// SPDX-License-Identifier: Apache-2.0
#include "mqtt/codec/packets.h"

#include "mqtt/codec/reader.h"

namespace muster::mqtt {

SubscribeFilter FilterList::Iterator::operator*() const {
  Reader reader(rest_);
  SubscribeFilter filter;
  filter.filter = reader.string16();
  if (with_options_) {
    const std::uint8_t options = reader.u8();
    filter.qos = options & 3;
    filter.no_local = (options & 4) != 0;
    filter.retain_as_published = (options & 8) != 0;
    filter.retain_handling = (options >> 4) & 3;
  }
  return filter;
}

FilterList::Iterator& FilterList::Iterator::operator++() {
  Reader reader(rest_);
  reader.string16();
  if (with_options_) reader.u8();
  rest_ = reader.rest();
  return *this;
}

std::string_view to_string(PacketType type) {
  switch (type) {
    case PacketType::kConnect:
      return "CONNECT";
    case PacketType::kConnack:
      return "CONNACK";
    case PacketType::kPublish:
      return "PUBLISH";
    case PacketType::kPuback:
      return "PUBACK";
    case PacketType::kPubrec:
      return "PUBREC";
    case PacketType::kPubrel:
      return "PUBREL";
    case PacketType::kPubcomp:
      return "PUBCOMP";
    case PacketType::kSubscribe:
      return "SUBSCRIBE";
    case PacketType::kSuback:
      return "SUBACK";
    case PacketType::kUnsubscribe:
      return "UNSUBSCRIBE";
    case PacketType::kUnsuback:
      return "UNSUBACK";
    case PacketType::kPingreq:
      return "PINGREQ";
    case PacketType::kPingresp:
      return "PINGRESP";
    case PacketType::kDisconnect:
      return "DISCONNECT";
    case PacketType::kAuth:
      return "AUTH";
  }
  return "RESERVED";
}

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::kSuccess:
      return "Success";
    case Reason::kGrantedQos1:
      return "Granted QoS 1";
    case Reason::kGrantedQos2:
      return "Granted QoS 2";
    case Reason::kDisconnectWithWill:
      return "Disconnect with Will Message";
    case Reason::kNoMatchingSubscribers:
      return "No matching subscribers";
    case Reason::kNoSubscriptionExisted:
      return "No subscription existed";
    case Reason::kContinueAuthentication:
      return "Continue authentication";
    case Reason::kReauthenticate:
      return "Re-authenticate";
    case Reason::kUnspecifiedError:
      return "Unspecified error";
    case Reason::kMalformedPacket:
      return "Malformed Packet";
    case Reason::kProtocolError:
      return "Protocol Error";
    case Reason::kImplementationSpecificError:
      return "Implementation specific error";
    case Reason::kUnsupportedProtocolVersion:
      return "Unsupported Protocol Version";
    case Reason::kClientIdentifierNotValid:
      return "Client Identifier not valid";
    case Reason::kBadUserNameOrPassword:
      return "Bad User Name or Password";
    case Reason::kNotAuthorized:
      return "Not authorized";
    case Reason::kServerUnavailable:
      return "Server unavailable";
    case Reason::kServerBusy:
      return "Server busy";
    case Reason::kBanned:
      return "Banned";
    case Reason::kServerShuttingDown:
      return "Server shutting down";
    case Reason::kBadAuthenticationMethod:
      return "Bad authentication method";
    case Reason::kKeepAliveTimeout:
      return "Keep Alive timeout";
    case Reason::kSessionTakenOver:
      return "Session taken over";
    case Reason::kTopicFilterInvalid:
      return "Topic Filter invalid";
    case Reason::kTopicNameInvalid:
      return "Topic Name invalid";
    case Reason::kPacketIdentifierInUse:
      return "Packet Identifier in use";
    case Reason::kPacketIdentifierNotFound:
      return "Packet Identifier not found";
    case Reason::kReceiveMaximumExceeded:
      return "Receive Maximum exceeded";
    case Reason::kTopicAliasInvalid:
      return "Topic Alias invalid";
    case Reason::kPacketTooLarge:
      return "Packet too large";
    case Reason::kMessageRateTooHigh:
      return "Message rate too high";
    case Reason::kQuotaExceeded:
      return "Quota exceeded";
    case Reason::kAdministrativeAction:
      return "Administrative action";
    case Reason::kPayloadFormatInvalid:
      return "Payload format invalid";
    case Reason::kRetainNotSupported:
      return "Retain not supported";
    case Reason::kQosNotSupported:
      return "QoS not supported";
    case Reason::kUseAnotherServer:
      return "Use another server";
    case Reason::kServerMoved:
      return "Server moved";
    case Reason::kSharedSubscriptionsNotSupported:
      return "Shared Subscriptions not supported";
    case Reason::kConnectionRateExceeded:
      return "Connection rate exceeded";
    case Reason::kMaximumConnectTime:
      return "Maximum connect time";
    case Reason::kSubscriptionIdentifiersNotSupported:
      return "Subscription Identifiers not supported";
    case Reason::kWildcardSubscriptionsNotSupported:
      return "Wildcard Subscriptions not supported";
  }
  return "Unknown reason";
}

}  // namespace muster::mqtt
