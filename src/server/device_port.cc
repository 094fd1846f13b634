// SPDX-License-Identifier: Apache-2.0
#include "server/device_port.h"

#include "api/device/explain_access.h"
#include "api/device/near_topics.h"
#include "server/message_port.h"

namespace muster::server {
namespace {

constexpr std::string_view kPlain = "plain:";

// Where policies are not asked: a reserved topic may have been meant all the same.
Findings with_reserved(Finding finding, const api::admin::AccessAsked& asked) {
  Findings findings{std::move(finding)};
  if (asked.action == "iot:Connect") return findings;
  api::device::NearQuestion question;
  question.topic = asked.name;
  question.allowed = [](std::string_view) { return false; };
  question.is_allowed = true;
  for (auto& near : api::device::near_topics(question)) findings.push_back(std::move(near));
  return findings;
}

Result<Findings> access(const Realm& realm, bool sys_topics, store::Tx& tx, const api::admin::AccessAsked& asked) {
  security::FactsRequest request;
  request.client_id = asked.client_id;
  request.thing = asked.client_id;
  request.source_ip = asked.source_ip;
  if (asked.principal.empty() || asked.principal_kind.empty()) {
    return with_reserved({"client.unknown",
                          "It is not known by which certificate client " + asked.client_id +
                              " comes: it has no session, was not refused lately, and no certificate is attached to a "
                              "thing of that name.",
                          {}},
                         asked);
  }
  const bool plain = asked.principal_kind == kind_word(mqtt::PrincipalKind::kPlain);
  if (asked.principal_kind == kind_word(mqtt::PrincipalKind::kCertificate)) {
    request.certificate_id = asked.principal;
  } else if (plain && asked.principal == "plain:*") {
    return with_reserved(
        {"policy.open", "The plain listener is open: plain_mqtt.policy is '*', which allows everything.", {}}, asked);
  } else if (plain && asked.principal.starts_with(kPlain)) {
    request.plain_policy = asked.principal.substr(kPlain.size());
  } else {
    return with_reserved({"principal.not_explained",
                          "Client " + asked.client_id + " comes with IAM credentials or a token (" + asked.principal +
                              "); only the policies of certificates and of the plain listener are explained.",
                          {}},
                         asked);
  }
  const api::device::AccessQuestion question{asked.action, asked.name, {asked.client_id}, sys_topics};
  return api::device::explain_client(realm, tx, request, question);
}

}  // namespace

api::admin::DevicePort device_port(const DevicePortParts& parts) {
  api::admin::DevicePort port;
  port.denials = [&denials = parts.denials](std::string_view client_id) {
    std::vector<api::admin::PastDenial> list;
    for (auto& denial : denials.of(client_id)) {
      list.push_back({denial.last_ms, denial.times, std::move(denial.action), std::move(denial.name),
                      std::move(denial.principal), std::string(kind_word(denial.kind)), std::move(denial.reasons)});
    }
    return list;
  };
  port.access = [realm = parts.realm, sys = parts.sys_topics](store::Tx& tx, const api::admin::AccessAsked& asked) {
    return access(realm, sys, tx, asked);
  };
  port.wanted = [&broker = parts.broker](std::string_view topic) { return broker.wanted(topic); };
  return port;
}

}  // namespace muster::server
