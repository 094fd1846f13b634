// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/executions.h"

#include <algorithm>

#include "domain/jobs/documents.h"
#include "domain/jobs/transition.h"
#include "store/timers.h"

namespace muster::jobs {

namespace {

constexpr std::size_t kMaxPendingListed = 250;
constexpr std::size_t kMaxPendingRead = 10'000;  // in search of those that are offered
constexpr std::int64_t kMaxStepMinutes = 10080, kNoStepTimeout = -1;
constexpr std::int64_t kMinuteMs = 60'000;

Error execution_not_found(std::string_view thing, std::string_view job_id) {
  return not_found("Job execution for job " + std::string(job_id) + " and thing " + std::string(thing) +
                   " cannot be found.");
}

Error with_state(ErrorKind kind, std::string message, const Execution& execution) {
  Error error = make_error(kind, std::move(message));
  error.fields["executionState"] = execution_state(execution);
  return error;
}

Status check_step_timeout(const std::optional<std::int64_t>& minutes) {
  if (!minutes || *minutes == kNoStepTimeout || (*minutes >= 1 && *minutes <= kMaxStepMinutes)) return {};
  return invalid("Value '" + std::to_string(*minutes) +
                 "' at 'stepTimeoutInMinutes' failed to satisfy constraint: Member must be between 1 and 10080, or -1");
}

void set_step_timer(Execution& execution, const std::optional<std::int64_t>& minutes, std::int64_t now_ms) {
  if (minutes) execution.step_deadline_ms = *minutes == kNoStepTimeout ? 0 : now_ms + *minutes * kMinuteMs;
}

// The device moves an execution on: the one place where both start-next and update change a record.
Execution moved(const Job& job, const Execution& before, ExecutionStatus to,
                const std::optional<StatusDetails>& details, const std::optional<std::int64_t>& step_timeout,
                std::int64_t now_ms) {
  Execution after = before;
  after.status = to;
  after.version += 1;
  after.updated_ms = now_ms;
  if (details) after.details = *details;
  if (before.status == ExecutionStatus::kQueued) {
    after.started_ms = now_ms;
    if (job.timeout_minutes != 0) after.deadline_ms = now_ms + job.timeout_minutes * kMinuteMs;
  }
  if (is_terminal(to)) {
    after.deadline_ms = after.step_deadline_ms = 0;
  } else {
    set_step_timer(after, step_timeout, now_ms);
  }
  return after;
}

struct Head {
  PendingEntry entry;
  std::shared_ptr<const Job> job;
};

Result<std::optional<Head>> find_head(PendingChange& pending, std::string_view namespace_id) {
  TRY_VOID(pending.know_first());
  // Reading the job settles what it offers: another entry may be the head then.
  while (true) {
    TRY(auto entry, pending.head(namespace_id));
    if (!entry) return std::optional<Head>();
    TRY(auto job, pending.job(entry->job));
    if (job && is_offered(*job, entry->status)) return std::optional(Head{*std::move(entry), std::move(job)});
  }
}

Result<Execution> get_execution(store::Tx& tx, std::string_view thing, std::string_view job_id,
                                std::optional<std::int64_t> number) {
  TRY(auto execution, find_execution(tx, thing, job_id, number));
  if (!execution) return execution_not_found(thing, job_id);
  return *std::move(execution);
}

// A job in deletion is gone for devices; one of a namespace is met by its topics too, and no other namespace's.
bool is_reachable(const Job* job, std::string_view namespace_id) {
  if (job == nullptr || job->status == JobStatus::kDeletionInProgress) return false;
  return namespace_id.empty() || job->namespace_id == namespace_id;
}

// What is not on offer may be reported as done, but no longer begun.
Status check_start(const Job& job, const Execution& before, ExecutionStatus to) {
  if (before.status != ExecutionStatus::kQueued || to != ExecutionStatus::kInProgress || job.offers()) return {};
  return with_state(ErrorKind::kInvalidStateTransition,
                    "Job " + job.id +
                        (job.controls.paused ? " is paused: no execution can be started."
                                             : " is outside its maintenance windows: no execution can be started."),
                    before);
}

Result<ExecutionStatus> parse_device_status(const Execution& current, std::string_view text) {
  const auto status = execution_status_from(text);
  if (!status) {
    return invalid("1 validation error detected: Value '" + std::string(text.substr(0, 128)) +
                   "' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [CANCELED, "
                   "TIMED_OUT, IN_PROGRESS, QUEUED, FAILED, SUCCEEDED, REJECTED, REMOVED]");
  }
  if (may_become(current.status, *status, Actor::kDevice)) return *status;
  if (is_terminal(current.status)) {
    return with_state(ErrorKind::kInvalidStateTransition,
                      "Job execution status " + std::string(to_string(current.status)) +
                          " is terminal and cannot be changed to " + std::string(text) + ".",
                      current);
  }
  return with_state(ErrorKind::kInvalidStateTransition,
                    "The status of a job execution cannot be changed to " + std::string(text) + ".", current);
}

Status check_version(const Execution& execution, const std::optional<std::int64_t>& expected) {
  if (!expected || *expected == execution.version) return {};
  return with_state(
      ErrorKind::kVersionConflict,
      "Expected version " + std::to_string(*expected) + " but found version " + std::to_string(execution.version) + ".",
      execution);
}

}  // namespace

DeviceExecution device_view(std::string_view thing, std::string_view job, const Execution& execution,
                            std::int64_t now_ms) {
  DeviceExecution view;
  view.thing = thing;
  view.job = job;
  view.execution = execution;
  if (const auto due = execution.due_ms(); due != 0) {
    view.seconds_to_timeout = std::max<std::int64_t>(0, (due - now_ms) / 1000);
  }
  return view;
}

Result<PendingLists> get_pending(const Context& context, store::Tx& tx, std::string_view thing) {
  TRY(const auto entries, read_pending(tx, thing, kMaxPendingRead));
  PendingChange pending(context, tx, thing);
  PendingLists lists;
  for (const auto& entry : entries) {
    if (lists.in_progress.size() + lists.queued.size() == kMaxPendingListed) break;
    TRY(const auto job, pending.job(entry.job));
    if (!job || !entry.namespace_id.empty() || !is_offered(*job, entry.status)) continue;
    (entry.status == ExecutionStatus::kInProgress ? lists.in_progress : lists.queued).push_back(entry);
  }
  return lists;
}

Result<std::optional<DeviceExecution>> start_next(const Context& context, store::Tx& tx, const StartNext& request,
                                                  Effects& effects) {
  TRY_VOID(check_step_timeout(request.step_timeout_minutes));
  PendingChange pending(context, tx, request.thing);
  TRY(const auto head, find_head(pending, {}));
  if (!head) return std::optional<DeviceExecution>();
  const std::string& job_id = head->entry.job;
  Execution before;
  if (is_whole(head->entry)) {
    before = execution_of(head->entry);
  } else {
    TRY(before, get_execution(tx, request.thing, job_id, head->entry.number));
  }
  Execution after = before;
  if (before.status == ExecutionStatus::kQueued) {
    after = moved(*head->job, before, ExecutionStatus::kInProgress, request.details, request.step_timeout_minutes,
                  tx.now_ms());
  } else {
    // Handed out again: only the step timer is the device's to set.
    set_step_timer(after, request.step_timeout_minutes, tx.now_ms());
  }
  if (before.status == ExecutionStatus::kQueued || request.step_timeout_minutes) {
    const Transition change{*head->job, before.number, &before, &after};
    TRY_VOID(apply_transition(context, tx, pending, change, effects));
    TRY_VOID(pending.finish(effects));
  }
  DeviceExecution view = device_view(request.thing, job_id, after, tx.now_ms());
  TRY(view.document, deliver_document(context, tx, *head->job, request.thing, head->entry.number));
  return std::optional(std::move(view));
}

Result<std::optional<DeviceExecution>> describe_for_device(const Context& context, store::Tx& tx,
                                                           const Describe& request) {
  std::shared_ptr<const Job> job;
  std::string job_id = request.job;
  std::optional<std::int64_t> number = request.number;
  if (request.job == kNext) {
    PendingChange pending(context, tx, request.thing);
    TRY(const auto head, find_head(pending, request.namespace_id));
    if (!head || (number && *number != head->entry.number)) return std::optional<DeviceExecution>();
    job = head->job;
    job_id = head->entry.job;
    number = head->entry.number;
  } else {
    TRY(job, find_job(context, tx, job_id));
    if (!is_reachable(job.get(), request.namespace_id)) return execution_not_found(request.thing, job_id);
  }
  TRY(const Execution execution, get_execution(tx, request.thing, job_id, number));
  if (is_terminal(execution.status)) {
    return with_state(ErrorKind::kTerminalState,
                      "Job execution is in terminal state " + std::string(to_string(execution.status)) + ".",
                      execution);
  }
  DeviceExecution view = device_view(request.thing, job_id, execution, tx.now_ms());
  if (request.include_document) {
    TRY(view.document, deliver_document(context, tx, *job, request.thing, execution.number));
  }
  return std::optional(std::move(view));
}

Result<Updated> update_execution(const Context& context, store::Tx& tx, const Update& request, Effects& effects) {
  TRY_VOID(check_step_timeout(request.step_timeout_minutes));
  if (request.job == kNext) return invalid("$next cannot be used to update a job execution: name its job.");
  PendingChange pending(context, tx, request.thing);
  TRY(const auto job, pending.job(request.job));
  if (!is_reachable(job.get(), request.namespace_id)) return execution_not_found(request.thing, request.job);
  // A pending execution is the latest one of its job: no search for it.
  const auto number = request.number ? request.number : pending.number_of(request.job);
  TRY(const Execution before, get_execution(tx, request.thing, request.job, number));
  if (is_withdrawn(*job, before.status)) {
    return with_state(ErrorKind::kInvalidStateTransition, "Job " + job->id + " has been canceled.",
                      canceled(before, job->force_canceled, tx.now_ms()));
  }
  TRY(const auto to, parse_device_status(before, request.status));
  TRY_VOID(check_version(before, request.expected_version));
  TRY_VOID(check_start(*job, before, to));
  const Execution after = moved(*job, before, to, request.details, request.step_timeout_minutes, tx.now_ms());
  TRY_VOID(apply_transition(context, tx, pending, {*job, before.number, &before, &after}, effects));
  TRY_VOID(pending.finish(effects));
  Updated updated;
  if (request.include_state) updated.state = after;
  if (request.include_document) {
    TRY(updated.document, deliver_document(context, tx, *job, request.thing, after.number));
  }
  return updated;
}

Result<ExecutionRow> describe_execution(const Context& context, store::Tx& tx, std::string_view thing,
                                        std::string_view job_id, std::optional<std::int64_t> number) {
  TRY(const auto job, find_job(context, tx, job_id));
  if (!job) return execution_not_found(thing, job_id);
  TRY(Execution execution, get_execution(tx, thing, job_id, number));
  return ExecutionRow{std::string(thing), std::string(job_id), std::move(execution)};
}

Status cancel_execution(const Context& context, store::Tx& tx, const ExecutionCancellation& request, Effects& effects) {
  TRY(const auto job, find_job(context, tx, request.job));
  if (!job || job->status == JobStatus::kDeletionInProgress) return execution_not_found(request.thing, request.job);
  TRY(const Execution before, get_execution(tx, request.thing, request.job, {}));
  TRY_VOID(check_version(before, request.expected_version));
  const Actor actor = request.force ? Actor::kOperatorByForce : Actor::kOperator;
  if (!may_become(before.status, ExecutionStatus::kCanceled, actor)) {
    return make_error(ErrorKind::kInvalidStateTransition,
                      "A job execution in status " + std::string(to_string(before.status)) + " cannot be canceled" +
                          (is_terminal(before.status) ? "." : " without force."));
  }
  Execution after = canceled(before, request.force, tx.now_ms());
  if (request.details) after.details = *request.details;
  return make_transition(context, tx, request.thing, {*job, before.number, &before, &after}, effects);
}

Status delete_execution(const Context& context, store::Tx& tx, const ExecutionId& id, bool force, Effects& effects) {
  TRY(const auto job, find_job(context, tx, id.job));
  if (!job || job->status == JobStatus::kDeletionInProgress) return execution_not_found(id.thing, id.job);
  TRY(const Execution before, get_execution(tx, id.thing, id.job, id.number));
  if (before.status == ExecutionStatus::kInProgress && !force) {
    return make_error(ErrorKind::kInvalidStateTransition,
                      "A job execution in status IN_PROGRESS cannot be deleted without force.");
  }
  return make_transition(context, tx, id.thing, {*job, id.number, &before, nullptr}, effects);
}

Status thing_deleted(const Context& context, store::Tx& tx, std::string_view thing, Effects& effects) {
  // One announcement for all: the device hears that nothing is left.
  PendingChange pending(context, tx, thing);
  while (true) {
    TRY(const auto entries, read_pending(tx, thing, kMaxPendingListed));
    if (entries.empty()) break;
    for (const auto& entry : entries) {
      TRY(const Execution before, get_execution(tx, thing, entry.job, entry.number));
      TRY(const auto job, pending.job(entry.job));
      if (!job) return internal("pending list of thing " + std::string(thing) + " names a job that is not there");
      const Execution after = removed(before, tx.now_ms());
      TRY_VOID(apply_transition(context, tx, pending, {*job, before.number, &before, &after}, effects));
    }
    TRY_VOID(pending.save());
  }
  return pending.finish(effects);
}

Status execution_timer_due(const Context& context, store::Tx& tx, std::string_view timer, Effects& effects) {
  const auto id = parse_timer_id(timer);
  if (!id) return internal("malformed timer of a job execution");
  TRY(const auto before, find_execution(tx, id->thing, id->job, id->number));
  if (!before || before->due_ms() == 0) return {};
  if (before->due_ms() > tx.now_ms()) {  // moved since: the timer of its new deadline must stay
    store::rearm(tx, kExecutionTimer, timer, {0, before->due_ms()});
    return {};
  }
  TRY(const auto job, find_job(context, tx, id->job));
  if (!job) return internal("a timer names an execution whose job is not there");
  const Execution after = timed_out(*before, tx.now_ms());
  return make_transition(context, tx, id->thing, {*job, before->number, &*before, &after}, effects);
}

}  // namespace muster::jobs
