// SPDX-License-Identifier: Apache-2.0
// Payloads of the device provisioning MQTT API, in the format that the topic ends in: JSON or CBOR. Pure. Bounds: 128
// KiB, depth 8. An empty payload is an empty object. Source: AWS IoT developer guide, "Device provisioning MQTT API".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace muster::api::device {

enum class PayloadFormat : std::uint8_t { kJson, kCbor };

std::optional<PayloadFormat> payload_format(std::string_view level);  // "json", "cbor"
// kInvalid with reason "InvalidPayload"; kTooLarge.
Result<json::object> read_payload(PayloadFormat format, std::string_view payload);
std::string write_payload(PayloadFormat format, const json::object& object);
// {statusCode, errorCode, errorMessage}; of kInternal nothing is shown.
json::object rejection(const Error& error);

// The string in that member; kInvalid when it is absent (unless `optional`, then empty) or no string.
Result<std::string> text_member(const json::object& object, std::string_view member, bool optional = false);

}  // namespace muster::api::device
