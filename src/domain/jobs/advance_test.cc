// SPDX-License-Identifier: Apache-2.0
// Jobs over time: schedules, maintenance windows, controls, the limit of concurrent jobs, and what nobody ever starts.
#include "base/text.h"
#include "domain/jobs/fleet_fixture.h"

namespace muster::jobs {
namespace {

using enum ExecutionStatus;

constexpr std::int64_t kMinuteMs = 60'000, kHourMs = 3'600'000;

class OverTime : public testing::Test {
 protected:
  void SetUp() override {
    fleet.add_group("g");
    for (int i = 0; i < 4; ++i) {
      fleet.add_thing(thing(i));
      fleet.join("g", thing(i));
    }
  }
  static std::string thing(int i) { return "d" + std::to_string(i); }
  NewJob job_on_all(const std::string& id = "j") { return fleet.job_on(id, {fleet.group_arn("g")}); }
  NewJob job_on_one(const std::string& id) { return fleet.job_on(id, {fleet.thing_arn(thing(0))}); }
  void create(const NewJob& job) {
    const auto made = fleet.create(job);
    ASSERT_TRUE(made) << made.error().message;
    fleet.settle();
  }
  void tag(const std::string& job, const std::map<std::string, std::string>& tags) {
    const auto status = fleet.run_status(
        [&](store::Tx& tx, Effects& effects) { return change_controls(fleet.context, tx, job, tags, effects); });
    ASSERT_TRUE(status) << status.error().message;
    fleet.settle();
  }
  // The engine wakes by itself, and not later.
  void pass(std::int64_t ms) {
    const std::int64_t until = fleet.clock.now_ms() + ms;
    while (true) {
      fleet.settle();
      const std::int64_t wake = fleet.engine->next_wake_ms();
      if (wake == 0 || wake > until) break;
      fleet.clock.advance_ms(wake - fleet.clock.now_ms());
    }
    fleet.clock.advance_ms(until - fleet.clock.now_ms());
    fleet.settle();
  }
  std::int64_t count(ExecutionStatus status, const std::string& job = "j") {
    return fleet.describe(job)->counts.of(status);
  }
  // What start-next gives the thing; empty: nothing.
  std::string offered(int i = 0) {
    const auto lists = fleet.run([&](store::Tx& tx) { return get_pending(fleet.context, tx, thing(i)); });
    EXPECT_TRUE(lists);
    return lists->queued.empty() ? "" : lists->queued.front().job;
  }
  void windows(NewJob& job, const std::string& cron, std::int64_t minutes) {
    auto parsed = Cron::parse(cron);
    ASSERT_TRUE(parsed);
    job.selection = Selection::kContinuous;
    job.schedule.windows.push_back({*std::move(parsed), minutes});
  }

  Fleet fleet;
};

TEST_F(OverTime, job_waits_for_its_start) {
  NewJob job = job_on_all();
  job.schedule.start_ms = fleet.clock.now_ms() + kHourMs;
  job.schedule.start_text = to_iso8601(job.schedule.start_ms);
  create(job);
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kScheduled);
  pass(kHourMs - 1);
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kScheduled);
  EXPECT_EQ(fleet.describe("j")->counts.all(), 0);
  pass(1);
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kInProgress);
  EXPECT_EQ(count(kQueued), 4);
}

TEST_F(OverTime, window_that_closes_hides_what_is_queued_and_the_next_one_announces_it) {
  // 2023-11-14T22:13:20Z
  NewJob job = job_on_all();
  windows(job, "cron(0 23 * * ? *)", 60);
  create(job);
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kScheduled);
  pass(kHourMs);
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kInProgress);
  EXPECT_EQ(offered(), "j");
  ASSERT_TRUE(fleet.start(thing(1)));
  (void)fleet.heard();
  pass(kHourMs);
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kScheduled);
  EXPECT_EQ(offered(), "");
  EXPECT_FALSE(*fleet.start(thing(0)));
  EXPECT_EQ(fleet.heard_kinds(), "notify notify-next notify notify-next notify notify-next");
  // What runs goes on.
  ASSERT_TRUE(fleet.update(thing(1), "j", "IN_PROGRESS"));
  const auto begun = fleet.update(thing(0), "j", "IN_PROGRESS");
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().kind, ErrorKind::kInvalidStateTransition);
  pass(kDayMs);
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kScheduled);
  EXPECT_EQ(fleet.heard_kinds(),
            "notify notify-next notify notify-next notify notify-next "
            "notify notify-next notify notify-next notify notify-next");
}

TEST_F(OverTime, who_joins_between_windows_is_queued_but_hears_nothing_yet) {
  NewJob job = job_on_all();
  windows(job, "cron(0 23 * * ? *)", 60);
  create(job);
  pass(2 * kHourMs);
  ASSERT_EQ(fleet.status_of("j"), JobStatus::kScheduled);
  (void)fleet.heard();
  fleet.add_thing("joiner");
  fleet.join("g", "joiner");
  EXPECT_EQ(fleet.execution("joiner", "j")->status, kQueued);
  EXPECT_EQ(fleet.heard_kinds(), "");
}

TEST_F(OverTime, job_that_is_canceled_between_windows_tells_nobody) {
  NewJob job = job_on_all();
  windows(job, "cron(0 23 * * ? *)", 60);
  create(job);
  pass(2 * kHourMs);
  ASSERT_EQ(fleet.status_of("j"), JobStatus::kScheduled);
  ASSERT_EQ(count(kQueued), 4);
  (void)fleet.heard();
  ASSERT_TRUE(fleet.cancel("j"));
  fleet.settle();
  EXPECT_EQ(count(kCanceled), 4);
  EXPECT_EQ(fleet.heard_kinds(), "");
}

TEST_F(OverTime, approval_is_waited_for_without_a_single_execution) {
  NewJob job = job_on_all();
  job.controls.approval = Approval::kRequired;
  create(job);
  pass(400 * kDayMs);
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kScheduled);
  EXPECT_EQ(fleet.describe("j")->counts.all(), 0);
  tag("j", {{"muster:approval", "approved"}});
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kInProgress);
  EXPECT_EQ(count(kQueued), 4);
}

TEST_F(OverTime, pause_hides_what_is_queued_and_resume_announces_it) {
  create(job_on_one("j"));
  (void)fleet.heard();
  tag("j", {{"muster:pause", "true"}});
  EXPECT_EQ(fleet.heard_kinds(), "notify notify-next");
  EXPECT_EQ(offered(), "");
  EXPECT_FALSE(*fleet.start(thing(0)));
  tag("j", {});
  EXPECT_EQ(fleet.heard_kinds(), "notify notify-next");
  EXPECT_EQ(offered(), "j");
}

TEST_F(OverTime, pause_stops_the_rollout_where_it_is) {
  NewJob job = job_on_all();
  job.rollout = RolloutConfig{60, {}};
  create(job);
  ASSERT_EQ(fleet.describe("j")->counts.all(), 1);
  tag("j", {{"muster:pause", "true"}});
  pass(kHourMs);
  EXPECT_EQ(fleet.describe("j")->counts.all(), 1);
  tag("j", {});
  pass(3 * 1000);
  EXPECT_EQ(fleet.describe("j")->counts.all(), 4);
}

// The device ends it while the engine has yet to say that it is no longer on offer.
TEST_F(OverTime, what_ends_before_the_pause_was_announced_is_told) {
  create(job_on_one("j"));
  (void)fleet.heard();
  ASSERT_TRUE(fleet.run_status([&](store::Tx& tx, Effects& effects) {
    return change_controls(fleet.context, tx, "j", {{"muster:pause", "true"}}, effects);
  }));
  ASSERT_TRUE(fleet.cancel_one({thing(0), "j", false, {}, {}}));
  fleet.settle();
  EXPECT_EQ(fleet.heard_kinds(), "notify notify-next");
}

// Two jobs: the paused one is the head that the device was told; it asks and gets the other.
TEST_F(OverTime, head_that_starts_while_a_pause_is_announced_is_told) {
  create(job_on_one("first"));
  fleet.clock.advance_ms(1);
  create(job_on_one("second"));
  (void)fleet.heard();
  ASSERT_TRUE(fleet.run_status([&](store::Tx& tx, Effects& effects) {
    return change_controls(fleet.context, tx, "first", {{"muster:pause", "true"}}, effects);
  }));
  const auto started = fleet.start(thing(0));
  ASSERT_TRUE(started && *started);
  EXPECT_EQ((*started)->job, "second");
  fleet.settle();
  std::string head;
  for (const auto& message : fleet.heard()) {
    if (message.suffix == "notify-next") head = get_string(message.payload.at("execution").as_object(), "jobId");
  }
  EXPECT_EQ(head, "second");
}

TEST_F(OverTime, gate_holds_until_it_is_continued_by_hand) {
  NewJob job = job_on_all();
  job.controls.gates = {Gate{25, {}}, Gate{50, {}}};
  create(job);
  EXPECT_EQ(fleet.describe("j")->counts.all(), 1);
  ASSERT_TRUE(fleet.update(thing(0), "j", "SUCCEEDED"));
  pass(kDayMs);
  EXPECT_EQ(fleet.describe("j")->counts.all(), 1);
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kInProgress) << "a held job is not complete";
  tag("j", {{"muster:hold", "25 50"}, {"muster:continue", "1"}});
  EXPECT_EQ(fleet.describe("j")->counts.all(), 2);
  tag("j", {{"muster:hold", "25 50"}, {"muster:continue", "all"}});
  EXPECT_EQ(fleet.describe("j")->counts.all(), 4);
}

TEST_F(OverTime, gate_opens_by_success_and_stays_shut_by_failure) {
  NewJob job = job_on_all();
  job.controls.gates = {Gate{25, 100}, Gate{50, 100}};
  create(job);
  ASSERT_EQ(fleet.describe("j")->counts.all(), 1);
  ASSERT_TRUE(fleet.update(thing(0), "j", "SUCCEEDED"));
  fleet.settle();
  ASSERT_EQ(fleet.describe("j")->counts.all(), 2);
  ASSERT_TRUE(fleet.update(thing(1), "j", "FAILED"));
  fleet.settle();
  EXPECT_EQ(fleet.describe("j")->counts.all(), 2);
}

TEST_F(OverTime, higher_priority_is_offered_first_whatever_came_first) {
  create(job_on_one("plain"));
  NewJob urgent = job_on_one("urgent"), late = job_on_one("late");
  urgent.controls.priority = 99;
  late.controls.priority = -99;
  create(late);
  (void)fleet.heard();
  create(urgent);
  EXPECT_EQ(fleet.heard_kinds(), "notify notify-next");
  for (const char* job : {"urgent", "plain", "late"}) {
    const auto started = fleet.start(thing(0));
    ASSERT_TRUE(started && *started);
    EXPECT_EQ((*started)->job, job);
    ASSERT_TRUE(fleet.update(thing(0), job, "SUCCEEDED"));
  }
}

TEST(Concurrency, immediate_job_is_refused_and_a_scheduled_one_waits_for_room) {
  Limits limits = Fleet::plain();
  limits.max_concurrent_jobs = 1;
  Fleet fleet(limits);
  fleet.add_group("g");
  for (int i = 0; i < 3; ++i) {
    fleet.add_thing("d" + std::to_string(i));
    fleet.join("g", "d" + std::to_string(i));
  }
  NewJob scheduled = fleet.job_on("scheduled", {fleet.group_arn("g")});
  scheduled.schedule.start_ms = fleet.clock.now_ms() + kHourMs;
  scheduled.schedule.start_text = to_iso8601(scheduled.schedule.start_ms);
  ASSERT_TRUE(fleet.create(scheduled));
  NewJob slow = fleet.job_on("slow", {fleet.group_arn("g")});
  slow.controls.gates = {Gate{30, {}}};
  ASSERT_TRUE(fleet.create(slow));
  NewJob refused = fleet.job_on("refused", {fleet.group_arn("g")});
  refused.rollout = RolloutConfig{1, {}};
  const auto made = fleet.create(refused);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::kLimit);
  EXPECT_FALSE(fleet.describe("refused"));
  fleet.clock.advance_ms(kHourMs);
  fleet.settle();
  EXPECT_EQ(fleet.status_of("scheduled"), JobStatus::kScheduled);
  ASSERT_TRUE(fleet.cancel("slow"));
  fleet.settle();
  fleet.clock.advance_ms(fleet.engine->next_wake_ms() - fleet.clock.now_ms());
  fleet.settle();
  EXPECT_EQ(fleet.status_of("scheduled"), JobStatus::kInProgress);
}

TEST(Expiry, what_nobody_starts_is_canceled_when_its_days_are_over) {
  Limits limits = Fleet::plain();
  limits.queued_days = 10;
  limits.engine_batch = 2;
  Fleet fleet(limits);
  fleet.add_group("g");
  for (int i = 0; i < 5; ++i) {
    fleet.add_thing("d" + std::to_string(i));
    fleet.join("g", "d" + std::to_string(i));
  }
  fleet.must_create("j", {fleet.group_arn("g")});
  fleet.settle();
  ASSERT_TRUE(fleet.start("d0"));
  fleet.clock.advance_ms(10 * kDayMs - 1);
  fleet.settle();
  EXPECT_EQ(fleet.describe("j")->counts.of(kQueued), 4);
  EXPECT_EQ(fleet.engine->next_wake_ms(), fleet.clock.now_ms() + 1);
  fleet.clock.advance_ms(1);
  fleet.settle();
  EXPECT_EQ(fleet.describe("j")->counts.of(kCanceled), 4);
  EXPECT_EQ(fleet.describe("j")->counts.of(kInProgress), 1);
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kInProgress);
}

TEST(DefaultTimeout, ends_what_runs_where_the_job_gives_none) {
  Limits limits;
  limits.default_timeout_minutes = 60;
  Fleet fleet(limits);
  fleet.add_thing("d");
  fleet.must_create_on_thing("j", "d");
  ASSERT_TRUE(fleet.start("d"));
  fleet.clock.advance_ms(60 * kMinuteMs - 1);
  fleet.fire_timers();
  EXPECT_EQ(fleet.execution("d", "j")->status, kInProgress);
  fleet.clock.advance_ms(1);
  fleet.fire_timers();
  EXPECT_EQ(fleet.execution("d", "j")->status, kTimedOut);
}

}  // namespace
}  // namespace muster::jobs
