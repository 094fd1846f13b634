// SPDX-License-Identifier: Apache-2.0
#include "server/front_door.h"

#include <array>

#include "io/websocket_stream.h"

namespace muster::server {
namespace {

constexpr std::int64_t kFirstByteDeadlineMs = 10'000;
constexpr char kMqttConnect = 0x10;  // MQTT 5 section 3.1.1: the fixed header of CONNECT

// Counts down also when the coroutine is destroyed before its end.
class Running {
 public:
  Running(std::atomic<std::int64_t>& count, metrics::Gauge& gauge) : count_(count), gauge_(gauge) {
    ++count_;
    gauge_.add(1);
  }
  ~Running() {
    --count_;
    gauge_.add(-1);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  std::atomic<std::int64_t>& count_;
  metrics::Gauge& gauge_;
};

bool is_http_alpn(std::string_view alpn) {
  return alpn == "http/1.1" || alpn == "x-amzn-http-ca";
}
bool is_mqtt_alpn(std::string_view alpn) {
  return alpn == "mqtt" || alpn == "x-amzn-mqtt-ca";
}

}  // namespace

FrontDoor::FrontDoor(io::Loop& api_loop, io::Loop& device_loop, metrics::Registry& metrics)
    : api_loop_(api_loop),
      device_loop_(device_loop),
      handler_([this](io::HttpRequest& request, io::HttpBody& body) { return answer(request, body); }),
      device_handler_([this](io::HttpRequest& request, io::HttpBody& body) { return answer_device(request, body); }),
      running_gauge_(metrics.gauge("muster_http_requests_running", "HTTP requests being answered now")) {}

boost::asio::awaitable<io::HttpResponse> FrontDoor::counted(io::HttpRequest& request, io::HttpBody& body) {
  Running running(running_, running_gauge_);
  io::HttpResponse response = co_await inner_(request, body);
  if (stopping_) response.close = true;
  co_return response;
}

boost::asio::awaitable<io::HttpResponse> FrontDoor::answer(io::HttpRequest& request, io::HttpBody& body) {
  if (!upgrade_->wants(request)) co_return co_await counted(request, body);
  Running running(running_, running_gauge_);
  auto on_socket = [this](auto stream, auto rest, auto identity) {
    accept_websocket(std::move(stream), std::move(rest), std::move(identity));
  };
  io::HttpResponse response = co_await upgrade_->answer(request, on_socket);
  if (stopping_ && response.upgrade) {
    response = io::HttpResponse();
    response.status = 503;
    response.close = true;
  }
  co_return response;
}

boost::asio::awaitable<io::HttpResponse> FrontDoor::answer_device(io::HttpRequest& request, io::HttpBody& body) {
  if (!request.peer.client_certificate_der.empty() || upgrade_->wants(request)) {
    co_return co_await answer(request, body);
  }
  io::HttpResponse response;
  response.status = 403;
  response.headers.add("Content-Type", "application/json");
  response.body = R"({"message":"Forbidden: this port needs a client certificate"})";
  response.close = true;
  co_return response;
}

// The WebSocket may have come in on another loop than the broker's.
void FrontDoor::accept_websocket(std::unique_ptr<io::Stream> stream, std::string rest,
                                 std::shared_ptr<const mqtt::TransportIdentity> identity) {
  io::move_to(device_loop_, std::move(stream), [this, rest = std::move(rest), identity](auto arrived) {
    mqtt::Arrival arrival;
    arrival.identity = identity;
    broker_->accept(io::websocket_stream(device_loop_, std::move(arrived), rest), std::move(arrival));
  });
}

Result<std::uint16_t> FrontDoor::open_api(const io::ListenOptions& options) {
  auto serve = [this](std::unique_ptr<io::Stream> stream) {
    api_loop_.spawn(io::serve_http(api_loop_, std::move(stream), "", handler_, stopping_));
  };
  TRY(auto listener, io::Listener::create(api_loop_, options, serve));
  std::uint16_t port = listener->port();
  listeners_.push_back(std::move(listener));
  return port;
}

Result<std::uint16_t> FrontDoor::open_device(const io::ListenOptions& options) {
  auto serve = [this](std::unique_ptr<io::Stream> stream) {
    if (is_mqtt_alpn(stream->peer().alpn)) return broker_->accept(std::move(stream));
    if (is_http_alpn(stream->peer().alpn)) {
      return device_loop_.spawn(io::serve_http(device_loop_, std::move(stream), "", device_handler_, stopping_));
    }
    device_loop_.spawn(serve_device(std::move(stream)));
  };
  TRY(auto listener, io::Listener::create(device_loop_, options, serve));
  std::uint16_t port = listener->port();
  listeners_.push_back(std::move(listener));
  return port;
}

Result<std::uint16_t> FrontDoor::open_plain_mqtt(const io::ListenOptions& options) {
  auto serve = [this](std::unique_ptr<io::Stream> stream) { broker_->accept(std::move(stream)); };
  TRY(auto listener, io::Listener::create(device_loop_, options, serve));
  std::uint16_t port = listener->port();
  listeners_.push_back(std::move(listener));
  return port;
}

boost::asio::awaitable<void> FrontDoor::serve_device(std::unique_ptr<io::Stream> stream) {
  std::array<char, 1> first{};
  std::int64_t got = co_await io::read_some(*stream, first, kFirstByteDeadlineMs);
  if (got != 1) co_return;
  std::string initial(first.data(), 1);
  if (first[0] == kMqttConnect) {
    mqtt::Arrival arrival;
    arrival.initial = std::move(initial);
    broker_->accept(std::move(stream), std::move(arrival));
    co_return;
  }
  co_await io::serve_http(device_loop_, std::move(stream), std::move(initial), device_handler_, stopping_);
}

void FrontDoor::start(mqtt::Broker& broker, const api::device::WebSocketUpgrade& upgrade, io::HttpHandler handler) {
  broker_ = &broker;
  upgrade_ = &upgrade;
  inner_ = std::move(handler);
  for (auto& listener : listeners_) listener->start();
}

void FrontDoor::close() {
  stopping_ = true;
  for (auto& listener : listeners_) listener->close();
}

}  // namespace muster::server
