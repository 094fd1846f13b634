// SPDX-License-Identifier: Apache-2.0
#include "domain/fleet/settings.h"

#include <algorithm>
#include <set>
#include <vector>

#include "domain/registry/group_records.h"

namespace muster::fleet {

namespace {

using registry::IndexedSources;
using registry::QuerySubject;

constexpr std::size_t kNamedShadowLimit = 10;
constexpr std::size_t kCustomFieldLimit = 5;
constexpr std::size_t kFieldNameLimit = 1024;

struct NamedType {
  std::string name;
  std::string_view type;
};
using NamedTypes = std::vector<NamedType>;

IndexedSources sources_of(store::Tx& tx) {
  return registry::indexed_sources(tx);
}

NamedTypes managed_fields_of_things(const json::object& things) {
  NamedTypes fields;
  const std::string_view mode = get_string(things, "thingIndexingMode", "OFF");
  if (mode == "OFF") return fields;
  fields = {{"thingId", "String"},
            {"thingName", "String"},
            {"registry.version", "Number"},
            {"registry.thingTypeName", "String"},
            {"registry.thingGroupNames", "String"}};
  const auto add_shadow = [&](const std::string& prefix) {
    fields.push_back({prefix + "version", "Number"});
    fields.push_back({prefix + "hasDelta", "Boolean"});
  };
  if (mode == "REGISTRY_AND_SHADOW") add_shadow("shadow.");
  const json::object* filter = find_object(things, "filter");
  const json::array* names = filter == nullptr ? nullptr : find_array(*filter, "namedShadowNames");
  if (names != nullptr && get_string(things, "namedShadowIndexingMode") == "ON")
    for (const json::value& name : *names)
      if (name.is_string()) add_shadow("shadow.name." + std::string(name.get_string()) + ".");
  if (get_string(things, "thingConnectivityIndexingMode") == "STATUS") {
    fields.push_back({"connectivity.timestamp", "Number"});
    fields.push_back({"connectivity.connected", "Boolean"});
    fields.push_back({"connectivity.disconnectReason", "String"});
  }
  fields.push_back({"jobs.status", "String"});
  return fields;
}

NamedTypes managed_fields_of_groups(const json::object& groups) {
  if (get_string(groups, "thingGroupIndexingMode") != "ON") return {};
  return {{"description", "String"},
          {"parentGroupNames", "String"},
          {"thingGroupId", "String"},
          {"thingGroupName", "String"},
          {"version", "Number"}};
}

json::object with_managed(json::object shape, const NamedTypes& managed) {
  json::array fields;
  for (const NamedType& field : managed) fields.push_back(json::object{{"name", field.name}, {"type", field.type}});
  if (!fields.empty()) shape["managedFields"] = std::move(fields);
  return shape;
}

NamedTypes named_types(const json::object& shape, std::string_view member) {
  NamedTypes fields;
  if (const json::array* list = find_array(shape, member))
    for (const json::value& item : *list)
      if (item.is_object())
        fields.push_back({std::string(get_string(item.get_object(), "name")), get_string(item.get_object(), "type")});
  return fields;
}

bool alike(const NamedType& a, const NamedType& b) {
  return a.name == b.name && a.type == b.type;
}

// What a client read may be sent back; anything else is no longer a managed field's.
Status check_managed(const json::object& shape, const NamedTypes& managed) {
  for (const NamedType& field : named_types(shape, "managedFields"))
    if (std::ranges::none_of(managed, [&](const NamedType& one) { return alike(one, field); }))
      return invalid("managedFields cannot be modified: " + field.name);
  return {};
}

Status check_custom_field(const NamedType& field, const NamedTypes& managed, QuerySubject subject) {
  if (field.name.empty()) return invalid("A custom field needs a name");
  if (field.name.size() > kFieldNameLimit)
    return invalid("The name of a custom field has at most " + std::to_string(kFieldNameLimit) + " characters");
  if (field.type.empty()) return invalid("The custom field " + field.name + " needs a type");
  if (std::ranges::any_of(managed, [&](const NamedType& one) { return one.name == field.name; }))
    return invalid("customFields cannot contain managed fields: " + field.name);
  if (field.name.starts_with("deviceDefender."))
    return invalid("The custom field " + field.name + " is not indexed: Device Defender is not served");
  const auto found = registry::classify_field(field.name, subject);
  if (!found || !found->searchable) return invalid("The custom field " + field.name + " is not indexed");
  return {};
}

Status check_custom(const json::object& shape, const NamedTypes& managed, QuerySubject subject) {
  const NamedTypes fields = named_types(shape, "customFields");
  if (fields.size() > kCustomFieldLimit)
    return invalid("customFields has more than " + std::to_string(kCustomFieldLimit) + " fields");
  std::set<std::string> names;
  for (const NamedType& field : fields) {
    if (!names.insert(field.name).second) return invalid("customFields names " + field.name + " twice");
    TRY_VOID(check_custom_field(field, managed, subject));
  }
  return {};
}

// Fields of what is not indexed have no values.
Status check_custom_sources(const json::object& things, const IndexedSources& sources) {
  for (const NamedType& field : named_types(things, "customFields")) {
    const auto found = registry::classify_field(field.name, QuerySubject::kThings);
    registry::QueryNeeds needs;
    needs.shadow = found->source == registry::FieldSource::kShadow;
    needs.connectivity = found->source == registry::FieldSource::kConnectivity;
    if (found->source == registry::FieldSource::kNamedShadow) needs.named_shadows.emplace(found->shadow);
    if (auto indexed = registry::check_indexed(needs, sources); !indexed)
      return invalid("The custom field " + field.name + " cannot be indexed: " + indexed.error().message);
  }
  return {};
}

Status check_shadow_filter(const json::object& things) {
  const json::object* filter = find_object(things, "filter");
  const json::array* names = filter == nullptr ? nullptr : find_array(*filter, "namedShadowNames");
  const bool on = get_string(things, "namedShadowIndexingMode") == "ON";
  if (on && (names == nullptr || names->empty()))
    return invalid("namedShadowIndexingMode ON needs the names of shadows in filter.namedShadowNames");
  if (names != nullptr && names->size() > kNamedShadowLimit)
    return invalid("filter.namedShadowNames has more than " + std::to_string(kNamedShadowLimit) + " names");
  return {};
}

Status check_things(const json::object& things) {
  const bool off = get_string(things, "thingIndexingMode") == "OFF";
  if (off)
    for (const char* mode : {"thingConnectivityIndexingMode", "namedShadowIndexingMode"})
      if (const std::string_view value = get_string(things, mode, "OFF"); value != "OFF")
        return invalid(std::string(mode) + " cannot be " + std::string(value) + " while thingIndexingMode is OFF");
  if (get_string(things, "deviceDefenderIndexingMode", "OFF") != "OFF")
    return invalid("deviceDefenderIndexingMode: Device Defender is not served");
  if (off && !named_types(things, "customFields").empty())
    return invalid("customFields cannot be indexed while thingIndexingMode is OFF");
  TRY_VOID(check_shadow_filter(things));
  const NamedTypes managed = managed_fields_of_things(things);
  TRY_VOID(check_managed(things, managed));
  return check_custom(things, managed, QuerySubject::kThings);
}

Status check_groups(const json::object& groups) {
  if (get_string(groups, "thingGroupIndexingMode") != "ON" && !named_types(groups, "customFields").empty())
    return invalid("customFields cannot be indexed while thingGroupIndexingMode is OFF");
  const NamedTypes managed = managed_fields_of_groups(groups);
  TRY_VOID(check_managed(groups, managed));
  return check_custom(groups, managed, QuerySubject::kThingGroups);
}

// Dynamic groups whose queries read what is no longer indexed would stay as they are for ever.
Status check_dynamic_groups(store::Tx& tx) {
  const IndexedSources sources = sources_of(tx);
  TRY(const auto queries, registry::dynamic_queries(tx));
  for (const registry::DynamicQuery& one : queries)
    if (auto indexed = registry::check_indexed(one.query.needs(), sources); !indexed)
      return invalid("The dynamic thing group " + one.group +
                     " would have a query that is not indexed: " + indexed.error().message);
  return {};
}

FieldType field_type(std::string_view name) {
  if (name == "Number") return FieldType::kNumber;
  return name == "Boolean" ? FieldType::kBoolean : FieldType::kString;
}

// Names that the registry's managed fields have beside those of queries.
std::string index_name(std::string_view name) {
  if (name == "registry.thingTypeName") return "thingTypeName";
  if (name == "registry.thingGroupNames") return "thingGroupNames";
  return std::string(name);
}

}  // namespace

IndexingConfiguration indexing_configuration(store::Tx& tx) {
  IndexingConfiguration configuration;
  const auto text = tx.get(registry::indexing_configuration_key());
  auto record = text ? parse_record(*text) : Result<json::object>(json::object());
  if (record) {
    if (const json::object* things = find_object(*record, "things")) configuration.things = *things;
    if (const json::object* groups = find_object(*record, "groups")) configuration.groups = *groups;
  }
  if (configuration.things.empty()) configuration.things["thingIndexingMode"] = "OFF";
  if (configuration.groups.empty()) configuration.groups["thingGroupIndexingMode"] = "OFF";
  return configuration;
}

json::object things_shape(const IndexingConfiguration& configuration) {
  return with_managed(configuration.things, managed_fields_of_things(configuration.things));
}
json::object groups_shape(const IndexingConfiguration& configuration) {
  return with_managed(configuration.groups, managed_fields_of_groups(configuration.groups));
}

Status update_indexing_configuration(store::Tx& tx, const json::object* things, const json::object* groups) {
  IndexingConfiguration configuration = indexing_configuration(tx);
  if (things != nullptr) {
    TRY_VOID(check_things(*things));
    configuration.things = *things;
    configuration.things.erase("managedFields");
    for (const char* mode : {"thingConnectivityIndexingMode", "deviceDefenderIndexingMode", "namedShadowIndexingMode"})
      if (!has(configuration.things, mode)) configuration.things[mode] = "OFF";
  }
  if (groups != nullptr) {
    TRY_VOID(check_groups(*groups));
    configuration.groups = *groups;
    configuration.groups.erase("managedFields");
  }
  tx.put(registry::indexing_configuration_key(),
         to_text(json::object{{"things", configuration.things}, {"groups", configuration.groups}}));
  TRY_VOID(check_custom_sources(configuration.things, sources_of(tx)));
  return check_dynamic_groups(tx);
}

std::string index_schema(const IndexedSources& sources, QuerySubject subject) {
  if (subject == QuerySubject::kThingGroups) return "REGISTRY";
  if (!sources.named_shadows.empty()) return "MULTI_INDEXING_MODE";
  if (sources.shadow)
    return sources.connectivity ? "REGISTRY_AND_SHADOW_AND_CONNECTIVITY_STATUS" : "REGISTRY_AND_SHADOW";
  return sources.connectivity ? "REGISTRY_AND_CONNECTIVITY_STATUS" : "REGISTRY";
}

Result<AggregatedField> aggregated_field(const IndexingConfiguration& configuration, std::string_view name,
                                         QuerySubject subject) {
  const bool of_things = subject == QuerySubject::kThings;
  const json::object& shape = of_things ? configuration.things : configuration.groups;
  const NamedTypes managed =
      of_things ? managed_fields_of_things(configuration.things) : managed_fields_of_groups(configuration.groups);
  for (const NamedTypes& fields : {managed, named_types(shape, "customFields")})
    for (const NamedType& field : fields)
      if (field.name == name || index_name(field.name) == name)
        return AggregatedField{.name = index_name(field.name), .type = field_type(field.type)};
  return make_error(ErrorKind::kInvalid,
                    "Invalid aggregation field: " + std::string(name) +
                        " is neither a managed field nor one of the customFields of the indexing configuration",
                    "InvalidAggregationException");
}

}  // namespace muster::fleet
