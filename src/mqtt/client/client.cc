// SPDX-License-Identifier: Apache-2.0
#include "mqtt/client/client.h"

#include <algorithm>

namespace muster::mqtt {
namespace {
constexpr std::uint64_t kPublishing = 1;
constexpr std::uint64_t kSubscribing = 2;
constexpr std::uint64_t kUnsubscribing = 3;
}  // namespace

void ClientEvents::on_suback(std::uint16_t, std::string_view) {}
void ClientEvents::on_unsuback(std::uint16_t) {}
void ClientEvents::on_puback(std::uint16_t, Reason) {}

ClientConnection::ClientConnection(ClientEvents& events, const ClientOptions& options)
    : events_(events), options_(options) {}

bool ClientConnection::connect(const Connect& packet, std::int64_t now_ms) {
  if (state_ != State::kFresh || !encode(out_, packet)) return false;
  state_ = State::kConnecting;
  version_ = packet.version;
  keep_alive_s_ = packet.keep_alive_s;
  last_sent_ms_ = now_ms;
  return true;
}

std::uint16_t ClientConnection::take_id(std::uint64_t kind) {
  return connected() ? inflight_.add(kind, 1) : std::uint16_t{0};
}

bool ClientConnection::settle(std::uint16_t packet_id, std::uint64_t kind) {
  const OutgoingInflight::Entry* entry = inflight_.find(packet_id);
  if (entry == nullptr || entry->token != kind) return false;
  return inflight_.remove(packet_id);
}

std::uint16_t ClientConnection::subscribe(std::span<const SubscribeFilter> filters, const Properties& properties) {
  const std::uint16_t id = take_id(kSubscribing);
  if (id == 0 || encode_subscribe(out_, version_, id, filters, properties)) return id;
  inflight_.remove(id);
  return 0;
}

std::uint16_t ClientConnection::unsubscribe(std::span<const std::string_view> filters, const Properties& properties) {
  const std::uint16_t id = take_id(kUnsubscribing);
  if (id == 0 || encode_unsubscribe(out_, version_, id, filters, properties)) return id;
  inflight_.remove(id);
  return 0;
}

std::uint16_t ClientConnection::publish_qos1(std::string_view topic, std::string_view payload, bool retain,
                                             const Properties& properties) {
  if (publishing_ >= window_) return 0;
  const std::uint16_t id = take_id(kPublishing);
  if (id == 0) return 0;
  const std::size_t before = out_.size();
  const Publish packet{topic, payload, 1, retain, false, id, properties};
  if (!encode(out_, version_, packet) || out_.size() - before > server_max_packet_) {
    out_.resize(before);
    inflight_.remove(id);
    return 0;
  }
  ++publishing_;
  return id;
}

bool ClientConnection::publish(std::string_view topic, std::string_view payload, bool retain,
                               const Properties& properties) {
  if (!connected()) return false;
  const std::size_t before = out_.size();
  const Publish packet{topic, payload, 0, retain, false, 0, properties};
  if (encode(out_, version_, packet) && out_.size() - before <= server_max_packet_) return true;
  out_.resize(before);
  return false;
}

void ClientConnection::disconnect(Reason reason) {
  if (connected()) encode(out_, version_, Disconnect{reason, {}});
  close(Reason::kSuccess, "disconnected");
}

void ClientConnection::close(Reason reason, std::string_view text) {
  if (closed()) return;
  state_ = State::kClosed;
  events_.on_closed(reason, text);
}

void ClientConnection::lost(std::string_view text) {
  close(Reason::kUnspecifiedError, text);
}

std::size_t ClientConnection::receive(std::string_view bytes, std::int64_t now_ms) {
  std::size_t consumed = 0;
  Packet packet;
  while (state_ == State::kConnecting || state_ == State::kConnected) {
    const std::string_view rest = bytes.substr(consumed);
    const Frame frame = read_frame(rest, options_.max_packet_bytes);
    if (frame.status == DecodeStatus::kNeedMore) break;
    DecodeError error = frame.error;
    if (frame.status == DecodeStatus::kPacket) {
      consumed += frame.size();
      error = decode_body(frame.first_byte, rest.substr(frame.header_size, frame.body_size), version_, packet).error;
    }
    if (error.reason != Reason::kSuccess) {
      if (connected() && version_ == Version::k5) encode(out_, version_, Disconnect{error.reason, {}});
      close(error.reason, error.text);
      break;
    }
    handle(packet);
  }
  if (consumed != 0) ping_sent_ms_ = ping_sent_ms_ < 0 ? -1 : std::max(ping_sent_ms_, now_ms);
  return consumed;
}

void ClientConnection::handle(const Packet& packet) {
  if (state_ == State::kConnecting) {
    const auto* connack = std::get_if<Connack>(&packet);
    return connack != nullptr ? handle_connack(*connack) : close(Reason::kProtocolError, "a packet before CONNACK");
  }
  if (const auto* publish = std::get_if<Publish>(&packet)) return handle_publish(*publish);
  if (const auto* puback = std::get_if<Puback>(&packet)) {
    if (!settle(puback->packet_id, kPublishing)) return;
    --publishing_;
    return events_.on_puback(puback->packet_id, puback->reason);
  }
  if (const auto* suback = std::get_if<Suback>(&packet)) {
    if (settle(suback->packet_id, kSubscribing)) events_.on_suback(suback->packet_id, suback->codes);
    return;
  }
  if (const auto* unsuback = std::get_if<Unsuback>(&packet)) {
    if (settle(unsuback->packet_id, kUnsubscribing)) events_.on_unsuback(unsuback->packet_id);
    return;
  }
  if (std::holds_alternative<Pingresp>(packet)) {
    ping_sent_ms_ = -1;
    return;
  }
  if (const auto* disconnect = std::get_if<Disconnect>(&packet)) {
    return close(disconnect->reason, to_string(disconnect->reason));
  }
  close(Reason::kProtocolError, "a packet that this client cannot expect");
}

void ClientConnection::handle_connack(const Connack& packet) {
  if (packet.reason == Reason::kSuccess) {
    state_ = State::kConnected;
    const Properties& properties = packet.properties;
    window_ = static_cast<std::uint16_t>(
        std::min<std::uint32_t>(options_.max_inflight, properties.number(PropertyId::kReceiveMaximum, 65535)));
    server_max_packet_ = properties.number(PropertyId::kMaximumPacketSize, kLargestPacket);
    keep_alive_s_ = static_cast<std::uint16_t>(properties.number(PropertyId::kServerKeepAlive, keep_alive_s_));
    return events_.on_connack(packet);
  }
  events_.on_connack(packet);
  close(packet.reason, to_string(packet.reason));
}

void ClientConnection::handle_publish(const Publish& packet) {
  // We announce no topic alias maximum and subscribe with QoS 1 at most.
  if (packet.qos > 1 || packet.topic.empty()) {
    if (version_ == Version::k5) encode(out_, version_, Disconnect{Reason::kProtocolError, {}});
    return close(Reason::kProtocolError, "QoS 2 or topic alias from the server");
  }
  events_.on_message(packet);
  if (packet.qos == 1 && connected()) encode(out_, version_, Puback{{packet.packet_id, Reason::kSuccess, {}}});
}

void ClientConnection::tick(std::int64_t now_ms) {
  if (!connected() || keep_alive_s_ == 0) return;
  const std::int64_t keep_alive_ms = std::int64_t{keep_alive_s_} * 1000;
  if (ping_sent_ms_ >= 0) {
    if (now_ms - ping_sent_ms_ >= keep_alive_ms) close(Reason::kKeepAliveTimeout, "no answer to PINGREQ");
    return;
  }
  // Other packets sent in between do not postpone the ping: one small packet in most of the interval is cheap, and an
  // answer proves that the server lives.
  if (now_ms - last_sent_ms_ < keep_alive_ms * 3 / 4) return;
  encode(out_, Pingreq{});
  last_sent_ms_ = now_ms;
  ping_sent_ms_ = now_ms;
}

}  // namespace muster::mqtt
