// SPDX-License-Identifier: Apache-2.0
#include "api/services/iot/event_configurations.h"
#include "api/services/iot/things_handler.h"
#include "api/services/registry/registry_handlers.h"
#include "api/wire/authorization.h"
#include "domain/iam/authorize.h"
#include "domain/jobs/executions.h"
#include "domain/jobs/membership.h"
#include "domain/registry/dynamic_groups.h"
#include "domain/registry/groups.h"
#include "domain/security/principals.h"
#include "store/transact.h"

namespace muster::api::iot {

namespace {

using store::Tx;

// Runs a change of a thing, and tells Jobs which groups it joined and left by it. Attributes and type decide about
// dynamic groups alone: without them there is nothing to compare.
Status change_thing(const RegistryServices& services, Tx& tx, std::string_view thing, Changes& changes,
                    const std::function<Status()>& change) {
  if (!registry::has_dynamic_groups(tx)) return change();
  const std::vector<std::string> before = registry::groups_of_thing_with_ancestors(tx, thing);
  TRY_VOID(change());
  const std::vector<std::string> after = registry::groups_of_thing_with_ancestors(tx, thing);
  if (before == after) return {};
  return jobs::membership_changed(services.jobs, tx, thing, before, after, changes.jobs);
}

Result<json::object> create_thing(const RegistryServices& services, Tx& tx, const json::object& input,
                                  Changes& changes) {
  registry::CreateThing wanted;
  wanted.name = get_string(input, "thingName");
  wanted.type = get_string(input, "thingTypeName");
  wanted.billing_group = get_string(input, "billingGroupName");
  wanted.attributes = attributes_of_payload(find_object(input, "attributePayload"));
  registry::Thing thing;
  TRY_VOID(change_thing(services, tx, wanted.name, changes, [&]() -> Status {
    TRY(thing, registry::create_thing(tx, services.realm, wanted));
    return {};
  }));
  return json::object{
      {"thingName", thing.name}, {"thingArn", registry::thing_arn(services.realm, thing.name)}, {"thingId", thing.id}};
}

// As AWS: CreateThing is asked on the billing group too, where one is named.
Handler create_thing_handler(const SharedRegistry& services) {
  return [services, create = registry_handler(services, create_thing)](Call& call) -> io::Task<Reply> {
    if (has(call.input, "billingGroupName")) {
      auto check = [&](Tx& tx) -> Status {
        iam::AuthorizationRequest request;
        request.action = "iot:CreateThing";
        request.resources = {iot_arn(services->realm, "billinggroup", get_string(call.input, "billingGroupName"))};
        if (call.request != nullptr) request.context = request_context(*call.request, services->realm, call.now_ms);
        return iam::authorize(tx, services->realm, call.caller, request);
      };
      CO_TRY_VOID(co_await store::transact(*services->store, check));
    }
    Reply reply;
    CO_TRY(reply, co_await create(call));
    co_return reply;
  };
}

Result<json::object> describe_thing(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY(auto thing, registry::get_thing(tx, get_string(input, "thingName")));
  json::object output{{"defaultClientId", thing.name},
                      {"thingName", thing.name},
                      {"thingId", thing.id},
                      {"thingArn", registry::thing_arn(services.realm, thing.name)},
                      {"version", thing.version}};
  if (!thing.type.empty()) output["thingTypeName"] = thing.type;
  if (!thing.billing_group.empty()) output["billingGroupName"] = thing.billing_group;
  output["attributes"] = attribute_shape(thing.attributes);
  return output;
}

Result<json::object> update_thing(const RegistryServices& services, Tx& tx, const json::object& input,
                                  Changes& changes) {
  registry::UpdateThing change;
  change.name = get_string(input, "thingName");
  if (const json::object* payload = find_object(input, "attributePayload")) {
    if (has(*payload, "attributes")) change.attributes = attributes_of_payload(payload);
    change.merge = get_bool(*payload, "merge");
  }
  if (has(input, "thingTypeName")) change.type = std::string(get_string(input, "thingTypeName"));
  change.remove_type = get_bool(input, "removeThingType");
  change.expected_version = optional_version(input);
  TRY_VOID(change_thing(services, tx, change.name, changes, [&]() -> Status {
    TRY_VOID(registry::update_thing(tx, change));
    return {};
  }));
  return json::object();
}

Result<json::object> delete_thing(const RegistryServices& services, Tx& tx, const json::object& input,
                                  Changes& changes) {
  std::string_view name = get_string(input, "thingName");
  TRY(bool existed, registry::delete_thing(tx, name, optional_version(input)));
  if (existed) TRY_VOID(jobs::thing_deleted(services.jobs, tx, name, changes.jobs));
  return json::object();
}

Result<json::object> list_things(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  registry::ListThings list;
  list.attribute_name = get_string(input, "attributeName");
  list.attribute_value = get_string(input, "attributeValue");
  list.prefix = get_bool(input, "usePrefixAttributeValue");
  list.type = get_string(input, "thingTypeName");
  list.page = page_of_input(input);
  TRY(auto page, registry::list_things(tx, list));
  json::array things;
  for (const registry::Thing& thing : page.items) {
    json::object shape{{"thingName", thing.name},
                       {"thingArn", registry::thing_arn(services.realm, thing.name)},
                       {"version", thing.version}};
    if (!thing.type.empty()) shape["thingTypeName"] = thing.type;
    shape["attributes"] = attribute_shape(thing.attributes);
    things.emplace_back(std::move(shape));
  }
  json::object output{{"things", std::move(things)}};
  if (!page.next_token.empty()) output["nextToken"] = page.next_token;
  return output;
}

}  // namespace

void register_things(Operations& operations, const SharedRegistry& services) {
  auto add = [&](std::string_view operation, RegistryBody body) {
    operations.add("iot", operation, registry_handler(services, std::move(body)));
  };
  operations.add("iot", "CreateThing", create_thing_handler(services));
  add("DescribeThing", describe_thing);
  add("UpdateThing", update_thing);
  add("DeleteThing", delete_thing);
  add("ListThings", list_things);
}

void register_registry(Operations& operations, const RegistryServices& given) {
  auto services = std::make_shared<const RegistryServices>(given);
  register_things(operations, services);
  register_thing_types(operations, services);
  register_billing_groups(operations, services);
  register_groups(operations, services);
  register_certificates(operations, services);
  register_policies(operations, services);
  register_endpoint(operations, services);
  register_tags(operations, services);
  register_event_configurations(operations, services);
}

}  // namespace muster::api::iot
