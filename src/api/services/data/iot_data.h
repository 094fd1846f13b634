// SPDX-License-Identifier: Apache-2.0
// Operations of service "iot-data": Publish, GetRetainedMessage, ListRetainedMessages. A published message goes through
// the port to the broker and is acknowledged with 200 when it is durable for every session that it is owed to. Reserved
// topics ($...) are refused: the ones that Muster serves answer to an MQTT connection. The pipeline has authorised the
// caller (iot:Publish, with retain iot:RetainPublish too), by SigV4 or client certificate.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/wire/operation.h"

namespace muster::api::data {

using UserProperties = std::vector<std::pair<std::string, std::string>>;

struct OutgoingMessage {
  std::string topic;
  std::string payload;
  std::uint8_t qos = 0;
  bool retain = false;
  // MQTT 5
  std::optional<bool> payload_is_utf8;
  std::string content_type;
  std::string response_topic;
  std::string correlation_data;
  std::optional<std::uint32_t> expiry_s;
  UserProperties user_properties;
};

struct RetainedMessage {
  std::string topic;
  std::string payload;
  std::size_t payload_bytes = 0;
  std::uint8_t qos = 0;
  std::int64_t modified_ms = 0;
  UserProperties user_properties;
};

// The broker; answers may come on another thread. server/message_port implements it.
struct MessagePort {
  std::function<void(OutgoingMessage message, std::function<void(Result<bool>)> done)> publish;
  std::function<void(std::string topic, std::function<void(Result<std::optional<RetainedMessage>>)> done)> retained;
  // At most `limit` behind the topic `after`, in byte order, without payloads.
  std::function<void(std::string after, std::size_t limit, std::function<void(Result<std::vector<RetainedMessage>>)>)>
      list_retained;
};

// [{"name": "value"}, ...] as JSON text, or that text once more as a JSON string (what SDKs make of a string).
Result<UserProperties> parse_user_properties(std::string_view text);

void register_iot_data(Operations& operations, MessagePort port);

}  // namespace muster::api::data
