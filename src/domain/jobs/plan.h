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
// Releases of the last minute: what a rate may not exceed in any 60 seconds, whatever their phase.
struct Release {
  std::int64_t at_ms = 0;
  std::int64_t count = 0;
};
struct Pace {
  std::int64_t slot = 0;        // releases made so far, one a second at most; gives each its share of the minute
  std::vector<Release> recent;  // oldest first; at most 61
};
struct Allowance {
  std::int64_t count = 0;    // may be released now
  std::int64_t next_ms = 0;  // when count is 0 (or has been used): the next moment worth asking
};
Allowance allowance(std::int64_t rate_per_minute, const Pace& pace, std::int64_t now_ms);
void record_release(Pace& pace, std::int64_t rate_per_minute, std::int64_t count, std::int64_t now_ms);
// min(maximum, base * factor^k), k = multiples of the threshold reached (spec 4.1). `notified`: executions rolled out.
std::int64_t rate_at(const RolloutConfig& config, std::int64_t notified, std::int64_t succeeded);

// ---- abort
// The index of the first criterion that the counts meet.
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
  std::int64_t wake_ms = 0;  // 0: only when something happens
};
// For jobs in SCHEDULED and IN_PROGRESS; anything else waits for nothing.
Decision decide(const Job& job, const Facts& facts, std::int64_t now_ms);

// The gate that holds the rollout now, by index; nullopt: none.
std::optional<std::size_t> holding_gate(const Job& job, const Facts& facts);
// How many executions may exist before the next gate; nullopt: no gate is ahead.
std::optional<std::int64_t> room_before_gate(const Job& job, const Facts& facts);

}  // namespace muster::jobs
