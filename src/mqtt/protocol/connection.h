// SPDX-License-Identifier: Apache-2.0
// Connection: the server's side of one MQTT connection as a state machine without I/O, clock or buffers. Its owner (the
// broker's client) hands in received bytes and the time, gets calls on a ConnectionEvents, and finds what is to be sent
// appended to a string that it passes. Single-threaded, one per network connection; at most about 120 bytes when idle.
//
// It enforces the order of packets (MQTT 3.1.1 and 5, chapters 3 and 4): CONNECT first and once, nothing after
// DISCONNECT, receive maximum and quality of service announced, topic aliases, keep-alive. A violation ends the
// connection: refused CONNECTs get a CONNACK, later ones a DISCONNECT with the reason code in MQTT 5 and nothing
// in 3.1.1; then on_protocol_error() is called, and the owner sends what is pending and closes.
//
// Bounds: a packet above the size limit is refused when its fixed header is seen. Topic aliases hold at most
// topic_alias_maximum * max_topic_bytes.
//
// How the owner uses it:
//   consumed = connection.receive(bytes, now_ms, events, out);  // keep bytes[consumed..] and present it again with
//   more after on_connect: accept() or refuse(), at once or later; until then receive() consumes nothing after accept()
//   while bytes were kept: call receive() again MQTT 3.1.1 has no receive maximum: an owner that answers PUBLISHes
//   later bounds them with set_paused()
// The events must not destroy the connection.
// Functions that append may be called from inside the events, with the same `out`.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mqtt/codec/decode.h"
#include "mqtt/codec/encode.h"
#include "mqtt/codec/packets.h"
#include "mqtt/protocol/inflight.h"

namespace muster::mqtt {

// The same for all connections of a listener; outlives them.
struct ConnectionLimits {
  std::uint32_t max_packet_bytes = 149'504;   // announced in MQTT 5
  std::uint32_t max_connect_bytes = 149'504;  // before CONNECT was read
  std::uint32_t max_topic_bytes = 1024;       // of PUBLISH and of a will
  std::uint16_t receive_maximum = 100;    // QoS > 0 PUBLISHes without PUBACK or PUBCOMP from us, announced in MQTT 5
  std::uint16_t topic_alias_maximum = 8;  // client to server, announced in MQTT 5
  std::uint16_t max_inflight = 100;       // QoS > 0 towards the client, at most what it announced
  std::uint8_t maximum_qos = 2;
  bool retain_available = true;
  bool wildcard_available = true;
  bool shared_available = true;
  bool subscription_identifiers_available = true;
  std::int64_t connect_deadline_ms = 10'000;
  std::uint16_t min_keep_alive_s = 0;  // smaller wishes (not 0) are raised; MQTT 5 is told
  std::uint16_t max_keep_alive_s = 0;  // 0: any; else larger wishes and 0 become this
};

struct ProtocolError {
  Reason reason = Reason::kSuccess;
  std::string_view text;  // static; for the log
};

class ConnectionEvents {
 public:
  virtual ~ConnectionEvents() = default;
  // Packets are views of the bytes given to receive(); valid during the call only.
  virtual void on_connect(const Connect& packet) = 0;
  // Topic alias resolved. QoS 1: the owner answers with puback(), QoS 2 with pubrec(), now or later. At QoS 2 the
  // packet id is in Inflight::incoming from now on; pubrec() with a failure takes it out.
  virtual void on_publish(const Publish& packet) = 0;
  // The client finished a QoS 1 message of ours, or (reason >= 0x80) refused it. The entry is gone from Inflight.
  virtual void on_puback(std::uint64_t token, std::uint16_t packet_id, Reason reason) = 0;
  virtual void on_subscribe(const Subscribe& packet) = 0;      // answer: suback()
  virtual void on_unsubscribe(const Unsubscribe& packet) = 0;  // answer: unsuback()
  // The client said good-bye: drop the will unless the reason is kDisconnectWithWill; close. receive() takes no more.
  virtual void on_disconnect(const Disconnect& packet) = 0;
  // The connection is over; whatever may be said about it is in `out`. Send that, close; the will is due.
  virtual void on_protocol_error(const ProtocolError& error) = 0;
  // PINGREQ was answered already.
  virtual void on_pingreq() {}
  // QoS 2, only for owners that use it. The client sent a message again that on_publish() had before: answer with
  // pubrec() when that one's answer would be due.
  virtual void on_publish_again(std::uint16_t packet_id);
  // The client has a message of ours: answer with pubrel() once that is noted (reason >= 0x80: it refused, the entry is
  // gone).
  virtual void on_pubrec(std::uint64_t token, std::uint16_t packet_id, Reason reason);
  virtual void on_pubcomp(std::uint64_t token, std::uint16_t packet_id);  // done, the entry is gone
  // The client releases a packet id that pubrec() acknowledged: answer with pubcomp().
  virtual void on_pubrel(std::uint16_t packet_id);
};

enum class SendOutcome : std::uint8_t {
  kSent,
  kWindowFull,  // the client's receive maximum or max_inflight: wait for an acknowledgement
  kTooLarge,    // beyond the client's maximum packet size: must be dropped as if it were delivered (MQTT-3.1.2-25)
  kClosed,      // not connected (any more)
};

class Connection {
 public:
  Connection(const ConnectionLimits& limits, std::int64_t now_ms);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Handles every complete packet of `bytes`; returns how many bytes that were. Stops behind CONNECT until it is
  // answered, while paused, and at the end of the connection.
  std::size_t receive(std::string_view bytes, std::int64_t now_ms, ConnectionEvents& events, std::string& out);
  // The size of the packet that `rest` (what receive() left) begins, when its header tells; else 0. For sizing a
  // buffer.
  std::size_t wanted(std::string_view rest) const;
  // Stops receive() after the packet in hand: back-pressure. Keep-alive does not run out while paused.
  void set_paused(bool paused, std::int64_t now_ms);
  bool paused() const { return paused_; }

  // Answers CONNECT. `inflight` belongs to the session; cleared unless session_present; outlives the connection or
  // detach() is called. `extra`: MQTT 5 properties besides the limits' (assigned client id, session expiry, ...).
  // Refuses instead (connected() says so) when the client's maximum packet size has no room for the answer.
  // With session_present, resend() what inflight.outgoing holds before anything new.
  void accept(Inflight& inflight, bool session_present, std::string& out, const Properties& extra = {});
  void refuse(Reason reason, std::string& out, const Properties& extra = {});  // MQTT 3.1.1: mapped to 1 to 5; closed
  void detach();  // the session moves or ends; state becomes closed

  // To the client. QoS 0.
  SendOutcome send(const PublishImage& image, std::string& out);
  // QoS 1 or 2 (as in the image): takes the packet id of the token (inflight.h), told in *packet_id.
  SendOutcome send(const PublishImage& image, std::uint64_t token, std::string& out, std::uint16_t* packet_id);
  // After a reconnection, in the order of inflight.outgoing.entries(), those that are not `sent`: PUBLISH with DUP, or
  // PUBREL when the entry waits for PUBCOMP (image unused).
  SendOutcome resend(std::uint16_t packet_id, const PublishImage& image, std::string& out);
  // How many more QoS > 0 PUBLISHes fit now.
  std::size_t window() const;
  std::uint32_t client_max_packet() const { return client_max_packet_; }

  // Answers to the client. No effect once closed.
  void puback(std::uint16_t packet_id, Reason reason, std::string& out);
  void pubrec(std::uint16_t packet_id, Reason reason, std::string& out);
  void pubrel(std::uint16_t packet_id, std::string& out);
  void pubcomp(std::uint16_t packet_id, std::string& out);
  // One Reason a filter. Ends the connection instead (connected() says so) when the client's maximum packet size is
  // less.
  void suback(std::uint16_t packet_id, std::string_view codes, std::string& out);
  void unsuback(std::uint16_t packet_id, std::string_view codes, std::string& out);  // 3.1.1 sends no codes
  // Ends the connection from our side: MQTT 5 gets a DISCONNECT, 3.1.1 nothing. Before CONNECT: nothing.
  void disconnect(Reason reason, std::string& out, std::string_view reason_text = {});

  // When expire() has to be called unless something arrives before; 0: never.
  std::int64_t deadline_ms() const;
  // Ends the connection when its deadline has passed (on_protocol_error is called); true if so.
  bool expire(std::int64_t now_ms, ConnectionEvents& events, std::string& out);

  enum class State : std::uint8_t { kFresh, kConnecting, kConnected, kClosed };
  State state() const { return state_; }
  bool connected() const { return state_ == State::kConnected; }
  bool closed() const { return state_ == State::kClosed; }
  Version version() const { return version_; }
  std::uint16_t keep_alive_s() const { return keep_alive_s_; }  // in force
  // QoS > 0 PUBLISHes received and not answered yet with puback() or pubrec().
  std::size_t unanswered() const { return unanswered_; }

 private:
  void fail(Reason reason, std::string_view text, ConnectionEvents& events, std::string& out);
  void refuse_connect(const Decoded& decoded, ConnectionEvents& events, std::string& out);
  void handle(const Packet& packet, ConnectionEvents& events, std::string& out);
  void handle_connect(const Connect& packet, ConnectionEvents& events, std::string& out);
  void handle_publish(Publish& packet, ConnectionEvents& events, std::string& out);
  bool resolve_alias(Publish& packet, ConnectionEvents& events, std::string& out);
  void handle_puback(const Ack& packet, ConnectionEvents& events, std::string& out);
  void handle_pubrec(const Ack& packet, ConnectionEvents& events, std::string& out);
  void handle_pubrel(const Ack& packet, ConnectionEvents& events, std::string& out);
  void handle_pubcomp(const Ack& packet, ConnectionEvents& events, std::string& out);
  void handle_subscribe(const Subscribe& packet, ConnectionEvents& events, std::string& out);
  void handle_disconnect(const Disconnect& packet, ConnectionEvents& events, std::string& out);
  void finish(const OutgoingInflight::Entry& entry);
  void refuse_oversized(std::size_t before, std::string& out);
  SendOutcome check_send(const PublishImage& image) const;

  const ConnectionLimits* limits_;
  Inflight* inflight_ = nullptr;
  std::unique_ptr<std::vector<std::string>> aliases_;  // index alias - 1; made on first use
  std::int64_t last_packet_ms_;
  std::uint32_t client_max_packet_ = kLargestPacket;
  std::uint16_t client_receive_maximum_ = 65535;
  std::uint16_t keep_alive_s_ = 0;
  bool keep_alive_changed_ = false;  // MQTT 5 clients are told
  std::uint16_t outgoing_ = 0;       // sent and not finished on this connection
  std::uint32_t unanswered_ = 0;
  std::uint32_t unreleased_ = 0;  // QoS 2 answered with PUBREC on this connection, before PUBCOMP
  Version version_ = Version::k311;
  State state_ = State::kFresh;
  bool paused_ = false;
  bool session_expires_at_once_ = true;  // CONNECT asked for session expiry 0
};

}  // namespace muster::mqtt
