// SPDX-License-Identifier: Apache-2.0
// Rollouts in small batches: rates that come and change, executions that were deleted meanwhile, targets that are
// added.
#include "domain/jobs/rollout.h"

#include "domain/jobs/fleet_fixture.h"

namespace muster::jobs {
namespace {

using enum ExecutionStatus;

constexpr int kThings = 12;

class Rollout : public testing::Test {
 protected:
  void SetUp() override {
    fleet.add_group("g");
    fleet.add_group("h");
    for (int i = 0; i < kThings; ++i) {
      fleet.add_thing(thing(i));
      fleet.join("g", thing(i));
    }
  }
  static Limits limits() {
    Limits limits = Fleet::plain();
    limits.immediate_executions = limits.engine_batch = 2;
    return limits;
  }
  static std::string thing(int i) { return (i < 10 ? "d0" : "d") + std::to_string(i); }
  void create(const NewJob& job) {
    const auto made = fleet.create(job);
    ASSERT_TRUE(made) << made.error().message;
  }
  void change(const JobChange& wanted) {
    const auto changed = fleet.run_status(
        [&](store::Tx& tx, Effects& effects) { return update_job(fleet.context, tx, "j", wanted, effects); });
    ASSERT_TRUE(changed) << changed.error().message;
  }
  std::int64_t out() { return fleet.describe("j")->counts.all(); }

  Fleet fleet{limits()};
};

TEST_F(Rollout, constant_rate_is_kept_minute_by_minute_with_late_wake_ups) {
  NewJob job = fleet.job_on("j", {fleet.group_arn("g")});
  job.rollout = RolloutConfig{3, {}};
  create(job);
  std::vector<std::int64_t> at_second;
  for (int second = 0; second < 300; ++second) {
    fleet.settle();
    at_second.push_back(out());
    fleet.clock.advance_ms(1000);
  }
  for (std::size_t i = 60; i < at_second.size(); ++i) EXPECT_LE(at_second[i] - at_second[i - 60], 3) << i;
  EXPECT_EQ(at_second.back(), kThings);
  EXPECT_EQ(at_second[239], kThings) << "four minutes are enough for twelve";
}

TEST_F(Rollout, rate_given_while_it_runs_counts_what_has_just_gone_out) {
  create(fleet.job_on("j", {fleet.group_arn("g")}));
  ASSERT_TRUE(fleet.engine->step());
  ASSERT_TRUE(fleet.engine->step());
  const auto before = out();
  ASSERT_GE(before, 2);
  ASSERT_LT(before, kThings);
  JobChange slower;
  slower.rollout = RolloutConfig{1, {}};
  change(slower);
  fleet.settle();
  EXPECT_EQ(out(), before);
  fleet.clock.advance_ms(59'000);
  fleet.settle();
  EXPECT_EQ(out(), before);
  fleet.clock.advance_ms(1'000);
  fleet.settle();
  EXPECT_EQ(out(), before + 1);
}

TEST_F(Rollout, gates_given_while_it_runs_count_what_is_out) {
  create(fleet.job_on("j", {fleet.group_arn("g")}));
  ASSERT_TRUE(fleet.engine->step());
  const auto before = out();
  ASSERT_LT(before, 6);
  ASSERT_TRUE(fleet.run_status([&](store::Tx& tx, Effects& effects) {
    return change_controls(fleet.context, tx, "j", {{"muster:hold", "50"}}, effects);
  }));
  fleet.settle();
  EXPECT_EQ(out(), kThings / 2);
}

TEST_F(Rollout, exponential_rate_grows_with_what_has_succeeded) {
  NewJob job = fleet.job_on("j", {fleet.group_arn("g")});
  ExponentialRate rate;
  rate.base_per_minute = 1;
  rate.increment_factor = 5;
  rate.succeeded_things = 1;
  job.rollout = RolloutConfig{1000, rate};
  create(job);
  fleet.settle();
  ASSERT_EQ(out(), 1);
  fleet.clock.advance_ms(60'000);
  fleet.settle();
  ASSERT_EQ(out(), 2);
  ASSERT_TRUE(fleet.update(thing(0), "j", "SUCCEEDED"));
  for (int second = 0; second < 60; ++second) {
    fleet.settle();
    fleet.clock.advance_ms(1000);
  }
  EXPECT_EQ(out(), 6) << "five a minute, of which one had gone";
}

TEST_F(Rollout, thing_in_two_targets_runs_once_also_when_its_first_execution_was_deleted) {
  fleet.join("h", thing(0));
  NewJob job = fleet.job_on("j", {fleet.group_arn("g"), fleet.group_arn("h")});
  job.retry = RetryConfig{{{RetryFailure::kFailed, 1}}};
  create(job);
  ASSERT_EQ(fleet.execution(thing(0), "j")->number, 1);
  ASSERT_TRUE(fleet.update(thing(0), "j", "FAILED"));
  ASSERT_EQ(fleet.execution(thing(0), "j")->number, 2);
  ASSERT_TRUE(fleet.remove_one({thing(0), "j", 1}));
  fleet.settle();
  EXPECT_EQ(out(), kThings);
  const auto lists = fleet.run([&](store::Tx& tx) { return get_pending(fleet.context, tx, thing(0)); });
  EXPECT_EQ(lists->queued.size(), 1u);
}

TEST_F(Rollout, who_was_removed_runs_when_another_group_of_it_becomes_a_target) {
  fleet.join("h", thing(0));
  NewJob job = fleet.job_on("j", {fleet.group_arn("g")});
  job.selection = Selection::kContinuous;
  create(job);
  fleet.settle();
  fleet.leave("g", thing(0));
  ASSERT_EQ(fleet.execution(thing(0), "j")->status, kRemoved);
  const auto added = fleet.run([&](store::Tx& tx, Effects& effects) {
    return associate_targets(fleet.context, tx, {"j", {fleet.group_arn("h")}, ""}, effects);
  });
  ASSERT_TRUE(added) << added.error().message;
  fleet.settle();
  const auto execution = fleet.execution(thing(0), "j");
  EXPECT_EQ(execution->status, kQueued);
  EXPECT_EQ(execution->number, 2);
}

}  // namespace
}  // namespace muster::jobs
