// SPDX-License-Identifier: Apache-2.0
// For tests: a Connection with events written down as text lines, and what it sent decoded. Test-only.
#pragma once

#include <string>
#include <vector>

#include "mqtt/codec/decode.h"
#include "mqtt/codec/encode.h"
#include "mqtt/protocol/connection.h"

namespace muster::mqtt {

class TestPeer final : public ConnectionEvents {
 public:
  explicit TestPeer(const ConnectionLimits& limits = {}, std::int64_t now_ms = 0)
      : limits_(limits), connection(limits_, now_ms) {}

  // Bytes as they would arrive; what receive() leaves is kept and presented again.
  void feed(std::string_view bytes, std::int64_t now_ms = 0) {
    pending += bytes;
    pending.erase(0, connection.receive(pending, now_ms, *this, out));
  }
  template <class T>
  void feed_packet(const T& packet, std::int64_t now_ms = 0) {
    std::string bytes;
    if constexpr (std::is_same_v<T, Connect> || std::is_same_v<T, Pingreq>) {
      encode(bytes, packet);
    } else {
      encode(bytes, connection.version(), packet);
    }
    feed(bytes, now_ms);
  }
  void connect(Version version, bool session_present = false) {
    feed_packet(Connect{.version = version, .client_id = "c"});
    connection.accept(inflight, session_present, out);
    out.clear();
    events.clear();
  }
  std::string take_out() { return std::exchange(out, {}); }
  std::vector<std::string> take_events() { return std::exchange(events, {}); }

  void on_connect(const Connect& packet) override { note("connect " + std::string(packet.client_id)); }
  void on_publish(const Publish& packet) override {
    note("publish " + std::string(packet.topic) + " " + std::string(packet.payload) + " q" +
         std::to_string(packet.qos) + " id" + std::to_string(packet.packet_id));
    if (answer_publishes && packet.qos == 1) connection.puback(packet.packet_id, Reason::kSuccess, out);
  }
  void on_publish_again(std::uint16_t packet_id) override { note("publish again id" + std::to_string(packet_id)); }
  void on_puback(std::uint64_t token, std::uint16_t id, Reason reason) override {
    note_ack("puback", token, id, reason);
  }
  void on_pubrec(std::uint64_t token, std::uint16_t id, Reason reason) override {
    note_ack("pubrec", token, id, reason);
  }
  void on_pubcomp(std::uint64_t token, std::uint16_t id) override { note_ack("pubcomp", token, id, Reason::kSuccess); }
  void on_pubrel(std::uint16_t id) override { note("pubrel id" + std::to_string(id)); }
  void on_subscribe(const Subscribe& packet) override {
    std::string text = "subscribe";
    for (const SubscribeFilter filter : packet.filters) text += " " + std::string(filter.filter);
    note(text);
  }
  void on_unsubscribe(const Unsubscribe& packet) override {
    note("unsubscribe " + std::to_string(packet.filters.size()));
  }
  void on_pingreq() override { note("pingreq"); }
  void on_disconnect(const Disconnect& packet) override {
    note("disconnect " + std::to_string(static_cast<int>(packet.reason)));
  }
  void on_protocol_error(const ProtocolError& error) override {
    note("error " + std::to_string(static_cast<int>(error.reason)));
    last_error = error;
  }

 private:
  void note(std::string line) { events.push_back(std::move(line)); }
  void note_ack(const char* name, std::uint64_t token, std::uint16_t id, Reason reason) {
    note(std::string(name) + " t" + std::to_string(token) + " id" + std::to_string(id) + " r" +
         std::to_string(static_cast<int>(reason)));
  }
  ConnectionLimits limits_;

 public:
  Connection connection;
  Inflight inflight;
  std::string pending, out;
  std::vector<std::string> events;
  ProtocolError last_error;
  bool answer_publishes = false;
};

}  // namespace muster::mqtt
