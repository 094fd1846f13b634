// SPDX-License-Identifier: Apache-2.0
#include "domain/security/device_facts.h"

#include "domain/iam/policy/blanket.h"
#include "domain/registry/things.h"
#include "domain/security/certificates.h"
#include "domain/security/policies.h"
#include "domain/security/principals.h"

namespace muster::security {

namespace {

void set_thing_variables(iam::PolicyContext& context, const registry::Thing& thing) {
  context.set("iot:Connection.Thing.ThingName", thing.name);
  if (!thing.type.empty()) context.set("iot:Connection.Thing.ThingTypeName", thing.type);
  for (const auto& [name, value] : thing.attributes) {
    context.set("iot:Connection.Thing.Attributes[" + name + "]", value);
  }
}

std::string refusal_of(const Certificate& certificate, std::int64_t now_ms) {
  if (certificate.status != CertificateStatus::kActive) {
    return "certificate is " + std::string(to_string(certificate.status));
  }
  if (certificate.not_after_ms != 0 && now_ms > certificate.not_after_ms) return "certificate has expired";
  if (certificate.not_before_ms != 0 && now_ms < certificate.not_before_ms) return "certificate is not valid yet";
  return {};
}

void depend(DeviceFacts& facts, RightsKind kind, std::string_view name) {
  facts.made_of.push_back(PolicyGenerations::slot(kind, name));
}

DeviceFacts facts_of_connection(const Realm& realm, const FactsRequest& request) {
  DeviceFacts facts;
  facts.certificate_id = request.certificate_id;
  if (!request.client_id.empty()) facts.context.set("iot:ClientId", request.client_id);
  if (!request.source_ip.empty()) facts.context.set("aws:SourceIp", request.source_ip);
  if (!request.will_topic.empty()) {
    facts.context.set("iot:LastWillTopic",
                      "arn:aws:iot:" + realm.region + ":" + realm.account_id + ":topic/" + request.will_topic);
  }
  if (!request.domain_name.empty()) facts.context.set("iot:DomainName", request.domain_name);
  if (request.certificate_id.empty())
    depend(facts, RightsKind::kPolicy, request.plain_policy);
  else
    depend(facts, RightsKind::kCertificate, request.certificate_id);
  return facts;
}

void add_policy(DeviceFacts& facts, const std::string& name, const std::string& document, iam::PolicyCache& cache) {
  facts.policies.push_back(cache.get(document, iam::PolicyUse::kIot));
  facts.policy_names.push_back(name);
}

void read_plain(store::Tx& tx, const FactsRequest& request, iam::PolicyCache& cache, DeviceFacts& facts) {
  const auto policy = find_policy(tx, request.plain_policy);
  if (!policy) {
    facts.refusal = "the plain listener's policy does not exist: " + request.plain_policy;
    return;
  }
  add_policy(facts, request.plain_policy, policy->current().document, cache);
  facts.context.set("iot:Connection.Thing.IsAttached", std::string("false"));
  facts.valid = true;
}

void read_rights(store::Tx& tx, const Realm& realm, const FactsRequest& request, iam::PolicyCache& cache,
                 const Certificate& certificate, DeviceFacts& facts) {
  for (auto& [name, values] : certificate_variables(certificate)) facts.context.set(name, std::move(values));
  std::string thing_name = request.thing;
  if (!request.client_id.empty())
    if (auto exclusive = exclusive_thing(tx, realm, certificate.id)) thing_name = *std::move(exclusive);
  bool attached = false;
  if (is_thing_name(thing_name) && is_attached(tx, realm, thing_name, certificate.id)) {
    depend(facts, RightsKind::kThing, thing_name);
    if (const auto thing = registry::find_thing(tx, thing_name)) {
      attached = true;
      set_thing_variables(facts.context, *thing);
    }
  }
  facts.context.set("iot:Connection.Thing.IsAttached", std::string(attached ? "true" : "false"));
  const EffectiveRights rights = effective_rights(tx, realm, certificate.id);
  for (const EffectivePolicy& policy : rights.policies) {
    depend(facts, RightsKind::kPolicy, policy.name);
    add_policy(facts, policy.name, policy.document, cache);
  }
  for (const std::string& name : rights.things) depend(facts, RightsKind::kThing, name);
  for (const std::string& name : rights.groups) depend(facts, RightsKind::kGroup, name);
}

}  // namespace

Result<DeviceFacts> read_facts(store::Tx& tx, const Realm& realm, const FactsRequest& request,
                               iam::PolicyCache& cache) {
  DeviceFacts facts = facts_of_connection(realm, request);
  if (request.certificate_id.empty()) {
    read_plain(tx, request, cache, facts);
    return facts;
  }
  const auto certificate = find_certificate(tx, request.certificate_id);
  facts.refusal = certificate ? refusal_of(*certificate, tx.now_ms()) : "certificate is not registered";
  facts.valid = facts.refusal.empty();
  if (certificate) facts.not_after_ms = certificate->not_after_ms;
  if (facts.valid) read_rights(tx, realm, request, cache, *certificate, facts);
  return facts;
}

DeviceFacts rights_facts(store::Tx& tx, const Realm& realm, const FactsRequest& request, iam::PolicyCache& cache) {
  DeviceFacts facts = facts_of_connection(realm, request);
  const auto certificate = find_certificate(tx, request.certificate_id);
  if (certificate) read_rights(tx, realm, request, cache, *certificate, facts);
  facts.valid = true;
  return facts;
}

void replace_policy(DeviceFacts& facts, std::string_view name, std::string_view document, iam::PolicyCache& cache) {
  for (std::size_t i = 0; i < facts.policy_names.size(); ++i)
    if (facts.policy_names[i] == name) facts.policies[i] = cache.get(document, iam::PolicyUse::kIot);
}

namespace {

iam::Verdict verdict_in(const DeviceFacts& facts, std::string_view action, std::string_view resource,
                        const iam::PolicyContext& context) {
  if (!facts.valid) return iam::Verdict::kImplicitDeny;
  iam::PolicyRequest request;
  request.action = action;
  request.resource = resource;
  request.context = &context;
  return iam::evaluate(facts.policies, request).verdict;
}

}  // namespace

iam::Verdict verdict(const DeviceFacts& facts, std::string_view action, std::string_view resource) {
  return verdict_in(facts, action, resource, facts.context);
}

bool allows(const DeviceFacts& facts, std::string_view action, std::string_view resource) {
  return verdict(facts, action, resource) == iam::Verdict::kAllow;
}

bool allows_all_below(const DeviceFacts& facts, std::string_view action, std::string_view prefix) {
  return facts.valid && iam::allows_all_below(facts.policies, action, prefix, facts.context);
}

bool allows_filter(const DeviceFacts& facts, std::string_view resource, std::string_view filter) {
  if (!allows(facts, "iot:Subscribe", resource)) return false;
  return filter.find_first_of("+#") == std::string_view::npos ||
         verdict_in(facts, "iot:Subscribe", resource, facts.context.without_any_of("+#")) == iam::Verdict::kAllow;
}

}  // namespace muster::security
