// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "api/services/iam/iam.h"
#include "base/text.h"
#include "domain/iam/simulate.h"

namespace muster::api::iam_service {

namespace {

using store::Tx;

Error invalid_input(std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message), "InvalidInput");
}

std::vector<iam::SourcePolicy> given_policies(const json::object& input, std::string_view member) {
  std::vector<iam::SourcePolicy> policies;
  for (std::string& document : texts_of_input(input, member))
    policies.push_back({std::string(member) + "." + std::to_string(policies.size() + 1), "none", std::move(document)});
  return policies;
}

void append(std::vector<iam::SourcePolicy>& to, std::vector<iam::SourcePolicy> from) {
  std::ranges::move(from, std::back_inserter(to));
}

std::string_view decision_word(iam::Verdict verdict) {
  return verdict == iam::Verdict::kAllow          ? "allowed"
         : verdict == iam::Verdict::kExplicitDeny ? "explicitDeny"
                                                  : "implicitDeny";
}

json::object position_shape(const iam::TextPosition& at) {
  return {{"Line", at.line}, {"Column", at.column}};
}

json::array matched_shape(const std::vector<iam::MatchedStatement>& matched) {
  json::array shape;
  for (const iam::MatchedStatement& one : matched)
    shape.push_back(json::object{{"SourcePolicyId", one.policy_id},
                                 {"SourcePolicyType", one.policy_type},
                                 {"StartPosition", position_shape(one.start)},
                                 {"EndPosition", position_shape(one.end)}});
  return shape;
}

json::array texts_shape(const std::vector<std::string>& texts) {
  json::array shape;
  for (const std::string& text : texts) shape.emplace_back(text);
  return shape;
}

// What an evaluation result and a resource-specific one have alike.
json::object common_shape(const iam::SimulationResult& result, const std::string& resource) {
  json::object shape{{"EvalResourceName", resource},
                     {"MatchedStatements", matched_shape(result.matched)},
                     {"MissingContextValues", texts_shape(result.missing)}};
  if (result.allowed_by_boundary)
    shape["PermissionsBoundaryDecisionDetail"] =
        json::object{{"AllowedByPermissionsBoundary", *result.allowed_by_boundary}};
  return shape;
}

json::object result_shape(const iam::SimulationResult& result, const std::string& action, const std::string& resource,
                          bool named) {
  json::object shape = common_shape(result, resource);
  shape["EvalActionName"] = action;
  shape["EvalDecision"] = decision_word(result.verdict);
  if (!named) return shape;
  json::object specific = common_shape(result, resource);
  specific["EvalResourceDecision"] = decision_word(result.verdict);
  shape["ResourceSpecificResults"] = json::array{std::move(specific)};
  return shape;
}

// Whom the simulation takes for the caller: CallerArn, else the source when that is a user.
struct Caller {
  std::string arn;
  iam::PolicyPrincipal principal;
  iam::PolicyContext context;
};

Result<Caller> caller_of(const IamServices& services, Tx& tx, const json::object& input, bool has_resource_policy) {
  Caller caller;
  const std::string users = "arn:aws:iam::" + services.realm.account_id + ":user/";
  caller.arn = get_string(input, "CallerArn");
  if (!caller.arn.empty() && !caller.arn.starts_with(users))
    return invalid_input("CallerArn must be the ARN of an IAM user of this account: " + caller.arn);
  if (caller.arn.empty() && get_string(input, "PolicySourceArn").starts_with(users))
    caller.arn = get_string(input, "PolicySourceArn");
  if (caller.arn.empty() && has_resource_policy)
    return invalid_input("CallerArn is required with a ResourcePolicy unless PolicySourceArn is a user.");
  caller.context.set("aws:PrincipalAccount", services.realm.account_id);
  if (caller.arn.empty()) return caller;
  caller.principal.arn = caller.arn;
  caller.principal.account_id = services.realm.account_id;
  const std::string name = caller.arn.substr(caller.arn.rfind('/') + 1);
  caller.context.set("aws:username", name);
  caller.context.set("aws:PrincipalArn", caller.arn);
  caller.context.set("aws:PrincipalType", std::string("User"));
  auto user = iam::find_user(tx, name);
  if (!user || iam::user_arn(services.realm, *user) != caller.arn) return caller;
  caller.context.set("aws:userid", user->id);
  for (const auto& [key, value] : user->tags) caller.context.set("aws:PrincipalTag/" + key, value);
  return caller;
}

Status add_entries(iam::PolicyContext& context, const json::object& input) {
  const json::array* entries = find_array(input, "ContextEntries");
  if (entries == nullptr) return {};
  for (const json::value& item : *entries) {
    const json::object* entry = item.if_object();
    if (entry == nullptr) continue;
    const std::string_view key = get_string(*entry, "ContextKeyName");
    const std::string_view type = get_string(*entry, "ContextKeyType", "string");
    if (key.empty()) return invalid_input("ContextEntries must name a ContextKeyName.");
    TRY_VOID(iam::add_context_entry(context, key, type, texts_of_input(*entry, "ContextKeyValues")));
  }
  return {};
}

// The page of actions times resources that Marker and MaxItems name; only that is evaluated.
Result<json::object> run(const IamServices& services, Tx& tx, const json::object& input,
                         std::vector<iam::SourcePolicy> identity, std::vector<iam::SourcePolicy> boundary) {
  std::vector<iam::SourcePolicy> resource_policy;
  if (has(input, "ResourcePolicy"))
    resource_policy.push_back({"ResourcePolicy", "resource", std::string(get_string(input, "ResourcePolicy"))});
  const std::string_view owner = get_string(input, "ResourceOwner");
  if (!owner.empty() && owner.find(services.realm.account_id) == std::string_view::npos)
    return invalid_input("ResourceOwner must be this account: there is no other.");
  TRY(Caller caller, caller_of(services, tx, input, !resource_policy.empty()));
  TRY_VOID(add_entries(caller.context, input));
  TRY(iam::Simulation simulation,
      iam::Simulation::make(std::move(identity), std::move(boundary), std::move(resource_policy)));
  const std::vector<std::string> actions = texts_of_input(input, "ActionNames");
  std::vector<std::string> resources = texts_of_input(input, "ResourceArns");
  const bool named = !resources.empty();
  if (!named) resources.emplace_back("*");

  const iam::ListNames list = list_of_input(input);
  std::size_t begin = 0;
  if (!list.marker.empty()) {
    auto text = from_base64(list.marker);
    auto index = text ? parse_int(*text) : std::nullopt;
    if (!index || *index < 0) return make_error(ErrorKind::kInvalid, "Invalid Marker.", "ValidationError");
    begin = static_cast<std::size_t>(*index);
  }
  const std::size_t total = actions.size() * resources.size();
  const std::size_t end = std::min(total, begin + list.limit);
  json::array results;
  for (std::size_t i = begin; i < end; ++i) {
    const std::string& action = actions[i / resources.size()];
    const std::string& resource = resources[i % resources.size()];
    const std::size_t colon = action.find(':');
    if (colon == 0 || colon == std::string::npos || action.find('*') != std::string::npos)
      return invalid_input("Invalid Action name: " + action);
    results.push_back(
        result_shape(simulation.decide(action, resource, caller.context, caller.principal), action, resource, named));
  }
  json::object output{{"EvaluationResults", std::move(results)}};
  mark_page(output, end < total ? to_base64(std::to_string(end)) : std::string());
  return output;
}

Result<json::object> simulate_principal(const IamServices& services, Tx& tx, const Call& call) {
  std::vector<iam::SourcePolicy> boundary;
  TRY(auto policies, iam::policies_of_entity(tx, services.realm, get_string(call.input, "PolicySourceArn"), &boundary));
  append(policies, given_policies(call.input, "PolicyInputList"));
  auto given = given_policies(call.input, "PermissionsBoundaryPolicyInputList");
  if (!given.empty()) boundary = std::move(given);
  return run(services, tx, call.input, std::move(policies), std::move(boundary));
}

Result<json::object> simulate_custom(const IamServices& services, Tx& tx, const Call& call) {
  return run(services, tx, call.input, given_policies(call.input, "PolicyInputList"),
             given_policies(call.input, "PermissionsBoundaryPolicyInputList"));
}

Result<json::object> keys_of(const std::vector<iam::SourcePolicy>& policies) {
  TRY(std::vector<std::string> keys, iam::context_keys(policies));
  return json::object{{"ContextKeyNames", texts_shape(keys)}};
}

Result<json::object> principal_keys(const IamServices& services, Tx& tx, const Call& call) {
  TRY(auto policies, iam::policies_of_entity(tx, services.realm, get_string(call.input, "PolicySourceArn"), nullptr));
  append(policies, given_policies(call.input, "PolicyInputList"));
  return keys_of(policies);
}

Result<json::object> custom_keys(const IamServices&, Tx&, const Call& call) {
  return keys_of(given_policies(call.input, "PolicyInputList"));
}

}  // namespace

void register_simulation(Operations& operations, const SharedIam& services) {
  auto add = [&](std::string_view operation, IamBody body) {
    operations.add("iam", operation, iam_handler(services, std::move(body)));
  };
  add("SimulatePrincipalPolicy", simulate_principal);
  add("SimulateCustomPolicy", simulate_custom);
  add("GetContextKeysForPrincipalPolicy", principal_keys);
  add("GetContextKeysForCustomPolicy", custom_keys);
}

}  // namespace muster::api::iam_service
