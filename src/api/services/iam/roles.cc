// SPDX-License-Identifier: Apache-2.0
#include "api/services/iam/iam.h"
#include "base/text.h"

namespace muster::api::iam_service {

json::object role_shape(const Realm& realm, const iam::Role& role) {
  json::object shape{{"Path", role.path},
                     {"RoleName", role.name},
                     {"RoleId", role.id},
                     {"Arn", iam::role_arn(realm, role)},
                     {"CreateDate", role.created_ms},
                     {"AssumeRolePolicyDocument", percent_encode(role.trust_policy)},
                     {"MaxSessionDuration", role.max_session_s}};
  if (!role.description.empty()) shape["Description"] = role.description;
  if (!role.tags.empty()) shape["Tags"] = tags_shape(role.tags);
  add_boundary(shape, role.boundary);
  return shape;
}

namespace {

using store::Tx;

Result<json::object> create_role(const IamServices& services, Tx& tx, const Call& call) {
  iam::Role wanted;
  wanted.name = get_string(call.input, "RoleName");
  wanted.path = path_of_input(call.input);
  wanted.trust_policy = get_string(call.input, "AssumeRolePolicyDocument");
  wanted.description = get_string(call.input, "Description");
  wanted.max_session_s = get_int(call.input, "MaxSessionDuration", 3600);
  wanted.tags = tags_of_input(call.input);
  TRY(iam::Role role, iam::create_role(tx, wanted));
  role.boundary = get_string(call.input, "PermissionsBoundary");
  if (!role.boundary.empty())
    TRY_VOID(iam::put_boundary(tx, services.realm, iam::EntityKind::kRole, role.name, role.boundary));
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

Result<iam::Role> change_role(Tx& tx, const Call& call) {
  iam::RoleChange change;
  if (has(call.input, "Description")) change.description = get_string(call.input, "Description");
  if (has(call.input, "MaxSessionDuration")) change.max_session_s = get_int(call.input, "MaxSessionDuration");
  return iam::update_role(tx, get_string(call.input, "RoleName"), change);
}

Result<json::object> update_role(const IamServices&, Tx& tx, const Call& call) {
  TRY_VOID(change_role(tx, call));
  return json::object();
}

Result<json::object> update_description(const IamServices& services, Tx& tx, const Call& call) {
  TRY(iam::Role role, change_role(tx, call));
  return json::object{{"Role", role_shape(services.realm, role)}};
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
  add("UpdateRole", update_role);
  add("UpdateRoleDescription", update_description);
}

}  // namespace muster::api::iam_service
