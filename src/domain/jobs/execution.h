// SPDX-License-Identifier: Apache-2.0
// Execution: one run of one job on one thing, told apart by a number. The record, the one table of legal transitions
// for both planes, and its keys in the store. Values and pure functions, but for the find_ and erase_ calls. Source:
// AWS IoT developer guide "Job execution states", service model iot-jobs-data 2017-09-29. Bounds: ten status details.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "store/store.h"

namespace muster::jobs {

enum class ExecutionStatus : std::uint8_t {
  kQueued,
  kInProgress,
  kSucceeded,
  kFailed,
  kTimedOut,
  kRejected,
  kRemoved,
  kCanceled
};
inline constexpr ExecutionStatus kAllStatuses[] = {
    ExecutionStatus::kQueued,   ExecutionStatus::kInProgress, ExecutionStatus::kSucceeded, ExecutionStatus::kFailed,
    ExecutionStatus::kTimedOut, ExecutionStatus::kRejected,   ExecutionStatus::kRemoved,   ExecutionStatus::kCanceled};

std::string_view to_string(ExecutionStatus status);  // "IN_PROGRESS"
std::optional<ExecutionStatus> execution_status_from(std::string_view text);
constexpr bool is_terminal(ExecutionStatus s) {
  return s != ExecutionStatus::kQueued && s != ExecutionStatus::kInProgress;
}

// Who asks for a transition.
enum class Actor : std::uint8_t {
  kDevice,           // update, start-next
  kOperator,         // CancelJobExecution, CancelJob
  kOperatorByForce,  // the same with force=true
  kService,          // timeouts, removal
};
// The state machine (jobs spec 3.2), for both planes.
bool may_become(ExecutionStatus from, ExecutionStatus to, Actor actor);

// In order of arrival; keys unique.
using StatusDetails = std::vector<std::pair<std::string, std::string>>;
// A JSON object of strings within AWS's limits: 10 pairs, keys [a-zA-Z0-9:_-]{1,128}, values 1..1024 characters without
// control characters. kInvalid with AWS's wording.
Result<StatusDetails> parse_status_details(const json::value& value);

// Retries that led to an execution since the thing was (last) targeted, by what they retried.
struct RetriesUsed {
  std::int64_t failed = 0;
  std::int64_t timed_out = 0;
  std::int64_t all() const { return failed + timed_out; }
};

struct Execution {
  ExecutionStatus status = ExecutionStatus::kQueued;
  std::int64_t number = 1;
  std::int64_t version = 1;
  std::int64_t queued_ms = 0;
  std::int64_t started_ms = 0;  // 0: never started
  std::int64_t updated_ms = 0;
  StatusDetails details;
  bool force_canceled = false;
  std::int64_t deadline_ms = 0;       // in-progress timer; 0: none
  std::int64_t step_deadline_ms = 0;  // step timer; 0: none
  RetriesUsed retries;                // all() is AWS's retryAttempt
  std::int64_t priority = 0;          // of its job: among the thing's QUEUED ones, higher first
  std::string namespace_id;           // of its job; empty: none

  // The earlier of the two timers; 0: none.
  std::int64_t due_ms() const;
};

std::string encode(const Execution& execution);
Result<Execution> decode_execution(std::int64_t number, std::string_view record);

struct ExecutionId {
  std::string thing;
  std::string job;
  std::int64_t number = 1;
  bool operator==(const ExecutionId&) const = default;
};

// Keys of a job's listing by status (kJobStatusExecution) and of its counts (kJobCount).
std::string status_prefix(std::string_view job, ExecutionStatus status);
std::string status_key(const ExecutionId& id, ExecutionStatus status);
std::string count_key(std::string_view job, ExecutionStatus status);

// The execution of that number, or the one with the highest number; nullopt when there is none.
Result<std::optional<Execution>> find_execution(store::Tx& tx, std::string_view thing, std::string_view job,
                                                std::optional<std::int64_t> number = {});

// Everything a change of an execution means for the store but the pending list: record, listings, counters, timer.
// `before` is nullptr for a new execution. (The pump looks once a second; no timer of ours is due sooner.)
void put_execution(store::Tx& tx, const ExecutionId& id, const Execution* before, const Execution& after);
void erase_execution(store::Tx& tx, const ExecutionId& id, const Execution& before);

// Durable timer of an execution (store/timers.h): kind and id.
inline constexpr std::string_view kExecutionTimer = "job-execution";
std::string timer_id(const ExecutionId& id);
std::optional<ExecutionId> parse_timer_id(std::string_view text);

// DescribeJobExecution and errors: {"status", "versionNumber", "statusDetails" when there are any}.
json::object execution_state(const Execution& execution);

}  // namespace muster::jobs
