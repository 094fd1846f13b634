// SPDX-License-Identifier: Apache-2.0
// Executions, both sides: what devices do over MQTT and HTTPS (get pending, start next, describe, update) and what
// operators do (describe, list, cancel, delete), plus what the service does (time out, remove with the thing).
// Synchronous functions of a transaction; every change goes through one state machine (execution.h) and announces
// itself to the device (pending.h). Source: service model iot-jobs-data 2017-09-29, jobs spec 1.5, 1.7, 2.4, 2.5,
// 3.2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/jobs/context.h"
#include "domain/jobs/execution.h"
#include "domain/jobs/jobs.h"
#include "domain/jobs/pending.h"
#include "store/store.h"

namespace muster::jobs {

inline constexpr std::string_view kNext = "$next";

// An execution as a device sees it.
struct DeviceExecution {
  std::string thing;
  std::string job;
  Execution execution;
  std::optional<std::string> document;  // JSON text, URLs signed
  std::optional<std::int64_t> seconds_to_timeout;
};

// Without its document.
DeviceExecution device_view(std::string_view thing, std::string_view job, const Execution& execution,
                            std::int64_t now_ms);

// ---- devices
struct PendingLists {
  std::vector<PendingEntry> in_progress, queued;
};
// What is offered, without namespaces.
Result<PendingLists> get_pending(const Context& context, store::Tx& tx, std::string_view thing);

// Of executions without a namespace; those of a namespace have topics of their own and are met by Describe and Update.
struct StartNext {
  std::string thing;
  std::optional<StatusDetails> details;
  std::optional<std::int64_t> step_timeout_minutes;  // 1..10080, or -1
};
// nullopt: nothing is pending.
Result<std::optional<DeviceExecution>> start_next(const Context& context, store::Tx& tx, const StartNext& request,
                                                  Effects& effects);

struct Describe {
  std::string thing;
  std::string job;  // or kNext
  std::optional<std::int64_t> number;
  bool include_document = true;
  std::string namespace_id;  // kNext: of this namespace; otherwise the job must be in it. Empty: any job, kNext without
};
// nullopt only for kNext with nothing pending. kNotFound, kTerminalState.
Result<std::optional<DeviceExecution>> describe_for_device(const Context& context, store::Tx& tx,
                                                           const Describe& request);

struct Update {
  std::string thing;
  std::string job;
  std::string status;  // as the device spelt it
  std::optional<StatusDetails> details;
  std::optional<std::int64_t> expected_version;
  std::optional<std::int64_t> number;
  bool include_state = false;
  bool include_document = false;
  std::optional<std::int64_t> step_timeout_minutes;
  std::string namespace_id;  // the job must be in it; empty: any
};
struct Updated {
  std::optional<Execution> state;       // when asked for
  std::optional<std::string> document;  // when asked for
};
// kInvalid, kNotFound, kVersionConflict and kInvalidStateTransition (both with fields.executionState).
Result<Updated> update_execution(const Context& context, store::Tx& tx, const Update& request, Effects& effects);

// ---- operators
struct ExecutionRow {
  std::string thing;
  std::string job;
  Execution execution;
};
Result<ExecutionRow> describe_execution(const Context& context, store::Tx& tx, std::string_view thing,
                                        std::string_view job_id, std::optional<std::int64_t> number);

struct ExecutionFilter {
  std::optional<ExecutionStatus> status;
  std::string job;           // list_for_thing only; empty: any
  std::string namespace_id;  // list_for_thing only; empty: any
  std::size_t max_results = 250;
  std::string next_token;
};
// By thing name, then newest number first.
Result<Page<ExecutionRow>> list_executions_of_job(const Context& context, store::Tx& tx, std::string_view job_id,
                                                  const ExecutionFilter& filter);
// Newest first.
Result<Page<ExecutionRow>> list_executions_of_thing(const Context& context, store::Tx& tx, std::string_view thing,
                                                    const ExecutionFilter& filter);

struct ExecutionCancellation {
  std::string thing;
  std::string job;
  bool force = false;
  std::optional<std::int64_t> expected_version;
  std::optional<StatusDetails> details;
};
Status cancel_execution(const Context& context, store::Tx& tx, const ExecutionCancellation& request, Effects& effects);
Status delete_execution(const Context& context, store::Tx& tx, const ExecutionId& id, bool force, Effects& effects);

// ---- the service
// The registry calls it in the transaction that deletes the thing: what is pending becomes REMOVED.
Status thing_deleted(const Context& context, store::Tx& tx, std::string_view thing, Effects& effects);
// Handler of kExecutionTimer: TIMED_OUT when the deadline has passed, nothing when the timer is stale.
Status execution_timer_due(const Context& context, store::Tx& tx, std::string_view id, Effects& effects);

}  // namespace muster::jobs
