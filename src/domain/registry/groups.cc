// SPDX-License-Identifier: Apache-2.0
// kThingGroup: name -> {id, parent, ancestors, description, attributes, query, version, created_ms, deleting}.
// kGroupChild: (parent, child) -> "", roots under the empty parent.
#include "domain/registry/groups.h"

#include <algorithm>

#include "base/crypto.h"
#include "base/text.h"
#include "domain/registry/attributes.h"
#include "domain/registry/dynamic_groups.h"
#include "domain/registry/group_records.h"
#include "domain/registry/policy_links.h"
#include "domain/registry/tags.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::registry {

namespace {

constexpr std::size_t kDepthLimit = 7;
constexpr std::size_t kChildrenLimit = 100;
constexpr std::size_t kDescriptionLimit = 2028;

std::string group_key(std::string_view name) {
  return store::Key(store::table::kThingGroup).text(name).str();
}
std::string child_key(std::string_view parent, std::string_view child) {
  return store::Key(store::table::kGroupChild).text(parent).text(child).str();
}

}  // namespace

void put_group(store::Tx& tx, const ThingGroup& group) {
  json::object record{{"id", group.id}, {"version", group.version}, {"created_ms", group.created_ms}};
  if (!group.parent.empty()) record["parent"] = group.parent;
  json::array ancestors;
  for (const std::string& ancestor : group.ancestors) ancestors.emplace_back(ancestor);
  record["ancestors"] = std::move(ancestors);
  if (!group.description.empty()) record["description"] = group.description;
  if (!group.attributes.empty()) record["attributes"] = to_object(group.attributes);
  if (group.is_dynamic()) record["query"] = group.query;
  if (group.deleting) record["deleting"] = true;
  tx.put(group_key(group.name), to_text(record));
}

Status check_version(const ThingGroup& group, std::optional<std::int64_t> expected) {
  if (!expected || *expected == group.version) return {};
  return make_error(ErrorKind::kVersionConflict,
                    "The version for thing group " + group.name + " does not match the expected version.");
}

// [\p{Graph}\x20]{0,2028}
Status check_description(std::string_view what, std::string_view description) {
  if (!is_utf8(description) || has_control_characters(description))
    return invalid(std::string(what) + " description must not contain control characters");
  const auto bytes_within = std::ranges::count_if(description, [](char c) { return (c & 0xC0) == 0x80; });
  if (description.size() - static_cast<std::size_t>(bytes_within) <= kDescriptionLimit) return {};
  return invalid(std::string(what) + " description exceeds " + std::to_string(kDescriptionLimit) + " characters");
}

Error group_exists(const Realm& realm, const ThingGroup& group) {
  Error error = make_error(ErrorKind::kAlreadyExists, "Thing Group " + group.name + " already exists in account " +
                                                          realm.account_id + " with different properties");
  error.fields["resourceId"] = group.id;
  error.fields["resourceArn"] = group_arn(realm, group.name);
  return error;
}

void put_new_group(store::Tx& tx, const ThingGroup& group) {
  put_group(tx, group);
  tx.put(child_key(group.parent, group.name), "");
}

Status apply_update(ThingGroup& group, const UpdateGroup& change) {
  TRY_VOID(check_version(group, change.expected_version));
  if (change.description) {
    TRY_VOID(check_description("Thing group", *change.description));
    group.description = *change.description;
  }
  if (change.attributes) {
    TRY(group.attributes, changed_attributes(group.attributes, *change.attributes, change.merge));
  }
  ++group.version;
  return {};
}

std::optional<ThingGroup> read_group(std::string_view name, std::string_view text) {
  auto record = parse_record(text);
  if (!record) return std::nullopt;
  ThingGroup group;
  group.name = name;
  group.id = get_string(*record, "id");
  group.parent = get_string(*record, "parent");
  if (const json::array* ancestors = find_array(*record, "ancestors"))
    for (const json::value& ancestor : *ancestors)
      if (ancestor.is_string()) group.ancestors.emplace_back(ancestor.as_string());
  group.description = get_string(*record, "description");
  group.attributes = attributes_of(*record);
  group.version = get_int(*record, "version", 1);
  group.created_ms = get_int(*record, "created_ms");
  group.query = get_string(*record, "query");
  group.deleting = get_bool(*record, "deleting");
  return group;
}

std::optional<ThingGroup> find_group_record(store::Tx& tx, std::string_view name, bool snapshot) {
  auto text = snapshot ? tx.get_snapshot(group_key(name)) : tx.get(group_key(name));
  return text ? read_group(name, *text) : std::nullopt;
}

std::string group_arn(const Realm& realm, std::string_view name) {
  return iot_arn(realm, "thinggroup", name);
}

Error group_not_found(std::string_view name) {
  return not_found("Thing Group " + std::string(name) + " not found.");
}

std::optional<ThingGroup> find_group(store::Tx& tx, std::string_view name) {
  auto group = find_group_record(tx, name, false);
  if (group && group->deleting) return std::nullopt;
  return group;
}

Result<ThingGroup> get_group(store::Tx& tx, std::string_view name) {
  auto group = find_group(tx, name);
  if (!group) return group_not_found(name);
  return *std::move(group);
}

Result<ThingGroup> create_group(store::Tx& tx, const Realm& realm, const CreateGroup& wanted) {
  if (!is_thing_name(wanted.name)) return invalid("Invalid thing group name: it must match [a-zA-Z0-9:_-]{1,128}");
  TRY_VOID(check_description("Thing group", wanted.description));
  ThingGroup group;
  TRY(group.attributes, checked_attributes(wanted.attributes));
  if (auto existing = find_group_record(tx, wanted.name, false)) {
    if (existing->deleting)
      return make_error(ErrorKind::kAlreadyExists, "Thing Group " + wanted.name + " is being deleted");
    bool same = !existing->is_dynamic() && existing->parent == wanted.parent &&
                existing->description == wanted.description && existing->attributes == group.attributes;
    if (same) return *std::move(existing);
    return group_exists(realm, *existing);
  }
  if (!wanted.parent.empty()) {
    auto parent = find_group(tx, wanted.parent);
    if (!parent) return invalid("Parent thing group " + wanted.parent + " does not exist");
    if (parent->is_dynamic())
      return invalid("Thing group " + wanted.parent + " is dynamic and cannot be the parent of other groups");
    group.ancestors = std::move(parent->ancestors);
    group.ancestors.push_back(wanted.parent);
    if (group.ancestors.size() >= kDepthLimit)
      return invalid("The depth of the thing group hierarchy exceeds the limit of " + std::to_string(kDepthLimit));
    std::string children = store::Key(store::table::kGroupChild).text(wanted.parent).str();
    auto found = tx.range({.begin = children, .end = store::after_prefix(children), .limit = kChildrenLimit});
    if (found.size() >= kChildrenLimit)
      return invalid("Thing group " + wanted.parent + " has the maximum number of child groups, " +
                     std::to_string(kChildrenLimit));
  }
  group.name = wanted.name;
  group.id = random_uuid();
  group.parent = wanted.parent;
  group.description = wanted.description;
  group.created_ms = tx.now_ms();
  put_new_group(tx, group);
  return group;
}

Result<ThingGroup> update_group(store::Tx& tx, const UpdateGroup& change) {
  TRY(ThingGroup group, get_group(tx, change.name));
  if (group.is_dynamic())
    return invalid("Thing group " + group.name + " is dynamic: it is changed by UpdateDynamicThingGroup");
  TRY_VOID(apply_update(group, change));
  put_group(tx, group);
  return group;
}

Result<GroupDeletion> delete_group(store::Tx& tx, const Realm& realm, std::string_view name,
                                   std::optional<std::int64_t> expected_version, std::size_t batch) {
  auto group = find_group_record(tx, name, false);
  if (!group) return GroupDeletion();
  if (group->is_dynamic())
    return invalid("Thing group " + group->name + " is dynamic: it is deleted by DeleteDynamicThingGroup");
  if (!group->deleting) {
    TRY_VOID(check_version(*group, expected_version));
    std::string children = store::Key(store::table::kGroupChild).text(name).str();
    if (!tx.range({.begin = children, .end = store::after_prefix(children), .limit = 1}).empty())
      return invalid("Cannot delete thing group : " + group->name +
                     " when there are still child groups attached to it");
  }
  return erase_group(tx, realm, *std::move(group), batch);
}

namespace {

// The group is absent already, so the thing's groups of before lack it and what only it brings.
std::vector<std::string> groups_with(store::Tx& tx, const ThingGroup& group, std::string_view thing) {
  std::vector<std::string> names = groups_of_thing_with_ancestors(tx, thing);
  names.push_back(group.name);
  names.insert(names.end(), group.ancestors.begin(), group.ancestors.end());
  std::ranges::sort(names);
  auto rest = std::ranges::unique(names);
  names.erase(rest.begin(), rest.end());
  return names;
}

}  // namespace

Result<GroupDeletion> erase_group(store::Tx& tx, const Realm& realm, ThingGroup group, std::size_t batch) {
  if (!group.deleting) {
    detach_all_policies(tx, group_arn(realm, group.name));
    erase_tags(tx, group_arn(realm, group.name));
    tx.erase(child_key(group.parent, group.name));
    group.deleting = true;
    put_group(tx, group);
    // Should nobody ask again, the builder goes on.
    tx.put(group_build_key(group.name), to_text(json::object{{"deleting", true}}));
  }
  return empty_group(tx, group, batch);
}

Result<GroupDeletion> empty_group(store::Tx& tx, const ThingGroup& group, std::size_t batch) {
  std::string members = store::Key(store::table::kGroupMember).text(group.name).str();
  auto found = tx.range({.begin = members, .end = store::after_prefix(members), .limit = batch});
  TRY(const auto queries, dynamic_queries(tx));
  GroupDeletion deletion;
  for (const store::KeyValue& item : found) {
    store::KeyReader reader(item.key);
    reader.text();
    auto thing = reader.text();
    if (!thing) continue;
    MembershipChange change;
    change.before = groups_with(tx, group, *thing);
    erase_member(tx, group.name, *thing);
    TRY_VOID(refresh_thing(tx, *thing, queries));
    change.after = groups_of_thing_with_ancestors(tx, *thing);
    change.thing = *std::move(thing);
    deletion.changes.push_back(std::move(change));
  }
  deletion.done = found.size() < batch;
  if (deletion.done) {
    tx.erase(group_key(group.name));
    tx.erase(group_build_key(group.name));
    tx.erase_counter(store::Key(store::table::kGroupMemberCount).text(group.name));
  }
  return deletion;
}

}  // namespace muster::registry
