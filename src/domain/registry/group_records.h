// SPDX-License-Identifier: Apache-2.0
// What the files of groups share: records of thing groups, rows of members, and the walk through a hierarchy.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/registry/fleet_query.h"
#include "domain/registry/groups.h"

namespace muster::registry {

inline constexpr std::size_t kGroupsOfThingLimit = 10;

std::optional<ThingGroup> read_group(std::string_view name, std::string_view text);
// Those being deleted too.
std::optional<ThingGroup> find_group_record(store::Tx& tx, std::string_view name, bool snapshot);

void put_group(store::Tx& tx, const ThingGroup& group);
// A new root, or a child of its parent; kind and name decide whether there may be one.
void put_new_group(store::Tx& tx, const ThingGroup& group);
Status check_version(const ThingGroup& group, std::optional<std::int64_t> expected);
// Of a thing group, thing type, billing group; `what` is the beginning of the refusal.
Status check_description(std::string_view what, std::string_view description);
Error group_exists(const Realm& realm, const ThingGroup& group);
Status apply_update(ThingGroup& group, const UpdateGroup& change);  // all but writing it
// One batch of delete_group, for a group of either kind: the first hides it, each lets go of members.
Result<GroupDeletion> erase_group(store::Tx& tx, const Realm& realm, ThingGroup group, std::size_t batch);
// A batch that is not the first.
Result<GroupDeletion> empty_group(store::Tx& tx, const ThingGroup& group, std::size_t batch);

// kGroupBuild: group -> {rebuilding, ...} of a group to be built, {deleting} of a group to be emptied.
std::string group_build_key(std::string_view group);

// The queries of all dynamic groups, oldest first; read once by who refreshes many things in a transaction.
struct DynamicQuery {
  std::string group;
  FleetQuery query;
};
Result<std::vector<DynamicQuery>> dynamic_queries(store::Tx& tx);
// `index_fields`: those beside the registry's (domain/fleet/document.h); without them who is in a group that asks for
// such stays in it, and the indexer decides later.
Status refresh_thing(store::Tx& tx, std::string_view thing, const std::vector<DynamicQuery>& queries,
                     const FieldValues* index_fields = nullptr);

// Rows of a membership and its count; the caller knows that it is new, or is there.
void put_member(store::Tx& tx, std::string_view group, std::string_view thing);
void erase_member(store::Tx& tx, std::string_view group, std::string_view thing);
// Direct groups of a thing, those being deleted too.
std::vector<std::string> memberships_of(store::Tx& tx, std::string_view thing);

// From the top group down to the current one. advance() goes to the next group in preorder, children by name; false at
// the end. Works on although groups of the path are gone.
using GroupPath = std::vector<std::string>;
bool advance(store::Tx& tx, GroupPath& path, bool snapshot);
std::string join_path(const GroupPath& path);
GroupPath split_path(std::string_view text);

}  // namespace muster::registry
