// SPDX-License-Identifier: Apache-2.0
#include "api/services/data/iot_data.h"

#include <limits>

#include "api/wire/await_callback.h"
#include "base/json.h"
#include "base/text.h"
#include "domain/registry/page.h"

namespace muster::api::data {
namespace {

constexpr std::string_view kListing = "retained";
constexpr std::int64_t kMostResults = 200;
constexpr std::size_t kMaxPropertyBytes = 8 * 1024;  // AWS: "8 KB for user properties"; the others share it here

std::size_t property_bytes(const OutgoingMessage& message) {
  std::size_t bytes = message.content_type.size() + message.response_topic.size() + message.correlation_data.size();
  for (const auto& [name, value] : message.user_properties) bytes += name.size() + value.size();
  return bytes;
}

Status read_properties(const json::object& input, OutgoingMessage& message) {
  message.content_type = get_string(input, "contentType");
  message.response_topic = get_string(input, "responseTopic");
  if (has(input, "responseTopic") &&
      (message.response_topic.empty() || message.response_topic.find_first_of("#+") != std::string::npos)) {
    return invalid("The response topic must not contain wildcard characters");
  }
  if (has(input, "correlationData")) {
    auto bytes = from_base64(get_string(input, "correlationData"));
    if (!bytes) return invalid("Correlation data must be base64-encoded");
    message.correlation_data = *std::move(bytes);
  }
  if (has(input, "payloadFormatIndicator")) {
    message.payload_is_utf8 = get_string(input, "payloadFormatIndicator") == "UTF8_DATA";
    if (*message.payload_is_utf8 && !is_utf8(message.payload)) return invalid("The payload is not UTF-8");
  }
  if (has(input, "messageExpiry")) {
    const std::int64_t seconds = get_int(input, "messageExpiry");
    if (seconds < 1 || seconds > std::numeric_limits<std::uint32_t>::max()) {
      return invalid("Message expiry must be between 1 and 4294967295 seconds");
    }
    message.expiry_s = static_cast<std::uint32_t>(seconds);
  }
  if (has(input, "userProperties")) {
    TRY(message.user_properties, parse_user_properties(get_string(input, "userProperties")));
  }
  if (property_bytes(message) > kMaxPropertyBytes) {
    return make_error(ErrorKind::kTooLarge, "The MQTT 5 properties are larger than 8 KB");
  }
  return {};
}

io::Task<Reply> publish(const MessagePort& port, Call& call) {
  OutgoingMessage message;
  message.topic = get_string(call.input, "topic");
  message.payload = get_string(call.input, "payload");
  message.qos = static_cast<std::uint8_t>(get_int(call.input, "qos"));
  message.retain = get_bool(call.input, "retain");
  if (message.topic.starts_with('$')) {
    co_return invalid("Publishing to reserved topics is not possible over HTTPS: " + message.topic);
  }
  CO_TRY_VOID(read_properties(call.input, message));
  std::function<void(std::function<void(Result<bool>)>)> start = [&](auto done) {
    port.publish(std::move(message), std::move(done));
  };
  CO_TRY(bool accepted, co_await await_callback<bool>(start));
  if (!accepted) co_return invalid("The topic is not a valid topic name");
  co_return Reply{};
}

io::Task<Reply> get_retained(const MessagePort& port, Call& call) {
  std::string topic(get_string(call.input, "topic"));
  using Found = std::optional<RetainedMessage>;
  std::function<void(std::function<void(Result<Found>)>)> start = [&](auto done) {
    port.retained(topic, std::move(done));
  };
  CO_TRY(Found found, co_await await_callback<Found>(start));
  if (!found) co_return not_found("No message is retained for topic " + topic);
  Reply reply;
  reply.output["topic"] = found->topic;
  reply.output["payload"] = found->payload;
  reply.output["qos"] = found->qos;
  reply.output["lastModifiedTime"] = found->modified_ms;
  if (!found->user_properties.empty()) {
    json::array list;
    for (const auto& [name, value] : found->user_properties) list.push_back(json::object{{name, value}});
    reply.output["userProperties"] = to_text(json::value(std::move(list)));
  }
  co_return reply;
}

io::Task<Reply> list_retained(const MessagePort& port, Call& call) {
  CO_TRY(std::string after, registry::page_position(kListing, get_string(call.input, "nextToken")));
  const auto limit = static_cast<std::size_t>(get_int(call.input, "maxResults", kMostResults));
  using Found = std::vector<RetainedMessage>;
  std::function<void(std::function<void(Result<Found>)>)> start = [&](auto done) {
    port.list_retained(after, limit + 1, std::move(done));
  };
  CO_TRY(Found found, co_await await_callback<Found>(start));
  Reply reply;
  const bool more = found.size() > limit;
  if (more) {
    found.resize(limit);
    reply.output["nextToken"] = registry::page_token(kListing, found.back().topic);
  }
  json::array topics;
  for (const RetainedMessage& message : found) {
    topics.push_back(json::object{{"topic", message.topic},
                                  {"payloadSize", static_cast<std::int64_t>(message.payload_bytes)},
                                  {"qos", message.qos},
                                  {"lastModifiedTime", message.modified_ms}});
  }
  reply.output["retainedTopics"] = std::move(topics);
  co_return reply;
}

}  // namespace

Result<UserProperties> parse_user_properties(std::string_view text) {
  const Error wrong = invalid("User properties must be a JSON array of objects that hold strings");
  auto parsed = parse_json(text);
  if (parsed && parsed->is_string()) parsed = parse_json(parsed->get_string());
  if (!parsed || !parsed->is_array()) return wrong;
  UserProperties properties;
  for (const json::value& item : parsed->get_array()) {
    if (!item.is_object()) return wrong;
    for (const auto& [name, value] : item.get_object()) {
      if (!value.is_string()) return wrong;
      properties.emplace_back(name, value.get_string());
    }
  }
  return properties;
}

void register_iot_data(Operations& operations, MessagePort port) {
  const auto shared = std::make_shared<const MessagePort>(std::move(port));
  const auto add = [&](std::string_view operation, io::Task<Reply> (*body)(const MessagePort&, Call&)) {
    operations.add("iot-data", operation, [shared, body](Call& call) { return body(*shared, call); });
  };
  add("Publish", publish);
  add("GetRetainedMessage", get_retained);
  add("ListRetainedMessages", list_retained);
}

}  // namespace muster::api::data
