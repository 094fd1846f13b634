// SPDX-License-Identifier: Apache-2.0
// For tests of the broker over real sockets: Peer, one connection of a client, blocking, on the thread of whoever
// calls; and Record, what somebody received of numbered messages.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "io/env.h"
#include "mqtt/codec/decode.h"
#include "mqtt/codec/encode.h"

namespace muster::mqtt {

inline constexpr std::int64_t kPatienceMs = 60'000;

// One connection of a client, over TCP, on the thread of whoever calls.
class Peer {
 public:
  explicit Peer(std::uint16_t port, Version spoken = Version::k5) : version(spoken) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    closed_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0;
  }
  ~Peer() { ::close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // Sends and receives what goes within the time. False once the connection is over.
  bool pump(int timeout_ms);
  template <class Condition>
  bool await(Condition&& met) {
    const std::int64_t give_up = time_.steady_ms() + kPatienceMs;
    while (!met()) {
      if (time_.steady_ms() > give_up || (over != nullptr && *over) || !pump(20)) return met();
    }
    return true;
  }

  bool connect(std::string_view client_id, bool clean, std::uint32_t expiry_s, std::string_view will_topic = {}) {
    Connect packet;
    packet.version = version;
    packet.client_id = client_id;
    packet.clean_start = clean;
    PropertyWriter properties;
    if (version == Version::k5 && expiry_s > 0) properties.add(PropertyId::kSessionExpiry, expiry_s);
    packet.properties = properties.view();
    packet.has_will = !will_topic.empty();
    packet.will.topic = will_topic;
    packet.will.payload = "will";
    packet.will.qos = 1;
    packet.will.retain = true;
    encode(outbox_, packet);
    return await([&] { return connacks > 0; }) && accepted;
  }
  void subscribe(std::string_view filter, std::uint8_t qos) {
    SubscribeFilter wanted;
    wanted.filter = filter;
    wanted.qos = qos;
    encode_subscribe(outbox_, version, take_id(), std::span(&wanted, 1));
    ++asked;
  }
  void unsubscribe(std::string_view filter) {
    encode_unsubscribe(outbox_, version, take_id(), std::span(&filter, 1));
    ++asked;
  }
  void publish(std::string_view topic, std::string_view payload, std::uint8_t qos, bool retain = false) {
    Publish packet;
    packet.topic = topic;
    packet.payload = payload;
    packet.qos = qos;
    packet.retain = retain;
    if (qos > 0) packet.packet_id = take_id();
    if (qos > 0) outstanding.insert(packet.packet_id);
    encode(outbox_, version, packet);
  }
  bool disconnect() {
    encode(outbox_, version, Disconnect{});
    return await([&] { return closed_; });
  }
  bool closed() const { return closed_; }

  const Version version;
  std::function<void(const Publish&)> on_message;
  std::set<std::uint16_t> outstanding;  // published and not acknowledged to the end
  std::size_t connacks = 0, asked = 0, answered = 0;
  bool accepted = false, session_present = false;
  const std::atomic<bool>* over = nullptr;  // then nothing is waited for any more

 private:
  std::uint16_t take_id() {
    do {
      last_id_ = static_cast<std::uint16_t>(last_id_ % 60'000 + 1);
    } while (outstanding.contains(last_id_));
    return last_id_;
  }
  void handle(const Packet& packet);

  io::SystemClock time_;
  int fd_ = -1;
  bool closed_ = false;
  std::string inbox_, outbox_;
  std::uint16_t last_id_ = 0;
};

inline void Peer::handle(const Packet& packet) {
  if (const auto* connack = std::get_if<Connack>(&packet)) {
    ++connacks;
    accepted = connack->reason == Reason::kSuccess;
    session_present = connack->session_present;
  } else if (const auto* publish = std::get_if<Publish>(&packet)) {
    if (on_message) on_message(*publish);
    if (publish->qos == 1) encode(outbox_, version, Puback{Ack{publish->packet_id, Reason::kSuccess, {}}});
    if (publish->qos == 2) encode(outbox_, version, Pubrec{Ack{publish->packet_id, Reason::kSuccess, {}}});
  } else if (const auto* pubrel = std::get_if<Pubrel>(&packet)) {
    encode(outbox_, version, Pubcomp{Ack{pubrel->packet_id, Reason::kSuccess, {}}});
  } else if (const auto* pubrec = std::get_if<Pubrec>(&packet)) {
    encode(outbox_, version, Pubrel{Ack{pubrec->packet_id, Reason::kSuccess, {}}});
  } else if (const auto* puback = std::get_if<Puback>(&packet)) {
    outstanding.erase(puback->packet_id);
  } else if (const auto* pubcomp = std::get_if<Pubcomp>(&packet)) {
    outstanding.erase(pubcomp->packet_id);
  } else if (std::holds_alternative<Suback>(packet) || std::holds_alternative<Unsuback>(packet)) {
    ++answered;
  } else if (std::holds_alternative<Disconnect>(packet)) {
    closed_ = true;
  }
}

inline bool Peer::pump(int timeout_ms) {
  if (closed_) return false;
  pollfd wanted{fd_, static_cast<short>(outbox_.empty() ? POLLIN : POLLIN | POLLOUT), 0};
  ::poll(&wanted, 1, timeout_ms);
  while (!outbox_.empty()) {
    const ssize_t count = ::send(fd_, outbox_.data(), outbox_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count <= 0) break;  // full, or over: then reading says so
    outbox_.erase(0, static_cast<std::size_t>(count));
  }
  char buffer[16'384];
  const ssize_t count = ::recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
  if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) closed_ = true;
  if (count > 0) inbox_.append(buffer, static_cast<std::size_t>(count));
  std::size_t consumed = 0;
  while (consumed < inbox_.size()) {
    const DecodeOutcome outcome = decode(std::string_view(inbox_).substr(consumed), version);
    if (outcome.status != DecodeStatus::kPacket) {
      EXPECT_EQ(outcome.status, DecodeStatus::kNeedMore) << outcome.error.text;
      break;
    }
    handle(outcome.packet);
    consumed += outcome.consumed;
  }
  inbox_.erase(0, consumed);
  return !closed_;
}

// What somebody received of the numbered messages; topics end in the QoS at which they are published.
struct Record {
  std::map<std::string, std::vector<std::uint64_t>, std::less<>> got;
  std::string fault;
  void take(const Publish& packet) {
    if (!packet.topic.starts_with("t/")) return;
    const std::uint64_t number = std::strtoull(std::string(packet.payload).c_str(), nullptr, 10);
    const auto at = got.try_emplace(std::string(packet.topic)).first;
    if (!at->second.empty() && number <= at->second.back()) {
      fault = at->first + ": " + std::to_string(number) + " behind " + std::to_string(at->second.back());
    }
    at->second.push_back(number);
  }
  std::size_t count(std::string_view topic) const {
    const auto at = got.find(topic);
    return at == got.end() ? 0 : at->second.size();
  }
};

}  // namespace muster::mqtt
