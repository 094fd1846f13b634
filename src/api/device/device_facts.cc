// SPDX-License-Identifier: Apache-2.0
#include "api/device/device_facts.h"

#include "domain/registry/things.h"
#include "domain/security/certificates.h"
#include "domain/security/policies.h"
#include "domain/security/principals.h"

namespace muster::api::device {

namespace {

void set_thing_variables(iam::PolicyContext& context, const registry::Thing& thing) {
  context.set("iot:Connection.Thing.ThingName", thing.name);
  if (!thing.type.empty()) context.set("iot:Connection.Thing.ThingTypeName", thing.type);
  for (const auto& [name, value] : thing.attributes) {
    context.set("iot:Connection.Thing.Attributes[" + name + "]", value);
  }
}

std::string refusal_of(const security::Certificate& certificate, std::int64_t now_ms) {
  if (certificate.status != security::CertificateStatus::kActive) {
    return "certificate is " + std::string(security::to_string(certificate.status));
  }
  if (certificate.not_after_ms != 0 && now_ms > certificate.not_after_ms) return "certificate has expired";
  if (certificate.not_before_ms != 0 && now_ms < certificate.not_before_ms) return "certificate is not valid yet";
  return {};
}

}  // namespace

Result<DeviceFacts> read_facts(store::Tx& tx, const Realm& realm, const FactsRequest& request,
                               iam::PolicyCache& cache) {
  DeviceFacts facts;
  facts.certificate_id = request.certificate_id;
  if (!request.client_id.empty()) facts.context.set("iot:ClientId", request.client_id);
  if (!request.source_ip.empty()) facts.context.set("aws:SourceIp", request.source_ip);
  if (!request.will_topic.empty()) {
    facts.context.set("iot:LastWillTopic",
                      "arn:aws:iot:" + realm.region + ":" + realm.account_id + ":topic/" + request.will_topic);
  }
  if (!request.domain_name.empty()) facts.context.set("iot:DomainName", request.domain_name);

  if (request.certificate_id.empty()) {
    const auto policy = security::find_policy(tx, request.plain_policy);
    if (!policy) {
      facts.refusal = "the plain listener's policy does not exist: " + request.plain_policy;
      return facts;
    }
    facts.policies.push_back(cache.get(policy->current().document, iam::PolicyUse::kIot));
    facts.policy_names.push_back(request.plain_policy);
    facts.context.set("iot:Connection.Thing.IsAttached", std::string("false"));
    facts.valid = true;
    return facts;
  }

  const auto certificate = security::find_certificate(tx, request.certificate_id);
  if (!certificate) {
    facts.refusal = "certificate is not registered";
    return facts;
  }
  facts.refusal = refusal_of(*certificate, tx.now_ms());
  facts.valid = facts.refusal.empty();
  if (!facts.valid) return facts;
  for (auto& [name, values] : security::certificate_variables(*certificate)) facts.context.set(name, std::move(values));
  bool attached = false;
  if (is_thing_name(request.thing) && security::is_attached(tx, realm, request.thing, request.certificate_id)) {
    if (const auto thing = registry::find_thing(tx, request.thing)) {
      attached = true;
      set_thing_variables(facts.context, *thing);
    }
  }
  facts.context.set("iot:Connection.Thing.IsAttached", std::string(attached ? "true" : "false"));
  for (const auto& policy : security::effective_policies(tx, realm, request.certificate_id)) {
    facts.policies.push_back(cache.get(policy.document, iam::PolicyUse::kIot));
    facts.policy_names.push_back(policy.name);
  }
  return facts;
}

bool allows(const DeviceFacts& facts, std::string_view action, std::string_view resource) {
  return allows(facts, action, resource, facts.context);
}

bool allows(const DeviceFacts& facts, std::string_view action, std::string_view resource,
            const iam::PolicyContext& context) {
  if (!facts.valid) return false;
  iam::PolicyRequest request;
  request.action = action;
  request.resource = resource;
  request.context = &context;
  return iam::evaluate(facts.policies, request).verdict == iam::Verdict::kAllow;
}

}  // namespace muster::api::device
