// SPDX-License-Identifier: Apache-2.0
// kGroupMember: (group, thing) -> ""; kThingMembership: (thing, group) -> "".
// Cursor of members: PATH "|" THING: the groups from the listed one down to the current one, the last thing taken.
#include <algorithm>
#include <set>

#include "domain/registry/group_records.h"
#include "domain/registry/groups.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::registry {

namespace {

constexpr std::size_t kGroupsOfThingLimit = 10;
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

}  // namespace

Result<bool> add_thing_to_group(store::Tx& tx, std::string_view group_name, std::string_view thing) {
  TRY(ThingGroup group, get_group(tx, group_name));
  if (!thing_exists(tx, thing)) return thing_not_found(thing);
  if (tx.get(member_key(group_name, thing))) return false;
  std::vector<std::string> others = groups_of_thing(tx, thing);
  if (others.size() >= kGroupsOfThingLimit)
    return invalid("Thing " + std::string(thing) + " is in the maximum number of thing groups, " +
                   std::to_string(kGroupsOfThingLimit));
  for (const std::string& name : others) {
    auto other = find_group_record(tx, name, false);
    if (other && root_of(*other) == root_of(group))
      return invalid("Thing " + std::string(thing) + " cannot be added to thing group " + group.name +
                     ": it belongs to " + name + " of the same hierarchy");
  }
  tx.put(member_key(group_name, thing), "");
  tx.put(membership_key(thing, group_name), "");
  return true;
}

Result<bool> remove_thing_from_group(store::Tx& tx, std::string_view group, std::string_view thing) {
  if (!tx.get(member_key(group, thing))) {
    if (!find_group(tx, group)) return group_not_found(group);
    if (!thing_exists(tx, thing)) return thing_not_found(thing);
    return false;
  }
  tx.erase(member_key(group, thing));
  tx.erase(membership_key(thing, group));
  return true;
}

std::vector<std::string> groups_of_thing(store::Tx& tx, std::string_view thing) {
  std::string prefix = store::Key(store::table::kThingMembership).text(thing).str();
  std::vector<std::string> groups;
  for (const store::KeyValue& item : tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = 100})) {
    store::KeyReader reader(item.key);
    reader.text();
    if (auto group = reader.text()) groups.push_back(*std::move(group));
  }
  return groups;
}

std::vector<std::string> groups_of_thing_with_ancestors(store::Tx& tx, std::string_view thing) {
  std::set<std::string> names;
  for (const std::string& name : groups_of_thing(tx, thing)) {
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
