// SPDX-License-Identifier: Apache-2.0
// Shadows over MQTT on a real loop and the memory engine: topics, answers for all who listen, acknowledgements.
#include "api/device/shadow_topics.h"

#include <gtest/gtest.h>

#include <future>
#include <set>

#include "api/device/reserved_topics.h"
#include "store/memory_engine.h"
#include "store/outbox.h"

namespace muster::api::device {
namespace {

using Call = ShadowTopic::Call;

struct Sent {
  std::string topic;
  std::string payload;
};

class ShadowTopicsTest : public testing::Test {
 protected:
  ShadowTopicsTest() : store_(store::make_memory_store(clock_)), loop_("broker") {
    ShadowPort port;
    port.wanted = [this](std::string_view topic) { return !deaf_.contains(std::string(topic)); };
    port.wake_outbox = [this] { ++woken_; };
    port.publish = [this](std::string topic, std::string payload, std::function<void(bool)> done) {
      published_.push_back({std::move(topic), std::move(payload)});
      done(broker_runs_);
    };
    topics_ = std::make_unique<ShadowTopics>(loop_, clock_, *store_, std::move(port));
    loop_.start();
  }
  ~ShadowTopicsTest() override { loop_.stop(); }

  // Publishes, waits for the acknowledgement and returns what was said: by the broker, then by the outbox.
  std::vector<Sent> publish(const std::string& suffix, const std::string& payload, bool acknowledged = true) {
    published_.clear();
    std::promise<bool> owned, handled;
    loop_.post([&] {
      mqtt::Ingress message;
      message.topic = "$aws/things/t/shadow/" + suffix;
      message.payload = payload;
      message.reply = [](std::string, std::string) { ADD_FAILURE() << "an answer for the requester alone"; };
      owned.set_value(topics_->handle(message, [&](bool accepted) { handled.set_value(accepted); }));
    });
    EXPECT_TRUE(owned.get_future().get());
    auto done = handled.get_future();
    if (done.wait_for(std::chrono::seconds(20)) != std::future_status::ready) {
      ADD_FAILURE() << "no acknowledgement";
      return {};
    }
    EXPECT_EQ(done.get(), acknowledged);
    std::promise<void> settled;
    loop_.post([&] { settled.set_value(); });
    settled.get_future().get();
    std::vector<Sent> all = published_;
    store::Outbox outbox(*store_, [&](std::vector<store::OutboxMessage> batch, std::function<void()> taken) {
      for (auto& one : batch) all.push_back({std::move(one.topic), std::move(one.payload)});
      taken();
    });
    outbox.drain();
    for (Sent& one : all) {
      constexpr std::string_view kPrefix = "$aws/things/t/shadow/";
      EXPECT_TRUE(one.topic.starts_with(kPrefix)) << one.topic;
      EXPECT_TRUE(is_served_filter(one.topic, false)) << one.topic;
      one.topic.erase(0, kPrefix.size());
    }
    return all;
  }
  std::string only(const std::string& suffix, const std::string& payload, const std::string& topic) {
    const auto all = publish(suffix, payload);
    EXPECT_EQ(all.size(), 1u);
    if (all.size() != 1) return {};
    EXPECT_EQ(all[0].topic, topic);
    return all[0].payload;
  }

  io::VirtualClock clock_;
  std::unique_ptr<store::MemoryStore> store_;
  io::Loop loop_;
  std::unique_ptr<ShadowTopics> topics_;
  // Written on the loop, read when it is idle.
  std::vector<Sent> published_;
  std::set<std::string> deaf_;
  int woken_ = 0;
  bool broker_runs_ = true;
};

TEST(ShadowTopicParsing, names_calls_things_and_shadows) {
  const auto parse = [](std::string_view topic) {
    const auto parsed = parse_shadow_topic(topic);
    if (!parsed) return std::string("none");
    const std::string call = std::to_string(static_cast<int>(parsed->call));
    return call + " " + parsed->id.thing + " " + parsed->id.shadow;
  };
  EXPECT_EQ(parse("$aws/things/t:1/shadow/get"), "0 t:1 ");
  EXPECT_EQ(parse("$aws/things/t/shadow/update"), "1 t ");
  EXPECT_EQ(parse("$aws/things/t/shadow/name/n/delete"), "2 t n");
  EXPECT_EQ(parse("$aws/things/t/shadow/name/$package/update"), "1 t $package");
  EXPECT_EQ(parse("$aws/things/name/shadow/name/name/get"), "0 name name");
  const std::string long_thing(129, 'x'), long_shadow(65, 'x');
  for (const std::string& topic :
       {std::string("$aws/things/t/jobs/get"), std::string("$aws/things/t/shadow"),
        std::string("$aws/things/t/shadow/"), std::string("$aws/things//shadow/get"),
        std::string("$aws/things/a/b/shadow/get"), std::string("$aws/things/t/shadow/name/get"),
        std::string("$aws/things/t/shadow/name//get"), std::string("$aws/things/t/shadow/name/n"),
        std::string("$aws/things/t/shadow/name/n/x/get"), std::string("$aws/things/t/shadow/name/a b/get"),
        std::string("$aws/things/t/shadow/get/accepted"), std::string("$aws/things/t/shadow/update/delta"),
        std::string("$aws/things/t/shadow/update/documents"),
        std::string("$aws/things/t/shadow/name/n/update/rejected"), std::string("$aws/things/t/shadow/Get"),
        std::string("aws/things/t/shadow/get"), "$aws/things/" + long_thing + "/shadow/get",
        "$aws/things/t/shadow/name/" + long_shadow + "/get"}) {
    EXPECT_EQ(parse(topic), "none") << topic;
  }
}

TEST_F(ShadowTopicsTest, an_update_is_heard_on_three_topics) {
  const auto all = publish("update", R"({"state":{"desired":{"a":1}},"clientToken":"t"})");
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].topic, "update/accepted");
  EXPECT_EQ(all[0].payload,
            R"({"state":{"desired":{"a":1}},"metadata":{"desired":{"a":{"timestamp":1700000000}}},"version":1,)"
            R"("timestamp":1700000000,"clientToken":"t"})");
  EXPECT_EQ(all[1].topic, "update/delta");
  EXPECT_EQ(all[2].topic, "update/documents");
  EXPECT_EQ(woken_, 1);
  EXPECT_EQ(publish("name/n/update", R"({"state":{"desired":{"a":1}}})")[0].topic, "name/n/update/accepted");
}

TEST_F(ShadowTopicsTest, a_get_answers_with_the_document_and_the_token) {
  publish("update", R"({"state":{"reported":{"a":1}}})");
  for (const auto* payload : {"", "{}", "not json"}) {
    EXPECT_EQ(only("get", payload, "get/accepted"),
              R"({"state":{"reported":{"a":1}},"metadata":{"reported":{"a":{"timestamp":1700000000}}},"version":1,)"
              R"("timestamp":1700000000})");
  }
  EXPECT_TRUE(only("get", R"({"clientToken":"t"})", "get/accepted").ends_with(R"("clientToken":"t"})"));
  EXPECT_EQ(only("name/n/get", R"({"clientToken":"t"})", "name/n/get/rejected"),
            R"({"code":404,"message":"No shadow exists with name: 't~n'","timestamp":1700000000,"clientToken":"t"})");
}

TEST_F(ShadowTopicsTest, a_delete_is_told_once) {
  publish("update", R"({"state":{"reported":{"a":1}}})");
  EXPECT_EQ(only("delete", R"({"clientToken":"t"})", "delete/accepted"),
            R"({"version":1,"timestamp":1700000000,"clientToken":"t"})");
  EXPECT_EQ(get_int(parse_json(only("delete", "", "delete/rejected"))->as_object(), "code"), 404);
}

TEST_F(ShadowTopicsTest, refusals_carry_the_documented_codes) {
  const auto refused = [&](const std::string& payload) {
    const auto body = parse_json(only("update", payload, "update/rejected"))->as_object();
    EXPECT_EQ(get_int(body, "timestamp"), 1'700'000'000);
    return std::to_string(get_int(body, "code")) + " " + std::string(get_string(body, "clientToken"));
  };
  EXPECT_EQ(refused("{"), "400 ");
  EXPECT_EQ(refused(R"({"clientToken":"t"})"), "400 t");
  EXPECT_EQ(refused(R"({"clientToken":"t","state":{"desired":[]}})"), "400 t");
  EXPECT_EQ(refused(R"({"clientToken":7,"state":{}})"), "400 ");
  EXPECT_EQ(refused(R"({"clientToken":"t","state":{},"version":3})"), "409 t");
  EXPECT_EQ(refused(R"({"clientToken":"t","state":{"desired":{"a":")" + std::string(9000, 'x') + R"("}}})"), "413 t");
  EXPECT_EQ(refused("{\"state\":\"\xff\"}"), "415 ");
  EXPECT_EQ(refused(std::string(200'000, 'x')), "413 ");
  EXPECT_EQ(woken_, 0);
}

TEST_F(ShadowTopicsTest, a_refusing_store_is_an_internal_failure) {
  store_->set_faults({.seed = 1, .refuse = 1});
  published_.clear();
  const auto all = publish("update", R"({"state":{}})");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].payload, R"({"code":500,"message":"Internal service failure","timestamp":1700000000})");
}

TEST_F(ShadowTopicsTest, nothing_is_said_where_nobody_listens) {
  deaf_ = {"$aws/things/t/shadow/get/rejected", "$aws/things/t/shadow/update/accepted"};
  EXPECT_TRUE(publish("get", "").empty());
  const auto all = publish("update", R"({"state":{"reported":{"a":1}}})");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].topic, "update/documents");
}

TEST_F(ShadowTopicsTest, an_answer_that_the_broker_did_not_take_is_not_acknowledged) {
  broker_runs_ = false;
  publish("get", "", false);
}

}  // namespace
}  // namespace muster::api::device
