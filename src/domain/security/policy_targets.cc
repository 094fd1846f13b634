// SPDX-License-Identifier: Apache-2.0
// Attaching policies and what is attached; the rows are registry/policy_links.h.
#include <set>

#include "domain/registry/group_records.h"
#include "domain/registry/groups.h"
#include "domain/registry/policy_links.h"
#include "domain/registry/second_component.h"
#include "domain/registry/things.h"
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
  if (is_identity(target)) return kPoliciesPerCertificate;
  return invalid(
      "Invalid target: it must be the ARN of a certificate or a thing group of this account, or an Amazon Cognito "
      "identity ID");
}

// With their ancestors; each group is read once, however many of the things are in it.
std::set<std::string> groups_of(store::Tx& tx, const std::vector<std::string>& things) {
  std::set<std::string> direct, names;
  for (const std::string& thing : things)
    for (std::string& group : registry::memberships_of(tx, thing)) direct.insert(std::move(group));
  for (const std::string& name : direct) {
    const auto group = registry::find_group(tx, name);
    if (!group) continue;
    names.insert(name);
    names.insert(group->ancestors.begin(), group->ancestors.end());
  }
  return names;
}

EffectiveRights gather(store::Tx& tx, const Realm& realm, std::string_view principal, std::vector<std::string> things) {
  EffectiveRights rights;
  rights.things = std::move(things);
  std::set<std::string> names;
  if (!principal.empty())
    for (std::string& name : registry::policies_of_target(tx, principal)) names.insert(std::move(name));
  const std::set<std::string> groups = groups_of(tx, rights.things);
  for (const std::string& group : groups)
    for (std::string& name : registry::policies_of_target(tx, registry::group_arn(realm, group)))
      names.insert(std::move(name));
  for (const std::string& name : names) {
    const auto policy = find_policy(tx, name);
    // An unreadable policy might have been a deny: its empty document compiles to none, which evaluates as deny all.
    if (policy)
      rights.policies.push_back({name, policy->default_version, policy->current().document});
    else
      rights.policies.push_back({name, 0, {}});
  }
  rights.groups.assign(groups.begin(), groups.end());
  return rights;
}

}  // namespace

Status attach_policy(store::Tx& tx, const Realm& realm, std::string_view name, std::string_view target) {
  TRY_VOID(get_policy(tx, name));
  TRY(std::size_t limit, checked_target(tx, realm, target));
  if (const auto id = certificate_in_arn(realm, target)) {
    const auto certificate = find_certificate(tx, *id);
    if (certificate && certificate->status == CertificateStatus::kPendingTransfer)
      return invalid("The certificate is being transferred (certificateId=" + *id + ")");
  }
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

EffectiveRights effective_rights(store::Tx& tx, const Realm& realm, std::string_view certificate_id,
                                 std::string_view thing) {
  std::vector<std::string> things;
  if (thing.empty())
    things = things_of_certificate(tx, realm, certificate_id);
  else if (is_attached(tx, realm, thing, certificate_id))
    things.emplace_back(thing);
  return gather(tx, realm, certificate_arn(realm, certificate_id), std::move(things));
}

std::vector<EffectivePolicy> effective_policies(store::Tx& tx, const Realm& realm, std::string_view certificate_id,
                                                std::string_view thing) {
  return effective_rights(tx, realm, certificate_id, thing).policies;
}

Result<EffectiveRights> rights_of(store::Tx& tx, const Realm& realm, const RightsOf& whom) {
  if (whom.principal.empty() && whom.thing.empty()) return invalid("principal or thingName must be given");
  if (!whom.thing.empty() && !registry::thing_exists(tx, whom.thing)) return registry::thing_not_found(whom.thing);
  if (whom.principal.empty()) return gather(tx, realm, {}, {std::string(whom.thing)});
  TRY_VOID(check_principal(tx, realm, whom.principal));
  std::vector<std::string> things;
  if (whom.thing.empty())
    things = things_of_principal(tx, whom.principal);
  else if (is_principal_attached(tx, whom.thing, whom.principal))
    things.emplace_back(whom.thing);
  return gather(tx, realm, whom.principal, std::move(things));
}

}  // namespace muster::security
