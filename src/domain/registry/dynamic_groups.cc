// SPDX-License-Identifier: Apache-2.0
// kDynamicGroup: (created_ms, group) -> query: what refresh_thing reads, oldest first, and nothing else changes it. The
// table's bare tag -> "" while there is any: every change of a thing asks, and a point read is cheaper than a range.
// kGroupBuild: here only made and dropped; dynamic_group_builder.cc works them off.
#include "domain/registry/dynamic_groups.h"

#include <algorithm>
#include <set>

#include "base/crypto.h"
#include "base/json.h"
#include "domain/registry/fleet_query.h"
#include "domain/registry/fleet_query_sources.h"
#include "domain/registry/group_records.h"
#include "domain/registry/things.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::registry {

namespace {

constexpr std::size_t kDynamicGroupsLimit = 100;

std::string query_key(const ThingGroup& group) {
  return store::Key(store::table::kDynamicGroup).integer(group.created_ms).text(group.name).str();
}
const std::string kAnyKey(1, store::table::kDynamicGroup);

std::vector<store::KeyValue> dynamic_groups(store::Tx& tx) {
  return tx.range(
      {.begin = store::after_key(kAnyKey), .end = store::after_prefix(kAnyKey), .limit = kDynamicGroupsLimit});
}

Status check_index(std::string_view index_name, std::string_view query_version) {
  if (!index_name.empty() && index_name != kIndexName)
    return not_found("Index " + std::string(index_name) + " not found: " + std::string(kIndexName) +
                     " is the only one");
  if (!query_version.empty() && query_version != kQueryVersion)
    return invalid("Query version " + std::string(query_version) + " is not supported: " + std::string(kQueryVersion) +
                   " is the only one");
  return {};
}

// A field that is not indexed never changes a membership: refused, not ignored.
Status check_query(store::Tx& tx, std::string_view text) {
  TRY(const FleetQuery query, FleetQuery::parse(text));
  if (query.needs().registry_only()) return {};
  return check_indexed(query.needs(), indexed_sources(tx));
}

void put_query(store::Tx& tx, const ThingGroup& group, bool rebuilding) {
  tx.put(query_key(group), group.query);
  tx.put(group_build_key(group.name), to_text(json::object{{"rebuilding", rebuilding}}));
}

}  // namespace

std::string_view to_string(DynamicGroupStatus status) {
  switch (status) {
    case DynamicGroupStatus::kBuilding:
      return "BUILDING";
    case DynamicGroupStatus::kRebuilding:
      return "REBUILDING";
    case DynamicGroupStatus::kActive:
      break;
  }
  return "ACTIVE";
}

DynamicGroupStatus dynamic_group_status(store::Tx& tx, std::string_view group) {
  auto text = tx.get_snapshot(group_build_key(group));
  if (!text) return DynamicGroupStatus::kActive;
  auto record = parse_record(*text);
  return record && get_bool(*record, "rebuilding") ? DynamicGroupStatus::kRebuilding : DynamicGroupStatus::kBuilding;
}

Result<ThingGroup> create_dynamic_group(store::Tx& tx, const Realm& realm, const CreateDynamicGroup& wanted) {
  if (!is_thing_name(wanted.name)) return invalid("Invalid thing group name: it must match [a-zA-Z0-9:_-]{1,128}");
  TRY_VOID(check_index(wanted.index_name, wanted.query_version));
  TRY_VOID(check_description("Thing group", wanted.description));
  TRY_VOID(check_query(tx, wanted.query));
  ThingGroup group;
  TRY(group.attributes, checked_attributes(wanted.attributes));
  if (auto existing = find_group_record(tx, wanted.name, false)) {
    bool same = !existing->deleting && existing->query == wanted.query && existing->description == wanted.description &&
                existing->attributes == group.attributes;
    if (same) return *std::move(existing);
    return group_exists(realm, *existing);
  }
  if (dynamic_groups(tx).size() >= kDynamicGroupsLimit)
    return make_error(ErrorKind::kLimit,
                      "The number of dynamic thing groups exceeds the limit of " + std::to_string(kDynamicGroupsLimit));
  group.name = wanted.name;
  group.id = random_uuid();
  group.description = wanted.description;
  group.query = wanted.query;
  group.created_ms = tx.now_ms();
  put_new_group(tx, group);
  put_query(tx, group, false);
  if (!has_dynamic_groups(tx)) tx.put(kAnyKey, "");
  return group;
}

Result<ThingGroup> update_dynamic_group(store::Tx& tx, const UpdateDynamicGroup& change) {
  TRY(ThingGroup group, get_group(tx, change.group.name));
  if (!group.is_dynamic()) return invalid("Thing group " + group.name + " is not dynamic");
  TRY_VOID(check_index(change.index_name, change.query_version));
  if (change.query) TRY_VOID(check_query(tx, *change.query));
  TRY_VOID(apply_update(group, change.group));
  if (change.query && *change.query != group.query) {
    group.query = *change.query;
    put_query(tx, group, dynamic_group_status(tx, group.name) != DynamicGroupStatus::kBuilding);
  }
  put_group(tx, group);
  return group;
}

Result<GroupDeletion> delete_dynamic_group(store::Tx& tx, const Realm& realm, std::string_view name,
                                           std::optional<std::int64_t> expected_version, std::size_t batch) {
  auto group = find_group_record(tx, name, false);
  if (!group) return GroupDeletion();
  if (!group->is_dynamic()) return invalid("Thing group " + group->name + " is not dynamic");
  if (!group->deleting) {
    TRY_VOID(check_version(*group, expected_version));
    tx.erase(query_key(*group));
    if (dynamic_groups(tx).empty()) tx.erase(kAnyKey);
  }
  return erase_group(tx, realm, *std::move(group), batch);
}

std::string group_build_key(std::string_view group) {
  return store::Key(store::table::kGroupBuild).text(group).str();
}

bool has_dynamic_groups(store::Tx& tx) {
  return tx.get(kAnyKey).has_value();
}

Result<std::vector<DynamicQuery>> dynamic_queries(store::Tx& tx) {
  std::vector<DynamicQuery> queries;
  if (!has_dynamic_groups(tx)) return queries;
  for (const store::KeyValue& row : dynamic_groups(tx)) {
    store::KeyReader reader(row.key);
    reader.integer();
    auto group = reader.text();
    if (!group) continue;
    TRY(FleetQuery query, FleetQuery::parse(row.value));
    queries.push_back({*std::move(group), std::move(query)});
  }
  return queries;
}

Status refresh_thing(store::Tx& tx, std::string_view thing) {
  TRY(const auto queries, dynamic_queries(tx));
  return refresh_thing(tx, thing, queries);
}

Status refresh_thing(store::Tx& tx, std::string_view name, const std::vector<DynamicQuery>& queries,
                     const FieldValues* index_fields) {
  if (queries.empty()) return {};
  auto thing = find_thing(tx, name);
  if (!thing) return {};
  std::size_t room = kGroupsOfThingLimit;
  std::set<std::string> names;
  std::set<std::string> joined;
  for (const std::string& member_of : memberships_of(tx, name)) {
    auto group = find_group(tx, member_of);
    if (!group) continue;  // being deleted: who deletes it removes the thing
    if (group->is_dynamic()) {
      joined.insert(member_of);
      continue;
    }
    room -= std::min<std::size_t>(room, 1);
    names.insert(member_of);
    names.insert(group->ancestors.begin(), group->ancestors.end());
  }
  const std::vector<std::string> static_groups(names.begin(), names.end());
  FieldValues document = registry_fields({*thing, static_groups});
  if (index_fields != nullptr) document.insert(document.end(), index_fields->begin(), index_fields->end());
  for (const DynamicQuery& one : queries) {
    const bool member = joined.contains(one.group);
    const bool known = index_fields != nullptr || one.query.needs().registry_only();
    const bool wanted = room > 0 && (known ? one.query.matches(document) : member);
    if (wanted) --room;
    if (wanted && !member) put_member(tx, one.group, name);
    if (!wanted && member) erase_member(tx, one.group, name);
  }
  return {};
}

}  // namespace muster::registry
