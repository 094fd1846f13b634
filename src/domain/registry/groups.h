// SPDX-License-Identifier: Apache-2.0
// Thing groups: a forest fixed at creation, with attributes and members. Synchronous over Tx&. What is changed here are
// static groups, and joins and leaves of theirs; dynamic ones (dynamic_groups.h) are found and listed too, and every
// change of a thing's static groups is followed by its dynamic ones within the same call.
// Bounds: depth 7, 100 children a group, 10 groups a thing, one group a thing in each hierarchy (AWS IoT quotas).
// Membership is kept in both directions (tables kGroupMember, kThingMembership), and counted.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "domain/registry/page.h"
#include "domain/registry/things.h"
#include "store/store.h"

namespace muster::registry {

struct ThingGroup {
  std::string name;
  std::string id;
  std::string parent;                  // empty: a root
  std::vector<std::string> ancestors;  // root first, parent last
  std::string description;
  Attributes attributes;
  std::string query;  // of a dynamic group; empty: a static one
  std::int64_t version = 1;
  std::int64_t created_ms = 0;
  bool deleting = false;  // being emptied; absent for everybody else

  bool is_dynamic() const { return !query.empty(); }
};

std::string group_arn(const Realm& realm, std::string_view name);

struct CreateGroup {
  std::string name;
  std::string parent;
  std::string description;
  Attributes attributes;
};
// The existing group when it was created alike.
Result<ThingGroup> create_group(store::Tx& tx, const Realm& realm, const CreateGroup& wanted);
std::optional<ThingGroup> find_group(store::Tx& tx, std::string_view name);
Result<ThingGroup> get_group(store::Tx& tx, std::string_view name);

struct UpdateGroup {
  std::string name;
  std::optional<std::string> description;
  std::optional<Attributes> attributes;
  bool merge = false;
  std::optional<std::int64_t> expected_version;
};
Result<ThingGroup> update_group(store::Tx& tx, const UpdateGroup& change);

// All groups of a thing, with ancestors and dynamic ones, before and after a change.
struct MembershipChange {
  std::string thing;
  std::vector<std::string> before, after;
};
struct GroupDeletion {
  bool done = true;  // false: call again, in a new transaction
  std::vector<MembershipChange> changes;
};
// Refused while it has children, and for dynamic groups. Detaches its policies, drops its tags, removes at most `batch`
// members. From the first call on the group is absent for others; what is not called for in time the builder does.
// Success when there is no such group.
Result<GroupDeletion> delete_group(store::Tx& tx, const Realm& realm, std::string_view name,
                                   std::optional<std::int64_t> expected_version, std::size_t batch = 250);

struct ListGroups {
  std::string parent;  // empty: all (recursive) or roots
  std::string name_prefix;
  bool recursive = true;
  PageRequest page;
};
Result<Page<std::string>> list_groups(store::Tx& tx, const ListGroups& list);

// When a thing is in 10 groups, some of them dynamic: may a static one take the place of a dynamic one?
enum class DynamicGroups : std::uint8_t { kKeep, kOverride };
// True when the membership is new. AWS: adding again is a success without effect. kNotFound: the thing or the group.
Result<bool> add_thing_to_group(store::Tx& tx, std::string_view group, std::string_view thing,
                                DynamicGroups dynamic = DynamicGroups::kKeep);
// True when it was a member.
Result<bool> remove_thing_from_group(store::Tx& tx, std::string_view group, std::string_view thing);

struct UpdateGroupsOfThing {
  std::string thing;
  std::vector<std::string> remove, add;  // in that order
  DynamicGroups dynamic = DynamicGroups::kKeep;
};
Result<MembershipChange> update_groups_of_thing(store::Tx& tx, const UpdateGroupsOfThing& wanted);
// The same for a thing that create_thing has made in this transaction: that it is in no group yet is not read. For bulk
// registration, where that read is most of the work; `read` spares it a group's record for each thing after the first:
// one of the transaction's own, in which no group changes.
using GroupsRead = std::map<std::string, ThingGroup, std::less<>>;
Result<MembershipChange> join_groups_of_new_thing(store::Tx& tx, std::string_view thing,
                                                  const std::vector<std::string>& groups, GroupsRead* read = nullptr);

// Members of the group, and of all groups below it: no scan of them, a read a group. A snapshot.
std::int64_t member_count(store::Tx& tx, std::string_view group, bool recursive);

// Direct groups of a thing, at most 10, by name.
std::vector<std::string> groups_of_thing(store::Tx& tx, std::string_view thing);
// With all their ancestors, without duplicates: the groups whose policies and jobs reach the thing.
std::vector<std::string> groups_of_thing_with_ancestors(store::Tx& tx, std::string_view thing);

// Members of a group (and of all groups below it), in pages. Reads at most a bounded number of keys a call, so a page
// may be empty although `next` is not. Each member comes once: a thing is in one group of a hierarchy. The order is
// fixed: group before its children, children by name, things by name. `next` is empty at the end, else the cursor of
// the next call; it survives changes in between (what joins behind the cursor is missed, what leaves is not seen).
struct MemberPage {
  std::vector<std::string> things;
  std::string next;
};
// kNotFound when the group does not exist; kInvalid for a cursor of another group.
Result<MemberPage> for_each_member(store::Tx& tx, std::string_view group, bool recursive, std::string_view cursor,
                                   std::size_t limit, bool snapshot = false);

Error group_not_found(std::string_view name);

}  // namespace muster::registry
