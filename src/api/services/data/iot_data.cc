// SPDX-License-Identifier: Apache-2.0
#include "api/services/data/iot_data.h"

#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/json.h"

namespace muster::api::data {
namespace {

namespace asio = boost::asio;

// Resumes on the coroutine's own executor, whichever thread `done` is called on.
asio::awaitable<bool> publish(const PublishPort& port, std::string topic, std::string payload, std::uint8_t qos) {
  auto executor = co_await asio::this_coro::executor;
  auto start = [&](auto handler) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    auto done = [shared, executor](bool accepted) {
      asio::post(executor, [shared, accepted] { std::move (*shared)(accepted); });
    };
    port(std::move(topic), std::move(payload), qos, false, std::move(done));
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(bool)>(std::move(start),
                                                                                      asio::use_awaitable);
}

io::Task<Reply> handle_publish(const PublishPort& port, Call& call) {
  std::string topic(get_string(call.input, "topic"));
  std::string payload(get_string(call.input, "payload"));
  std::int64_t qos = get_int(call.input, "qos");
  if (qos < 0 || qos > 1) co_return invalid("QoS must be 0 or 1");
  if (topic.starts_with('$')) co_return invalid("Publishing to reserved topics is not possible over HTTPS");
  if (payload.size() > 131'072) co_return make_error(ErrorKind::kInvalid, "The payload is larger than 128 KB");
  bool accepted = co_await publish(port, std::move(topic), std::move(payload), static_cast<std::uint8_t>(qos));
  if (!accepted) co_return invalid("The topic is not a valid topic name");
  co_return Reply{};
}

}  // namespace

void register_iot_data(Operations& operations, PublishPort publish_port) {
  operations.add("iot-data", "Publish",
                 [port = std::move(publish_port)](Call& call) { return handle_publish(port, call); });
}

}  // namespace muster::api::data
