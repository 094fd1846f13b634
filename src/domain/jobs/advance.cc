// SPDX-License-Identifier: Apache-2.0
// advance_job(): one bounded transaction of the engine's work on a job.
#include <algorithm>

#include "domain/jobs/cancel.h"
#include "domain/jobs/engine.h"
#include "domain/jobs/events.h"
#include "domain/jobs/jobs.h"
#include "domain/jobs/rollout.h"

namespace muster::jobs {

namespace {

constexpr std::int64_t kConcurrencyWaitMs = 5'000;  // until a job that waits for others to roll out looks again

Step gone() {
  Step step;
  step.advance = Advance::kGone;
  return step;
}
Step more(std::size_t executions = 0, std::string position = {}) {
  Step step;
  step.advance = Advance::kMore;
  step.executions = executions;
  step.position = std::move(position);
  return step;
}
Step idle(std::int64_t wake_ms) {
  Step step;
  step.wake_ms = wake_ms;
  return step;
}
std::int64_t earlier(std::int64_t a, std::int64_t b) {
  if (a == 0 || b == 0) return std::max(a, b);
  return std::min(a, b);
}

Facts facts_of(const Context& context, store::Tx& tx, const Job& job, const RolloutState& rollout) {
  Facts facts;
  facts.counts = job_counts(tx, job.id);
  facts.rollout = rollout;
  facts.concurrency_full = concurrent_jobs(tx) >= context.limits.max_concurrent_jobs;
  return facts;
}

Result<Step> purge_job(const Context& context, store::Tx& tx, const Job& job, std::string_view position,
                       std::size_t batch, Effects& effects) {
  TRY(Progress progress, purge(context, tx, job, position, batch, effects));
  if (progress.finished) return gone();
  return more(progress.executions, std::move(progress.position));
}

Result<Step> sweep_job(const Context& context, store::Tx& tx, const Job& job, std::string_view position,
                       std::size_t batch, Effects& effects) {
  TRY(Progress progress, sweep(context, tx, job, position, batch, effects));
  if (!progress.finished) return more(progress.executions, std::move(progress.position));
  swept(context, tx, job, effects);
  return gone();
}

// One job of work at a time: each transaction reads and writes the job's progress once.
class ActiveJob {
 public:
  ActiveJob(const Context& context, store::Tx& tx, const Job& job, std::size_t batch, Effects& effects)
      : context_(context), tx_(tx), job_(job), batch_(batch), effects_(effects) {}

  Result<Step> advance() {
    TRY(progress_, read_progress(tx_, job_.id));
    if (job_.announcing) return announce();
    TRY(const auto expired, expire());
    if (expired) return *expired;
    const Facts facts = facts_now();
    const Decision decision = decide(job_, facts, tx_.now_ms());
    switch (decision.act) {
      case Act::kWait:
        return idle(wake_after(decision));
      case Act::kStart:
        return start();
      case Act::kSuspend:
        return suspend();
      case Act::kRollOut:
        return roll(decision);
      case Act::kAbort:
        TRY_VOID(abort_job(context_, tx_, job_, decision.criterion, facts.counts, effects_));
        return more();
      case Act::kEnd:
        TRY_VOID(end_job(context_, tx_, job_, effects_));
        return more();
      case Act::kComplete:
        return complete(decision);
    }
    return internal("no such act");
  }

 private:
  // The fleet is counted once, when the rollout begins: gates are shares of it.
  Facts facts_now() {
    if (progress_.rollout.fleet < 0 && !job_.controls.gates.empty()) {
      progress_.rollout.fleet = fleet_size(context_, tx_, job_.targets);
      put_progress(tx_, job_.id, progress_);
    }
    return facts_of(context_, tx_, job_, progress_.rollout);
  }

  std::int64_t wake_after(const Decision& decision) const {
    std::int64_t wake = earlier(decision.wake_ms, progress_.expire_ms);
    if (decision.wait == Wait::kConcurrency) wake = earlier(wake, tx_.now_ms() + kConcurrencyWaitMs);
    return wake;
  }

  Result<Step> announce() {
    TRY(const Progress done, announce_offers(context_, tx_, job_, progress_, batch_, effects_));
    put_progress(tx_, job_.id, progress_);
    if (done.finished) {
      Job job = job_;
      job.announcing = false;
      put_job(context_, tx_, &job_, job);
    }
    return more(done.executions);
  }

  // Once a day from the day on which the first could be due.
  Result<std::optional<Step>> expire() {
    const std::int64_t days = context_.limits.queued_days;
    if (days == 0 || job_.started_ms == 0) return std::optional<Step>();
    const std::int64_t now_ms = tx_.now_ms();
    if (progress_.expire_ms == 0) progress_.expire_ms = job_.started_ms + days * kDayMs;
    if (now_ms < progress_.expire_ms) return std::optional<Step>();
    TRY(const Progress done,
        expire_queued(context_, tx_, job_, progress_, now_ms - days * kDayMs + 1, batch_, effects_));
    if (done.finished) progress_.expire_ms = now_ms + kDayMs;
    put_progress(tx_, job_.id, progress_);
    return std::optional(more(done.executions));
  }

  Result<Step> start() {
    Job job = job_;
    job.status = JobStatus::kInProgress;
    job.updated_ms = tx_.now_ms();
    if (job.started_ms == 0) job.started_ms = job.updated_ms;
    TRY_VOID(announce_again(tx_, job));
    put_job(context_, tx_, &job_, job);
    return more();
  }

  Result<Step> suspend() {
    Job job = job_;
    job.status = JobStatus::kScheduled;
    job.updated_ms = tx_.now_ms();
    TRY_VOID(announce_again(tx_, job));
    put_job(context_, tx_, &job_, job);
    return more();
  }

  Result<Step> roll(const Decision& decision) {
    TRY(const Progress done, roll_out(context_, tx_, job_, {batch_, decision.count}, effects_));
    RolloutState& rollout = progress_.rollout;
    const auto created = static_cast<std::int64_t>(done.executions);
    rollout.notified += created;
    // Also without rate and gates: UpdateJob may bring the one, a tag the other, while it rolls out.
    const std::int64_t rate = decision.rate != 0 ? decision.rate : kMaxRatePerMinute;
    record_release(rollout.pace, rate, created, tx_.now_ms());
    if (!done.finished || job_.selection == Selection::kContinuous) put_progress(tx_, job_.id, progress_);
    if (done.finished) {
      Job job = job_;
      job.rolled_out = true;
      put_job(context_, tx_, &job_, job);
    }
    return more(done.executions);
  }

  Result<Step> complete(const Decision& decision) {
    // The decision was made by counts, which are snapshots; the ranges conflict with whoever adds an execution.
    if (!all_terminal(tx_, job_.id)) return idle(wake_after(decision));
    Job job = job_;
    job.status = JobStatus::kCompleted;
    job.completed_ms = job.updated_ms = tx_.now_ms();
    put_job(context_, tx_, &job_, job);
    arm_retention(context_, tx_, job);
    announce_job(context_, tx_, job, JobEvent::kCompleted, effects_);
    mark_inactive(tx_, job.id);
    return gone();
  }

  const Context& context_;
  store::Tx& tx_;
  const Job& job_;
  const std::size_t batch_;
  Effects& effects_;
  JobProgress progress_;
};

}  // namespace

Result<Facts> read_facts(const Context& context, store::Tx& tx, const Job& job) {
  TRY(const JobProgress progress, read_progress(tx, job.id));
  Facts facts = facts_of(context, tx, job, progress.rollout);
  if (facts.rollout.fleet < 0) facts.rollout.fleet = fleet_size(context, tx, job.targets);
  return facts;
}

Result<Step> advance_job(const Context& context, store::Tx& tx, std::string_view job_id, std::string_view position,
                         std::size_t batch, Effects& effects) {
  TRY(const auto stored, find_job(context, tx, job_id));
  if (!stored) {
    mark_inactive(tx, job_id);
    return gone();
  }
  if (stored->status == JobStatus::kDeletionInProgress) {
    return purge_job(context, tx, *stored, position, batch, effects);
  }
  if (stored->sweep != Sweep::kNone) return sweep_job(context, tx, *stored, position, batch, effects);
  if (stored->has_ended()) {
    mark_inactive(tx, job_id);
    return gone();
  }
  return ActiveJob(context, tx, *stored, batch, effects).advance();
}

}  // namespace muster::jobs
