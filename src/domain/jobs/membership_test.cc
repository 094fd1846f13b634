// SPDX-License-Identifier: Apache-2.0
// Who joins, leaves and comes back: every row of the table of targets and groups (jobs spec 3.3).
#include "domain/jobs/membership.h"

#include "domain/jobs/fleet_fixture.h"

namespace muster::jobs {
namespace {

using enum ExecutionStatus;

class Membership : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto& [group, parent] : std::map<std::string, std::string>{{"g", ""}, {"h", ""}, {"i", ""}}) {
      fleet.add_group(group, parent);
    }
    fleet.add_group("child", "g");
    for (const char* name : {"member", "joiner"}) fleet.add_thing(name);
    fleet.join("g", "member");
  }
  void create(Selection selection, std::vector<std::string> groups = {"g"}) {
    NewJob job = fleet.job_on("j", {});
    for (const auto& group : groups) job.targets.push_back(fleet.group_arn(group));
    job.selection = selection;
    const auto made = fleet.create(job);
    ASSERT_TRUE(made) << made.error().message;
    fleet.settle();
    (void)fleet.heard();
  }
  // "QUEUED 1" of the latest execution; "none".
  std::string latest(const std::string& thing) {
    const auto execution = fleet.execution(thing, "j");
    if (!execution) return "none";
    return std::string(to_string(execution->status)) + " " + std::to_string(execution->number);
  }
  void finish(const std::string& thing, const std::string& status = "SUCCEEDED") {
    const auto done = fleet.update(thing, "j", status);
    ASSERT_TRUE(done) << done.error().message;
  }
  void delete_group(const std::string& name) {
    const auto deleted = fleet.run_status([&](store::Tx& tx, Effects& effects) -> Status {
      TRY(const auto deletion, registry::delete_group(tx, fleet.context.realm, name, {}));
      for (const auto& change : deletion.changes) {
        TRY_VOID(membership_changed(fleet.context, tx, change.thing, change.before, change.after, effects));
      }
      return {};
    });
    ASSERT_TRUE(deleted) << deleted.error().message;
  }

  Fleet fleet;
};

TEST_F(Membership, members_at_creation_get_an_execution_of_either_selection) {
  create(Selection::kSnapshot);
  EXPECT_EQ(latest("member"), "QUEUED 1");
  EXPECT_EQ(latest("joiner"), "none");
  ASSERT_TRUE(fleet.remove("j", true));
  fleet.settle();
  create(Selection::kContinuous);
  EXPECT_EQ(latest("member"), "QUEUED 1");
}

TEST_F(Membership, snapshot_job_is_not_concerned_by_who_joins_or_leaves) {
  create(Selection::kSnapshot);
  fleet.join("g", "joiner");
  fleet.leave("g", "member");
  EXPECT_EQ(latest("joiner"), "none");
  EXPECT_EQ(latest("member"), "QUEUED 1");
  EXPECT_EQ(fleet.heard_kinds(), "");
}

TEST_F(Membership, who_joins_a_continuous_job_gets_an_execution_and_hears_of_it) {
  create(Selection::kContinuous);
  fleet.join("g", "joiner");
  EXPECT_EQ(latest("joiner"), "QUEUED 1");
  EXPECT_EQ(fleet.heard_kinds(), "notify notify-next");
}

TEST_F(Membership, joining_a_child_group_is_joining_the_target) {
  create(Selection::kContinuous);
  fleet.join("child", "joiner");
  EXPECT_EQ(latest("joiner"), "QUEUED 1");
}

TEST_F(Membership, moving_within_the_targets_hierarchy_is_no_event) {
  create(Selection::kContinuous);
  finish("member");
  (void)fleet.heard();
  const auto moved = fleet.regroup("member", [&](store::Tx& tx) -> Status {
    TRY_VOID(registry::update_groups_of_thing(tx, {"member", {"g"}, {"child"}}));
    return {};
  });
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(latest("member"), "SUCCEEDED 1");
  EXPECT_EQ(fleet.heard_kinds(), "");
}

TEST_F(Membership, who_joins_is_not_held_up_by_the_rate) {
  fleet.add_thing("second");
  fleet.join("g", "second");
  NewJob job = fleet.job_on("j", {fleet.group_arn("g")});
  job.selection = Selection::kContinuous;
  job.rollout = RolloutConfig{1, {}};
  ASSERT_TRUE(fleet.create(job));
  ASSERT_EQ(fleet.describe("j")->counts.all(), 1);
  fleet.join("g", "joiner");
  EXPECT_EQ(latest("joiner"), "QUEUED 1");
}

TEST_F(Membership, queued_execution_of_who_leaves_is_removed_with_its_version) {
  create(Selection::kContinuous);
  fleet.leave("g", "member");
  EXPECT_EQ(latest("member"), "REMOVED 1");
  EXPECT_EQ(fleet.execution("member", "j")->version, 1);
  EXPECT_EQ(fleet.heard_kinds(), "notify notify-next");
}

TEST_F(Membership, who_leaves_may_finish_what_runs) {
  create(Selection::kContinuous);
  ASSERT_TRUE(fleet.start("member"));
  fleet.leave("g", "member");
  EXPECT_EQ(latest("member"), "IN_PROGRESS 1");
  finish("member");
  EXPECT_EQ(latest("member"), "SUCCEEDED 1");
}

TEST_F(Membership, ended_execution_stays_when_the_thing_leaves) {
  create(Selection::kContinuous);
  finish("member", "FAILED");
  (void)fleet.heard();
  fleet.leave("g", "member");
  EXPECT_EQ(latest("member"), "FAILED 1");
  EXPECT_EQ(fleet.heard_kinds(), "");
}

TEST_F(Membership, who_comes_back_runs_again_under_the_next_number) {
  for (const char* status : {"SUCCEEDED", "FAILED", "REJECTED"}) {
    SCOPED_TRACE(status);
    create(Selection::kContinuous);
    finish("member", status);
    fleet.leave("g", "member");
    fleet.join("g", "member");
    EXPECT_EQ(latest("member"), "QUEUED 2");
    EXPECT_EQ(fleet.execution("member", "j")->version, 1);
    fleet.leave("g", "member");
    EXPECT_EQ(latest("member"), "REMOVED 2");
    fleet.join("g", "member");
    EXPECT_EQ(latest("member"), "QUEUED 3");
    ASSERT_TRUE(fleet.remove("j", true));
    fleet.settle();
  }
}

TEST_F(Membership, who_comes_back_while_it_runs_gets_nothing_more_also_not_afterwards) {
  create(Selection::kContinuous);
  ASSERT_TRUE(fleet.start("member"));
  fleet.leave("g", "member");
  fleet.join("g", "member");
  EXPECT_EQ(latest("member"), "IN_PROGRESS 1");
  finish("member");
  fleet.settle();
  EXPECT_EQ(latest("member"), "SUCCEEDED 1");
}

TEST_F(Membership, retries_count_anew_for_who_comes_back) {
  NewJob job = fleet.job_on("j", {fleet.group_arn("g")});
  job.selection = Selection::kContinuous;
  job.retry = RetryConfig{{{RetryFailure::kFailed, 1}}};
  ASSERT_TRUE(fleet.create(job));
  finish("member", "FAILED");
  finish("member", "FAILED");
  EXPECT_EQ(latest("member"), "FAILED 2");
  fleet.leave("g", "member");
  fleet.join("g", "member");
  EXPECT_EQ(fleet.execution("member", "j")->retries.all(), 0);
  finish("member", "FAILED");
  EXPECT_EQ(latest("member"), "QUEUED 4");
}

TEST_F(Membership, joining_a_second_target_is_an_event_and_leaving_one_of_two_is_none) {
  create(Selection::kContinuous, {"g", "h"});
  finish("member");
  fleet.join("h", "member");
  EXPECT_EQ(latest("member"), "QUEUED 2");
  fleet.leave("g", "member");
  EXPECT_EQ(latest("member"), "QUEUED 2");
  fleet.leave("h", "member");
  EXPECT_EQ(latest("member"), "REMOVED 2");
}

TEST_F(Membership, joining_what_is_no_target_is_no_event) {
  create(Selection::kContinuous);
  finish("member");
  fleet.join("i", "member");
  EXPECT_EQ(latest("member"), "SUCCEEDED 1");
}

TEST_F(Membership, adding_a_member_again_is_no_event) {
  create(Selection::kContinuous);
  finish("member");
  fleet.join("g", "member");
  EXPECT_EQ(latest("member"), "SUCCEEDED 1");
}

TEST_F(Membership, deleted_group_is_left_by_all_its_members) {
  create(Selection::kContinuous, {"h"});
  fleet.join("h", "joiner");
  ASSERT_EQ(latest("joiner"), "QUEUED 1");
  delete_group("h");
  EXPECT_EQ(latest("joiner"), "REMOVED 1");
}

TEST_F(Membership, pending_executions_of_a_deleted_thing_are_removed_of_either_selection) {
  for (const auto selection : {Selection::kSnapshot, Selection::kContinuous}) {
    create(selection);
    ASSERT_TRUE(fleet.start("member"));
    const auto deleted = fleet.run_status([&](store::Tx& tx, Effects& effects) -> Status {
      TRY_VOID(registry::delete_thing(tx, "member", {}));
      return thing_deleted(fleet.context, tx, "member", effects);
    });
    ASSERT_TRUE(deleted);
    EXPECT_EQ(latest("member"), "REMOVED 1");
    EXPECT_EQ(fleet.describe("j")->counts.of(kRemoved), 1);
    ASSERT_TRUE(fleet.remove("j", true));
    fleet.settle();
    fleet.add_thing("member");
    fleet.join("g", "member");
  }
}

TEST_F(Membership, canceled_job_takes_no_members) {
  create(Selection::kContinuous);
  ASSERT_TRUE(fleet.cancel("j"));
  fleet.settle();
  fleet.join("g", "joiner");
  EXPECT_EQ(latest("joiner"), "none");
}

TEST_F(Membership, a_gate_holds_for_who_joins_but_not_for_who_has_had_its_turn) {
  for (const char* name : {"a", "b", "c"}) {
    fleet.add_thing(name);
    fleet.join("g", name);
  }
  NewJob job = fleet.job_on("j", {fleet.group_arn("g")});
  job.selection = Selection::kContinuous;
  job.controls.gates = {Gate{25, {}}};
  ASSERT_TRUE(fleet.create(job));
  fleet.settle();
  ASSERT_EQ(latest("a"), "QUEUED 1");
  fleet.join("g", "joiner");
  fleet.settle();
  EXPECT_EQ(latest("joiner"), "none");
  finish("a");
  fleet.leave("g", "a");
  fleet.join("g", "a");
  fleet.settle();
  EXPECT_EQ(latest("a"), "QUEUED 2");
}

TEST_F(Membership, who_left_before_the_gate_opened_gets_nothing) {
  for (const char* name : {"a", "b", "c"}) {
    fleet.add_thing(name);
    fleet.join("g", name);
  }
  NewJob job = fleet.job_on("j", {fleet.group_arn("g")});
  job.selection = Selection::kContinuous;
  job.controls.gates = {Gate{25, {}}};
  ASSERT_TRUE(fleet.create(job));
  fleet.settle();
  fleet.join("g", "joiner");
  fleet.leave("g", "joiner");
  const auto opened = fleet.run_status([&](store::Tx& tx, Effects& effects) {
    return change_controls(fleet.context, tx, "j", {{"muster:hold", "25"}, {"muster:continue", "all"}}, effects);
  });
  ASSERT_TRUE(opened) << opened.error().message;
  fleet.settle();
  EXPECT_EQ(latest("c"), "QUEUED 1");
  EXPECT_EQ(latest("joiner"), "none");
}

// A snapshot is one of the moment of creation, however long the rollout lasts.
class StagedSnapshot : public Membership {
 protected:
  void SetUp() override {
    Membership::SetUp();
    fleet.add_group("below", "g");
    fleet.add_group("other", "g");
    for (const char* name : {"a", "b", "c", "d"}) {
      fleet.add_thing(name);
      fleet.join("below", name);
    }
    NewJob job = fleet.job_on("j", {fleet.group_arn("g")});
    job.controls.paused = true;
    ASSERT_TRUE(fleet.create(job));
    fleet.settle();
  }
  void resume() {
    const auto resumed = fleet.run_status(
        [&](store::Tx& tx, Effects& effects) { return change_controls(fleet.context, tx, "j", {}, effects); });
    ASSERT_TRUE(resumed) << resumed.error().message;
    fleet.settle();
  }
};

TEST_F(StagedSnapshot, leaves_out_who_joins_later) {
  fleet.join("below", "joiner");
  resume();
  EXPECT_EQ(latest("joiner"), "none");
  EXPECT_EQ(latest("a"), "QUEUED 1");
}

TEST_F(StagedSnapshot, keeps_who_leaves_before_its_turn) {
  fleet.leave("below", "c");
  resume();
  EXPECT_EQ(latest("c"), "QUEUED 1");
}

TEST_F(StagedSnapshot, forgets_who_joined_late_and_left_again) {
  fleet.join("below", "joiner");
  fleet.leave("below", "joiner");
  resume();
  EXPECT_EQ(latest("joiner"), "none");
}

TEST_F(StagedSnapshot, keeps_who_leaves_and_comes_back) {
  fleet.leave("below", "c");
  fleet.join("other", "c");
  resume();
  EXPECT_EQ(latest("c"), "QUEUED 1");
}

TEST_F(StagedSnapshot, leaves_out_who_joined_late_wherever_it_moves) {
  fleet.join("below", "joiner");
  const auto moved = fleet.regroup("joiner", [&](store::Tx& tx) -> Status {
    TRY_VOID(registry::remove_thing_from_group(tx, "below", "joiner"));
    TRY_VOID(registry::add_thing_to_group(tx, "other", "joiner"));
    return {};
  });
  ASSERT_TRUE(moved) << moved.error().message;
  resume();
  EXPECT_EQ(latest("joiner"), "none");
}

TEST_F(StagedSnapshot, leaves_nothing_of_its_rollout_behind) {
  fleet.join("below", "joiner");
  fleet.leave("below", "c");
  resume();
  const auto rows = fleet.run([&](store::Tx& tx) -> Result<std::size_t> {
    const std::string prefix(1, store::table::kJobTarget);
    return tx.range({.begin = prefix, .end = store::after_prefix(prefix)}).size();
  });
  EXPECT_EQ(*rows, 0u);
}

// The rollout is past the one group and not yet at the other.
TEST(RolloutUnderWay, a_thing_that_moves_behind_the_rollout_is_not_lost) {
  for (const auto selection : {Selection::kSnapshot, Selection::kContinuous}) {
    Limits limits = Fleet::plain();
    limits.immediate_executions = 2;
    limits.engine_batch = 1;
    Fleet fleet(limits);
    fleet.add_group("g");
    for (const char* name : {"first", "middle", "last"}) fleet.add_group(name, "g");
    for (int i = 0; i < 6; ++i) {
      fleet.add_thing("t" + std::to_string(i));
      fleet.join(i < 2 ? "first" : i < 4 ? "last" : "middle", "t" + std::to_string(i));
    }
    NewJob job = fleet.job_on("j", {fleet.group_arn("g")});
    job.selection = selection;
    ASSERT_TRUE(fleet.create(job));  // now inside "first" or just behind it
    const auto moved = fleet.regroup("t5", [&](store::Tx& tx) -> Status {
      TRY_VOID(registry::remove_thing_from_group(tx, "middle", "t5"));
      TRY_VOID(registry::add_thing_to_group(tx, "first", "t5"));
      return {};
    });
    ASSERT_TRUE(moved) << moved.error().message;
    fleet.settle();
    for (int i = 0; i < 6; ++i) EXPECT_TRUE(fleet.execution("t" + std::to_string(i), "j")) << i;
    EXPECT_EQ(fleet.describe("j")->counts.of(ExecutionStatus::kQueued), 6);
  }
}

}  // namespace
}  // namespace muster::jobs
