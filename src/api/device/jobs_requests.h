// SPDX-License-Identifier: Apache-2.0
// Payloads of the Jobs MQTT API: a device's request read member by member, and the reply written. Pure functions;
// kInvalid with AWS's wording for a member of the wrong type. Null members count as absent; unknown members are
// ignored. Numbers may come quoted (the embedded C SDK does that). Source: jobs spec 2.3-2.5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "domain/jobs/executions.h"

namespace muster::api::device {

inline constexpr std::size_t kMaxRequestBytes = 128 * 1024;

// An empty payload is an empty object. Error reason "InvalidJson" for anything but a JSON object; kTooLarge above
// kMaxRequestBytes (AWS's broker does not let such a message through at all; InvalidRequest here).
Result<json::object> parse_jobs_request(std::string_view payload);
// The token to echo; empty optional when there is none. kInvalid when it is not a string.
Result<std::optional<std::string>> client_token(const json::object& request);

Result<jobs::StartNext> parse_start_next(std::string_view thing, const json::object& request);
Result<jobs::Describe> parse_describe(std::string_view thing, std::string_view job, const json::object& request);
Result<jobs::Update> parse_update(std::string_view thing, std::string_view job, const json::object& request);

// {"clientToken":..,"timestamp":..MEMBERS}; members is empty or begins with a comma.
std::string accepted_payload(const std::optional<std::string>& token, std::int64_t now_ms, std::string_view members);
std::string rejected_payload(const std::optional<std::string>& token, std::int64_t now_ms, const Error& error);
// The code of a rejected payload: InvalidRequest, VersionMismatch ...
std::string_view rejected_code(const Error& error);

// Members of accepted replies.
std::string pending_members(const jobs::PendingLists& lists);
std::string execution_member(const std::optional<jobs::DeviceExecution>& execution);
std::string updated_members(const jobs::Updated& updated);

}  // namespace muster::api::device
