// SPDX-License-Identifier: Apache-2.0
#include "domain/fleet/document.h"

#include <algorithm>
#include <set>

#include "domain/fleet/connectivity.h"
#include "domain/fleet/shadow_fields.h"
#include "domain/jobs/execution.h"
#include "domain/registry/attributes.h"
#include "domain/registry/group_records.h"
#include "domain/registry/thing_records.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::fleet {

namespace {

using store::Key;
using store::KeyReader;
namespace table = store::table;

constexpr std::size_t kRowsARead = 1000;

bool wants(SourceMask mask, FieldSource source) {
  return (mask & mask_of(source)) != 0;
}
bool wants_shadows(SourceMask mask, const IndexedSources& sources) {
  return (wants(mask, FieldSource::kShadow) && sources.shadow) ||
         (wants(mask, FieldSource::kNamedShadow) && !sources.named_shadows.empty());
}
bool is_indexed(std::string_view shadow, const IndexedSources& sources) {
  return shadow.empty() ? sources.shadow : sources.named_shadows.contains(std::string(shadow));
}

// Calls visit(key after the table, value) for all rows of a range; keys of one table.
template <class F>
void for_each_row(store::Tx& tx, std::string begin, const std::string& end, F&& visit) {
  for (;;) {
    const auto rows = tx.range({.begin = begin, .end = end, .limit = kRowsARead, .snapshot = true});
    for (const store::KeyValue& row : rows) visit(row);
    if (rows.size() < kRowsARead) return;
    begin = store::after_key(rows.back().key);
  }
}

void add_group(ThingRows& rows, const store::KeyValue& row) {
  KeyReader key(row.key);
  key.text();
  if (auto group = key.text()) rows.groups.push_back(*std::move(group));
}
void add_shadow(ThingRows& rows, const store::KeyValue& row, const IndexedSources& sources) {
  KeyReader key(row.key);
  key.text();
  auto shadow = key.text();
  if (shadow && is_indexed(*shadow, sources)) rows.shadows.emplace(*std::move(shadow), row.value);
}
// The executions of a job come newest first.
void add_execution(ThingRows& rows, const store::KeyValue& row) {
  KeyReader key(row.key);
  key.text();
  auto job = key.text();
  if (job && (rows.executions.empty() || rows.executions.back().first != *job))
    rows.executions.emplace_back(*std::move(job), row.value);
}

Result<registry::Thing> decode_thing(std::string_view name, std::string_view text) {
  auto thing = registry::read_thing(name, text);
  if (!thing) return internal("A stored record is not readable");
  return *std::move(thing);
}

void add_text(FieldValues& fields, std::string_view field, std::string_view text) {
  if (!text.empty()) fields.push_back({.field = std::string(field), .text = std::string(text)});
}
void add_number(FieldValues& fields, std::string_view field, std::int64_t number) {
  fields.push_back({.field = std::string(field), .text = std::to_string(number), .kind = ValueKind::kNumber});
}

// Static groups with all that contain them, and dynamic ones; without those that are being deleted.
void sort_groups(store::Tx& tx, const ThingRows& rows, GroupCache& groups, std::vector<std::string>& fixed,
                 std::vector<std::string>& dynamic) {
  std::set<std::string> names;
  for (const std::string& name : rows.groups) {
    const registry::ThingGroup* group = groups.find(tx, name);
    if (group == nullptr || group->deleting) continue;
    if (group->is_dynamic()) {
      dynamic.push_back(name);
      continue;
    }
    names.insert(name);
    names.insert(group->ancestors.begin(), group->ancestors.end());
  }
  fixed.assign(names.begin(), names.end());
}

void add_connectivity(FieldValues& fields, const Connectivity& connectivity) {
  fields.push_back({.field = "connectivity.connected",
                    .text = connectivity.connected ? "true" : "false",
                    .kind = ValueKind::kBoolean});
  if (connectivity.changed_ms > 0) add_number(fields, "connectivity.timestamp", connectivity.changed_ms);
  add_text(fields, "connectivity.disconnectReason", connectivity.disconnect_reason);
}

Status add_jobs(FieldValues& fields, const ThingRows& rows) {
  for (const auto& [job, record] : rows.executions) {
    TRY(const jobs::Execution execution, jobs::decode_execution(1, record));
    const std::string_view status = jobs::to_string(execution.status);
    add_text(fields, "jobs." + job + ".status", status);
    add_text(fields, "jobs.status", status);
  }
  return {};
}

}  // namespace

const registry::ThingGroup* GroupCache::find(store::Tx& tx, std::string_view name) {
  auto found = groups_.find(name);
  if (found == groups_.end())
    found = groups_.emplace(std::string(name), registry::find_group_record(tx, name, true)).first;
  return found->second ? &*found->second : nullptr;
}

std::optional<ThingRows> read_rows(store::Tx& tx, std::string_view thing, const IndexedSources& sources,
                                   SourceMask mask) {
  ThingRows rows;
  auto record = tx.get_snapshot(Key(table::kThing).text(thing));
  if (!record) return std::nullopt;
  rows.thing = *std::move(record);
  const auto for_each = [&](char tag, auto&& visit) {
    const std::string prefix = Key(tag).text(thing).str();
    for_each_row(tx, prefix, store::after_prefix(prefix), visit);
  };
  if (wants(mask, FieldSource::kRegistry))
    for_each(table::kThingMembership, [&](const store::KeyValue& row) { add_group(rows, row); });
  if (wants_shadows(mask, sources))
    for_each(table::kShadow, [&](const store::KeyValue& row) { add_shadow(rows, row, sources); });
  if (wants(mask, FieldSource::kConnectivity) && sources.connectivity)
    rows.connectivity = tx.get_snapshot(Key(table::kConnectivity).text(thing)).value_or("");
  if (wants(mask, FieldSource::kJobs))
    for_each(table::kExecution, [&](const store::KeyValue& row) { add_execution(rows, row); });
  return rows;
}

std::map<std::string, ThingRows> read_many_rows(store::Tx& tx, std::string_view after, std::size_t limit,
                                                const IndexedSources& sources) {
  std::map<std::string, ThingRows> all;
  const std::string everything(1, table::kThing);
  const std::string begin = after.empty() ? everything : store::after_key(Key(table::kThing).text(after));
  for (store::KeyValue& row :
       tx.range({.begin = begin, .end = store::after_prefix(everything), .limit = limit, .snapshot = true}))
    if (auto name = KeyReader(row.key).text()) all[*name].thing = std::move(row.value);
  if (all.empty()) return all;
  const std::string first = all.begin()->first, last = all.rbegin()->first;
  // Rows of other things between them (of shadows without a thing) are passed over.
  const auto for_each = [&](char tag, auto&& visit) {
    const std::string end = store::after_prefix(Key(tag).text(last));
    for_each_row(tx, Key(tag).text(first).str(), end, [&](const store::KeyValue& row) {
      auto name = KeyReader(row.key).text();
      auto found = name ? all.find(*name) : all.end();
      if (found != all.end()) visit(found->second, row);
    });
  };
  for_each(table::kThingMembership, [](ThingRows& rows, const store::KeyValue& row) { add_group(rows, row); });
  if (wants_shadows(kAllSources, sources))
    for_each(table::kShadow, [&](ThingRows& rows, const store::KeyValue& row) { add_shadow(rows, row, sources); });
  if (sources.connectivity)
    for_each(table::kConnectivity, [](ThingRows& rows, const store::KeyValue& row) { rows.connectivity = row.value; });
  for_each(table::kExecution, [](ThingRows& rows, const store::KeyValue& row) { add_execution(rows, row); });
  return all;
}

Result<ThingFields> fields_of_thing(store::Tx& tx, std::string_view name, const ThingRows& rows,
                                    const IndexedSources& sources, SourceMask mask, GroupCache& groups) {
  ThingFields result;
  FieldValues& fields = result.fields;
  if (wants(mask, FieldSource::kRegistry)) {
    TRY(const registry::Thing thing, decode_thing(name, rows.thing));
    std::vector<std::string> static_groups;
    sort_groups(tx, rows, groups, static_groups, result.dynamic_groups);
    fields = registry::registry_fields({thing, static_groups});
    add_text(fields, kDynamicGroupsField, thing.billing_group);
    add_text(fields, "billingGroupName", thing.billing_group);
    add_number(fields, "registry.version", thing.version);
  }
  for (const auto& [shadow, record] : rows.shadows)
    if (wants(mask, shadow.empty() ? FieldSource::kShadow : FieldSource::kNamedShadow)) {
      TRY(const std::size_t left_out, add_shadow_fields(record, shadow, fields));
      result.left_out += left_out;
    }
  if (wants(mask, FieldSource::kConnectivity) && sources.connectivity) {
    TRY(const Connectivity connectivity, decode_connectivity(rows.connectivity));
    add_connectivity(fields, connectivity);
  }
  if (wants(mask, FieldSource::kJobs)) TRY_VOID(add_jobs(fields, rows));
  return result;
}

FieldValues index_fields(store::Tx& tx, std::string_view thing) {
  constexpr SourceMask kBesideRegistry = kAllSources & ~mask_of(FieldSource::kRegistry);
  const IndexedSources sources = registry::indexed_sources(tx);
  if (!sources.things) return {};
  const auto rows = read_rows(tx, thing, sources, kBesideRegistry);
  if (!rows) return {};
  GroupCache groups;
  auto read = fields_of_thing(tx, thing, *rows, sources, kBesideRegistry, groups);
  auto decoded = decode_thing(thing, rows->thing);
  if (!read || !decoded) return {};
  add_text(read->fields, "billingGroupName", decoded->billing_group);
  return std::move(read->fields);
}

FieldValues fields_of_group(const registry::ThingGroup& group) {
  FieldValues fields;
  add_text(fields, "thingGroupName", group.name);
  add_text(fields, "thingGroupId", group.id);
  add_text(fields, "description", group.description);
  for (const std::string& ancestor : group.ancestors) add_text(fields, "parentGroupNames", ancestor);
  for (const auto& [name, value] : group.attributes) add_text(fields, "attributes." + name, value);
  add_number(fields, "version", group.version);
  return fields;
}

std::optional<json::object> thing_document(store::Tx& tx, std::string_view name, const IndexedSources& sources) {
  const auto rows = read_rows(tx, name, sources, kAllSources & ~mask_of(FieldSource::kJobs));
  if (!rows) return std::nullopt;
  auto thing = decode_thing(name, rows->thing);
  if (!thing) return std::nullopt;
  json::object document{{"thingName", thing->name}, {"thingId", thing->id}};
  if (!thing->type.empty()) document["thingTypeName"] = thing->type;
  GroupCache cache;
  std::vector<std::string> groups, dynamic;
  sort_groups(tx, *rows, cache, groups, dynamic);
  groups.insert(groups.end(), dynamic.begin(), dynamic.end());
  if (!thing->billing_group.empty()) groups.push_back(thing->billing_group);
  if (!groups.empty()) document["thingGroupNames"] = json::array(groups.begin(), groups.end());
  if (!thing->attributes.empty()) document["attributes"] = registry::to_object(thing->attributes);
  json::object shadow, named;
  for (const auto& [shadow_name, record] : rows->shadows) {
    auto object = shadow_object(record);
    if (!object || !*object) continue;
    if (shadow_name.empty())
      shadow = **std::move(object);
    else
      named[shadow_name] = **std::move(object);
  }
  if (!named.empty()) shadow["name"] = std::move(named);
  if (!shadow.empty()) document["shadow"] = to_text(shadow);
  if (auto connectivity = decode_connectivity(rows->connectivity); connectivity && sources.connectivity)
    document["connectivity"] = connectivity_shape(*connectivity);
  return document;
}

std::optional<json::object> group_document(store::Tx& tx, std::string_view name) {
  const auto group = registry::find_group_record(tx, name, true);
  if (!group || group->deleting) return std::nullopt;
  json::object document{{"thingGroupName", group->name}, {"thingGroupId", group->id}};
  if (!group->description.empty()) document["thingGroupDescription"] = group->description;
  if (!group->attributes.empty()) document["attributes"] = registry::to_object(group->attributes);
  if (!group->ancestors.empty())
    document["parentGroupNames"] = json::array(group->ancestors.begin(), group->ancestors.end());
  return document;
}

}  // namespace muster::fleet
