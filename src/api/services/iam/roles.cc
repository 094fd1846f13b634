// SPDX-License-Identifier: Apache-2.0
#include "api/services/iam/iam.h"
#include "base/text.h"

namespace muster::api::iam_service {

namespace {

using store::Tx;

json::object role_shape(const Realm& realm, const iam::Role& role) {
  json::object shape{{"Path", role.path},
                     {"RoleName", role.name},
                     {"RoleId", role.id},
                     {"Arn", iam::role_arn(realm, role)},
                     {"CreateDate", role.created_ms},
                     {"AssumeRolePolicyDocument", percent_encode(role.trust_policy)},
                     {"MaxSessionDuration", role.max_session_s}};
  if (!role.description.empty()) shape["Description"] = role.description;
  json::array tags;
  for (const auto& [key, value] : role.tags) tags.push_back(json::object{{"Key", key}, {"Value", value}});
  if (!tags.empty()) shape["Tags"] = std::move(tags);
  return shape;
}

Result<json::object> create_role(const IamServices& services, Tx& tx, const Call& call) {
  iam::Role wanted;
  wanted.name = get_string(call.input, "RoleName");
  TRY(wanted.path, path_of_input(call.input));
  wanted.trust_policy = get_string(call.input, "AssumeRolePolicyDocument");
  wanted.description = get_string(call.input, "Description");
  wanted.max_session_s = get_int(call.input, "MaxSessionDuration", 3600);
  wanted.tags = tags_of_input(call.input);
  TRY(iam::Role role, iam::create_role(tx, wanted));
  return json::object{{"Role", role_shape(services.realm, role)}};
}

Result<json::object> get_role(const IamServices& services, Tx& tx, const Call& call) {
  TRY(iam::Role role, iam::get_role(tx, get_string(call.input, "RoleName")));
  return json::object{{"Role", role_shape(services.realm, role)}};
}

Result<json::object> list_roles(const IamServices& services, Tx& tx, const Call& call) {
  TRY(auto page, iam::list_roles(tx, list_of_input(call.input)));
  json::array roles;
  for (const iam::Role& role : page.items) roles.push_back(role_shape(services.realm, role));
  json::object output{{"Roles", std::move(roles)}};
  mark_page(output, page.next_marker);
  return output;
}

Result<json::object> delete_role(const IamServices&, Tx& tx, const Call& call) {
  TRY_VOID(iam::delete_role(tx, get_string(call.input, "RoleName")));
  return json::object();
}

Result<json::object> update_trust(const IamServices&, Tx& tx, const Call& call) {
  TRY_VOID(iam::update_trust_policy(tx, get_string(call.input, "RoleName"), get_string(call.input, "PolicyDocument")));
  return json::object();
}

Result<json::object> put_policy(const IamServices&, Tx& tx, const Call& call) {
  TRY_VOID(iam::put_role_policy(tx, get_string(call.input, "RoleName"), get_string(call.input, "PolicyName"),
                                get_string(call.input, "PolicyDocument")));
  return json::object();
}

Result<json::object> get_policy(const IamServices&, Tx& tx, const Call& call) {
  std::string_view role = get_string(call.input, "RoleName"), name = get_string(call.input, "PolicyName");
  TRY(std::string document, iam::get_role_policy(tx, role, name));
  return json::object{{"RoleName", role}, {"PolicyName", name}, {"PolicyDocument", percent_encode(document)}};
}

Result<json::object> list_policies(const IamServices&, Tx& tx, const Call& call) {
  TRY(iam::Role role, iam::get_role(tx, get_string(call.input, "RoleName")));
  return policy_names(role.policies, call.input);
}

Result<json::object> delete_policy(const IamServices&, Tx& tx, const Call& call) {
  TRY_VOID(iam::delete_role_policy(tx, get_string(call.input, "RoleName"), get_string(call.input, "PolicyName")));
  return json::object();
}

}  // namespace

void register_roles(Operations& operations, const SharedIam& services) {
  auto add = [&](std::string_view operation, IamBody body) {
    operations.add("iam", operation, iam_handler(services, std::move(body)));
  };
  add("CreateRole", create_role);
  add("GetRole", get_role);
  add("ListRoles", list_roles);
  add("DeleteRole", delete_role);
  add("UpdateAssumeRolePolicy", update_trust);
  add("PutRolePolicy", put_policy);
  add("GetRolePolicy", get_policy);
  add("ListRolePolicies", list_policies);
  add("DeleteRolePolicy", delete_policy);
}

}  // namespace muster::api::iam_service
