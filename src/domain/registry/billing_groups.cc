// SPDX-License-Identifier: Apache-2.0
// kBillingGroup: name -> {id, description, version, created_ms}. kBillingGroupThing: (group, thing) -> "".
#include "domain/registry/billing_groups.h"

#include "base/crypto.h"
#include "base/json.h"
#include "domain/registry/group_records.h"
#include "domain/registry/second_component.h"
#include "domain/registry/tags.h"
#include "domain/registry/thing_records.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::registry {

namespace {

std::string group_key(std::string_view name) {
  return store::Key(store::table::kBillingGroup).text(name).str();
}

void put_group(store::Tx& tx, const BillingGroup& group) {
  json::object record{{"id", group.id}, {"version", group.version}, {"created_ms", group.created_ms}};
  if (!group.description.empty()) record["description"] = group.description;
  tx.put(group_key(group.name), to_text(record));
}

Status check_version(const BillingGroup& group, std::optional<std::int64_t> expected) {
  if (!expected || *expected == group.version) return {};
  return make_error(ErrorKind::kVersionConflict,
                    "The version for billing group " + group.name + " does not match the expected version.");
}

Error group_exists(const Realm& realm, const BillingGroup& group) {
  Error error = make_error(ErrorKind::kAlreadyExists, "Billing group " + group.name + " already exists in account " +
                                                          realm.account_id + " with different properties");
  error.fields["resourceId"] = group.id;
  error.fields["resourceArn"] = billing_group_arn(realm, group.name);
  return error;
}

}  // namespace

std::string billing_group_arn(const Realm& realm, std::string_view name) {
  return iot_arn(realm, "billinggroup", name);
}

std::string billing_group_thing_key(std::string_view group, std::string_view thing) {
  return store::Key(store::table::kBillingGroupThing).text(group).text(thing).str();
}

Error billing_group_not_found(std::string_view name) {
  return not_found("Billing group " + std::string(name) + " not found.");
}

Result<BillingGroup> create_billing_group(store::Tx& tx, const Realm& realm, std::string_view name,
                                          std::string_view description) {
  if (!is_thing_name(name)) return invalid("Invalid billing group name: it must match [a-zA-Z0-9:_-]{1,128}");
  TRY_VOID(check_description("Billing group", description));
  if (auto existing = find_billing_group(tx, name)) {
    if (existing->description == description) return *std::move(existing);
    return group_exists(realm, *existing);
  }
  BillingGroup group;
  group.name = name;
  group.id = random_uuid();
  group.description = description;
  group.created_ms = tx.now_ms();
  put_group(tx, group);
  return group;
}

std::optional<BillingGroup> find_billing_group(store::Tx& tx, std::string_view name) {
  auto text = tx.get(group_key(name));
  auto record = text ? parse_record(*text) : Result<json::object>(not_found(""));
  if (!record) return std::nullopt;
  BillingGroup group;
  group.name = name;
  group.id = get_string(*record, "id");
  group.description = get_string(*record, "description");
  group.version = get_int(*record, "version", 1);
  group.created_ms = get_int(*record, "created_ms");
  return group;
}

Result<BillingGroup> get_billing_group(store::Tx& tx, std::string_view name) {
  auto group = find_billing_group(tx, name);
  if (!group) return billing_group_not_found(name);
  return *std::move(group);
}

Result<BillingGroup> update_billing_group(store::Tx& tx, const UpdateBillingGroup& change) {
  TRY(BillingGroup group, get_billing_group(tx, change.name));
  TRY_VOID(check_version(group, change.expected_version));
  if (change.description) {
    TRY_VOID(check_description("Billing group", *change.description));
    group.description = *change.description;
  }
  ++group.version;
  put_group(tx, group);
  return group;
}

Status delete_billing_group(store::Tx& tx, const Realm& realm, std::string_view name,
                            std::optional<std::int64_t> expected_version) {
  auto group = find_billing_group(tx, name);
  if (!group) return {};
  TRY_VOID(check_version(*group, expected_version));
  const std::string things = store::Key(store::table::kBillingGroupThing).text(name).str();
  if (!tx.range({.begin = things, .end = store::after_prefix(things), .limit = 1}).empty())
    return invalid("Cannot delete billing group " + group->name + " while there are things in it");
  erase_tags(tx, billing_group_arn(realm, name));
  tx.erase(group_key(name));
  return {};
}

Result<Page<std::string>> list_billing_groups(store::Tx& tx, const ListBillingGroups& list) {
  const std::string listing = listing_of("billing-groups", {list.name_prefix});
  TRY(std::string position, page_position(listing, list.page.token));
  std::string begin = group_key(list.name_prefix);
  begin.pop_back();  // the terminator of the name
  const std::string end = store::after_prefix(begin);
  if (!position.empty()) begin = std::max(begin, store::after_key(group_key(position)));
  Page<std::string> page;
  if (begin >= end) return page;
  for (const store::KeyValue& item :
       tx.range({.begin = begin, .end = end, .limit = list.page.limit + 1, .snapshot = true})) {
    if (page.items.size() == list.page.limit) {
      page.next_token = page_token(listing, page.items.back());
      break;
    }
    store::KeyReader reader(item.key);
    if (auto name = reader.text()) page.items.push_back(*std::move(name));
  }
  return page;
}

Status add_thing_to_billing_group(store::Tx& tx, std::string_view name, std::string_view thing_name) {
  TRY_VOID(get_billing_group(tx, name));
  TRY(Thing thing, get_thing(tx, thing_name));
  if (thing.billing_group == name) return {};
  if (!thing.billing_group.empty())
    return invalid("Thing " + thing.name + " cannot be added to billing group " + std::string(name) +
                   ": it belongs to billing group " + thing.billing_group);
  thing.billing_group = name;
  put_thing(tx, thing);
  tx.put(billing_group_thing_key(name, thing_name), "");
  return {};
}

Status remove_thing_from_billing_group(store::Tx& tx, std::string_view name, std::string_view thing_name) {
  TRY_VOID(get_billing_group(tx, name));
  TRY(Thing thing, get_thing(tx, thing_name));
  if (thing.billing_group != name) return {};
  thing.billing_group.clear();
  put_thing(tx, thing);
  tx.erase(billing_group_thing_key(name, thing_name));
  return {};
}

Result<Page<std::string>> list_things_in_billing_group(store::Tx& tx, std::string_view name, const PageRequest& page) {
  TRY_VOID(get_billing_group(tx, name));
  return second_components(tx, {store::table::kBillingGroupThing, name, "billing-group-things"}, page);
}

}  // namespace muster::registry
