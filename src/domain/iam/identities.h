// SPDX-License-Identifier: Apache-2.0
// IAM identities of the one account: users and roles, and access keys. Synchronous over Tx&. What users, roles and
// groups have in common (inline and attached policies, boundaries, tags) is in entities.h.
// Errors carry AWS's IAM codes in `reason` (NoSuchEntity, EntityAlreadyExists, DeleteConflict, LimitExceeded) and IAM's
// wording. Quotas as AWS: 2 access keys a user, 2048 characters of inline policies a user, 10240 a role, 2048 a trust
// policy (white space not counted). Names are unique without regard to case.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "store/store.h"

namespace muster::iam {

struct User {
  std::string name;
  std::string path = "/";
  std::string id;  // AIDA...
  std::int64_t created_ms = 0;
  std::map<std::string, std::string> policies;  // inline: name -> document text
  std::map<std::string, std::string> tags;
  std::vector<std::string> access_keys;
  std::vector<std::string> attached;  // ARNs of managed policies
  std::string boundary;               // ARN of the managed policy that bounds what the others allow, or empty
};

struct Role {
  std::string name;
  std::string path = "/";
  std::string id;  // AROA...
  std::int64_t created_ms = 0;
  std::string trust_policy;
  std::string description;
  std::int64_t max_session_s = 3600;
  std::map<std::string, std::string> policies;
  std::map<std::string, std::string> tags;
  std::vector<std::string> attached;
  std::string boundary;
};

struct AccessKey {
  std::string id;      // AKIA + 16 characters
  std::string secret;  // 40 characters
  std::string user;    // empty: root
  bool active = true;
  std::int64_t created_ms = 0;
};

struct Account {
  Realm realm;
  AccessKey root_key;
  bool created = false;  // by this call: the first start
};

// Reads the account from table kMeta, or makes it: random id, root access key, session secret. `region` decides at
// first start; later it must be empty or the same (kInvalid: ARNs in the store name the region).
Result<Account> ensure_account(store::Tx& tx, std::string_view region);

std::string user_arn(const Realm& realm, const User& user);  // with path
std::string role_arn(const Realm& realm, const Role& role);

template <class T>
struct NamePage {
  std::vector<T> items;
  std::string next_marker;  // empty: last page
};
struct ListNames {
  std::string path_prefix = "/";
  std::string marker;
  std::size_t limit = 100;
};

Result<User> create_user(store::Tx& tx, const User& wanted);  // name, path, tags are taken
Result<User> get_user(store::Tx& tx, std::string_view name);
std::optional<User> find_user(store::Tx& tx, std::string_view name);
Result<NamePage<User>> list_users(store::Tx& tx, const ListNames& list);
Status delete_user(store::Tx& tx, std::string_view name);
// Empty: stays. A new name moves its keys, groups and attachments with it; answers the user as it is then.
Result<User> update_user(store::Tx& tx, std::string_view name, std::string_view new_name, std::string_view new_path);

Result<AccessKey> create_access_key(store::Tx& tx, std::string_view user);  // empty: for root
std::optional<AccessKey> find_access_key(store::Tx& tx, std::string_view id);
Result<std::vector<AccessKey>> list_access_keys(store::Tx& tx, std::string_view user);  // secrets cleared
Status update_access_key(store::Tx& tx, std::string_view user, std::string_view id, bool active);
Status delete_access_key(store::Tx& tx, std::string_view user, std::string_view id);

Status put_user_policy(store::Tx& tx, std::string_view user, std::string_view name, std::string_view document);
Status delete_user_policy(store::Tx& tx, std::string_view user, std::string_view name);

Result<Role> create_role(store::Tx& tx, const Role& wanted);
Result<Role> get_role(store::Tx& tx, std::string_view name);
std::optional<Role> find_role(store::Tx& tx, std::string_view name);
Result<NamePage<Role>> list_roles(store::Tx& tx, const ListNames& list);
Status delete_role(store::Tx& tx, std::string_view name);
Status update_trust_policy(store::Tx& tx, std::string_view name, std::string_view document);
Status put_role_policy(store::Tx& tx, std::string_view role, std::string_view policy, std::string_view document);
Status delete_role_policy(store::Tx& tx, std::string_view role, std::string_view policy);

struct RoleChange {
  std::optional<std::string> description;
  std::optional<std::int64_t> max_session_s;
};
Result<Role> update_role(store::Tx& tx, std::string_view name, const RoleChange& change);

}  // namespace muster::iam
