// SPDX-License-Identifier: Apache-2.0
// Plan: what the engine must do for a job next, and why it waits when it does: a pure function of the job, the counts
// of its executions, how far its rollout is, and the time. The engine carries it out, `why` puts it into words, the
// simulator checks it. Source: jobs spec 3.1, 4.1, 4.2, 4.5; controls.h.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "domain/jobs/job.h"

namespace muster::jobs {

// Executions by status.
struct JobCounts {
  std::array<std::int64_t, std::size(kAllStatuses)> by_status{};
  std::int64_t of(ExecutionStatus s) const { return by_status[static_cast<std::size_t>(s)]; }
  std::int64_t pending() const { return of(ExecutionStatus::kQueued) + of(ExecutionStatus::kInProgress); }
  // What the abort formula calls executed: SUCCEEDED, FAILED, REJECTED, TIMED_OUT.
  std::int64_t executed() const;
  std::int64_t all() const;
};

// ---- rate
// A release is what goes out at one moment. No span of 60 seconds [t, t + 60 s), whatever its phase, sees more than the
// rate of its end, also when the rate has just fallen. Within that a release is as small as can be: the minute has 60
// slots, each with its share of the rate (rounded up in sum, so 60 in a row make exactly the rate), and a slot takes a
// second at least. Slow rates have slots without a share, which cost their second and nothing else. What a slot does
// not use is not made up for later, and slots are counted from the release before: who is late is late once.
struct Release {
  std::int64_t at_ms = 0;
  std::int64_t count = 0;
};
struct Pace {
  std::int64_t slot = 0;        // the next slot
  std::vector<Release> recent;  // of the last minute, oldest first; at most 61
};
struct Allowance {
  std::int64_t count = 0;    // may be released now
  std::int64_t next_ms = 0;  // when count is 0 (or has been used): the first moment at which something may be released
};
Allowance allowance(std::int64_t rate_per_minute, const Pace& pace, std::int64_t now_ms);
// Calls within a second add to one release: a release may be made in several transactions.
void record_release(Pace& pace, std::int64_t rate_per_minute, std::int64_t count, std::int64_t now_ms);
// min(maximum, base * factor^k) in whole executions, k = multiples of the threshold reached (spec 4.1). `notified`:
// executions rolled out.
std::int64_t rate_at(const RolloutConfig& config, std::int64_t notified, std::int64_t succeeded);

// ---- abort
// The index of the first criterion that the counts meet (spec 4.2): each attempt of a retried execution counts.
std::optional<std::size_t> abort_met(const AbortConfig& config, const JobCounts& counts);
std::string abort_comment(const AbortCriterion& criterion, const JobCounts& counts);

// ---- the decision
// How far a rollout is; a record of its own, because a job's own record is read by every device call.
struct RolloutState {
  std::int64_t notified = 0;  // executions created for the creation-time population
  std::int64_t fleet =
      -1;  // things targeted when the rollout began (a thing in two targets counts twice); -1: not counted
  Pace pace;
};

struct Facts {
  JobCounts counts;
  RolloutState rollout;
  bool concurrency_full = false;  // so many jobs are rolling out that no other may start
};

enum class Act : std::uint8_t {
  kWait,     // for `wait`, at most until wake_ms
  kStart,    // SCHEDULED -> IN_PROGRESS
  kSuspend,  // IN_PROGRESS -> SCHEDULED: the window has closed
  kRollOut,  // create up to `count` executions
  kAbort,    // cancel as by CancelJob: criterion `criterion` is met
  kEnd,      // the end of the schedule: by its behaviour
  kComplete,
};
enum class Wait : std::uint8_t {
  kNothing,  // terminal
  kApproval,
  kStartTime,
  kWindow,
  kConcurrency,
  kPaused,
  kHold,  // gate `gate`
  kRate,
  kDevices,  // rolled out; executions are pending
  kMembers,  // continuous: whoever joins
};
struct Decision {
  Act act = Act::kWait;
  Wait wait = Wait::kNothing;
  std::size_t count = 0;
  std::size_t criterion = 0;
  std::size_t gate = 0;
  std::int64_t rate = 0;     // per minute; 0: unlimited
  std::int64_t wake_ms = 0;  // when to ask again at the latest; 0: only when something happens
};
// For jobs in SCHEDULED and IN_PROGRESS; anything else waits for nothing. The first that applies:
//   1. The schedule has ended: kEnd. With STOP_ROLLOUT only until rolled_out is set, which carrying kEnd out does; what
//      is queued may finish then, so windows, approval and concurrency count no more, a SCHEDULED job is started, and
//      it completes by 5.
//   2. An abort criterion is met: kAbort, also between windows and when the last execution has just ended.
//   3. SCHEDULED: what keeps it from starting, in the order in which one would clear it (approval, start, window, then
//      concurrency, of which a job that is rolled out needs none), else kStart. A paused job starts, and then waits.
//   4. All windows are closed: kSuspend. Only jobs with windows.
//   5. Rolled out: kComplete when nothing is pending, for CONTINUOUS once the schedule has ended, else it waits for
//      devices (for the pause, when that is what keeps QUEUED executions from them) or members.
//   6. Paused. 7. A gate holds. 8. The rate has nothing for now. Else kRollOut, `count` bounded by rate and next gate
//      (SIZE_MAX: neither); wake_ms is when the rate gives more.
Decision decide(const Job& job, const Facts& facts, std::int64_t now_ms);

// Gates. A gate stands at its percentage of the fleet, rounded up to whole executions, at least one. It holds while
// exactly so many are rolled out; a rollout that is further on has passed it. It opens by hand (gates_continued) or,
// where it has a success percentage, when no execution is pending and SUCCEEDED is so much of what was executed; when
// nothing was (all removed or canceled), nothing has been shown and it holds. A gate with nothing of the fleet behind
// it does not hold. Until the fleet is counted, one execution may exist and then the first gate holds.

// The gate that holds the rollout now, by index; nullopt: none.
std::optional<std::size_t> holding_gate(const Job& job, const Facts& facts);
// How many executions may have been rolled out in all (RolloutState::notified) when the next gate holds; that of the
// gate that holds now, when one does. nullopt: no gate is ahead.
std::optional<std::int64_t> room_before_gate(const Job& job, const Facts& facts);

}  // namespace muster::jobs
