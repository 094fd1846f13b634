// SPDX-License-Identifier: Apache-2.0
// kUser: lower-case name -> {name, path, id, created_ms, policies, tags, keys, attached, boundary}. kAccessKey: id ->
// {user, secret, active, created_ms}; an absent user is root.
#include <algorithm>

#include "base/crypto.h"
#include "base/text.h"
#include "domain/iam/counts.h"
#include "domain/iam/entities.h"
#include "domain/iam/groups.h"
#include "domain/iam/identities.h"
#include "domain/iam/identity_records.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::iam {

namespace {

constexpr std::size_t kKeysPerUser = 2;
constexpr std::string_view kKeyAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::string_view kSecretAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string key_of_access_key(std::string_view id) {
  return store::Key(store::table::kAccessKey).text(id).str();
}

std::optional<User> read_user(std::string_view text) {
  auto record = parse_record(text);
  if (!record) return std::nullopt;
  User user;
  user.name = get_string(*record, "name");
  user.path = get_string(*record, "path", "/");
  user.id = get_string(*record, "id");
  user.created_ms = get_int(*record, "created_ms");
  user.policies = text_map(*record, "policies");
  user.tags = text_map(*record, "tags");
  user.access_keys = text_list(*record, "keys");
  user.attached = text_list(*record, "attached");
  user.boundary = get_string(*record, "boundary");
  return user;
}

void put_user(store::Tx& tx, const User& user) {
  json::object record{{"name", user.name}, {"path", user.path}, {"id", user.id}, {"created_ms", user.created_ms}};
  record["policies"] = to_object(user.policies);
  record["tags"] = to_object(user.tags);
  record["keys"] = to_array(user.access_keys);
  record["attached"] = to_array(user.attached);
  if (!user.boundary.empty()) record["boundary"] = user.boundary;
  tx.put(identity_key(store::table::kUser, user.name), to_text(record));
}

std::optional<AccessKey> read_access_key(std::string_view id, std::string_view text) {
  auto record = parse_record(text);
  if (!record) return std::nullopt;
  AccessKey key;
  key.id = id;
  key.user = get_string(*record, "user");
  key.secret = get_string(*record, "secret");
  key.active = get_bool(*record, "active");
  key.created_ms = get_int(*record, "created_ms");
  if (key.secret.empty()) return std::nullopt;
  return key;
}

void put_access_key(store::Tx& tx, const AccessKey& key) {
  json::object record{
      {"user", key.user}, {"secret", key.secret}, {"active", key.active}, {"created_ms", key.created_ms}};
  tx.put(key_of_access_key(key.id), to_text(record));
}

// kMeta "root_keys" -> the ids of root's access keys.
std::string root_keys_key() {
  return store::Key(store::table::kMeta).text("root_keys").str();
}

std::vector<std::string> root_keys(store::Tx& tx) {
  std::vector<std::string> ids;
  auto text = tx.get(root_keys_key());
  if (!text) return ids;
  auto record = parse_record(*text);
  const json::array* list = record ? find_array(*record, "ids") : nullptr;
  if (list == nullptr) return ids;
  for (const json::value& id : *list)
    if (id.is_string()) ids.emplace_back(id.as_string());
  return ids;
}

void put_root_keys(store::Tx& tx, const std::vector<std::string>& ids) {
  json::array list;
  for (const std::string& id : ids) list.emplace_back(id);
  tx.put(root_keys_key(), to_text(json::object{{"ids", std::move(list)}}));
}

Error key_not_found(std::string_view id) {
  return no_such_entity("The Access Key with id " + std::string(id) + " cannot be found.");
}

// The access key `id` of `user`; as AWS, another user's key is not found.
Result<AccessKey> own_key(store::Tx& tx, std::string_view user, std::string_view id) {
  if (!user.empty()) TRY_VOID(get_user(tx, user));
  auto text = tx.get(key_of_access_key(id));
  auto key = text ? read_access_key(id, *text) : std::nullopt;
  if (!key || !equals_ignore_case(key->user, user)) return key_not_found(id);
  return *std::move(key);
}

}  // namespace

std::string user_arn(const Realm& realm, const User& user) {
  return "arn:aws:iam::" + realm.account_id + ":user" + user.path + user.name;
}

Result<User> create_user(store::Tx& tx, const User& wanted) {
  TRY_VOID(check_tags(wanted.tags));
  if (tx.get(identity_key(store::table::kUser, wanted.name)))
    return entity_exists("User with name " + wanted.name + " already exists.");
  User user;
  user.name = wanted.name;
  user.path = wanted.path.empty() ? "/" : wanted.path;
  user.tags = wanted.tags;
  user.id = unique_id("AIDA");
  user.created_ms = tx.now_ms();
  TRY_VOID(count_within_quota(tx, Counted::kUsers));
  put_user(tx, user);
  return user;
}

std::optional<User> find_user(store::Tx& tx, std::string_view name) {
  auto text = tx.get(identity_key(store::table::kUser, name));
  return text ? read_user(*text) : std::nullopt;
}

Result<User> get_user(store::Tx& tx, std::string_view name) {
  auto user = find_user(tx, name);
  if (!user) return no_such_entity("The user with name " + std::string(name) + " cannot be found.");
  return *std::move(user);
}

Result<NamePage<User>> list_users(store::Tx& tx, const ListNames& list) {
  return list_identities<User>(tx, store::table::kUser, list, read_user);
}

Status delete_user(store::Tx& tx, std::string_view name) {
  TRY(User user, get_user(tx, name));
  if (!user.access_keys.empty()) return delete_conflict("Cannot delete entity, must delete access keys first.");
  if (!user.policies.empty()) return delete_conflict("Cannot delete entity, must delete policies first.");
  if (!user.attached.empty()) return delete_conflict("Cannot delete entity, must detach all policies first.");
  if (!groups_of_user(tx, name).empty())
    return delete_conflict("Cannot delete entity, must remove users from group first.");
  forget_boundary(tx, EntityKind::kUser, name, user.boundary);
  tx.erase(identity_key(store::table::kUser, name));
  count(tx, Counted::kUsers, -1);
  return {};
}

Result<AccessKey> create_access_key(store::Tx& tx, std::string_view user) {
  AccessKey key;
  key.id = "AKIA" + random_text(16, kKeyAlphabet);
  key.secret = random_text(40, kSecretAlphabet);
  key.created_ms = tx.now_ms();
  Error quota = limit_exceeded("Cannot exceed quota for AccessKeysPerUser: " + std::to_string(kKeysPerUser));
  if (user.empty()) {
    std::vector<std::string> ids = root_keys(tx);
    if (ids.size() >= kKeysPerUser) return quota;
    ids.push_back(key.id);
    put_root_keys(tx, ids);
  } else {
    TRY(User owner, get_user(tx, user));
    if (owner.access_keys.size() >= kKeysPerUser) return quota;
    key.user = owner.name;
    owner.access_keys.push_back(key.id);
    put_user(tx, owner);
  }
  put_access_key(tx, key);
  return key;
}

std::optional<AccessKey> find_access_key(store::Tx& tx, std::string_view id) {
  if (id.empty()) return std::nullopt;
  auto text = tx.get_snapshot(key_of_access_key(id));
  return text ? read_access_key(id, *text) : std::nullopt;
}

Result<std::vector<AccessKey>> list_access_keys(store::Tx& tx, std::string_view user) {
  std::vector<std::string> ids;
  if (user.empty()) {
    ids = root_keys(tx);
  } else {
    TRY(User owner, get_user(tx, user));
    ids = std::move(owner.access_keys);
  }
  std::vector<AccessKey> keys;
  for (const std::string& id : ids) {
    auto key = find_access_key(tx, id);
    if (!key) continue;
    key->secret.clear();
    keys.push_back(*std::move(key));
  }
  return keys;
}

Status update_access_key(store::Tx& tx, std::string_view user, std::string_view id, bool active) {
  TRY(AccessKey key, own_key(tx, user, id));
  key.active = active;
  put_access_key(tx, key);
  return {};
}

Status delete_access_key(store::Tx& tx, std::string_view user, std::string_view id) {
  TRY(AccessKey key, own_key(tx, user, id));
  tx.erase(key_of_access_key(id));
  tx.erase(store::Key(store::table::kMeta).text("key_used").text(id).str());
  if (user.empty()) {
    std::vector<std::string> ids = root_keys(tx);
    std::erase(ids, key.id);
    put_root_keys(tx, ids);
    return {};
  }
  TRY(User owner, get_user(tx, user));
  std::erase(owner.access_keys, key.id);
  put_user(tx, owner);
  return {};
}

Result<User> update_user(store::Tx& tx, std::string_view name, std::string_view new_name, std::string_view new_path) {
  TRY(User user, get_user(tx, name));
  if (!new_path.empty()) user.path = new_path;
  if (!new_name.empty() && new_name != user.name) {
    if (!equals_ignore_case(new_name, user.name) && find_user(tx, new_name))
      return entity_exists("User with name " + std::string(new_name) + " already exists.");
    TRY(Entity entity, get_entity(tx, EntityKind::kUser, name));
    move_attachments(tx, entity, new_name);
    move_memberships(tx, user.name, new_name);
    for (const std::string& id : user.access_keys) {
      TRY(AccessKey key, own_key(tx, user.name, id));
      key.user = new_name;
      put_access_key(tx, key);
    }
    tx.erase(identity_key(store::table::kUser, user.name));
    user.name = new_name;
  }
  put_user(tx, user);
  return user;
}

Status put_user_policy(store::Tx& tx, std::string_view user, std::string_view name, std::string_view document) {
  return put_inline_policy(tx, EntityKind::kUser, user, name, document);
}

Status delete_user_policy(store::Tx& tx, std::string_view user, std::string_view name) {
  return delete_inline_policy(tx, EntityKind::kUser, user, name);
}

}  // namespace muster::iam
