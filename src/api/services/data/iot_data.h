// SPDX-License-Identifier: Apache-2.0
// Operations of service "iot-data": Publish. The message goes through the port to the broker and is acknowledged with
// 200 when it is durable for every session that it is owed to. Reserved topics ($...) are refused, as AWS refuses them
// here.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "api/wire/operation.h"

namespace muster::api::data {

// mqtt::Broker::publish; `done` may be called on another thread.
using PublishPort = std::function<void(std::string topic, std::string payload, std::uint8_t qos, bool retain,
                                       std::function<void(bool accepted)> done)>;

void register_iot_data(Operations& operations, PublishPort publish);

}  // namespace muster::api::data
