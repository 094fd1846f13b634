// SPDX-License-Identifier: Apache-2.0
#include "api/services/fleet/fleet.h"
#include "domain/fleet/settings.h"
#include "domain/registry/page.h"
#include "store/transact.h"

namespace muster::api::fleet_service {

namespace {

using fleet::IndexStatus;
using registry::QuerySubject;

io::Task<Reply> reply_with(json::object output) {
  Reply reply;
  reply.output = std::move(output);
  co_return reply;
}

std::string_view to_string(IndexStatus status) {
  switch (status) {
    case IndexStatus::kBuilding:
      return "BUILDING";
    case IndexStatus::kRebuilding:
      return "REBUILDING";
    default:
      return "ACTIVE";
  }
}

bool is_on(const registry::IndexedSources& sources, std::string_view index) {
  if (index == fleet::kThingsIndex) return sources.things;
  return index == fleet::kThingGroupsIndex && sources.thing_groups;
}

// The configuration says what there is; an indexer that has not read it yet is about to build.
Handler describe_index(const SharedFleet& services) {
  return [services](Call& call) -> io::Task<Reply> {
    const std::string name(get_string(call.input, "indexName"));
    auto body = [](store::Tx& tx) -> Result<registry::IndexedSources> { return registry::indexed_sources(tx); };
    CO_TRY(const registry::IndexedSources sources, co_await store::transact(*services->store, body));
    if (!is_on(sources, name))
      co_return not_found("Index " + name +
                          " does not exist. Please enable index by calling UpdateIndexingConfiguration");
    const auto subject = name == fleet::kThingsIndex ? QuerySubject::kThings : QuerySubject::kThingGroups;
    IndexStatus status = services->indexer->status(subject);
    if (status == IndexStatus::kOff) status = IndexStatus::kBuilding;
    co_return co_await reply_with(
        {{"indexName", name}, {"indexStatus", to_string(status)}, {"schema", fleet::index_schema(sources, subject)}});
  };
}

Handler list_indices(const SharedFleet& services) {
  return [services](Call& call) -> io::Task<Reply> {
    auto body = [](store::Tx& tx) -> Result<registry::IndexedSources> { return registry::indexed_sources(tx); };
    CO_TRY(const registry::IndexedSources sources, co_await store::transact(*services->store, body));
    CO_TRY(const std::string position, registry::page_position("indices", get_string(call.input, "nextToken")));
    const auto limit = get_int(call.input, "maxResults", 100);
    json::object output;
    json::array names;
    for (std::string_view name : {fleet::kThingGroupsIndex, fleet::kThingsIndex}) {
      if (!is_on(sources, name) || name <= position) continue;
      if (static_cast<std::int64_t>(names.size()) == limit) {
        output["nextToken"] = registry::page_token("indices", std::string_view(names.back().get_string()));
        break;
      }
      names.emplace_back(name);
    }
    output["indexNames"] = std::move(names);
    co_return co_await reply_with(std::move(output));
  };
}

Handler get_configuration(const SharedFleet& services) {
  return [services](Call&) -> io::Task<Reply> {
    auto body = [](store::Tx& tx) -> Result<fleet::IndexingConfiguration> { return fleet::indexing_configuration(tx); };
    CO_TRY(const fleet::IndexingConfiguration found, co_await store::transact(*services->store, body));
    co_return co_await reply_with({{"thingIndexingConfiguration", fleet::things_shape(found)},
                                   {"thingGroupIndexingConfiguration", fleet::groups_shape(found)}});
  };
}

Handler update_configuration(const SharedFleet& services) {
  return [services](Call& call) -> io::Task<Reply> {
    auto body = [&](store::Tx& tx) -> Result<bool> {
      TRY_VOID(fleet::update_indexing_configuration(tx, find_object(call.input, "thingIndexingConfiguration"),
                                                    find_object(call.input, "thingGroupIndexingConfiguration")));
      return true;
    };
    CO_TRY(bool done, co_await store::transact(*services->store, body));
    (void)done;
    co_return Reply();
  };
}

Handler connectivity_of_thing(const SharedFleet& services) {
  return [services](Call& call) -> io::Task<Reply> {
    const std::string name(get_string(call.input, "thingName"));
    auto body = [&](store::Tx& tx) -> Result<json::object> {
      if (!registry::thing_exists(tx, name)) return registry::thing_not_found(name);
      if (!registry::indexed_sources(tx).connectivity)
        return make_error(ErrorKind::kConflict, "The connectivity of things is not indexed", "IndexNotReadyException");
      TRY(const auto found, fleet::decode_connectivity(tx.get(fleet::connectivity_key(name)).value_or("")));
      json::object output = fleet::connectivity_shape(found);
      output["thingName"] = name;
      return output;
    };
    CO_TRY(json::object output, co_await store::transact(*services->store, body));
    co_return co_await reply_with(std::move(output));
  };
}

}  // namespace

void register_index_settings(Operations& operations, const SharedFleet& services) {
  operations.add("iot", "DescribeIndex", describe_index(services));
  operations.add("iot", "ListIndices", list_indices(services));
  operations.add("iot", "GetIndexingConfiguration", get_configuration(services));
  operations.add("iot", "UpdateIndexingConfiguration", update_configuration(services));
  operations.add("iot", "GetThingConnectivityData", connectivity_of_thing(services));
}

}  // namespace muster::api::fleet_service
