// SPDX-License-Identifier: Apache-2.0
// The Jobs requests read and the Job shape written, without a store.
#include "api/services/iot/jobs_shapes.h"

#include <gtest/gtest.h>

namespace muster::api::iot {
namespace {

const Realm kRealm{"123456789012", "eu-west-1"};
constexpr std::int64_t kNow = 1'700'000'000'000;

json::object parse(std::string_view text) {
  return parse_json(text)->get_object();
}
Result<jobs::NewJob> create(std::string_view members) {
  return new_job(parse(R"({"jobId":"j","targets":["arn:a","arn:b"])" + std::string(members) + "}"), kNow);
}
std::string refusal(std::string_view members) {
  const auto job = create(members);
  EXPECT_FALSE(job) << members;
  if (job) return {};
  EXPECT_EQ(job.error().kind, ErrorKind::kInvalid) << members;
  return job.error().message;
}

TEST(NewJob, TakesEveryMember) {
  const auto job = create(R"(,"document":"{}","description":"d","targetSelection":"CONTINUOUS",
    "presignedUrlConfig":{"roleArn":"arn:r","expiresInSec":61},
    "jobExecutionsRolloutConfig":{"maximumPerMinute":9},
    "abortConfig":{"criteriaList":[{"failureType":"ALL","action":"CANCEL","thresholdPercentage":1.5,
                                    "minNumberOfExecutedThings":2}]},
    "timeoutConfig":{"inProgressTimeoutInMinutes":3},"namespaceId":"ns","jobTemplateArn":"arn:t",
    "jobExecutionsRetryConfig":{"criteriaList":[{"failureType":"FAILED","numberOfRetries":2}]},
    "documentParameters":{"a":"b"},
    "schedulingConfig":{"startTime":"2023-11-15T10:00","endTime":"2023-11-16T10:00","endBehavior":"CANCEL"})");
  ASSERT_TRUE(job) << job.error().message;
  EXPECT_EQ(job->id, "j");
  EXPECT_EQ(job->targets, (std::vector<std::string>{"arn:a", "arn:b"}));
  EXPECT_EQ(job->document, "{}");
  EXPECT_EQ(job->document_source, "");
  EXPECT_EQ(job->description, "d");
  EXPECT_EQ(job->selection, jobs::Selection::kContinuous);
  EXPECT_EQ(job->presign, (jobs::PresignConfig{"arn:r", 61}));
  EXPECT_EQ(job->rollout, (jobs::RolloutConfig{9, {}}));
  EXPECT_EQ(job->abort, (jobs::AbortConfig{{{jobs::AbortFailure::kAll, 1.5, 2}}}));
  EXPECT_EQ(job->timeout_minutes, 3);
  EXPECT_EQ(job->namespace_id, "ns");
  EXPECT_EQ(job->template_arn, "arn:t");
  EXPECT_EQ(job->retry, (jobs::RetryConfig{{{jobs::RetryFailure::kFailed, 2}}}));
  EXPECT_EQ(job->parameters, (std::map<std::string, std::string>{{"a", "b"}}));
  EXPECT_EQ(job->schedule.start_ms, 1'700'042'400'000);
  EXPECT_EQ(job->schedule.end_behavior, jobs::EndBehavior::kCancel);
}

TEST(NewJob, LeavesToTheTemplateOrTheServerWhatIsNotGiven) {
  const auto job = create(R"(,"jobTemplateArn":"arn:t","description":null)");
  ASSERT_TRUE(job) << job.error().message;
  EXPECT_FALSE(job->selection || job->presign || job->timeout_minutes || job->rollout || job->abort || job->retry);
  EXPECT_TRUE(job->schedule.empty());
  EXPECT_TRUE(job->document.empty() && job->description.empty() && job->namespace_id.empty());
}

TEST(NewJob, HasOneSourceOfItsDocument) {
  EXPECT_NE(refusal("").find("jobTemplateArn"), std::string::npos);
  EXPECT_NE(refusal(R"(,"document":"{}","documentSource":"https://s3.amazonaws.com/b/k")").find("Only one"),
            std::string::npos);
  EXPECT_NE(refusal(R"(,"document":"{}","documentParameters":{"a":"b"})").find("documentParameters"),
            std::string::npos);
  EXPECT_TRUE(create(R"(,"document":"{}","jobTemplateArn":"arn:t")"));  // replaces the template's
}

TEST(NewJob, RefusesEachBadMember) {
  for (const auto* member : {R"("timeoutConfig":{})", R"("jobExecutionsRolloutConfig":{})", R"("abortConfig":{})",
                             R"("jobExecutionsRetryConfig":{})", R"("presignedUrlConfig":{"expiresInSec":5})",
                             R"("schedulingConfig":{"startTime":"2023-11-14T22:15"})"}) {
    refusal(R"(,"document":"{}",)" + std::string(member));
  }
}

TEST(JobChange, TakesWhatIsGiven) {
  const auto none = job_change(parse(R"({"jobId":"j"})"));
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->description || none->presign || none->timeout_minutes || none->rollout || none->abort ||
               none->retry);
  const auto some = job_change(parse(R"({"jobId":"j","description":"","timeoutConfig":{"inProgressTimeoutInMinutes":1},
    "jobExecutionsRetryConfig":{"criteriaList":[{"failureType":"ALL","numberOfRetries":0}]}})"));
  ASSERT_TRUE(some);
  EXPECT_EQ(some->description, "");
  EXPECT_EQ(some->timeout_minutes, 1);
  EXPECT_EQ(some->retry, (jobs::RetryConfig{{{jobs::RetryFailure::kAll, 0}}}));
  EXPECT_FALSE(job_change(parse(R"({"jobId":"j","timeoutConfig":{}})")));
}

jobs::JobDescription description_of(jobs::Job job) {
  jobs::JobDescription description;
  description.job = std::make_shared<const jobs::Job>(std::move(job));
  return description;
}

TEST(JobShape, OfAPlainJobHasWhatAwsShowsAlways) {
  jobs::Job job;
  job.id = "j";
  job.targets = {"arn:a"};
  job.created_ms = job.updated_ms = kNow;
  job.rolled_out = true;
  EXPECT_EQ(to_text(job_shape(kRealm, description_of(job))),
            R"({"jobArn":"arn:aws:iot:eu-west-1:123456789012:job/j","jobId":"j","targetSelection":"SNAPSHOT",)"
            R"("status":"IN_PROGRESS","createdAt":1700000000000,"lastUpdatedAt":1700000000000,"isConcurrent":false,)"
            R"("targets":["arn:a"],"jobProcessDetails":{"numberOfCanceledThings":0,"numberOfSucceededThings":0,)"
            R"("numberOfFailedThings":0,"numberOfRejectedThings":0,"numberOfQueuedThings":0,)"
            R"("numberOfInProgressThings":0,"numberOfRemovedThings":0,"numberOfTimedOutThings":0},)"
            R"("presignedUrlConfig":{},"jobExecutionsRolloutConfig":{},"timeoutConfig":{},"schedulingConfig":{}})");
}

TEST(JobShape, ShowsEveryMemberOfARequest) {
  const std::string request =
      R"("presignedUrlConfig":{"roleArn":"arn:r","expiresInSec":61},)"
      R"("jobExecutionsRolloutConfig":{"maximumPerMinute":9,"exponentialRate":{"baseRatePerMinute":2,)"
      R"("incrementFactor":1.5,"rateIncreaseCriteria":{"numberOfSucceededThings":4}}},)"
      R"("timeoutConfig":{"inProgressTimeoutInMinutes":3},)"
      R"("schedulingConfig":{"startTime":"2023-11-15T10:00","endTime":"2023-11-16T10:00","endBehavior":"CANCEL"},)"
      R"("abortConfig":{"criteriaList":[{"failureType":"ALL","action":"CANCEL","thresholdPercentage":1.5,)"
      R"("minNumberOfExecutedThings":2}]},)"
      R"("jobExecutionsRetryConfig":{"criteriaList":[{"failureType":"FAILED","numberOfRetries":2}]},)"
      R"("namespaceId":"ns","jobTemplateArn":"arn:t","documentParameters":{"a":"b"})";
  const auto wanted = create("," + request);
  ASSERT_TRUE(wanted) << wanted.error().message;
  jobs::Job job;
  job.id = "j";
  job.presign = wanted->presign;
  job.rollout = wanted->rollout;
  job.timeout_minutes = *wanted->timeout_minutes;
  job.schedule = wanted->schedule;
  job.abort = wanted->abort;
  job.retry = wanted->retry;
  job.namespace_id = wanted->namespace_id;
  job.template_arn = wanted->template_arn;
  job.parameters = wanted->parameters;
  job.force_canceled = true;
  job.reason_code = "R";
  job.comment = "c";
  auto description = description_of(job);
  description.processing_targets = {"arn:a"};
  description.scheduled_rollouts = {1'700'042'400'000};
  const auto shape = job_shape(kRealm, description);
  for (const auto& [member, value] : parse("{" + request + "}")) {
    ASSERT_TRUE(shape.contains(member)) << std::string_view(member);
    EXPECT_EQ(shape.at(member), value) << std::string_view(member) << " " << to_text(shape.at(member));
  }
  EXPECT_EQ(to_text(shape.at("scheduledJobRollouts")), R"([{"startTime":"2023-11-15T10:00:00Z"}])");
  EXPECT_EQ(to_text(shape.at("jobProcessDetails").at("processingTargets")), R"(["arn:a"])");
  EXPECT_EQ(shape.at("forceCanceled"), json::value(true));
  EXPECT_EQ(get_string(shape, "reasonCode"), "R");
  EXPECT_EQ(get_string(shape, "comment"), "c");
}

TEST(ExecutionShapes, CountRetriesAndTellTheDeadline) {
  jobs::ExecutionRow row{"t", "j", {}};
  row.execution.number = 3;
  row.execution.retries = {1, 1};
  row.execution.status = jobs::ExecutionStatus::kInProgress;
  row.execution.started_ms = kNow;
  row.execution.deadline_ms = kNow + 60'000;
  row.execution.step_deadline_ms = kNow + 30'000;
  EXPECT_EQ(get_int(execution_summary_shape(row.execution), "retryAttempt"), 2);
  EXPECT_EQ(get_int(execution_shape(kRealm, row, kNow), "approximateSecondsBeforeTimedOut"), 30);
  EXPECT_EQ(get_int(execution_shape(kRealm, row, kNow + 90'000), "approximateSecondsBeforeTimedOut"), 0);
}

}  // namespace
}  // namespace muster::api::iot
