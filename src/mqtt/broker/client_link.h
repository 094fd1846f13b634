// SPDX-License-Identifier: Apache-2.0
// ClientLink: one network connection of the broker: its Stream, its protocol state machine, what was received of an
// incomplete packet and what is to be sent. Reads into a buffer that all connections of the loop share, as much as is
// there up to kReadBudget a round; writes once a round. Idle it owns neither buffer. Made by Shard::accept, owned by
// the shard, on its loop; dies at the end of the round in which it ended. A CONNECT whose client id belongs to another
// shard sends the stream there, with everything that was read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/stream.h"
#include "mqtt/broker/broker.h"
#include "mqtt/broker/ring.h"
#include "mqtt/protocol/connection.h"

namespace muster::mqtt {

struct Session;
struct Shard;

inline constexpr std::size_t kReadSize = 64 * 1024;
inline constexpr std::size_t kReadBudget = 64 * 1024;  // bytes of one client in one round; others come first then
inline constexpr std::size_t kKeptInShared =
    16 * 1024;                                      // a longer incomplete packet grows in the connection's own buffer
inline constexpr std::size_t kSmallConnect = 1024;  // of an incomplete CONNECT: always room for so much
inline constexpr std::size_t kFlushAt = 64 * 1024;  // output that does not wait for the end of the round
inline constexpr std::int64_t kLingerMs = 2000;
inline constexpr std::size_t kMaxWaitingAcks = 1024;  // PUBACKs that wait for the disk: then the client is not read
inline constexpr std::size_t kMaxIngress = 64;        // requests on '$' topics in work for one client

// A CONNECT between its arrival and its answer.
struct PendingConnect {
  ConnectAttempt attempt;
  bool has_expiry = false;
  std::uint32_t expiry_s = 0;
  bool assigned_id = false;
  bool has_will = false;
  std::uint32_t will_delay_s = 0;
  std::string will_payload;
  std::uint8_t will_qos = 0;
  std::string will_properties;
  std::uint64_t will_present = 0;
  std::string principal_id;  // of a refusal
};

class ClientLink final : public ConnectionEvents {
 public:
  ClientLink(Shard& shard, std::uint64_t link_id, std::unique_ptr<io::Stream> connected, Arrival arrival);
  ~ClientLink() override;

  void pump();   // handles what was kept, reads what is there, asks to be called again
  void flush();  // one write, as much as goes
  void check_deadline(std::int64_t second);
  void reschedule();  // makes sure that the wheel looks no later than deadline_ms()

  // Where to append what is to be sent; written at the end of the round.
  std::string& out();
  void flush_if_large();
  bool clogged() const;  // more output than a client may leave unread
  std::size_t pending_output() const { return out_.size() - written_; }

  // Acknowledgements leave in the order in which they were caused (MQTT-4.6.0-2 to -4), whenever each becomes due.
  enum class AckKind : std::uint8_t { kPuback, kPubrec, kPubrel, kPubcomp };
  void ack(AckKind kind, std::uint16_t packet_id, Reason reason);
  // A number for ack_due(), which has to be called `conditions` times; next_ack() says it beforehand.
  std::uint32_t ack_later(AckKind kind, std::uint16_t packet_id, Reason reason, std::uint32_t conditions = 1);
  std::uint32_t next_ack() const { return first_ack_ + static_cast<std::uint32_t>(acks_.size()); }
  void ack_due(std::uint32_t number);
  void ack_due(std::uint32_t number, Reason reason);

  void update_pause();  // back-pressure on or off
  // Rates of this second; above them the client is not read until the next.
  void count_publish() {
    ++second_publishes_;
    if (limits_rates_) check_rates();
  }
  void count_bytes(std::size_t bytes) {
    second_bytes_ += bytes;
    if (limits_rates_) check_rates();
  }
  bool begin_second();  // false: not yet
  void throttle();      // not read until a later tick finds the way clear
  // After the end: writes what is left and waits a little for the client to close first, because bytes of its that were
  // never read would make the kernel reset the connection and lose our last packet. False: nothing to wait for.
  bool linger();
  void close();

  void on_connect(const Connect& packet) override;
  void on_publish(const Publish& packet) override;
  void on_publish_again(std::uint16_t packet_id) override;
  void on_puback(std::uint64_t token, std::uint16_t packet_id, Reason reason) override;
  void on_pubrec(std::uint64_t token, std::uint16_t packet_id, Reason reason) override;
  void on_pubrel(std::uint16_t packet_id) override;
  void on_pubcomp(std::uint64_t token, std::uint16_t packet_id) override;
  void on_subscribe(const Subscribe& packet) override;
  void on_unsubscribe(const Unsubscribe& packet) override;
  void on_disconnect(const Disconnect& packet) override;
  void on_protocol_error(const ProtocolError& error) override;

  const std::uint64_t id;
  const std::uint16_t listener;
  std::unique_ptr<io::Stream> stream;
  std::shared_ptr<const TransportIdentity> identity;
  std::string session_identifier;  // a UUID, from CONNECT on, when somebody is told about it
  Connection connection;
  Session* session = nullptr;
  std::shared_ptr<ConnectionGrant> grant;
  std::unique_ptr<PendingConnect> pending;
  std::size_t ingress = 0;  // requests in work
  std::int64_t connected_ms = 0;
  std::int64_t blocked_since_ms = 0;  // steady; 0 = not waiting to write
  bool ready = false;                 // CONNACK is sent: messages may go out
  bool ended = false;                 // no more events; waits for the end of the round
  bool broken = false;                // a write failed; to be ended at the end of the round
  bool peer_gone = false;
  bool lingering = false;
  bool dirty = false;
  bool watched = false;  // in the list of those that wait to write
  ListenerStats* stats = nullptr;

 private:
  struct PendingAck {
    std::uint16_t packet_id = 0;
    Reason reason = Reason::kSuccess;
    AckKind kind = AckKind::kPuback;
    std::uint32_t conditions = 0;  // that still have to come true
  };

  void wait_readable();
  bool read_once(std::size_t& budget);  // false: nothing more now
  std::size_t handle(std::string_view bytes);
  // What is kept before CONNECT was let in counts against one bound for all such connections: anybody can open those.
  // False: this one is above it.
  bool within_strangers_bound();
  bool stuck() const { return connection.paused() || connection.state() == Connection::State::kConnecting; }
  void send_due_acks();
  void send_ack(AckKind kind, std::uint16_t packet_id, Reason reason);
  void discard();
  void finish_writing();

  Shard& broker_;
  std::string kept_;  // received, not handled: an incomplete packet, or while stuck
  std::string out_;
  std::size_t counted_ = 0;       // of kept_, in stranger_bytes
  std::size_t written_ = 0;       // of out_
  std::int64_t look_second_ = 0;  // of the wheel's entry that counts
  std::uint32_t first_ack_ = 0;   // number of acks_.front()
  Ring<PendingAck> acks_;
  bool waiting_readable_ = false;
  bool waiting_writable_ = false;
  bool pumping_ = false;
  void check_rates();
  bool moving_ = false;  // to moving_to_
  bool limits_rates_ = false;
  bool records_ = false;  // comes in records: one read does not show whether there is more
  bool throttled_ = false;
  std::uint32_t second_publishes_ = 0;
  std::uint64_t second_bytes_ = 0;
  std::int64_t second_ = 0;
  std::size_t moving_to_ = 0;
};

}  // namespace muster::mqtt
