// SPDX-License-Identifier: Apache-2.0
// The fields that fleet queries know, and where each comes from. Pure functions.
//   registry      thingName, thingId, thingTypeName, thingGroupNames, billingGroupName, attributes.NAME
//   shadow        shadow.desired.PATH, shadow.reported.PATH, shadow.delta.PATH, shadow.metadata.PATH, shadow.hasDelta
//   named shadow  shadow.name.SHADOW.desired.PATH ...
//   connectivity  connectivity.connected, connectivity.timestamp, connectivity.disconnectReason
//   jobs          jobs.status, jobs.JOB.status (Muster's own)
//   groups        thingGroupName, thingGroupId, description, parentGroupNames, attributes.NAME
// Versions (registry.version, shadow.version, shadow.name.SHADOW.version) are aggregated, not searched. Source: AWS IoT
// developer guide, "Query syntax" and "Managed fields" of fleet indexing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace muster::registry {

enum class QuerySubject : std::uint8_t { kThings, kThingGroups };

enum class FieldSource : std::uint8_t { kRegistry, kShadow, kNamedShadow, kConnectivity, kJobs };

struct FieldClass {
  FieldSource source = FieldSource::kRegistry;
  bool searchable = true;
  std::string_view shadow;  // kNamedShadow: which
};

// nullopt: no such field. `field` outlives the answer.
std::optional<FieldClass> classify_field(std::string_view field, QuerySubject subject);

// Why the field cannot stand in a query; nullopt when it can.
std::optional<std::string> query_field_refusal(std::string_view field, QuerySubject subject);

}  // namespace muster::registry
