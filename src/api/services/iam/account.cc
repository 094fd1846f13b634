// SPDX-License-Identifier: Apache-2.0
// GetAccountAuthorizationDetails, GetAccountSummary, ListAccountAliases, GetAccessKeyLastUsed.
#include <algorithm>
#include <functional>

#include "api/services/iam/iam.h"
#include "base/text.h"
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
  for (const std::string& name : iam::groups_of_user(tx, user.name))
    if (auto group = iam::find_entity(tx, iam::EntityKind::kGroup, name)) groups.emplace_back(group->name);
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

// Every entry of the details by a key that orders them, and what makes its shape when it is on the page.
struct Details {
  struct Entry {
    const char* list;
    std::function<json::object()> make;
  };
  std::map<std::string, Entry> entries;
};

template <class Page, class Each>
Status each_page(Page&& page_of, Each&& each) {
  iam::ListNames list;
  list.limit = 1000;
  for (;;) {
    TRY(auto page, page_of(list));
    for (auto& item : page.items) each(item);
    if (page.next_marker.empty()) return {};
    list.marker = page.next_marker;
  }
}

Status collect(const IamServices& services, Tx& tx, const std::vector<std::string>& filter, Details& details) {
  auto wanted = [&](std::string_view kind) {
    return filter.empty() || std::ranges::find(filter, kind) != filter.end();
  };
  auto& entries = details.entries;
  if (wanted("User"))
    TRY_VOID(each_page([&](const iam::ListNames& list) { return iam::list_users(tx, list); },
                       [&](iam::User& user) {
                         entries["1/" + lower(user.name)] = {
                             "UserDetailList", [&services, &tx, user] { return user_detail(services, tx, user); }};
                       }));
  if (wanted("Group"))
    TRY_VOID(each_page([&](const iam::ListNames& list) { return iam::list_groups(tx, list); },
                       [&](iam::Entity& group) {
                         entries["2/" + lower(group.name)] = {
                             "GroupDetailList", [&services, group] { return group_detail(services, group); }};
                       }));
  if (wanted("Role"))
    TRY_VOID(each_page([&](const iam::ListNames& list) { return iam::list_roles(tx, list); },
                       [&](iam::Role& role) {
                         entries["3/" + lower(role.name)] = {"RoleDetailList",
                                                             [&services, role] { return role_detail(services, role); }};
                       }));
  TRY(auto policies, all_policies(tx, services.realm, wanted("LocalManagedPolicy"), wanted("AWSManagedPolicy")));
  for (const iam::ManagedPolicy& policy : policies) {
    if (policy.by_aws && iam::users_of_policy(tx, policy.arn, true).empty()) continue;
    entries["4/" + policy.arn] = {"Policies", [&tx, policy] { return policy_detail(tx, policy); }};
  }
  return {};
}

Result<json::object> authorization_details(const IamServices& services, Tx& tx, const Call& call) {
  Details details;
  TRY_VOID(collect(services, tx, texts_of_input(call.input, "Filter"), details));
  std::vector<std::string> keys;
  for (const auto& [key, entry] : details.entries) keys.push_back(key);
  TRY(Slice page, slice_of_input(call.input, keys));
  json::object output;
  for (const char* list : {"UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"})
    output[list] = json::array();
  for (std::size_t i = page.begin; i < page.end; ++i) {
    const Details::Entry& entry = details.entries.at(keys[i]);
    output[entry.list].as_array().push_back(entry.make());
  }
  mark_page(output, page.next_marker);
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
Result<json::object> account_summary(const IamServices& services, Tx& tx, const Call&) {
  TRY(auto policies, all_policies(tx, services.realm, true, false));
  TRY(auto root_keys, iam::list_access_keys(tx, ""));
  std::int64_t versions = 0;
  for (const iam::ManagedPolicy& policy : policies) versions += static_cast<std::int64_t>(policy.versions.size());
  json::object map{{"Users", count_rows(tx, store::table::kUser)},
                   {"Groups", count_rows(tx, store::table::kIamGroup)},
                   {"Roles", count_rows(tx, store::table::kRole)},
                   {"Providers", count_rows(tx, store::table::kOidcProvider)},
                   {"Policies", static_cast<std::int64_t>(policies.size())},
                   {"PolicyVersionsInUse", versions},
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
