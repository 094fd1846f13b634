// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/templates.h"

#include "domain/jobs/caches.h"
#include "domain/jobs/documents.h"
#include "domain/jobs/fleet_fixture.h"
#include "domain/jobs/managed_templates.h"
#include "domain/registry/tags.h"

namespace muster::jobs {
namespace {

constexpr std::string_view kText = R"({"a":"${HOME}"})";

class JobTemplates : public testing::Test {
 protected:
  JobTemplates() {
    full_.id = "full";
    full_.description = "all members";
    full_.document = kText;
    full_.document_source = "https://s3/b/document";
    full_.presign = PresignConfig{std::string(Fleet::kRole), 300};
    full_.rollout = RolloutConfig{50, ExponentialRate{10, 2, 5, std::nullopt}};
    full_.abort = AbortConfig{{{AbortFailure::kFailed, 12.5, 3}}};
    full_.retry = RetryConfig{{{RetryFailure::kFailed, 4}, {RetryFailure::kTimedOut, 2}}};
    full_.timeout_minutes = 60;
    auto cron = Cron::parse("cron(0 2 ? * MON *)");
    EXPECT_TRUE(cron) << cron.error().message;
    if (cron) full_.windows.push_back({*std::move(cron), 90});
  }
  JobTemplate plain(const std::string& id) const {
    JobTemplate wanted;
    wanted.id = id;
    wanted.description = "about " + id;
    wanted.document = kText;
    return wanted;
  }
  Result<JobTemplate> create(const JobTemplate& wanted, const std::string& job_arn = {}) {
    return fleet_.run([&](store::Tx& tx) { return create_template(fleet_.context, tx, {wanted, job_arn}); });
  }
  void must_create(const JobTemplate& wanted) {
    const auto made = create(wanted);
    ASSERT_TRUE(made) << made.error().message;
  }
  Result<JobTemplate> get(const std::string& id) {
    return fleet_.run([&](store::Tx& tx) { return get_template(tx, id); });
  }
  Status remove(const std::string& id) {
    return store::run_blocking(*fleet_.store, [&](store::Tx& tx) { return delete_template(fleet_.context, tx, id); });
  }
  Result<Page<JobTemplate>> list(std::size_t max, const std::string& token = {}) {
    return fleet_.run([&](store::Tx& tx) { return list_templates(tx, max, token); });
  }
  Status apply(const std::string& arn, NewJob& request) {
    return store::run_blocking(*fleet_.store,
                               [&](store::Tx& tx) { return apply_template(fleet_.context, tx, arn, request); });
  }
  std::string arn(const std::string& id) const { return template_arn(fleet_.context, id); }
  std::string managed_arn(std::string_view name) const {
    return managed_template_arn(fleet_.context, *find_managed_template(name));
  }
  std::string job_arn(const std::string& id) const { return iot_arn(fleet_.context.realm, "job", id); }
  // A job that has every member that a template takes.
  void put(const Job& job) {
    std::string record;
    ASSERT_TRUE(store::run_blocking(*fleet_.store, [&](store::Tx& tx) -> Status {
      put_job(fleet_.context, tx, nullptr, job);
      tx.put(store::Key(store::table::kJobDocument).text(job.id), kText);
      record = *tx.get(store::Key(store::table::kJob).text(job.id));
      return {};
    }));
    fleet_.context.caches->jobs.insert(
        job.id, std::make_shared<const ParsedJob>(ParsedJob{record, std::make_shared<const Job>(job)}));
  }
  Job full_job() const {
    Job job;
    job.id = "j";
    job.description = "of the job";
    job.document_source = "https://s3/b/of-job";
    job.presign = full_.presign;
    job.rollout = full_.rollout;
    job.abort = full_.abort;
    job.retry = full_.retry;
    job.timeout_minutes = 30;
    job.schedule.windows = full_.windows;
    return job;
  }
  void expect_kind(const Status& status, ErrorKind kind, std::string_view words) {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().kind, kind) << status.error().message;
    EXPECT_NE(status.error().message.find(words), std::string::npos) << status.error().message;
  }
  template <class T>
  static Status status_of(const Result<T>& result) {
    if (!result) return result.error();
    return {};
  }

  Fleet fleet_;
  JobTemplate full_;
};

TEST_F(JobTemplates, keep_every_member) {
  must_create(full_);
  const auto stored = get("full");
  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_EQ(stored->id, "full");
  EXPECT_EQ(stored->description, "all members");
  EXPECT_EQ(stored->document, kText);
  EXPECT_EQ(stored->document_source, "https://s3/b/document");
  EXPECT_EQ(stored->presign, full_.presign);
  EXPECT_EQ(stored->rollout, full_.rollout);
  EXPECT_EQ(stored->abort, full_.abort);
  EXPECT_EQ(stored->retry, full_.retry);
  EXPECT_EQ(stored->timeout_minutes, 60);
  ASSERT_EQ(stored->windows.size(), 1u);
  EXPECT_EQ(stored->windows[0].start.text(), "cron(0 2 ? * MON *)");
  EXPECT_EQ(stored->windows[0].minutes, 90);
  EXPECT_EQ(stored->created_ms, fleet_.clock.now_ms());
}

TEST_F(JobTemplates, without_configuration_have_none) {
  must_create(plain("p"));
  const auto stored = get("p");
  ASSERT_TRUE(stored);
  EXPECT_FALSE(stored->presign || stored->rollout || stored->abort || stored->retry || stored->timeout_minutes);
  EXPECT_TRUE(stored->windows.empty() && stored->document_source.empty());
}

TEST_F(JobTemplates, an_id_is_used_once) {
  must_create(plain("p"));
  const auto again = create(plain("p"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::kAlreadyExists);
  EXPECT_EQ(get_string(again.error().fields, "resourceId"), "p");
  ASSERT_TRUE(remove("p"));
  must_create(plain("p"));
}

TEST_F(JobTemplates, bad_ones_are_refused_and_leave_nothing) {
  const auto refused = [&](JobTemplate wanted, std::string_view words) {
    expect_kind(status_of(create(wanted)), ErrorKind::kInvalid, words);
  };
  JobTemplate wanted = plain("p");
  wanted.document = "{";
  refused(wanted, "Invalid job document");
  wanted.document = R"({"a":"${aws:iot:parameter:x}"})";
  refused(wanted, "managed job templates only");
  wanted.document = R"({"a":"${aws:iot:s3-presigned-url:"})";
  refused(wanted, "not terminated");
  wanted.document.clear();
  refused(wanted, "One of jobArn, document and documentSource");
  wanted = plain("p");
  wanted.description.clear();
  refused(wanted, "description");
  refused(plain("a:b"), "Invalid job template id");
  refused(plain(std::string(65, 'x')), "Invalid job template id");
  refused(plain(""), "Invalid job template id");
  expect_kind(status_of(get("p")), ErrorKind::kNotFound, "Job Template p cannot be found");
  EXPECT_TRUE(list(10)->items.empty());
}

// ---- from a job

TEST_F(JobTemplates, of_a_job_copy_its_document_and_configuration) {
  put(full_job());
  JobTemplate wanted = plain("p");
  wanted.document.clear();
  const auto made = create(wanted, job_arn("j"));
  ASSERT_TRUE(made) << made.error().message;
  const auto stored = get("p");
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->description, "about p");
  EXPECT_EQ(stored->document, kText);
  EXPECT_EQ(stored->document_source, "https://s3/b/of-job");
  EXPECT_EQ(stored->presign, full_.presign);
  EXPECT_EQ(stored->rollout, full_.rollout);
  EXPECT_EQ(stored->abort, full_.abort);
  EXPECT_EQ(stored->retry, full_.retry);
  EXPECT_EQ(stored->timeout_minutes, 30);
  EXPECT_TRUE(stored->windows.empty());
}

TEST_F(JobTemplates, of_a_job_replace_members_whole) {
  put(full_job());
  JobTemplate wanted = plain("p");
  wanted.document = R"({"other":1})";
  wanted.presign = PresignConfig{"arn:aws:iam::123456789012:role/other", 3600};
  wanted.rollout = RolloutConfig{7, std::nullopt};
  wanted.timeout_minutes = 5;
  ASSERT_TRUE(create(wanted, job_arn("j")));
  const auto stored = get("p");
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->document, R"({"other":1})");
  EXPECT_EQ(stored->document_source, "");
  EXPECT_EQ(stored->presign, wanted.presign);
  EXPECT_EQ(stored->rollout, wanted.rollout);
  EXPECT_EQ(stored->timeout_minutes, 5);
  EXPECT_EQ(stored->abort, full_.abort);
}

TEST_F(JobTemplates, of_a_job_do_not_take_the_servers_own_timeout) {
  Job job = full_job();
  job.default_timeout = true;
  put(job);
  ASSERT_TRUE(create(plain("p"), job_arn("j")));
  EXPECT_FALSE(get("p")->timeout_minutes);
}

TEST_F(JobTemplates, of_a_job_need_one_that_is_there) {
  const auto of = [&](const std::string& job) { return status_of(create(plain("p"), job)); };
  expect_kind(of(job_arn("none")), ErrorKind::kNotFound, "Job none cannot be found");
  expect_kind(of("arn:aws:iot:us-east-1:123456789012:job/j"), ErrorKind::kNotFound, "Job j cannot be found");
  expect_kind(of(fleet_.thing_arn("j")), ErrorKind::kInvalid, "Invalid job ARN");
  expect_kind(of("j"), ErrorKind::kInvalid, "Invalid job ARN");
  Job job = full_job();
  job.status = JobStatus::kDeletionInProgress;
  put(job);
  expect_kind(of(job_arn("j")), ErrorKind::kNotFound, "Job j cannot be found");
}

// ---- listing and deletion

TEST_F(JobTemplates, are_listed_newest_first_in_pages) {
  for (int i = 0; i < 5; ++i) {
    must_create(plain("p" + std::to_string(i)));
    if (i != 2) fleet_.clock.advance_ms(1000);  // two of one moment
  }
  std::vector<std::string> seen;
  std::string token;
  for (int pages = 0; pages < 5; ++pages) {
    const auto page = list(2, token);
    ASSERT_TRUE(page);
    for (const auto& item : page->items) {
      seen.push_back(item.id);
      EXPECT_EQ(item.description, "about " + item.id);
      EXPECT_GT(item.created_ms, 0);
    }
    token = page->next_token;
    if (token.empty()) break;
    EXPECT_EQ(page->items.size(), 2u);
  }
  EXPECT_EQ(token, "");
  EXPECT_EQ(seen, (std::vector<std::string>{"p4", "p2", "p3", "p1", "p0"}));
  EXPECT_EQ(list(5)->next_token, "");
}

TEST_F(JobTemplates, forged_token_is_refused) {
  expect_kind(status_of(list(5, "nonsense")), ErrorKind::kInvalid, "Invalid next token");
}

TEST_F(JobTemplates, deletion_takes_the_tags_with_it) {
  must_create(plain("p"));
  ASSERT_TRUE(store::run_blocking(*fleet_.store, [&](store::Tx& tx) {
    return registry::tag_resource(tx, arn("p"), {{"team", "a"}});
  }));
  ASSERT_TRUE(remove("p"));
  expect_kind(remove("p"), ErrorKind::kNotFound, "Job Template p cannot be found");
  EXPECT_TRUE(list(5)->items.empty());
  EXPECT_EQ(fleet_.run([&](store::Tx& tx) -> Result<std::size_t> { return registry::tags_of(tx, arn("p")).size(); }),
            0u);
  must_create(plain("p"));
  EXPECT_EQ(list(5)->items.size(), 1u);
}

// ---- CreateJob

TEST_F(JobTemplates, give_a_job_everything_but_their_description) {
  must_create(full_);
  NewJob request;
  ASSERT_TRUE(apply(arn("full"), request));
  EXPECT_EQ(request.template_arn, arn("full"));
  EXPECT_EQ(request.document, kText);
  EXPECT_EQ(request.document_source, "https://s3/b/document");
  EXPECT_EQ(request.description, "");
  EXPECT_EQ(request.presign, full_.presign);
  EXPECT_EQ(request.rollout, full_.rollout);
  EXPECT_EQ(request.abort, full_.abort);
  EXPECT_EQ(request.retry, full_.retry);
  EXPECT_EQ(request.timeout_minutes, 60);
  EXPECT_TRUE(request.windows_of_template);
  ASSERT_EQ(request.schedule.windows.size(), 1u);
  EXPECT_EQ(request.schedule.windows[0].minutes, 90);
}

TEST_F(JobTemplates, leave_what_the_request_has) {
  must_create(full_);
  NewJob request;
  request.document = "{}";
  request.description = "own";
  request.rollout = RolloutConfig{1, std::nullopt};
  request.retry = RetryConfig{{{RetryFailure::kAll, 1}}};
  auto cron = Cron::parse("cron(30 4 * * ? *)");
  ASSERT_TRUE(cron);
  request.schedule.windows.push_back({*cron, 10});
  ASSERT_TRUE(apply(arn("full"), request));
  EXPECT_EQ(request.document, "{}");
  EXPECT_EQ(request.document_source, "");
  EXPECT_EQ(request.description, "own");
  EXPECT_EQ(request.rollout, (RolloutConfig{1, std::nullopt}));
  EXPECT_EQ(request.retry->criteria.size(), 1u);
  EXPECT_EQ(request.abort, full_.abort);
  EXPECT_FALSE(request.windows_of_template);
  EXPECT_EQ(request.schedule.windows.size(), 1u);
  EXPECT_EQ(request.schedule.windows[0].minutes, 10);
}

TEST_F(JobTemplates, that_are_not_there_make_no_job) {
  must_create(full_);
  NewJob request;
  const auto refused = [&](const std::string& of, ErrorKind kind) { expect_kind(apply(of, request), kind, ""); };
  refused(arn("none"), ErrorKind::kNotFound);
  refused("arn:aws:iot:us-east-1:123456789012:jobtemplate/full", ErrorKind::kNotFound);
  refused("arn:aws:iot:eu-central-1:999999999999:jobtemplate/full", ErrorKind::kNotFound);
  refused("arn:aws:iot:eu-central-1::jobtemplate/full", ErrorKind::kNotFound);
  refused("arn:aws:iot:eu-central-1::jobtemplate/AWS-Reboot:2.0", ErrorKind::kNotFound);
  refused("arn:aws:iot:eu-central-1:123456789012:jobtemplate/AWS-Reboot:1.0", ErrorKind::kNotFound);
  refused(job_arn("full"), ErrorKind::kInvalid);
  refused("full", ErrorKind::kInvalid);
  refused("", ErrorKind::kInvalid);
  request.parameters = {{"a", "b"}};
  expect_kind(apply(arn("full"), request), ErrorKind::kInvalid, "documentParameters can only be used with managed");
}

TEST_F(JobTemplates, managed_ones_make_jobs_with_their_parameters) {
  fleet_.add_thing("t");
  NewJob request = fleet_.job_on("j", {fleet_.thing_arn("t")});
  request.document.clear();
  request.parameters = {{"downloadUrl", "${aws:iot:s3-presigned-url:https://s3/b/k}"}, {"filePath", "/tmp/\"k\""}};
  request.presign = full_.presign;
  ASSERT_TRUE(apply(managed_arn("AWS-Download-File"), request));
  EXPECT_EQ(request.description, find_managed_template("AWS-Download-File")->description);
  const auto made = fleet_.create(request);
  ASSERT_TRUE(made) << made.error().message;
  const auto execution = fleet_.start("t");
  ASSERT_TRUE(execution) << execution.error().message;
  const auto document = parse_json(*(*execution)->document);
  ASSERT_TRUE(document);
  const auto& action = document->at("steps").at(0).at("action");
  const json::array& args = action.at("input").at("args").as_array();
  EXPECT_TRUE(args.at(0).as_string().starts_with("https://s3/b/k?signed="));
  EXPECT_EQ(args.at(1), "/tmp/\"k\"");
}

TEST_F(JobTemplates, managed_ones_keep_their_document) {
  NewJob request;
  request.document = "{}";
  expect_kind(apply(managed_arn("AWS-Reboot"), request), ErrorKind::kInvalid, "cannot be replaced");
  request.document.clear();
  request.document_source = "https://s3/b/k";
  expect_kind(apply(managed_arn("AWS-Reboot"), request), ErrorKind::kInvalid, "cannot be replaced");
  request.document_source.clear();
  request.description = "own";
  ASSERT_TRUE(apply(managed_arn("AWS-Reboot"), request));
  EXPECT_EQ(request.description, "own");
  NewJob without;
  expect_kind(apply(managed_arn("AWS-Run-Command"), without), ErrorKind::kInvalid, "requires document parameter");
}

}  // namespace
}  // namespace muster::jobs
