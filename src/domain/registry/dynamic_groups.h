// SPDX-License-Identifier: Apache-2.0
// Dynamic thing groups: groups whose members are the things that match a fleet query; flat, no parent, no children.
// Membership is kept in the same tables as static groups' (kGroupMember, kThingMembership), so jobs, lists and
// groups_of_thing_with_ancestors see no difference. It follows a change of a thing in that change's own transaction
// (refresh_thing); a query over shadows, connectivity or jobs follows the fleet index within a second of the change
// (domain/fleet/indexer.h). A new or changed query is worked through in the background (dynamic_group_builder.h; status
// BUILDING, then ACTIVE). Terms without a field look at registry fields alone.
// Source: service model iot 2015-05-28 "CreateDynamicThingGroup"; bounds: 100 dynamic groups (Muster: as AWS).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "domain/registry/groups.h"
#include "store/store.h"

namespace muster::registry {

struct CreateDynamicGroup {
  std::string name;
  std::string query;
  std::string index_name;     // "AWS_Things" or empty
  std::string query_version;  // "2017-09-30" or empty
  std::string description;
  Attributes attributes;
};
Result<ThingGroup> create_dynamic_group(store::Tx& tx, const Realm& realm, const CreateDynamicGroup& wanted);
struct UpdateDynamicGroup {
  UpdateGroup group;
  std::optional<std::string> query;
  std::string index_name;     // as above
  std::string query_version;  // as above
};
// Another query: the group is REBUILDING. kInvalid for a static group.
Result<ThingGroup> update_dynamic_group(store::Tx& tx, const UpdateDynamicGroup& change);
// As delete_group, for dynamic groups alone.
Result<GroupDeletion> delete_dynamic_group(store::Tx& tx, const Realm& realm, std::string_view name,
                                           std::optional<std::int64_t> expected_version, std::size_t batch = 250);

inline constexpr std::string_view kIndexName = "AWS_Things";
inline constexpr std::string_view kQueryVersion = "2017-09-30";

enum class DynamicGroupStatus : std::uint8_t { kActive, kBuilding, kRebuilding };
std::string_view to_string(DynamicGroupStatus status);
DynamicGroupStatus dynamic_group_status(store::Tx& tx, std::string_view group);

// After the thing was made or changed (attributes, type, static groups): joins and leaves dynamic groups, whether they
// are built already or not. It is in the first of those that match, by age of the groups, that its static groups leave
// room for (10 groups a thing). What changes things and static groups calls it itself; whoever must hear of the change
// (jobs::membership_changed) compares groups_of_thing_with_ancestors before and after.
Status refresh_thing(store::Tx& tx, std::string_view thing);

// No: a change of a thing's attributes changes no membership.
bool has_dynamic_groups(store::Tx& tx);

}  // namespace muster::registry
