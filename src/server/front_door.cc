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

FrontDoor::FrontDoor(io::Loop& api_loop, std::vector<io::Loop*> device_loops, metrics::Registry& metrics)
    : api_loop_(api_loop),
      device_loops_(std::move(device_loops)),
      handler_([this](io::HttpRequest& request, io::HttpBody& body) { return answer(inner_.api, request, body); }),
      device_handler_([this](io::HttpRequest& request, io::HttpBody& body) { return answer_device(request, body); }),
      running_gauge_(metrics.gauge("muster_http_requests_running", "HTTP requests being answered now")) {}

boost::asio::awaitable<io::HttpResponse> FrontDoor::counted(const io::HttpHandler& inner, io::HttpRequest& request,
                                                            io::HttpBody& body) {
  Running running(running_, running_gauge_);
  io::HttpResponse response = co_await inner(request, body);
  if (stopping_) response.close = true;
  co_return response;
}

boost::asio::awaitable<io::HttpResponse> FrontDoor::answer(const io::HttpHandler& inner, io::HttpRequest& request,
                                                           io::HttpBody& body) {
  if (!upgrade_->wants(request)) co_return co_await counted(inner, request, body);
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
  if (!request.peer.client_certificate_der.empty() || upgrade_->wants(request) || token_(request)) {
    co_return co_await answer(inner_.device, request, body);
  }
  io::HttpResponse response;
  response.status = 403;
  response.headers.add("Content-Type", "application/json");
  response.body = R"({"message":"Forbidden: this port needs a client certificate"})";
  response.close = true;
  co_return response;
}

// A WebSocket may come in on any loop. CONNECT will say which shard it belongs to; until then they take turns.
void FrontDoor::accept_websocket(std::unique_ptr<io::Stream> stream, std::string rest,
                                 std::shared_ptr<const mqtt::TransportIdentity> identity) {
  const std::size_t shard = next_shard_.fetch_add(1, std::memory_order_relaxed) % device_loops_.size();
  io::Loop& loop = *device_loops_[shard];
  io::move_to(loop, std::move(stream), [this, shard, &loop, rest = std::move(rest), identity](auto arrived) {
    mqtt::Arrival arrival;
    arrival.identity = identity;
    arrival.listener = websocket_listener_;
    broker_->accept(shard, io::websocket_stream(loop, std::move(arrived), rest), std::move(arrival));
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

Result<std::uint16_t> FrontDoor::open_on_device_loops(io::ListenOptions options, const Serve& serve) {
  options.reuse_port = device_loops_.size() > 1;
  for (std::size_t shard = 0; shard < device_loops_.size(); ++shard) {
    auto on_stream = [shard, serve](std::unique_ptr<io::Stream> stream) { serve(shard, std::move(stream)); };
    TRY(auto listener, io::Listener::create(*device_loops_[shard], options, on_stream));
    options.port = listener->port();  // when any free one was asked for
    listeners_.push_back(std::move(listener));
  }
  return options.port;
}

void FrontDoor::serve_mqtt(std::size_t shard, std::unique_ptr<io::Stream> stream, std::string initial,
                           std::uint16_t listener) {
  mqtt::Arrival arrival;
  arrival.initial = std::move(initial);
  arrival.listener = listener;
  broker_->accept(shard, std::move(stream), std::move(arrival));
}

Result<std::uint16_t> FrontDoor::open_device(const io::ListenOptions& options) {
  return open_on_device_loops(options, [this](std::size_t shard, std::unique_ptr<io::Stream> stream) {
    io::Loop& loop = *device_loops_[shard];
    if (is_mqtt_alpn(stream->peer().alpn)) return serve_mqtt(shard, std::move(stream), {}, tls_listener_);
    if (is_http_alpn(stream->peer().alpn)) {
      return loop.spawn(io::serve_http(loop, std::move(stream), "", device_handler_, stopping_));
    }
    loop.spawn(serve_device(shard, std::move(stream)));
  });
}

Result<std::uint16_t> FrontDoor::open_plain_mqtt(const io::ListenOptions& options) {
  return open_on_device_loops(options, [this](std::size_t shard, std::unique_ptr<io::Stream> stream) {
    serve_mqtt(shard, std::move(stream), {}, plain_listener_);
  });
}

boost::asio::awaitable<void> FrontDoor::serve_device(std::size_t shard, std::unique_ptr<io::Stream> stream) {
  std::array<char, 1> first{};
  std::int64_t got = co_await io::read_some(*stream, first, kFirstByteDeadlineMs);
  if (got != 1) co_return;
  std::string initial(first.data(), 1);
  if (first[0] == kMqttConnect) {
    serve_mqtt(shard, std::move(stream), std::move(initial), tls_listener_);
    co_return;
  }
  co_await io::serve_http(*device_loops_[shard], std::move(stream), std::move(initial), device_handler_, stopping_);
}

void FrontDoor::start(mqtt::Broker& broker, const api::device::WebSocketUpgrade& upgrade, Token token,
                      Handlers handlers) {
  broker_ = &broker;
  tls_listener_ = broker.add_listener("device");
  plain_listener_ = broker.add_listener("plain");
  websocket_listener_ = broker.add_listener("websocket");
  upgrade_ = &upgrade;
  token_ = std::move(token);
  inner_ = std::move(handlers);
  for (auto& listener : listeners_) listener->start();
}

void FrontDoor::close() {
  stopping_ = true;
  for (auto& listener : listeners_) listener->close();
}

}  // namespace muster::server
