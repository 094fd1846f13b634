// SPDX-License-Identifier: Apache-2.0
#include "api/services/iot/event_configurations.h"

#include "api/services/iot/things_handler.h"
#include "domain/registry/event_configurations.h"

namespace muster::api::iot {

namespace {

using store::Tx;

Result<json::object> update(const RegistryServices&, Tx& tx, const json::object& input, Changes&) {
  std::map<std::string, bool> change;
  if (const json::object* kinds = find_object(input, "eventConfigurations")) {
    for (const auto& item : *kinds) {
      const json::object* configuration = item.value().if_object();
      if (configuration == nullptr || !has(*configuration, "Enabled")) {
        return invalid("The configuration of event type " + std::string(item.key()) + " must have Enabled.");
      }
      change[item.key()] = get_bool(*configuration, "Enabled");
    }
  }
  if (change.empty()) return invalid("At least one event configuration must be given.");
  TRY_VOID(registry::update_event_configurations(tx, change));
  return json::object();
}

Result<json::object> describe(const RegistryServices&, Tx& tx, const json::object&, Changes&) {
  TRY(const auto configurations, registry::event_configurations(tx));
  json::object kinds;
  for (const auto& [kind, enabled] : configurations.enabled) kinds[kind] = json::object{{"Enabled", enabled}};
  json::object output{{"eventConfigurations", std::move(kinds)}};
  if (configurations.created_ms != 0) {
    output["creationDate"] = configurations.created_ms;
    output["lastModifiedDate"] = configurations.modified_ms;
  }
  return output;
}

}  // namespace

void register_event_configurations(Operations& operations, const SharedRegistry& services) {
  operations.add("iot", "UpdateEventConfigurations", registry_handler(services, update));
  operations.add("iot", "DescribeEventConfigurations", registry_handler(services, describe));
}

}  // namespace muster::api::iot
