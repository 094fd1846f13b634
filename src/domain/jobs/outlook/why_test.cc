// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/outlook/why.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "domain/jobs/fleet_fixture.h"
#include "domain/jobs/outlook/failure_reasons.h"

namespace muster::jobs {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;

class Why : public ::testing::Test {
 protected:
  Findings about(const std::string& thing, const std::string& job) {
    const auto found = fleet.run([&](store::Tx& tx) { return explain_execution(fleet.context, tx, thing, job); });
    EXPECT_TRUE(found) << (found ? "" : found.error().message);
    return found ? *found : Findings{};
  }
  Findings about_thing(const std::string& thing) {
    const auto found = fleet.run([&](store::Tx& tx) { return explain_thing(fleet.context, tx, thing); });
    EXPECT_TRUE(found);
    return found ? *found : Findings{};
  }
  Findings about_job(const std::string& job) {
    const auto found = fleet.run([&](store::Tx& tx) { return explain_job(fleet.context, tx, job); });
    EXPECT_TRUE(found);
    return found ? *found : Findings{};
  }
  static std::string codes(const Findings& findings) {
    std::string text;
    for (const auto& finding : findings) {
      text += (text.empty() ? "" : " ") + finding.code;
      EXPECT_TRUE(finding.sentence.ends_with('.')) << finding.sentence;
    }
    return text;
  }
  static Finding one(const Findings& findings, const std::string& code) {
    const auto at = std::ranges::find(findings, code, &Finding::code);
    EXPECT_NE(at, findings.end()) << code << " is not among " << codes(findings);
    return at == findings.end() ? Finding{} : *at;
  }
  void create(NewJob job) {
    const auto made = fleet.create(job);
    ASSERT_TRUE(made) << made.error().message;
    fleet.settle();
  }
  void control(const std::string& job, const std::map<std::string, std::string>& tags) {
    const auto status = fleet.run_status(
        [&](store::Tx& tx, Effects& effects) { return change_controls(fleet.context, tx, job, tags, effects); });
    ASSERT_TRUE(status) << status.error().message;
    fleet.settle();
  }
  void things(int count, const std::string& group) {
    fleet.add_group(group);
    for (int i = 0; i < count; ++i) {
      const std::string name = group + "-" + std::to_string(i);
      fleet.add_thing(name);
      fleet.join(group, name);
    }
  }

  Fleet fleet;
};

TEST_F(Why, UnknownThingsAndJobsAreSaid) {
  EXPECT_EQ(codes(about("nobody", "none")), "thing.unknown job.unknown");
  EXPECT_EQ(codes(about_thing("nobody")), "thing.unknown");
  EXPECT_EQ(codes(about_job("none")), "job.unknown");
  fleet.add_thing("t");
  EXPECT_EQ(codes(about("t", "none")), "job.unknown");
  EXPECT_EQ(codes(about_thing("t")), "thing.nothing_pending");
}

TEST_F(Why, AThingOutsideTheTargetsHearsOfTheNearestGroup) {
  fleet.add_group("site");
  fleet.add_group("hall", "site");
  fleet.add_group("roof", "site");
  fleet.add_group("elsewhere");
  for (const std::string name : {"above", "beside", "far", "alone"}) fleet.add_thing(name);
  fleet.join("site", "above");
  fleet.join("roof", "beside");
  fleet.join("elsewhere", "far");
  fleet.must_create("j", {fleet.group_arn("elsewhere"), fleet.group_arn("hall")});
  const auto above = one(about("above", "j"), "execution.not_targeted");
  EXPECT_EQ(above.facts.at("nearestGroup"), "hall");
  EXPECT_NE(above.sentence.find("above it"), std::string::npos) << above.sentence;
  const auto beside = one(about("beside", "j"), "execution.not_targeted");
  EXPECT_EQ(beside.facts.at("nearestGroup"), "hall");
  EXPECT_NE(beside.sentence.find("beside it"), std::string::npos) << beside.sentence;
  EXPECT_EQ(one(about("alone", "j"), "execution.not_targeted").facts.count("nearestGroup"), 0u);
  EXPECT_EQ(codes(about("far", "j")), "execution.queued execution.offered");
}

TEST_F(Why, WhoJoinsASnapshotLateHasNoExecution) {
  things(1, "g");
  fleet.must_create("j", {fleet.group_arn("g")});
  fleet.settle();
  fleet.add_thing("late");
  fleet.join("g", "late");
  EXPECT_EQ(codes(about("late", "j")), "execution.joined_later job.waits.devices");
}

TEST_F(Why, TheQueueIsToldWithPriorities) {
  fleet.add_thing("t");
  fleet.must_create_on_thing("first", "t");
  auto urgent = fleet.job_on("urgent", {fleet.thing_arn("t")});
  urgent.controls.priority = 7;
  create(urgent);
  fleet.must_create_on_thing("last", "t");
  const auto queued = one(about("t", "last"), "execution.queued.behind");
  EXPECT_EQ(queued.facts.at("position"), "3");
  EXPECT_NE(queued.sentence.find("urgent (QUEUED, priority 7), first (QUEUED)"), std::string::npos) << queued.sentence;
  EXPECT_EQ(codes(about("t", "urgent")), "execution.queued execution.offered");
  ASSERT_TRUE(fleet.start("t"));
  EXPECT_NE(one(about("t", "first"), "execution.queued.behind").sentence.find("IN_PROGRESS has to end"),
            std::string::npos);
  const auto all = about_thing("t");
  EXPECT_EQ(codes(all), "pending.offered pending.offered pending.offered");
  EXPECT_EQ(all[0].facts.at("job"), "urgent");
}

TEST_F(Why, APauseHidesAndIsNotCountedAsAhead) {
  fleet.add_thing("t");
  fleet.must_create_on_thing("paused", "t");
  control("paused", {{"muster:pause", "true"}});
  fleet.clock.advance_ms(1000);
  fleet.must_create_on_thing("next", "t");
  EXPECT_EQ(codes(about("t", "paused")), "execution.queued execution.hidden job.waits.paused");
  EXPECT_EQ(codes(about("t", "next")), "execution.queued execution.offered");
  EXPECT_EQ(codes(about_thing("t")), "pending.hidden pending.offered");
  control("paused", {});
  EXPECT_EQ(codes(about("t", "paused")), "execution.queued execution.offered");
}

TEST_F(Why, ApprovalAndStartAreWaitedFor) {
  fleet.add_thing("t");
  auto guarded = fleet.job_on("guarded", {fleet.thing_arn("t")});
  guarded.controls.approval = Approval::kRequired;
  create(guarded);
  EXPECT_EQ(codes(about("t", "guarded")), "execution.not_rolled_out job.waits.approval");
  auto later = fleet.job_on("later", {fleet.thing_arn("t")});
  later.schedule.start_ms = fleet.clock.now_ms() + kHourMs;
  later.schedule.start_text = "2023-11-14T23:13:20Z";
  create(later);
  const auto found = about("t", "later");
  EXPECT_EQ(codes(found), "execution.not_rolled_out job.waits.start");
  EXPECT_EQ(found[1].facts.at("start"), "2023-11-14T23:13:20Z");
}

TEST_F(Why, AGateIsToldWithItsCounts) {
  things(10, "g");
  auto canary = fleet.job_on("canary", {fleet.group_arn("g")});
  canary.controls.gates = {{20, 100.0}, {50, std::nullopt}};
  create(canary);
  const auto held = one(about("g-9", "canary"), "job.waits.gate");
  EXPECT_EQ(held.facts.at("gate"), "1");
  EXPECT_EQ(held.facts.at("gates"), "2");
  EXPECT_EQ(held.facts.at("rolledOut"), "2");
  EXPECT_EQ(held.facts.at("successPercent"), "100%");
  for (const std::string thing : {"g-0", "g-1"}) ASSERT_TRUE(fleet.update(thing, "canary", "SUCCEEDED"));
  fleet.settle();
  const auto second = one(about_job("canary"), "job.waits.gate");
  EXPECT_EQ(second.facts.at("gate"), "2");
  EXPECT_NE(second.sentence.find("by hand: muster job continue canary"), std::string::npos) << second.sentence;
}

TEST_F(Why, ARateTellsWhenTheNextAndTheLastAreDue) {
  things(5, "g");
  auto slow = fleet.job_on("slow", {fleet.group_arn("g")});
  slow.rollout = RolloutConfig{.maximum_per_minute = 1, .exponential = {}};
  create(slow);
  const auto found = about("g-4", "slow");
  EXPECT_EQ(codes(found), "execution.not_rolled_out job.waits.rate");
  EXPECT_EQ(found[1].facts.at("rolledOut"), "1");
  EXPECT_EQ(found[1].facts.at("next"), "2023-11-14T22:14:20Z");
  EXPECT_EQ(found[1].facts.at("finish"), "2023-11-14T22:17:20Z");
  // The prediction comes true: the engine on the same clock.
  for (int i = 0; i < 4; ++i) {
    fleet.clock.advance_ms(60'000);
    fleet.settle();
  }
  EXPECT_EQ(codes(about("g-4", "slow")), "execution.queued execution.offered");
}

TEST_F(Why, EndsAreToldWithDetailsAndRetries) {
  fleet.add_thing("t");
  auto job = fleet.job_on("j", {fleet.thing_arn("t")});
  job.retry = RetryConfig{{{RetryFailure::kFailed, 1}}};
  create(job);
  EXPECT_EQ(one(about("t", "j"), "execution.retries").facts.at("left"), "1");
  for (int i = 0; i < 2; ++i) {
    Update update;
    update.thing = "t";
    update.job = "j";
    update.status = "FAILED";
    update.details = StatusDetails{{"reason", "disk full"}};
    ASSERT_TRUE(fleet.update(update));
  }
  const auto ended = about("t", "j");
  EXPECT_EQ(codes(ended), "execution.failed execution.retries");
  EXPECT_EQ(ended[0].facts.at("statusDetails.reason"), "disk full");
  EXPECT_EQ(ended[0].facts.at("executionNumber"), "2");
  EXPECT_EQ(ended[1].facts.at("used"), "1");
  EXPECT_EQ(ended[1].facts.at("left"), "0");
  fleet.settle();
  EXPECT_EQ(codes(about_job("j")), "job.state job.completed");
}

TEST_F(Why, ADeadlineIsToldWithItsTimer) {
  fleet.add_thing("t");
  auto job = fleet.job_on("j", {fleet.thing_arn("t")});
  job.timeout_minutes = 10;
  create(job);
  ASSERT_TRUE(fleet.start("t"));
  const auto found = one(about("t", "j"), "execution.in_progress.deadline");
  EXPECT_EQ(found.facts.at("deadline"), "2023-11-14T22:23:20Z");
  EXPECT_EQ(found.facts.at("timer"), "in-progress");
}

TEST_F(Why, ACanceledJobGivesItsReason) {
  fleet.add_thing("t");
  fleet.must_create_on_thing("j", "t");
  const auto status = fleet.run_status([&](store::Tx& tx, Effects& effects) -> Status {
    TRY_VOID(cancel_job(fleet.context, tx, "j", {false, "wrong image", "OOPS"}, effects));
    return {};
  });
  ASSERT_TRUE(status);
  fleet.settle();
  const auto found = one(about_job("j"), "job.canceled");
  EXPECT_EQ(found.facts.at("reasonCode"), "OOPS");
  EXPECT_EQ(found.facts.at("comment"), "wrong image");
  EXPECT_EQ(codes(about("t", "j")), "execution.canceled");
}

TEST_F(Why, FailureReasonsAreCountedMostFrequentFirst) {
  things(4, "g");
  fleet.must_create("j", {fleet.group_arn("g")});
  fleet.settle();
  const auto end = [&](const std::string& thing, const std::string& status, StatusDetails details) {
    Update update;
    update.thing = thing;
    update.job = "j";
    update.status = status;
    if (!details.empty()) update.details = std::move(details);
    ASSERT_TRUE(fleet.update(update));
  };
  end("g-0", "REJECTED", {});
  end("g-1", "FAILED", {{"step", "3"}, {"reason", "disk full"}});
  end("g-2", "FAILED", {{"reason", "disk full"}});
  end("g-3", "FAILED", {{"step", "1"}});
  const auto found = fleet.run([&](store::Tx& tx) { return failure_reasons(fleet.context, tx, "j"); });
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 3u);
  EXPECT_EQ((*found)[0].reason, "disk full");
  EXPECT_EQ((*found)[0].count, 2);
  EXPECT_EQ((*found)[1].reason, "step=1");
  EXPECT_EQ((*found)[2].status, ExecutionStatus::kRejected);
  EXPECT_EQ((*found)[2].reason, "");
}

TEST_F(Why, AClosedWindowHidesAndItsNextOpeningIsTold) {
  things(2, "g");
  auto job = fleet.job_on("nightly", {fleet.group_arn("g")});
  job.selection = Selection::kContinuous;
  const auto cron = Cron::parse("cron(0 2 * * ? *)");
  ASSERT_TRUE(cron);
  job.schedule.windows.push_back({*cron, 60});
  create(job);
  const auto before = about("g-0", "nightly");
  EXPECT_EQ(codes(before), "execution.not_rolled_out job.waits.window");
  EXPECT_EQ(before[1].facts.at("opens"), "2023-11-15T02:00:00Z");
  fleet.clock.advance_ms(4 * kHourMs);
  fleet.settle();
  EXPECT_EQ(codes(about("g-0", "nightly")), "execution.queued execution.offered");
  fleet.clock.advance_ms(kHourMs);
  fleet.settle();
  const auto after = about("g-0", "nightly");
  EXPECT_EQ(codes(after), "execution.queued execution.hidden job.waits.window");
  EXPECT_EQ(after[2].facts.at("opens"), "2023-11-16T02:00:00Z");
}

TEST_F(Why, AThingThatIsGoneKeepsItsHistory) {
  fleet.add_thing("t");
  fleet.must_create_on_thing("j", "t");
  ASSERT_TRUE(fleet.run_status([&](store::Tx& tx, Effects& effects) -> Status {
    TRY_VOID(thing_deleted(fleet.context, tx, "t", effects));
    TRY_VOID(registry::delete_thing(tx, "t", {}));
    return {};
  }));
  EXPECT_EQ(codes(about("t", "j")), "thing.unknown execution.removed");
}

TEST_F(Why, ACancellationUnderWayWithdraws) {
  Limits limits = Fleet::plain();
  limits.immediate_executions = 1;
  Fleet slow(limits);
  slow.add_group("g");
  for (const std::string name : {"a", "b", "c"}) {
    slow.add_thing(name);
    slow.join("g", name);
  }
  slow.must_create("j", {slow.group_arn("g")});
  slow.settle();
  ASSERT_TRUE(slow.cancel("j"));
  const auto found = slow.run([&](store::Tx& tx) { return explain_execution(slow.context, tx, "c", "j"); });
  ASSERT_TRUE(found);
  EXPECT_EQ(codes(*found), "execution.queued execution.withdrawn");
}

TEST_F(Why, AFarPlaceInTheQueueIsNotCounted) {
  fleet.add_thing("t");
  for (std::size_t i = 0; i <= kWhyPending; ++i) fleet.must_create_on_thing("j" + std::to_string(1000 + i), "t");
  EXPECT_EQ(codes(about("t", "j1200")), "execution.queued execution.queued.far");
  EXPECT_EQ(about("t", "j1199").back().facts.at("position"), "200");
  const auto all = about_thing("t");
  EXPECT_EQ(all.size(), 21u);
  EXPECT_EQ(all.back().code, "pending.more");
}

}  // namespace
}  // namespace muster::jobs
