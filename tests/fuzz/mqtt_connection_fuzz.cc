// SPDX-License-Identifier: Apache-2.0
// links: muster_mqtt_protocol
// The server's connection state machine. First byte: limits and how the owner behaves; then what the client sends. The
// input is handed in whole and byte by byte: events and answers must be the same. Everything sent must be packets that
// a strict client decodes, and the announced bounds must hold.
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <string>

#include "mqtt/protocol/connection.h"

namespace {

using namespace muster::mqtt;

void require(bool condition) {
  if (!condition) std::abort();
}

ConnectionLimits limits_of(std::uint8_t mode) {
  return {.max_packet_bytes = 1024,
          .max_connect_bytes = 512,
          .max_topic_bytes = 64,
          .receive_maximum = 4,
          .topic_alias_maximum = static_cast<std::uint16_t>((mode & 1) != 0 ? 3 : 0),
          .max_inflight = 3,
          .maximum_qos = static_cast<std::uint8_t>((mode & 2) != 0 ? 2 : 1),
          .retain_available = (mode & 4) == 0,
          .max_keep_alive_s = 1200};
}

class Owner final : public ConnectionEvents {
 public:
  explicit Owner(std::uint8_t mode) : mode_(mode), limits_(limits_of(mode)), connection_(limits_, 0) {
    inflight_.incoming.add(9);  // as a resumed session would hold
    inflight_.outgoing.restore({.token = 900, .packet_id = 700});
  }

  void feed(std::string_view bytes) {
    pending_ += bytes;
    while (true) {
      const std::size_t consumed = connection_.receive(pending_, 1000, *this, out_);
      require(consumed <= pending_.size());
      pending_.erase(0, consumed);
      check_bounds();
      if (connection_.state() == Connection::State::kConnecting) {
        answer_connect();
      } else if (consumed == 0) {
        break;
      }
    }
  }
  const std::string& log() const { return log_; }
  const std::string& sent() const { return all_out_; }

  // At the end of the input: everything that was sent is readable.
  void finish() {
    all_out_ += out_;
    std::string_view rest = all_out_;
    while (!rest.empty()) {
      const DecodeOutcome outcome = decode(rest, connack_version_ == 5 ? Version::k5 : Version::k311);
      require(outcome.status == DecodeStatus::kPacket);
      rest.remove_prefix(outcome.consumed);
    }
    const bool expired = connection_.expire(1LL << 50, *this, out_);
    require(!expired || connection_.closed());
  }

  void on_connect(const Connect& packet) override {
    connack_version_ = static_cast<int>(packet.version);
    note("connect", packet.client_id.size());
  }
  void on_publish(const Publish& packet) override {
    require(!packet.topic.empty() && packet.topic.size() <= limits_.max_topic_bytes);
    require(packet.qos <= limits_.maximum_qos && (!packet.retain || limits_.retain_available));
    note("publish " + std::string(packet.topic), packet.packet_id);
    if (packet.qos == 0) {
      // Stands for traffic of others: messages to this client at each quality of service.
      send(static_cast<std::uint8_t>(packet.payload.size() % 3));
    } else if ((mode_ & 8) == 0) {
      answer(packet);
    } else if (waiting_.push_back({packet.packet_id, packet.qos}); waiting_.size() == 3) {
      const auto [id, qos] = waiting_.front();
      waiting_.pop_front();
      answer(Publish{.qos = qos, .packet_id = id});
    }
  }
  void on_puback(std::uint64_t token, std::uint16_t id, Reason) override {
    require(token >= 900);
    note("puback", id);
  }
  void on_pubrec(std::uint64_t, std::uint16_t id, Reason reason) override {
    note("pubrec", id);
    if (static_cast<unsigned>(reason) < 0x80) connection_.pubrel(id, out_);
  }
  void on_pubcomp(std::uint64_t, std::uint16_t id) override { note("pubcomp", id); }
  void on_pubrel(std::uint16_t id) override {
    note("pubrel", id);
    connection_.pubcomp(id, out_);
  }
  void on_subscribe(const Subscribe& packet) override {
    note("subscribe", packet.filters.size());
    connection_.suback(packet.packet_id, std::string(packet.filters.size(), '\x01'), out_);
  }
  void on_unsubscribe(const Unsubscribe& packet) override {
    note("unsubscribe", packet.filters.size());
    connection_.unsuback(packet.packet_id, std::string(packet.filters.size(), '\x11'), out_);
  }
  void on_disconnect(const Disconnect& packet) override { note("disconnect", static_cast<unsigned>(packet.reason)); }
  void on_protocol_error(const ProtocolError& error) override {
    require(!over_);
    over_ = true;
    require(connection_.closed() && static_cast<unsigned>(error.reason) >= 0x80);
    note("error", static_cast<unsigned>(error.reason));
    if (connack_version_ == 0 && !out_.empty())
      connack_version_ = out_.size() == 5 ? 5 : 4;  // refused: 5 has one byte more
  }

 private:
  void answer_connect() {
    if ((mode_ & 16) != 0) return connection_.refuse(Reason::kNotAuthorized, out_);
    connection_.accept(inflight_, (mode_ & 32) != 0, out_);
    PublishImage image;
    image.build(connection_.version(), {.topic = "again", .payload = "x", .qos = 1});
    if ((mode_ & 32) != 0) require(connection_.resend(700, image, out_) != SendOutcome::kWindowFull);
  }
  void answer(const Publish& packet) {
    if (packet.qos == 1) connection_.puback(packet.packet_id, Reason::kSuccess, out_);
    if (packet.qos == 2) connection_.pubrec(packet.packet_id, Reason::kSuccess, out_);
  }
  void send(std::uint8_t qos) {
    PublishImage image;
    require(image.build(connection_.version(), {.topic = "to/you", .payload = "hello", .qos = qos}));
    const std::size_t before = out_.size();
    const SendOutcome outcome =
        qos == 0 ? connection_.send(image, out_) : connection_.send(image, 1000 + qos, out_, nullptr);
    require((outcome == SendOutcome::kSent) == (out_.size() != before));
    note("sent", static_cast<unsigned>(outcome));
  }
  void check_bounds() {
    require(connection_.window() <= limits_.max_inflight);
    require(inflight_.outgoing.size() <= limits_.max_inflight + 1u);
    if (connection_.version() == Version::k5) require(connection_.unanswered() <= limits_.receive_maximum);
    // What a connected client makes its owner keep is less than one packet.
    require(!connection_.connected() || pending_.size() < limits_.max_packet_bytes);
  }
  void note(std::string_view what, std::size_t number) {
    log_.append(what).append(" ").append(std::to_string(number)) += '\n';
  }

  std::uint8_t mode_;
  ConnectionLimits limits_;
  Connection connection_;
  Inflight inflight_;
  std::deque<std::pair<std::uint16_t, std::uint8_t>> waiting_;
  std::string pending_, out_, all_out_, log_;
  int connack_version_ = 0;
  bool over_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  Owner whole(bytes[0]);
  whole.feed(input);
  whole.finish();
  Owner parts(bytes[0]);
  for (const char& byte : input) parts.feed(std::string_view(&byte, 1));
  parts.finish();
  require(whole.log() == parts.log());
  require(whole.sent() == parts.sent());
  return 0;
}
