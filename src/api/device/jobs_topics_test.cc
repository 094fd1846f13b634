// SPDX-License-Identifier: Apache-2.0
// The Jobs MQTT API on a real loop and the memory engine: topics, envelopes, codes (jobs spec 2.1-2.5).
#include "api/device/jobs_topics.h"

#include <gtest/gtest.h>

#include <future>

#include "api/device/jobs_requests.h"
#include "domain/jobs/jobs.h"
#include "domain/registry/things.h"
#include "store/memory_engine.h"

namespace muster::api::device {
namespace {

using Call = JobsTopic::Call;

struct Reply {
  std::string topic;
  std::string payload;
  json::object body;
};

class JobsTopicsTest : public testing::Test {
 protected:
  JobsTopicsTest()
      : store_(store::make_memory_store(clock_)),
        context_(jobs::make_context(Realm{"123456789012", "eu-central-1"}, {}, {})),
        loop_("broker") {
    jobs::Signals signals;
    signals.outbox = [this] { order_ += " outbox"; };
    signals.engine = [this](std::string_view job) { order_ += " engine:" + std::string(job); };
    topics_ = std::make_unique<JobsTopics>(loop_, clock_, *store_, context_, std::move(signals));
    loop_.start();
    EXPECT_TRUE(store::run_blocking(*store_, [&](store::Tx& tx) -> Status {
      TRY_VOID(registry::create_thing(tx, context_.realm, {"t", {}, {}}));
      return {};
    }));
  }
  ~JobsTopicsTest() override { loop_.stop(); }

  void create(const std::string& id) {
    const auto status = store::run_blocking(*store_, [&](store::Tx& tx) -> Status {
      jobs::NewJob job;
      job.id = id;
      job.targets = {registry::thing_arn(context_.realm, "t")};
      job.document = R"({"do":"it"})";
      jobs::Effects effects;
      TRY_VOID(jobs::create_job(context_, tx, job, effects));
      return {};
    });
    ASSERT_TRUE(status) << status.error().message;
  }

  // Publishes and waits for the acknowledgement; exactly one reply must have come before it.
  Reply publish(const std::string& topic, const std::string& payload) {
    std::promise<bool> owned, acknowledged;
    std::vector<Reply> replies;
    order_.clear();
    loop_.post([&] {
      mqtt::Ingress message;
      message.client_id = "c";
      message.topic = topic;
      message.payload = payload;
      message.reply = [&](std::string to, std::string what) {
        order_ += "reply";
        replies.push_back({std::move(to), std::move(what), {}});
      };
      owned.set_value(topics_->handle(message, [&](bool accepted) { acknowledged.set_value(accepted); }));
    });
    EXPECT_TRUE(owned.get_future().get());
    auto done = acknowledged.get_future();
    if (done.wait_for(std::chrono::seconds(20)) != std::future_status::ready) {
      ADD_FAILURE() << "no acknowledgement";
      return {};
    }
    EXPECT_TRUE(done.get());
    std::promise<void> settled;
    loop_.post([&] { settled.set_value(); });  // signals come after the acknowledgement
    settled.get_future().get();
    EXPECT_EQ(replies.size(), 1u);
    if (replies.size() != 1) return {};
    const auto parsed = parse_json(replies[0].payload);
    EXPECT_TRUE(parsed) << replies[0].payload;
    if (parsed) replies[0].body = parsed->as_object();
    return replies[0];
  }
  Reply jobs(const std::string& suffix, const std::string& payload) {
    auto reply = publish("$aws/things/t/jobs/" + suffix, payload);
    constexpr std::string_view kPrefix = "$aws/things/t/jobs/";
    if (reply.topic.starts_with(kPrefix)) reply.topic.erase(0, kPrefix.size());
    return reply;
  }
  std::string code(const std::string& suffix, const std::string& payload) {
    const auto reply = jobs(suffix, payload);
    EXPECT_EQ(reply.topic, suffix + "/rejected") << reply.payload;
    EXPECT_TRUE(reply.body.contains("message"));
    EXPECT_EQ(get_int(reply.body, "timestamp"), 1'700'000'000);
    return std::string(get_string(reply.body, "code"));
  }

  io::VirtualClock clock_;
  std::unique_ptr<store::MemoryStore> store_;
  jobs::Context context_;
  io::Loop loop_;
  std::unique_ptr<JobsTopics> topics_;
  std::string order_;  // written on the loop, read when it is idle
};

TEST(JobsTopicParsing, names_each_call) {
  const auto call = [](std::string_view suffix) {
    const auto topic = parse_jobs_topic("$aws/things/t:1/jobs/" + std::string(suffix));
    return topic ? topic->call : Call::kUnknown;
  };
  EXPECT_EQ(call("get"), Call::kGetPending);
  EXPECT_EQ(call("start-next"), Call::kStartNext);
  EXPECT_EQ(call("j/get"), Call::kDescribe);
  EXPECT_EQ(call("$next/get"), Call::kDescribe);
  EXPECT_EQ(call("j/update"), Call::kUpdate);
  EXPECT_EQ(call("j/namespace-n/get"), Call::kDescribe);
  EXPECT_EQ(call("$next/namespace-n/get"), Call::kDescribe);
  EXPECT_EQ(call("j/namespace-n/update"), Call::kUpdate);
  // Legal job ids, whose own topics are one level deeper than the thing's.
  EXPECT_EQ(call("get/get"), Call::kDescribe);
  EXPECT_EQ(call("notify/update"), Call::kUpdate);
  for (const auto* suffix : {"",
                             "notify",
                             "notify-next",
                             "j",
                             "j/",
                             "j/get/accepted",
                             "j/delete",
                             "/get",
                             "a b/get",
                             "j/namespace-/get",
                             "j/namespace-n",
                             "j/namespace-n/",
                             "j/namespace-a.b/get",
                             "j/namespace-n/delete",
                             "j/namespace-n/get/accepted",
                             "j/namespace-n/namespace-m/get",
                             "get/accepted",
                             "$other/get",
                             "get/namespace-n",
                             "start-next/namespace-n",
                             "notify-namespace-n",
                             "notify-next-namespace-n"}) {
    EXPECT_EQ(call(suffix), Call::kUnknown) << suffix;
  }
  const auto namespaced = parse_jobs_topic("$aws/things/t/jobs/$next/namespace-aws-gg-deployment/get");
  EXPECT_EQ(namespaced->job, "$next");
  EXPECT_EQ(namespaced->namespace_id, "aws-gg-deployment");
  EXPECT_EQ(parse_jobs_topic("$aws/things/t/jobs/j/get")->namespace_id, "");
  EXPECT_EQ(parse_jobs_topic("$aws/things/t:1/jobs/j/update")->thing, "t:1");
  EXPECT_EQ(parse_jobs_topic("$aws/things/t:1/jobs/j/update")->job, "j");
  for (const auto* foreign : {"$aws/things/t/shadow/get", "$aws/things/a/b/jobs/get", "$aws/things/t/jobs", "jobs/get",
                              "$aws/events/job/x", "$aws/things/"}) {
    EXPECT_FALSE(parse_jobs_topic(foreign)) << foreign;
  }
}

TEST_F(JobsTopicsTest, idle_describe_of_next_answers_the_timestamp_alone) {
  const auto reply = jobs("$next/get", "");
  EXPECT_EQ(reply.topic, "$next/get/accepted");
  EXPECT_EQ(reply.payload, R"({"timestamp":1700000000})");
  EXPECT_EQ(order_, "reply");
}

TEST_F(JobsTopicsTest, one_execution_from_start_to_end) {
  create("j");
  auto reply = jobs("get", R"({"clientToken":"a\"b"})");
  EXPECT_EQ(reply.topic, "get/accepted");
  EXPECT_EQ(reply.payload,
            R"({"clientToken":"a\"b","timestamp":1700000000,"inProgressJobs":[],"queuedJobs":[{"jobId":"j",)"
            R"("queuedAt":1700000000,"lastUpdatedAt":1700000000,"executionNumber":1,"versionNumber":1}]})");
  reply = jobs("start-next", R"({"statusDetails":{"step":"1"},"clientToken":"t1"})");
  EXPECT_EQ(reply.payload,
            R"({"clientToken":"t1","timestamp":1700000000,"execution":{"jobId":"j","status":"IN_PROGRESS",)"
            R"("queuedAt":1700000000,"startedAt":1700000000,"lastUpdatedAt":1700000000,"versionNumber":2,)"
            R"("executionNumber":1,"statusDetails":{"step":"1"},"jobDocument":{"do":"it"}}})");
  EXPECT_EQ(order_, "reply");
  reply = jobs("j/update", R"({"status":"IN_PROGRESS","expectedVersion":"2","includeJobExecutionState":true})");
  EXPECT_EQ(reply.payload, R"({"timestamp":1700000000,"executionState":{"status":"IN_PROGRESS","versionNumber":3,)"
                           R"("statusDetails":{"step":"1"}}})");
  reply = jobs("j/update", R"({"status":"SUCCEEDED","expectedVersion":3,"executionNumber":null,"clientToken":"t2"})");
  EXPECT_EQ(reply.payload, R"({"clientToken":"t2","timestamp":1700000000})");
  EXPECT_EQ(order_, "reply outbox engine:j");
  EXPECT_EQ(jobs("get", "{}").payload, R"({"timestamp":1700000000,"inProgressJobs":[],"queuedJobs":[]})");
}

TEST_F(JobsTopicsTest, rejections_carry_their_codes) {
  create("j");
  EXPECT_EQ(code("j/update", "{"), "InvalidJson");
  EXPECT_EQ(code("j/update", "[]"), "InvalidJson");
  EXPECT_EQ(code("j/update", "\xff"), "InvalidJson");
  EXPECT_EQ(code("get", "null"), "InvalidJson");
  EXPECT_EQ(code("get", "{}" + std::string(128 * 1024 - 1, ' ')), "InvalidRequest");
  EXPECT_EQ(code("get", R"({"clientToken":1})"), "InvalidRequest");
  EXPECT_EQ(code("j/update", ""), "InvalidRequest");
  EXPECT_EQ(code("j/update", R"({"status":null})"), "InvalidRequest");
  EXPECT_EQ(code("j/update", R"({"status":7})"), "InvalidRequest");
  EXPECT_EQ(code("j/update", R"({"status":"NO"})"), "InvalidRequest");
  EXPECT_EQ(code("j/update", R"({"status":"FAILED","statusDetails":"{\"a\":1}"})"), "InvalidRequest");
  EXPECT_EQ(code("j/update", R"({"status":"FAILED","expectedVersion":"x"})"), "InvalidRequest");
  EXPECT_EQ(code("j/update", R"({"status":"FAILED","expectedVersion":1.5})"), "InvalidRequest");
  EXPECT_EQ(code("j/update", R"({"status":"FAILED","includeJobDocument":"true"})"), "InvalidRequest");
  EXPECT_EQ(code("start-next", R"({"stepTimeoutInMinutes":10081})"), "InvalidRequest");
  EXPECT_EQ(code("j/update", R"({"status":"CANCELED"})"), "InvalidStateTransition");
  EXPECT_EQ(code("j/update", R"({"status":"FAILED","expectedVersion":9})"), "VersionMismatch");
  EXPECT_EQ(code("j/update", R"({"status":"FAILED","executionNumber":9})"), "ResourceNotFound");
  EXPECT_EQ(code("nothing/get", "{}"), "ResourceNotFound");
  EXPECT_EQ(code("what/ever", "{}"), "InvalidTopic");
  EXPECT_EQ(code("j/namespace-a.b/get", "{}"), "InvalidTopic");
  EXPECT_EQ(code("get/namespace-n", "{}"), "InvalidTopic");
  EXPECT_EQ(code("$next/update", R"({"status":"FAILED"})"), "InvalidRequest");
  EXPECT_EQ(jobs("j/get", "").body.at("execution").at("versionNumber").to_number<int>(), 1);  // nothing changed
  jobs("j/update", R"({"status":"FAILED"})");
  EXPECT_EQ(code("j/get", "{}"), "TerminalStateReached");
}

TEST_F(JobsTopicsTest, largest_request_is_read) {
  const auto reply = jobs("get", "{}" + std::string(128 * 1024 - 2, ' '));
  EXPECT_EQ(reply.topic, "get/accepted");
}

TEST_F(JobsTopicsTest, empty_payload_asks_with_the_defaults) {
  create("j");
  for (const auto* suffix : {"get", "j/get", "$next/get", "start-next"}) {
    EXPECT_EQ(jobs(suffix, "").topic, std::string(suffix) + "/accepted");
  }
}

TEST_F(JobsTopicsTest, describe_has_the_document_unless_it_is_declined) {
  create("j");
  EXPECT_EQ(to_text(jobs("j/get", R"({"executionNumber":"1"})").body.at("execution").at("jobDocument")),
            R"({"do":"it"})");
  EXPECT_FALSE(
      jobs("j/get", R"({"includeJobDocument":false})").body.at("execution").as_object().contains("jobDocument"));
  const auto update = jobs("j/update", R"({"status":"IN_PROGRESS","includeJobDocument":true,"executionNumber":"1"})");
  EXPECT_EQ(to_text(update.body.at("jobDocument")), R"({"do":"it"})");
}

TEST_F(JobsTopicsTest, step_timeout_is_set_and_taken_back) {
  create("j");
  auto reply = jobs("start-next", R"({"stepTimeoutInMinutes":"5"})");
  EXPECT_EQ(get_int(reply.body.at("execution").as_object(), "approximateSecondsBeforeTimedOut"), 300);
  jobs("j/update", R"({"status":"IN_PROGRESS","stepTimeoutInMinutes":-1})");
  reply = jobs("j/get", "{}");
  EXPECT_FALSE(reply.body.at("execution").as_object().contains("approximateSecondsBeforeTimedOut"));
  EXPECT_EQ(code("j/update", R"({"status":"IN_PROGRESS","stepTimeoutInMinutes":0})"), "InvalidRequest");
  EXPECT_EQ(code("j/update", R"({"status":"IN_PROGRESS","stepTimeoutInMinutes":-2})"), "InvalidRequest");
}

TEST(RejectedCode, is_one_of_the_documented_nine) {
  const auto of = [](ErrorKind kind) { return rejected_code(make_error(kind, "m")); };
  EXPECT_EQ(rejected_code(make_error(ErrorKind::kInvalid, "m", "InvalidTopic")), "InvalidTopic");
  EXPECT_EQ(rejected_code(make_error(ErrorKind::kInvalid, "m", "InvalidJson")), "InvalidJson");
  EXPECT_EQ(of(ErrorKind::kInvalid), "InvalidRequest");
  EXPECT_EQ(of(ErrorKind::kTooLarge), "InvalidRequest");
  EXPECT_EQ(of(ErrorKind::kInvalidStateTransition), "InvalidStateTransition");
  EXPECT_EQ(of(ErrorKind::kNotFound), "ResourceNotFound");
  EXPECT_EQ(of(ErrorKind::kVersionConflict), "VersionMismatch");
  EXPECT_EQ(of(ErrorKind::kThrottled), "RequestThrottled");
  EXPECT_EQ(of(ErrorKind::kConflict), "RequestThrottled");
  EXPECT_EQ(of(ErrorKind::kTerminalState), "TerminalStateReached");
  for (const auto kind : {ErrorKind::kInternal, ErrorKind::kUnavailable, ErrorKind::kTimeout, ErrorKind::kUnset}) {
    EXPECT_EQ(of(kind), "InternalError");
  }
}

TEST_F(JobsTopicsTest, rejection_of_a_transition_tells_the_state_and_echoes_the_token) {
  create("j");
  jobs("j/update", R"({"status":"FAILED","statusDetails":{"why":"disk"}})");
  const auto reply = jobs("j/update", R"({"status":"SUCCEEDED","clientToken":"x"})");
  EXPECT_EQ(get_string(reply.body, "clientToken"), "x");
  EXPECT_EQ(get_string(reply.body, "code"), "InvalidStateTransition");
  EXPECT_EQ(to_text(reply.body.at("executionState")),
            R"({"status":"FAILED","versionNumber":2,"statusDetails":{"why":"disk"}})");
}

TEST_F(JobsTopicsTest, refusing_store_is_an_internal_error_for_the_device) {
  create("j");
  store_->set_faults({.seed = 1, .refuse = 1});
  EXPECT_EQ(code("j/update", R"({"status":"FAILED"})"), "InternalError");
  EXPECT_EQ(order_, "reply");
}

TEST_F(JobsTopicsTest, foreign_topics_and_what_only_the_server_says_are_left_to_others) {
  for (const auto* topic :
       {"$aws/things/t/shadow/get", "$aws/things/t/jobs/notify", "$aws/things/t/jobs/j/get/accepted",
        "$aws/things/t/jobs/notify-namespace-n", "$aws/things/t/jobs/notify-next-namespace-n",
        "$aws/things/t/jobs/j/namespace-n/update/rejected"}) {
    std::promise<bool> owned;
    loop_.post([&] {
      mqtt::Ingress message;
      message.topic = topic;
      owned.set_value(topics_->handle(message, [](bool) {}));
    });
    EXPECT_FALSE(owned.get_future().get()) << topic;
  }
}

}  // namespace
}  // namespace muster::api::device
