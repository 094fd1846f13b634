// SPDX-License-Identifier: Apache-2.0
#include "api/device/jobs_requests.h"

#include "base/text.h"
#include "domain/jobs/device_json.h"

namespace muster::api::device {

namespace {

constexpr std::size_t kMaxDepth = 16;

Error wrong_type(std::string_view member, std::string_view wanted) {
  return invalid("Value at '" + std::string(member) + "' failed to satisfy constraint: Member must be " +
                 std::string(wanted));
}

Result<std::optional<std::int64_t>> read_int(const json::object& request, std::string_view member) {
  const auto* value = request.if_contains(member);
  if (value == nullptr || value->is_null()) return std::optional<std::int64_t>();
  if (value->is_int64()) return std::optional(value->get_int64());
  if (const auto* text = value->if_string()) {
    if (const auto number = parse_int(*text)) return std::optional(*number);
  }
  return wrong_type(member, "an integer");
}

Result<bool> read_bool(const json::object& request, std::string_view member, bool fallback) {
  const auto* value = request.if_contains(member);
  if (value == nullptr || value->is_null()) return fallback;
  if (value->is_bool()) return value->get_bool();
  return wrong_type(member, "a boolean");
}

Result<std::optional<jobs::StatusDetails>> read_details(const json::object& request) {
  const auto* value = request.if_contains("statusDetails");
  if (value == nullptr || value->is_null()) return std::optional<jobs::StatusDetails>();
  TRY(auto details, jobs::parse_status_details(*value));
  return std::optional(std::move(details));
}

void append_envelope(std::string& out, const std::optional<std::string>& token, std::int64_t now_ms) {
  out.push_back('{');
  if (token) {
    out.append("\"clientToken\":");
    append_json_string(out, *token);
    out.push_back(',');
  }
  out.append("\"timestamp\":").append(std::to_string(now_ms / 1000));
}

}  // namespace

Result<json::object> parse_jobs_request(std::string_view payload) {
  if (payload.empty()) return json::object();
  if (payload.size() > kMaxRequestBytes) {
    return make_error(ErrorKind::kTooLarge,
                      "The request exceeds the limit of " + std::to_string(kMaxRequestBytes) + " bytes.");
  }
  auto parsed = parse_json(payload, JsonLimits{kMaxRequestBytes, kMaxDepth});
  if (!parsed) {
    return make_error(ErrorKind::kInvalid, "The request is not valid JSON: " + parsed.error().message, "InvalidJson");
  }
  if (!parsed->is_object()) return make_error(ErrorKind::kInvalid, "The request must be a JSON object.", "InvalidJson");
  return std::move(parsed->get_object());
}

Result<std::optional<std::string>> client_token(const json::object& request) {
  const auto* value = request.if_contains("clientToken");
  if (value == nullptr || value->is_null()) return std::optional<std::string>();
  if (!value->is_string()) return wrong_type("clientToken", "a string");
  return std::optional(std::string(value->get_string()));
}

Result<jobs::StartNext> parse_start_next(std::string_view thing, const json::object& request) {
  jobs::StartNext start;
  start.thing = thing;
  TRY(start.details, read_details(request));
  TRY(start.step_timeout_minutes, read_int(request, "stepTimeoutInMinutes"));
  return start;
}

Result<jobs::Describe> parse_describe(std::string_view thing, std::string_view job, const json::object& request) {
  jobs::Describe describe;
  describe.thing = thing;
  describe.job = job;
  TRY(describe.number, read_int(request, "executionNumber"));
  TRY(describe.include_document, read_bool(request, "includeJobDocument", true));
  return describe;
}

Result<jobs::Update> parse_update(std::string_view thing, std::string_view job, const json::object& request) {
  jobs::Update update;
  update.thing = thing;
  update.job = job;
  if (!has(request, "status")) {
    return invalid(
        "1 validation error detected: Value null at 'status' failed to satisfy constraint: Member must not "
        "be null");
  }
  if (!request.at("status").is_string()) return wrong_type("status", "a string");
  update.status = request.at("status").get_string();
  TRY(update.details, read_details(request));
  TRY(update.expected_version, read_int(request, "expectedVersion"));
  TRY(update.number, read_int(request, "executionNumber"));
  TRY(update.step_timeout_minutes, read_int(request, "stepTimeoutInMinutes"));
  TRY(update.include_state, read_bool(request, "includeJobExecutionState", false));
  TRY(update.include_document, read_bool(request, "includeJobDocument", false));
  return update;
}

std::string accepted_payload(const std::optional<std::string>& token, std::int64_t now_ms, std::string_view members) {
  std::string out;
  out.reserve(members.size() + 96);
  append_envelope(out, token, now_ms);
  out.append(members);
  out.push_back('}');
  return out;
}

std::string rejected_payload(const std::optional<std::string>& token, std::int64_t now_ms, const Error& error) {
  const auto code = rejected_code(error);
  std::string out;
  append_envelope(out, token, now_ms);
  out.append(",\"code\":");
  append_json_string(out, code);
  out.append(",\"message\":");
  // What went wrong inside is for the log.
  append_json_string(out, error.kind == ErrorKind::kInternal ? "An internal error occurred." : error.message);
  if (code == "InvalidStateTransition" || code == "VersionMismatch") {
    if (const auto* state = error.fields.if_contains("executionState")) {
      out.append(",\"executionState\":");
      append_json(out, *state);
    }
  }
  out.push_back('}');
  return out;
}

std::string_view rejected_code(const Error& error) {
  if (!error.reason.empty() && error.kind == ErrorKind::kInvalid) return error.reason;
  switch (error.kind) {
    case ErrorKind::kInvalid:
    case ErrorKind::kTooLarge:
    case ErrorKind::kNotSupported:
      return "InvalidRequest";
    case ErrorKind::kNotFound:
      return "ResourceNotFound";
    case ErrorKind::kVersionConflict:
      return "VersionMismatch";
    case ErrorKind::kInvalidStateTransition:
      return "InvalidStateTransition";
    case ErrorKind::kTerminalState:
      return "TerminalStateReached";
    case ErrorKind::kThrottled:
    case ErrorKind::kConflict:  // the store gave up re-running: the device should try again
      return "RequestThrottled";
    default:
      return "InternalError";
  }
}

std::string pending_members(const jobs::PendingLists& lists) {
  std::string out = ",\"inProgressJobs\":";
  jobs::append_summaries(out, lists.in_progress);
  out.append(",\"queuedJobs\":");
  jobs::append_summaries(out, lists.queued);
  return out;
}

std::string execution_member(const std::optional<jobs::DeviceExecution>& execution) {
  if (!execution) return {};
  std::string out = ",\"execution\":";
  jobs::append_execution(out, *execution);
  return out;
}

std::string updated_members(const jobs::Updated& updated) {
  std::string out;
  if (updated.state) {
    out.append(",\"executionState\":");
    jobs::append_execution_state(out, *updated.state);
  }
  if (updated.document) out.append(",\"jobDocument\":").append(*updated.document);
  return out;
}

}  // namespace muster::api::device
