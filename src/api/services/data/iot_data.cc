// SPDX-License-Identifier: Apache-2.0
#include "api/services/data/iot_data.h"

#include "api/wire/await_callback.h"
#include "base/json.h"

namespace muster::api::data {
namespace {

io::Task<Reply> handle_publish(const PublishPort& port, Call& call) {
  std::string topic(get_string(call.input, "topic"));
  std::string payload(get_string(call.input, "payload"));
  std::int64_t qos = get_int(call.input, "qos");
  if (qos < 0 || qos > 1) co_return invalid("QoS must be 0 or 1");
  if (topic.starts_with('$')) co_return invalid("Publishing to reserved topics is not possible over HTTPS");
  if (payload.size() > 131'072) co_return make_error(ErrorKind::kInvalid, "The payload is larger than 128 KB");
  std::function<void(std::function<void(Result<bool>)>)> start = [&](auto done) {
    port(std::move(topic), std::move(payload), static_cast<std::uint8_t>(qos), false, std::move(done));
  };
  CO_TRY(bool accepted, co_await await_callback<bool>(start));
  if (!accepted) co_return invalid("The topic is not a valid topic name");
  co_return Reply{};
}

}  // namespace

void register_iot_data(Operations& operations, PublishPort publish_port) {
  operations.add("iot-data", "Publish",
                 [port = std::move(publish_port)](Call& call) { return handle_publish(port, call); });
}

}  // namespace muster::api::data
