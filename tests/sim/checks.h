// SPDX-License-Identifier: Apache-2.0
// What must hold after every deed in the simulator's world, whoever did it. By the simulator's own rules, from records
// alone: nothing here asks the code under test what it thinks.
#pragma once

#include <cmath>

#include "observation.h"

namespace muster::jobs::sim {

class Checks {
 public:
  explicit Checks(World& world) : world_(world), before_(observe(world)) {}

  const Observation& last() const { return before_; }

  void after(const Deed& deed) {
    const Observation now = observe(world_);
    SCOPED_TRACE("after: " + deed.what + " " + deed.job + " " + deed.thing);
    check_recount(now);
    for (const auto& [id, e] : now.executions) check_execution(deed, now, id, e);
    for (const auto& [id, e] : before_.executions) check_lost(deed, now, id);
    for (const auto& [id, job] : now.jobs) check_job(deed, now, job);
    world_.forget_leavers();
    before_ = now;
  }

 private:
  using enum ExecutionStatus;

  // ---- every index, counter and timer against the records
  static void check_recount(const Observation& now) {
    std::set<std::string> by_thing, by_status, timers;
    std::set<std::pair<std::string, std::string>> pending;
    std::size_t listed = 0, expected = 0;
    for (const auto& [id, e] : now.executions) {
      const auto status_key = store::Key(store::table::kJobStatusExecution).text(id.job).text(to_string(e.status));
      by_status.insert(store::Key(status_key).text(id.thing).descending(id.number).str());
      if (e.due_ms() != 0) timers.insert(timer_id(id));
      if (is_terminal(e.status)) {
        const auto thing_key = store::Key(store::table::kThingExecution).text(id.thing).descending(e.queued_ms);
        by_thing.insert(store::Key(thing_key).text(id.job).descending(id.number).str());
        continue;
      }
      ++expected;
      EXPECT_TRUE(pending.emplace(id.thing, id.job).second) << id.thing << " runs " << id.job << " twice";
      const auto& list = now.lists.at(id.thing);
      EXPECT_EQ(std::ranges::count(list, entry_of(id.job, e)), e.status == kQueued ? 1 : count_started(list, id, e));
    }
    for (const auto& [thing, list] : now.lists) listed += list.size();
    EXPECT_EQ(listed, expected);
    EXPECT_EQ(now.timers, timers);
    const auto keys = [&](char tag) {
      const auto it = now.keys.find(tag);
      return it == now.keys.end() ? std::set<std::string>() : it->second;
    };
    EXPECT_EQ(keys(store::table::kThingExecution), by_thing);
    EXPECT_EQ(keys(store::table::kJobStatusExecution), by_status);
    for (const auto& [job, counts] : now.counts) EXPECT_EQ(counts.by_status, now.count(job).by_status) << job;
  }
  // An entry in progress has no priority any more.
  static std::ptrdiff_t count_started(const std::vector<PendingEntry>& list, const ExecutionId& id,
                                      const Execution& e) {
    PendingEntry bare = entry_of(id.job, e);
    const bool whole = std::ranges::count(list, bare) == 1;
    bare.priority = 0;
    EXPECT_TRUE(whole || std::ranges::count(list, bare) == 1) << id.thing << " " << id.job;
    return whole ? 1 : 0;
  }

  // ---- executions
  void check_execution(const Deed& deed, const Observation& now, const ExecutionId& id, const Execution& e) {
    const Execution* was = before_.find(id);
    const Job* job = now.job(id.job);
    ASSERT_NE(job, nullptr) << "execution of a job that is gone";
    if (was != nullptr && was->queued_ms == e.queued_ms && was->version <= e.version) {
      check_transition(deed, now, id, *was, e);
      return;
    }
    // New, or deleted and made again.
    EXPECT_TRUE(deed.done);
    EXPECT_EQ(e.status, kQueued);
    EXPECT_EQ(e.version, 1);
    EXPECT_EQ(e.queued_ms, now.now_ms);
    const auto story = world_.stories.find(id.job);
    ASSERT_NE(story, world_.stories.end());
    const Execution* tried = before_.find({id.thing, id.job, id.number - 1});
    const Execution* ended = now.find({id.thing, id.job, id.number - 1});
    const bool retry =
        tried != nullptr && ended != nullptr && !is_terminal(tried->status) && is_terminal(ended->status);
    if (retry) return check_retry(deed, *job, *ended, e);
    EXPECT_EQ(e.retries.all(), 0);
    if (deed.doer == Doer::kRegistry) return check_joiner(deed, *job, id);
    EXPECT_TRUE(deed.doer == Doer::kOperator || deed.doer == Doer::kEngine) << "by whom was it queued?";
    check_release(deed, now, *job, id, story->second);
  }

  void check_transition(const Deed& deed, const Observation& now, const ExecutionId& id, const Execution& was,
                        const Execution& e) {
    if (was.status == e.status && was.version == e.version) {
      EXPECT_EQ(was.deadline_ms, e.deadline_ms);
      return;
    }
    EXPECT_TRUE(deed.done);
    EXPECT_FALSE(is_terminal(was.status)) << "a terminal execution changed";
    const bool by_device = deed.doer == Doer::kDevice;
    const bool aborted = now.job(id.job)->reason_code == "ABORT_CRITERIA_MET";
    switch (e.status) {
      case kQueued:
        ADD_FAILURE() << "an execution went back to the queue";
        break;
      case kInProgress:
      case kSucceeded:
      case kFailed:
      case kRejected:
        EXPECT_TRUE(by_device);
        EXPECT_EQ(e.version, was.version + 1);
        break;
      case kTimedOut:
        EXPECT_EQ(deed.doer, Doer::kTimers);
        EXPECT_EQ(was.status, kInProgress);
        EXPECT_NE(was.due_ms(), 0);
        EXPECT_LE(was.due_ms(), now.now_ms);
        break;
      case kRemoved:
        EXPECT_EQ(deed.doer, Doer::kRegistry);
        EXPECT_EQ(e.version, was.version);
        if (was.status == kInProgress) EXPECT_FALSE(world_.exists(id.thing));
        break;
      case kCanceled:
        EXPECT_TRUE(deed.doer == Doer::kOperator || deed.doer == Doer::kEngine || aborted);
        if (was.status == kInProgress) EXPECT_TRUE(e.force_canceled);
        break;
    }
    if (is_terminal(e.status)) EXPECT_EQ(e.due_ms(), 0);
    if (e.status == kInProgress) check_deadline(id, was, e);
  }

  void check_deadline(const ExecutionId& id, const Execution& was, const Execution& e) {
    if (was.status == kInProgress) {
      EXPECT_EQ(e.deadline_ms, was.deadline_ms) << "progress moved the deadline";
      return;
    }
    const std::int64_t minutes = before_.job(id.job)->timeout_minutes;
    EXPECT_EQ(e.deadline_ms, minutes == 0 ? 0 : e.started_ms + minutes * kMinuteMs);
  }

  static void check_retry(const Deed& deed, const Job& job, const Execution& ended, const Execution& next) {
    ASSERT_TRUE(job.retry);
    EXPECT_TRUE(ended.status == kFailed || ended.status == kTimedOut);
    // Of several deadlines at once, a later one may have aborted the job.
    EXPECT_TRUE(job.is_active() || deed.doer == Doer::kTimers);
    const bool failed = ended.status == kFailed;
    EXPECT_EQ(next.retries.failed, ended.retries.failed + (failed ? 1 : 0));
    EXPECT_EQ(next.retries.timed_out, ended.retries.timed_out + (failed ? 0 : 1));
    std::int64_t allowed = 0, used = 0;
    for (const auto& criterion : job.retry->criteria) {
      if (criterion.failure == RetryFailure::kAll) {
        allowed = criterion.retries;
        used = next.retries.all();
      } else if ((criterion.failure == RetryFailure::kFailed) == failed) {
        allowed = criterion.retries;
        used = failed ? next.retries.failed : next.retries.timed_out;
      }
    }
    EXPECT_LE(used, allowed) << "one retry too many";
    EXPECT_GE(used, 1);
  }

  void check_joiner(const Deed& deed, const Job& job, const ExecutionId& id) {
    EXPECT_TRUE(deed.what.starts_with("join"));
    EXPECT_EQ(job.selection, Selection::kContinuous);
    EXPECT_TRUE(world_.is_targeted(job.targets, id.thing)) << "joined nothing that the job targets";
    EXPECT_EQ(id.number, before_.latest(id.thing, id.job).value_or(0) + 1);
    EXPECT_TRUE(job.schedule.end_ms == 0 || job.schedule.end_ms > world_.fleet.clock.now_ms());
  }

  // ---- the rollout
  void check_release(const Deed& deed, const Observation& now, const Job& job, const ExecutionId& id, Story& story) {
    const Job* was = before_.job(id.job);
    const bool known = was != nullptr && was->created_ms == job.created_ms;
    const Job& deciding = known && !deed.associated ? *was : job;
    if (deed.doer == Doer::kEngine) EXPECT_EQ(deciding.status, JobStatus::kInProgress) << "rolled out while it waits";
    EXPECT_FALSE(deciding.controls.paused) << "rolled out while paused";
    EXPECT_NE(job.controls.approval, Approval::kRequired) << "rolled out without approval";
    EXPECT_GE(now.now_ms, job.schedule.start_ms) << "rolled out before the start";
    EXPECT_TRUE(job.schedule.end_ms == 0 || now.now_ms < job.schedule.end_ms) << "rolled out after the end";
    EXPECT_TRUE(story.in_window(now.now_ms)) << "rolled out between windows";
    EXPECT_TRUE(world_.exists(id.thing));
    const bool due = story.snapshot ? story.members.contains(id.thing) : world_.is_targeted(job.targets, id.thing);
    EXPECT_TRUE(due) << id.thing << " is no target of " << id.job;
    const auto latest = before_.latest(id.thing, id.job);
    const auto* last = latest && known ? before_.find({id.thing, id.job, *latest}) : nullptr;
    if (last != nullptr) {
      // Only who was removed comes back.
      EXPECT_EQ(last->status, kRemoved) << "rolled out to a thing that has it";
      EXPECT_EQ(id.number, *latest + 1);
    } else {
      EXPECT_EQ(id.number, 1);
    }
    ++story.first_runs[id.thing];
    check_gates(job, id.job, story);
    story.releases.push_back(now.now_ms);
    check_rate(job, id.job, now.now_ms, story);
  }

  // With one more execution out, is a gate passed that nobody opened?
  void check_gates(const Job& job, const std::string& id, const Story& story) {
    const auto out = static_cast<std::int64_t>(story.releases.size());
    const JobCounts counts = before_.count(id);
    for (std::size_t i = job.controls.gates_continued; i < job.controls.gates.size(); ++i) {
      const Gate& gate = job.controls.gates[i];
      const auto exact = gate.percent * static_cast<double>(story.fleet) / 100;
      const auto at = std::max<std::int64_t>(static_cast<std::int64_t>(std::ceil(exact - 1e-9)), 1);
      if (out != at || at >= story.fleet) continue;
      ASSERT_TRUE(gate.success_percent) << "gate " << i << " of " << id << " was passed";
      EXPECT_EQ(counts.of(kQueued) + counts.of(kInProgress), 0);
      const std::int64_t executed =
          counts.of(kSucceeded) + counts.of(kFailed) + counts.of(kRejected) + counts.of(kTimedOut);
      ASSERT_GT(executed, 0) << "gate " << i << " of " << id << " was passed, and nothing has run";
      EXPECT_GE(100.0 * static_cast<double>(counts.of(kSucceeded)) + 1e-9,
                *gate.success_percent * static_cast<double>(executed));
    }
  }

  // Not more in the minute that ends now than the rate of now.
  void check_rate(const Job& job, const std::string& id, std::int64_t now_ms, const Story& story) {
    if (!job.rollout) return;
    std::int64_t rate = job.rollout->maximum_per_minute;
    if (const auto& exponential = job.rollout->exponential) {
      const auto out = static_cast<std::int64_t>(story.releases.size());
      const std::int64_t reached = exponential->notified_things
                                       ? out / *exponential->notified_things
                                       : before_.count(id).of(kSucceeded) / *exponential->succeeded_things;
      double grown = static_cast<double>(exponential->base_per_minute);
      for (std::int64_t i = 0; i < reached && grown < 1000; ++i) grown *= exponential->increment_factor;
      rate = std::min(rate, static_cast<std::int64_t>(grown + 1e-6));
    }
    EXPECT_LE(story.released_since(now_ms - kMinuteMs), rate) << id << " is faster than it may be";
  }

  // ---- nothing is lost
  void check_lost(const Deed& deed, const Observation& now, const ExecutionId& id) {
    if (now.find(id) != nullptr || deed.deleted.contains(id)) return;
    const Job *was = before_.job(id.job), *is = now.job(id.job);
    const bool going = (was != nullptr && was->status == JobStatus::kDeletionInProgress) || is == nullptr ||
                       is->status == JobStatus::kDeletionInProgress || is->created_ms != was->created_ms;
    EXPECT_TRUE(going) << "lost: " << id.thing << " " << id.job << " " << id.number;
  }

  // ---- jobs
  void check_job(const Deed& deed, const Observation& now, const Job& job) {
    const Job* was = before_.job(job.id);
    Story& story = world_.stories.at(job.id);
    const JobCounts counts = now.count(job.id);
    if (was == nullptr || was->created_ms != job.created_ms) {
      EXPECT_EQ(deed.what, "create");
    } else if (was->status != job.status) {
      EXPECT_TRUE(deed.done);
      check_job_transition(deed, *was, job, now.now_ms, story);
    }
    if (job.has_ended() && story.ended_ms == 0) story.ended_ms = now.now_ms;
    if (job.status != JobStatus::kCompleted) return;
    EXPECT_EQ(counts.of(kQueued) + counts.of(kInProgress), 0) << job.id << " completed too early";
    if (job.selection != Selection::kSnapshot || job.stopped || story.tampered) return;
    if (was != nullptr && was->status == job.status) return;
    for (const auto& [thing, target] : story.first_members) {
      EXPECT_EQ(story.first_runs[thing], 1) << job.id << " completed without " << thing << ", or twice with it";
    }
  }

  void check_job_transition(const Deed& deed, const Job& was, const Job& job, std::int64_t now_ms, Story& story) {
    using enum JobStatus;
    const bool due = job.schedule.end_ms != 0 && job.schedule.end_ms <= now_ms;
    switch (job.status) {
      case kScheduled:
        EXPECT_EQ(was.status, kInProgress);
        EXPECT_FALSE(story.windows.empty());
        EXPECT_FALSE(story.in_window(now_ms)) << "suspended in a window";
        break;
      case kInProgress:
        EXPECT_EQ(was.status, kScheduled);
        EXPECT_TRUE(due || (job.schedule.start_ms <= now_ms && story.in_window(now_ms))) << "started too early";
        EXPECT_TRUE(due || job.controls.approval != Approval::kRequired) << "started without approval";
        break;
      case kCanceled:
        EXPECT_TRUE(was.status == kScheduled || was.status == kInProgress);
        if (job.reason_code == "ABORT_CRITERIA_MET") {
          EXPECT_TRUE(job.abort);
        } else if (job.reason_code == "SCHEDULE_ENDED") {
          EXPECT_TRUE(due);
        } else {
          EXPECT_EQ(deed.what, "cancel");
        }
        break;
      case kCompleted:
        EXPECT_EQ(was.status, kInProgress);
        EXPECT_TRUE(job.selection == Selection::kSnapshot || due) << "a continuous job ends only by its schedule";
        break;
      case kDeletionInProgress:
        if (deed.what == "delete job") break;
        EXPECT_EQ(deed.doer, Doer::kTimers);
        EXPECT_GE(now_ms, story.ended_ms + World::limits().retention_days * kDayMs) << "deleted too early";
    }
  }

  World& world_;
  Observation before_;
};

}  // namespace muster::jobs::sim
