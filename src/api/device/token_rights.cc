// SPDX-License-Identifier: Apache-2.0
#include "api/device/token_rights.h"

#include "domain/security/custom_authorizers.h"

namespace muster::api::device {

iam::Principal token_principal(const Realm& realm, const TokenAnswer& answer) {
  iam::Principal principal;
  principal.kind = iam::PrincipalKind::kToken;
  principal.account_id = realm.account_id;
  principal.arn = security::authorizer_arn(realm, answer.authorizer_name);
  principal.name = principal.user_id = answer.principal_id;
  return principal;
}

TokenRights::TokenRights(const Realm& realm, const TokenQuestion& question, const TokenAnswer& answer)
    : prefix_("arn:aws:iot:" + realm.region + ":" + realm.account_id + ":") {
  for (const std::string& document : answer.policy_documents) {
    policies_.push_back(iam::compile_stored(document, iam::PolicyUse::kIot, nullptr));
  }
  if (!question.client_id.empty()) context_.set("iot:ClientId", question.client_id);
  context_.set("aws:SourceIp", question.source_ip);
  if (!question.server_name.empty()) context_.set("iot:DomainName", question.server_name);
  plain_context_ = context_.without_any_of("+#");
}

bool TokenRights::evaluate(std::string_view action, std::string_view resource,
                           const iam::PolicyContext& context) const {
  const iam::PolicyRequest asked{.action = action, .resource = resource, .context = &context};
  return iam::evaluate(policies_, asked).verdict == iam::Verdict::kAllow;
}

bool TokenRights::allows(std::string_view action, std::string_view resource) const {
  return evaluate(action, resource, context_);
}

bool TokenRights::allows(std::string_view action, std::string_view kind, std::string_view name) const {
  std::string resource = prefix_;
  resource.append(kind).append(name);
  return evaluate(action, resource, context_);
}

bool TokenRights::allows_filter(std::string_view filter) const {
  const std::string resource = prefix_ + "topicfilter/" + std::string(filter);
  if (!evaluate("iot:Subscribe", resource, context_)) return false;
  return filter.find_first_of("+#") == std::string_view::npos || evaluate("iot:Subscribe", resource, plain_context_);
}

}  // namespace muster::api::device
