// SPDX-License-Identifier: Apache-2.0
// Refusals remembered with their reasons, by the live authorizer, and the same asked afresh.
#include "api/device/explain_access.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>

#include "api/device/authorizer.h"
#include "api/device/denials.h"
#include "base/crypto.h"
#include "domain/registry/things.h"
#include "domain/security/certificates.h"
#include "domain/security/policies.h"
#include "domain/security/principals.h"
#include "io/env.h"
#include "store/memory_engine.h"

namespace muster::api::device {
namespace {

const Realm kRealm{"123456789012", "us-east-1"};
const std::string kDer = "the bytes of a certificate";
const std::string kId = sha256_hex(kDer);
const std::string kArn = "arn:aws:iot:us-east-1:123456789012:";

std::string policy(const std::string& statements) {
  return R"({"Version":"2012-10-17","Statement":[)" + statements + "]}";
}
std::string allow(const std::string& action, const std::string& resource) {
  return R"({"Effect":"Allow","Action":")" + action + R"(","Resource":")" + resource + R"("})";
}

class ExplainAccess : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = store::make_memory_store(clock_);
    loop_.start();
    peer_.tls = true;
    peer_.client_certificate_der = kDer;
    peer_.address = "10.1.2.3";
    on_loop([&] {
      AuthorizerOptions options;
      options.denials = &denials_;
      authorizer_ = std::make_unique<DeviceAuthorizer>(loop_, *store_, kRealm, generations_, options);
    });
  }
  void TearDown() override {
    on_loop([&] {
      grant_.reset();
      authorizer_.reset();
    });
    loop_.stop();
  }
  void on_loop(const std::function<void()>& fn) {
    std::promise<void> done;
    loop_.post([&] {
      fn();
      done.set_value();
    });
    done.get_future().wait();
  }
  void make(const std::vector<std::string>& documents, const std::string& thing = {},
            security::CertificateStatus status = security::CertificateStatus::kActive) {
    const Status made = store::run_blocking(*store_, [&](store::Tx& tx) -> Status {
      security::Certificate certificate;
      certificate.id = kId;
      certificate.pem = "pem";
      certificate.status = status;
      const std::string arn = security::certificate_arn(kRealm, kId);
      TRY_VOID(security::register_certificate(tx, kRealm, certificate));
      for (std::size_t i = 0; i < documents.size(); ++i) {
        const std::string name = "p" + std::to_string(i);
        TRY_VOID(security::create_policy(tx, kRealm, name, documents[i]));
        TRY_VOID(security::attach_policy(tx, kRealm, name, arn));
      }
      if (thing.empty()) return {};
      TRY_VOID(registry::create_thing(tx, kRealm, {thing, {}, {}}));
      return security::attach_thing_principal(tx, kRealm, thing, arn);
    });
    ASSERT_TRUE(made) << made.error().message;
  }
  bool connect(const std::string& client) {
    std::promise<bool> decided;
    mqtt::ConnectAttempt attempt;
    attempt.client_id = client;
    attempt.peer = &peer_;
    on_loop([&] {
      authorizer_->connect(attempt, [&](mqtt::Authorizer::Decision decision) {
        grant_ = std::move(decision.grant);
        decided.set_value(grant_ != nullptr);
      });
    });
    return decided.get_future().get();
  }
  Findings afresh(const std::string& client, std::string_view action, const std::string& name) {
    const auto found = store::run_blocking_for(*store_, [&](store::Tx& tx) {
      security::FactsRequest request;
      request.certificate_id = kId;
      request.client_id = request.thing = client;
      const AccessQuestion question{action, name, {client}, false};
      return explain_client(kRealm, tx, request, question);
    });
    EXPECT_TRUE(found);
    return found ? *found : Findings{};
  }
  static std::string codes(const Findings& findings) {
    std::string text;
    for (const auto& finding : findings) {
      text += (text.empty() ? "" : " ") + finding.code;
      EXPECT_TRUE(finding.sentence.ends_with('.')) << finding.sentence;
    }
    return text;
  }

  io::VirtualClock clock_;
  Denials denials_{clock_};
  io::Loop loop_{"authorizer"};
  std::unique_ptr<store::MemoryStore> store_;
  security::PolicyGenerations generations_;
  std::unique_ptr<DeviceAuthorizer> authorizer_;
  std::unique_ptr<mqtt::ConnectionGrant> grant_;
  io::PeerInfo peer_;
};

TEST_F(ExplainAccess, ARefusedPublishIsRememberedWithItsStatement) {
  make({policy(allow("iot:*", "*")), policy(R"({"Sid":"quiet","Effect":"Deny","Action":"iot:Publish","Resource":")" +
                                            kArn + R"(topic/secret/*"})")});
  ASSERT_TRUE(connect("gw"));
  on_loop([&] {
    EXPECT_TRUE(grant_->may_publish("open", false));
    EXPECT_FALSE(grant_->may_publish("secret/1", false));
    EXPECT_FALSE(grant_->may_publish("secret/1", false));
  });
  const auto kept = denials_.of("gw");
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].action, "iot:Publish");
  EXPECT_EQ(kept[0].name, "secret/1");
  EXPECT_EQ(kept[0].principal, kId);
  EXPECT_EQ(kept[0].times, 2);
  ASSERT_EQ(codes(kept[0].reasons), "policy.denied");
  EXPECT_EQ(kept[0].reasons[0].facts.at("policy"), "p1");
  EXPECT_EQ(kept[0].reasons[0].facts.at("sid"), "quiet");
}

TEST_F(ExplainAccess, RetainSubscribeReceiveAndConnectAreToldApart) {
  make({policy(allow("iot:Connect", kArn + "client/gw") + "," + allow("iot:Publish", "*"))});
  EXPECT_FALSE(connect("other"));
  ASSERT_TRUE(connect("gw"));
  on_loop([&] {
    EXPECT_FALSE(grant_->may_publish("a", true));
    EXPECT_FALSE(grant_->may_subscribe("a/#"));
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(grant_->may_receive("b"));
  });
  std::vector<std::string> actions;
  for (const auto& denial : denials_.of("gw")) actions.push_back(denial.action);
  EXPECT_EQ(actions, (std::vector<std::string>{"iot:Receive", "iot:Subscribe", "iot:RetainPublish"}));
  EXPECT_EQ(denials_.of("gw").front().times, 1);  // asked for every message: only the first is worth it
  ASSERT_EQ(denials_.of("other").size(), 1u);
  EXPECT_EQ(denials_.of("other")[0].action, "iot:Connect");
  EXPECT_EQ(codes(denials_.of("other")[0].reasons), "policy.none policy.near.resource");
}

TEST_F(ExplainAccess, AnInactiveCertificateIsTold) {
  make({policy(allow("iot:*", "*"))}, {}, security::CertificateStatus::kInactive);
  EXPECT_FALSE(connect("gw"));
  const auto kept = denials_.of("gw");
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(codes(kept[0].reasons), "certificate.refused");
  EXPECT_NE(kept[0].reasons[0].sentence.find("INACTIVE"), std::string::npos);
  EXPECT_EQ(codes(afresh("gw", "iot:Publish", "a")), "certificate.refused");
}

TEST_F(ExplainAccess, AVariableOfAThingThatIsNotAttachedIsTold) {
  make({policy(allow("iot:Publish", kArn + "topic/dt/${iot:Connection.Thing.ThingName}"))}, "gw");
  EXPECT_EQ(codes(afresh("gw", "iot:Publish", "dt/gw")), "policy.allowed");
  const auto found = afresh("client-7", "iot:Publish", "dt/gw");
  EXPECT_EQ(codes(found), "policy.none policy.near.variable");
  EXPECT_NE(found[1].sentence.find("attached"), std::string::npos) << found[1].sentence;
}

TEST_F(ExplainAccess, NearlyRightTopicsAreNamed) {
  make({policy(allow("iot:Publish", kArn + "topic/dt/${iot:ClientId}/*") + "," +
               allow("iot:Publish", kArn + "topic/$aws/things/${iot:ClientId}/*"))},
       "gw");
  const auto meant = [&](const std::string& topic) {
    for (const auto& finding : afresh("gw", "iot:Publish", topic)) {
      if (finding.code.starts_with("topic.near.")) return finding.code.substr(11) + " " + finding.facts.at("meant");
    }
    return std::string();
  };
  EXPECT_EQ(meant("aws/things/gw/jobs/get"), "dollar $aws/things/gw/jobs/get");
  EXPECT_EQ(meant("/dt/gw/t"), "slash dt/gw/t");
  EXPECT_EQ(meant("DT/gw/t"), "case dt/gw/*");
  EXPECT_EQ(meant("dt/other/t"), "thing dt/gw/t");
  EXPECT_EQ(meant("something/else"), "");
  EXPECT_EQ(meant("dt/gw/t"), "");
}

TEST_F(ExplainAccess, FiltersAreExplained) {
  make({policy(allow("iot:Subscribe", kArn + "topicfilter/my/${iot:ClientId}") + "," +
               allow("iot:Subscribe", kArn + "topicfilter/$aws/*"))});
  EXPECT_EQ(codes(afresh("#", "iot:Subscribe", "my/#")), "policy.allowed policy.wildcard");
  EXPECT_EQ(codes(afresh("gw", "iot:Subscribe", "$aws/things/gw/shadow/update")), "policy.allowed topic.not_served");
  EXPECT_EQ(codes(afresh("gw", "iot:Subscribe", "my/gw")), "policy.allowed");
}

TEST_F(ExplainAccess, WithoutAnyPolicyThatIsSaid) {
  make({});
  EXPECT_EQ(codes(afresh("gw", "iot:Publish", "a")), "policy.nothing_attached");
}

}  // namespace
}  // namespace muster::api::device
