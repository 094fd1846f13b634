// SPDX-License-Identifier: Apache-2.0
// kThing: name -> {id, type, billing_group, attributes, version, created_ms}. kThingAttribute: (name, value, thing) ->
// "". kThingByType: (type, thing) -> "".
#include "domain/registry/things.h"

#include "base/crypto.h"
#include "domain/registry/attributes.h"
#include "domain/registry/billing_groups.h"
#include "domain/registry/dynamic_groups.h"
#include "domain/registry/group_records.h"
#include "domain/registry/thing_records.h"
#include "domain/registry/thing_types.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::registry {

std::string thing_key(std::string_view name) {
  return store::Key(store::table::kThing).text(name).str();
}
std::string thing_by_type_key(std::string_view type, std::string_view thing) {
  return store::Key(store::table::kThingByType).text(type).text(thing).str();
}

std::optional<Thing> read_thing(std::string_view name, std::string_view text) {
  auto record = parse_record(text);
  if (!record) return std::nullopt;
  Thing thing;
  thing.name = name;
  thing.id = get_string(*record, "id");
  thing.type = get_string(*record, "type");
  thing.billing_group = get_string(*record, "billing_group");
  thing.attributes = attributes_of(*record);
  thing.version = get_int(*record, "version", 1);
  thing.created_ms = get_int(*record, "created_ms");
  return thing;
}

void put_thing(store::Tx& tx, const Thing& thing) {
  json::object record{{"id", thing.id}, {"version", thing.version}, {"created_ms", thing.created_ms}};
  if (!thing.type.empty()) record["type"] = thing.type;
  if (!thing.billing_group.empty()) record["billing_group"] = thing.billing_group;
  if (!thing.attributes.empty()) record["attributes"] = to_object(thing.attributes);
  tx.put(thing_key(thing.name), to_text(record));
}

namespace {

std::string attribute_key(std::string_view name, std::string_view value, std::string_view thing) {
  return store::Key(store::table::kThingAttribute).text(name).text(value).text(thing).str();
}

void index_attributes(store::Tx& tx, std::string_view thing, const Attributes& before, const Attributes& after) {
  for (const auto& [name, value] : before) {
    auto kept = after.find(name);
    if (kept == after.end() || kept->second != value) tx.erase(attribute_key(name, value, thing));
  }
  for (const auto& [name, value] : after) {
    auto had = before.find(name);
    if (had == before.end() || had->second != value) tx.put(attribute_key(name, value, thing), "");
  }
}

// Another type, or none. A thing keeps a deprecated one.
Status change_type(store::Tx& tx, Thing& thing, std::string_view type) {
  if (thing.type == type) return {};
  if (!type.empty()) TRY_VOID(check_new_association(tx, type));
  if (!thing.type.empty()) tx.erase(thing_by_type_key(thing.type, thing.name));
  if (!type.empty()) tx.put(thing_by_type_key(type, thing.name), "");
  thing.type = type;
  return {};
}

Status check_version(const Thing& thing, std::optional<std::int64_t> expected) {
  if (!expected || *expected == thing.version) return {};
  return make_error(ErrorKind::kVersionConflict,
                    "The version for thing " + thing.name + " does not match the expected version.");
}

}  // namespace

std::string thing_arn(const Realm& realm, std::string_view name) {
  return iot_arn(realm, "thing", name);
}

Error thing_not_found(std::string_view name) {
  return not_found("Thing " + std::string(name) + " not found.");
}

Result<Thing> create_thing(store::Tx& tx, const Realm& realm, const CreateThing& wanted) {
  if (!is_thing_name(wanted.name)) return invalid("Invalid thing name: it must match [a-zA-Z0-9:_-]{1,128}");
  TRY(Attributes attributes, checked_attributes(wanted.attributes));
  if (auto existing = find_thing(tx, wanted.name)) {
    const bool same = existing->type == wanted.type && existing->attributes == attributes &&
                      existing->billing_group == wanted.billing_group;
    if (same) return *std::move(existing);
    Error error = make_error(ErrorKind::kAlreadyExists, "Thing " + wanted.name + " already exists in account " +
                                                            realm.account_id + " with different attributes");
    error.fields["resourceId"] = existing->id;
    error.fields["resourceArn"] = thing_arn(realm, wanted.name);
    return error;
  }
  Thing thing;
  thing.name = wanted.name;
  TRY_VOID(change_type(tx, thing, wanted.type));
  if (!wanted.billing_group.empty()) {
    TRY_VOID(get_billing_group(tx, wanted.billing_group));
    tx.put(billing_group_thing_key(wanted.billing_group, wanted.name), "");
  }
  thing.id = random_uuid();
  thing.billing_group = wanted.billing_group;
  thing.attributes = std::move(attributes);
  thing.created_ms = tx.now_ms();
  put_thing(tx, thing);
  index_attributes(tx, thing.name, {}, thing.attributes);
  TRY_VOID(refresh_thing(tx, thing.name));
  return thing;
}

std::optional<Thing> find_thing(store::Tx& tx, std::string_view name) {
  auto text = tx.get(thing_key(name));
  return text ? read_thing(name, *text) : std::nullopt;
}

bool thing_exists(store::Tx& tx, std::string_view name) {
  return tx.get(thing_key(name)).has_value();
}

Result<Thing> get_thing(store::Tx& tx, std::string_view name) {
  auto thing = find_thing(tx, name);
  if (!thing) return thing_not_found(name);
  return *std::move(thing);
}

Result<Thing> update_thing(store::Tx& tx, const UpdateThing& change) {
  if (change.type && change.remove_type) return invalid("Thing type cannot be set and removed in the same request");
  TRY(Thing thing, get_thing(tx, change.name));
  TRY_VOID(check_version(thing, change.expected_version));
  if (change.type) TRY_VOID(change_type(tx, thing, *change.type));
  if (change.remove_type) TRY_VOID(change_type(tx, thing, {}));
  if (change.attributes) {
    TRY(Attributes attributes, changed_attributes(thing.attributes, *change.attributes, change.merge));
    index_attributes(tx, thing.name, thing.attributes, attributes);
    thing.attributes = std::move(attributes);
  }
  ++thing.version;
  put_thing(tx, thing);
  TRY_VOID(refresh_thing(tx, thing.name));
  return thing;
}

Result<bool> delete_thing(store::Tx& tx, std::string_view name, std::optional<std::int64_t> expected_version) {
  auto thing = find_thing(tx, name);
  if (!thing) return false;
  TRY_VOID(check_version(*thing, expected_version));
  std::string principals = store::Key(store::table::kThingPrincipal).text(name).str();
  if (!tx.range({.begin = principals, .end = store::after_prefix(principals), .limit = 1}).empty())
    return invalid("Cannot delete. Thing " + thing->name + " is still attached to one or more principals");
  for (const std::string& group : memberships_of(tx, name)) erase_member(tx, group, name);
  index_attributes(tx, name, thing->attributes, {});
  if (!thing->type.empty()) tx.erase(thing_by_type_key(thing->type, name));
  if (!thing->billing_group.empty()) tx.erase(billing_group_thing_key(thing->billing_group, name));
  tx.erase(store::Key(store::table::kConnectivity).text(name));  // a new thing of the name has no past
  tx.erase(thing_key(name));
  return true;
}

}  // namespace muster::registry
