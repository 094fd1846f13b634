// SPDX-License-Identifier: Apache-2.0
// What operators do with jobs: every rule of jobs spec 1.2, 1.4 and 1.5 that needs the store.
#include "domain/jobs/jobs.h"

#include "domain/jobs/fleet_fixture.h"

namespace muster::jobs {
namespace {

class Jobs : public testing::Test {
 protected:
  void SetUp() override {
    fleet.add_thing("t");
    fleet.add_thing("u");
    fleet.add_group("g");
    fleet.join("g", "u");
  }
  void expect_refused(const NewJob& job, ErrorKind kind) {
    const auto made = fleet.create(job);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().kind, kind) << made.error().message;
    EXPECT_EQ(fleet.describe(job.id).error().kind, ErrorKind::kNotFound);
    EXPECT_FALSE(fleet.execution("t", job.id));
    EXPECT_TRUE(fleet.heard().empty());
  }
  NewJob job() { return fleet.job_on("j", {fleet.thing_arn("t")}); }
  Fleet fleet;
};

TEST_F(Jobs, created_on_things_and_groups_runs_once_on_each_thing) {
  fleet.add_group("child", "g");
  fleet.add_thing("v");
  fleet.join("child", "v");
  fleet.must_create("j", {fleet.group_arn("g"), fleet.thing_arn("t"), fleet.thing_arn("u"), fleet.group_arn("child"),
                          fleet.group_arn("g")});
  const auto description = fleet.describe("j");
  ASSERT_TRUE(description);
  EXPECT_EQ(description->counts.of(ExecutionStatus::kQueued), 3);
  EXPECT_EQ(description->job->status, JobStatus::kInProgress);
  EXPECT_EQ(description->job->targets.size(), 4u);
  EXPECT_FALSE(description->job->is_concurrent());
  EXPECT_TRUE(description->processing_targets.empty());
}

TEST_F(Jobs, creation_is_refused_whole) {
  NewJob bad = job();
  bad.targets.push_back(fleet.thing_arn("nobody"));
  expect_refused(bad, ErrorKind::kNotFound);
  bad.targets = {fleet.group_arn("nothing")};
  expect_refused(bad, ErrorKind::kNotFound);
  bad.targets = {"arn:aws:iot:eu-central-1:999999999999:thing/t"};
  expect_refused(bad, ErrorKind::kNotFound);
  bad.targets = {"arn:aws:iot:us-east-1:123456789012:thing/t"};
  expect_refused(bad, ErrorKind::kNotFound);
  bad.targets = {"arn:aws:iot:eu-central-1:123456789012:cert/t"};
  expect_refused(bad, ErrorKind::kNotFound);
  bad.targets = {"rubbish"};
  expect_refused(bad, ErrorKind::kNotFound);
  bad.targets = {};
  expect_refused(bad, ErrorKind::kInvalid);
  bad.targets.assign(101, fleet.thing_arn("t"));
  expect_refused(bad, ErrorKind::kInvalid);
  bad = job();
  bad.document = "{";
  expect_refused(bad, ErrorKind::kInvalid);
  bad = job();  // maintenance windows are for continuous jobs
  bad.schedule.windows.push_back({*Cron::parse("cron(0 2 ? * MON *)"), 60});
  expect_refused(bad, ErrorKind::kInvalid);
  bad = job();
  bad.id = "not an id";
  EXPECT_EQ(fleet.create(bad).error().kind, ErrorKind::kInvalid);
}

TEST_F(Jobs, placeholder_needs_a_role_that_can_sign) {
  NewJob bad = job();
  bad.document = R"({"u":"${aws:iot:s3-presigned-url:https://s3/b/k}"})";
  expect_refused(bad, ErrorKind::kInvalid);
  bad.presign = PresignConfig{};
  expect_refused(bad, ErrorKind::kInvalid);
  bad.presign = PresignConfig{"arn:aws:iam::123456789012:role/other", 60};
  expect_refused(bad, ErrorKind::kInvalid);
  bad.presign->role_arn = Fleet::kRole;
  EXPECT_TRUE(fleet.create(bad));
}

TEST_F(Jobs, id_in_use_is_refused_with_the_resource) {
  ASSERT_TRUE(fleet.create(job()));
  const auto again = fleet.create(job());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::kAlreadyExists);
  EXPECT_EQ(get_string(again.error().fields, "resourceId"), "j");
  EXPECT_EQ(get_string(again.error().fields, "resourceArn"), "arn:aws:iot:eu-central-1:123456789012:job/j");
}

TEST_F(Jobs, empty_group_completes_at_once) {
  fleet.add_group("empty");
  fleet.must_create("j", {fleet.group_arn("empty")});
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kCompleted);
  EXPECT_NE(fleet.describe("j")->job->completed_ms, 0);
}

TEST_F(Jobs, completes_when_the_last_execution_ends) {
  fleet.must_create("j", {fleet.thing_arn("t"), fleet.group_arn("g")});
  ASSERT_TRUE(fleet.update("t", "j", "SUCCEEDED"));
  fleet.settle();
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kInProgress);
  ASSERT_TRUE(fleet.update("u", "j", "FAILED"));
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kInProgress);
  fleet.settle();
  const auto description = fleet.describe("j");
  EXPECT_EQ(description->job->status, JobStatus::kCompleted);
  EXPECT_EQ(description->job->completed_ms, fleet.clock.now_ms());
  EXPECT_EQ(description->counts.of(ExecutionStatus::kSucceeded), 1);
  EXPECT_EQ(description->counts.of(ExecutionStatus::kFailed), 1);
}

TEST_F(Jobs, cancel_leaves_what_runs_unless_forced) {
  fleet.must_create("j", {fleet.thing_arn("t"), fleet.thing_arn("u")});
  ASSERT_TRUE(fleet.start("t"));
  ASSERT_TRUE(fleet.cancel("j"));
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kCanceled);
  EXPECT_EQ(fleet.execution("t", "j")->status, ExecutionStatus::kInProgress);
  EXPECT_EQ(fleet.execution("u", "j")->status, ExecutionStatus::kCanceled);
  EXPECT_FALSE(fleet.execution("u", "j")->force_canceled);
  EXPECT_FALSE(fleet.describe("j")->job->force_canceled);
  ASSERT_TRUE(fleet.cancel("j"));  // again: nothing more
  EXPECT_EQ(fleet.execution("t", "j")->status, ExecutionStatus::kInProgress);
  ASSERT_TRUE(fleet.cancel("j", true));
  EXPECT_EQ(fleet.execution("t", "j")->status, ExecutionStatus::kCanceled);
  EXPECT_TRUE(fleet.execution("t", "j")->force_canceled);
  EXPECT_TRUE(fleet.describe("j")->job->force_canceled);
}

TEST_F(Jobs, device_may_finish_what_a_cancel_left) {
  ASSERT_TRUE(fleet.create(job()));
  ASSERT_TRUE(fleet.start("t"));
  ASSERT_TRUE(fleet.cancel("j"));
  ASSERT_TRUE(fleet.update("t", "j", "SUCCEEDED"));
  fleet.settle();
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kCanceled);
}

TEST_F(Jobs, cancel_and_update_of_ended_jobs_are_refused) {
  ASSERT_TRUE(fleet.create(job()));
  ASSERT_TRUE(fleet.update("t", "j", "SUCCEEDED"));
  fleet.settle();
  ASSERT_EQ(fleet.status_of("j"), JobStatus::kCompleted);
  EXPECT_EQ(fleet.cancel("j").error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(fleet.cancel("j", true).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(fleet.cancel("nothing").error().kind, ErrorKind::kNotFound);
  const auto update = [&](JobChange change) {
    return fleet.run_status([&](store::Tx& tx, Effects& e) { return update_job(fleet.context, tx, "j", change, e); });
  };
  JobChange change;
  EXPECT_EQ(update(change).error().kind, ErrorKind::kInvalid);
  change.description = "new";
  const auto refused = update(change);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalid);
  EXPECT_NE(refused.error().message.find("COMPLETED"), std::string::npos);
}

TEST_F(Jobs, delete_follows_the_table) {
  ASSERT_TRUE(fleet.create(job()));
  EXPECT_EQ(fleet.remove("j").error().kind, ErrorKind::kInvalidStateTransition);
  EXPECT_EQ(fleet.remove("nothing").error().kind, ErrorKind::kNotFound);
  ASSERT_TRUE(fleet.start("t"));
  ASSERT_TRUE(fleet.remove("j", true));
  EXPECT_EQ(fleet.status_of("j"), JobStatus::kDeletionInProgress);
  EXPECT_EQ(fleet.remove("j", true).error().kind, ErrorKind::kInvalidStateTransition);
  EXPECT_EQ(fleet.cancel("j").error().kind, ErrorKind::kInvalid);
  // Devices lose it at once, before the engine gets to it.
  EXPECT_EQ(fleet.update("t", "j", "SUCCEEDED").error().kind, ErrorKind::kNotFound);
  EXPECT_FALSE(*fleet.start("t"));
  EXPECT_EQ(fleet.create(job()).error().kind, ErrorKind::kAlreadyExists);
  fleet.settle();
  EXPECT_EQ(fleet.describe("j").error().kind, ErrorKind::kNotFound);
  EXPECT_FALSE(fleet.execution("t", "j"));
  // The id is free again, and starts from nothing.
  ASSERT_TRUE(fleet.create(job()));
  EXPECT_EQ(fleet.describe("j")->counts.of(ExecutionStatus::kQueued), 1);
  EXPECT_EQ(fleet.describe("j")->counts.of(ExecutionStatus::kInProgress), 0);
}

TEST_F(Jobs, deletion_leaves_nothing_in_the_store) {
  const auto create_and_delete = [&] {
    fleet.must_create("j", {fleet.group_arn("g"), fleet.thing_arn("t")});
    ASSERT_TRUE(fleet.start("t"));
    ASSERT_TRUE(fleet.remove("j", true));
    fleet.settle();
    fleet.heard();
  };
  create_and_delete();  // the version of offers stays, once
  const auto keys = fleet.store->size();
  create_and_delete();
  EXPECT_EQ(fleet.store->size(), keys);
}

TEST_F(Jobs, eleventh_deletion_at_a_time_is_refused) {
  for (int i = 0; i < 11; ++i) fleet.must_create_on_thing("j" + std::to_string(i), "t");
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(fleet.remove("j" + std::to_string(i), true));
  EXPECT_EQ(fleet.remove("j10", true).error().kind, ErrorKind::kLimit);
  fleet.settle();
  EXPECT_TRUE(fleet.remove("j10", true));
}

TEST_F(Jobs, listing_is_newest_first_filters_and_pages) {
  fleet.add_group("h");
  for (int i = 0; i < 5; ++i) {
    fleet.must_create("j" + std::to_string(i), {i % 2 == 0 ? fleet.group_arn("g") : fleet.thing_arn("t")});
    fleet.clock.advance_ms(1);
  }
  ASSERT_TRUE(fleet.cancel("j1"));
  const auto ids = [&](JobFilter filter) {
    std::string all;
    for (int pages = 0; pages < 10; ++pages) {
      const auto page = fleet.run([&](store::Tx& tx) { return list_jobs(fleet.context, tx, filter); });
      EXPECT_TRUE(page);
      if (!page) return all;
      for (const auto& found : page->items) all += found->id;
      filter.next_token = page->next_token;
      if (filter.next_token.empty()) break;
    }
    return all;
  };
  JobFilter filter;
  filter.max_results = 2;
  EXPECT_EQ(ids(filter), "j4j3j2j1j0");
  filter.status = JobStatus::kCanceled;
  EXPECT_EQ(ids(filter), "j1");
  filter.status = JobStatus::kInProgress;
  EXPECT_EQ(ids(filter), "j4j3j2j0");
  filter.thing_group = "g";
  EXPECT_EQ(ids(filter), "j4j2j0");
  filter = {};
  filter.selection = Selection::kContinuous;
  EXPECT_EQ(ids(filter), "");
  filter = {};
  filter.next_token = "rubbish";
  const auto bad = fleet.run([&](store::Tx& tx) { return list_jobs(fleet.context, tx, filter); });
  EXPECT_EQ(bad.error().kind, ErrorKind::kInvalid);
}

TEST_F(Jobs, record_survives_the_store) {
  NewJob wanted = fleet.job_on("j", {fleet.thing_arn("t"), fleet.group_arn("g")});
  wanted.description = "beschreibt \"es\"";
  wanted.document_source = "https://s3/b/doc";
  wanted.presign = PresignConfig{std::string(Fleet::kRole), 61};
  wanted.timeout_minutes = 7;
  const auto made = fleet.create(wanted);
  ASSERT_TRUE(made);
  const auto read = decode_job("j", encode(**made));
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), encode(**made));
  EXPECT_EQ(read->description, wanted.description);
  EXPECT_EQ(read->presign->expires_seconds, 61);
  EXPECT_EQ(read->timeout_minutes, 7);
  EXPECT_EQ(decode_job("j", "{}").error().kind, ErrorKind::kInternal);
  EXPECT_EQ(decode_job("j", "rubbish").error().kind, ErrorKind::kInternal);
}

}  // namespace
}  // namespace muster::jobs
