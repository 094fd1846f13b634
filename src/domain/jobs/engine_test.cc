// SPDX-License-Identifier: Apache-2.0
// Bounded batches, and restarts between any two of them: the engine's memory is lost, the store's is not.
#include "domain/jobs/engine.h"

#include "domain/jobs/fleet_fixture.h"

namespace muster::jobs {
namespace {

constexpr int kThings = 23;

Limits small_batches() {
  Limits limits;
  limits.immediate_executions = 2;
  limits.engine_batch = 3;
  return limits;
}

// Group "g" with a child; things d0.. spread over both.
void fill(Fleet& fleet) {
  fleet.add_group("g");
  fleet.add_group("child", "g");
  for (int i = 0; i < kThings; ++i) {
    const std::string thing = "d" + std::to_string(i);
    fleet.add_thing(thing);
    fleet.join(i % 3 == 0 ? "child" : "g", thing);
  }
}

std::int64_t count(Fleet& fleet, ExecutionStatus status) {
  const auto description = fleet.describe("j");
  return description ? description->counts.of(status) : -1;
}

// Runs `work` to its end with the engine killed after `survived` transactions; true when the work took more than that.
bool run_with_crash_after(Fleet& fleet, int survived) {
  for (int i = 0; i < survived; ++i) {
    if (!fleet.engine->step()) return false;
  }
  fleet.restart_engine();
  fleet.settle();
  return true;
}

TEST(Engine, rollout_goes_on_after_a_crash_between_any_two_transactions) {
  for (int survived = 0;; ++survived) {
    Fleet fleet(small_batches());
    fill(fleet);
    fleet.must_create("j", {fleet.thing_arn("d5"), fleet.group_arn("g"), fleet.group_arn("child")});
    EXPECT_FALSE(fleet.describe("j")->job->rolled_out);
    EXPECT_TRUE(fleet.describe("j")->job->is_concurrent());
    EXPECT_FALSE(fleet.describe("j")->processing_targets.empty());
    const bool more = run_with_crash_after(fleet, survived);
    EXPECT_EQ(count(fleet, ExecutionStatus::kQueued), kThings);
    EXPECT_TRUE(fleet.describe("j")->job->rolled_out);
    EXPECT_TRUE(fleet.describe("j")->processing_targets.empty());
    std::map<std::string, int> announced;
    for (const auto& message : fleet.heard()) ++announced[message.thing + " " + message.suffix];
    EXPECT_EQ(announced.size(), 2u * kThings);
    for (const auto& [what, times] : announced) EXPECT_EQ(times, 1) << what;
    if (!more) {
      EXPECT_GT(survived, kThings / 3);
      break;
    }
  }
}

TEST(Engine, sweep_goes_on_after_a_crash_between_any_two_transactions) {
  for (int survived = 0;; ++survived) {
    Fleet fleet(small_batches());
    fill(fleet);
    fleet.must_create("j", {fleet.group_arn("g")});
    fleet.settle();
    for (int i = 0; i < kThings; i += 2) ASSERT_TRUE(fleet.start("d" + std::to_string(i)));
    ASSERT_TRUE(fleet.cancel("j", true));
    EXPECT_TRUE(fleet.describe("j")->job->is_concurrent());
    // What the engine has not reached is already out of the devices' hands.
    EXPECT_FALSE(*fleet.start("d9"));
    EXPECT_EQ(fleet.update("d9", "j", "SUCCEEDED").error().kind, ErrorKind::kInvalidStateTransition);
    const bool more = run_with_crash_after(fleet, survived);
    EXPECT_EQ(count(fleet, ExecutionStatus::kCanceled), kThings);
    EXPECT_FALSE(fleet.describe("j")->job->is_concurrent());
    EXPECT_EQ(fleet.status_of("j"), JobStatus::kCanceled);
    if (!more) break;
  }
}

TEST(Engine, deletion_goes_on_after_a_crash_between_any_two_transactions) {
  for (int survived = 0;; ++survived) {
    Fleet fleet(small_batches());
    fill(fleet);
    fleet.must_create("before", {fleet.thing_arn("d1")});
    ASSERT_TRUE(fleet.remove("before", true));  // the version of offers stays, once
    fleet.settle();
    fleet.heard();
    const auto keys = fleet.store->size();
    fleet.must_create("j", {fleet.group_arn("g")});
    fleet.settle();
    ASSERT_TRUE(fleet.start("d1"));
    ASSERT_TRUE(fleet.update("d2", "j", "FAILED"));
    ASSERT_TRUE(fleet.remove("j", true));
    const bool more = run_with_crash_after(fleet, survived);
    EXPECT_EQ(fleet.describe("j").error().kind, ErrorKind::kNotFound);
    fleet.heard();
    EXPECT_EQ(fleet.store->size(), keys);
    if (!more) break;
  }
}

TEST(Engine, completion_is_found_after_a_crash) {
  Fleet fleet(small_batches());
  fleet.add_thing("t");
  fleet.must_create_on_thing("j", "t");
  ASSERT_TRUE(fleet.update("t", "j", "SUCCEEDED"));
  fleet.restart_engine();  // the poke is lost
  fleet.settle();
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kCompleted);
}

TEST(Engine, cancel_in_the_middle_of_a_rollout_stops_it) {
  Fleet fleet(small_batches());
  fill(fleet);
  fleet.must_create("j", {fleet.group_arn("g")});
  fleet.engine->step();
  fleet.engine->step();
  const auto created = count(fleet, ExecutionStatus::kQueued);
  ASSERT_LT(created, kThings);
  ASSERT_TRUE(fleet.cancel("j"));
  fleet.settle();
  EXPECT_EQ(count(fleet, ExecutionStatus::kCanceled), created);
  EXPECT_EQ(count(fleet, ExecutionStatus::kQueued), 0);
}

TEST(Engine, devices_that_finish_during_the_rollout_do_not_complete_the_job) {
  Fleet fleet(small_batches());
  fill(fleet);
  fleet.must_create("j", {fleet.group_arn("g")});
  int finished = 0;
  for (int round = 0; round < 1000 && finished < kThings; ++round) {
    EXPECT_EQ(fleet.status_of("j"), JobStatus::kInProgress);
    fleet.engine->step();
    for (int i = 0; i < kThings; ++i) {
      const std::string thing = "d" + std::to_string(i);
      if (*fleet.start(thing)) {
        ASSERT_TRUE(fleet.update(thing, "j", "SUCCEEDED"));
        ++finished;
      }
    }
  }
  EXPECT_EQ(finished, kThings);
  fleet.settle();
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kCompleted);
}

TEST(Engine, group_deleted_during_the_rollout_ends_it) {
  Fleet fleet(small_batches());
  fill(fleet);
  fleet.must_create("j", {fleet.group_arn("child")});
  fleet.engine->step();
  ASSERT_TRUE(fleet.run([&](store::Tx& tx) { return registry::delete_group(tx, fleet.context.realm, "child", {}); }));
  fleet.settle();
  EXPECT_TRUE(fleet.describe("j")->job->rolled_out);
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kInProgress);
}

TEST(Engine, store_that_refuses_is_tried_again) {
  Fleet fleet(small_batches());
  fill(fleet);
  fleet.must_create("j", {fleet.group_arn("g")});
  fleet.store->set_faults({.seed = 7, .refuse = 0.5, .conflict = 0.3});
  fleet.settle();
  fleet.store->set_faults({});
  EXPECT_EQ(count(fleet, ExecutionStatus::kQueued), kThings);
}

TEST(Engine, own_thread_completes_jobs) {
  Fleet fleet(small_batches());
  fill(fleet);
  fleet.must_create("j", {fleet.group_arn("g")});
  fleet.engine->start_thread();
  std::set<std::string> left;
  for (int i = 0; i < kThings; ++i) left.insert("d" + std::to_string(i));
  for (int tries = 0; tries < 500'000 && fleet.status_of("j") != JobStatus::kCompleted; ++tries) {
    std::erase_if(left, [&](const std::string& thing) { return bool(fleet.update(thing, "j", "SUCCEEDED")); });
    std::this_thread::yield();
  }
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kCompleted);
  fleet.engine->stop();
}

}  // namespace
}  // namespace muster::jobs
