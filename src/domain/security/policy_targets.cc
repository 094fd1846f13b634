// SPDX-License-Identifier: Apache-2.0
// Attaching policies and what is attached; the rows are registry/policy_links.h.
#include <set>

#include "domain/registry/groups.h"
#include "domain/registry/policy_links.h"
#include "domain/registry/second_component.h"
#include "domain/security/certificates.h"
#include "domain/security/policies.h"
#include "domain/security/principals.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::security {

namespace {

constexpr std::size_t kPoliciesPerCertificate = 10;
constexpr std::size_t kPoliciesPerGroup = 2;

// The quota of the target, which must exist; none for dynamic groups.
Result<std::size_t> checked_target(store::Tx& tx, const Realm& realm, std::string_view target) {
  if (auto id = certificate_in_arn(realm, target)) {
    if (find_certificate(tx, *id)) return kPoliciesPerCertificate;
    return not_found("The certificate given in the request does not exist (arn=" + std::string(target) + ")");
  }
  if (auto group = name_in_iot_arn(realm, "thinggroup", target)) {
    TRY(registry::ThingGroup found, registry::get_group(tx, *group));
    return found.is_dynamic() ? 0 : kPoliciesPerGroup;
  }
  return invalid("Invalid target ARN: it must be the ARN of a certificate or a thing group of this account");
}

}  // namespace

Status attach_policy(store::Tx& tx, const Realm& realm, std::string_view name, std::string_view target) {
  TRY_VOID(get_policy(tx, name));
  TRY(std::size_t limit, checked_target(tx, realm, target));
  if (limit == 0) return invalid("Policies cannot be attached to a dynamic thing group: " + std::string(target));
  if (registry::is_policy_linked(tx, name, target)) return {};
  if (registry::policies_of_target(tx, target).size() >= limit)
    return make_error(ErrorKind::kLimit,
                      "The target already has the maximum number of policies attached (" + std::to_string(limit) + ")");
  registry::link_policy(tx, name, target);
  return {};
}

Status detach_policy(store::Tx& tx, const Realm& realm, std::string_view name, std::string_view target) {
  if (!registry::is_policy_linked(tx, name, target)) {
    TRY_VOID(get_policy(tx, name));
    TRY_VOID(checked_target(tx, realm, target));
    return {};
  }
  registry::unlink_policy(tx, name, target);
  return {};
}

Result<registry::Page<std::string>> list_attached_policies(store::Tx& tx, const Realm& realm, std::string_view target,
                                                           bool recursive, const registry::PageRequest& request) {
  TRY_VOID(checked_target(tx, realm, target));
  if (!recursive)
    return registry::second_components(tx, {store::table::kPrincipalPolicy, target, "attached-policies"}, request);
  std::vector<std::string> targets{std::string(target)};
  if (auto name = name_in_iot_arn(realm, "thinggroup", target)) {
    auto group = registry::find_group(tx, *name);
    if (group)
      for (const std::string& ancestor : group->ancestors) targets.push_back(registry::group_arn(realm, ancestor));
  }
  TRY(std::string position, registry::page_position("attached-policies-recursive", request.token));
  std::set<std::string> names;
  for (const std::string& one : targets)
    for (std::string& name : registry::policies_of_target(tx, one)) names.insert(std::move(name));
  registry::Page<std::string> page;
  for (auto at = names.upper_bound(position); at != names.end(); ++at) {
    if (page.items.size() == request.limit) {
      page.next_token = registry::page_token("attached-policies-recursive", page.items.back());
      return page;
    }
    page.items.push_back(*at);
  }
  return page;
}

Result<registry::Page<std::string>> list_policy_targets(store::Tx& tx, std::string_view name,
                                                        const registry::PageRequest& page) {
  TRY_VOID(get_policy(tx, name));
  return registry::second_components(tx, {store::table::kPolicyTarget, name, "policy-targets"}, page);
}

std::vector<EffectivePolicy> effective_policies(store::Tx& tx, const Realm& realm, std::string_view certificate_id,
                                                std::string_view thing) {
  std::set<std::string> names;
  for (std::string& name : registry::policies_of_target(tx, certificate_arn(realm, certificate_id)))
    names.insert(std::move(name));
  std::vector<std::string> things;
  if (thing.empty())
    things = things_of_certificate(tx, realm, certificate_id);
  else if (is_attached(tx, realm, thing, certificate_id))
    things.emplace_back(thing);
  std::set<std::string> groups;
  for (const std::string& one : things)
    for (std::string& group : registry::groups_of_thing_with_ancestors(tx, one)) groups.insert(std::move(group));
  for (const std::string& group : groups)
    for (std::string& name : registry::policies_of_target(tx, registry::group_arn(realm, group)))
      names.insert(std::move(name));
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

}  // namespace muster::security
