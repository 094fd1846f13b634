// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/managed_policies.h"

#include <algorithm>

#include "api/services/iam/iam.h"
#include "base/text.h"
#include "domain/iam/counts.h"

namespace muster::api::iam_service {

json::object policy_shape(store::Tx& tx, const iam::ManagedPolicy& policy) {
  const iam::PolicyUses uses = iam::uses_of_policy(tx, policy.arn);
  return {{"PolicyName", policy.name},
          {"PolicyId", policy.id},
          {"Arn", policy.arn},
          {"Path", policy.path},
          {"DefaultVersionId", policy.default_version},
          {"AttachmentCount", uses.attached},
          {"PermissionsBoundaryUsageCount", uses.boundaries},
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

namespace {

Result<std::pair<std::size_t, std::string>> section_of_marker(std::string_view marker, std::size_t sections) {
  if (marker.empty()) return std::pair<std::size_t, std::string>();
  const auto text = from_base64(marker);
  const std::size_t slash = text ? text->find('/') : std::string::npos;
  if (slash != 1 || (*text)[0] < '0' || static_cast<std::size_t>((*text)[0] - '0') >= sections)
    return make_error(ErrorKind::kInvalid, "Invalid Marker.", "ValidationError");
  return std::pair(static_cast<std::size_t>((*text)[0] - '0'), text->substr(2));
}

std::string marker_of_section(std::size_t section, std::string_view marker) {
  return to_base64(std::to_string(section) + "/" + std::string(marker));
}

}  // namespace

Result<std::string> page_of_sections(const json::object& input, const std::vector<Section>& sections) {
  iam::ListNames list = list_of_input(input);
  TRY(auto place, section_of_marker(list.marker, sections.size()));
  list.marker = std::move(place.second);
  for (std::size_t i = place.first; i < sections.size(); ++i, list.marker.clear()) {
    if (list.limit == 0) return marker_of_section(i, "");
    TRY(const SectionPage page, sections[i](list));
    list.limit -= std::min(list.limit, page.count);
    if (!page.next_marker.empty()) return marker_of_section(i, page.next_marker);
  }
  return std::string();
}

iam::NamePage<iam::ManagedPolicy> aws_policies(const iam::ListNames& list,
                                               const std::function<bool(const iam::ManagedPolicy&)>& keep) {
  iam::NamePage<iam::ManagedPolicy> page;
  for (const iam::ManagedPolicy& policy : iam::aws_managed_policies()) {
    if (policy.name <= list.marker || !policy.path.starts_with(list.path_prefix) || (keep && !keep(policy))) continue;
    if (page.items.size() == list.limit) {
      page.next_marker = page.items.back().name;
      return page;
    }
    page.items.push_back(policy);
  }
  return page;
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
  const iam::PolicyUses uses = iam::uses_of_policy(tx, policy.arn);
  return (usage != "PermissionsBoundary" && uses.attached > 0) || (usage != "PermissionsPolicy" && uses.boundaries > 0);
}

// The account's own by name, then AWS's.
Result<json::object> list_policies(const IamServices& services, Tx& tx, const Call& call) {
  const std::string_view scope = get_string(call.input, "Scope", "All");
  const std::string_view usage = get_string(call.input, "PolicyUsageFilter");
  std::function<bool(const iam::ManagedPolicy&)> keep;
  if (get_bool(call.input, "OnlyAttached") || !usage.empty())
    keep = [&](const iam::ManagedPolicy& policy) { return is_used(tx, policy, usage); };
  json::array shown;
  auto show = [&](const iam::NamePage<iam::ManagedPolicy>& page) -> Result<SectionPage> {
    for (const iam::ManagedPolicy& policy : page.items) shown.push_back(policy_shape(tx, policy));
    return SectionPage{page.items.size(), page.next_marker};
  };
  auto own = [&](const iam::ListNames& list) -> Result<SectionPage> {
    TRY(auto page, iam::list_managed_policies(tx, services.realm, list, keep));
    return show(page);
  };
  auto by_aws = [&](const iam::ListNames& list) -> Result<SectionPage> { return show(aws_policies(list, keep)); };
  std::vector<Section> sections;
  if (scope != "AWS") sections.emplace_back(own);
  if (scope != "Local") sections.emplace_back(by_aws);
  TRY(const std::string next, page_of_sections(call.input, sections));
  json::object output{{"Policies", std::move(shown)}};
  mark_page(output, next);
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

Result<json::object> list_entities(const IamServices& services, Tx& tx, const Call& call) {
  TRY_VOID(iam::get_managed_policy(tx, services.realm, arn_of(call)));
  const std::string_view filter = get_string(call.input, "EntityFilter");
  const std::string_view usage = get_string(call.input, "PolicyUsageFilter");
  const iam::ListNames names = list_of_input(call.input);
  iam::ListPolicyUsers list{.kind = std::nullopt,
                            .attached = usage != "PermissionsBoundary",
                            .boundaries = usage != "PermissionsPolicy",
                            .path_prefix = names.path_prefix,
                            .marker = names.marker,
                            .limit = names.limit};
  json::array groups, users, roles;
  for (const iam::EntityKind kind : {iam::EntityKind::kGroup, iam::EntityKind::kUser, iam::EntityKind::kRole})
    if (equals_ignore_case(filter, iam::word(kind))) list.kind = kind;
  // LocalManagedPolicy and AWSManagedPolicy are no entities that could have one.
  const bool none = !filter.empty() && !list.kind;
  iam::NamePage<iam::Entity> page;
  if (!none) {
    TRY(page, iam::list_policy_users(tx, arn_of(call), list));
  }
  for (const iam::Entity& one : page.items) {
    if (one.kind == iam::EntityKind::kGroup) groups.push_back({{"GroupName", one.name}, {"GroupId", one.id}});
    if (one.kind == iam::EntityKind::kUser) users.push_back({{"UserName", one.name}, {"UserId", one.id}});
    if (one.kind == iam::EntityKind::kRole) roles.push_back({{"RoleName", one.name}, {"RoleId", one.id}});
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
