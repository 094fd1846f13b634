// SPDX-License-Identifier: Apache-2.0
// Reading the audit log, newest first: for LookupEvents and `muster audit list`. Reads the files, also while they are
// being written; blocks, so it belongs into the blocking pool. Bounds: max_bytes read a page; a page may so have fewer
// events than asked for, or none, and still go on. Lines that are no events are passed over: what reads here proves
// nothing (verify.h).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace muster::audit {

// All that are given must hold.
struct Filter {
  std::optional<std::int64_t> start_ms, end_ms;  // both inclusive
  std::string event_id, event_name, event_source, user_name, access_key_id, resource_name, resource_type,
      source_address;
  std::string error_code;
  std::optional<bool> read_only;
  bool only_errors = false;
};

bool matches(const Filter& filter, const json::object& event);

struct Found {
  std::uint64_t sequence = 0;
  std::string text;  // the record, JSON
  json::object event;
};
struct Page {
  std::vector<Found> events;
  std::optional<std::uint64_t> next;  // go on with `before`; absent: there is no more
};

struct SearchLimits {
  std::size_t max_events = 50;
  std::size_t max_bytes = std::size_t{64} << 20;
};
// Events with a number below `before`.
Result<Page> search(const std::string& directory, const Filter& filter, std::uint64_t before,
                    const SearchLimits& limits);
inline constexpr std::uint64_t kNewest = std::numeric_limits<std::uint64_t>::max();

}  // namespace muster::audit
