// SPDX-License-Identifier: Apache-2.0
// The account's indexing configuration: what is indexed, and the types of fields that may be aggregated. Synchronous
// over Tx&. Off until somebody turns it on, as on AWS. Source: service model iot 2015-05-28
// "UpdateIndexingConfiguration"; developer guide "Manage thing indexing". Bounds: 10 named shadows, 5 custom fields an
// index, names of fields of 1,024 characters. Refused by name: Device Defender, geo locations, fields of what is not
// indexed, and turning off what a dynamic thing group asks for.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "domain/fleet/aggregate.h"
#include "domain/registry/fleet_query_sources.h"
#include "store/store.h"

namespace muster::fleet {

inline constexpr std::string_view kThingsIndex = "AWS_Things";
inline constexpr std::string_view kThingGroupsIndex = "AWS_ThingGroups";

// Both in the API's shapes. A part that is absent stays as it is.
struct IndexingConfiguration {
  json::object things;  // ThingIndexingConfiguration without managedFields
  json::object groups;  // ThingGroupIndexingConfiguration without managedFields
};
IndexingConfiguration indexing_configuration(store::Tx& tx);
// With managedFields, for GetIndexingConfiguration.
json::object things_shape(const IndexingConfiguration& configuration);
json::object groups_shape(const IndexingConfiguration& configuration);

Status update_indexing_configuration(store::Tx& tx, const json::object* things, const json::object* groups);

// DescribeIndex's schema.
std::string index_schema(const registry::IndexedSources& sources, registry::QuerySubject subject);

// A managed or custom field of the configuration. kInvalid with reason InvalidAggregationException otherwise.
struct AggregatedField {
  std::string name;  // as the index has it
  FieldType type = FieldType::kString;
};
Result<AggregatedField> aggregated_field(const IndexingConfiguration& configuration, std::string_view name,
                                         registry::QuerySubject subject);

}  // namespace muster::fleet
