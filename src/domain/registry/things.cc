// SPDX-License-Identifier: Apache-2.0
// kThing: name -> {id, type, attributes, version, created_ms}. kThingAttribute: (name, value, thing) -> "".
#include "domain/registry/things.h"

#include "base/crypto.h"
#include "domain/registry/attributes.h"
#include "domain/registry/dynamic_groups.h"
#include "domain/registry/group_records.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::registry {

namespace {

// A listing with a filter stops after this many keys and answers a short page.
constexpr std::size_t kScanLimit = 2000;

std::string thing_key(std::string_view name) {
  return store::Key(store::table::kThing).text(name).str();
}
std::string attribute_key(std::string_view name, std::string_view value, std::string_view thing) {
  return store::Key(store::table::kThingAttribute).text(name).text(value).text(thing).str();
}

std::optional<Thing> read_thing(std::string_view name, std::string_view text) {
  auto record = parse_record(text);
  if (!record) return std::nullopt;
  Thing thing;
  thing.name = name;
  thing.id = get_string(*record, "id");
  thing.type = get_string(*record, "type");
  thing.attributes = attributes_of(*record);
  thing.version = get_int(*record, "version", 1);
  thing.created_ms = get_int(*record, "created_ms");
  return thing;
}

void put_thing(store::Tx& tx, const Thing& thing) {
  json::object record{{"id", thing.id}, {"version", thing.version}, {"created_ms", thing.created_ms}};
  if (!thing.type.empty()) record["type"] = thing.type;
  if (!thing.attributes.empty()) record["attributes"] = to_object(thing.attributes);
  tx.put(thing_key(thing.name), to_text(record));
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

Status check_type(store::Tx& tx, std::string_view type) {
  if (type.empty() || tx.get(store::Key(store::table::kThingType).text(type))) return {};
  return not_found("Thing type " + std::string(type) + " not found.");
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
    if (existing->type == wanted.type && existing->attributes == attributes) return *std::move(existing);
    Error error = make_error(ErrorKind::kAlreadyExists, "Thing " + wanted.name + " already exists in account " +
                                                            realm.account_id + " with different attributes");
    error.fields["resourceId"] = existing->id;
    error.fields["resourceArn"] = thing_arn(realm, wanted.name);
    return error;
  }
  TRY_VOID(check_type(tx, wanted.type));
  Thing thing;
  thing.name = wanted.name;
  thing.id = random_uuid();
  thing.type = wanted.type;
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
  if (change.type) {
    TRY_VOID(check_type(tx, *change.type));
    thing.type = *change.type;
  }
  if (change.remove_type) thing.type.clear();
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
  tx.erase(thing_key(name));
  return true;
}

namespace {

struct ThingRange {
  std::string begin, end;
  bool by_attribute = false;
};

ThingRange range_of(const ListThings& list) {
  ThingRange range;
  if (list.attribute_name.empty()) {
    range.begin = std::string(1, store::table::kThing);
  } else {
    range.by_attribute = true;
    range.begin = store::Key(store::table::kThingAttribute).text(list.attribute_name).text(list.attribute_value).str();
    if (list.prefix) range.begin.pop_back();  // the terminator of the value
  }
  range.end = store::after_prefix(range.begin);
  return range;
}

std::optional<std::string> thing_of_key(std::string_view key, bool by_attribute) {
  store::KeyReader reader(key);
  if (by_attribute && (!reader.text() || !reader.text())) return std::nullopt;
  return reader.text();
}

}  // namespace

Result<Page<Thing>> list_things(store::Tx& tx, const ListThings& list) {
  if (list.attribute_name.empty() && (!list.attribute_value.empty() || list.prefix))
    return invalid("attributeName is required with attributeValue");
  if (!list.attribute_name.empty() && list.attribute_value.empty())
    return invalid("attributeValue is required with attributeName");
  TRY(std::string position, page_position("things", list.page.token));
  ThingRange range = range_of(list);
  // A position is the key without its table, so that it cannot leave the range.
  if (!position.empty()) range.begin = std::max(range.begin, store::after_key(range.begin.substr(0, 1) + position));
  Page<Thing> page;
  std::string last;
  std::size_t scanned = 0;
  while (range.begin < range.end) {
    std::size_t want = list.page.limit - page.items.size() + 1;
    auto found = tx.range({.begin = range.begin, .end = range.end, .limit = want, .snapshot = true});
    for (const store::KeyValue& item : found) {
      if (page.items.size() == list.page.limit || ++scanned > kScanLimit) {
        page.next_token = page_token("things", last.substr(1));
        return page;
      }
      last = item.key;
      auto name = thing_of_key(item.key, range.by_attribute);
      if (!name) continue;
      auto text = range.by_attribute ? tx.get_snapshot(thing_key(*name)) : std::optional<std::string>(item.value);
      auto thing = text ? read_thing(*name, *text) : std::nullopt;
      if (thing && (list.type.empty() || thing->type == list.type)) page.items.push_back(*std::move(thing));
    }
    if (found.size() < want) return page;
    range.begin = store::after_key(found.back().key);
  }
  return page;
}

}  // namespace muster::registry
