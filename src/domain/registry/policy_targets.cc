// SPDX-License-Identifier: Apache-2.0
// kPolicyTarget: (policy, target ARN) -> ""; kPrincipalPolicy: (target ARN, policy) -> "".
#include "domain/registry/policy_targets.h"

#include <set>

#include "domain/registry/certificates.h"
#include "domain/registry/groups.h"
#include "domain/registry/policies.h"
#include "domain/registry/principals.h"
#include "domain/registry/second_component.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::registry {

namespace {

constexpr std::size_t kPoliciesPerCertificate = 10;
constexpr std::size_t kPoliciesPerGroup = 2;

std::string policy_target_key(std::string_view policy, std::string_view target) {
  return store::Key(store::table::kPolicyTarget).text(policy).text(target).str();
}
std::string target_policy_key(std::string_view target, std::string_view policy) {
  return store::Key(store::table::kPrincipalPolicy).text(target).text(policy).str();
}

// All policies of a target: the quotas bound them.
std::vector<std::string> policies_of_target(store::Tx& tx, std::string_view target) {
  std::string prefix = store::Key(store::table::kPrincipalPolicy).text(target).str();
  std::vector<std::string> names;
  for (const store::KeyValue& item : tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = 100})) {
    store::KeyReader reader(item.key);
    reader.text();
    if (auto name = reader.text()) names.push_back(*std::move(name));
  }
  return names;
}

// The quota of the target, which must exist; none for dynamic groups.
Result<std::size_t> checked_target(store::Tx& tx, const Realm& realm, std::string_view target) {
  if (auto id = certificate_in_arn(realm, target)) {
    if (find_certificate(tx, *id)) return kPoliciesPerCertificate;
    return not_found("The certificate given in the request does not exist (arn=" + std::string(target) + ")");
  }
  if (auto group = name_in_iot_arn(realm, "thinggroup", target)) {
    TRY(ThingGroup found, get_group(tx, *group));
    return found.is_dynamic() ? 0 : kPoliciesPerGroup;
  }
  return invalid("Invalid target ARN: it must be the ARN of a certificate or a thing group of this account");
}

}  // namespace

bool has_targets(store::Tx& tx, std::string_view policy) {
  std::string prefix = store::Key(store::table::kPolicyTarget).text(policy).str();
  return !tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = 1}).empty();
}

Status attach_policy(store::Tx& tx, const Realm& realm, std::string_view name, std::string_view target) {
  TRY_VOID(get_policy(tx, name));
  TRY(std::size_t limit, checked_target(tx, realm, target));
  if (limit == 0) return invalid("Policies cannot be attached to a dynamic thing group: " + std::string(target));
  if (tx.get(policy_target_key(name, target))) return {};
  if (policies_of_target(tx, target).size() >= limit)
    return make_error(ErrorKind::kLimit,
                      "The target already has the maximum number of policies attached (" + std::to_string(limit) + ")");
  tx.put(policy_target_key(name, target), "");
  tx.put(target_policy_key(target, name), "");
  return {};
}

Status detach_policy(store::Tx& tx, const Realm& realm, std::string_view name, std::string_view target) {
  if (!tx.get(policy_target_key(name, target))) {
    TRY_VOID(get_policy(tx, name));
    TRY_VOID(checked_target(tx, realm, target));
    return {};
  }
  tx.erase(policy_target_key(name, target));
  tx.erase(target_policy_key(target, name));
  return {};
}

Status detach_all_policies(store::Tx& tx, std::string_view target) {
  for (const std::string& name : policies_of_target(tx, target)) {
    tx.erase(policy_target_key(name, target));
    tx.erase(target_policy_key(target, name));
  }
  return {};
}

Result<Page<std::string>> list_attached_policies(store::Tx& tx, const Realm& realm, std::string_view target,
                                                 bool recursive, const PageRequest& request) {
  TRY_VOID(checked_target(tx, realm, target));
  if (!recursive) return second_components(tx, {store::table::kPrincipalPolicy, target, "attached-policies"}, request);
  std::vector<std::string> targets{std::string(target)};
  if (auto name = name_in_iot_arn(realm, "thinggroup", target)) {
    auto group = find_group(tx, *name);
    if (group)
      for (const std::string& ancestor : group->ancestors) targets.push_back(group_arn(realm, ancestor));
  }
  TRY(std::string position, page_position("attached-policies-recursive", request.token));
  std::set<std::string> names;
  for (const std::string& one : targets)
    for (std::string& name : policies_of_target(tx, one)) names.insert(std::move(name));
  Page<std::string> page;
  for (auto at = names.upper_bound(position); at != names.end(); ++at) {
    if (page.items.size() == request.limit) {
      page.next_token = page_token("attached-policies-recursive", page.items.back());
      return page;
    }
    page.items.push_back(*at);
  }
  return page;
}

Result<Page<std::string>> list_policy_targets(store::Tx& tx, std::string_view name, const PageRequest& page) {
  TRY_VOID(get_policy(tx, name));
  return second_components(tx, {store::table::kPolicyTarget, name, "policy-targets"}, page);
}

std::vector<EffectivePolicy> effective_policies(store::Tx& tx, const Realm& realm, std::string_view certificate_id,
                                                std::string_view thing) {
  std::set<std::string> names;
  for (std::string& name : policies_of_target(tx, certificate_arn(realm, certificate_id)))
    names.insert(std::move(name));
  std::vector<std::string> things;
  if (thing.empty())
    things = things_of_certificate(tx, realm, certificate_id);
  else if (is_attached(tx, realm, thing, certificate_id))
    things.emplace_back(thing);
  std::set<std::string> groups;
  for (const std::string& one : things)
    for (std::string& group : groups_of_thing_with_ancestors(tx, one)) groups.insert(std::move(group));
  for (const std::string& group : groups)
    for (std::string& name : policies_of_target(tx, group_arn(realm, group))) names.insert(std::move(name));
  std::vector<EffectivePolicy> policies;
  for (const std::string& name : names) {
    auto policy = find_policy(tx, name);
    // An unreadable policy might have been a deny: its empty document compiles to none, which evaluates as deny all.
    if (policy)
      policies.push_back({name, policy->default_version, policy->current().document});
    else
      policies.push_back({name, 0, {}});
  }
  return policies;
}

}  // namespace muster::registry
