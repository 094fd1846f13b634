// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/groups.h"
#include "api/services/iot/tags.h"
#include "api/services/iot/things_handler.h"
#include "api/services/registry/named_by_either.h"
#include "domain/jobs/membership.h"
#include "domain/registry/dynamic_groups.h"
#include "store/transact.h"

namespace muster::api::iot {

namespace {

using store::Tx;

json::array group_list(const Realm& realm, const std::vector<std::string>& names) {
  return names_and_arns(realm, "thinggroup", names);
}

// CreateThingGroup and CreateDynamicThingGroup have these members in common.
template <class Wanted>
void read_properties(const json::object& input, Wanted& wanted) {
  wanted.name = get_string(input, "thingGroupName");
  if (const json::object* properties = find_object(input, "thingGroupProperties")) {
    wanted.description = get_string(*properties, "thingGroupDescription");
    wanted.attributes = attributes_of_payload(find_object(*properties, "attributePayload"));
  }
}

Result<json::object> created(const RegistryServices& services, Tx& tx, const json::object& input,
                             const registry::ThingGroup& group) {
  std::string arn = registry::group_arn(services.realm, group.name);
  TRY_VOID(tag_new_resource(tx, arn, input));
  return json::object{{"thingGroupName", group.name}, {"thingGroupArn", arn}, {"thingGroupId", group.id}};
}

Result<json::object> create_group(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  registry::CreateGroup wanted;
  read_properties(input, wanted);
  wanted.parent = get_string(input, "parentGroupName");
  TRY(auto group, registry::create_group(tx, services.realm, wanted));
  return created(services, tx, input, group);
}

void put_query(json::object& output, const registry::ThingGroup& group) {
  output["indexName"] = registry::kIndexName;
  output["queryString"] = group.query;
  output["queryVersion"] = registry::kQueryVersion;
}

Result<json::object> create_dynamic_group(const RegistryServices& services, Tx& tx, const json::object& input,
                                          Changes& changes) {
  registry::CreateDynamicGroup wanted;
  read_properties(input, wanted);
  wanted.query = get_string(input, "queryString");
  wanted.index_name = get_string(input, "indexName");
  wanted.query_version = get_string(input, "queryVersion");
  TRY(auto group, registry::create_dynamic_group(tx, services.realm, wanted));
  changes.groups_to_build = true;
  TRY(json::object output, created(services, tx, input, group));
  put_query(output, group);
  return output;
}

Result<json::object> describe_group(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY(auto group, registry::get_group(tx, get_string(input, "thingGroupName")));
  json::object properties;
  if (!group.description.empty()) properties["thingGroupDescription"] = group.description;
  if (!group.attributes.empty())
    properties["attributePayload"] = json::object{{"attributes", attribute_shape(group.attributes)}};
  json::object metadata{{"creationDate", group.created_ms}};
  if (!group.parent.empty()) metadata["parentGroupName"] = group.parent;
  metadata["rootToParentThingGroups"] = group_list(services.realm, group.ancestors);
  json::object output{{"thingGroupName", group.name},
                      {"thingGroupId", group.id},
                      {"thingGroupArn", registry::group_arn(services.realm, group.name)},
                      {"version", group.version}};
  output["thingGroupProperties"] = std::move(properties);
  output["thingGroupMetadata"] = std::move(metadata);
  if (group.is_dynamic()) {
    put_query(output, group);
    output["status"] = registry::to_string(registry::dynamic_group_status(tx, group.name));
  }
  return output;
}

registry::UpdateGroup change_of_group(const json::object& input) {
  registry::UpdateGroup change;
  change.name = get_string(input, "thingGroupName");
  if (const json::object* properties = find_object(input, "thingGroupProperties")) {
    if (has(*properties, "thingGroupDescription"))
      change.description = std::string(get_string(*properties, "thingGroupDescription"));
    if (const json::object* payload = find_object(*properties, "attributePayload")) {
      if (has(*payload, "attributes")) change.attributes = attributes_of_payload(payload);
      change.merge = get_bool(*payload, "merge");
    }
  }
  change.expected_version = optional_version(input);
  return change;
}

Result<json::object> update_group(const RegistryServices&, Tx& tx, const json::object& input, Changes&) {
  TRY(auto group, registry::update_group(tx, change_of_group(input)));
  return json::object{{"version", group.version}};
}

Result<json::object> update_dynamic_group(const RegistryServices&, Tx& tx, const json::object& input,
                                          Changes& changes) {
  registry::UpdateDynamicGroup change;
  change.group = change_of_group(input);
  if (has(input, "queryString")) change.query = std::string(get_string(input, "queryString"));
  change.index_name = get_string(input, "indexName");
  change.query_version = get_string(input, "queryVersion");
  TRY(auto group, registry::update_dynamic_group(tx, change));
  changes.groups_to_build = true;
  return json::object{{"version", group.version}};
}

using DeleteGroup = decltype(&registry::delete_group);

constexpr std::size_t kDeleteBatch = 250;  // members a transaction lets go, with what Jobs makes of it

struct Emptied {
  bool done = false;
  Changes changes;
};

// Emptied batch by batch: a group may have a million members, a transaction may not.
Handler delete_group_handler(const SharedRegistry& services, DeleteGroup delete_group) {
  return [services, delete_group](Call& call) -> io::Task<Reply> {
    std::string name(get_string(call.input, "thingGroupName"));
    auto step = [&](Tx& tx) -> Result<Emptied> {
      Emptied emptied;
      TRY(auto deletion, delete_group(tx, services->realm, name, optional_version(call.input), kDeleteBatch));
      for (const registry::MembershipChange& change : deletion.changes)
        TRY_VOID(jobs::membership_changed(services->jobs, tx, change.thing, change.before, change.after,
                                          emptied.changes.jobs));
      emptied.done = deletion.done;
      return emptied;
    };
    for (bool done = false; !done;) {
      CO_TRY(Emptied emptied, co_await store::transact(*services->store, step));
      announce(*services, emptied.changes);
      done = emptied.done;
    }
    co_return Reply();
  };
}

Result<json::object> list_groups(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  registry::ListGroups list;
  list.parent = get_string(input, "parentGroup");
  list.name_prefix = get_string(input, "namePrefixFilter");
  list.recursive = get_bool(input, "recursive", true);
  list.page = page_of_input(input);
  TRY(auto page, registry::list_groups(tx, list));
  json::object output{{"thingGroups", group_list(services.realm, page.items)}};
  if (!page.next_token.empty()) output["nextToken"] = page.next_token;
  return output;
}

constexpr NamedByEither kGroup{"thingGroupName", "thingGroupArn", "thinggroup"};

registry::DynamicGroups dynamic_groups_of_input(const json::object& input) {
  return get_bool(input, "overrideDynamicGroups") ? registry::DynamicGroups::kOverride : registry::DynamicGroups::kKeep;
}

std::vector<std::string> names_of_input(const json::object& input, std::string_view member) {
  std::vector<std::string> names;
  if (const json::array* list = find_array(input, member))
    for (const json::value& name : *list)
      if (name.is_string()) names.emplace_back(name.as_string());
  return names;
}

Result<json::object> change_groups(const RegistryServices& services, Tx& tx,
                                   const registry::UpdateGroupsOfThing& wanted, Changes& changes) {
  TRY(auto change, registry::update_groups_of_thing(tx, wanted));
  if (change.before != change.after)
    TRY_VOID(jobs::membership_changed(services.jobs, tx, change.thing, change.before, change.after, changes.jobs));
  return json::object();
}

Result<json::object> add_thing(const RegistryServices& services, Tx& tx, const json::object& input, Changes& changes) {
  registry::UpdateGroupsOfThing change;
  TRY(std::string group, name_or_arn(services.realm, input, kGroup));
  TRY(change.thing, name_or_arn(services.realm, input, kThing));
  change.add.push_back(std::move(group));
  change.dynamic = dynamic_groups_of_input(input);
  return change_groups(services, tx, change, changes);
}

Result<json::object> remove_thing(const RegistryServices& services, Tx& tx, const json::object& input,
                                  Changes& changes) {
  registry::UpdateGroupsOfThing change;
  TRY(std::string group, name_or_arn(services.realm, input, kGroup));
  TRY(change.thing, name_or_arn(services.realm, input, kThing));
  change.remove.push_back(std::move(group));
  return change_groups(services, tx, change, changes);
}

Result<json::object> update_groups_for_thing(const RegistryServices& services, Tx& tx, const json::object& input,
                                             Changes& changes) {
  registry::UpdateGroupsOfThing change;
  change.thing = get_string(input, "thingName");
  if (change.thing.empty()) return invalid("thingName must be given");
  change.remove = names_of_input(input, "thingGroupsToRemove");
  change.add = names_of_input(input, "thingGroupsToAdd");
  change.dynamic = dynamic_groups_of_input(input);
  return change_groups(services, tx, change, changes);
}

Result<json::object> list_things_in_group(const RegistryServices&, Tx& tx, const json::object& input, Changes&) {
  std::string_view group = get_string(input, "thingGroupName");
  registry::PageRequest request = page_of_input(input);
  const bool recursive = get_bool(input, "recursive");
  const std::string listing = registry::listing_of("group-members", {group, recursive ? "recursive" : ""});
  TRY(std::string cursor, registry::page_position(listing, request.token));
  TRY(auto page, registry::for_each_member(tx, group, recursive, cursor, request.limit, true));
  json::object output{{"things", string_list(std::move(page.things))}};
  if (!page.next.empty()) output["nextToken"] = registry::page_token(listing, page.next);
  return output;
}

// At most ten, so always one page.
Result<json::object> list_groups_for_thing(const RegistryServices& services, Tx& tx, const json::object& input,
                                           Changes&) {
  std::string_view thing = get_string(input, "thingName");
  if (!registry::thing_exists(tx, thing)) return registry::thing_not_found(thing);
  const std::string listing = registry::listing_of("groups-of-thing", {thing});
  TRY(std::string position, registry::page_position(listing, get_string(input, "nextToken")));
  registry::PageRequest request = page_of_input(input);
  std::vector<std::string> page;
  json::object output;
  for (std::string& name : registry::groups_of_thing(tx, thing)) {
    if (name <= position) continue;
    if (page.size() == request.limit) {
      output["nextToken"] = registry::page_token(listing, page.back());
      break;
    }
    page.push_back(std::move(name));
  }
  output["thingGroups"] = group_list(services.realm, page);
  return output;
}

}  // namespace

void register_groups(Operations& operations, const SharedRegistry& services) {
  auto add = [&](std::string_view operation, RegistryBody body) {
    operations.add("iot", operation, registry_handler(services, std::move(body)));
  };
  add("CreateThingGroup", create_group);
  add("DescribeThingGroup", describe_group);
  add("UpdateThingGroup", update_group);
  operations.add("iot", "DeleteThingGroup", delete_group_handler(services, registry::delete_group));
  add("CreateDynamicThingGroup", create_dynamic_group);
  add("UpdateDynamicThingGroup", update_dynamic_group);
  operations.add("iot", "DeleteDynamicThingGroup", delete_group_handler(services, registry::delete_dynamic_group));
  add("ListThingGroups", list_groups);
  add("AddThingToThingGroup", add_thing);
  add("RemoveThingFromThingGroup", remove_thing);
  add("UpdateThingGroupsForThing", update_groups_for_thing);
  add("ListThingsInThingGroup", list_things_in_group);
  add("ListThingGroupsForThing", list_groups_for_thing);
}

}  // namespace muster::api::iot
