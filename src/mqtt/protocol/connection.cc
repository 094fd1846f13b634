// SPDX-License-Identifier: Apache-2.0
#include "mqtt/protocol/connection.h"

#include <algorithm>

#include "base/assert.h"

namespace muster::mqtt {
namespace {

constexpr std::uint8_t kFailure = 0x80;  // reason codes from here on are failures

bool failed(Reason reason) {
  return static_cast<std::uint8_t>(reason) >= kFailure;
}

// Some reason codes belong to CONNACK or to acknowledgements only (MQTT 5, 2.4); the nearest that the packet may carry.
Reason in_disconnect(Reason reason) {
  switch (reason) {
    case Reason::kServerUnavailable:
      return Reason::kServerBusy;
    case Reason::kBanned:
    case Reason::kBadUserNameOrPassword:
      return Reason::kNotAuthorized;
    case Reason::kUnsupportedProtocolVersion:
    case Reason::kClientIdentifierNotValid:
    case Reason::kBadAuthenticationMethod:
    case Reason::kPacketIdentifierInUse:
    case Reason::kPacketIdentifierNotFound:
      return Reason::kProtocolError;
    default:
      return reason;
  }
}
Reason in_connack(Reason reason) {
  switch (reason) {
    case Reason::kServerShuttingDown:
      return Reason::kServerUnavailable;
    case Reason::kSessionTakenOver:
    case Reason::kAdministrativeAction:
    case Reason::kMessageRateTooHigh:
    case Reason::kKeepAliveTimeout:
      return Reason::kServerBusy;
    case Reason::kTopicFilterInvalid:
    case Reason::kTopicAliasInvalid:
    case Reason::kReceiveMaximumExceeded:
      return Reason::kProtocolError;
    default:
      return reason;
  }
}

}  // namespace

void ConnectionEvents::on_publish_again(std::uint16_t) {}
void ConnectionEvents::on_pubrec(std::uint64_t, std::uint16_t, Reason) {}
void ConnectionEvents::on_pubcomp(std::uint64_t, std::uint16_t) {}
void ConnectionEvents::on_pubrel(std::uint16_t) {}

Connection::Connection(const ConnectionLimits& limits, std::int64_t now_ms)
    : limits_(&limits), last_packet_ms_(now_ms) {}

std::size_t Connection::receive(std::string_view bytes, std::int64_t now_ms, ConnectionEvents& events,
                                std::string& out) {
  std::size_t consumed = 0;
  Packet packet;
  while (!paused() && (state_ == State::kFresh || state_ == State::kConnected)) {
    const std::string_view rest = bytes.substr(consumed);
    const bool fresh = state_ == State::kFresh;
    const Frame frame = read_frame(rest, fresh ? limits_->max_connect_bytes : limits_->max_packet_bytes);
    if (fresh && !rest.empty() && static_cast<std::uint8_t>(rest[0]) != 0x10) {
      fail(Reason::kProtocolError, "the first packet is not CONNECT", events, out);
      break;
    }
    if (!fresh && !rest.empty() && static_cast<std::uint8_t>(rest[0]) == 0x10) {
      fail(Reason::kProtocolError, "a second CONNECT", events, out);
      break;
    }
    if (frame.status == DecodeStatus::kError) {
      fail(frame.error.reason, frame.error.text, events, out);
      break;
    }
    if (frame.status == DecodeStatus::kNeedMore) break;
    consumed += frame.size();
    last_packet_ms_ = now_ms;
    if (!fresh && frame.type() == PacketType::kPublish) {
      Publish publish;
      const Decoded published =
          decode_publish(frame.first_byte, frame.header_size, rest.substr(0, frame.size()), version_, publish);
      if (published.ok) {
        handle_publish(publish, events, out);
      } else {
        fail(published.error.reason, published.error.text, events, out);
      }
      continue;
    }
    const Decoded decoded =
        decode_body(frame.first_byte, rest.substr(frame.header_size, frame.body_size), version_, packet);
    if (decoded.ok) {
      handle(packet, events, out);
    } else if (fresh) {
      refuse_connect(decoded, events, out);
    } else {
      fail(decoded.error.reason, decoded.error.text, events, out);
    }
  }
  return consumed;
}

std::size_t Connection::wanted(std::string_view rest) const {
  const Frame frame =
      read_frame(rest, state_ == State::kFresh ? limits_->max_connect_bytes : limits_->max_packet_bytes);
  return frame.status == DecodeStatus::kError || frame.header_size == 0 ? 0 : frame.size();
}

void Connection::set_paused(bool paused, std::int64_t now_ms) {
  if (paused_ && !paused) last_packet_ms_ = std::max(last_packet_ms_, now_ms);
  paused_ = paused;
}

// All but PUBLISH, which receive() decodes by itself.
void Connection::handle(const Packet& packet, ConnectionEvents& events, std::string& out) {
  if (const auto* puback = std::get_if<Puback>(&packet)) return handle_puback(*puback, events, out);
  if (const auto* connect = std::get_if<Connect>(&packet)) return handle_connect(*connect, events, out);
  if (const auto* subscribe = std::get_if<Subscribe>(&packet)) return handle_subscribe(*subscribe, events, out);
  if (const auto* unsubscribe = std::get_if<Unsubscribe>(&packet)) return events.on_unsubscribe(*unsubscribe);
  if (const auto* pubrec = std::get_if<Pubrec>(&packet)) return handle_pubrec(*pubrec, events, out);
  if (const auto* pubrel = std::get_if<Pubrel>(&packet)) return handle_pubrel(*pubrel, events, out);
  if (const auto* pubcomp = std::get_if<Pubcomp>(&packet)) return handle_pubcomp(*pubcomp, events, out);
  if (const auto* disconnect = std::get_if<Disconnect>(&packet)) return handle_disconnect(*disconnect, events, out);
  if (std::holds_alternative<Pingreq>(packet)) {
    encode(out, Pingresp{});
    return events.on_pingreq();
  }
  if (std::holds_alternative<Auth>(packet)) {  // no CONNECT with an authentication method was accepted
    return fail(Reason::kProtocolError, "AUTH without enhanced authentication", events, out);
  }
  fail(Reason::kProtocolError, "a packet that only servers send", events, out);
}

void Connection::fail(Reason reason, std::string_view text, ConnectionEvents& events, std::string& out) {
  if (closed()) return;
  disconnect(reason, out, text);
  events.on_protocol_error({reason, text});
}

void Connection::disconnect(Reason reason, std::string& out, std::string_view reason_text) {
  if (state_ == State::kConnected && version_ == Version::k5) {
    const std::size_t before = out.size();
    PropertyWriter writer;
    if (!reason_text.empty()) writer.add(PropertyId::kReasonString, reason_text);
    encode(out, version_, Disconnect{in_disconnect(reason), writer.view()});
    if (out.size() - before > client_max_packet_) {
      out.resize(before);
      encode(out, version_, Disconnect{in_disconnect(reason), {}});
    }
  }
  detach();
}

void Connection::detach() {
  state_ = State::kClosed;
  inflight_ = nullptr;
}

// --- CONNECT

void Connection::refuse_connect(const Decoded& decoded, ConnectionEvents& events, std::string& out) {
  const bool version_unknown = decoded.error.reason == Reason::kUnsupportedProtocolVersion;
  // No level: not MQTT, so nothing that it would understand. MQTT 3.1 and 3.1.1 know the refusal of their version; for
  // other errors 3.1.1 says: close (3.1.4).
  if (decoded.connect_level >= 5) {
    encode(out, Version::k5, Connack{false, decoded.error.reason, {}});
  } else if (decoded.connect_level >= 0 && version_unknown) {
    encode(out, Version::k311, Connack{false, decoded.error.reason, {}});
  }
  detach();
  events.on_protocol_error({decoded.error.reason, decoded.error.text});
}

void Connection::handle_connect(const Connect& packet, ConnectionEvents& events, std::string& out) {
  version_ = packet.version;
  state_ = State::kConnecting;
  const Properties& properties = packet.properties;
  client_receive_maximum_ = static_cast<std::uint16_t>(properties.number(PropertyId::kReceiveMaximum, 65535));
  client_max_packet_ = properties.number(PropertyId::kMaximumPacketSize, kLargestPacket);
  session_expires_at_once_ = properties.number(PropertyId::kSessionExpiry, 0) == 0;
  keep_alive_s_ = packet.keep_alive_s;
  const std::uint16_t least = limits_->min_keep_alive_s;
  const std::uint16_t most = limits_->max_keep_alive_s;
  if (keep_alive_s_ != 0 && keep_alive_s_ < least) keep_alive_s_ = least;
  if (most != 0 && (keep_alive_s_ == 0 || keep_alive_s_ > most)) keep_alive_s_ = most;
  keep_alive_changed_ = keep_alive_s_ != packet.keep_alive_s;

  ProtocolError error;
  if (version_ == Version::k311 && packet.client_id.empty() && !packet.clean_start) {
    error = {Reason::kClientIdentifierNotValid, "a persistent session needs a client identifier"};
  } else if (properties.has(PropertyId::kAuthenticationMethod)) {
    error = {Reason::kBadAuthenticationMethod, "enhanced authentication is not supported"};
  } else if (packet.has_will && packet.will.qos > limits_->maximum_qos) {
    error = {Reason::kQosNotSupported, "the will's QoS is not supported"};
  } else if (packet.has_will && packet.will.retain && !limits_->retain_available) {
    error = {Reason::kRetainNotSupported, "retained wills are not supported"};
  } else if (packet.has_will && packet.will.topic.size() > limits_->max_topic_bytes) {
    error = {Reason::kTopicNameInvalid, "the will topic is too long"};
  }
  if (error.reason == Reason::kSuccess) return events.on_connect(packet);
  // 3.1.1 has no return code for limits of the server: close.
  if (version_ == Version::k5 || error.reason == Reason::kClientIdentifierNotValid) refuse(error.reason, out);
  detach();
  events.on_protocol_error(error);
}

void Connection::accept(Inflight& inflight, bool session_present, std::string& out, const Properties& extra) {
  if (state_ != State::kConnecting) return;
  state_ = State::kConnected;
  inflight_ = &inflight;
  if (!session_present) inflight.clear();
  inflight.outgoing.connection_began();
  PropertyWriter writer;
  if (version_ == Version::k5) {
    const ConnectionLimits& limits = *limits_;
    const auto tell = [&](bool needed, PropertyId id, std::uint32_t value) {
      if (needed && !extra.has(id)) writer.add(id, value);
    };
    tell(limits.receive_maximum != 65535, PropertyId::kReceiveMaximum, limits.receive_maximum);
    tell(limits.maximum_qos < 2, PropertyId::kMaximumQos, limits.maximum_qos);
    tell(!limits.retain_available, PropertyId::kRetainAvailable, 0);
    tell(limits.max_packet_bytes < kLargestPacket, PropertyId::kMaximumPacketSize, limits.max_packet_bytes);
    tell(limits.topic_alias_maximum != 0, PropertyId::kTopicAliasMaximum, limits.topic_alias_maximum);
    tell(!limits.wildcard_available, PropertyId::kWildcardSubscriptionAvailable, 0);
    tell(!limits.subscription_identifiers_available, PropertyId::kSubscriptionIdentifierAvailable, 0);
    tell(!limits.shared_available, PropertyId::kSharedSubscriptionAvailable, 0);
    tell(keep_alive_changed_, PropertyId::kServerKeepAlive, keep_alive_s_);
    for (const Property& property : extra) writer.add(property);
    if (const auto seconds = extra.number(PropertyId::kServerKeepAlive)) {
      keep_alive_s_ = static_cast<std::uint16_t>(*seconds);
    }
  }
  const std::size_t before = out.size();
  encode(out, version_, Connack{session_present, Reason::kSuccess, writer.view()});
  if (out.size() - before <= client_max_packet_) return;
  // MQTT5-3.1.2-24: not to be sent. What it says is not optional, so the client cannot be served.
  out.resize(before);
  encode(out, version_, Connack{false, Reason::kPacketTooLarge, {}});
  detach();
}

void Connection::refuse(Reason reason, std::string& out, const Properties& extra) {
  if (state_ != State::kConnecting) return;
  encode(out, version_, Connack{false, in_connack(reason), extra});
  detach();
}

// --- from the client

bool Connection::resolve_alias(Publish& packet, ConnectionEvents& events, std::string& out) {
  const std::uint32_t alias = packet.properties.number(PropertyId::kTopicAlias, 0);
  if (alias == 0 || alias > limits_->topic_alias_maximum) {
    fail(Reason::kTopicAliasInvalid, "topic alias above the maximum", events, out);
    return false;
  }
  if (!packet.topic.empty()) {
    if (packet.topic.size() > limits_->max_topic_bytes) return true;  // refused by the caller
    if (aliases_ == nullptr) aliases_ = std::make_unique<std::vector<std::string>>();
    if (aliases_->size() < alias) aliases_->resize(alias);
    (*aliases_)[alias - 1] = packet.topic;
    return true;
  }
  if (aliases_ == nullptr || aliases_->size() < alias || (*aliases_)[alias - 1].empty()) {
    fail(Reason::kProtocolError, "unknown topic alias", events, out);
    return false;
  }
  packet.topic = (*aliases_)[alias - 1];
  return true;
}

void Connection::handle_publish(Publish& packet, ConnectionEvents& events, std::string& out) {
  if (packet.qos > limits_->maximum_qos) return fail(Reason::kQosNotSupported, "QoS not supported", events, out);
  if (packet.retain && !limits_->retain_available) {
    return fail(Reason::kRetainNotSupported, "retain not supported", events, out);
  }
  if (packet.properties.has(PropertyId::kSubscriptionIdentifier)) {
    return fail(Reason::kProtocolError, "subscription identifier from a client", events, out);
  }
  if (packet.properties.has(PropertyId::kTopicAlias) && !resolve_alias(packet, events, out)) return;
  if (packet.topic.size() > limits_->max_topic_bytes) {
    return fail(Reason::kTopicNameInvalid, "the topic is too long", events, out);
  }
  if (packet.qos > 0) {
    if (packet.qos == 2 && inflight_->incoming.contains(packet.packet_id)) {  // a repetition: delivered before
      return events.on_publish_again(packet.packet_id);
    }
    if (packet.qos == 2 && inflight_->incoming.size() >= IncomingInflight::kMaxIncoming) {
      return fail(Reason::kReceiveMaximumExceeded, "too many QoS 2 messages that were not released", events, out);
    }
    if (version_ == Version::k5 && unanswered_ + unreleased_ >= limits_->receive_maximum) {
      return fail(Reason::kReceiveMaximumExceeded, "receive maximum exceeded", events, out);
    }
    ++unanswered_;
    if (packet.qos == 2) inflight_->incoming.add(packet.packet_id);
  }
  events.on_publish(packet);
}

void Connection::finish(const OutgoingInflight::Entry& entry) {
  if (entry.sent && outgoing_ > 0) --outgoing_;
  inflight_->outgoing.remove(entry.packet_id);
}

void Connection::handle_puback(const Ack& packet, ConnectionEvents& events, std::string& out) {
  const OutgoingInflight::Entry* found = inflight_->outgoing.find(packet.packet_id);
  if (found == nullptr || !found->sent) return;  // answered twice; nothing is waiting for it
  if (found->wait != OutgoingInflight::Wait::kPuback) {
    return fail(Reason::kProtocolError, "PUBACK for a QoS 2 message", events, out);
  }
  const OutgoingInflight::Entry entry = *found;
  finish(entry);
  events.on_puback(entry.token, entry.packet_id, packet.reason);
}

void Connection::handle_pubrec(const Ack& packet, ConnectionEvents& events, std::string& out) {
  using Wait = OutgoingInflight::Wait;
  const OutgoingInflight::Entry* found = inflight_->outgoing.find(packet.packet_id);
  if (found == nullptr || !found->sent) {
    if (!failed(packet.reason)) {
      encode(out, version_, Pubrel{{packet.packet_id, Reason::kPacketIdentifierNotFound, {}}});
    }
    return;
  }
  if (found->wait == Wait::kPuback) return fail(Reason::kProtocolError, "PUBREC for a QoS 1 message", events, out);
  if (found->wait == Wait::kPubcomp) {  // repeated: so is the answer
    if (!failed(packet.reason)) encode(out, version_, Pubrel{{packet.packet_id, Reason::kSuccess, {}}});
    return;
  }
  const OutgoingInflight::Entry entry = *found;
  if (failed(packet.reason)) finish(entry);
  events.on_pubrec(entry.token, entry.packet_id, packet.reason);
}

void Connection::handle_pubrel(const Ack& packet, ConnectionEvents& events, std::string& out) {
  if (inflight_->incoming.contains(packet.packet_id)) return events.on_pubrel(packet.packet_id);
  encode(out, version_, Pubcomp{{packet.packet_id, Reason::kPacketIdentifierNotFound, {}}});
}

void Connection::handle_pubcomp(const Ack& packet, ConnectionEvents& events, std::string& out) {
  const OutgoingInflight::Entry* found = inflight_->outgoing.find(packet.packet_id);
  if (found == nullptr || !found->sent) return;
  if (found->wait != OutgoingInflight::Wait::kPubcomp) {
    return fail(Reason::kProtocolError, "PUBCOMP without PUBREL", events, out);
  }
  const OutgoingInflight::Entry entry = *found;
  finish(entry);
  events.on_pubcomp(entry.token, entry.packet_id);
}

void Connection::handle_subscribe(const Subscribe& packet, ConnectionEvents& events, std::string& out) {
  if (packet.properties.has(PropertyId::kSubscriptionIdentifier) && !limits_->subscription_identifiers_available) {
    return fail(Reason::kSubscriptionIdentifiersNotSupported, "subscription identifiers not supported", events, out);
  }
  events.on_subscribe(packet);
}

void Connection::handle_disconnect(const Disconnect& packet, ConnectionEvents& events, std::string& out) {
  // 3.14.2.2.2: a session that ends with the connection cannot be prolonged now.
  if (session_expires_at_once_ && packet.properties.number(PropertyId::kSessionExpiry, 0) != 0) {
    return fail(Reason::kProtocolError, "session expiry prolonged in DISCONNECT", events, out);
  }
  if (packet.properties.has(PropertyId::kServerReference)) {
    return fail(Reason::kProtocolError, "server reference from a client", events, out);
  }
  detach();
  events.on_disconnect(packet);
}

// --- to the client

SendOutcome Connection::check_send(const PublishImage& image) const {
  if (!connected()) return SendOutcome::kClosed;
  CHECK(image.version() == version_);
  return image.size() > client_max_packet_ ? SendOutcome::kTooLarge : SendOutcome::kSent;
}

std::size_t Connection::window() const {
  if (!connected()) return 0;
  const std::size_t most = std::min(client_receive_maximum_, limits_->max_inflight);
  return most > outgoing_ ? most - outgoing_ : 0;
}

SendOutcome Connection::send(const PublishImage& image, std::string& out) {
  const SendOutcome outcome = check_send(image);
  if (outcome == SendOutcome::kSent) image.append_to(out);
  return outcome;
}

SendOutcome Connection::send(const PublishImage& image, std::uint64_t token, std::string& out,
                             std::uint16_t* packet_id) {
  const SendOutcome outcome = check_send(image);
  if (outcome != SendOutcome::kSent) return outcome;
  if (window() == 0) return SendOutcome::kWindowFull;
  const std::uint16_t id = inflight_->outgoing.add_sent(token, image.qos());
  if (id == 0) return SendOutcome::kWindowFull;
  ++outgoing_;
  image.append_to(out, id);
  if (packet_id != nullptr) *packet_id = id;
  return SendOutcome::kSent;
}

SendOutcome Connection::resend(std::uint16_t packet_id, const PublishImage& image, std::string& out) {
  if (!connected()) return SendOutcome::kClosed;
  OutgoingInflight::Entry* entry = inflight_->outgoing.find(packet_id);
  if (entry == nullptr || entry->sent) return SendOutcome::kSent;
  if (window() == 0) return SendOutcome::kWindowFull;
  if (entry->wait == OutgoingInflight::Wait::kPubcomp) {
    encode(out, version_, Pubrel{{packet_id, Reason::kSuccess, {}}});
  } else {
    const SendOutcome outcome = check_send(image);
    if (outcome != SendOutcome::kSent) return outcome;
    image.append_to(out, packet_id, true);
  }
  entry->sent = true;
  ++outgoing_;
  return SendOutcome::kSent;
}

void Connection::puback(std::uint16_t packet_id, Reason reason, std::string& out) {
  if (!connected()) return;
  if (unanswered_ > 0) --unanswered_;
  encode(out, version_, Puback{{packet_id, reason, {}}});
}

void Connection::pubrec(std::uint16_t packet_id, Reason reason, std::string& out) {
  if (!connected()) return;
  if (failed(reason)) {
    inflight_->incoming.remove(packet_id);
  } else if (unanswered_ > 0) {
    ++unreleased_;
  }
  if (unanswered_ > 0) --unanswered_;
  encode(out, version_, Pubrec{{packet_id, reason, {}}});
}

void Connection::pubrel(std::uint16_t packet_id, std::string& out) {
  if (!connected()) return;
  OutgoingInflight::Entry* entry = inflight_->outgoing.find(packet_id);
  if (entry == nullptr || entry->wait == OutgoingInflight::Wait::kPuback) return;
  entry->wait = OutgoingInflight::Wait::kPubcomp;
  encode(out, version_, Pubrel{{packet_id, Reason::kSuccess, {}}});
}

void Connection::pubcomp(std::uint16_t packet_id, std::string& out) {
  if (!connected()) return;
  if (inflight_->incoming.remove(packet_id) && unreleased_ > 0) --unreleased_;
  encode(out, version_, Pubcomp{{packet_id, Reason::kSuccess, {}}});
}

// An answer that the client cannot take, and that says what it must know (MQTT5-3.1.2-24).
void Connection::refuse_oversized(std::size_t before, std::string& out) {
  if (out.size() - before <= client_max_packet_) return;
  out.resize(before);
  disconnect(Reason::kPacketTooLarge, out);
}

void Connection::suback(std::uint16_t packet_id, std::string_view codes, std::string& out) {
  if (!connected()) return;
  const std::size_t before = out.size();
  encode(out, version_, Suback{packet_id, codes, {}});
  refuse_oversized(before, out);
}

void Connection::unsuback(std::uint16_t packet_id, std::string_view codes, std::string& out) {
  if (!connected()) return;
  const std::size_t before = out.size();
  encode(out, version_, Unsuback{packet_id, codes, {}});
  refuse_oversized(before, out);
}

// --- time

std::int64_t Connection::deadline_ms() const {
  if (paused()) return 0;
  // Until CONNECT is there, and as long again until it is answered.
  if (state_ == State::kFresh || state_ == State::kConnecting) return last_packet_ms_ + limits_->connect_deadline_ms;
  if (state_ != State::kConnected || keep_alive_s_ == 0) return 0;
  return last_packet_ms_ + std::int64_t{keep_alive_s_} * 1500;
}

bool Connection::expire(std::int64_t now_ms, ConnectionEvents& events, std::string& out) {
  const std::int64_t deadline = deadline_ms();
  if (deadline == 0 || now_ms < deadline) return false;
  if (state_ == State::kConnecting) {
    refuse(Reason::kServerBusy, out);
    events.on_protocol_error({Reason::kServerBusy, "CONNECT could not be answered in time"});
    return true;
  }
  fail(Reason::kKeepAliveTimeout, state_ == State::kFresh ? "no CONNECT within the deadline" : "keep-alive ran out",
       events, out);
  return true;
}

}  // namespace muster::mqtt
