// SPDX-License-Identifier: Apache-2.0
#include "domain/security/what_if.h"

#include <algorithm>

#include "base/text.h"
#include "domain/iam/policy/explain.h"
#include "domain/security/certificates.h"
#include "domain/security/device_facts.h"
#include "domain/security/policies.h"
#include "domain/security/principals.h"

namespace muster::security {

namespace {

std::string_view action_of(std::string_view type) {
  static constexpr std::pair<std::string_view, std::string_view> kActions[] = {{"CONNECT", "iot:Connect"},
                                                                               {"PUBLISH", "iot:Publish"},
                                                                               {"SUBSCRIBE", "iot:Subscribe"},
                                                                               {"RECEIVE", "iot:Receive"}};
  for (const auto& [name, action] : kActions)
    if (name == type) return action;
  return {};
}

Result<DeviceFacts> facts_of(store::Tx& tx, const Realm& realm, const WhatIf& asked, iam::PolicyCache& cache) {
  FactsRequest request;
  request.client_id = asked.client_id;
  request.thing = asked.client_id;
  DeviceFacts facts;
  if (const auto id = certificate_in_arn(realm, asked.principal)) {
    request.certificate_id = *id;
    facts = rights_facts(tx, realm, request, cache);
  } else {
    if (!request.client_id.empty()) facts.context.set("iot:ClientId", request.client_id);
    facts.valid = true;
    if (!asked.principal.empty()) {
      TRY(const EffectiveRights rights, rights_of(tx, realm, {asked.principal, {}}));
      for (const EffectivePolicy& policy : rights.policies) {
        facts.policies.push_back(cache.get(policy.document, iam::PolicyUse::kIot));
        facts.policy_names.push_back(policy.name);
      }
    }
  }
  return facts;
}

Status change_policies(store::Tx& tx, const WhatIf& asked, iam::PolicyCache& cache, DeviceFacts& facts) {
  for (const std::string& name : asked.policies_to_skip) {
    const auto at = std::ranges::find(facts.policy_names, name);
    if (at == facts.policy_names.end()) continue;
    facts.policies.erase(facts.policies.begin() + (at - facts.policy_names.begin()));
    facts.policy_names.erase(at);
  }
  for (const std::string& name : asked.policies_to_add) {
    TRY(const Policy policy, get_policy(tx, name));
    if (std::ranges::find(facts.policy_names, name) != facts.policy_names.end()) continue;
    facts.policies.push_back(cache.get(policy.current().document, iam::PolicyUse::kIot));
    facts.policy_names.push_back(name);
  }
  return {};
}

// As AWS writes it; compiled policies know variables in lower case.
std::string variable_name(const std::string& lower_name) {
  static constexpr std::string_view kNames[] = {"iot:ClientId",
                                                "iot:CertificateId",
                                                "iot:DomainName",
                                                "iot:LastWillTopic",
                                                "iot:Connection.Thing.ThingName",
                                                "iot:Connection.Thing.ThingTypeName",
                                                "iot:Connection.Thing.IsAttached",
                                                "iot:Certificate.SerialNumber",
                                                "iot:Certificate.Subject.CommonName",
                                                "aws:SourceIp"};
  for (const std::string_view name : kNames)
    if (lower(name) == lower_name) return std::string(name);
  return lower_name;
}

void add_missing(const DeviceFacts& facts, std::string_view action, std::string_view resource,
                 std::vector<std::string>& missing) {
  iam::PolicyRequest request{action, resource, &facts.context, nullptr};
  const iam::Explained explained = iam::explain(facts.policies, request);
  for (const iam::StatementMiss& miss : explained.misses) {
    if (miss.by != iam::Stopped::kVariable) continue;
    for (const std::string& lower_name : miss.what) {
      std::string name = variable_name(lower_name);
      if (std::ranges::find(missing, name) == missing.end()) missing.push_back(std::move(name));
    }
  }
}

// The filter rule of subscriptions counts as it does at a connection.
iam::Verdict verdict_of(const DeviceFacts& facts, std::string_view action, const std::string& resource) {
  const iam::Verdict found = verdict(facts, action, resource);
  if (action != "iot:Subscribe" || found != iam::Verdict::kAllow) return found;
  const std::size_t at = resource.find("topicfilter/");
  const std::string_view filter =
      at == std::string::npos ? std::string_view() : std::string_view(resource).substr(at + 12);
  return allows_filter(facts, resource, filter) ? found : iam::Verdict::kImplicitDeny;
}

// An explicit deny of any resource, then the want of an allow of any.
iam::Verdict verdict_of_all(const DeviceFacts& facts, std::string_view action,
                            const std::vector<std::string>& resources) {
  iam::Verdict all = iam::Verdict::kAllow;
  for (const std::string& resource : resources) {
    const iam::Verdict one = verdict_of(facts, action, resource);
    if (one == iam::Verdict::kExplicitDeny) return one;
    if (one == iam::Verdict::kImplicitDeny) all = one;
  }
  return all;
}

Result<WhatIfAnswer> answer(const DeviceFacts& facts, const WhatIf::Question& question) {
  const std::string_view action = action_of(question.action);
  if (action.empty()) return invalid("authInfos must have an actionType: CONNECT, PUBLISH, SUBSCRIBE or RECEIVE");
  if (question.resources.empty()) return invalid("authInfos must have resources");
  for (const std::string& resource : question.resources)
    if (!parse_arn(resource)) return invalid("Invalid resource ARN: " + resource);
  WhatIfAnswer answer;
  answer.verdict = verdict_of_all(facts, action, question.resources);
  for (std::size_t i = 0; i < facts.policies.size(); ++i) {
    DeviceFacts alone;
    alone.valid = true;
    alone.policies = {facts.policies[i]};
    alone.context = facts.context;
    bool allows_one = false, denies_one = false;
    for (const std::string& resource : question.resources) {
      const iam::Verdict one = verdict_of(alone, action, resource);
      allows_one = allows_one || one == iam::Verdict::kAllow;
      denies_one = denies_one || one == iam::Verdict::kExplicitDeny;
    }
    auto& list = denies_one ? answer.denying : allows_one ? answer.allowing : answer.silent;
    list.push_back(facts.policy_names[i]);
  }
  for (const std::string& resource : question.resources) add_missing(facts, action, resource, answer.missing);
  return answer;
}

}  // namespace

Result<std::vector<WhatIfAnswer>> what_if(store::Tx& tx, const Realm& realm, const WhatIf& asked,
                                          iam::PolicyCache& cache) {
  if (asked.principal.empty() && asked.policies_to_add.empty())
    return invalid("principal or policyNamesToAdd must be given");
  if (!asked.principal.empty()) TRY_VOID(check_principal(tx, realm, asked.principal));
  TRY(DeviceFacts facts, facts_of(tx, realm, asked, cache));
  TRY_VOID(change_policies(tx, asked, cache, facts));
  std::vector<WhatIfAnswer> answers;
  for (const WhatIf::Question& question : asked.questions) {
    TRY(WhatIfAnswer one, answer(facts, question));
    answers.push_back(std::move(one));
  }
  return answers;
}

}  // namespace muster::security
