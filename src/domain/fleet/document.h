// SPDX-License-Identifier: Apache-2.0
// Documents of the fleet index: what the store says about a thing or a group, as fields for the index and as
// SearchIndex shows it. Snapshot reads: for an index that follows, and listings; whoever reads is told of later
// changes. Fields: registry/fleet_query_fields.h. A thing's jobs count by the latest execution of each.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "domain/fleet/index.h"
#include "domain/registry/fleet_query_sources.h"
#include "domain/registry/groups.h"
#include "store/store.h"

namespace muster::fleet {

using registry::IndexedSources;

// Records of groups, which do not change their ancestors nor their kind; for one transaction.
class GroupCache {
 public:
  const registry::ThingGroup* find(store::Tx& tx, std::string_view name);

 private:
  std::map<std::string, std::optional<registry::ThingGroup>, std::less<>> groups_;
};

struct ThingFields {
  FieldValues fields;                       // static groups with their ancestors in thingGroupNames
  std::vector<std::string> dynamic_groups;  // by name
  std::size_t left_out = 0;                 // values of shadows that have too many
};

// The rows of things, in one place: of one thing, or of all in a range of names. A part that is not indexed is not
// read.
struct ThingRows {
  std::string thing;                                            // record
  std::vector<std::string> groups;                              // direct
  std::map<std::string, std::string> shadows;                   // by name
  std::string connectivity;                                     // record; empty: none
  std::vector<std::pair<std::string, std::string>> executions;  // job, record of its latest execution
};

// nullopt: there is no such thing. Only what the mask asks for is read.
std::optional<ThingRows> read_rows(store::Tx& tx, std::string_view thing, const IndexedSources& sources,
                                   SourceMask mask);
// Things behind `after`, with all their rows, by ranges over the tables: for a build. Empty at the end.
std::map<std::string, ThingRows> read_many_rows(store::Tx& tx, std::string_view after, std::size_t limit,
                                                const IndexedSources& sources);

Result<ThingFields> fields_of_thing(store::Tx& tx, std::string_view thing, const ThingRows& rows,
                                    const IndexedSources& sources, SourceMask mask, GroupCache& groups);
// What dynamic groups see beside the registry's fields; nothing when there is no such thing.
FieldValues index_fields(store::Tx& tx, std::string_view thing);

FieldValues fields_of_group(const registry::ThingGroup& group);

// ThingDocument and ThingGroupDocument of the API; nullopt when it is gone.
std::optional<json::object> thing_document(store::Tx& tx, std::string_view thing, const IndexedSources& sources);
std::optional<json::object> group_document(store::Tx& tx, std::string_view group);

}  // namespace muster::fleet
