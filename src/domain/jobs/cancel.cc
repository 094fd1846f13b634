// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/cancel.h"

#include "domain/jobs/events.h"
#include "domain/jobs/jobs.h"
#include "domain/jobs/rollout.h"
#include "store/timers.h"

namespace muster::jobs {

namespace {

// CANCELED at once; its executions follow.
std::shared_ptr<const Job> withdraw(const Context& context, store::Tx& tx, const Job& stored, Job job, bool force,
                                    Effects& effects) {
  job.withdrawn_unseen = stored.would_withdraw_unseen();
  job.status = JobStatus::kCanceled;
  job.force_canceled = job.force_canceled || force;
  job.sweep = job.force_canceled ? Sweep::kQueuedAndInProgress : Sweep::kQueued;
  job.announcing = false;
  job.updated_ms = tx.now_ms();
  put_job(context, tx, &stored, job);
  if (!stored.has_ended()) arm_retention(context, tx, job);
  announce_job(context, tx, job, JobEvent::kCancellationInProgress, effects);
  mark_active(tx, job.id);
  effects.touch(job.id);
  return std::make_shared<const Job>(std::move(job));
}

}  // namespace

Result<std::shared_ptr<const Job>> cancel_job(const Context& context, store::Tx& tx, std::string_view job_id,
                                              const Cancellation& request, Effects& effects) {
  TRY(const auto stored, get_job(context, tx, job_id));
  const bool again = stored->status == JobStatus::kCanceled;
  if (!again && !may_become(stored->status, JobStatus::kCanceled)) {
    return invalid("Job " + stored->id + " is in status " + std::string(to_string(stored->status)) +
                   " and cannot be canceled.");
  }
  if (again && !request.force) return stored;
  Job wanted = *stored;
  if (!request.comment.empty()) wanted.comment = request.comment;
  if (!request.reason_code.empty()) wanted.reason_code = request.reason_code;
  const auto job = withdraw(context, tx, *stored, std::move(wanted), request.force, effects);
  TRY(const Progress progress, sweep(context, tx, *job, {}, context.limits.immediate_executions, effects));
  if (!progress.finished) return job;
  return swept(context, tx, *job, effects);
}

std::shared_ptr<const Job> swept(const Context& context, store::Tx& tx, const Job& stored, Effects& effects) {
  Job job = stored;
  job.sweep = Sweep::kNone;
  put_job(context, tx, &stored, job);
  announce_job(context, tx, job, JobEvent::kCanceled, effects);
  mark_inactive(tx, job.id);
  return std::make_shared<const Job>(std::move(job));
}

Result<std::shared_ptr<const Job>> abort_job(const Context& context, store::Tx& tx, const Job& job,
                                             std::size_t criterion, const JobCounts& counts, Effects& effects) {
  if (!job.abort || criterion >= job.abort->criteria.size())
    return internal("job " + job.id + " has no such criterion");
  Job wanted = job;
  wanted.comment = abort_comment(job.abort->criteria[criterion], counts);
  wanted.reason_code = kAbortReason;
  return withdraw(context, tx, job, std::move(wanted), false, effects);
}

Result<std::shared_ptr<const Job>> end_job(const Context& context, store::Tx& tx, const Job& job, Effects& effects) {
  Job wanted = job;
  if (job.schedule.end_behavior != EndBehavior::kStopRollout) {
    wanted.comment = "The end time of the job's schedule has passed.";
    wanted.reason_code = kEndReason;
    const bool force = job.schedule.end_behavior == EndBehavior::kForceCancel;
    return withdraw(context, tx, job, std::move(wanted), force, effects);
  }
  if (wanted.status == JobStatus::kScheduled) {  // what is queued may finish: windows bind it no longer
    wanted.status = JobStatus::kInProgress;
    TRY_VOID(announce_again(tx, wanted));
  }
  wanted.stopped = wanted.rolled_out = true;
  wanted.updated_ms = tx.now_ms();
  put_job(context, tx, &job, wanted);
  return std::make_shared<const Job>(std::move(wanted));
}

Status delete_job(const Context& context, store::Tx& tx, std::string_view job_id, bool force, Effects& effects) {
  TRY(const auto stored, get_job(context, tx, job_id));
  if (!may_become(stored->status, JobStatus::kDeletionInProgress) || (!stored->has_ended() && !force)) {
    const std::string_view end = stored->has_ended() || force ? "." : " without force.";
    return make_error(ErrorKind::kInvalidStateTransition, "Job " + stored->id + " is in status " +
                                                              std::string(to_string(stored->status)) +
                                                              " and cannot be deleted" + std::string(end));
  }
  if (deleting_jobs(tx) >= static_cast<std::int64_t>(context.limits.max_deleting_jobs)) {
    return make_error(ErrorKind::kLimit, "The limit of " + std::to_string(context.limits.max_deleting_jobs) +
                                             " jobs in status DELETION_IN_PROGRESS has been reached.");
  }
  Job job = *stored;
  job.withdrawn_unseen = stored->would_withdraw_unseen();
  job.status = JobStatus::kDeletionInProgress;
  job.sweep = Sweep::kNone;
  job.announcing = false;
  job.updated_ms = tx.now_ms();
  put_job(context, tx, &*stored, job);
  announce_job(context, tx, job, JobEvent::kDeletionInProgress, effects);
  mark_active(tx, job.id);
  effects.touch(job.id);
  return {};
}

void arm_retention(const Context& context, store::Tx& tx, const Job& job) {
  if (context.limits.retention_days == 0) return;
  store::arm(tx, kRetentionTimer, job.id, tx.now_ms() + context.limits.retention_days * kDayMs);
}

Status retention_due(const Context& context, store::Tx& tx, std::string_view job_id, Effects& effects) {
  TRY(const auto job, find_job(context, tx, job_id));
  if (!job || !job->has_ended()) return {};
  const Status deleted = delete_job(context, tx, job_id, true, effects);
  if (deleted || deleted.error().kind != ErrorKind::kLimit) return deleted;
  constexpr std::int64_t kLaterMs = 60'000;  // others are being deleted
  store::arm(tx, kRetentionTimer, job_id, tx.now_ms() + kLaterMs);
  return {};
}

}  // namespace muster::jobs
