// SPDX-License-Identifier: Apache-2.0
// What an ending means: a retry, or the abort of the job (jobs spec 4.2, 4.4).
#include "domain/jobs/transition.h"

#include "domain/jobs/cancel.h"
#include "domain/jobs/fleet_fixture.h"

namespace muster::jobs {
namespace {

using enum ExecutionStatus;

constexpr std::int64_t kMinuteMs = 60'000;

class Endings : public testing::Test {
 protected:
  void SetUp() override {
    fleet.add_group("g");
    for (const char* name : {"a", "b", "c", "d"}) {
      fleet.add_thing(name);
      fleet.join("g", name);
    }
  }
  NewJob job_on_all() { return fleet.job_on("j", {fleet.group_arn("g")}); }
  void create(const NewJob& job) {
    const auto made = fleet.create(job);
    ASSERT_TRUE(made) << made.error().message;
    fleet.settle();
    (void)fleet.heard();
  }
  void report(const std::string& thing, const std::string& status) {
    const auto updated = fleet.update(thing, "j", status);
    ASSERT_TRUE(updated) << updated.error().message;
  }
  // "FAILED 1": status and number of the latest.
  std::string latest(const std::string& thing) {
    const auto execution = fleet.execution(thing, "j");
    if (!execution) return "none";
    return std::string(to_string(execution->status)) + " " + std::to_string(execution->number);
  }
  static RetryConfig retries(RetryFailure failure, std::int64_t count) { return {{{failure, count}}}; }
  static AbortConfig abort_at(AbortFailure failure, double percent, std::int64_t minimum) {
    return {{{failure, percent, minimum}}};
  }

  Fleet fleet;
};

TEST_F(Endings, failed_execution_is_tried_again_under_the_next_number_as_often_as_allowed) {
  NewJob job = job_on_all();
  job.retry = retries(RetryFailure::kFailed, 2);
  create(job);
  for (const std::int64_t attempt : {1, 2}) {
    report("a", "FAILED");
    const auto next = fleet.execution("a", "j");
    EXPECT_EQ(next->status, kQueued);
    EXPECT_EQ(next->number, attempt + 1);
    EXPECT_EQ(next->version, 1);
    EXPECT_EQ(next->retries.all(), attempt);
    EXPECT_EQ(fleet.heard_kinds(), "notify notify-next");
  }
  report("a", "FAILED");
  EXPECT_EQ(latest("a"), "FAILED 3");
  EXPECT_EQ(fleet.describe("j")->counts.of(kFailed), 3);
}

TEST_F(Endings, timeouts_and_failures_are_retried_on_accounts_of_their_own) {
  NewJob job = job_on_all();
  job.timeout_minutes = 1;
  job.retry = RetryConfig{{{RetryFailure::kFailed, 1}, {RetryFailure::kTimedOut, 1}}};
  create(job);
  const auto time_out = [&] {
    ASSERT_TRUE(fleet.start("a"));
    fleet.clock.advance_ms(kMinuteMs);
    fleet.fire_timers();
  };
  time_out();
  EXPECT_EQ(latest("a"), "QUEUED 2");
  report("a", "FAILED");
  EXPECT_EQ(latest("a"), "QUEUED 3");
  time_out();
  EXPECT_EQ(latest("a"), "TIMED_OUT 3");
}

TEST_F(Endings, what_is_rejected_succeeded_or_canceled_is_not_retried) {
  NewJob job = job_on_all();
  job.retry = retries(RetryFailure::kAll, 3);
  create(job);
  report("a", "REJECTED");
  report("b", "SUCCEEDED");
  ASSERT_TRUE(fleet.cancel_one({"c", "j", false, {}, {}}));
  EXPECT_EQ(latest("a"), "REJECTED 1");
  EXPECT_EQ(latest("b"), "SUCCEEDED 1");
  EXPECT_EQ(latest("c"), "CANCELED 1");
}

TEST_F(Endings, job_completes_only_when_the_last_attempt_has_ended) {
  NewJob job = fleet.job_on("j", {fleet.thing_arn("a")});
  job.retry = retries(RetryFailure::kAll, 1);
  create(job);
  report("a", "FAILED");
  fleet.settle();
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kInProgress);
  report("a", "FAILED");
  fleet.settle();
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kCompleted);
}

TEST_F(Endings, retries_set_to_zero_stop) {
  NewJob job = job_on_all();
  job.retry = retries(RetryFailure::kAll, 5);
  create(job);
  JobChange change;
  change.retry = retries(RetryFailure::kAll, 0);
  ASSERT_TRUE(
      fleet.run_status([&](store::Tx& tx, Effects& e) { return update_job(fleet.context, tx, "j", change, e); }));
  report("a", "FAILED");
  EXPECT_EQ(latest("a"), "FAILED 1");
}

TEST_F(Endings, canceled_job_retries_nothing_that_it_left_running) {
  NewJob job = job_on_all();
  job.retry = retries(RetryFailure::kAll, 5);
  create(job);
  ASSERT_TRUE(fleet.start("a"));
  ASSERT_TRUE(fleet.cancel("j"));
  fleet.settle();
  report("a", "FAILED");
  EXPECT_EQ(latest("a"), "FAILED 1");
}

TEST_F(Endings, thing_that_left_a_continuous_job_is_not_tried_again) {
  NewJob job = job_on_all();
  job.selection = Selection::kContinuous;
  job.retry = retries(RetryFailure::kAll, 5);
  create(job);
  ASSERT_TRUE(fleet.start("a"));
  fleet.leave("g", "a");
  report("a", "FAILED");
  EXPECT_EQ(latest("a"), "FAILED 1");
}

TEST_F(Endings, abort_cancels_what_is_queued_and_leaves_what_runs) {
  NewJob job = job_on_all();
  job.abort = abort_at(AbortFailure::kFailed, 50, 2);
  create(job);
  ASSERT_TRUE(fleet.start("c"));
  report("a", "FAILED");
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kInProgress) << "too few have been executed";
  report("b", "SUCCEEDED");
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kCanceled);
  fleet.settle();
  EXPECT_EQ(latest("c"), "IN_PROGRESS 1");
  EXPECT_EQ(latest("d"), "CANCELED 1");
  const auto described = fleet.describe("j");
  EXPECT_EQ(described->job->reason_code, kAbortReason);
  EXPECT_FALSE(described->job->comment.empty());
  EXPECT_FALSE(described->job->force_canceled);
  report("c", "SUCCEEDED");
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kCanceled);
}

TEST_F(Endings, each_failure_counts_for_its_own_criterion) {
  NewJob job = job_on_all();
  job.abort = abort_at(AbortFailure::kRejected, 25, 1);
  create(job);
  report("a", "FAILED");
  report("b", "FAILED");
  report("c", "SUCCEEDED");
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kInProgress);
  report("d", "REJECTED");
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kCanceled);
}

TEST_F(Endings, timeout_can_abort) {
  NewJob job = job_on_all();
  job.timeout_minutes = 1;
  job.abort = abort_at(AbortFailure::kTimedOut, 100, 1);
  create(job);
  ASSERT_TRUE(fleet.start("a"));
  fleet.clock.advance_ms(kMinuteMs);
  fleet.fire_timers();
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kCanceled);
}

TEST_F(Endings, the_failure_that_aborts_is_not_retried) {
  NewJob job = job_on_all();
  job.retry = retries(RetryFailure::kAll, 5);
  job.abort = abort_at(AbortFailure::kAll, 1, 1);
  create(job);
  report("a", "FAILED");
  fleet.settle();
  EXPECT_EQ(latest("a"), "FAILED 1");
}

TEST_F(Endings, deleted_executions_lower_what_was_executed) {
  NewJob job = job_on_all();
  job.abort = abort_at(AbortFailure::kFailed, 50, 2);
  create(job);
  report("a", "FAILED");
  ASSERT_TRUE(fleet.remove_one({"a", "j", 1}));
  report("b", "FAILED");
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kInProgress);
}

TEST_F(Endings, canceled_and_removed_ones_were_not_executed) {
  NewJob job = job_on_all();
  job.abort = abort_at(AbortFailure::kFailed, 1, 2);
  create(job);
  ASSERT_TRUE(fleet.cancel_one({"a", "j", false, {}, {}}));
  ASSERT_TRUE(fleet.run_status([&](store::Tx& tx, Effects& e) { return thing_deleted(fleet.context, tx, "b", e); }));
  report("c", "FAILED");
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kInProgress);
}

}  // namespace
}  // namespace muster::jobs
