// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/outlook/preview.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/text.h"
#include "domain/jobs/fleet_fixture.h"

namespace muster::jobs {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;

class PreviewTest : public ::testing::Test {
 protected:
  void things(int count, const std::string& group) {
    fleet.add_group(group);
    for (int i = 0; i < count; ++i) {
      const std::string name = group + "-" + std::to_string(i);
      fleet.add_thing(name);
      fleet.join(group, name);
    }
  }
  Result<std::pair<Job, Preview>> look(const NewJob& wanted) {
    return fleet.run([&](store::Tx& tx) -> Result<std::pair<Job, Preview>> {
      TRY(auto job, planned_job(fleet.context, tx, wanted));
      TRY(auto preview, preview_new_job(fleet.context, tx, job));
      return std::pair(std::move(job), std::move(preview));
    });
  }
  Preview must_look(const NewJob& wanted) {
    auto looked = look(wanted);
    EXPECT_TRUE(looked) << (looked ? "" : looked.error().message);
    return looked ? looked->second : Preview{};
  }
  Fleet fleet;
};

TEST_F(PreviewTest, TellsTargetsOverlapsAndExecutions) {
  things(3, "a");
  things(2, "b");
  fleet.join("b", "a-0");
  const auto wanted = fleet.job_on("j", {fleet.group_arn("a"), fleet.group_arn("b"), fleet.thing_arn("a-1")});
  const Preview preview = must_look(wanted);
  EXPECT_EQ(preview.things, 7);
  EXPECT_EQ(preview.executions, 5);
  EXPECT_EQ(preview.overlaps, 2);
  EXPECT_FALSE(preview.sampled);
  // The job makes exactly so many.
  ASSERT_TRUE(fleet.create(wanted));
  fleet.settle();
  EXPECT_EQ(fleet.describe("j")->counts.all(), 5);
}

TEST_F(PreviewTest, RefusesTargetsThatAreNotThere) {
  EXPECT_EQ(look(fleet.job_on("j", {})).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(look(fleet.job_on("j", {fleet.thing_arn("nobody")})).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(look(fleet.job_on("j", {"arn:aws:iot:::nonsense"})).error().kind, ErrorKind::kNotFound);
}

TEST_F(PreviewTest, WritesNothing) {
  things(2, "g");
  must_look(fleet.job_on("j", {fleet.group_arn("g")}));
  EXPECT_FALSE(fleet.describe("j"));
  EXPECT_TRUE(fleet.heard().empty());
  EXPECT_FALSE(fleet.execution("g-0", "j"));
}

TEST_F(PreviewTest, TheFinishComesTrue) {
  things(30, "g");
  auto wanted = fleet.job_on("j", {fleet.group_arn("g")});
  wanted.rollout =
      RolloutConfig{.maximum_per_minute = 20, .exponential = ExponentialRate{2, 2.0, std::int64_t{4}, std::nullopt}};
  const auto rollout = must_look(wanted).rollout;
  ASSERT_NE(rollout.finishes_ms, 0);
  EXPECT_EQ(rollout.starts_ms, fleet.clock.now_ms());
  EXPECT_EQ(rollout.points.back().rolled_out, 30);
  ASSERT_TRUE(fleet.create(wanted));
  while (fleet.clock.now_ms() < rollout.finishes_ms) {
    fleet.settle();
    EXPECT_LT(fleet.describe("j")->counts.all(), 30);
    const auto wake_ms = fleet.engine->next_wake_ms();
    ASSERT_GT(wake_ms, fleet.clock.now_ms());
    fleet.clock.advance_ms(std::min(wake_ms, rollout.finishes_ms) - fleet.clock.now_ms());
  }
  fleet.settle();
  EXPECT_EQ(fleet.describe("j")->counts.all(), 30);
}

TEST_F(PreviewTest, TheEndOfTheScheduleLeavesSomeOut) {
  things(10, "g");
  auto wanted = fleet.job_on("j", {fleet.group_arn("g")});
  wanted.rollout = RolloutConfig{.maximum_per_minute = 1, .exponential = {}};
  wanted.schedule.end_ms = fleet.clock.now_ms() + 4 * kMinuteMs;
  const auto looked = look(wanted);
  ASSERT_TRUE(looked);
  EXPECT_TRUE(looked->second.rollout.ended);
  EXPECT_EQ(looked->second.rollout.left_out, 6);
  EXPECT_EQ(looked->second.rollout.finishes_ms, 0);
  EXPECT_NE(sentences(explain(looked->first, looked->second), 4096).find("leaves out 6 executions"), std::string::npos);
}

TEST_F(PreviewTest, ApprovalAndGatesAreNamedAndAssumed) {
  things(10, "g");
  auto wanted = fleet.job_on("j", {fleet.group_arn("g")});
  wanted.controls.approval = Approval::kRequired;
  wanted.controls.gates = {{10, std::nullopt}, {50, std::nullopt}};
  const auto looked = look(wanted);
  ASSERT_TRUE(looked);
  EXPECT_TRUE(looked->second.rollout.assumed_approval);
  EXPECT_EQ(looked->second.rollout.assumed_gates, 2u);
  EXPECT_EQ(looked->second.rollout.finishes_ms, fleet.clock.now_ms());
  const auto text = sentences(explain(looked->first, looked->second), 4096);
  EXPECT_NE(text.find("approval"), std::string::npos) << text;
  EXPECT_NE(text.find("2 gates"), std::string::npos) << text;
}

TEST_F(PreviewTest, ConflictsAreCounted) {
  things(3, "g");
  auto urgent = fleet.job_on("urgent", {fleet.thing_arn("g-0")});
  urgent.controls.priority = 5;
  ASSERT_TRUE(fleet.create(urgent));
  fleet.must_create_on_thing("busy", "g-1");
  ASSERT_TRUE(fleet.start("g-1"));
  for (int i = 0; i < 10; ++i) fleet.must_create_on_thing("n" + std::to_string(i), "g-2");
  const auto looked = look(fleet.job_on("j", {fleet.group_arn("g")}));
  ASSERT_TRUE(looked);
  const Preview& preview = looked->second;
  EXPECT_EQ(preview.behind.examples, std::vector<std::string>{"g-0"});
  EXPECT_EQ(preview.in_progress.examples, std::vector<std::string>{"g-1"});
  EXPECT_EQ(preview.crowded.examples, std::vector<std::string>{"g-2"});
}

TEST(Preview, ThatTooManyJobsRollOutIsSaid) {
  Limits limits = Fleet::plain();
  limits.max_concurrent_jobs = 1;
  Fleet fleet(limits);
  fleet.add_thing("t");
  auto slow = fleet.job_on("slow", {fleet.thing_arn("t")});
  slow.controls.paused = true;
  const auto text_of_preview = [&] {
    const auto text = fleet.run([&](store::Tx& tx) -> Result<std::string> {
      TRY(const auto job, planned_job(fleet.context, tx, fleet.job_on("j", {fleet.thing_arn("t")})));
      TRY(const auto preview, preview_new_job(fleet.context, tx, job));
      return sentences(explain(job, preview), 4096);
    });
    return text ? *text : text.error().message;
  };
  EXPECT_EQ(text_of_preview().find("As many jobs"), std::string::npos);
  ASSERT_TRUE(fleet.create(slow));
  EXPECT_NE(text_of_preview().find("As many jobs"), std::string::npos) << text_of_preview();
}

TEST_F(PreviewTest, OfflineIsSaidOnlyWhenSomebodyAsked) {
  things(4, "g");
  auto looked = look(fleet.job_on("j", {fleet.group_arn("g")}));
  ASSERT_TRUE(looked);
  auto& [job, preview] = *looked;
  EXPECT_EQ(sentences(explain(job, preview), 4096).find("offline"), std::string::npos);
  preview.offline = 1;
  EXPECT_NE(sentences(explain(job, preview), 4096).find("1 of 4 things (25%) are offline"), std::string::npos);
}

TEST_F(PreviewTest, LargeGroupsAreSampled) {
  things(static_cast<int>(kPreviewThings) + 5, "g");
  const auto looked = look(fleet.job_on("j", {fleet.group_arn("g")}));
  ASSERT_TRUE(looked);
  EXPECT_TRUE(looked->second.sampled);
  EXPECT_EQ(looked->second.sample.size(), kPreviewThings);
  EXPECT_EQ(looked->second.executions, static_cast<std::int64_t>(kPreviewThings) + 5);
  EXPECT_NE(sentences(explain(looked->first, looked->second), 4096).find("At most 1005"), std::string::npos);
}

TEST_F(PreviewTest, AnExistingJobTellsWhatIsLeft) {
  things(10, "g");
  auto wanted = fleet.job_on("j", {fleet.group_arn("g")});
  wanted.rollout = RolloutConfig{.maximum_per_minute = 2, .exponential = {}};
  ASSERT_TRUE(fleet.create(wanted));
  fleet.settle();
  const auto ask = [&] { return fleet.run([&](store::Tx& tx) { return preview_job(fleet.context, tx, "j"); }); };
  const auto first = ask();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->executions, 10 - fleet.describe("j")->counts.all());
  EXPECT_GT(first->rollout.finishes_ms, fleet.clock.now_ms());
  ASSERT_TRUE(fleet.cancel("j"));
  EXPECT_EQ(ask()->executions, 0);
  EXPECT_EQ(fleet.run([&](store::Tx& tx) { return preview_job(fleet.context, tx, "none"); }).error().kind,
            ErrorKind::kNotFound);
}

TEST_F(PreviewTest, RetriesAreNotTakenForProgress) {
  things(6, "g");
  auto wanted = fleet.job_on("j", {fleet.group_arn("g")});
  wanted.rollout = RolloutConfig{.maximum_per_minute = 2, .exponential = {}};
  wanted.retry = RetryConfig{{{RetryFailure::kAll, 3}}};
  ASSERT_TRUE(fleet.create(wanted));
  fleet.settle();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(fleet.update("g-0", "j", "FAILED"));
  EXPECT_GT(fleet.describe("j")->counts.all(), 3);
  const auto left = fleet.run([&](store::Tx& tx) { return preview_job(fleet.context, tx, "j"); });
  ASSERT_TRUE(left);
  EXPECT_EQ(left->executions, 5);
}

TEST(Forecast, WhatIsTooLongIsReckoned) {
  Job job;
  job.status = JobStatus::kInProgress;
  job.rollout = RolloutConfig{.maximum_per_minute = 1, .exponential = {}};
  Facts facts;
  facts.rollout.fleet = 1'000'000;
  const auto result = forecast(job, facts, 1'000'000, 1'700'000'000'000);
  EXPECT_TRUE(result.approximate);
  EXPECT_NEAR(static_cast<double>(result.finishes_ms - 1'700'000'000'000), 1e6 * kMinuteMs, 0.01e6 * kMinuteMs);
  EXPECT_LE(result.points.size(), kForecastPoints + 1);
  job.schedule.end_ms = 1'700'000'000'000 + 500'000 * kMinuteMs;
  const auto cut = forecast(job, facts, 1'000'000, 1'700'000'000'000);
  EXPECT_TRUE(cut.ended);
  EXPECT_NEAR(static_cast<double>(cut.left_out), 500'000, 5'000);
}

TEST(Forecast, NothingLeftNeitherStartsNorFinishes) {
  Job job;
  job.status = JobStatus::kInProgress;
  const auto result = forecast(job, {}, 0, 1'700'000'000'000);
  EXPECT_EQ(result.starts_ms, 0);
  EXPECT_EQ(result.finishes_ms, 0);
  EXPECT_TRUE(result.points.empty());
}

// 2023-11-14T22:13:20Z; windows from 02:00 to 03:00.
Job nightly() {
  Job job;
  job.status = JobStatus::kScheduled;
  job.selection = Selection::kContinuous;
  job.rollout = RolloutConfig{.maximum_per_minute = 1, .exponential = {}};
  const auto cron = Cron::parse("cron(0 2 * * ? *)");
  EXPECT_TRUE(cron);
  if (cron) job.schedule.windows.push_back({*cron, 60});
  return job;
}

TEST(Forecast, PointsTellHowFarItIsWhen) {
  Job job;
  job.status = JobStatus::kInProgress;
  job.rollout = RolloutConfig{.maximum_per_minute = 2, .exponential = {}};
  Facts facts;
  facts.rollout.fleet = 7;
  const auto result = forecast(job, facts, 7, 1'700'000'000'000);
  std::string text;
  for (const auto& point : result.points) {
    text += std::to_string((point.at_ms - 1'700'000'000'000) / 1000) + ":" + std::to_string(point.rolled_out) + " ";
  }
  EXPECT_EQ(text, "30:2 90:4 150:6 180:7 ");
  EXPECT_EQ(result.finishes_ms, 1'700'000'000'000 + 180'000);
}

TEST(Forecast, WindowsAreWaitedFor) {
  Facts facts;
  facts.rollout.fleet = 90;
  const auto result = forecast(nightly(), facts, 90, 1'700'000'000'000);
  EXPECT_EQ(to_iso8601(result.starts_ms, false), "2023-11-15T02:00:00Z");
  EXPECT_EQ(to_iso8601(result.finishes_ms, false), "2023-11-16T02:29:00Z");
  EXPECT_FALSE(result.approximate);
}

TEST(Forecast, ManyWindowsAreNotForeseenRatherThanGuessed) {
  Facts facts;
  facts.rollout.fleet = 1'000'000;
  const auto result = forecast(nightly(), facts, 1'000'000, 1'700'000'000'000);
  EXPECT_EQ(result.finishes_ms, 0);
  EXPECT_FALSE(result.ended);
}

}  // namespace
}  // namespace muster::jobs
