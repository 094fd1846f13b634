// SPDX-License-Identifier: Apache-2.0
#include "api/wire/audit/audit_event.h"

#include <algorithm>
#include <array>

#include "api/wire/audit/redact.h"
#include "api/wire/authorization.h"
#include "api/wire/errors.h"
#include "api/wire/pipeline_stages.h"
#include "base/text.h"

namespace muster::api {
namespace {

bool denied(const Exchange& exchange) {
  if (!exchange.failure) return false;
  const ErrorKind kind = exchange.failure->kind;
  return kind == ErrorKind::kAccessDenied || kind == ErrorKind::kUnauthenticated;
}

// The event sources of AWS: one for all of AWS IoT.
std::string event_source(const model::Service& service) {
  const bool iot = service.id.starts_with("iot");
  return std::string(iot ? std::string_view("iot") : service.id) + ".amazonaws.com";
}

// The name that an operation can be known by when it was not found: of the query protocol, the client's word for it.
std::string event_name(const Exchange& exchange) {
  if (exchange.operation != nullptr) return std::string(exchange.operation->name);
  if (exchange.is_query()) {
    for (const auto& [name, value] : exchange.query) {
      if (name == "Action" && model::find_operation(*exchange.service, value) != nullptr) return value;
    }
  }
  return "UnknownOperation";
}

audit::Identity claimed_identity(const Exchange& exchange) {
  audit::Identity who;
  if (exchange.signature.kind == SignatureKind::kNone && exchange.request.peer.client_certificate_der.empty()) {
    who.type = "AWSAccount";
    who.account_id = "ANONYMOUS_PRINCIPAL";
  }
  who.access_key_id = exchange.signature.access_key_id;  // what it says; nothing proves it
  return who;
}

}  // namespace

bool is_read_only(const model::Operation& operation) {
  // CloudTrail counts AssumeRole and its kin among the reads: nothing of the account changes.
  constexpr std::array kReads = {"Get",  "List",    "Describe", "Head",   "Search", "Lookup",   "Simulate",
                                 "Test", "Preview", "Explain",  "Assume", "Select", "BatchGet", "Validate"};
  return std::ranges::any_of(kReads, [&](std::string_view verb) { return operation.name.starts_with(verb); });
}

bool is_data_plane(const model::Service& service, const model::Operation* operation) {
  if (service.id == "iot-data" || service.id == "iot-jobs-data") return true;
  if (operation == nullptr) return false;
  if (service.id == "lambda") return operation->name.starts_with("Invoke");
  if (service.id != "s3") return false;
  constexpr std::array kOfObjects = {"DeleteObjects", "ListObjects", "ListObjectsV2", "ListObjectVersions",
                                     "ListMultipartUploads"};
  return operation->uri.find("{Key") != std::string_view::npos ||
         std::ranges::find(kOfObjects, operation->name) != kOfObjects.end();
}

audit::Identity identity_of(const iam::Principal& caller, const Realm& realm) {
  audit::Identity who;
  who.principal_id = caller.user_id;
  who.arn = caller.arn;
  who.account_id = caller.account_id;
  who.access_key_id = caller.access_key_id;
  switch (caller.kind) {
    case iam::PrincipalKind::kRoot:
      who.type = "Root";
      break;
    case iam::PrincipalKind::kUser:
      who.type = "IAMUser";
      who.user_name = caller.name;
      break;
    case iam::PrincipalKind::kRoleSession:
      who.type = "AssumedRole";
      who.issuer_name = caller.name;
      who.issuer_arn = iam_arn(realm, "role", caller.name);
      who.issuer_id = caller.user_id.substr(0, caller.user_id.find(':'));
      break;
    case iam::PrincipalKind::kCertificate:
      who.type = "Certificate";
      who.principal_id = caller.name;
      break;
    case iam::PrincipalKind::kToken:
      who.type = "CustomAuthorizer";
      who.principal_id = caller.name;
      break;
    case iam::PrincipalKind::kService:
      who.type = "AWSService";
      break;
    case iam::PrincipalKind::kAnonymous:
      who.type = "AWSAccount";
      who.account_id = "ANONYMOUS_PRINCIPAL";
      break;
  }
  return who;
}

AuditedInput audited_input(const Exchange& exchange, const Realm& realm) {
  AuditedInput out;
  out.parameters = redacted_input(*exchange.service, *exchange.operation, exchange.input);
  const AuthorizationInput asked{*exchange.service, *exchange.operation, realm,          exchange.caller,
                                 exchange.input,    exchange.request,    exchange.now_ms};
  for (std::string& arn : named_resource_arns(asked)) {
    std::string type = audit::resource_type(arn);
    out.resources.push_back({std::move(type), std::move(arn)});
  }
  return out;
}

Recorded how_recorded(const Exchange& exchange, bool data_events) {
  if (exchange.answered) return Recorded::kNot;  // a browser's question before the call
  const bool stranger = exchange.caller.kind == iam::PrincipalKind::kAnonymous;
  if (denied(exchange)) return Recorded::kDenial;
  if (is_data_plane(*exchange.service, exchange.operation) && !data_events) return Recorded::kNot;
  return stranger && exchange.failure ? Recorded::kDenial : Recorded::kCall;
}

audit::Event audit_event(const Exchange& exchange, const Realm& realm) {
  audit::Event event;
  event.time_ms = exchange.now_ms;
  event.request_id = exchange.request_id;
  event.source = event_source(*exchange.service);
  event.name = event_name(exchange);
  const bool known = exchange.caller.kind != iam::PrincipalKind::kAnonymous;
  event.known = known;
  event.who = known ? identity_of(exchange.caller, realm) : claimed_identity(exchange);
  event.address = exchange.request.peer.address;
  event.user_agent = exchange.request.headers.get("user-agent");
  event.tls = exchange.request.peer.tls;
  event.host = exchange.request.headers.get("host");
  if (exchange.failure) {
    event.error_code = error_code(*exchange.service, exchange.operation, *exchange.failure).code;
    event.error_message = redacted_message(shown_message(*exchange.service, *exchange.failure));
  }
  event.parameters = exchange.audited.parameters;
  if (event.parameters.empty() && exchange.route) event.parameters = redacted_labels(exchange.route->labels);
  event.resources = exchange.audited.resources;
  event.read_only = exchange.operation != nullptr && is_read_only(*exchange.operation);
  event.data = is_data_plane(*exchange.service, exchange.operation);
  return event;
}

}  // namespace muster::api
