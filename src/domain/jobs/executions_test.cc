// SPDX-License-Identifier: Apache-2.0
// The state machine for devices and operators, and every error of jobs spec 1.5, 2.4 and 2.5.
#include "domain/jobs/executions.h"

#include "domain/jobs/fleet_fixture.h"

namespace muster::jobs {
namespace {

using enum ExecutionStatus;

class Executions : public testing::Test {
 protected:
  void SetUp() override {
    fleet.add_thing("t");
    fleet.must_create_on_thing("j", "t");
    fleet.clock.advance_ms(1000);
  }
  void bring_to(ExecutionStatus status) {
    switch (status) {
      case kQueued:
        return;
      case kInProgress:
      case kSucceeded:
      case kFailed:
      case kRejected:
        ASSERT_TRUE(fleet.update("t", "j", std::string(to_string(status))));
        return;
      case kCanceled:
        ASSERT_TRUE(fleet.cancel_one({"t", "j", false, {}, {}}));
        return;
      case kRemoved:
        ASSERT_TRUE(fleet.run_status(
            [&](store::Tx& tx, Effects& effects) { return thing_deleted(fleet.context, tx, "t", effects); }));
        return;
      case kTimedOut:
        Update start;
        start.thing = "t";
        start.job = "j";
        start.status = "IN_PROGRESS";
        start.step_timeout_minutes = 1;
        ASSERT_TRUE(fleet.update(start));
        fleet.clock.advance_ms(60'000);
        fleet.fire_timers();
        return;
    }
  }
  ExecutionStatus now() { return fleet.execution("t", "j")->status; }
  Fleet fleet;
};

// From every status to every status, as a device asks for it.
class DeviceTransition : public Executions,
                         public testing::WithParamInterface<std::tuple<ExecutionStatus, ExecutionStatus>> {};

TEST_P(DeviceTransition, follows_the_table) {
  const auto [from, to] = GetParam();
  bring_to(from);
  ASSERT_EQ(now(), from);
  const auto version = fleet.execution("t", "j")->version;
  const auto updated = fleet.update("t", "j", std::string(to_string(to)));
  const bool device_may_ask = to == kInProgress || to == kSucceeded || to == kFailed || to == kRejected;
  if (!is_terminal(from) && device_may_ask) {
    ASSERT_TRUE(updated);
    EXPECT_EQ(now(), to);
    EXPECT_EQ(fleet.execution("t", "j")->version, version + 1);
    EXPECT_EQ(fleet.execution("t", "j")->updated_ms, fleet.clock.now_ms());
    EXPECT_NE(fleet.execution("t", "j")->started_ms, 0);
    return;
  }
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().kind, ErrorKind::kInvalidStateTransition);
  EXPECT_EQ(get_string(updated.error().fields.at("executionState").as_object(), "status"), to_string(from));
  EXPECT_EQ(get_int(updated.error().fields.at("executionState").as_object(), "versionNumber"), version);
  EXPECT_EQ(now(), from);
  EXPECT_EQ(fleet.execution("t", "j")->version, version);
}
INSTANTIATE_TEST_SUITE_P(All, DeviceTransition,
                         testing::Combine(testing::ValuesIn(kAllStatuses), testing::ValuesIn(kAllStatuses)),
                         [](const auto& test) {
                           return std::string(to_string(std::get<0>(test.param))) + "_to_" +
                                  std::string(to_string(std::get<1>(test.param)));
                         });

// CancelJobExecution and DeleteJobExecution from every status, with and without force (jobs spec 1.5).
class OperatorTransition : public Executions, public testing::WithParamInterface<std::tuple<ExecutionStatus, bool>> {};

TEST_P(OperatorTransition, cancel_follows_the_table) {
  const auto [from, force] = GetParam();
  bring_to(from);
  const auto before = *fleet.execution("t", "j");
  const auto status = fleet.cancel_one({"t", "j", force, {}, {}});
  if (from == kQueued || (from == kInProgress && force)) {
    ASSERT_TRUE(status);
    EXPECT_EQ(now(), kCanceled);
    EXPECT_EQ(fleet.execution("t", "j")->force_canceled, force);
    EXPECT_EQ(fleet.execution("t", "j")->version, before.version + 1);
  } else {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().kind, ErrorKind::kInvalidStateTransition);
    EXPECT_EQ(now(), from);
  }
}
TEST_P(OperatorTransition, delete_follows_the_table) {
  const auto [from, force] = GetParam();
  bring_to(from);
  const auto status = fleet.remove_one({"t", "j", 1}, force);
  if (from == kInProgress && !force) {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().kind, ErrorKind::kInvalidStateTransition);
    EXPECT_EQ(now(), from);
  } else {
    ASSERT_TRUE(status);
    EXPECT_FALSE(fleet.execution("t", "j"));
  }
}
INSTANTIATE_TEST_SUITE_P(All, OperatorTransition, testing::Combine(testing::ValuesIn(kAllStatuses), testing::Bool()),
                         [](const auto& test) {
                           return std::string(to_string(std::get<0>(test.param))) +
                                  (std::get<1>(test.param) ? "_by_force" : "");
                         });

TEST_F(Executions, start_next_starts_the_head_and_hands_it_out_again_unchanged) {
  const auto first = fleet.start("t");
  ASSERT_TRUE(first);
  ASSERT_TRUE(*first);
  EXPECT_EQ((*first)->job, "j");
  EXPECT_EQ((*first)->execution.status, kInProgress);
  EXPECT_EQ((*first)->execution.version, 2);
  EXPECT_EQ((*first)->execution.started_ms, fleet.clock.now_ms());
  EXPECT_EQ(*(*first)->document, R"({"job":"j"})");
  fleet.clock.advance_ms(5000);
  const auto again = fleet.run([&](store::Tx& tx, Effects& effects) {
    return start_next(fleet.context, tx, {"t", StatusDetails{{"k", "v"}}, {}}, effects);
  });
  EXPECT_EQ((*again)->execution.version, 2);
  EXPECT_TRUE((*again)->execution.details.empty());
  EXPECT_EQ((*again)->execution.updated_ms, (*first)->execution.updated_ms);
}

TEST_F(Executions, start_next_with_nothing_pending_is_a_success_without_execution) {
  ASSERT_TRUE(fleet.update("t", "j", "SUCCEEDED"));
  const auto none = fleet.start("t");
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  const auto unknown = fleet.start("nobody");
  ASSERT_TRUE(unknown);
  EXPECT_FALSE(*unknown);
}

TEST_F(Executions, details_replace_the_map_and_stay_when_absent) {
  Update update;
  update.thing = "t";
  update.job = "j";
  update.status = "IN_PROGRESS";
  update.details = StatusDetails{{"a", "1"}, {"b", "2"}};
  ASSERT_TRUE(fleet.update(update));
  update.details.reset();
  ASSERT_TRUE(fleet.update(update));
  EXPECT_EQ(fleet.execution("t", "j")->details.size(), 2u);
  update.details = StatusDetails{{"c", "3"}};
  ASSERT_TRUE(fleet.update(update));
  EXPECT_EQ(fleet.execution("t", "j")->details, (StatusDetails{{"c", "3"}}));
}

TEST_F(Executions, update_errors_change_nothing) {
  const auto refused = [&](auto change, ErrorKind kind) {
    Update update;
    update.thing = "t";
    update.job = "j";
    update.status = "IN_PROGRESS";
    change(update);
    const auto result = fleet.update(update);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, kind) << result.error().message;
    EXPECT_EQ(now(), kQueued);
    EXPECT_EQ(fleet.execution("t", "j")->version, 1);
  };
  refused([](Update& u) { u.status = "DONE"; }, ErrorKind::kInvalid);
  refused([](Update& u) { u.job = "k"; }, ErrorKind::kNotFound);
  refused([](Update& u) { u.job = "$next"; }, ErrorKind::kInvalid);
  refused([](Update& u) { u.thing = "u"; }, ErrorKind::kNotFound);
  refused([](Update& u) { u.number = 2; }, ErrorKind::kNotFound);
  refused([](Update& u) { u.expected_version = 2; }, ErrorKind::kVersionConflict);
  refused([](Update& u) { u.step_timeout_minutes = 0; }, ErrorKind::kInvalid);
  refused([](Update& u) { u.step_timeout_minutes = 10081; }, ErrorKind::kInvalid);
}

TEST_F(Executions, version_conflict_tells_the_state) {
  Update update;
  update.thing = "t";
  update.job = "j";
  update.status = "IN_PROGRESS";
  update.expected_version = 7;
  const auto result = fleet.update(update);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("7"), std::string::npos);
  EXPECT_NE(result.error().message.find("found version 1"), std::string::npos);
  EXPECT_EQ(get_string(result.error().fields.at("executionState").as_object(), "status"), "QUEUED");
}

TEST_F(Executions, update_gives_state_and_document_when_asked) {
  Update update;
  update.thing = "t";
  update.job = "j";
  update.status = "IN_PROGRESS";
  const auto plain = fleet.update(update);
  EXPECT_FALSE(plain->state);
  EXPECT_FALSE(plain->document);
  update.include_state = update.include_document = true;
  const auto full = fleet.update(update);
  EXPECT_EQ(full->state->version, 3);
  EXPECT_EQ(*full->document, R"({"job":"j"})");
}

TEST_F(Executions, describe_for_a_device) {
  const auto describe = [&](Describe request) {
    return fleet.run([&](store::Tx& tx) { return describe_for_device(fleet.context, tx, request); });
  };
  EXPECT_EQ((*describe({"t", "j", {}, true}))->execution.status, kQueued);
  EXPECT_FALSE((*describe({"t", "j", {}, false}))->document);
  EXPECT_EQ((*describe({"t", "$next", {}, true}))->job, "j");
  EXPECT_EQ(describe({"t", "k", {}, true}).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(describe({"t", "j", 2, true}).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(describe({"u", "j", {}, true}).error().kind, ErrorKind::kNotFound);
  ASSERT_TRUE(fleet.update("t", "j", "FAILED"));
  EXPECT_EQ(describe({"t", "j", {}, true}).error().kind, ErrorKind::kTerminalState);
  const auto next = describe({"t", "$next", {}, true});
  ASSERT_TRUE(next);
  EXPECT_FALSE(*next);
}

TEST_F(Executions, cancel_checks_the_version_and_replaces_details) {
  EXPECT_EQ(fleet.cancel_one({"t", "j", false, 3, {}}).error().kind, ErrorKind::kVersionConflict);
  EXPECT_EQ(fleet.cancel_one({"t", "k", false, {}, {}}).error().kind, ErrorKind::kNotFound);
  ASSERT_TRUE(fleet.cancel_one({"t", "j", false, 1, StatusDetails{{"why", "x"}}}));
  EXPECT_EQ(fleet.execution("t", "j")->details, (StatusDetails{{"why", "x"}}));
  fleet.settle();
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kCompleted);
}

TEST_F(Executions, status_details_limits) {
  const auto refused = [](const std::string& text) {
    const auto parsed = parse_json(text);
    EXPECT_TRUE(parsed) << text;
    const auto details = parse_status_details(*parsed);
    return !details && details.error().kind == ErrorKind::kInvalid;
  };
  EXPECT_TRUE(refused("[]"));
  EXPECT_TRUE(refused(R"("x")"));
  EXPECT_TRUE(refused(R"({"a":1})"));
  EXPECT_TRUE(refused(R"({"a":""})"));
  EXPECT_TRUE(refused(R"({"":"a"})"));
  EXPECT_TRUE(refused(R"({"a b":"a"})"));
  EXPECT_TRUE(refused(R"({"a":"line\nline"})"));
  EXPECT_TRUE(refused("{\"" + std::string(129, 'k') + "\":\"v\"}"));
  EXPECT_FALSE(refused("{\"" + std::string(128, 'k') + "\":\"v\"}"));
  EXPECT_TRUE(refused("{\"k\":\"" + std::string(1025, 'v') + "\"}"));
  EXPECT_FALSE(refused("{\"k\":\"" + std::string(1024, 'v') + "\"}"));
  std::string eleven = "{";
  for (int i = 0; i < 11; ++i) eleven += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + "\":\"v\"";
  EXPECT_TRUE(refused(eleven + "}"));
}

// ---- timers

TEST_F(Executions, step_timer_is_replaced_kept_and_discarded) {
  Update update;
  update.thing = "t";
  update.job = "j";
  update.status = "IN_PROGRESS";
  update.step_timeout_minutes = 2;
  ASSERT_TRUE(fleet.update(update));
  EXPECT_EQ(fleet.execution("t", "j")->due_ms(), fleet.clock.now_ms() + 120'000);
  fleet.clock.advance_ms(60'000);
  update.step_timeout_minutes.reset();
  ASSERT_TRUE(fleet.update(update));
  EXPECT_EQ(fleet.execution("t", "j")->due_ms(), fleet.clock.now_ms() + 60'000);
  update.step_timeout_minutes = -1;
  ASSERT_TRUE(fleet.update(update));
  EXPECT_EQ(fleet.execution("t", "j")->due_ms(), 0);
  fleet.clock.advance_ms(3'600'000);
  fleet.fire_timers();
  EXPECT_EQ(now(), kInProgress);
  update.step_timeout_minutes = 1;
  ASSERT_TRUE(fleet.update(update));
  fleet.clock.advance_ms(60'000);
  fleet.fire_timers();
  EXPECT_EQ(now(), kTimedOut);
  fleet.settle();
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kCompleted);
}

TEST_F(Executions, in_progress_timer_is_not_moved_by_progress_nor_outlived_by_a_step) {
  NewJob job = fleet.job_on("k", {fleet.thing_arn("t")});
  job.timeout_minutes = 5;
  ASSERT_TRUE(fleet.create(job));
  const auto started = fleet.clock.now_ms();
  Update update;
  update.thing = "t";
  update.job = "k";
  update.status = "IN_PROGRESS";
  ASSERT_TRUE(fleet.update(update));
  fleet.clock.advance_ms(60'000);
  update.step_timeout_minutes = 60;
  ASSERT_TRUE(fleet.update(update));
  EXPECT_EQ(fleet.execution("t", "k")->due_ms(), started + 300'000);
  const auto view = device_view("t", "k", *fleet.execution("t", "k"), fleet.clock.now_ms());
  EXPECT_EQ(view.seconds_to_timeout, 240);
  // Ended in time: its timer is gone with it.
  ASSERT_TRUE(fleet.update("t", "k", "SUCCEEDED"));
  fleet.clock.advance_ms(600'000);
  fleet.fire_timers();
  EXPECT_EQ(fleet.execution("t", "k")->status, kSucceeded);
}

TEST_F(Executions, timeout_of_the_job_does_not_touch_what_runs_already) {
  ASSERT_TRUE(fleet.start("t"));
  ASSERT_TRUE(fleet.run_status([&](store::Tx& tx, Effects& effects) {
    JobChange change;
    change.timeout_minutes = 1;
    return update_job(fleet.context, tx, "j", change, effects);
  }));
  EXPECT_EQ(fleet.execution("t", "j")->due_ms(), 0);
}

// ---- listings

TEST_F(Executions, listing_of_a_thing_is_newest_first_and_pages) {
  for (const std::string job : {"b", "a", "c"}) {
    fleet.must_create_on_thing(job, "t");
    fleet.clock.advance_ms(10);
  }
  ASSERT_TRUE(fleet.update("t", "a", "FAILED"));
  const auto list = [&](ExecutionFilter filter) {
    return fleet.run([&](store::Tx& tx) { return list_executions_of_thing(fleet.context, tx, "t", filter); });
  };
  std::string order;
  ExecutionFilter filter;
  filter.max_results = 2;
  for (int pages = 0; pages < 5; ++pages) {
    const auto page = list(filter);
    ASSERT_TRUE(page);
    for (const auto& row : page->items) order += row.job;
    filter.next_token = page->next_token;
    if (filter.next_token.empty()) break;
  }
  EXPECT_EQ(order, "cabj");
  filter = {};
  filter.status = kFailed;
  EXPECT_EQ(list(filter)->items.size(), 1u);
  filter = {};
  filter.job = "b";
  EXPECT_EQ(list(filter)->items.size(), 1u);
  filter = {};
  filter.status = kQueued;
  filter.max_results = 1;
  const auto first = list(filter);
  EXPECT_EQ(first->items.front().job, "c");
  filter.next_token = first->next_token;
  EXPECT_EQ(list(filter)->items.front().job, "b");
  filter.next_token = "rubbish";
  EXPECT_EQ(list(filter).error().kind, ErrorKind::kInvalid);
  const auto unknown =
      fleet.run([&](store::Tx& tx) { return list_executions_of_thing(fleet.context, tx, "nobody", {}); });
  EXPECT_EQ(unknown.error().kind, ErrorKind::kNotFound);
}

TEST_F(Executions, listing_of_a_job_filters_by_status_and_pages) {
  fleet.add_group("g");
  for (int i = 0; i < 7; ++i) {
    fleet.add_thing("d" + std::to_string(i));
    fleet.join("g", "d" + std::to_string(i));
  }
  fleet.must_create("k", {fleet.group_arn("g")});
  ASSERT_TRUE(fleet.update("d3", "k", "SUCCEEDED"));
  const auto list = [&](ExecutionFilter filter) {
    return fleet.run([&](store::Tx& tx) { return list_executions_of_job(fleet.context, tx, "k", filter); });
  };
  std::string order;
  ExecutionFilter filter;
  filter.max_results = 3;
  filter.status = kQueued;
  for (int pages = 0; pages < 5; ++pages) {
    const auto page = list(filter);
    ASSERT_TRUE(page);
    for (const auto& row : page->items) order += row.thing;
    filter.next_token = page->next_token;
    if (filter.next_token.empty()) break;
  }
  EXPECT_EQ(order, "d0d1d2d4d5d6");
  EXPECT_EQ(list({})->items.size(), 7u);
  filter.status = kSucceeded;
  filter.next_token.clear();
  EXPECT_EQ(list(filter)->items.front().thing, "d3");
  const auto unknown = fleet.run([&](store::Tx& tx) { return list_executions_of_job(fleet.context, tx, "x", {}); });
  EXPECT_EQ(unknown.error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace muster::jobs
