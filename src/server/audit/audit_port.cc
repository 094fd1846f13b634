// SPDX-License-Identifier: Apache-2.0
#include "server/audit/audit_port.h"

#include "api/device/provisioning_payload.h"
#include "api/wire/audit/audit_event.h"
#include "api/wire/audit/redact.h"
#include "base/json.h"
#include "base/log.h"
#include "domain/provisioning/templates.h"
#include "domain/security/certificates.h"

namespace muster::server {
namespace {

audit::Event denied(std::string name) {
  audit::Event event;
  event.source = "iot.amazonaws.com";
  event.name = std::move(name);
  event.error_code = "AccessDenied";
  event.data = true;
  return event;
}

constexpr std::size_t kMaxName = 256;

// As of the same call over HTTPS: what the model and the list of secrets say is hidden.
std::string parameters_of(const api::device::DeviceCall& call) {
  const api::model::Service* service = api::model::find_service("iot");
  const api::model::Operation* operation = api::model::find_operation(*service, call.name);
  std::string given = api::redacted_input(*service, *operation, call.input);
  if (call.template_name.empty()) return given;
  json::object out{{"templateName", audit::clean(call.template_name, kMaxName)}};
  if (auto parsed = parse_json(given); parsed && parsed->is_object()) {
    for (const auto& member : parsed->get_object()) out[member.key()] = member.value();
  }
  return to_text(out);
}

bool is_collapsed(const api::device::DeviceCall& call) {
  if (!call.error) return false;
  const ErrorKind kind = call.error->kind;
  return !call.begun || call.who.kind == iam::PrincipalKind::kAnonymous || kind == ErrorKind::kAccessDenied ||
         kind == ErrorKind::kUnauthenticated;
}

}  // namespace

void record_refusal(audit::Trail& trail, const Realm& realm, const api::device::Refused& refused) {
  // What a client does not receive is no call of its.
  if (refused.action == "iot:Receive") return;
  audit::Event event = denied(std::string(refused.action.substr(refused.action.find(':') + 1)));
  event.address = refused.source_ip;
  event.user_agent = "MQTT";
  event.error_message = "No policy allows it, or the client is not known.";
  if (refused.who != nullptr) {
    event.who = api::identity_of(*refused.who, realm);
  } else {
    event.who.principal_id = refused.principal;
  }
  // Who is connected proved who it is; a refused certificate may be anybody's.
  event.known =
      refused.action != "iot:Connect" && !refused.principal.empty() && !refused.principal.starts_with("plain:");
  event.parameters = to_text(json::object{{"clientId", audit::clean(refused.client_id, 1024)}});
  const std::string_view kind = refused.action == "iot:Connect"     ? "client"
                                : refused.action == "iot:Subscribe" ? "topicfilter"
                                                                    : "topic";
  std::string arn = iot_arn(realm, kind, audit::clean(refused.name, 1024));
  std::string type = audit::resource_type(arn);
  event.resources.push_back({std::move(type), std::move(arn)});
  trail.record_denial(std::move(event), {});
}

void record_refused_upgrade(audit::Trail& trail, const io::HttpRequest& request, const Error& error) {
  audit::Event event = denied("Connect");
  event.address = request.peer.address;
  event.user_agent = request.headers.get("user-agent");
  event.tls = request.peer.tls;
  event.host = request.headers.get("host");
  event.error_message = error.kind == ErrorKind::kInternal ? "Service Unavailable" : error.message;
  event.additional["protocol"] = "WebSocket";
  trail.record_denial(std::move(event), {});
}

audit::Event event_of(const api::device::DeviceCall& call, const Realm& realm) {
  audit::Event event;
  event.source = "iot.amazonaws.com";
  event.name = call.name;
  event.known = call.who.kind != iam::PrincipalKind::kAnonymous;
  if (event.known) {
    event.who = api::identity_of(call.who, realm);
  } else {
    event.who.principal_id = call.principal;
  }
  event.address = call.source_ip;
  event.user_agent = "MQTT";
  event.tls = call.tls;
  if (call.error) {
    const json::object shown = api::device::rejection(*call.error);
    event.error_code = shown.at("errorCode").as_string();
    event.error_message = api::redacted_message(shown.at("errorMessage").as_string());
  }
  event.parameters = parameters_of(call);
  const auto name = [&](std::string arn) {
    std::string type = audit::resource_type(arn);
    event.resources.push_back({std::move(type), std::move(arn)});
  };
  if (!call.template_name.empty()) {
    name(provisioning::template_arn(realm, audit::clean(call.template_name, kMaxName)));
  }
  if (!call.certificate_id.empty()) name(security::certificate_arn(realm, call.certificate_id));
  if (!call.thing_name.empty()) name(iot_arn(realm, "thing", call.thing_name));
  event.additional["protocol"] = "MQTT";
  event.additional["clientId"] = audit::clean(call.client_id, 1024);
  return event;
}

api::device::DeviceCalls device_calls(audit::Trail& trail, const Realm& realm) {
  api::device::DeviceCalls calls;
  calls.may_change = [&trail] { return trail.may_change(); };
  calls.record = [&trail, realm](const api::device::DeviceCall& call, std::function<void(Status)> done) {
    auto told = [done = std::move(done)](const Status& status) {
      if (status) return done({});
      log::error("a device's call could not be recorded", {{"reason", status.error().message}});
      done(make_error(ErrorKind::kUnavailable, "The call could not be recorded."));
    };
    audit::Event event = event_of(call, realm);
    if (is_collapsed(call)) return trail.record_denial(std::move(event), std::move(told));
    trail.record(std::move(event), std::move(told));
  };
  return calls;
}

}  // namespace muster::server
