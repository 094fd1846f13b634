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

Error is_dynamic(std::string_view group) {
  return invalid("Thing group " + std::string(group) + " is dynamic: its query decides about its members");
}

// The groups of a thing as they are read once, and then changed with their rows. Its dynamic groups are the caller's to
// refresh.
class Memberships {
 public:
  Memberships(store::Tx& tx, std::string_view thing) : Memberships(tx, thing, memberships_of(tx, thing)) {}
  Memberships(store::Tx& tx, std::string_view thing, const std::vector<std::string>& names, GroupsRead* read = nullptr)
      : tx_(tx), thing_(thing), read_(read) {
    for (const std::string& name : names)
      if (auto group = find_group(tx, name)) groups_.push_back(*std::move(group));
  }

  std::vector<std::string> with_ancestors() const {
    std::set<std::string> names;
    for (const ThingGroup& group : groups_) {
      names.insert(group.name);
      names.insert(group.ancestors.begin(), group.ancestors.end());
    }
    return {names.begin(), names.end()};
  }

  Result<bool> join(std::string_view name, DynamicGroups dynamic) {
    TRY(ThingGroup group, read(name));
    if (group.is_dynamic()) return is_dynamic(name);
    if (std::ranges::find(groups_, name, &ThingGroup::name) != groups_.end()) return false;
    TRY_VOID(check_room(group, dynamic));
    put_member(tx_, name, thing_);
    groups_.push_back(std::move(group));
    return true;
  }

  Result<bool> leave(std::string_view name) {
    auto found = std::ranges::find(groups_, name, &ThingGroup::name);
    if (found == groups_.end()) {
      TRY(ThingGroup group, get_group(tx_, name));
      if (group.is_dynamic()) return is_dynamic(name);
      return false;
    }
    if (found->is_dynamic()) return is_dynamic(name);
    erase_member(tx_, name, thing_);
    groups_.erase(found);
    return true;
  }

 private:
  Status check_room(const ThingGroup& wanted, DynamicGroups dynamic) const {
    for (const ThingGroup& group : groups_)
      if (root_of(group) == root_of(wanted))
        return invalid("Thing " + std::string(thing_) + " cannot be added to thing group " + wanted.name +
                       ": it belongs to " + group.name + " of the same hierarchy");
    auto dynamic_groups = static_cast<std::size_t>(std::ranges::count_if(groups_, &ThingGroup::is_dynamic));
    const std::string full = "Thing " + std::string(thing_) + " is in the maximum number of thing groups, " +
                             std::to_string(kGroupsOfThingLimit);
    if (groups_.size() - dynamic_groups >= kGroupsOfThingLimit) return invalid(full);
    if (groups_.size() >= kGroupsOfThingLimit && dynamic == DynamicGroups::kKeep)
      return invalid(full + "; overrideDynamicGroups lets it leave a dynamic one");
    return {};
  }

  Result<ThingGroup> read(std::string_view name) const {
    if (read_ == nullptr) return get_group(tx_, name);
    auto known = read_->find(name);
    if (known == read_->end()) {
      TRY(ThingGroup group, get_group(tx_, name));
      known = read_->emplace(name, std::move(group)).first;
    }
    return known->second;
  }

  store::Tx& tx_;
  std::string_view thing_;
  GroupsRead* read_;
  std::vector<ThingGroup> groups_;
};

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
  TRY(auto change, update_groups_of_thing(tx, {std::string(thing), {}, {std::string(group)}, dynamic}));
  return change.before != change.after;
}

Result<bool> remove_thing_from_group(store::Tx& tx, std::string_view group, std::string_view thing) {
  TRY(auto change, update_groups_of_thing(tx, {std::string(thing), {std::string(group)}, {}}));
  return change.before != change.after;
}

// Dynamic groups follow at the end alone: between a leave and a join none may take the place that was made.
Result<MembershipChange> update_groups_of_thing(store::Tx& tx, const UpdateGroupsOfThing& wanted) {
  if (!thing_exists(tx, wanted.thing)) return thing_not_found(wanted.thing);
  Memberships groups(tx, wanted.thing);
  MembershipChange change{.thing = wanted.thing, .before = groups.with_ancestors(), .after = {}};
  bool changed = false;
  for (const std::string& group : wanted.remove) {
    TRY(bool left, groups.leave(group));
    changed |= left;
  }
  for (const std::string& group : wanted.add) {
    TRY(bool joined, groups.join(group, wanted.dynamic));
    changed |= joined;
  }
  if (changed && has_dynamic_groups(tx)) {
    TRY_VOID(refresh_thing(tx, wanted.thing));
    change.after = groups_of_thing_with_ancestors(tx, wanted.thing);
  } else {
    change.after = groups.with_ancestors();
  }
  return change;
}

Result<MembershipChange> join_groups_of_new_thing(store::Tx& tx, std::string_view thing,
                                                  const std::vector<std::string>& names, GroupsRead* read) {
  // Then it may be in some already.
  if (has_dynamic_groups(tx)) return update_groups_of_thing(tx, {std::string(thing), {}, names});
  Memberships groups(tx, thing, {}, read);
  for (const std::string& name : names) TRY_VOID(groups.join(name, DynamicGroups::kKeep));
  return MembershipChange{.thing = std::string(thing), .before = {}, .after = groups.with_ancestors()};
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
  return Memberships(tx, thing).with_ancestors();
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
