// SPDX-License-Identifier: Apache-2.0
// GetAccountAuthorizationDetails, GetAccountSummary, ListAccountAliases, GetAccessKeyLastUsed.
#include <algorithm>
#include <functional>

#include "api/services/iam/iam.h"
#include "base/text.h"
#include "domain/iam/counts.h"
#include "domain/iam/groups.h"
#include "domain/iam/managed_policies.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::api::iam_service {

namespace {

using store::Tx;

json::array policy_details(const std::map<std::string, std::string>& policies) {
  json::array shape;
  for (const auto& [name, document] : policies)
    shape.push_back(json::object{{"PolicyName", name}, {"PolicyDocument", percent_encode(document)}});
  return shape;
}

json::object user_detail(const IamServices& services, Tx& tx, const iam::User& user) {
  json::object shape = user_shape(services.realm, user);
  json::array groups;
  std::vector<iam::EntityName> names;
  for (std::string& name : iam::groups_of_user(tx, user.name, true))
    names.push_back({iam::EntityKind::kGroup, std::move(name)});
  for (const auto& group : iam::find_entities(tx, names))
    if (group) groups.emplace_back(group->name);
  shape["GroupList"] = std::move(groups);
  shape["UserPolicyList"] = policy_details(user.policies);
  shape["AttachedManagedPolicies"] = attached_shape(user.attached);
  shape["Tags"] = tags_shape(user.tags);
  return shape;
}

json::object role_detail(const IamServices& services, const iam::Role& role) {
  json::object shape = role_shape(services.realm, role);
  shape.erase("Description");
  shape.erase("MaxSessionDuration");
  shape["InstanceProfileList"] = json::array();
  shape["RolePolicyList"] = policy_details(role.policies);
  shape["AttachedManagedPolicies"] = attached_shape(role.attached);
  shape["Tags"] = tags_shape(role.tags);
  return shape;
}

json::object group_detail(const IamServices& services, const iam::Entity& group) {
  json::object shape = group_shape(services.realm, group);
  shape["GroupPolicyList"] = policy_details(group.policies);
  shape["AttachedManagedPolicies"] = attached_shape(group.attached);
  return shape;
}

json::object policy_detail(Tx& tx, const iam::ManagedPolicy& policy) {
  json::object shape = policy_shape(tx, policy);
  if (!policy.description.empty()) shape["Description"] = policy.description;
  json::array versions;
  for (const iam::PolicyVersion& version : policy.versions) versions.push_back(version_shape(policy, version, true));
  shape["PolicyVersionList"] = std::move(versions);
  return shape;
}

template <class T, class Shape>
SectionPage show(json::object& output, const char* list, const iam::NamePage<T>& page, Shape&& shape) {
  json::array& shown = output[list].as_array();
  for (const T& item : page.items) shown.push_back(shape(item));
  return {page.items.size(), page.next_marker};
}

std::vector<Section> detail_sections(const IamServices& services, Tx& tx, json::object& output) {
  Section users = [&](const iam::ListNames& list) -> Result<SectionPage> {
    TRY(auto page, iam::list_users(tx, list));
    return show(output, "UserDetailList", page, [&](const iam::User& one) { return user_detail(services, tx, one); });
  };
  Section groups = [&](const iam::ListNames& list) -> Result<SectionPage> {
    TRY(auto page, iam::list_groups(tx, list));
    return show(output, "GroupDetailList", page, [&](const iam::Entity& one) { return group_detail(services, one); });
  };
  Section roles = [&](const iam::ListNames& list) -> Result<SectionPage> {
    TRY(auto page, iam::list_roles(tx, list));
    return show(output, "RoleDetailList", page, [&](const iam::Role& one) { return role_detail(services, one); });
  };
  auto policy = [&tx](const iam::ManagedPolicy& one) { return policy_detail(tx, one); };
  Section own = [&, policy](const iam::ListNames& list) -> Result<SectionPage> {
    TRY(auto page, iam::list_managed_policies(tx, services.realm, list));
    return show(output, "Policies", page, policy);
  };
  Section by_aws = [&, policy](const iam::ListNames& list) -> Result<SectionPage> {
    auto is_used = [&](const iam::ManagedPolicy& one) {
      const iam::PolicyUses uses = iam::uses_of_policy(tx, one.arn);
      return uses.attached + uses.boundaries > 0;
    };
    return show(output, "Policies", aws_policies(list, is_used), policy);
  };
  return {std::move(users), std::move(groups), std::move(roles), std::move(own), std::move(by_aws)};
}

Result<json::object> authorization_details(const IamServices& services, Tx& tx, const Call& call) {
  json::object output;
  for (const char* list : {"UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"})
    output[list] = json::array();
  std::vector<Section> sections;
  const std::vector<std::string> filter = texts_of_input(call.input, "Filter");
  constexpr std::string_view kKinds[] = {"User", "Group", "Role", "LocalManagedPolicy", "AWSManagedPolicy"};
  std::vector<Section> all = detail_sections(services, tx, output);
  for (std::size_t i = 0; i < all.size(); ++i)
    if (filter.empty() || std::ranges::find(filter, kKinds[i]) != filter.end()) sections.push_back(std::move(all[i]));
  TRY(const std::string next, page_of_sections(call.input, sections));
  mark_page(output, next);
  return output;
}

std::int64_t count_rows(Tx& tx, char table) {
  const std::string prefix(1, table);
  std::string begin = prefix;
  std::int64_t count = 0;
  for (;;) {
    auto found = tx.range({.begin = begin, .end = store::after_prefix(prefix), .limit = 1000, .snapshot = true});
    count += static_cast<std::int64_t>(found.size());
    if (found.size() < 1000) return count;
    begin = store::after_key(found.back().key);
  }
}

// Counts, and those quotas that are enforced here.
Result<json::object> account_summary(const IamServices&, Tx& tx, const Call&) {
  using iam::Counted;
  TRY(auto root_keys, iam::list_access_keys(tx, ""));
  json::object map{{"Users", iam::count_of(tx, Counted::kUsers)},
                   {"UsersQuota", iam::quota_of(Counted::kUsers)},
                   {"Groups", iam::count_of(tx, Counted::kGroups)},
                   {"GroupsQuota", iam::quota_of(Counted::kGroups)},
                   {"Roles", iam::count_of(tx, Counted::kRoles)},
                   {"RolesQuota", iam::quota_of(Counted::kRoles)},
                   {"Providers", count_rows(tx, store::table::kOidcProvider)},
                   {"Policies", iam::count_of(tx, Counted::kPolicies)},
                   {"PoliciesQuota", iam::quota_of(Counted::kPolicies)},
                   {"PolicyVersionsInUse", iam::count_of(tx, Counted::kPolicyVersions)},
                   {"AccountAccessKeysPresent", root_keys.empty() ? 0 : 1},
                   {"AccountMFAEnabled", 0},
                   {"MFADevices", 0},
                   {"MFADevicesInUse", 0},
                   {"AccessKeysPerUserQuota", 2},
                   {"GroupsPerUserQuota", 10},
                   {"AttachedPoliciesPerUserQuota", 10},
                   {"AttachedPoliciesPerRoleQuota", 10},
                   {"AttachedPoliciesPerGroupQuota", 10},
                   {"UserPolicySizeQuota", 2048},
                   {"RolePolicySizeQuota", 10240},
                   {"GroupPolicySizeQuota", 5120},
                   {"AssumeRolePolicySizeQuota", 2048},
                   {"PolicySizeQuota", 6144},
                   {"VersionsPerPolicyQuota", 5}};
  return json::object{{"SummaryMap", std::move(map)}};
}

Result<json::object> account_aliases(const IamServices&, Tx&, const Call&) {
  return json::object{{"AccountAliases", json::array()}, {"IsTruncated", false}};
}

Result<json::object> key_last_used(const IamServices& services, Tx& tx, const Call& call) {
  const std::string_view id = get_string(call.input, "AccessKeyId");
  auto key = iam::find_access_key(tx, id);
  if (!key)
    return make_error(ErrorKind::kNotFound, "The Access Key with id " + std::string(id) + " cannot be found.",
                      "NoSuchEntity");
  auto use = services.credentials != nullptr ? services.credentials->last_used(tx, id) : std::nullopt;
  json::object used{{"ServiceName", use ? use->service : "N/A"}, {"Region", use ? services.realm.region : "N/A"}};
  if (use) used["LastUsedDate"] = use->at_ms;
  json::object output{{"AccessKeyLastUsed", std::move(used)}};
  if (!key->user.empty()) output["UserName"] = key->user;
  return output;
}

}  // namespace

void register_account(Operations& operations, const SharedIam& services) {
  auto add = [&](std::string_view operation, IamBody body) {
    operations.add("iam", operation, iam_handler(services, std::move(body)));
  };
  add("GetAccountAuthorizationDetails", authorization_details);
  add("GetAccountSummary", account_summary);
  add("ListAccountAliases", account_aliases);
  add("GetAccessKeyLastUsed", key_last_used);
}

}  // namespace muster::api::iam_service
