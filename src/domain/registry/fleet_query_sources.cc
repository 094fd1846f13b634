// SPDX-License-Identifier: Apache-2.0
// kIndexingConfiguration: "account" -> {things: ThingIndexingConfiguration, groups: ThingGroupIndexingConfiguration},
// in the shapes of the API.
#include "domain/registry/fleet_query_sources.h"

#include "base/json.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::registry {

namespace {

Error not_indexed(const std::string& what, const std::string& how) {
  return make_error(ErrorKind::kInvalid,
                    what + " are not indexed: UpdateIndexingConfiguration turns them on with " + how,
                    "InvalidQueryException");
}

}  // namespace

std::string indexing_configuration_key() {
  return store::Key(store::table::kIndexingConfiguration).text("account").str();
}

IndexedSources indexed_sources(store::Tx& tx) {
  IndexedSources sources;
  const auto text = tx.get(indexing_configuration_key());
  if (!text) return sources;
  const auto record = parse_record(*text);
  if (!record) return sources;
  if (const json::object* groups = find_object(*record, "groups"))
    sources.thing_groups = get_string(*groups, "thingGroupIndexingMode") == "ON";
  const json::object* things = find_object(*record, "things");
  if (things == nullptr) return sources;
  const std::string_view mode = get_string(*things, "thingIndexingMode", "OFF");
  sources.things = mode != "OFF";
  if (!sources.things) return sources;
  sources.shadow = mode == "REGISTRY_AND_SHADOW";
  sources.connectivity = get_string(*things, "thingConnectivityIndexingMode") == "STATUS";
  if (get_string(*things, "namedShadowIndexingMode") != "ON") return sources;
  const json::object* filter = find_object(*things, "filter");
  const json::array* names = filter == nullptr ? nullptr : find_array(*filter, "namedShadowNames");
  if (names == nullptr) return sources;
  for (const json::value& name : *names)
    if (name.is_string()) sources.named_shadows.emplace(name.as_string());
  return sources;
}

Status check_indexed(const QueryNeeds& needs, const IndexedSources& sources) {
  if (needs.billing_group && !sources.things) return not_indexed("billing groups", "thingIndexingMode REGISTRY");
  if (needs.jobs && !sources.things) return not_indexed("jobs fields", "thingIndexingMode REGISTRY");
  if (needs.shadow && !sources.shadow) return not_indexed("shadow fields", "thingIndexingMode REGISTRY_AND_SHADOW");
  if (needs.connectivity && !sources.connectivity)
    return not_indexed("connectivity fields", "thingConnectivityIndexingMode STATUS");
  for (const std::string& name : needs.named_shadows)
    if (!sources.named_shadows.contains(name))
      return not_indexed("fields of the shadow " + name, "namedShadowIndexingMode ON and filter.namedShadowNames");
  return {};
}

}  // namespace muster::registry
