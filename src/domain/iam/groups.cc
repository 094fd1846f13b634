// SPDX-License-Identifier: Apache-2.0
// kIamGroup: lower-case name -> {name, path, id, created_ms, policies, attached}. kIamGroupUser and kIamUserGroup:
// lower-case names -> nothing.
#include "domain/iam/groups.h"

#include "base/text.h"
#include "domain/iam/counts.h"
#include "domain/iam/identity_records.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::iam {

namespace {

constexpr std::size_t kGroupsPerUser = 10;
constexpr std::size_t kMostGroupsOfUser = 1000;

std::string pair_key(char table, std::string_view first, std::string_view second) {
  return store::Key(table).text(lower(first)).text(lower(second)).str();
}

// The second components of a pair index under `first`, up to `limit`, behind `after`.
std::vector<std::string> partners(store::Tx& tx, char table, std::string_view first, std::string_view after,
                                  std::size_t limit, bool snapshot) {
  std::vector<std::string> names;
  const std::string prefix = store::Key(table).text(lower(first)).str();
  const auto found = tx.range({.begin = after.empty() ? prefix : store::after_key(pair_key(table, first, after)),
                               .end = store::after_prefix(prefix),
                               .limit = limit,
                               .snapshot = snapshot});
  for (const store::KeyValue& item : found) {
    store::KeyReader reader(item.key);
    reader.text();
    if (auto name = reader.text()) names.push_back(*std::move(name));
  }
  return names;
}

void join(store::Tx& tx, std::string_view group, std::string_view user) {
  tx.put(pair_key(store::table::kIamGroupUser, group, user), "");
  tx.put(pair_key(store::table::kIamUserGroup, user, group), "");
}

void part(store::Tx& tx, std::string_view group, std::string_view user) {
  tx.erase(pair_key(store::table::kIamGroupUser, group, user));
  tx.erase(pair_key(store::table::kIamUserGroup, user, group));
}

// Each membership has the group's name in it twice. A group has at most all users of the account.
Status move_users(store::Tx& tx, std::string_view group, std::string_view new_name) {
  const auto most = static_cast<std::size_t>(quota_of(Counted::kUsers));
  const auto users = partners(tx, store::table::kIamGroupUser, group, "", most + 1, false);
  if (users.size() > most)
    return limit_exceeded("Cannot rename a group of more than " + std::to_string(most) + " users.");
  for (const std::string& user : users) {
    part(tx, group, user);
    join(tx, new_name, user);
  }
  return {};
}

void put_group(store::Tx& tx, const Entity& group) {
  json::object record{{"name", group.name}, {"path", group.path}, {"id", group.id}, {"created_ms", group.created_ms}};
  record["policies"] = to_object(group.policies);
  record["attached"] = to_array(group.attached);
  tx.put(identity_key(store::table::kIamGroup, group.name), to_text(record));
}

Error group_exists(std::string_view name) {
  return entity_exists("Group with name " + std::string(name) + " already exists.");
}

}  // namespace

Result<Entity> create_group(store::Tx& tx, std::string_view name, std::string_view path) {
  if (find_entity(tx, EntityKind::kGroup, name)) return group_exists(name);
  Entity group;
  group.kind = EntityKind::kGroup;
  group.name = name;
  group.path = path.empty() ? "/" : path;
  group.id = unique_id("AGPA");
  group.created_ms = tx.now_ms();
  TRY_VOID(count_within_quota(tx, Counted::kGroups));
  put_group(tx, group);
  return group;
}

Result<NamePage<Entity>> list_groups(store::Tx& tx, const ListNames& list) {
  return list_identities<Entity>(tx, store::table::kIamGroup, list,
                                 [](std::string_view text) { return read_entity(EntityKind::kGroup, text); });
}

Status update_group(store::Tx& tx, std::string_view name, std::string_view new_name, std::string_view new_path) {
  TRY(Entity group, get_entity(tx, EntityKind::kGroup, name));
  if (!new_path.empty()) group.path = new_path;
  if (!new_name.empty() && new_name != group.name) {
    if (!equals_ignore_case(new_name, group.name)) {
      if (find_entity(tx, EntityKind::kGroup, new_name)) return group_exists(new_name);
      TRY_VOID(move_users(tx, group.name, new_name));
    }
    move_attachments(tx, group, new_name);
    tx.erase(identity_key(store::table::kIamGroup, group.name));
    group.name = new_name;
  }
  put_group(tx, group);
  return {};
}

Status delete_group(store::Tx& tx, std::string_view name) {
  TRY(Entity group, get_entity(tx, EntityKind::kGroup, name));
  if (!partners(tx, store::table::kIamGroupUser, name, "", 1, false).empty())
    return delete_conflict("Cannot delete entity, must remove users from group first.");
  if (!group.policies.empty()) return delete_conflict("Cannot delete entity, must delete policies first.");
  if (!group.attached.empty()) return delete_conflict("Cannot delete entity, must detach all policies first.");
  tx.erase(identity_key(store::table::kIamGroup, name));
  count(tx, Counted::kGroups, -1);
  return {};
}

Status add_user_to_group(store::Tx& tx, std::string_view group, std::string_view user) {
  TRY_VOID(get_entity(tx, EntityKind::kGroup, group));
  TRY_VOID(get_entity(tx, EntityKind::kUser, user));
  if (tx.get(pair_key(store::table::kIamUserGroup, user, group))) return {};
  if (groups_of_user(tx, user).size() >= kGroupsPerUser)
    return limit_exceeded("Cannot exceed quota for GroupsPerUser: " + std::to_string(kGroupsPerUser));
  join(tx, group, user);
  return {};
}

Status remove_user_from_group(store::Tx& tx, std::string_view group, std::string_view user) {
  TRY_VOID(get_entity(tx, EntityKind::kGroup, group));
  TRY_VOID(get_entity(tx, EntityKind::kUser, user));
  if (!tx.get(pair_key(store::table::kIamUserGroup, user, group)))
    return no_such_entity("User " + std::string(user) + " is not in group " + std::string(group) + ".");
  part(tx, group, user);
  return {};
}

std::vector<std::string> groups_of_user(store::Tx& tx, std::string_view user, bool snapshot) {
  return partners(tx, store::table::kIamUserGroup, user, "", kMostGroupsOfUser, snapshot);
}

Result<NamePage<std::string>> list_users_of_group(store::Tx& tx, std::string_view group, const ListNames& list) {
  std::string after;
  if (!list.marker.empty()) {
    auto position = from_base64(list.marker);
    if (!position || position->empty()) return make_error(ErrorKind::kInvalid, "Invalid Marker.", "ValidationError");
    after = *std::move(position);
  }
  NamePage<std::string> page;
  page.items = partners(tx, store::table::kIamGroupUser, group, after, list.limit + 1, true);
  if (page.items.size() <= list.limit) return page;
  page.items.resize(list.limit);
  page.next_marker = identity_marker(page.items.back());
  return page;
}

void move_memberships(store::Tx& tx, std::string_view user, std::string_view new_name) {
  if (equals_ignore_case(user, new_name)) return;
  for (const std::string& group : groups_of_user(tx, user)) {
    part(tx, group, user);
    join(tx, group, new_name);
  }
}

}  // namespace muster::iam
