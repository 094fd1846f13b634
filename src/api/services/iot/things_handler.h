// SPDX-License-Identifier: Apache-2.0
// The form of every registry handler: one transaction over the registry, then, after the commit, what others must hear:
// certificates whose rights changed (PolicyGenerations) and what Jobs did (Signals).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/services/iot/registry_services.h"
#include "base/json.h"
#include "domain/registry/page.h"
#include "domain/registry/tags.h"
#include "domain/registry/things.h"

namespace muster::api::iot {

// What a transaction changed; a body starts with a fresh one each run.
struct Changes {
  std::vector<std::string> certificates;  // ids whose status, policies or things changed
  bool all_certificates = false;          // a policy or a group changed: whoever it concerns
  bool groups_to_build = false;           // a dynamic group was made or has another query
  jobs::Effects jobs;

  // The certificate in an ARN; anything else is a group, which concerns many.
  void touch_target(const Realm& realm, std::string_view arn);
  // Every certificate attached to the thing: its groups and attributes are part of what they may do.
  void touch_thing(const Realm& realm, store::Tx& tx, std::string_view thing);
};
void announce(const RegistryServices& services, const Changes& changes);

// Runs a change of a thing, and tells Jobs which groups it joined and left by it.
Status change_thing(const RegistryServices& services, store::Tx& tx, std::string_view thing, Changes& changes,
                    const std::function<Status()>& change);

using RegistryBody = std::function<Result<json::object>(const RegistryServices& services, store::Tx& tx,
                                                        const json::object& input, Changes& changes)>;
Handler registry_handler(const SharedRegistry& services, RegistryBody body);

// maxResults and nextToken, or pageSize and marker.
registry::PageRequest page_of_input(const json::object& input);
registry::PageRequest marker_page_of_input(const json::object& input);
std::optional<std::int64_t> optional_version(const json::object& input);  // expectedVersion
registry::Attributes attributes_of_payload(const json::object* payload);  // attributePayload
json::object attribute_shape(const registry::Attributes& attributes);
registry::Tags tags_of_list(const json::object& input);
json::array string_list(std::vector<std::string> items);

}  // namespace muster::api::iot
