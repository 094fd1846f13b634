// SPDX-License-Identifier: Apache-2.0
// Operations that users, roles and groups have alike: PutUserPolicy, PutRolePolicy, PutGroupPolicy and so on.
#include "domain/iam/entities.h"

#include <algorithm>

#include "api/services/iam/iam.h"
#include "base/text.h"
#include "domain/iam/managed_policies.h"

namespace muster::api::iam_service {

namespace {

using iam::EntityKind;
using store::Tx;

// "UserName", "RoleName", "GroupName".
std::string member_of(EntityKind kind) {
  return kind == EntityKind::kUser ? "UserName" : kind == EntityKind::kRole ? "RoleName" : "GroupName";
}

std::string_view name_of(EntityKind kind, const Call& call) {
  return get_string(call.input, member_of(kind));
}

IamBody put_inline(EntityKind kind) {
  return [kind](const IamServices&, Tx& tx, const Call& call) -> Result<json::object> {
    TRY_VOID(iam::put_inline_policy(tx, kind, name_of(kind, call), get_string(call.input, "PolicyName"),
                                    get_string(call.input, "PolicyDocument")));
    return json::object();
  };
}

IamBody get_inline(EntityKind kind) {
  return [kind](const IamServices&, Tx& tx, const Call& call) -> Result<json::object> {
    const std::string_view policy = get_string(call.input, "PolicyName");
    TRY(std::string document, iam::get_inline_policy(tx, kind, name_of(kind, call), policy));
    json::object output{{"PolicyName", policy}, {"PolicyDocument", percent_encode(document)}};
    output[member_of(kind)] = name_of(kind, call);
    return output;
  };
}

IamBody list_inline(EntityKind kind) {
  return [kind](const IamServices&, Tx& tx, const Call& call) -> Result<json::object> {
    TRY(iam::Entity entity, iam::get_entity(tx, kind, name_of(kind, call)));
    std::vector<std::string> names;
    for (const auto& [name, document] : entity.policies) names.push_back(name);
    TRY(Slice page, slice_of_input(call.input, names));
    json::array shown;
    for (std::size_t i = page.begin; i < page.end; ++i) shown.emplace_back(names[i]);
    json::object output{{"PolicyNames", std::move(shown)}};
    mark_page(output, page.next_marker);
    return output;
  };
}

IamBody delete_inline(EntityKind kind) {
  return [kind](const IamServices&, Tx& tx, const Call& call) -> Result<json::object> {
    TRY_VOID(iam::delete_inline_policy(tx, kind, name_of(kind, call), get_string(call.input, "PolicyName")));
    return json::object();
  };
}

IamBody attach(EntityKind kind) {
  return [kind](const IamServices& services, Tx& tx, const Call& call) -> Result<json::object> {
    TRY_VOID(iam::attach_policy(tx, services.realm, kind, name_of(kind, call), get_string(call.input, "PolicyArn")));
    return json::object();
  };
}

IamBody detach(EntityKind kind) {
  return [kind](const IamServices&, Tx& tx, const Call& call) -> Result<json::object> {
    TRY_VOID(iam::detach_policy(tx, kind, name_of(kind, call), get_string(call.input, "PolicyArn")));
    return json::object();
  };
}

IamBody list_attached(EntityKind kind) {
  return [kind](const IamServices& services, Tx& tx, const Call& call) -> Result<json::object> {
    TRY(iam::Entity entity, iam::get_entity(tx, kind, name_of(kind, call)));
    const std::string prefix = path_of_input(call.input, "PathPrefix");
    std::vector<std::string> arns;
    for (const std::string& arn : entity.attached) {
      auto policy = iam::find_managed_policy(tx, services.realm, arn);
      if (policy && policy->path.starts_with(prefix)) arns.push_back(arn);
    }
    std::ranges::sort(arns);
    TRY(Slice page, slice_of_input(call.input, arns));
    const auto first = arns.begin() + static_cast<std::ptrdiff_t>(page.begin);
    const auto last = arns.begin() + static_cast<std::ptrdiff_t>(page.end);
    json::object output{{"AttachedPolicies", attached_shape({first, last})}};
    mark_page(output, page.next_marker);
    return output;
  };
}

IamBody put_boundary(EntityKind kind) {
  return [kind](const IamServices& services, Tx& tx, const Call& call) -> Result<json::object> {
    TRY_VOID(iam::put_boundary(tx, services.realm, kind, name_of(kind, call),
                               get_string(call.input, "PermissionsBoundary")));
    return json::object();
  };
}

IamBody delete_boundary(EntityKind kind) {
  return [kind](const IamServices&, Tx& tx, const Call& call) -> Result<json::object> {
    TRY_VOID(iam::delete_boundary(tx, kind, name_of(kind, call)));
    return json::object();
  };
}

IamBody tag(EntityKind kind) {
  return [kind](const IamServices&, Tx& tx, const Call& call) -> Result<json::object> {
    TRY_VOID(iam::tag_entity(tx, kind, name_of(kind, call), tags_of_input(call.input)));
    return json::object();
  };
}

IamBody untag(EntityKind kind) {
  return [kind](const IamServices&, Tx& tx, const Call& call) -> Result<json::object> {
    TRY_VOID(iam::untag_entity(tx, kind, name_of(kind, call), texts_of_input(call.input, "TagKeys")));
    return json::object();
  };
}

IamBody list_tags(EntityKind kind) {
  return [kind](const IamServices&, Tx& tx, const Call& call) -> Result<json::object> {
    TRY(iam::Entity entity, iam::get_entity(tx, kind, name_of(kind, call)));
    return tags_page(entity.tags, call.input);
  };
}

}  // namespace

Result<json::object> tags_page(const std::map<std::string, std::string>& tags, const json::object& input) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : tags) keys.push_back(key);
  TRY(Slice page, slice_of_input(input, keys));
  json::array shown;
  for (std::size_t i = page.begin; i < page.end; ++i)
    shown.push_back(json::object{{"Key", keys[i]}, {"Value", tags.at(keys[i])}});
  json::object output{{"Tags", std::move(shown)}};
  mark_page(output, page.next_marker);
  return output;
}

void register_entities(Operations& operations, const SharedIam& services) {
  auto add = [&](const std::string& operation, IamBody body) {
    operations.add("iam", operation, iam_handler(services, std::move(body)));
  };
  for (EntityKind kind : {EntityKind::kUser, EntityKind::kRole, EntityKind::kGroup}) {
    const std::string type = kind == EntityKind::kUser ? "User" : kind == EntityKind::kRole ? "Role" : "Group";
    add("Put" + type + "Policy", put_inline(kind));
    add("Get" + type + "Policy", get_inline(kind));
    add("List" + type + "Policies", list_inline(kind));
    add("Delete" + type + "Policy", delete_inline(kind));
    add("Attach" + type + "Policy", attach(kind));
    add("Detach" + type + "Policy", detach(kind));
    add("ListAttached" + type + "Policies", list_attached(kind));
    if (kind == EntityKind::kGroup) continue;  // groups have neither
    add("Put" + type + "PermissionsBoundary", put_boundary(kind));
    add("Delete" + type + "PermissionsBoundary", delete_boundary(kind));
    add("Tag" + type, tag(kind));
    add("Untag" + type, untag(kind));
    add("List" + type + "Tags", list_tags(kind));
  }
}

}  // namespace muster::api::iam_service
