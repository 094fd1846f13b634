// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/thing_types.h"
#include "api/services/iot/tags.h"
#include "api/services/iot/things_handler.h"
#include "api/services/registry/registry_handlers.h"

namespace muster::api::iot {

namespace {

using store::Tx;

std::vector<std::string> searchable_of(const json::object& properties) {
  std::vector<std::string> attributes;
  if (const json::array* list = find_array(properties, "searchableAttributes"))
    for (const json::value& attribute : *list)
      if (attribute.is_string()) attributes.emplace_back(attribute.as_string());
  return attributes;
}

Result<json::object> create_type(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  registry::CreateThingType wanted;
  wanted.name = get_string(input, "thingTypeName");
  if (const json::object* properties = find_object(input, "thingTypeProperties")) {
    wanted.description = get_string(*properties, "thingTypeDescription");
    wanted.searchable_attributes = searchable_of(*properties);
  }
  TRY(const auto type, registry::create_thing_type(tx, services.realm, wanted));
  const std::string arn = registry::thing_type_arn(services.realm, type.name);
  TRY_VOID(tag_new_resource(tx, arn, input));
  return json::object{{"thingTypeName", type.name}, {"thingTypeArn", arn}, {"thingTypeId", type.id}};
}

// What DescribeThingType and ListThingTypes show alike.
json::object shape_of(const Realm& realm, const registry::ThingType& type) {
  json::object properties;
  if (!type.description.empty()) properties["thingTypeDescription"] = type.description;
  if (!type.searchable_attributes.empty()) properties["searchableAttributes"] = string_list(type.searchable_attributes);
  json::object metadata{{"deprecated", type.is_deprecated()}, {"creationDate", type.created_ms}};
  if (type.is_deprecated()) metadata["deprecationDate"] = type.deprecated_ms;
  json::object shape{{"thingTypeName", type.name}, {"thingTypeArn", registry::thing_type_arn(realm, type.name)}};
  shape["thingTypeProperties"] = std::move(properties);
  shape["thingTypeMetadata"] = std::move(metadata);
  return shape;
}

Result<json::object> describe_type(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY(const auto type, registry::get_thing_type(tx, get_string(input, "thingTypeName")));
  json::object output = shape_of(services.realm, type);
  output["thingTypeId"] = type.id;
  return output;
}

Result<json::object> update_type(const RegistryServices&, Tx& tx, const json::object& input, Changes&) {
  registry::UpdateThingType change;
  change.name = get_string(input, "thingTypeName");
  if (const json::object* properties = find_object(input, "thingTypeProperties")) {
    if (has(*properties, "thingTypeDescription"))
      change.description = std::string(get_string(*properties, "thingTypeDescription"));
    if (has(*properties, "searchableAttributes")) change.searchable_attributes = searchable_of(*properties);
  }
  TRY_VOID(registry::update_thing_type(tx, change));
  return json::object();
}

Result<json::object> deprecate_type(const RegistryServices&, Tx& tx, const json::object& input, Changes&) {
  TRY_VOID(registry::deprecate_thing_type(tx, get_string(input, "thingTypeName"), get_bool(input, "undoDeprecate")));
  return json::object();
}

Result<json::object> delete_type(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY_VOID(registry::delete_thing_type(tx, services.realm, get_string(input, "thingTypeName")));
  return json::object();
}

Result<json::object> list_types(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  registry::ListThingTypes list;
  list.name = get_string(input, "thingTypeName");
  list.page = page_of_input(input);
  TRY(const auto page, registry::list_thing_types(tx, list));
  json::array types;
  for (const registry::ThingType& type : page.items) types.emplace_back(shape_of(services.realm, type));
  json::object output{{"thingTypes", std::move(types)}};
  if (!page.next_token.empty()) output["nextToken"] = page.next_token;
  return output;
}

}  // namespace

void register_thing_types(Operations& operations, const SharedRegistry& services) {
  auto add = [&](std::string_view operation, RegistryBody body) {
    operations.add("iot", operation, registry_handler(services, std::move(body)));
  };
  add("CreateThingType", create_type);
  add("DescribeThingType", describe_type);
  add("UpdateThingType", update_type);
  add("DeprecateThingType", deprecate_type);
  add("DeleteThingType", delete_type);
  add("ListThingTypes", list_types);
}

}  // namespace muster::api::iot
