// SPDX-License-Identifier: Apache-2.0
#include "api/device/device_calls.h"

#include <gtest/gtest.h>

#include <future>

#include "api/device/certificate_topics.h"
#include "api/device/provisioning_topics.h"
#include "domain/provisioning/provisioning_test_support.h"

namespace muster::api::device {
namespace {

struct Outcome {
  bool recorded_first = false;
  std::string topic;
  json::object body;
};

class DeviceCallsTest : public provisioning::ProvisioningTest {
 protected:
  DeviceCallsTest() : provisioner_(context_, *store_, nullptr) {
    calls_.may_change = [this]() -> Status { return changes_; };
    calls_.record = [this](DeviceCall call, const std::function<void(Status)>& done) {
      recorded_.push_back(std::move(call));
      done(records_);
    };
    loop_.start();
  }
  ~DeviceCallsTest() override { loop_.stop(); }

  // What is answered before the acknowledgement.
  Outcome publish(mqtt::IngressHook& hook, const std::string& topic, const std::string& payload) {
    Outcome out;
    std::promise<void> acknowledged;
    loop_.post([&] {
      mqtt::Ingress message;
      message.client_id = "c";
      message.topic = topic;
      message.payload = payload;
      message.reply = [&](std::string to, const std::string& what) {
        out.recorded_first = !recorded_.empty();
        out.topic = std::move(to);
        out.body = parse_json(what)->get_object();
      };
      EXPECT_TRUE(hook.handle(message, [&](bool) { acknowledged.set_value(); }));
    });
    acknowledged.get_future().get();
    return out;
  }
  Outcome create() {
    CertificateTopics topics(loop_, clock_, *store_, pool_, context_, calls_);
    return publish(topics, "$aws/certificates/create/json", "{}");
  }
  Outcome provision() {
    ProvisioningTopics topics(loop_, provisioner_, calls_);
    return publish(topics, "$aws/provisioning-templates/T/provision/json",
                   R"({"certificateOwnershipToken":"tok","parameters":{"Serial":"7"}})");
  }

  Status changes_, records_;
  std::vector<DeviceCall> recorded_;  // on the loop
  DeviceCalls calls_;
  io::BlockingPool pool_{1};
  provisioning::FleetProvisioner provisioner_;
  io::Loop loop_{"broker"};
};

TEST_F(DeviceCallsTest, nothing_is_begun_while_changes_cannot_be_recorded) {
  changes_ = make_error(ErrorKind::kUnavailable, "The audit log cannot be written.");
  for (const Outcome& refused : {create(), provision()}) {
    EXPECT_TRUE(refused.topic.ends_with("/rejected"));
    EXPECT_EQ(get_int(refused.body, "statusCode"), 503);
    EXPECT_EQ(get_string(refused.body, "errorCode"), "ServiceUnavailable");
  }
  EXPECT_TRUE(recorded_.empty());
}

TEST_F(DeviceCallsTest, the_answer_waits_for_the_record) {
  const Outcome made = create();
  EXPECT_TRUE(made.topic.ends_with("/accepted"));
  EXPECT_TRUE(made.recorded_first);
  ASSERT_EQ(recorded_.size(), 1u);
  EXPECT_EQ(recorded_[0].name, "CreateKeysAndCertificate");
  EXPECT_EQ(recorded_[0].certificate_id, get_string(made.body, "certificateId"));
  EXPECT_FALSE(recorded_[0].error);
}

TEST_F(DeviceCallsTest, no_key_leaves_without_a_record) {
  records_ = make_error(ErrorKind::kUnavailable, "The call could not be recorded.");
  const Outcome made = create();
  EXPECT_TRUE(made.topic.ends_with("/rejected"));
  EXPECT_EQ(get_int(made.body, "statusCode"), 503);
  EXPECT_FALSE(made.body.contains("privateKey"));
}

TEST_F(DeviceCallsTest, refusals_are_recorded_without_the_token) {
  EXPECT_EQ(get_int(provision().body, "statusCode"), 404);
  ASSERT_EQ(recorded_.size(), 1u);
  EXPECT_EQ(recorded_[0].name, "RegisterThing");
  EXPECT_EQ(recorded_[0].template_name, "T");
  EXPECT_EQ(to_text(recorded_[0].input), R"({"parameters":{"Serial":"7"}})");
  ASSERT_TRUE(recorded_[0].error);
  EXPECT_EQ(recorded_[0].error->kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace muster::api::device
