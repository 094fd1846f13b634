// SPDX-License-Identifier: Apache-2.0
// Controls: what operators miss in AWS, asked for by reserved tags on a job, so that every AWS client can use it, or by
// Muster's admin API, which writes the same tags. Values and pure functions; docs/jobs.md shows each with a command.
//
//   muster:approval = required    the job stays SCHEDULED, nothing is queued, until the tag becomes "approved"
//   muster:pause    = true        a rollout stops: nothing more is rolled out and what is queued is not offered;
//   executions
//                                 in progress go on; removing the tag (or "false") resumes
//   muster:hold     = STAGES      canary gates in rising order, separated by spaces: "5", "1:95 10:99.5 50". Each is a
//                                 percentage of the fleet, and the rollout holds when so much of it is queued until
//                                 somebody continues or, where ":SUCCESS" is given, all of the stage has ended and
//                                 at least that percentage succeeded
//   muster:continue = N           gates 1 to N are passed by hand ("all": every gate)
//   muster:priority = -99..99     among a thing's QUEUED executions; higher first; 0 as AWS; fixed at creation
//   muster:dry-run  = true        CreateJob checks everything and creates nothing; description tells the plan
//
// Any other key that begins with "muster:", in whatever case, is refused, and so is any other value: a guard that was
// misspelt must not look like one. Percentages have at most two decimals; every value keeps to what AWS's tag values
// may hold (letters, digits, spaces and _.:/=+-@).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace muster::jobs {

inline constexpr std::string_view kReservedTagPrefix = "muster:";
inline constexpr std::string_view kApprovalTag = "muster:approval", kPauseTag = "muster:pause",
                                  kHoldTag = "muster:hold", kContinueTag = "muster:continue",
                                  kPriorityTag = "muster:priority", kDryRunTag = "muster:dry-run";

enum class Approval : std::uint8_t { kNotNeeded, kRequired, kApproved };

struct Gate {
  double percent = 0;                     // of the fleet, > 0 and < 100
  std::optional<double> success_percent;  // opens by itself at it; else only by hand
  bool operator==(const Gate&) const = default;
};

struct Controls {
  Approval approval = Approval::kNotNeeded;
  bool paused = false;
  std::vector<Gate> gates;          // percent rising; at most 10
  std::size_t gates_continued = 0;  // passed by hand; at most gates.size()
  std::int64_t priority = 0;
  bool dry_run = false;  // CreateJob only; never stored
  bool operator==(const Controls&) const = default;
};

// From a job's tags; others are not looked at. kInvalid names the tag, its value and what is allowed.
Result<Controls> controls_from_tags(const std::map<std::string, std::string>& tags);
// What TagResource and UntagResource may change later: not the priority, not dry-run, no approval demanded of a job
// that has started. Gates passed by hand stay as they are once it has started (all gates may go together): a gate
// before them would hold what is out already. kInvalid otherwise.
Status check_controls_change(const Controls& before, const Controls& after, bool started);

json::object to_json(const Controls& controls);  // empty: all defaults
Controls controls_from_json(const json::object& record);

}  // namespace muster::jobs
