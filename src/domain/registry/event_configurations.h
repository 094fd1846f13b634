// SPDX-License-Identifier: Apache-2.0
// Event configurations: which kinds of $aws/events messages are published; all off until UpdateEventConfigurations
// turns them on. One record for the account. Only kPublishedEvents can be turned on. Synchronous over Tx&. Source:
// service model iot 2015-05-28 "EventConfigurations", developer guide "Enable events for AWS IoT".
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/store.h"

namespace muster::registry {

// AWS's names, all of them, and those that Muster publishes.
inline constexpr std::array<std::string_view, 11> kEventKinds{
    "THING",         "THING_GROUP", "THING_TYPE",    "THING_GROUP_MEMBERSHIP", "THING_GROUP_HIERARCHY",
    "JOB",           "POLICY",      "JOB_EXECUTION", "THING_TYPE_ASSOCIATION", "CERTIFICATE",
    "CA_CERTIFICATE"};
inline constexpr std::array<std::string_view, 2> kPublishedEvents{"JOB", "JOB_EXECUTION"};

struct EventConfigurations {
  std::map<std::string, bool> enabled;  // every kind, by AWS's name: "JOB", "JOB_EXECUTION", ...
  std::int64_t created_ms = 0;          // 0: never changed
  std::int64_t modified_ms = 0;
};

Result<EventConfigurations> event_configurations(store::Tx& tx);
// Merges; kinds that are not named stay as they are. kInvalid for an unknown kind, and for one that Muster does not
// publish being turned on.
Status update_event_configurations(store::Tx& tx, const std::map<std::string, bool>& change);
// Cheap enough for every transition: a non-conflicting read of one small record, which is absent until the first
// update. A corrupt record reads as off.
bool event_enabled(store::Tx& tx, std::string_view kind);

}  // namespace muster::registry
