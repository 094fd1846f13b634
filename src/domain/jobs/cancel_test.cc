// SPDX-License-Identifier: Apache-2.0
// The ends of a job before its time: by its schedule, by age, and what devices hear of them.
#include "domain/jobs/cancel.h"

#include "base/text.h"
#include "domain/jobs/fleet_fixture.h"

namespace muster::jobs {
namespace {

using enum ExecutionStatus;

constexpr std::int64_t kMinuteMs = 60'000;

Limits short_memory() {
  Limits limits = Fleet::plain();
  limits.retention_days = 30;
  limits.max_deleting_jobs = 1;
  return limits;
}

class ScheduleEnd : public testing::Test {
 protected:
  void SetUp() override {
    fleet.add_group("g");
    for (const char* name : {"queued", "running"}) {
      fleet.add_thing(name);
      fleet.join("g", name);
    }
  }
  void create(EndBehavior behavior, Selection selection = Selection::kSnapshot) {
    NewJob job = fleet.job_on("j", {fleet.group_arn("g")});
    job.selection = selection;
    job.schedule.end_ms = fleet.clock.now_ms() + 30 * kMinuteMs;
    job.schedule.end_text = to_iso8601(job.schedule.end_ms);
    job.schedule.end_behavior = behavior;
    ASSERT_TRUE(fleet.create(job));
    fleet.settle();
    ASSERT_TRUE(fleet.start("running"));
  }
  void pass_the_end() {
    fleet.clock.advance_ms(30 * kMinuteMs);
    EXPECT_LE(fleet.engine->next_wake_ms(), fleet.clock.now_ms()) << "the engine would sleep through it";
    fleet.settle();
  }
  ExecutionStatus status(const std::string& thing) { return fleet.execution(thing, "j")->status; }

  Fleet fleet;
};

TEST_F(ScheduleEnd, stop_rollout_lets_everything_finish) {
  create(EndBehavior::kStopRollout);
  pass_the_end();
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kInProgress);
  EXPECT_EQ(status("queued"), kQueued);
  ASSERT_TRUE(fleet.update("queued", "j", "SUCCEEDED"));
  ASSERT_TRUE(fleet.update("running", "j", "SUCCEEDED"));
  fleet.settle();
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kCompleted);
}

TEST_F(ScheduleEnd, cancel_cancels_what_is_queued) {
  create(EndBehavior::kCancel);
  pass_the_end();
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kCanceled);
  EXPECT_EQ(status("queued"), kCanceled);
  EXPECT_EQ(status("running"), kInProgress);
  EXPECT_EQ(fleet.describe("j")->job->reason_code, kEndReason);
}

TEST_F(ScheduleEnd, force_cancel_cancels_what_runs_too) {
  create(EndBehavior::kForceCancel);
  pass_the_end();
  EXPECT_EQ(status("queued"), kCanceled);
  EXPECT_EQ(status("running"), kCanceled);
  EXPECT_TRUE(fleet.describe("j")->job->force_canceled);
}

TEST_F(ScheduleEnd, continuous_job_completes_after_its_end_when_all_has_ended) {
  create(EndBehavior::kStopRollout, Selection::kContinuous);
  for (const char* thing : {"queued", "running"}) ASSERT_TRUE(fleet.update(thing, "j", "SUCCEEDED"));
  fleet.settle();
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kInProgress);
  pass_the_end();
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kCompleted);
}

TEST_F(ScheduleEnd, nobody_joins_and_no_target_is_added_after_it) {
  create(EndBehavior::kStopRollout, Selection::kContinuous);
  fleet.add_group("h");
  fleet.add_thing("late");
  pass_the_end();
  fleet.join("g", "late");
  EXPECT_FALSE(fleet.execution("late", "j"));
  const auto added = fleet.run([&](store::Tx& tx, Effects& effects) {
    return associate_targets(fleet.context, tx, {"j", {fleet.group_arn("h")}, ""}, effects);
  });
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().kind, ErrorKind::kInvalid);
}

class Retention : public testing::Test {
 protected:
  void SetUp() override { fleet.add_thing("d"); }
  void pass_days(std::int64_t days) {
    fleet.clock.advance_ms(days * kDayMs);
    fleet.fire_timers();
    fleet.settle();
  }

  Fleet fleet{short_memory()};
};

TEST_F(Retention, ended_job_is_deleted_with_its_executions_when_its_days_are_over) {
  fleet.must_create_on_thing("completed", "d");
  ASSERT_TRUE(fleet.update("d", "completed", "SUCCEEDED"));
  fleet.settle();
  fleet.must_create_on_thing("active", "d");
  pass_days(29);
  EXPECT_TRUE(fleet.describe("completed"));
  pass_days(1);
  EXPECT_FALSE(fleet.describe("completed"));
  EXPECT_FALSE(fleet.execution("d", "completed"));
  EXPECT_TRUE(fleet.describe("active"));
}

TEST_F(Retention, jobs_that_end_together_are_deleted_one_after_the_other) {
  for (const char* job : {"j1", "j2", "j3"}) {
    fleet.must_create_on_thing(job, "d");
    ASSERT_TRUE(fleet.cancel(job));
  }
  fleet.settle();
  pass_days(30);
  for (int minute = 0; minute < 2; ++minute) {
    fleet.clock.advance_ms(kMinuteMs);
    fleet.fire_timers();
    fleet.settle();
  }
  for (const char* job : {"j1", "j2", "j3"}) EXPECT_FALSE(fleet.describe(job)) << job;
}

TEST_F(Retention, canceling_again_does_not_keep_a_job) {
  fleet.must_create_on_thing("j", "d");
  ASSERT_TRUE(fleet.cancel("j"));
  pass_days(20);
  ASSERT_TRUE(fleet.cancel("j", true));
  pass_days(10);
  EXPECT_FALSE(fleet.describe("j"));
}

TEST(CancelOfWhatIsNotOffered, is_silent) {
  Fleet fleet;
  fleet.add_thing("d");
  NewJob job = fleet.job_on("j", {fleet.thing_arn("d")});
  ASSERT_TRUE(fleet.create(job));
  const auto tag = [&](std::map<std::string, std::string> tags) {
    ASSERT_TRUE(fleet.run_status(
        [&](store::Tx& tx, Effects& effects) { return change_controls(fleet.context, tx, "j", tags, effects); }));
  };
  tag({{"muster:pause", "true"}});
  fleet.settle();
  (void)fleet.heard();
  ASSERT_TRUE(fleet.cancel("j"));
  fleet.settle();
  EXPECT_EQ(fleet.execution("d", "j")->status, kCanceled);
  EXPECT_EQ(fleet.heard_kinds(), "");
}

TEST(CancelOfWhatIsNotOffered, is_told_when_the_pause_had_not_been_told_yet) {
  for (const bool deleted : {false, true}) {
    Fleet fleet;
    fleet.add_thing("d");
    fleet.must_create_on_thing("j", "d");
    (void)fleet.heard();
    // Nobody has told the device of the pause when the job ends.
    ASSERT_TRUE(fleet.run_status([&](store::Tx& tx, Effects& effects) {
      return change_controls(fleet.context, tx, "j", {{"muster:pause", "true"}}, effects);
    }));
    ASSERT_TRUE(deleted ? fleet.remove("j", true) : fleet.cancel("j"));
    fleet.settle();
    EXPECT_EQ(fleet.heard_kinds(), "notify notify-next");
  }
}

}  // namespace
}  // namespace muster::jobs
