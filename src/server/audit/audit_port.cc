// SPDX-License-Identifier: Apache-2.0
#include "server/audit/audit_port.h"

#include "api/wire/audit/audit_event.h"
#include "base/json.h"

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

}  // namespace muster::server
