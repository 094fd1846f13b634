// SPDX-License-Identifier: Apache-2.0
#include "api/services/iam/iam.h"
#include "base/text.h"
#include "store/transact.h"

namespace muster::api::iam_service {

namespace {

using store::Tx;

// The named user, else the caller; empty for root.
Result<std::string> owner_of_keys(const Call& call) {
  std::string name(get_string(call.input, "UserName"));
  if (!name.empty()) return name;
  if (call.caller.kind == iam::PrincipalKind::kRoot) return std::string();
  if (call.caller.kind == iam::PrincipalKind::kUser) return call.caller.name;
  return make_error(ErrorKind::kInvalid, "Must specify userName when calling with non-User credentials",
                    "ValidationError");
}

std::string shown_owner(const std::string& owner) {
  return owner.empty() ? "root" : owner;
}

Result<json::object> create_key(const IamServices&, Tx& tx, const Call& call) {
  TRY(std::string owner, owner_of_keys(call));
  TRY(iam::AccessKey key, iam::create_access_key(tx, owner));
  return json::object{{"AccessKey", json::object{{"UserName", shown_owner(key.user)},
                                                 {"AccessKeyId", key.id},
                                                 {"Status", "Active"},
                                                 {"SecretAccessKey", key.secret},
                                                 {"CreateDate", key.created_ms}}}};
}

Result<json::object> list_keys(const IamServices&, Tx& tx, const Call& call) {
  TRY(std::string owner, owner_of_keys(call));
  TRY(auto keys, iam::list_access_keys(tx, owner));
  iam::ListNames list = list_of_input(call.input);
  std::string after;
  if (!list.marker.empty()) {
    auto position = from_base64(list.marker);
    if (!position) return make_error(ErrorKind::kInvalid, "Invalid Marker.", "ValidationError");
    after = *std::move(position);
  }
  std::ranges::sort(keys, {}, &iam::AccessKey::id);
  json::array shapes;
  std::string last, marker;
  for (const iam::AccessKey& key : keys) {
    if (key.id <= after) continue;
    if (shapes.size() == list.limit) {
      marker = to_base64(last);
      break;
    }
    last = key.id;
    shapes.push_back(json::object{{"UserName", shown_owner(key.user)},
                                  {"AccessKeyId", key.id},
                                  {"Status", key.active ? "Active" : "Inactive"},
                                  {"CreateDate", key.created_ms}});
  }
  json::object output{{"AccessKeyMetadata", std::move(shapes)}};
  mark_page(output, marker);
  return output;
}

Result<json::object> update_key(const IamServices&, Tx& tx, const Call& call) {
  TRY(std::string owner, owner_of_keys(call));
  bool active = get_string(call.input, "Status") == "Active";
  TRY_VOID(iam::update_access_key(tx, owner, get_string(call.input, "AccessKeyId"), active));
  return json::object();
}

Result<json::object> delete_key(const IamServices&, Tx& tx, const Call& call) {
  TRY(std::string owner, owner_of_keys(call));
  TRY_VOID(iam::delete_access_key(tx, owner, get_string(call.input, "AccessKeyId")));
  return json::object();
}

// A changed key must not go on working from the cache.
Handler changing_handler(const SharedIam& services, IamBody body) {
  return [services, body = std::move(body)](Call& call) -> io::Task<Reply> {
    auto run = [&](Tx& tx) { return body(*services, tx, call); };
    Reply reply;
    auto output = co_await store::transact(*services->store, run);
    if (services->credentials != nullptr) services->credentials->forget(get_string(call.input, "AccessKeyId"));
    if (!output) co_return std::move(output).error();
    reply.output = *std::move(output);
    co_return reply;
  };
}

}  // namespace

void register_access_keys(Operations& operations, const SharedIam& services) {
  operations.add("iam", "CreateAccessKey", iam_handler(services, create_key));
  operations.add("iam", "ListAccessKeys", iam_handler(services, list_keys));
  operations.add("iam", "UpdateAccessKey", changing_handler(services, update_key));
  operations.add("iam", "DeleteAccessKey", changing_handler(services, delete_key));
}

}  // namespace muster::api::iam_service
