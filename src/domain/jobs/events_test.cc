// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/events.h"

#include <set>

#include "domain/jobs/fleet_fixture.h"
#include "domain/registry/event_configurations.h"

namespace muster::jobs {
namespace {

struct Published {
  std::string topic;
  json::object payload;
  int qos = 0;
};

std::set<std::string> members(const json::object& object) {
  std::set<std::string> names;
  for (const auto& item : object) names.insert(item.key());
  return names;
}

class JobEvents : public testing::Test {
 protected:
  void SetUp() override {
    job_.id = "j";
    job_.targets = {fleet_.thing_arn("t"), fleet_.group_arn("g")};
    job_.description = "\"quoted\" job";
    job_.comment = "why";
    job_.created_ms = 1'699'000'000'123;
    job_.updated_ms = 1'699'000'000'456;
    job_.completed_ms = 1'699'000'000'789;
  }
  void enable(const std::map<std::string, bool>& change) {
    ASSERT_TRUE(store::run_blocking(*fleet_.store,
                                    [&](store::Tx& tx) { return registry::update_event_configurations(tx, change); }));
  }
  // What `announce` publishes, by way of the real outbox.
  std::vector<Published> published(const std::function<void(store::Tx&, Effects&)>& announce) {
    Effects effects;
    EXPECT_TRUE(store::run_blocking(*fleet_.store, [&](store::Tx& tx) -> Status {
      effects = {};
      announce(tx, effects);
      return {};
    }));
    std::vector<Published> all;
    store::Outbox outbox(*fleet_.store,
                         [&](std::vector<store::OutboxMessage> batch, const std::function<void()>& handled) {
                           for (const auto& message : batch) {
                             const auto payload = parse_json(message.payload);
                             ASSERT_TRUE(payload) << message.payload;
                             all.push_back({message.topic, payload->as_object(), message.qos});
                           }
                           handled();
                         });
    outbox.drain();
    EXPECT_EQ(effects.messages, !all.empty());
    return all;
  }
  std::vector<Published> job_event(JobEvent event) {
    return published([&](store::Tx& tx, Effects& effects) { announce_job(fleet_.context, tx, job_, event, effects); });
  }
  std::vector<Published> execution_event(ExecutionStatus before, std::optional<ExecutionStatus> after,
                                         StatusDetails details = {}) {
    Execution from, to;
    from.status = before;
    from.details = details;
    if (after) to.status = *after;
    to.details = std::move(details);
    return published([&](store::Tx& tx, Effects& effects) {
      announce_execution(fleet_.context, tx, {"t", "j", 2}, from, after ? &to : nullptr, effects);
    });
  }
  Fleet fleet_;
  Job job_;
};

TEST_F(JobEvents, nothing_is_published_until_events_are_enabled) {
  EXPECT_TRUE(job_event(JobEvent::kCompleted).empty());
  EXPECT_TRUE(execution_event(ExecutionStatus::kInProgress, ExecutionStatus::kSucceeded).empty());
}

TEST_F(JobEvents, the_two_kinds_are_enabled_apart) {
  enable({{"JOB", true}});
  EXPECT_EQ(job_event(JobEvent::kCanceled).size(), 1u);
  EXPECT_TRUE(execution_event(ExecutionStatus::kInProgress, ExecutionStatus::kFailed).empty());
  enable({{"JOB", false}, {"JOB_EXECUTION", true}});
  EXPECT_TRUE(job_event(JobEvent::kCanceled).empty());
  EXPECT_EQ(execution_event(ExecutionStatus::kInProgress, ExecutionStatus::kFailed).size(), 1u);
}

TEST_F(JobEvents, completed_job_tells_the_counts_of_its_executions) {
  enable({{"JOB", true}});
  const auto count = [&](std::string_view status, std::int64_t by) {
    return [=](store::Tx& tx) {
      tx.add(store::Key(store::table::kJobCount).text("j").text(status), by);
      return Status();
    };
  };
  ASSERT_TRUE(store::run_blocking(*fleet_.store, count("SUCCEEDED", 3)));
  ASSERT_TRUE(store::run_blocking(*fleet_.store, count("TIMED_OUT", 2)));
  const auto all = published([&](store::Tx& tx, Effects& effects) {
    ASSERT_TRUE(count("FAILED", 1)(tx));  // of the same transaction
    announce_job(fleet_.context, tx, job_, JobEvent::kCompleted, effects);
  });
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].topic, "$aws/events/job/j/completed");
  EXPECT_EQ(all[0].qos, 1);
  json::object event = all[0].payload;
  EXPECT_EQ(get_string(event, "eventId").size(), 36u);
  event.erase("eventId");
  const json::object expected{{"eventType", "JOB"},
                              {"timestamp", fleet_.clock.now_ms() / 1000},
                              {"operation", "completed"},
                              {"jobId", "j"},
                              {"status", "COMPLETED"},
                              {"targetSelection", "SNAPSHOT"},
                              {"targets", json::array{fleet_.thing_arn("t"), fleet_.group_arn("g")}},
                              {"description", "\"quoted\" job"},
                              {"completedAt", 1'699'000'000'789},
                              {"createdAt", 1'699'000'000'123},
                              {"lastUpdatedAt", 1'699'000'000'456},
                              {"jobProcessDetails",
                               {{"numberOfCanceledThings", 0},
                                {"numberOfRejectedThings", 0},
                                {"numberOfFailedThings", 1},
                                {"numberOfRemovedThings", 0},
                                {"numberOfSucceededThings", 3},
                                {"numberOfTimedOutThings", 2}}}};
  EXPECT_EQ(event, expected) << to_text(event);
}

TEST_F(JobEvents, canceling_and_deleting_are_two_messages_each) {
  enable({{"JOB", true}});
  job_.selection = Selection::kContinuous;
  const auto all = published([&](store::Tx& tx, Effects& effects) {
    for (const auto event :
         {JobEvent::kCancellationInProgress, JobEvent::kCanceled, JobEvent::kDeletionInProgress, JobEvent::kDeleted}) {
      announce_job(fleet_.context, tx, job_, event, effects);
    }
  });
  ASSERT_EQ(all.size(), 4u);
  const std::string_view words[] = {"cancellation_in_progress", "canceled", "deletion_in_progress", "deleted"};
  const std::string_view statuses[] = {"CANCELLATION_IN_PROGRESS", "CANCELED", "DELETION_IN_PROGRESS", "DELETED"};
  std::set<std::string> ids;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& [topic, event, qos] = all[i];
    EXPECT_EQ(topic, "$aws/events/job/j/" + std::string(words[i]));
    EXPECT_EQ(get_string(event, "operation"), words[i]);
    EXPECT_EQ(get_string(event, "status"), statuses[i]);
    EXPECT_EQ(get_string(event, "targetSelection"), "CONTINUOUS");
    EXPECT_EQ(get_string(event, "comment"), words[i] == "canceled" ? "" : "why");
    EXPECT_FALSE(has(event, "completedAt"));
    EXPECT_FALSE(has(event, "jobProcessDetails"));
    ids.emplace(get_string(event, "eventId"));
  }
  EXPECT_EQ(ids.size(), 4u);
}

TEST_F(JobEvents, members_without_a_value_are_left_out) {
  enable({{"JOB", true}});
  job_.description.clear();
  job_.comment.clear();
  const auto all = job_event(JobEvent::kDeleted);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(members(all[0].payload),
            (std::set<std::string>{"eventType", "eventId", "timestamp", "operation", "jobId", "status",
                                   "targetSelection", "targets", "createdAt", "lastUpdatedAt"}));
}

TEST_F(JobEvents, every_end_of_an_execution_has_its_topic) {
  enable({{"JOB_EXECUTION", true}});
  const std::pair<ExecutionStatus, std::string> ends[] = {
      {ExecutionStatus::kSucceeded, "succeeded"}, {ExecutionStatus::kFailed, "failed"},
      {ExecutionStatus::kTimedOut, "timed_out"},  {ExecutionStatus::kRejected, "rejected"},
      {ExecutionStatus::kRemoved, "removed"},     {ExecutionStatus::kCanceled, "canceled"}};
  for (const auto& [status, word] : ends) {
    const auto all = execution_event(ExecutionStatus::kQueued, status, {{"step", "1"}});
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].topic, "$aws/events/jobExecution/j/" + word);
    json::object event = all[0].payload;
    EXPECT_EQ(get_string(event, "eventId").size(), 36u);
    event.erase("eventId");
    const json::object expected{{"eventType", "JOB_EXECUTION"},
                                {"timestamp", fleet_.clock.now_ms() / 1000},
                                {"operation", word},
                                {"jobId", "j"},
                                {"thingArn", fleet_.thing_arn("t")},
                                {"status", to_string(status)},
                                {"statusDetails", {{"step", "1"}}}};
    EXPECT_EQ(event, expected) << to_text(event);
  }
}

TEST_F(JobEvents, deleted_execution_tells_the_status_that_it_had) {
  enable({{"JOB_EXECUTION", true}});
  for (const auto status : kAllStatuses) {
    const auto all = execution_event(status, std::nullopt);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].topic, "$aws/events/jobExecution/j/deleted");
    EXPECT_EQ(get_string(all[0].payload, "operation"), "deleted");
    EXPECT_EQ(get_string(all[0].payload, "status"), to_string(status));
    EXPECT_FALSE(has(all[0].payload, "statusDetails"));
  }
}

TEST_F(JobEvents, what_is_no_end_is_no_event) {
  enable({{"JOB_EXECUTION", true}});
  EXPECT_TRUE(execution_event(ExecutionStatus::kQueued, ExecutionStatus::kInProgress).empty());
  EXPECT_TRUE(execution_event(ExecutionStatus::kInProgress, ExecutionStatus::kInProgress).empty());
  EXPECT_TRUE(execution_event(ExecutionStatus::kInProgress, ExecutionStatus::kQueued).empty());
  // A change of one that has ended already.
  EXPECT_TRUE(execution_event(ExecutionStatus::kFailed, ExecutionStatus::kFailed).empty());
}

TEST_F(JobEvents, nothing_leaves_when_the_transaction_does_not_commit) {
  enable({{"JOB", true}});
  EXPECT_FALSE(store::run_blocking(*fleet_.store, [&](store::Tx& tx) -> Status {
    Effects effects;
    announce_job(fleet_.context, tx, job_, JobEvent::kCanceled, effects);
    return invalid("no");
  }));
  EXPECT_TRUE(published([](store::Tx&, Effects&) {}).empty());
}

}  // namespace
}  // namespace muster::jobs
