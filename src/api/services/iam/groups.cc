// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/groups.h"

#include "api/services/iam/iam.h"
#include "base/text.h"

namespace muster::api::iam_service {

json::object group_shape(const Realm& realm, const iam::Entity& group) {
  return {{"Path", group.path},
          {"GroupName", group.name},
          {"GroupId", group.id},
          {"Arn", iam::entity_arn(realm, group)},
          {"CreateDate", group.created_ms}};
}

namespace {

using store::Tx;

Result<json::object> create_group(const IamServices& services, Tx& tx, const Call& call) {
  TRY(iam::Entity group, iam::create_group(tx, get_string(call.input, "GroupName"), path_of_input(call.input)));
  return json::object{{"Group", group_shape(services.realm, group)}};
}

Result<json::object> get_group(const IamServices& services, Tx& tx, const Call& call) {
  TRY(iam::Entity group, iam::get_entity(tx, iam::EntityKind::kGroup, get_string(call.input, "GroupName")));
  TRY(auto page, iam::list_users_of_group(tx, group.name, list_of_input(call.input)));
  std::vector<iam::EntityName> names;
  for (std::string& name : page.items) names.push_back({iam::EntityKind::kUser, std::move(name)});
  json::array users;
  for (const auto& user : iam::find_entities(tx, names))
    if (user)
      users.push_back(user_shape(services.realm, iam::User{.name = user->name,
                                                           .path = user->path,
                                                           .id = user->id,
                                                           .created_ms = user->created_ms,
                                                           .boundary = user->boundary}));
  json::object output{{"Group", group_shape(services.realm, group)}, {"Users", std::move(users)}};
  mark_page(output, page.next_marker);
  return output;
}

Result<json::object> list_groups(const IamServices& services, Tx& tx, const Call& call) {
  TRY(auto page, iam::list_groups(tx, list_of_input(call.input)));
  json::array groups;
  for (const iam::Entity& group : page.items) groups.push_back(group_shape(services.realm, group));
  json::object output{{"Groups", std::move(groups)}};
  mark_page(output, page.next_marker);
  return output;
}

Result<json::object> update_group(const IamServices&, Tx& tx, const Call& call) {
  TRY_VOID(iam::update_group(tx, get_string(call.input, "GroupName"), get_string(call.input, "NewGroupName"),
                             get_string(call.input, "NewPath")));
  return json::object();
}

Result<json::object> delete_group(const IamServices&, Tx& tx, const Call& call) {
  TRY_VOID(iam::delete_group(tx, get_string(call.input, "GroupName")));
  return json::object();
}

Result<json::object> add_user(const IamServices&, Tx& tx, const Call& call) {
  TRY_VOID(iam::add_user_to_group(tx, get_string(call.input, "GroupName"), get_string(call.input, "UserName")));
  return json::object();
}

Result<json::object> remove_user(const IamServices&, Tx& tx, const Call& call) {
  TRY_VOID(iam::remove_user_from_group(tx, get_string(call.input, "GroupName"), get_string(call.input, "UserName")));
  return json::object();
}

Result<json::object> list_for_user(const IamServices& services, Tx& tx, const Call& call) {
  TRY(iam::User user, iam::get_user(tx, get_string(call.input, "UserName")));
  const std::vector<std::string> names = iam::groups_of_user(tx, user.name, true);
  TRY(Slice page, slice_of_input(call.input, names));
  json::array groups;
  for (std::size_t i = page.begin; i < page.end; ++i)
    if (auto group = iam::find_entity(tx, iam::EntityKind::kGroup, names[i]))
      groups.push_back(group_shape(services.realm, *group));
  json::object output{{"Groups", std::move(groups)}};
  mark_page(output, page.next_marker);
  return output;
}

}  // namespace

void register_groups(Operations& operations, const SharedIam& services) {
  auto add = [&](std::string_view operation, IamBody body) {
    operations.add("iam", operation, iam_handler(services, std::move(body)));
  };
  add("CreateGroup", create_group);
  add("GetGroup", get_group);
  add("ListGroups", list_groups);
  add("UpdateGroup", update_group);
  add("DeleteGroup", delete_group);
  add("AddUserToGroup", add_user);
  add("RemoveUserFromGroup", remove_user);
  add("ListGroupsForUser", list_for_user);
}

}  // namespace muster::api::iam_service
