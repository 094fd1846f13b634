// SPDX-License-Identifier: Apache-2.0
// ClientConnection: the device's side of one MQTT connection, 3.1.1 or 5, QoS 0 and 1, without I/O: bytes in, calls on
// a ClientEvents, bytes to send in output(). StreamClient runs one over an io::Stream on its loop. Owned by whoever
// connects (device agent, load generator, tests); single-threaded. Bounds: packets of at most max_packet_bytes, unsent
// acknowledgements and messages as the caller makes them. The events must not destroy the client.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "io/stream.h"
#include "mqtt/codec/decode.h"
#include "mqtt/codec/encode.h"
#include "mqtt/protocol/inflight.h"

namespace muster::mqtt {

class ClientEvents {
 public:
  virtual ~ClientEvents() = default;
  // Packets are views, valid during the call only. A reason other than kSuccess: refused, on_closed() follows.
  virtual void on_connack(const Connack& packet) = 0;
  // QoS 1 is acknowledged when this returns.
  virtual void on_message(const Publish& packet) = 0;
  virtual void on_suback(std::uint16_t packet_id, std::string_view codes);
  virtual void on_unsuback(std::uint16_t packet_id);
  virtual void on_puback(std::uint16_t packet_id, Reason reason);
  // Once; nothing comes after it. kSuccess: we disconnected.
  virtual void on_closed(Reason reason, std::string_view text) = 0;
};

struct ClientOptions {
  std::uint32_t max_packet_bytes = 1u << 20;
  std::uint16_t max_inflight = 100;  // QoS 1 publishes without PUBACK, at most what the server announced
};

class ClientConnection {
 public:
  ClientConnection(ClientEvents& events, const ClientOptions& options = {});
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  // First, once. False when a string does not fit.
  bool connect(const Connect& packet, std::int64_t now_ms = 0);
  // The packet id that the acknowledgement will bear; 0: not connected, the window is full, or a string does not fit.
  std::uint16_t subscribe(std::span<const SubscribeFilter> filters, const Properties& properties = {});
  std::uint16_t unsubscribe(std::span<const std::string_view> filters, const Properties& properties = {});
  std::uint16_t publish_qos1(std::string_view topic, std::string_view payload, bool retain = false,
                             const Properties& properties = {});
  bool publish(std::string_view topic, std::string_view payload, bool retain = false,
               const Properties& properties = {});  // QoS 0
  void disconnect(Reason reason = Reason::kSuccess);

  // Received bytes; how many were consumed: present the rest again with more behind it.
  std::size_t receive(std::string_view bytes, std::int64_t now_ms = 0);
  void lost(std::string_view text);  // the transport ended
  // Sends PINGREQ when it is due and gives up when its answer does not come. Call about once a second.
  void tick(std::int64_t now_ms);

  // What is to be sent; the owner removes what it sent.
  std::string& output() { return out_; }
  bool connected() const { return state_ == State::kConnected; }
  bool closed() const { return state_ == State::kClosed; }
  Version version() const { return version_; }

 private:
  enum class State : std::uint8_t { kFresh, kConnecting, kConnected, kClosed };
  void handle(const Packet& packet);
  void handle_connack(const Connack& packet);
  void handle_publish(const Publish& packet);
  std::uint16_t take_id(std::uint64_t kind);
  bool settle(std::uint16_t packet_id, std::uint64_t kind);
  void close(Reason reason, std::string_view text);

  ClientEvents& events_;
  ClientOptions options_;
  std::string out_;
  OutgoingInflight inflight_;  // token: what kind of acknowledgement is awaited
  std::int64_t last_sent_ms_ = 0;
  std::int64_t ping_sent_ms_ = -1;
  std::uint32_t server_max_packet_ = kLargestPacket;
  std::uint16_t window_ = 0;
  std::uint16_t publishing_ = 0;
  std::uint16_t keep_alive_s_ = 0;
  Version version_ = Version::k311;
  State state_ = State::kFresh;
};

// Pumps a ClientConnection over a stream. On the stream's loop. After calls on connection(), flush().
class StreamClient {
 public:
  StreamClient(std::unique_ptr<io::Stream> stream, ClientEvents& events, const ClientOptions& options = {});
  ~StreamClient();
  StreamClient(const StreamClient&) = delete;
  StreamClient& operator=(const StreamClient&) = delete;

  ClientConnection& connection() { return connection_; }
  void flush();
  void close();  // the stream, at once

 private:
  void wait();
  void read();
  std::unique_ptr<io::Stream> stream_;
  ClientConnection connection_;
  std::string received_;
  bool waiting_readable_ = false;
  bool waiting_writable_ = false;
};

}  // namespace muster::mqtt
