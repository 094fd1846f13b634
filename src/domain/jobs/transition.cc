// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/transition.h"

#include "domain/jobs/cancel.h"
#include "domain/jobs/events.h"
#include "domain/jobs/jobs.h"
#include "domain/jobs/membership.h"

namespace muster::jobs {

namespace {

Execution ended(const Execution& before, ExecutionStatus status, std::int64_t now_ms) {
  Execution after = before;
  after.status = status;
  after.updated_ms = now_ms;
  after.deadline_ms = after.step_deadline_ms = 0;
  return after;
}

Execution queued(const Job& job, std::int64_t number, std::int64_t now_ms) {
  Execution execution;
  execution.number = number;
  execution.queued_ms = execution.updated_ms = now_ms;
  execution.priority = job.controls.priority;
  execution.namespace_id = job.namespace_id;
  return execution;
}

// After FAILED or TIMED_OUT with attempts left the service queues the next one (spec 4.4).
Status retry_if_due(const Context& context, store::Tx& tx, PendingChange& pending, const Job& job,
                    const Execution& failed, Effects& effects) {
  if (!job.retry || !job.is_active() || job.stopped || schedule_at(job.schedule, tx.now_ms()).ended) return {};
  if (!retry_allowed(*job.retry, failed.status, failed.retries)) return {};
  // Who has left a continuous job's groups is not tried again.
  if (job.selection == Selection::kContinuous && !is_targeted(context, tx, job, pending.thing())) return {};
  Execution next = queued(job, failed.number + 1, tx.now_ms());
  next.retries = failed.retries;
  (failed.status == ExecutionStatus::kTimedOut ? next.retries.timed_out : next.retries.failed) += 1;
  return apply_transition(context, tx, pending, {job, next.number, nullptr, &next}, effects);
}

// In the transaction of each ending, so that a threshold met for a moment is met. Concurrent endings do not see each
// other's counts here; the engine looks again.
Result<bool> abort_if_due(const Context& context, store::Tx& tx, PendingChange& pending, const Job& job,
                          Effects& effects) {
  if (!job.abort || !job.is_active()) return false;
  const JobCounts counts = job_counts(tx, job.id);
  const auto met = abort_met(*job.abort, counts);
  if (!met) return false;
  TRY(auto aborted, abort_job(context, tx, job, *met, counts, effects));
  pending.know(std::move(aborted));
  return true;
}

}  // namespace

Status apply_transition(const Context& context, store::Tx& tx, PendingChange& pending, const Transition& change,
                        Effects& effects) {
  const ExecutionId id{pending.thing(), change.job.id, change.number};
  TRY_VOID(pending.apply(id.job, id.number, change.before, change.after));
  if (change.after == nullptr) {
    erase_execution(tx, id, *change.before);
    effects.touch(id.job);
  } else {
    put_execution(tx, id, change.before, *change.after);
  }
  if (change.before == nullptr) return {};
  const bool was_over = is_terminal(change.before->status);
  if (change.after == nullptr || (!was_over && is_terminal(change.after->status))) {
    announce_execution(context, tx, id, *change.before, change.after, effects);
  }
  if (change.after == nullptr || was_over || !is_terminal(change.after->status)) return {};
  effects.touch(id.job);
  TRY(const bool aborted, abort_if_due(context, tx, pending, change.job, effects));
  if (aborted) return {};
  return retry_if_due(context, tx, pending, change.job, *change.after, effects);
}

Status make_transition(const Context& context, store::Tx& tx, std::string_view thing, const Transition& change,
                       Effects& effects) {
  PendingChange pending(context, tx, thing);
  TRY_VOID(apply_transition(context, tx, pending, change, effects));
  return pending.finish(effects);
}

Status queue_execution(const Context& context, store::Tx& tx, PendingChange& pending, const Job& job,
                       std::int64_t number, Effects& effects) {
  const Execution execution = queued(job, number, tx.now_ms());
  return apply_transition(context, tx, pending, {job, number, nullptr, &execution}, effects);
}

Execution canceled(const Execution& before, bool force, std::int64_t now_ms) {
  Execution after = ended(before, ExecutionStatus::kCanceled, now_ms);
  after.version += 1;
  after.force_canceled = force;
  return after;
}

Execution removed(const Execution& before, std::int64_t now_ms) {
  return ended(before, ExecutionStatus::kRemoved, now_ms);
}

Execution timed_out(const Execution& before, std::int64_t now_ms) {
  Execution after = ended(before, ExecutionStatus::kTimedOut, now_ms);
  after.version += 1;
  return after;
}

}  // namespace muster::jobs
