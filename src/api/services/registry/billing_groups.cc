// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/billing_groups.h"
#include "api/services/iot/tags.h"
#include "api/services/iot/things_handler.h"
#include "api/services/registry/named_by_either.h"
#include "api/services/registry/registry_handlers.h"

namespace muster::api::iot {

namespace {

using store::Tx;

constexpr NamedByEither kGroup{"billingGroupName", "billingGroupArn", "billinggroup"};

std::optional<std::string> description_of(const json::object& input) {
  const json::object* properties = find_object(input, "billingGroupProperties");
  if (properties == nullptr || !has(*properties, "billingGroupDescription")) return std::nullopt;
  return std::string(get_string(*properties, "billingGroupDescription"));
}

Result<json::object> create_group(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  const std::string description = description_of(input).value_or("");
  TRY(const auto group,
      registry::create_billing_group(tx, services.realm, get_string(input, "billingGroupName"), description));
  const std::string arn = registry::billing_group_arn(services.realm, group.name);
  TRY_VOID(tag_new_resource(tx, arn, input));
  return json::object{{"billingGroupName", group.name}, {"billingGroupArn", arn}, {"billingGroupId", group.id}};
}

Result<json::object> describe_group(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY(const auto group, registry::get_billing_group(tx, get_string(input, "billingGroupName")));
  json::object properties;
  if (!group.description.empty()) properties["billingGroupDescription"] = group.description;
  json::object output{{"billingGroupName", group.name},
                      {"billingGroupId", group.id},
                      {"billingGroupArn", registry::billing_group_arn(services.realm, group.name)},
                      {"version", group.version}};
  output["billingGroupProperties"] = std::move(properties);
  output["billingGroupMetadata"] = json::object{{"creationDate", group.created_ms}};
  return output;
}

Result<json::object> update_group(const RegistryServices&, Tx& tx, const json::object& input, Changes&) {
  registry::UpdateBillingGroup change;
  change.name = get_string(input, "billingGroupName");
  change.description = description_of(input);
  change.expected_version = optional_version(input);
  TRY(const auto group, registry::update_billing_group(tx, change));
  return json::object{{"version", group.version}};
}

Result<json::object> delete_group(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY_VOID(registry::delete_billing_group(tx, services.realm, get_string(input, "billingGroupName"),
                                          optional_version(input)));
  return json::object();
}

Result<json::object> list_groups(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  registry::ListBillingGroups list;
  list.name_prefix = get_string(input, "namePrefixFilter");
  list.page = page_of_input(input);
  TRY(const auto page, registry::list_billing_groups(tx, list));
  json::object output{{"billingGroups", names_and_arns(services.realm, kGroup.kind, page.items)}};
  if (!page.next_token.empty()) output["nextToken"] = page.next_token;
  return output;
}

Result<json::object> add_thing(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY(const std::string group, name_or_arn(services.realm, input, kGroup));
  TRY(const std::string thing, name_or_arn(services.realm, input, kThing));
  TRY_VOID(registry::add_thing_to_billing_group(tx, group, thing));
  return json::object();
}

Result<json::object> remove_thing(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY(const std::string group, name_or_arn(services.realm, input, kGroup));
  TRY(const std::string thing, name_or_arn(services.realm, input, kThing));
  TRY_VOID(registry::remove_thing_from_billing_group(tx, group, thing));
  return json::object();
}

Result<json::object> list_things(const RegistryServices&, Tx& tx, const json::object& input, Changes&) {
  TRY(auto page,
      registry::list_things_in_billing_group(tx, get_string(input, "billingGroupName"), page_of_input(input)));
  json::object output{{"things", string_list(std::move(page.items))}};
  if (!page.next_token.empty()) output["nextToken"] = page.next_token;
  return output;
}

}  // namespace

void register_billing_groups(Operations& operations, const SharedRegistry& services) {
  auto add = [&](std::string_view operation, RegistryBody body) {
    operations.add("iot", operation, registry_handler(services, std::move(body)));
  };
  add("CreateBillingGroup", create_group);
  add("DescribeBillingGroup", describe_group);
  add("UpdateBillingGroup", update_group);
  add("DeleteBillingGroup", delete_group);
  add("ListBillingGroups", list_groups);
  add("AddThingToBillingGroup", add_thing);
  add("RemoveThingFromBillingGroup", remove_thing);
  add("ListThingsInBillingGroup", list_things);
}

}  // namespace muster::api::iot
