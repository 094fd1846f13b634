// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace muster::jobs {

// For gtest's messages.
void PrintTo(Act act, std::ostream* out) {
  constexpr std::string_view kNames[] = {"wait", "start", "suspend", "roll out", "abort", "end", "complete"};
  *out << kNames[static_cast<std::size_t>(act)];
}
void PrintTo(Wait wait, std::ostream* out) {
  constexpr std::string_view kNames[] = {"nothing", "approval", "start time", "window",  "concurrency",
                                         "paused",  "hold",     "rate",       "devices", "members"};
  *out << kNames[static_cast<std::size_t>(wait)];
}

namespace {

using testing::HasSubstr;
using enum ExecutionStatus;

std::int64_t at(std::string_view text) {
  const auto time = parse_iso8601(text);
  EXPECT_TRUE(time) << text;
  return time.value_or(0);
}
const std::int64_t kNow = at("2026-11-25T12:00");
constexpr std::int64_t kHour = 3'600'000;

JobCounts counts(std::initializer_list<std::pair<ExecutionStatus, std::int64_t>> list) {
  JobCounts counts;
  for (const auto& [status, count] : list) counts.by_status[static_cast<std::size_t>(status)] = count;
  return counts;
}
Job job(JobStatus status = JobStatus::kInProgress, Selection selection = Selection::kSnapshot) {
  Job job;
  job.id = "j";
  job.status = status;
  job.selection = selection;
  return job;
}
Job rolled_out(Job job) {
  job.rolled_out = true;
  return job;
}
// Every day from 02:00 to 03:00, the next time in 14 hours.
Job nightly(Job job) {
  auto cron = Cron::parse("cron(0 2 * * ? *)");
  EXPECT_TRUE(cron);
  job.selection = Selection::kContinuous;
  job.schedule.windows.push_back({*cron, 60});
  return job;
}
const std::int64_t kOpening = at("2026-11-26T02:00"), kClosing = at("2026-11-26T03:00");
Job ending(Job job, std::int64_t end_ms, EndBehavior behavior = EndBehavior::kStopRollout) {
  job.schedule.end_ms = end_ms;
  job.schedule.end_behavior = behavior;
  return job;
}
Job gated(std::vector<Gate> gates, std::size_t continued = 0) {
  Job made = job();
  made.controls.gates = std::move(gates);
  made.controls.gates_continued = continued;
  return made;
}
Facts facts(std::int64_t notified, std::int64_t fleet, JobCounts executions = {}) {
  Facts facts;
  facts.rollout.notified = notified;
  facts.rollout.fleet = fleet;
  facts.counts = executions;
  return facts;
}

Act act(const Job& job, const Facts& f = {}, std::int64_t now = kNow) {
  return decide(job, f, now).act;
}
// What it waits for; kNothing, and a failure, when it does not wait.
Wait waits(const Job& job, const Facts& f = {}, std::int64_t now = kNow) {
  const auto decision = decide(job, f, now);
  EXPECT_EQ(decision.act, Act::kWait);
  return decision.act == Act::kWait ? decision.wait : Wait::kNothing;
}
std::int64_t wakes(const Job& job, const Facts& f = {}, std::int64_t now = kNow) {
  return decide(job, f, now).wake_ms;
}

TEST(JobCounts, executed_are_four_of_the_terminal_states) {
  const auto all = counts({{kQueued, 1},
                           {kInProgress, 2},
                           {kSucceeded, 4},
                           {kFailed, 8},
                           {kTimedOut, 16},
                           {kRejected, 32},
                           {kRemoved, 64},
                           {kCanceled, 128}});
  EXPECT_EQ(all.executed(), 4 + 8 + 16 + 32);
  EXPECT_EQ(all.pending(), 3);
  EXPECT_EQ(all.all(), 255);
}

TEST(AbortMet, needs_enough_executions_and_the_percentage) {
  const AbortConfig config{{{AbortFailure::kFailed, 20, 10}}};
  EXPECT_FALSE(abort_met(config, {}));
  EXPECT_FALSE(abort_met(config, counts({{kFailed, 9}})));
  EXPECT_TRUE(abort_met(config, counts({{kFailed, 2}, {kSucceeded, 8}})));
  EXPECT_FALSE(abort_met(config, counts({{kFailed, 2}, {kSucceeded, 9}})));
  EXPECT_FALSE(abort_met(config, counts({{kRejected, 5}, {kTimedOut, 5}})));
  // Neither what is pending nor what was canceled or removed was executed.
  EXPECT_FALSE(
      abort_met(config, counts({{kFailed, 5}, {kQueued, 50}, {kInProgress, 9}, {kCanceled, 9}, {kRemoved, 9}})));
  EXPECT_TRUE(abort_met(config, counts({{kFailed, 10}, {kQueued, 900}, {kCanceled, 900}})));
}

TEST(AbortMet, all_is_failed_rejected_and_timed_out) {
  const AbortConfig config{{{AbortFailure::kAll, 100, 3}}};
  EXPECT_TRUE(abort_met(config, counts({{kFailed, 1}, {kRejected, 1}, {kTimedOut, 1}})));
  EXPECT_FALSE(abort_met(config, counts({{kFailed, 1}, {kRejected, 1}, {kTimedOut, 1}, {kSucceeded, 1}})));
}

TEST(AbortMet, names_the_first_criterion_in_list_order) {
  const AbortConfig config{
      {{AbortFailure::kRejected, 1, 1}, {AbortFailure::kTimedOut, 50, 2}, {AbortFailure::kAll, 50, 2}}};
  EXPECT_EQ(abort_met(config, counts({{kTimedOut, 2}})), 1u);
  EXPECT_EQ(abort_met(config, counts({{kFailed, 2}})), 2u);
  EXPECT_EQ(abort_met(config, counts({{kRejected, 1}, {kTimedOut, 99}})), 0u);
}

TEST(AbortMet, the_very_percentage_is_enough_for_every_decimal) {
  // x hundredths of a percent of 10000 executions are x failures.
  for (std::int64_t hundredths = 1; hundredths <= 10000; ++hundredths) {
    const AbortConfig config{{{AbortFailure::kFailed, static_cast<double>(hundredths) / 100, 1}}};
    ASSERT_TRUE(abort_met(config, counts({{kFailed, hundredths}, {kSucceeded, 10000 - hundredths}}))) << hundredths;
    ASSERT_FALSE(abort_met(config, counts({{kFailed, hundredths - 1}, {kSucceeded, 10001 - hundredths}})))
        << hundredths;
  }
}

TEST(AbortComment, tells_the_figures) {
  EXPECT_EQ(abort_comment({AbortFailure::kTimedOut, 20, 10}, counts({{kTimedOut, 3}, {kSucceeded, 9}})),
            "Job canceled by its abort criteria: 3 of 12 executions are TIMED_OUT (25%); the threshold is 20% of at "
            "least 10.");
  EXPECT_THAT(abort_comment({AbortFailure::kAll, 33.33, 1}, counts({{kFailed, 1}, {kRejected, 1}, {kSucceeded, 1}})),
              HasSubstr("2 of 3 executions are FAILED, REJECTED or TIMED_OUT (66.67%); the threshold is 33.33%"));
  EXPECT_THAT(abort_comment({AbortFailure::kFailed, 5, 1}, {}), HasSubstr("0 of 0"));
}

TEST(Decide, what_has_ended_waits_for_nothing) {
  for (const auto status : {JobStatus::kCanceled, JobStatus::kCompleted, JobStatus::kDeletionInProgress}) {
    Job ended = ending(job(status), kNow - 1);
    ended.abort = AbortConfig{{{AbortFailure::kAll, 1, 1}}};
    EXPECT_EQ(waits(ended, facts(1, 1, counts({{kFailed, 1}}))), Wait::kNothing);
    EXPECT_EQ(wakes(ended), 0);
  }
}

TEST(Decide, without_a_configuration_all_goes_out_at_once) {
  const auto decision = decide(job(), {}, kNow);
  EXPECT_EQ(decision.act, Act::kRollOut);
  EXPECT_EQ(decision.count, SIZE_MAX);
  EXPECT_EQ(decision.rate, 0);
  EXPECT_EQ(decision.wake_ms, 0);
}

TEST(Decide, snapshot_completes_when_all_is_out_and_nothing_pends) {
  EXPECT_EQ(act(rolled_out(job())), Act::kComplete);  // nothing was targeted
  EXPECT_EQ(act(rolled_out(job()), facts(2, 2, counts({{kSucceeded, 1}, {kFailed, 1}}))), Act::kComplete);
  EXPECT_EQ(waits(rolled_out(job()), facts(2, 2, counts({{kSucceeded, 1}, {kQueued, 1}}))), Wait::kDevices);
  EXPECT_EQ(waits(rolled_out(job()), facts(2, 2, counts({{kInProgress, 1}}))), Wait::kDevices);
  EXPECT_EQ(act(job(), facts(2, 2, counts({{kSucceeded, 2}}))), Act::kRollOut);  // not known to be out
}

TEST(Decide, continuous_completes_after_its_end_only) {
  const Job open = rolled_out(job(JobStatus::kInProgress, Selection::kContinuous));
  EXPECT_EQ(waits(open), Wait::kMembers);
  EXPECT_EQ(wakes(open), 0);
  EXPECT_EQ(waits(open, facts(1, 1, counts({{kQueued, 1}}))), Wait::kDevices);
  EXPECT_EQ(wakes(ending(open, kNow + kHour)), kNow + kHour);
  EXPECT_EQ(act(ending(open, kNow)), Act::kComplete);
  EXPECT_EQ(waits(ending(open, kNow), facts(1, 1, counts({{kInProgress, 1}}))), Wait::kDevices);
}

TEST(Decide, end_of_the_schedule_comes_first) {
  for (const auto status : {JobStatus::kScheduled, JobStatus::kInProgress}) {
    for (const auto behavior : {EndBehavior::kStopRollout, EndBehavior::kCancel, EndBehavior::kForceCancel}) {
      Job ended = ending(job(status), kNow, behavior);
      ended.controls.approval = Approval::kRequired;
      ended.controls.paused = true;
      ended.abort = AbortConfig{{{AbortFailure::kAll, 1, 1}}};
      EXPECT_EQ(act(ended, facts(1, 9, counts({{kFailed, 1}}))), Act::kEnd);
      EXPECT_NE(act(ended, facts(1, 9, counts({{kFailed, 1}})), kNow - 1), Act::kEnd);
    }
  }
}

TEST(Decide, stop_rollout_ends_once_and_then_lets_finish) {
  const Job stopped = rolled_out(ending(job(), kNow));
  EXPECT_EQ(waits(stopped, facts(1, 9, counts({{kQueued, 1}}))), Wait::kDevices);
  EXPECT_EQ(act(stopped, facts(1, 9, counts({{kSucceeded, 1}}))), Act::kComplete);
  // The engine cancels for the other two: they leave IN_PROGRESS.
  EXPECT_EQ(act(rolled_out(ending(job(), kNow, EndBehavior::kCancel))), Act::kEnd);
  EXPECT_EQ(act(rolled_out(ending(job(), kNow, EndBehavior::kForceCancel))), Act::kEnd);
}

TEST(Decide, job_that_ended_between_windows_is_started_to_finish) {
  Job stopped = rolled_out(ending(nightly(job(JobStatus::kScheduled)), kNow));
  stopped.controls.approval = Approval::kRequired;
  Facts f = facts(1, 9, counts({{kQueued, 1}}));
  f.concurrency_full = true;
  EXPECT_EQ(act(stopped, f), Act::kStart);
  stopped.status = JobStatus::kInProgress;
  EXPECT_EQ(waits(stopped, f), Wait::kDevices);  // no window suspends it any more
  EXPECT_EQ(act(stopped, facts(1, 9, counts({{kSucceeded, 1}}))), Act::kComplete);
}

TEST(Decide, abort_comes_before_everything_but_the_end) {
  const auto failing = facts(2, 9, counts({{kFailed, 1}, {kSucceeded, 1}}));
  const AbortConfig config{{{AbortFailure::kRejected, 1, 1}, {AbortFailure::kFailed, 50, 2}}};
  std::vector<Job> jobs{job(),
                        rolled_out(job()),
                        nightly(job()),
                        nightly(job(JobStatus::kScheduled)),
                        rolled_out(ending(job(), kNow)),
                        gated({{1, std::nullopt}})};
  jobs.push_back(job());
  jobs.back().controls.paused = true;
  for (auto& one : jobs) {
    one.abort = config;
    const auto decision = decide(one, failing, kNow);
    EXPECT_EQ(decision.act, Act::kAbort);
    EXPECT_EQ(decision.criterion, 1u);
    EXPECT_NE(act(one, facts(2, 9, counts({{kFailed, 1}, {kSucceeded, 2}}))), Act::kAbort);
  }
}

TEST(Decide, scheduled_job_waits_for_approval_then_start_then_window_then_room) {
  Job scheduled = nightly(job(JobStatus::kScheduled));
  scheduled.schedule.start_ms = kNow + kHour;
  scheduled.controls.approval = Approval::kRequired;
  Facts f;
  f.concurrency_full = true;
  EXPECT_EQ(waits(scheduled, f), Wait::kApproval);
  EXPECT_EQ(wakes(scheduled, f), 0);
  EXPECT_EQ(wakes(ending(scheduled, kNow + 9 * kHour), f), kNow + 9 * kHour);
  scheduled.controls.approval = Approval::kApproved;
  EXPECT_EQ(waits(scheduled, f), Wait::kStartTime);
  EXPECT_EQ(wakes(scheduled, f), kNow + kHour);
  EXPECT_EQ(waits(scheduled, f, kNow + kHour), Wait::kWindow);
  EXPECT_EQ(wakes(scheduled, f, kNow + kHour), kOpening);
  EXPECT_EQ(waits(scheduled, f, kOpening), Wait::kConcurrency);
  EXPECT_EQ(wakes(scheduled, f, kOpening), kClosing);
  f.concurrency_full = false;
  EXPECT_EQ(act(scheduled, f, kOpening), Act::kStart);
  EXPECT_EQ(act(job(JobStatus::kScheduled)), Act::kStart);
}

TEST(Decide, what_is_rolled_out_needs_no_room_to_go_on) {
  Facts f;
  f.concurrency_full = true;
  EXPECT_EQ(act(rolled_out(nightly(job(JobStatus::kScheduled))), f, kOpening), Act::kStart);
  EXPECT_EQ(act(job(), f), Act::kRollOut);  // it has its place
}

TEST(Decide, closed_window_suspends) {
  EXPECT_EQ(act(nightly(job()), {}, kOpening), Act::kRollOut);
  EXPECT_EQ(act(nightly(job()), {}, kClosing - 1), Act::kRollOut);
  EXPECT_EQ(act(nightly(job()), {}, kClosing), Act::kSuspend);
  EXPECT_EQ(act(rolled_out(nightly(job())), {}, kClosing), Act::kSuspend);
  EXPECT_EQ(waits(rolled_out(nightly(job())), {}, kOpening), Wait::kMembers);
  EXPECT_EQ(wakes(rolled_out(nightly(job())), {}, kOpening), kClosing);
  Job paused = nightly(job());
  paused.controls.paused = true;
  EXPECT_EQ(act(paused, {}, kClosing), Act::kSuspend);
  // A start alone is no window: once begun, the job goes on.
  Job begun = job();
  begun.schedule.start_ms = kNow - kHour;
  EXPECT_EQ(act(begun), Act::kRollOut);
}

TEST(Decide, pause_stops_the_rollout_but_not_the_completion) {
  Job paused = job();
  paused.controls.paused = true;
  EXPECT_EQ(waits(paused), Wait::kPaused);
  EXPECT_EQ(wakes(paused), 0);
  EXPECT_EQ(wakes(ending(paused, kNow + kHour)), kNow + kHour);
  EXPECT_EQ(act(rolled_out(paused), facts(1, 1, counts({{kSucceeded, 1}}))), Act::kComplete);
  EXPECT_EQ(waits(rolled_out(paused), facts(1, 1, counts({{kInProgress, 1}}))), Wait::kDevices);
  EXPECT_EQ(waits(rolled_out(paused), facts(2, 2, counts({{kInProgress, 1}, {kQueued, 1}}))), Wait::kPaused);
  paused.status = JobStatus::kScheduled;
  EXPECT_EQ(act(paused), Act::kStart);
}

TEST(Decide, rate_bounds_the_rollout) {
  Job limited = job();
  limited.rollout = RolloutConfig{120, std::nullopt};
  Facts f;
  auto decision = decide(limited, f, kNow);
  EXPECT_EQ(decision.act, Act::kRollOut);
  EXPECT_EQ(decision.count, 2u);
  EXPECT_EQ(decision.rate, 120);
  EXPECT_EQ(decision.wake_ms, kNow + 1000);
  record_release(f.rollout.pace, 120, 2, kNow);
  EXPECT_EQ(waits(limited, f, kNow + 1), Wait::kRate);
  EXPECT_EQ(wakes(limited, f, kNow + 1), kNow + 1000);
  EXPECT_EQ(wakes(ending(limited, kNow + 300), f, kNow + 1), kNow + 300);  // what comes sooner
  EXPECT_EQ(act(limited, f, kNow + 1000), Act::kRollOut);
}

TEST(Decide, rate_follows_the_successes) {
  Job growing = job();
  growing.rollout = RolloutConfig{1000, ExponentialRate{60, 2, std::nullopt, 10}};
  EXPECT_EQ(decide(growing, facts(500, 900, counts({{kSucceeded, 9}})), kNow).rate, 60);
  const auto doubled = decide(growing, facts(500, 900, counts({{kSucceeded, 10}})), kNow);
  EXPECT_EQ(doubled.rate, 120);
  EXPECT_EQ(doubled.count, 2u);
  EXPECT_EQ(decide(rolled_out(growing), facts(500, 900, counts({{kQueued, 1}})), kNow).rate, 60);  // for `why`
}

TEST(Gates, hold_when_their_share_of_the_fleet_is_out) {
  const Job gates = gated({{5, std::nullopt}, {50, std::nullopt}});
  EXPECT_EQ(room_before_gate(gates, facts(0, 100)), 5);
  EXPECT_EQ(holding_gate(gates, facts(4, 100)), std::nullopt);
  EXPECT_EQ(decide(gates, facts(0, 100), kNow).count, 5u);
  EXPECT_EQ(decide(gates, facts(4, 100), kNow).count, 1u);
  const auto hold = decide(gates, facts(5, 100, counts({{kSucceeded, 5}})), kNow);
  EXPECT_EQ(hold.act, Act::kWait);
  EXPECT_EQ(hold.wait, Wait::kHold);
  EXPECT_EQ(hold.gate, 0u);
  EXPECT_EQ(hold.wake_ms, 0);
  EXPECT_EQ(holding_gate(gates, facts(5, 100)), 0u);
  EXPECT_EQ(room_before_gate(gates, facts(5, 100)), 5);
  EXPECT_EQ(room_before_gate(job(), facts(5, 100)), std::nullopt);
}

TEST(Gates, are_continued_by_hand_one_after_the_other) {
  const auto at_first = facts(5, 100, counts({{kQueued, 5}}));
  EXPECT_EQ(decide(gated({{5, std::nullopt}, {50, std::nullopt}}, 1), at_first, kNow).count, 45u);
  EXPECT_EQ(waits(gated({{5, std::nullopt}, {50, std::nullopt}}, 1), facts(50, 100)), Wait::kHold);
  EXPECT_EQ(holding_gate(gated({{5, std::nullopt}, {50, std::nullopt}}, 1), facts(50, 100)), 1u);
  const auto through = decide(gated({{5, std::nullopt}, {50, std::nullopt}}, 2), at_first, kNow);
  EXPECT_EQ(through.act, Act::kRollOut);
  EXPECT_EQ(through.count, SIZE_MAX);
}

TEST(Gates, open_by_themselves_when_the_stage_has_succeeded) {
  const Job gates = gated({{10, 95}, {50, std::nullopt}});
  const auto at = [](std::initializer_list<std::pair<ExecutionStatus, std::int64_t>> list) {
    return facts(20, 200, counts(list));
  };
  EXPECT_EQ(waits(gates, at({{kSucceeded, 19}, {kInProgress, 1}})), Wait::kHold);
  EXPECT_EQ(waits(gates, at({{kSucceeded, 19}, {kQueued, 1}})), Wait::kHold);
  EXPECT_EQ(decide(gates, at({{kSucceeded, 19}, {kFailed, 1}}), kNow).count, 80u);  // 95% exactly
  EXPECT_EQ(waits(gates, at({{kSucceeded, 18}, {kRejected, 2}})), Wait::kHold);
  EXPECT_EQ(act(gates, at({{kSucceeded, 1}, {kCanceled, 10}, {kRemoved, 9}})), Act::kRollOut);
  EXPECT_EQ(waits(gates, at({{kCanceled, 10}, {kRemoved, 10}})), Wait::kHold);  // nothing has been shown
  // A later failure does not close it behind the rollout.
  EXPECT_EQ(decide(gates, facts(21, 200, counts({{kFailed, 15}, {kQueued, 6}})), kNow).count, 79u);
}

TEST(Gates, of_the_same_size_are_each_asked) {
  const Job gates = gated({{1, 50}, {2, 90}, {3, std::nullopt}});  // one execution of 10 for all
  EXPECT_EQ(holding_gate(gates, facts(1, 10, counts({{kQueued, 1}}))), 0u);
  EXPECT_EQ(holding_gate(gates, facts(1, 10, counts({{kSucceeded, 1}}))), 2u);
  EXPECT_EQ(holding_gate(gates, facts(1, 10, counts({{kSucceeded, 1}, {kFailed, 1}}))), 1u);  // after a retry
}

TEST(Gates, are_rounded_up_to_whole_executions) {
  EXPECT_EQ(room_before_gate(gated({{0.01, std::nullopt}}), facts(0, 50)), 1);
  EXPECT_EQ(room_before_gate(gated({{33.33, std::nullopt}}), facts(0, 10)), 4);
  EXPECT_EQ(room_before_gate(gated({{0.07, std::nullopt}}), facts(0, 10'000)), 7);
  EXPECT_EQ(room_before_gate(gated({{99.99, std::nullopt}}), facts(0, 1'000'000)), 999'900);
}

TEST(Gates, with_nothing_behind_them_do_not_hold) {
  EXPECT_EQ(room_before_gate(gated({{50, std::nullopt}}), facts(0, 1)), std::nullopt);
  EXPECT_EQ(room_before_gate(gated({{50, std::nullopt}}), facts(0, 0)), std::nullopt);
  EXPECT_EQ(holding_gate(gated({{95, std::nullopt}}), facts(10, 10)), std::nullopt);
  EXPECT_EQ(act(gated({{95, std::nullopt}}), facts(10, 10)), Act::kRollOut);
}

TEST(Gates, let_one_execution_out_until_the_fleet_is_counted) {
  const Job gates = gated({{5, 50}, {50, std::nullopt}});
  EXPECT_EQ(decide(gates, facts(0, -1), kNow).count, 1u);
  EXPECT_EQ(waits(gates, facts(1, -1, counts({{kSucceeded, 1}}))), Wait::kHold);
  EXPECT_EQ(decide(gated({{5, std::nullopt}}, 1), facts(1, -1), kNow).count, SIZE_MAX);
}

TEST(Gates, that_the_rollout_has_passed_do_not_hold_it) {
  EXPECT_EQ(room_before_gate(gated({{5, std::nullopt}, {60, std::nullopt}}), facts(30, 100)), 60);
}

TEST(Gates, and_rate_bound_together) {
  Job both = gated({{5, std::nullopt}});
  both.rollout = RolloutConfig{600, std::nullopt};
  EXPECT_EQ(decide(both, facts(0, 1000), kNow).count, 10u);
  EXPECT_EQ(decide(both, facts(0, 100), kNow).count, 5u);
  EXPECT_EQ(waits(both, facts(5, 100)), Wait::kHold);  // rather than the rate
  EXPECT_EQ(decide(both, facts(5, 100), kNow).rate, 600);
}

// Follows decide() to the end, as an engine would: every job ends, in the order of its parts.
TEST(Decide, carried_out_step_by_step_a_job_completes) {
  Job course = gated({{10, 90}, {50, std::nullopt}});
  course.status = JobStatus::kScheduled;
  course.schedule.start_ms = kNow + kHour;
  course.rollout = RolloutConfig{600, std::nullopt};
  Facts f = facts(0, 100);
  std::int64_t now = kNow;
  std::vector<std::pair<std::int64_t, Wait>> waited;
  for (int step = 0; step < 200 && course.status != JobStatus::kCompleted; ++step) {
    const auto decision = decide(course, f, now);
    auto& by_status = f.counts.by_status;
    switch (decision.act) {
      case Act::kStart:
        course.status = JobStatus::kInProgress;
        break;
      case Act::kRollOut: {
        const auto count = std::min<std::int64_t>(static_cast<std::int64_t>(decision.count), 100 - f.rollout.notified);
        f.rollout.notified += count;
        by_status[static_cast<std::size_t>(kQueued)] += count;
        record_release(f.rollout.pace, decision.rate, count, now);
        course.rolled_out = f.rollout.notified == 100;
        break;
      }
      case Act::kComplete:
        course.status = JobStatus::kCompleted;
        break;
      case Act::kWait:
        if (waited.empty() || waited.back().second != decision.wait)
          waited.emplace_back(f.rollout.notified, decision.wait);
        if (decision.wake_ms != 0) {
          ASSERT_GT(decision.wake_ms, now);
          now = decision.wake_ms;
        } else if (f.counts.pending() != 0) {  // devices succeed
          by_status[static_cast<std::size_t>(kSucceeded)] += f.counts.pending();
          by_status[static_cast<std::size_t>(kQueued)] = 0;
        } else {
          course.controls.gates_continued = decision.gate + 1;
        }
        break;
      default:
        FAIL() << "unexpected act";
    }
  }
  EXPECT_EQ(course.status, JobStatus::kCompleted);
  EXPECT_THAT(waited, testing::ElementsAre(std::pair(0, Wait::kStartTime), std::pair(10, Wait::kHold),
                                           std::pair(10, Wait::kRate), std::pair(50, Wait::kHold),
                                           std::pair(50, Wait::kRate), std::pair(100, Wait::kDevices)));
}

}  // namespace
}  // namespace muster::jobs
