// SPDX-License-Identifier: Apache-2.0
// Event configurations: which kinds of $aws/events messages are published; all off until UpdateEventConfigurations
// turns them on. One record for the account. Source: service model iot 2015-05-28 "EventConfigurations".
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/store.h"

namespace muster::registry {

struct EventConfigurations {
  std::map<std::string, bool> enabled;  // by AWS's name: "JOB", "JOB_EXECUTION", ...
  std::int64_t created_ms = 0;          // 0: never changed
  std::int64_t modified_ms = 0;
};

Result<EventConfigurations> event_configurations(store::Tx& tx);
// Merges; kInvalid for a kind that Muster does not publish being turned on.
Status update_event_configurations(store::Tx& tx, const std::map<std::string, bool>& change);
// Cheap enough for every transition: a non-conflicting read of one small record.
bool event_enabled(store::Tx& tx, std::string_view kind);

}  // namespace muster::registry
