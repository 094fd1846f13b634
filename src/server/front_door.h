// SPDX-License-Identifier: Apache-2.0
// FrontDoor: decides what a fresh connection speaks. The API port serves HTTP, with TLS when the first byte asks for
// it; the device ports (TLS with client certificates) serve MQTT or HTTPS, told apart by ALPN or else by the first
// byte; the plain MQTT port serves MQTT alone. Wherever HTTP is served, a WebSocket at /mqtt is handed to the broker.
// Without a client certificate, HTTP on the device ports is nothing but that WebSocket and custom authentication.
// Counts running requests, so that a stop can wait for them. A device port has a listener on each device loop
// (SO_REUSEPORT): the kernel spreads connections, and so handshakes, over the loops.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/device/websocket_upgrade.h"
#include "base/metrics.h"
#include "base/result.h"
#include "io/http_server.h"
#include "io/loop.h"
#include "io/net.h"
#include "mqtt/broker/broker.h"

namespace muster::server {

class FrontDoor {
 public:
  FrontDoor(io::Loop& api_loop, std::vector<io::Loop*> device_loops, metrics::Registry& metrics);
  FrontDoor(const FrontDoor&) = delete;
  FrontDoor& operator=(const FrontDoor&) = delete;

  // Each binds at once and answers the port; nothing is accepted before start().
  Result<std::uint16_t> open_api(const io::ListenOptions& options);
  Result<std::uint16_t> open_device(const io::ListenOptions& options);
  Result<std::uint16_t> open_plain_mqtt(const io::ListenOptions& options);
  // `token` says whether a request without a client certificate asks for custom authentication: the one kind that the
  // device ports answer besides. `handlers` answer HTTP but upgrades, each that of its ports; they, `upgrade` and the
  // broker, whose shards live on the device loops in this order, outlive the loops. Before the broker's start.
  using Token = std::function<bool(const io::HttpRequest& request)>;
  struct Handlers {
    io::HttpHandler api, device;
  };
  void start(mqtt::Broker& broker, const api::device::WebSocketUpgrade& upgrade, Token token, Handlers handlers);

  // Stops accepting and taking new requests on open connections. On any thread.
  void close();
  std::int64_t running_requests() const { return running_.load(); }

 private:
  using Serve = std::function<void(std::size_t shard, std::unique_ptr<io::Stream> stream)>;
  Result<std::uint16_t> open_on_device_loops(io::ListenOptions options, const Serve& serve);
  void serve_mqtt(std::size_t shard, std::unique_ptr<io::Stream> stream, std::string initial, std::uint16_t listener);
  boost::asio::awaitable<void> serve_device(std::size_t shard, std::unique_ptr<io::Stream> stream);
  boost::asio::awaitable<io::HttpResponse> counted(const io::HttpHandler& inner, io::HttpRequest& request,
                                                   io::HttpBody& body);
  boost::asio::awaitable<io::HttpResponse> answer(const io::HttpHandler& inner, io::HttpRequest& request,
                                                  io::HttpBody& body);
  boost::asio::awaitable<io::HttpResponse> answer_device(io::HttpRequest& request, io::HttpBody& body);
  void accept_websocket(std::unique_ptr<io::Stream> stream, std::string rest,
                        std::shared_ptr<const mqtt::TransportIdentity> identity);

  io::Loop& api_loop_;
  const std::vector<io::Loop*> device_loops_;
  mqtt::Broker* broker_ = nullptr;
  std::uint16_t tls_listener_ = 0, plain_listener_ = 0, websocket_listener_ = 0;  // names of the broker
  std::atomic<std::size_t> next_shard_{0};
  const api::device::WebSocketUpgrade* upgrade_ = nullptr;
  Token token_;
  Handlers inner_;
  io::HttpHandler handler_;
  io::HttpHandler device_handler_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> running_{0};
  metrics::Gauge& running_gauge_;
  std::vector<std::unique_ptr<io::Listener>> listeners_;
};

}  // namespace muster::server
