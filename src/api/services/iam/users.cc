// SPDX-License-Identifier: Apache-2.0
#include "api/services/iam/iam.h"
#include "base/text.h"
#include "store/transact.h"

namespace muster::api::iam_service {

namespace {

using store::Tx;

json::object user_shape(const Realm& realm, const iam::User& user) {
  return {{"Path", user.path},
          {"UserName", user.name},
          {"UserId", user.id},
          {"Arn", iam::user_arn(realm, user)},
          {"CreateDate", user.created_ms}};
}

Result<json::object> create_user(const IamServices& services, Tx& tx, const Call& call) {
  iam::User wanted;
  wanted.name = get_string(call.input, "UserName");
  TRY(wanted.path, path_of_input(call.input));
  wanted.tags = tags_of_input(call.input);
  TRY(iam::User user, iam::create_user(tx, wanted));
  return json::object{{"User", user_shape(services.realm, user)}};
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
  json::array tags;
  for (const auto& [key, value] : user.tags) tags.push_back(json::object{{"Key", key}, {"Value", value}});
  if (!tags.empty()) shape["Tags"] = std::move(tags);
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

Result<json::object> put_policy(const IamServices&, Tx& tx, const Call& call) {
  TRY_VOID(iam::put_user_policy(tx, get_string(call.input, "UserName"), get_string(call.input, "PolicyName"),
                                get_string(call.input, "PolicyDocument")));
  return json::object();
}

Result<json::object> get_policy(const IamServices&, Tx& tx, const Call& call) {
  std::string_view user = get_string(call.input, "UserName"), name = get_string(call.input, "PolicyName");
  TRY(std::string document, iam::get_user_policy(tx, user, name));
  return json::object{{"UserName", user}, {"PolicyName", name}, {"PolicyDocument", percent_encode(document)}};
}

Result<json::object> list_policies(const IamServices&, Tx& tx, const Call& call) {
  TRY(iam::User user, iam::get_user(tx, get_string(call.input, "UserName")));
  return policy_names(user.policies, call.input);
}

Result<json::object> delete_policy(const IamServices&, Tx& tx, const Call& call) {
  TRY_VOID(iam::delete_user_policy(tx, get_string(call.input, "UserName"), get_string(call.input, "PolicyName")));
  return json::object();
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

Result<json::object> policy_names(const std::map<std::string, std::string>& policies, const json::object& input) {
  iam::ListNames list = list_of_input(input);
  auto at = policies.begin();
  if (!list.marker.empty()) {
    auto after = from_base64(list.marker);
    if (!after) return make_error(ErrorKind::kInvalid, "Invalid Marker.", "ValidationError");
    at = policies.upper_bound(*after);
  }
  json::array names;
  std::string marker;
  for (; at != policies.end(); ++at) {
    if (names.size() == list.limit) {
      marker = to_base64(names.back().as_string());
      break;
    }
    names.emplace_back(at->first);
  }
  json::object output{{"PolicyNames", std::move(names)}};
  mark_page(output, marker);
  return output;
}

Result<std::string> path_of_input(const json::object& input) {
  std::string path(get_string(input, "Path", "/"));
  if (path != "/") return make_error(ErrorKind::kNotSupported, "Paths of identities other than / are not served.");
  return path;
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
  add("PutUserPolicy", put_policy);
  add("GetUserPolicy", get_policy);
  add("ListUserPolicies", list_policies);
  add("DeleteUserPolicy", delete_policy);
}

void register_iam(Operations& operations, const IamServices& given) {
  auto services = std::make_shared<const IamServices>(given);
  register_users(operations, services);
  register_access_keys(operations, services);
  register_roles(operations, services);
}

}  // namespace muster::api::iam_service
