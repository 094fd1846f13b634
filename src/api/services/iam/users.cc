// SPDX-License-Identifier: Apache-2.0
#include "api/services/iam/iam.h"

#include <algorithm>

#include "base/text.h"
#include "store/transact.h"

namespace muster::api::iam_service {

namespace {

using store::Tx;

Result<json::object> create_user(const IamServices& services, Tx& tx, const Call& call) {
  iam::User wanted;
  wanted.name = get_string(call.input, "UserName");
  wanted.path = path_of_input(call.input);
  wanted.tags = tags_of_input(call.input);
  TRY(iam::User user, iam::create_user(tx, wanted));
  user.boundary = get_string(call.input, "PermissionsBoundary");
  if (!user.boundary.empty())
    TRY_VOID(iam::put_boundary(tx, services.realm, iam::EntityKind::kUser, user.name, user.boundary));
  json::object shape = user_shape(services.realm, user);
  if (!user.tags.empty()) shape["Tags"] = tags_shape(user.tags);
  return json::object{{"User", std::move(shape)}};
}

// Without a name: who calls.
Result<json::object> get_user(const IamServices& services, Tx& tx, const Call& call) {
  std::string name(get_string(call.input, "UserName"));
  if (name.empty() && call.caller.kind == iam::PrincipalKind::kRoot)
    return json::object{{"User", json::object{{"Path", "/"},
                                              {"UserName", "root"},
                                              {"UserId", services.realm.account_id},
                                              {"Arn", call.caller.arn},
                                              {"CreateDate", 0}}}};
  if (name.empty() && call.caller.kind != iam::PrincipalKind::kUser)
    return make_error(ErrorKind::kInvalid, "Must specify userName when calling with non-User credentials",
                      "ValidationError");
  if (name.empty()) name = call.caller.name;
  TRY(iam::User user, iam::get_user(tx, name));
  json::object shape = user_shape(services.realm, user);
  if (!user.tags.empty()) shape["Tags"] = tags_shape(user.tags);
  return json::object{{"User", std::move(shape)}};
}

Result<json::object> list_users(const IamServices& services, Tx& tx, const Call& call) {
  TRY(auto page, iam::list_users(tx, list_of_input(call.input)));
  json::array users;
  for (const iam::User& user : page.items) users.push_back(user_shape(services.realm, user));
  json::object output{{"Users", std::move(users)}};
  mark_page(output, page.next_marker);
  return output;
}

Result<json::object> delete_user(const IamServices&, Tx& tx, const Call& call) {
  TRY_VOID(iam::delete_user(tx, get_string(call.input, "UserName")));
  return json::object();
}

// Keys whose user has another name now must not go on working from the cache.
Handler update_user(const SharedIam& services) {
  return [services](Call& call) -> io::Task<Reply> {
    std::vector<std::string> keys;
    auto run = [&](Tx& tx) -> Result<json::object> {
      TRY(iam::User user, iam::update_user(tx, get_string(call.input, "UserName"),
                                           get_string(call.input, "NewUserName"), get_string(call.input, "NewPath")));
      keys = std::move(user.access_keys);
      return json::object();
    };
    Reply reply;
    CO_TRY(reply.output, co_await store::transact(*services->store, run));
    if (services->credentials != nullptr)
      for (const std::string& key : keys) services->credentials->forget(key);
    co_return reply;
  };
}

}  // namespace

Handler iam_handler(const SharedIam& services, IamBody body) {
  return [services, body = std::move(body)](Call& call) -> io::Task<Reply> {
    auto run = [&](Tx& tx) { return body(*services, tx, call); };
    Reply reply;
    CO_TRY(reply.output, co_await store::transact(*services->store, run));
    co_return reply;
  };
}

iam::ListNames list_of_input(const json::object& input) {
  iam::ListNames list;
  list.path_prefix = get_string(input, "PathPrefix", "/");
  list.marker = get_string(input, "Marker");
  list.limit = static_cast<std::size_t>(std::clamp<std::int64_t>(get_int(input, "MaxItems", 100), 1, 1000));
  return list;
}

void mark_page(json::object& output, const std::string& next_marker) {
  output["IsTruncated"] = !next_marker.empty();
  if (!next_marker.empty()) output["Marker"] = next_marker;
}

Result<Slice> slice_of_input(const json::object& input, const std::vector<std::string>& keys) {
  const iam::ListNames list = list_of_input(input);
  Slice slice;
  if (!list.marker.empty()) {
    auto after = from_base64(list.marker);
    if (!after) return make_error(ErrorKind::kInvalid, "Invalid Marker.", "ValidationError");
    slice.begin = static_cast<std::size_t>(std::ranges::upper_bound(keys, *after) - keys.begin());
  }
  slice.end = std::min(keys.size(), slice.begin + list.limit);
  if (slice.end < keys.size() && slice.end > slice.begin) slice.next_marker = to_base64(keys[slice.end - 1]);
  return slice;
}

std::string path_of_input(const json::object& input, std::string_view member) {
  return std::string(get_string(input, member, "/"));
}

std::vector<std::string> texts_of_input(const json::object& input, std::string_view member) {
  std::vector<std::string> texts;
  if (const json::array* list = find_array(input, member))
    for (const json::value& item : *list)
      if (item.is_string()) texts.emplace_back(item.as_string());
  return texts;
}

json::array tags_shape(const std::map<std::string, std::string>& tags) {
  json::array shape;
  for (const auto& [key, value] : tags) shape.push_back(json::object{{"Key", key}, {"Value", value}});
  return shape;
}

void add_boundary(json::object& shape, const std::string& boundary) {
  if (boundary.empty()) return;
  shape["PermissionsBoundary"] =
      json::object{{"PermissionsBoundaryType", "Policy"}, {"PermissionsBoundaryArn", boundary}};
}

json::array attached_shape(const std::vector<std::string>& arns) {
  json::array shape;
  for (const std::string& arn : arns)
    shape.push_back(json::object{{"PolicyName", arn.substr(arn.rfind('/') + 1)}, {"PolicyArn", arn}});
  return shape;
}

json::object user_shape(const Realm& realm, const iam::User& user) {
  json::object shape{{"Path", user.path},
                     {"UserName", user.name},
                     {"UserId", user.id},
                     {"Arn", iam::user_arn(realm, user)},
                     {"CreateDate", user.created_ms}};
  add_boundary(shape, user.boundary);
  return shape;
}

std::map<std::string, std::string> tags_of_input(const json::object& input) {
  std::map<std::string, std::string> tags;
  if (const json::array* list = find_array(input, "Tags"))
    for (const json::value& item : *list)
      if (const json::object* tag = item.if_object())
        tags.insert_or_assign(std::string(get_string(*tag, "Key")), std::string(get_string(*tag, "Value")));
  return tags;
}

void register_users(Operations& operations, const SharedIam& services) {
  auto add = [&](std::string_view operation, IamBody body) {
    operations.add("iam", operation, iam_handler(services, std::move(body)));
  };
  add("CreateUser", create_user);
  add("GetUser", get_user);
  add("ListUsers", list_users);
  add("DeleteUser", delete_user);
  operations.add("iam", "UpdateUser", update_user(services));
}

void register_iam(Operations& operations, const IamServices& given) {
  auto services = std::make_shared<const IamServices>(given);
  register_users(operations, services);
  register_access_keys(operations, services);
  register_roles(operations, services);
  register_groups(operations, services);
  register_entities(operations, services);
  register_managed_policies(operations, services);
  register_account(operations, services);
  register_simulation(operations, services);
}

}  // namespace muster::api::iam_service
