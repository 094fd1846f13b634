// SPDX-License-Identifier: Apache-2.0
#include "api/device/provisioning_payload.h"

#include "base/cbor.h"

namespace muster::api::device {

namespace {

constexpr std::size_t kMaxBytes = std::size_t{128} << 10;
constexpr std::size_t kMaxDepth = 8;

Error invalid_payload(std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message), "InvalidPayload");
}

struct Code {
  int status;
  std::string_view code;
};

Code code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kAccessDenied:
    case ErrorKind::kUnauthenticated:
      return {403, "AccessDenied"};
    case ErrorKind::kNotFound:
      return {404, "ResourceNotFound"};
    case ErrorKind::kConflict:
    case ErrorKind::kAlreadyExists:
    case ErrorKind::kVersionConflict:
      return {409, "ResourceConflict"};
    case ErrorKind::kTooLarge:
      return {413, "PayloadTooLarge"};
    case ErrorKind::kLimit:
      return {400, "LimitExceeded"};
    case ErrorKind::kThrottled:
      return {429, "Throttling"};
    case ErrorKind::kUnavailable:
    case ErrorKind::kTimeout:
      return {503, "ServiceUnavailable"};
    case ErrorKind::kInternal:
    case ErrorKind::kUnset:
      return {500, "InternalServerError"};
    default:
      return {400, "InvalidRequest"};
  }
}

}  // namespace

std::optional<PayloadFormat> payload_format(std::string_view level) {
  if (level == "json") return PayloadFormat::kJson;
  if (level == "cbor") return PayloadFormat::kCbor;
  return std::nullopt;
}

Result<json::object> read_payload(PayloadFormat format, std::string_view payload) {
  if (payload.size() > kMaxBytes) {
    return make_error(ErrorKind::kTooLarge, "The payload exceeds " + std::to_string(kMaxBytes) + " bytes.");
  }
  if (payload.empty()) return json::object();
  auto parsed = format == PayloadFormat::kJson ? parse_json(payload, {.max_bytes = kMaxBytes, .max_depth = kMaxDepth})
                                               : parse_cbor(payload, {.max_bytes = kMaxBytes, .max_depth = kMaxDepth});
  if (!parsed) return invalid_payload("The payload cannot be parsed: " + parsed.error().message);
  if (!parsed->is_object()) return invalid_payload("The payload must be an object.");
  return std::move(parsed->get_object());
}

std::string write_payload(PayloadFormat format, const json::object& object) {
  return format == PayloadFormat::kJson ? to_text(object) : to_cbor(json::value(object));
}

json::object rejection(const Error& error) {
  const Code code = code_of(error.kind);
  const bool hidden = code.status == 500;
  const std::string name = error.reason.empty() || hidden ? std::string(code.code) : error.reason;
  return {{"statusCode", code.status},
          {"errorCode", name},
          {"errorMessage", hidden ? std::string("An internal error has occurred.") : error.message}};
}

Result<std::string> text_member(const json::object& object, std::string_view member, bool optional) {
  const json::value* value = object.if_contains(member);
  if (value == nullptr || value->is_null()) {
    if (optional) return std::string();
    return invalid_payload(std::string(member) + " is required.");
  }
  if (!value->is_string()) return invalid_payload(std::string(member) + " must be a string.");
  return std::string(value->get_string());
}

}  // namespace muster::api::device
