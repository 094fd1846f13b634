// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/managed_policies.h"

#include <algorithm>

#include "api/services/iam/iam.h"
#include "base/text.h"

namespace muster::api::iam_service {

json::object policy_shape(store::Tx& tx, const iam::ManagedPolicy& policy) {
  std::int64_t attached = 0, boundaries = 0;
  for (const iam::PolicyUser& user : iam::users_of_policy(tx, policy.arn, true))
    ++(user.as_boundary ? boundaries : attached);
  return {{"PolicyName", policy.name},
          {"PolicyId", policy.id},
          {"Arn", policy.arn},
          {"Path", policy.path},
          {"DefaultVersionId", policy.default_version},
          {"AttachmentCount", attached},
          {"PermissionsBoundaryUsageCount", boundaries},
          {"IsAttachable", true},
          {"CreateDate", policy.created_ms},
          {"UpdateDate", policy.updated_ms}};
}

json::object version_shape(const iam::ManagedPolicy& policy, const iam::PolicyVersion& version, bool with_document) {
  json::object shape{{"VersionId", version.id},
                     {"IsDefaultVersion", version.id == policy.default_version},
                     {"CreateDate", version.created_ms}};
  if (with_document) shape["Document"] = percent_encode(version.document);
  return shape;
}

Result<std::vector<iam::ManagedPolicy>> all_policies(store::Tx& tx, const Realm& realm, bool own, bool by_aws) {
  std::vector<iam::ManagedPolicy> policies;
  if (by_aws) policies = iam::aws_managed_policies();
  iam::ListNames list;
  list.limit = 1000;
  while (own) {
    TRY(auto page, iam::list_managed_policies(tx, realm, list));
    std::ranges::move(page.items, std::back_inserter(policies));
    if (page.next_marker.empty()) break;
    list.marker = page.next_marker;
  }
  std::ranges::sort(policies, {}, &iam::ManagedPolicy::arn);
  return policies;
}

namespace {

using store::Tx;

std::string_view arn_of(const Call& call) {
  return get_string(call.input, "PolicyArn");
}

json::object whole_shape(Tx& tx, const iam::ManagedPolicy& policy) {
  json::object shape = policy_shape(tx, policy);
  if (!policy.description.empty()) shape["Description"] = policy.description;
  if (!policy.tags.empty()) shape["Tags"] = tags_shape(policy.tags);
  return shape;
}

Result<json::object> create_policy(const IamServices& services, Tx& tx, const Call& call) {
  iam::ManagedPolicy wanted;
  wanted.name = get_string(call.input, "PolicyName");
  wanted.path = path_of_input(call.input);
  wanted.description = get_string(call.input, "Description");
  wanted.tags = tags_of_input(call.input);
  TRY(iam::ManagedPolicy policy,
      iam::create_managed_policy(tx, services.realm, wanted, get_string(call.input, "PolicyDocument")));
  return json::object{{"Policy", whole_shape(tx, policy)}};
}

Result<json::object> get_policy(const IamServices& services, Tx& tx, const Call& call) {
  TRY(iam::ManagedPolicy policy, iam::get_managed_policy(tx, services.realm, arn_of(call)));
  return json::object{{"Policy", whole_shape(tx, policy)}};
}

// Whether somebody uses it in the way that PolicyUsageFilter names.
bool is_used(Tx& tx, const iam::ManagedPolicy& policy, std::string_view usage) {
  return std::ranges::any_of(iam::users_of_policy(tx, policy.arn, true), [&](const iam::PolicyUser& user) {
    return usage.empty() || user.as_boundary == (usage == "PermissionsBoundary");
  });
}

Result<json::object> list_policies(const IamServices& services, Tx& tx, const Call& call) {
  const std::string_view scope = get_string(call.input, "Scope", "All");
  const std::string_view usage = get_string(call.input, "PolicyUsageFilter");
  const std::string prefix = path_of_input(call.input, "PathPrefix");
  const bool only_used = get_bool(call.input, "OnlyAttached") || !usage.empty();
  TRY(auto policies, all_policies(tx, services.realm, scope != "AWS", scope != "Local"));
  std::erase_if(policies, [&](const iam::ManagedPolicy& policy) {
    return !policy.path.starts_with(prefix) || (only_used && !is_used(tx, policy, usage));
  });
  std::vector<std::string> arns;
  for (const iam::ManagedPolicy& policy : policies) arns.push_back(policy.arn);
  TRY(Slice page, slice_of_input(call.input, arns));
  json::array shown;
  for (std::size_t i = page.begin; i < page.end; ++i) shown.push_back(policy_shape(tx, policies[i]));
  json::object output{{"Policies", std::move(shown)}};
  mark_page(output, page.next_marker);
  return output;
}

Result<json::object> delete_policy(const IamServices& services, Tx& tx, const Call& call) {
  TRY_VOID(iam::delete_managed_policy(tx, services.realm, arn_of(call)));
  return json::object();
}

Result<json::object> create_version(const IamServices& services, Tx& tx, const Call& call) {
  TRY(iam::PolicyVersion version,
      iam::create_managed_version(tx, services.realm, arn_of(call), get_string(call.input, "PolicyDocument"),
                                  get_bool(call.input, "SetAsDefault")));
  TRY(iam::ManagedPolicy policy, iam::get_managed_policy(tx, services.realm, arn_of(call)));
  return json::object{{"PolicyVersion", version_shape(policy, version, false)}};
}

Result<json::object> get_version(const IamServices& services, Tx& tx, const Call& call) {
  TRY(iam::PolicyVersion version,
      iam::get_managed_version(tx, services.realm, arn_of(call), get_string(call.input, "VersionId")));
  TRY(iam::ManagedPolicy policy, iam::get_managed_policy(tx, services.realm, arn_of(call)));
  return json::object{{"PolicyVersion", version_shape(policy, version, true)}};
}

// Newest first, as AWS; five at most, so never more than a page unless MaxItems says so.
Result<json::object> list_versions(const IamServices& services, Tx& tx, const Call& call) {
  TRY(iam::ManagedPolicy policy, iam::get_managed_policy(tx, services.realm, arn_of(call)));
  std::ranges::reverse(policy.versions);
  std::vector<std::string> order;  // its place in the list, so that markers sort
  for (std::size_t i = 0; i < policy.versions.size(); ++i) order.push_back(std::to_string(i));
  TRY(Slice page, slice_of_input(call.input, order));
  json::array shown;
  for (std::size_t i = page.begin; i < page.end; ++i) shown.push_back(version_shape(policy, policy.versions[i], false));
  json::object output{{"Versions", std::move(shown)}};
  mark_page(output, page.next_marker);
  return output;
}

Result<json::object> delete_version(const IamServices& services, Tx& tx, const Call& call) {
  TRY_VOID(iam::delete_managed_version(tx, services.realm, arn_of(call), get_string(call.input, "VersionId")));
  return json::object();
}

Result<json::object> set_default(const IamServices& services, Tx& tx, const Call& call) {
  TRY_VOID(iam::set_default_managed_version(tx, services.realm, arn_of(call), get_string(call.input, "VersionId")));
  return json::object();
}

struct EntityRow {
  iam::EntityKind kind;
  std::string name, id;
};

Result<json::object> list_entities(const IamServices& services, Tx& tx, const Call& call) {
  TRY_VOID(iam::get_managed_policy(tx, services.realm, arn_of(call)));
  const std::string_view filter = get_string(call.input, "EntityFilter");
  const std::string_view usage = get_string(call.input, "PolicyUsageFilter");
  const std::string prefix = path_of_input(call.input, "PathPrefix");
  std::map<std::string, EntityRow> rows;  // a user may have it twice: attached and as boundary
  for (const iam::PolicyUser& user : iam::users_of_policy(tx, arn_of(call), true)) {
    if (!usage.empty() && user.as_boundary != (usage == "PermissionsBoundary")) continue;
    if (!filter.empty() && !equals_ignore_case(filter, iam::word(user.kind))) continue;
    auto entity = iam::find_entity(tx, user.kind, user.name);
    if (!entity || !entity->path.starts_with(prefix)) continue;
    rows.insert_or_assign(std::string(iam::word(user.kind)) + "/" + lower(user.name),
                          EntityRow{user.kind, entity->name, entity->id});
  }
  std::vector<std::string> keys;
  for (const auto& [key, row] : rows) keys.push_back(key);
  TRY(Slice page, slice_of_input(call.input, keys));
  json::array groups, users, roles;
  for (std::size_t i = page.begin; i < page.end; ++i) {
    const EntityRow& row = rows.at(keys[i]);
    if (row.kind == iam::EntityKind::kGroup) groups.push_back({{"GroupName", row.name}, {"GroupId", row.id}});
    if (row.kind == iam::EntityKind::kUser) users.push_back({{"UserName", row.name}, {"UserId", row.id}});
    if (row.kind == iam::EntityKind::kRole) roles.push_back({{"RoleName", row.name}, {"RoleId", row.id}});
  }
  json::object output{
      {"PolicyGroups", std::move(groups)}, {"PolicyUsers", std::move(users)}, {"PolicyRoles", std::move(roles)}};
  mark_page(output, page.next_marker);
  return output;
}

Result<json::object> tag_policy(const IamServices& services, Tx& tx, const Call& call) {
  TRY_VOID(iam::tag_managed_policy(tx, services.realm, arn_of(call), tags_of_input(call.input)));
  return json::object();
}

Result<json::object> untag_policy(const IamServices& services, Tx& tx, const Call& call) {
  TRY_VOID(iam::untag_managed_policy(tx, services.realm, arn_of(call), texts_of_input(call.input, "TagKeys")));
  return json::object();
}

Result<json::object> list_tags(const IamServices& services, Tx& tx, const Call& call) {
  TRY(iam::ManagedPolicy policy, iam::get_managed_policy(tx, services.realm, arn_of(call)));
  return tags_page(policy.tags, call.input);
}

}  // namespace

void register_managed_policies(Operations& operations, const SharedIam& services) {
  auto add = [&](std::string_view operation, IamBody body) {
    operations.add("iam", operation, iam_handler(services, std::move(body)));
  };
  add("CreatePolicy", create_policy);
  add("GetPolicy", get_policy);
  add("ListPolicies", list_policies);
  add("DeletePolicy", delete_policy);
  add("CreatePolicyVersion", create_version);
  add("GetPolicyVersion", get_version);
  add("ListPolicyVersions", list_versions);
  add("DeletePolicyVersion", delete_version);
  add("SetDefaultPolicyVersion", set_default);
  add("ListEntitiesForPolicy", list_entities);
  add("TagPolicy", tag_policy);
  add("UntagPolicy", untag_policy);
  add("ListPolicyTags", list_tags);
}

}  // namespace muster::api::iam_service
