// SPDX-License-Identifier: Apache-2.0
#include "api/wire/errors.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "api/wire/protocol/json_rpc.h"
#include "api/wire/xml.h"
#include "base/json.h"

namespace muster::api {
namespace {

using model::Protocol;

// What verification and lookup of credentials answer, in each protocol's words. Codes: "Error responses" of S3, "Common
// errors" of IAM and STS, and what the SDKs show for iot (InvalidSignatureException, UnrecognizedClientException).
struct AuthCode {
  std::string_view reason;
  std::string_view s3;
  int s3_status;
  std::string_view query;
  int query_status;
  std::string_view json;
  int json_status;
};
constexpr std::array kAuthCodes = {
    AuthCode{"SignatureDoesNotMatch", "SignatureDoesNotMatch", 403, "SignatureDoesNotMatch", 403,
             "InvalidSignatureException", 403},
    AuthCode{"InvalidAccessKeyId", "InvalidAccessKeyId", 403, "InvalidClientTokenId", 403,
             "UnrecognizedClientException", 403},
    AuthCode{"InvalidToken", "InvalidToken", 400, "InvalidClientTokenId", 403, "UnrecognizedClientException", 403},
    AuthCode{"ExpiredToken", "ExpiredToken", 400, "ExpiredToken", 403, "ExpiredTokenException", 403},
    AuthCode{"IncompleteSignature", "AuthorizationHeaderMalformed", 400, "IncompleteSignature", 400,
             "IncompleteSignatureException", 400},
    AuthCode{"AuthorizationQueryParametersError", "AuthorizationQueryParametersError", 400, "IncompleteSignature", 400,
             "IncompleteSignatureException", 400},
    AuthCode{"UnsupportedAuthorization", "InvalidRequest", 400, "IncompleteSignature", 400,
             "IncompleteSignatureException", 400},
    AuthCode{"MissingAuthenticationToken", "AccessDenied", 403, "MissingAuthenticationToken", 403,
             "MissingAuthenticationTokenException", 403},
    AuthCode{"RequestTimeTooSkewed", "RequestTimeTooSkewed", 403, "RequestExpired", 400, "InvalidSignatureException",
             403},
    AuthCode{"AccessDenied", "AccessDenied", 403, "AccessDenied", 403, "AccessDeniedException", 403},
};

// Status of codes that handlers name by Error::reason and no model lists with a status.
struct KnownCode {
  std::string_view code;
  int status;
};
constexpr std::array kKnownCodes = {
    KnownCode{"NoSuchKey", 404},
    KnownCode{"NoSuchBucket", 404},
    KnownCode{"NoSuchUpload", 404},
    KnownCode{"NoSuchVersion", 404},
    KnownCode{"NoSuchBucketPolicy", 404},
    KnownCode{"NoSuchTagSet", 404},
    KnownCode{"NoSuchEntity", 404},
    KnownCode{"NotModified", 304},
    KnownCode{"PreconditionFailed", 412},
    KnownCode{"InvalidRange", 416},
    KnownCode{"MethodNotAllowed", 405},
    KnownCode{"MissingContentLength", 411},
    KnownCode{"NotImplemented", 501},
    KnownCode{"InternalError", 500},
    KnownCode{"InternalFailure", 500},
    KnownCode{"ServiceUnavailable", 503},
    KnownCode{"SlowDown", 503},
    KnownCode{"AllAccessDisabled", 403},
    KnownCode{"InvalidObjectState", 403},
    KnownCode{"BucketNotEmpty", 409},
    KnownCode{"BucketAlreadyExists", 409},
    KnownCode{"BucketAlreadyOwnedByYou", 409},
    KnownCode{"OperationAborted", 409},
    KnownCode{"DeleteConflict", 409},
    KnownCode{"LimitExceeded", 409},
    KnownCode{"EntityAlreadyExists", 409},
    KnownCode{"ConcurrentModification", 409},
    KnownCode{"ForbiddenException", 403},
    KnownCode{"AccessDeniedException", 403},
    KnownCode{"UnknownOperationException", 404},
    KnownCode{"SerializationException", 400},
    KnownCode{"RequestEntityTooLargeException", 413},
};

int status_of_kind(ErrorKind kind, Protocol protocol) {
  bool s3 = protocol == Protocol::kRestXml, query = protocol == Protocol::kQuery;
  switch (kind) {
    case ErrorKind::kNotFound:
      return 404;
    case ErrorKind::kAlreadyExists:
    case ErrorKind::kConflict:
    case ErrorKind::kVersionConflict:
    case ErrorKind::kInvalidStateTransition:
      return 409;
    case ErrorKind::kTerminalState:
      return 410;
    case ErrorKind::kLimit:
      return query ? 409 : 400;
    case ErrorKind::kThrottled:
      return s3 ? 503 : 400;
    case ErrorKind::kAccessDenied:
    case ErrorKind::kUnauthenticated:
      return 403;
    case ErrorKind::kNotSupported:
      return s3 ? 501 : 400;
    case ErrorKind::kPrecondition:
      return 412;
    case ErrorKind::kUnavailable:
      return 503;
    case ErrorKind::kTimeout:
      return s3 ? 400 : 408;
    case ErrorKind::kUnset:
    case ErrorKind::kInternal:
      return 500;
    case ErrorKind::kInvalid:
    case ErrorKind::kTooLarge:
      break;
  }
  return 400;
}

bool speaks_json(const model::Service& service) {
  return service.protocol == Protocol::kRestJson || service.protocol == Protocol::kJson;
}

// The first of `names` that the operation models, else that its service models anywhere, else the first with `status`.
ErrorCode choose(const model::Service& service, const model::Operation* operation,
                 std::initializer_list<std::string_view> names, int status) {
  auto find_in = [&](std::span<const model::ErrorShape> errors) -> const model::ErrorShape* {
    for (std::string_view name : names) {
      auto found = std::ranges::find(errors, name, &model::ErrorShape::name);
      if (found != errors.end()) return &*found;
    }
    return nullptr;
  };
  const model::ErrorShape* found = nullptr;
  if (operation != nullptr) found = find_in(service.errors.subspan(operation->first_error, operation->error_count));
  if (found == nullptr) found = find_in(service.errors);
  if (found == nullptr) return {std::string(*names.begin()), status};
  return {std::string(found->code), found->status != 0 ? found->status : status};
}

ErrorCode json_code(const model::Service& service, const model::Operation* operation, ErrorKind kind) {
  const bool rpc = service.protocol == Protocol::kJson;
  bool control = service.id == "iot" || rpc;
  int status = status_of_kind(kind, Protocol::kRestJson);
  auto pick = [&](std::initializer_list<std::string_view> names) { return choose(service, operation, names, status); };
  switch (kind) {
    case ErrorKind::kNotFound:
      return pick({"ResourceNotFoundException"});
    case ErrorKind::kAlreadyExists:
      return pick({"ResourceAlreadyExistsException", "ConflictException"});
    case ErrorKind::kConflict:
      return pick({"ConflictException", "DeleteConflictException", "ConflictingResourceUpdateException",
                   "VersionConflictException", "InvalidStateTransitionException"});
    case ErrorKind::kVersionConflict:
      return pick({"VersionConflictException", "InvalidStateTransitionException"});
    case ErrorKind::kInvalidStateTransition:
      return pick({"InvalidStateTransitionException"});
    case ErrorKind::kTerminalState:
      return pick({"TerminalStateException", "InvalidStateTransitionException"});
    case ErrorKind::kLimit:
      return pick({"LimitExceededException", "VersionsLimitExceededException"});
    case ErrorKind::kThrottled:
      return pick({"ThrottlingException"});
    // IAM refuses iot calls as AccessDeniedException; the data planes say ForbiddenException.
    case ErrorKind::kAccessDenied:
      return {control ? "AccessDeniedException" : "ForbiddenException", 403};
    case ErrorKind::kUnauthenticated:
      return {control ? "UnrecognizedClientException" : "ForbiddenException", 403};
    case ErrorKind::kTooLarge:
      return pick({"RequestEntityTooLargeException", "InvalidRequestException"});
    case ErrorKind::kUnavailable:
      return pick({"ServiceUnavailableException"});
    case ErrorKind::kTimeout:
      return {"RequestTimeoutException", 408};
    case ErrorKind::kUnset:
    case ErrorKind::kInternal:
      return pick({"InternalFailureException", "InternalServerException", "InternalException"});
    case ErrorKind::kInvalid:
    case ErrorKind::kPrecondition:
    case ErrorKind::kNotSupported:
      break;
  }
  if (rpc) return pick({"ValidationException"});
  return pick({"InvalidRequestException"});
}

// AWS JSON answers every error of the caller's with 400; __type is what tells them apart.
ErrorCode of_protocol(const model::Service& service, ErrorCode code) {
  if (service.protocol == Protocol::kJson && code.status >= 400 && code.status < 500) code.status = 400;
  return code;
}

std::string_view s3_code(const model::Operation* operation, ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kNotFound:
      return operation != nullptr && operation->uri.find("{Key+}") != std::string_view::npos ? "NoSuchKey"
                                                                                             : "NoSuchBucket";
    case ErrorKind::kAlreadyExists:
      return "BucketAlreadyOwnedByYou";
    case ErrorKind::kConflict:
    case ErrorKind::kVersionConflict:
    case ErrorKind::kInvalidStateTransition:
    case ErrorKind::kTerminalState:
      return "OperationAborted";
    case ErrorKind::kLimit:
      return "TooManyBuckets";
    case ErrorKind::kThrottled:
      return "SlowDown";
    case ErrorKind::kAccessDenied:
    case ErrorKind::kUnauthenticated:
      return "AccessDenied";
    case ErrorKind::kNotSupported:
      return "NotImplemented";
    case ErrorKind::kTooLarge:
      return "EntityTooLarge";
    case ErrorKind::kPrecondition:
      return "PreconditionFailed";
    case ErrorKind::kUnavailable:
      return "ServiceUnavailable";
    case ErrorKind::kTimeout:
      return "RequestTimeout";
    case ErrorKind::kUnset:
    case ErrorKind::kInternal:
      return "InternalError";
    case ErrorKind::kInvalid:
      break;
  }
  return "InvalidArgument";
}

std::string_view query_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kNotFound:
      return "NoSuchEntity";
    case ErrorKind::kAlreadyExists:
      return "EntityAlreadyExists";
    case ErrorKind::kConflict:
    case ErrorKind::kVersionConflict:
    case ErrorKind::kInvalidStateTransition:
    case ErrorKind::kTerminalState:
      return "ConcurrentModification";
    case ErrorKind::kLimit:
      return "LimitExceeded";
    case ErrorKind::kThrottled:
      return "Throttling";
    case ErrorKind::kAccessDenied:
    case ErrorKind::kUnauthenticated:
      return "AccessDenied";
    case ErrorKind::kNotSupported:
      return "InvalidAction";
    case ErrorKind::kUnavailable:
      return "ServiceUnavailable";
    case ErrorKind::kTimeout:
      return "RequestTimeoutException";
    case ErrorKind::kUnset:
    case ErrorKind::kInternal:
      return "InternalFailure";
    case ErrorKind::kInvalid:
    case ErrorKind::kTooLarge:
    case ErrorKind::kPrecondition:
      break;
  }
  return "ValidationError";
}

ErrorCode code_of_reason(const model::Service& service, const model::Operation* operation, const Error& error) {
  auto named = [&](const model::ErrorShape& shape) { return shape.name == error.reason || shape.code == error.reason; };
  auto own = operation != nullptr ? service.errors.subspan(operation->first_error, operation->error_count)
                                  : std::span<const model::ErrorShape>();
  for (auto errors : {own, service.errors}) {
    auto found = std::ranges::find_if(errors, named);
    if (found != errors.end() && found->status != 0) return {std::string(found->code), found->status};
  }
  auto known = std::ranges::find(kKnownCodes, error.reason, &KnownCode::code);
  if (known != kKnownCodes.end()) return {error.reason, known->status};
  return {error.reason, status_of_kind(error.kind, service.protocol)};
}

std::string field_text(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  return to_text(value);
}

std::string xml_body(const model::Service& service, const Error& error, const ErrorCode& code,
                     const ErrorContext& context) {
  XmlWriter writer;
  bool query = service.protocol == Protocol::kQuery;
  if (query) {
    writer.open("ErrorResponse", service.xml_namespace);
    writer.open("Error");
    writer.element("Type", code.status >= 500 ? "Receiver" : "Sender");
  } else {
    writer.open("Error");
  }
  writer.element("Code", code.code);
  writer.element("Message", shown_message(service, error));
  if (query) {
    writer.close();
    writer.element("RequestId", context.request_id);
  } else {
    for (const auto& field : error.fields) writer.element(field.key(), field_text(field.value()));
    if (!context.resource.empty()) writer.element("Resource", context.resource);
    writer.element("RequestId", context.request_id);
    writer.element("HostId", "muster");
  }
  writer.close();
  return std::move(writer).take();
}

ErrorCode plain_code(const model::Service& service, const model::Operation* operation, const Error& error) {
  if (!error.reason.empty()) {
    bool from_signature = error.kind == ErrorKind::kUnauthenticated;
    auto auth = std::ranges::find(kAuthCodes, error.reason, &AuthCode::reason);
    if (from_signature && auth != kAuthCodes.end()) {
      if (service.protocol == Protocol::kRestXml) return {std::string(auth->s3), auth->s3_status};
      if (service.protocol == Protocol::kQuery) return {std::string(auth->query), auth->query_status};
      return {std::string(auth->json), auth->json_status};
    }
    // Two kinds of credential, found before the service was known.
    if (speaks_json(service) &&
        (error.reason == "InvalidArgument" || error.reason == "InvalidRequest" || error.reason == "InvalidURI")) {
      return {"InvalidRequestException", 400};
    }
    return code_of_reason(service, operation, error);
  }
  if (speaks_json(service)) return json_code(service, operation, error.kind);
  int status = status_of_kind(error.kind, service.protocol);
  std::string_view code =
      service.protocol == Protocol::kQuery ? query_code(error.kind) : s3_code(operation, error.kind);
  return {std::string(code), status};
}

}  // namespace

std::string_view shown_message(const model::Service& service, const Error& error) {
  if (error.kind != ErrorKind::kInternal && error.kind != ErrorKind::kUnset) return error.message;
  // The real reason is for the log: it may name files or records.
  if (service.protocol == Protocol::kRestXml) return "We encountered an internal error. Please try again.";
  return "An internal error has occurred.";
}

ErrorCode error_code(const model::Service& service, const model::Operation* operation, const Error& error) {
  return of_protocol(service, plain_code(service, operation, error));
}

io::HttpResponse write_error(const model::Service& service, const model::Operation* operation, const Error& error,
                             const ErrorContext& context) {
  ErrorCode code = error_code(service, operation, error);
  io::HttpResponse response;
  response.status = code.status;
  if (code.status == 304) return response;
  if (speaks_json(service)) {
    const bool rpc = service.protocol == Protocol::kJson;
    response.headers.add("x-amzn-ErrorType", code.code);
    response.headers.add("Content-Type", rpc ? json_rpc_content_type(service) : "application/json");
    json::object body;
    if (rpc) body["__type"] = code.code;
    body["message"] = shown_message(service, error);
    for (const auto& field : error.fields) body[field.key()] = field.value();
    response.body = to_text(body);
  } else {
    response.headers.add("Content-Type", service.protocol == Protocol::kQuery ? "text/xml" : "application/xml");
    response.body = xml_body(service, error, code, context);
  }
  if (context.head) response.body.clear();
  return response;
}

}  // namespace muster::api
