// SPDX-License-Identifier: Apache-2.0
// GetEffectivePolicies and TestAuthorization: what policies make of a principal.
#include "api/services/iot/jobs_shapes.h"
#include "api/services/iot/things_handler.h"
#include "api/services/security/certificate_shapes.h"
#include "domain/iam/policy/cache.h"
#include "domain/security/policies.h"
#include "domain/security/what_if.h"

namespace muster::api::iot {

namespace {

using store::Tx;

Result<json::object> effective(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY(const auto rights,
      security::rights_of(tx, services.realm, {get_string(input, "principal"), get_string(input, "thingName")}));
  json::array policies;
  for (const security::EffectivePolicy& policy : rights.policies)
    policies.push_back(json::object{{"policyName", policy.name},
                                    {"policyArn", security::policy_arn(services.realm, policy.name)},
                                    {"policyDocument", policy.document}});
  return json::object{{"effectivePolicies", std::move(policies)}};
}

json::object policies_shape(const Realm& realm, const std::vector<std::string>& names) {
  json::array policies;
  for (const std::string& name : names)
    policies.push_back(json::object{{"policyName", name}, {"policyArn", security::policy_arn(realm, name)}});
  return json::object{{"policies", std::move(policies)}};
}

std::string_view decision_text(iam::Verdict verdict) {
  if (verdict == iam::Verdict::kAllow) return "ALLOWED";
  return verdict == iam::Verdict::kExplicitDeny ? "EXPLICIT_DENY" : "IMPLICIT_DENY";
}

security::WhatIf what_if_of_input(const json::object& input) {
  security::WhatIf asked;
  asked.principal = get_string(input, "principal");
  asked.client_id = get_string(input, "clientId");
  asked.policies_to_add = text_list(input, "policyNamesToAdd");
  asked.policies_to_skip = text_list(input, "policyNamesToSkip");
  const json::array* questions = find_array(input, "authInfos");
  if (questions == nullptr) return asked;
  for (const json::value& item : *questions) {
    const json::object* question = item.if_object();
    if (question == nullptr) continue;
    asked.questions.push_back({std::string(get_string(*question, "actionType")), text_list(*question, "resources")});
  }
  return asked;
}

Result<json::object> test_authorization(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  const security::WhatIf asked = what_if_of_input(input);
  iam::PolicyCache cache;
  TRY(const auto answers, security::what_if(tx, services.realm, asked, cache));
  json::array results;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const security::WhatIfAnswer& answer = answers[i];
    const security::WhatIf::Question& question = asked.questions[i];
    json::object denied{{"implicitDeny", policies_shape(services.realm, answer.silent)},
                        {"explicitDeny", policies_shape(services.realm, answer.denying)}};
    results.push_back(json::object{
        {"authInfo", json::object{{"actionType", question.action}, {"resources", string_list(question.resources)}}},
        {"allowed", policies_shape(services.realm, answer.allowing)},
        {"denied", std::move(denied)},
        {"authDecision", decision_text(answer.verdict)},
        {"missingContextValues", string_list(answer.missing)}});
  }
  return json::object{{"authResults", std::move(results)}};
}

}  // namespace

void register_policy_questions(Operations& operations, const SharedRegistry& services) {
  operations.add("iot", "GetEffectivePolicies", registry_handler(services, effective));
  operations.add("iot", "TestAuthorization", registry_handler(services, test_authorization));
}

}  // namespace muster::api::iot
