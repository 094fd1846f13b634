// SPDX-License-Identifier: Apache-2.0
// Search: which documents of an index match a fleet query, and pages of them by name. Pure reads of an index that does
// not change meanwhile. Bounds: a query has 12 terms at most, each costs at worst a pass over the values of a field
// (a wildcard in front) or of all fields (and no field named).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/fleet/index.h"

namespace muster::fleet {

using registry::FleetQuery;

enum class DynamicMembership : std::uint8_t {
  kSeen,    // thingGroupNames has dynamic groups too; terms without a field look everywhere
  kUnseen,  // as the queries of dynamic groups see things: static groups; terms without a field: registry fields
};

DocSet search(const Index& index, const FleetQuery& query, DynamicMembership dynamic = DynamicMembership::kSeen);

// Whether a search has taken too long; asked every few thousand values. Such a search ends as kThrottled.
using IsLate = std::function<bool()>;
Result<DocSet> search_in_time(const Index& index, const FleetQuery& query, const IsLate& is_late,
                              DynamicMembership dynamic = DynamicMembership::kSeen);

struct NamePage {
  std::vector<std::string> names;
  bool more = false;
};
// The first `limit` after `after`, in the order of names (case folded). Stable: a name that stays keeps its place,
// whatever comes and goes.
NamePage page_of(const Index& index, const DocSet& found, std::string_view after, std::size_t limit);

std::vector<std::string> all_names(const Index& index, const DocSet& found);

}  // namespace muster::fleet
