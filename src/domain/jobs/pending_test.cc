// SPDX-License-Identifier: Apache-2.0
// The truth table of notify and notify-next (jobs spec 2.6): one test a row, and what the payloads say.
#include "domain/jobs/pending.h"

#include "domain/jobs/fleet_fixture.h"

namespace muster::jobs {
namespace {

class PendingList : public testing::Test {
 protected:
  void SetUp() override { fleet.add_thing("t"); }
  // Jobs named in order, a second apart.
  void queue(const std::vector<std::string>& jobs) {
    for (const auto& job : jobs) {
      fleet.must_create_on_thing(job, "t");
      fleet.clock.advance_ms(1000);
    }
    fleet.heard();
  }
  Fleet fleet;
};

TEST_F(PendingList, first_execution_queued_says_both) {
  fleet.must_create_on_thing("a", "t");
  const auto messages = fleet.heard();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].suffix, "notify");
  EXPECT_EQ(to_text(messages[0].payload),
            R"({"timestamp":1700000000,"jobs":{"QUEUED":[{"jobId":"a","queuedAt":1700000000,)"
            R"("lastUpdatedAt":1700000000,"executionNumber":1,"versionNumber":1}]}})");
  EXPECT_EQ(messages[1].suffix, "notify-next");
  EXPECT_EQ(to_text(messages[1].payload),
            R"({"timestamp":1700000000,"execution":{"jobId":"a","status":"QUEUED","queuedAt":1700000000,)"
            R"("lastUpdatedAt":1700000000,"versionNumber":1,"executionNumber":1,"jobDocument":{"job":"a"}}})");
}

TEST_F(PendingList, execution_queued_behind_others_says_notify_only) {
  queue({"a"});
  fleet.must_create_on_thing("b", "t");
  EXPECT_EQ(fleet.heard_kinds(), "notify");
}

TEST_F(PendingList, head_that_starts_is_silent) {
  queue({"a", "b"});
  ASSERT_TRUE(fleet.start("t"));
  EXPECT_EQ(fleet.heard_kinds(), "");
}

TEST_F(PendingList, later_one_that_starts_and_becomes_head_says_notify_next) {
  queue({"a", "b"});
  ASSERT_TRUE(fleet.update("t", "b", "IN_PROGRESS"));
  const auto messages = fleet.heard();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].suffix, "notify-next");
  EXPECT_EQ(get_string(messages[0].payload.at("execution").as_object(), "jobId"), "b");
}

TEST_F(PendingList, later_one_that_starts_behind_a_started_head_is_silent) {
  queue({"a", "b"});
  ASSERT_TRUE(fleet.start("t"));
  ASSERT_TRUE(fleet.update("t", "b", "IN_PROGRESS"));
  EXPECT_EQ(fleet.heard_kinds(), "");
}

TEST_F(PendingList, progress_is_silent) {
  queue({"a"});
  ASSERT_TRUE(fleet.start("t"));
  ASSERT_TRUE(fleet.update("t", "a", "IN_PROGRESS"));
  EXPECT_EQ(fleet.heard_kinds(), "");
}

TEST_F(PendingList, last_one_that_ends_leaves_an_empty_list) {
  queue({"a"});
  ASSERT_TRUE(fleet.start("t"));
  ASSERT_TRUE(fleet.update("t", "a", "SUCCEEDED"));
  const auto messages = fleet.heard();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(to_text(messages[0].payload), R"({"timestamp":1700000001,"jobs":{}})");
  EXPECT_EQ(messages[0].suffix, "notify");
  EXPECT_EQ(to_text(messages[1].payload), R"({"timestamp":1700000001})");
  EXPECT_EQ(messages[1].suffix, "notify-next");
}

TEST_F(PendingList, queued_one_behind_the_head_that_ends_says_notify_only) {
  queue({"a", "b"});
  ASSERT_TRUE(fleet.update("t", "b", "REJECTED"));
  EXPECT_EQ(fleet.heard_kinds(), "notify");
}

struct HeadLeaves {
  std::string name;
  std::function<Status(Fleet&)> how;
};
class HeadThatLeaves : public PendingList, public testing::WithParamInterface<HeadLeaves> {};

TEST_P(HeadThatLeaves, says_notify_and_the_next_one) {
  queue({"a", "b"});
  const auto status = GetParam().how(fleet);
  ASSERT_TRUE(status) << status.error().message;
  fleet.settle();
  const auto messages = fleet.heard();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].suffix, "notify");
  EXPECT_EQ(messages[1].suffix, "notify-next");
  EXPECT_EQ(get_string(messages[1].payload.at("execution").as_object(), "jobId"), "b");
}

INSTANTIATE_TEST_SUITE_P(All, HeadThatLeaves,
                         testing::Values(HeadLeaves{"succeeds",
                                                    [](Fleet& f) -> Status {
                                                      TRY_VOID(f.update("t", "a", "SUCCEEDED"));
                                                      return {};
                                                    }},
                                         HeadLeaves{"canceled",
                                                    [](Fleet& f) {
                                                      return f.cancel_one({"t", "a", false, {}, {}});
                                                    }},
                                         HeadLeaves{"deleted",
                                                    [](Fleet& f) {
                                                      return f.remove_one({"t", "a", 1});
                                                    }},
                                         HeadLeaves{"job_canceled", [](Fleet& f) { return f.cancel("a"); }},
                                         HeadLeaves{"job_deleted", [](Fleet& f) { return f.remove("a", true); }}),
                         [](const auto& test) { return test.param.name; });

TEST_F(PendingList, timeout_of_the_head_says_both) {
  NewJob job = fleet.job_on("a", {fleet.thing_arn("t")});
  job.timeout_minutes = 1;
  ASSERT_TRUE(fleet.create(job));
  ASSERT_TRUE(fleet.start("t"));
  fleet.heard();
  fleet.clock.advance_ms(59'000);
  fleet.fire_timers();
  EXPECT_EQ(fleet.heard_kinds(), "");
  fleet.clock.advance_ms(1'000);
  fleet.fire_timers();
  EXPECT_EQ(fleet.heard_kinds(), "notify notify-next");
  EXPECT_EQ(fleet.execution("t", "a")->status, ExecutionStatus::kTimedOut);
}

TEST_F(PendingList, deletion_of_the_thing_is_announced_once) {
  queue({"a", "b", "c"});
  ASSERT_TRUE(fleet.start("t"));
  ASSERT_TRUE(fleet.run_status(
      [&](store::Tx& tx, Effects& effects) { return thing_deleted(fleet.context, tx, "t", effects); }));
  const auto messages = fleet.heard();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_TRUE(messages[0].payload.at("jobs").as_object().empty());
  EXPECT_FALSE(messages[1].payload.contains("execution"));
  for (const std::string job : {"a", "b", "c"}) {
    EXPECT_EQ(fleet.execution("t", job)->status, ExecutionStatus::kRemoved);
  }
  // Started one: version 2; REMOVED itself does not count.
  EXPECT_EQ(fleet.execution("t", "a")->version, 2);
  EXPECT_EQ(fleet.execution("t", "b")->version, 1);
}

TEST_F(PendingList, announcement_lists_ten_in_order_started_first) {
  std::vector<std::string> jobs;
  for (char c = 'a'; c <= 'n'; ++c) jobs.emplace_back(1, c);
  queue(jobs);  // 14
  ASSERT_TRUE(fleet.update("t", "m", "IN_PROGRESS"));
  fleet.heard();
  ASSERT_TRUE(fleet.update("t", "b", "FAILED"));
  const auto messages = fleet.heard();
  ASSERT_EQ(messages.size(), 1u);
  const auto& lists = messages[0].payload.at("jobs").as_object();
  ASSERT_EQ(lists.at("IN_PROGRESS").as_array().size(), 1u);
  EXPECT_EQ(get_string(lists.at("IN_PROGRESS").as_array()[0].as_object(), "jobId"), "m");
  EXPECT_EQ(get_int(lists.at("IN_PROGRESS").as_array()[0].as_object(), "versionNumber"), 2);
  const auto& queued = lists.at("QUEUED").as_array();
  ASSERT_EQ(queued.size(), 9u);
  const std::string expected = "acdefghij";
  for (std::size_t i = 0; i < 9; ++i) EXPECT_EQ(get_string(queued[i].as_object(), "jobId"), expected.substr(i, 1));
}

TEST_F(PendingList, unsignable_document_costs_only_notify_next) {
  NewJob job = fleet.job_on("b", {fleet.thing_arn("t")});
  job.document = R"({"u":"${aws:iot:s3-presigned-url:https://s3/b/k}"})";
  job.presign = PresignConfig{std::string(Fleet::kRole), 60};
  queue({"a"});
  ASSERT_TRUE(fleet.create(job));
  fleet.context.sign_url = [](store::Tx&, const PresignRequest&) -> Result<std::string> {
    return make_error(ErrorKind::kAccessDenied, "the role is gone");
  };
  fleet.heard();
  ASSERT_TRUE(fleet.update("t", "a", "SUCCEEDED"));
  EXPECT_EQ(fleet.heard_kinds(), "notify");
  const auto started = fleet.start("t");
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(fleet.execution("t", "b")->status, ExecutionStatus::kQueued);
}

}  // namespace
}  // namespace muster::jobs
