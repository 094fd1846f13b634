// SPDX-License-Identifier: Apache-2.0
// kThingType: name -> {id, description, searchable, created_ms, deprecated_ms}.
#include "domain/registry/thing_types.h"

#include <algorithm>

#include "base/crypto.h"
#include "base/json.h"
#include "domain/registry/attributes.h"
#include "domain/registry/group_records.h"
#include "domain/registry/tags.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::registry {

namespace {

constexpr std::size_t kSearchableLimit = 3;

std::string type_key(std::string_view name) {
  return store::Key(store::table::kThingType).text(name).str();
}

std::optional<ThingType> read_type(std::string_view name, std::string_view text) {
  auto record = parse_record(text);
  if (!record) return std::nullopt;
  ThingType type;
  type.name = name;
  type.id = get_string(*record, "id");
  type.description = get_string(*record, "description");
  if (const json::array* searchable = find_array(*record, "searchable"))
    for (const json::value& attribute : *searchable)
      if (attribute.is_string()) type.searchable_attributes.emplace_back(attribute.as_string());
  type.created_ms = get_int(*record, "created_ms");
  type.deprecated_ms = get_int(*record, "deprecated_ms");
  return type;
}

void put_type(store::Tx& tx, const ThingType& type) {
  json::object record{{"id", type.id}, {"created_ms", type.created_ms}};
  if (!type.description.empty()) record["description"] = type.description;
  if (!type.searchable_attributes.empty()) {
    json::array searchable;
    for (const std::string& attribute : type.searchable_attributes) searchable.emplace_back(attribute);
    record["searchable"] = std::move(searchable);
  }
  if (type.is_deprecated()) record["deprecated_ms"] = type.deprecated_ms;
  tx.put(type_key(type.name), to_text(record));
}

Status check_properties(std::string_view description, const std::vector<std::string>& searchable) {
  TRY_VOID(check_description("Thing type", description));
  if (searchable.size() > kSearchableLimit)
    return invalid("The number of searchable attributes exceeds the limit of " + std::to_string(kSearchableLimit));
  for (auto one = searchable.begin(); one != searchable.end(); ++one) {
    if (!is_attribute_name(*one)) return invalid("Searchable attributes must match [a-zA-Z0-9_.,@/:#-]{1,128}");
    if (std::find(searchable.begin(), one, *one) != one)
      return invalid("Searchable attribute " + *one + " is given more than once");
  }
  return {};
}

Error type_exists(const Realm& realm, const ThingType& type) {
  Error error = make_error(ErrorKind::kAlreadyExists, "Thing type " + type.name + " already exists in account " +
                                                          realm.account_id + " with different properties");
  error.fields["resourceId"] = type.id;
  error.fields["resourceArn"] = thing_type_arn(realm, type.name);
  return error;
}

Error cannot_delete(std::string_view name, std::string_view why) {
  return invalid("Cannot delete thing type : " + std::string(name) + ". " + std::string(why));
}

}  // namespace

std::string thing_type_arn(const Realm& realm, std::string_view name) {
  return iot_arn(realm, "thingtype", name);
}

Error thing_type_not_found(std::string_view name) {
  return not_found("Thing type " + std::string(name) + " not found.");
}

Result<ThingType> create_thing_type(store::Tx& tx, const Realm& realm, const CreateThingType& wanted) {
  if (!is_thing_name(wanted.name)) return invalid("Invalid thing type name: it must match [a-zA-Z0-9:_-]{1,128}");
  TRY_VOID(check_properties(wanted.description, wanted.searchable_attributes));
  if (auto existing = find_thing_type(tx, wanted.name)) {
    const bool same =
        existing->description == wanted.description && existing->searchable_attributes == wanted.searchable_attributes;
    if (same) return *std::move(existing);
    return type_exists(realm, *existing);
  }
  ThingType type;
  type.name = wanted.name;
  type.id = random_uuid();
  type.description = wanted.description;
  type.searchable_attributes = wanted.searchable_attributes;
  type.created_ms = tx.now_ms();
  put_type(tx, type);
  return type;
}

std::optional<ThingType> find_thing_type(store::Tx& tx, std::string_view name) {
  auto text = tx.get(type_key(name));
  return text ? read_type(name, *text) : std::nullopt;
}

Result<ThingType> get_thing_type(store::Tx& tx, std::string_view name) {
  auto type = find_thing_type(tx, name);
  if (!type) return thing_type_not_found(name);
  return *std::move(type);
}

Result<ThingType> update_thing_type(store::Tx& tx, const UpdateThingType& change) {
  TRY(ThingType type, get_thing_type(tx, change.name));
  if (change.description) type.description = *change.description;
  if (change.searchable_attributes) type.searchable_attributes = *change.searchable_attributes;
  TRY_VOID(check_properties(type.description, type.searchable_attributes));
  put_type(tx, type);
  return type;
}

Status deprecate_thing_type(store::Tx& tx, std::string_view name, bool undo) {
  TRY(ThingType type, get_thing_type(tx, name));
  if (type.is_deprecated() != undo) return {};
  type.deprecated_ms = undo ? 0 : tx.now_ms();
  put_type(tx, type);
  return {};
}

Status delete_thing_type(store::Tx& tx, const Realm& realm, std::string_view name) {
  TRY(const ThingType type, get_thing_type(tx, name));
  if (!type.is_deprecated()) return cannot_delete(name, "Please deprecate it first");
  if (tx.now_ms() - type.deprecated_ms < kDeleteAfterDeprecation_ms)
    return cannot_delete(name, "Please wait for 5 minutes after deprecation and then retry");
  if (has_things_of_type(tx, name)) return cannot_delete(name, "There are still things associated with it");
  erase_tags(tx, thing_type_arn(realm, name));
  tx.erase(type_key(name));
  return {};
}

Result<Page<ThingType>> list_thing_types(store::Tx& tx, const ListThingTypes& list) {
  const std::string listing = listing_of("thing-types", {list.name});
  TRY(std::string position, page_position(listing, list.page.token));
  Page<ThingType> page;
  if (!list.name.empty()) {
    if (auto type = position.empty() ? find_thing_type(tx, list.name) : std::nullopt)
      page.items.push_back(*std::move(type));
    return page;
  }
  std::string begin(1, store::table::kThingType);
  const std::string end = store::after_prefix(begin);
  if (!position.empty()) begin = store::after_key(type_key(position));
  for (const store::KeyValue& item :
       tx.range({.begin = begin, .end = end, .limit = list.page.limit + 1, .snapshot = true})) {
    if (page.items.size() == list.page.limit) {
      page.next_token = page_token(listing, page.items.back().name);
      break;
    }
    store::KeyReader reader(item.key);
    auto name = reader.text();
    auto type = name ? read_type(*name, item.value) : std::nullopt;
    if (type) page.items.push_back(*std::move(type));
  }
  return page;
}

// AWS's wording, its letters too.
Status check_new_association(store::Tx& tx, std::string_view name) {
  TRY(const ThingType type, get_thing_type(tx, name));
  if (!type.is_deprecated()) return {};
  return invalid("Can not create new thing with depreated thing type:" + type.name);
}

bool has_things_of_type(store::Tx& tx, std::string_view type) {
  const std::string things = store::Key(store::table::kThingByType).text(type).str();
  return !tx.range({.begin = things, .end = store::after_prefix(things), .limit = 1}).empty();
}

}  // namespace muster::registry
