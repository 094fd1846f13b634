// SPDX-License-Identifier: Apache-2.0
// kGroupMember: (group, thing) -> ""; kThingMembership: (thing, group) -> ""; kGroupMemberCount: group -> how many.
// Cursor of members: PATH "|" THING: the groups from the listed one down to the current one, the last thing taken.
#include <algorithm>
#include <set>

#include "domain/registry/dynamic_groups.h"
#include "domain/registry/group_records.h"
#include "domain/registry/groups.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::registry {

namespace {

constexpr std::size_t kGroupsPerCall = 500;  // groups that one page of members may walk
constexpr std::size_t kPathLimit = 16;

std::string member_key(std::string_view group, std::string_view thing) {
  return store::Key(store::table::kGroupMember).text(group).text(thing).str();
}
std::string membership_key(std::string_view thing, std::string_view group) {
  return store::Key(store::table::kThingMembership).text(thing).text(group).str();
}

const std::string& root_of(const ThingGroup& group) {
  return group.ancestors.empty() ? group.name : group.ancestors.front();
}

std::string count_key(std::string_view group) {
  return store::Key(store::table::kGroupMemberCount).text(group).str();
}

// May the thing join the group, given those that it is in?
Status check_room(store::Tx& tx, const ThingGroup& group, std::string_view thing, DynamicGroups dynamic) {
  std::size_t static_groups = 0, dynamic_groups = 0;
  for (const std::string& name : memberships_of(tx, thing)) {
    auto other = find_group(tx, name);
    if (!other) continue;
    ++(other->is_dynamic() ? dynamic_groups : static_groups);
    if (root_of(*other) == root_of(group))
      return invalid("Thing " + std::string(thing) + " cannot be added to thing group " + group.name +
                     ": it belongs to " + name + " of the same hierarchy");
  }
  const std::string full = "Thing " + std::string(thing) + " is in the maximum number of thing groups, " +
                           std::to_string(kGroupsOfThingLimit);
  if (static_groups >= kGroupsOfThingLimit) return invalid(full);
  if (static_groups + dynamic_groups >= kGroupsOfThingLimit && dynamic == DynamicGroups::kKeep)
    return invalid(full + "; overrideDynamicGroups lets it leave a dynamic one");
  return {};
}

Error is_dynamic(std::string_view group) {
  return invalid("Thing group " + std::string(group) + " is dynamic: its query decides about its members");
}

// The thing's dynamic groups are the caller's to refresh.
Result<bool> join(store::Tx& tx, std::string_view group_name, std::string_view thing, DynamicGroups dynamic) {
  TRY(ThingGroup group, get_group(tx, group_name));
  if (group.is_dynamic()) return is_dynamic(group_name);
  if (!thing_exists(tx, thing)) return thing_not_found(thing);
  if (tx.get(member_key(group_name, thing))) return false;
  TRY_VOID(check_room(tx, group, thing, dynamic));
  put_member(tx, group_name, thing);
  return true;
}

Result<bool> leave(store::Tx& tx, std::string_view group_name, std::string_view thing) {
  TRY(ThingGroup group, get_group(tx, group_name));
  if (group.is_dynamic()) return is_dynamic(group_name);
  if (!tx.get(member_key(group_name, thing))) {
    if (!thing_exists(tx, thing)) return thing_not_found(thing);
    return false;
  }
  erase_member(tx, group_name, thing);
  return true;
}

}  // namespace

void put_member(store::Tx& tx, std::string_view group, std::string_view thing) {
  tx.put(member_key(group, thing), "");
  tx.put(membership_key(thing, group), "");
  tx.add(count_key(group), 1);
}

void erase_member(store::Tx& tx, std::string_view group, std::string_view thing) {
  tx.erase(member_key(group, thing));
  tx.erase(membership_key(thing, group));
  tx.add(count_key(group), -1);
}

Result<bool> add_thing_to_group(store::Tx& tx, std::string_view group, std::string_view thing, DynamicGroups dynamic) {
  TRY(bool joined, join(tx, group, thing, dynamic));
  if (joined) TRY_VOID(refresh_thing(tx, thing));
  return joined;
}

Result<bool> remove_thing_from_group(store::Tx& tx, std::string_view group, std::string_view thing) {
  TRY(bool left, leave(tx, group, thing));
  if (left) TRY_VOID(refresh_thing(tx, thing));
  return left;
}

// Dynamic groups follow at the end alone: between a leave and a join none may take the place that was made.
Status update_groups_of_thing(store::Tx& tx, const UpdateGroupsOfThing& change) {
  if (!thing_exists(tx, change.thing)) return thing_not_found(change.thing);
  bool changed = false;
  for (const std::string& group : change.remove) {
    TRY(bool left, leave(tx, group, change.thing));
    changed |= left;
  }
  for (const std::string& group : change.add) {
    TRY(bool joined, join(tx, group, change.thing, change.dynamic));
    changed |= joined;
  }
  return changed ? refresh_thing(tx, change.thing) : Status();
}

std::int64_t member_count(store::Tx& tx, std::string_view group, bool recursive) {
  GroupPath path{std::string(group)};
  std::int64_t count = tx.counter(count_key(group));
  while (recursive && advance(tx, path, true)) count += tx.counter(count_key(path.back()));
  return count;
}

std::vector<std::string> memberships_of(store::Tx& tx, std::string_view thing) {
  std::string prefix = store::Key(store::table::kThingMembership).text(thing).str();
  std::vector<std::string> groups;
  for (const store::KeyValue& item : tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = 100})) {
    store::KeyReader reader(item.key);
    reader.text();
    if (auto group = reader.text()) groups.push_back(*std::move(group));
  }
  return groups;
}

std::vector<std::string> groups_of_thing(store::Tx& tx, std::string_view thing) {
  std::vector<std::string> groups = memberships_of(tx, thing);
  std::erase_if(groups, [&](const std::string& group) { return !find_group(tx, group); });
  return groups;
}

std::vector<std::string> groups_of_thing_with_ancestors(store::Tx& tx, std::string_view thing) {
  std::set<std::string> names;
  for (const std::string& name : memberships_of(tx, thing)) {
    auto group = find_group(tx, name);
    if (!group) continue;
    names.insert(name);
    names.insert(group->ancestors.begin(), group->ancestors.end());
  }
  return {names.begin(), names.end()};
}

Result<MemberPage> for_each_member(store::Tx& tx, std::string_view group, bool recursive, std::string_view cursor,
                                   std::size_t limit, bool snapshot) {
  auto top = find_group_record(tx, group, snapshot);
  if (!top || top->deleting) return group_not_found(group);
  GroupPath path{std::string(group)};
  std::string after;
  if (!cursor.empty()) {
    std::size_t bar = cursor.find('|');
    if (bar == std::string_view::npos) return invalid("Invalid next token");
    path = split_path(cursor.substr(0, bar));
    after = cursor.substr(bar + 1);
    if (path.front() != group || path.size() > kPathLimit || (path.size() > 1 && !recursive))
      return invalid("Invalid next token");
  }
  MemberPage page;
  for (std::size_t walked = 0; walked < kGroupsPerCall; ++walked) {
    std::string prefix = store::Key(store::table::kGroupMember).text(path.back()).str();
    std::string begin = after.empty() ? prefix : store::after_key(member_key(path.back(), after));
    std::size_t want = limit - page.things.size() + 1;
    auto found = tx.range({.begin = begin, .end = store::after_prefix(prefix), .limit = want, .snapshot = snapshot});
    for (const store::KeyValue& item : found) {
      if (page.things.size() == limit) {
        page.next = join_path(path) + "|" + after;
        return page;
      }
      store::KeyReader reader(item.key);
      reader.text();
      auto thing = reader.text();
      if (!thing) continue;
      after = *thing;
      page.things.push_back(*std::move(thing));
    }
    after.clear();
    if (!recursive || !advance(tx, path, snapshot)) return page;
  }
  page.next = join_path(path) + "|";
  return page;
}

}  // namespace muster::registry
