// SPDX-License-Identifier: Apache-2.0
// The form of every registry handler: one transaction over the registry, then, after the commit, what others must hear:
// what Jobs did (Signals), and that groups are to be built. Changed rights are heard from the store itself
// (domain/security/generations.h).
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
  bool groups_to_build = false;  // a dynamic group was made or has another query
  jobs::Effects jobs;
};
void announce(const RegistryServices& services, const Changes& changes);

using RegistryBody = std::function<Result<json::object>(const RegistryServices& services, store::Tx& tx,
                                                        const json::object& input, Changes& changes)>;
Handler registry_handler(const SharedRegistry& services, RegistryBody body);

// maxResults and nextToken, or pageSize and marker.
registry::PageRequest page_of_input(const json::object& input);
registry::PageRequest marker_page_of_input(const json::object& input);
std::optional<std::int64_t> optional_version(const json::object& input);  // expectedVersion
registry::Attributes attributes_of_payload(const json::object* payload);  // attributePayload
json::object attribute_shape(const registry::Attributes& attributes);
json::array string_list(std::vector<std::string> items);

}  // namespace muster::api::iot
