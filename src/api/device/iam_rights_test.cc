// SPDX-License-Identifier: Apache-2.0
// What connections that came by a WebSocket may do: IAM principals and custom authorisers' tokens.
#include "api/device/iam_rights.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "api/device/authorizer.h"
#include "api/device/denials.h"
#include "api/device/token_grant.h"
#include "domain/iam/entities.h"
#include "domain/iam/identities.h"
#include "io/loop_test_support.h"
#include "store/memory_engine.h"
#include "store/transact.h"

namespace muster::api::device {
namespace {

const Realm kRealm{"123456789012", "us-east-1"};

std::string statement(const std::string& effect, const std::string& action, const std::string& resource) {
  return R"({"Version":"2012-10-17","Statement":[{"Effect":")" + effect + R"(","Action":")" + action +
         R"(","Resource":")" + resource + R"("}]})";
}

// Answers what the test wants, from another thread.
class Tokens final : public TokenAuthorizer {
 public:
  void on_change(std::function<void(const std::string& name)>) override {}
  void admit(TokenClaim, std::function<void(bool)> done) override { done(true); }
  void decide(TokenQuestion question, std::function<void(TokenAnswer)> done) override {
    asked = question;
    std::thread([done, reply = answer] { done(reply); }).join();
  }
  TokenQuestion asked;
  TokenAnswer answer;
};

class IamRightsTest : public testing::Test {
 protected:
  IamRightsTest() {
    store_ = store::make_memory_store(clock_);
    peer_.address = "10.1.2.3";
    peer_.tls = true;
    make({});
  }
  ~IamRightsTest() override {
    test_.call([&] {
      grants_.clear();
      authorizer_.reset();
      return 0;
    });
  }
  void make(AuthorizerOptions options) {
    test_.call([&] {
      authorizer_ = std::make_unique<DeviceAuthorizer>(test_.loop, *store_, kRealm, generations_, options);
      authorizer_->on_refused([this](const std::string& id) {
        if (const auto change = std::exchange(awaited_, nullptr)) change->set_value(id);
      });
      return 0;
    });
  }
  template <class F>
  void write(F&& body) {
    const Status status = store::run_blocking(*store_, [&](store::Tx& tx) -> Status { return body(tx); });
    ASSERT_TRUE(status.has_value()) << status.error().message;
  }
  std::shared_ptr<IamIdentity> user(const std::string& policy) {
    auto identity = std::make_shared<IamIdentity>();
    write([&](store::Tx& tx) -> Status {
      iam::User wanted;
      wanted.name = "ann";
      TRY(const iam::User made, iam::create_user(tx, wanted));
      TRY(const iam::AccessKey key, iam::create_access_key(tx, "ann"));
      identity->principal = {.kind = iam::PrincipalKind::kUser,
                             .account_id = kRealm.account_id,
                             .arn = iam::user_arn(kRealm, made),
                             .name = "ann",
                             .user_id = made.id,
                             .access_key_id = key.id,
                             .session_policy = ""};
      return iam::put_user_policy(tx, "ann", "p", policy);
    });
    return identity;
  }
  std::shared_ptr<IamIdentity> role_session(std::int64_t expires_ms, const std::string& session_policy) {
    auto identity = std::make_shared<IamIdentity>();
    write([&](store::Tx& tx) -> Status {
      iam::Role wanted;
      wanted.name = "browser";
      wanted.trust_policy = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},)"
                            R"("Action":"sts:AssumeRole"}]})";
      TRY(const iam::Role made, iam::create_role(tx, wanted));
      identity->principal = {.kind = iam::PrincipalKind::kRoleSession,
                             .account_id = kRealm.account_id,
                             .arn = "arn:aws:sts::123456789012:assumed-role/browser/s",
                             .name = "browser",
                             .user_id = made.id + ":s",
                             .access_key_id = "ASIAX",
                             .session_policy = session_policy};
      return iam::put_role_policy(tx, "browser", "p", statement("Allow", "iot:*", "*"));
    });
    identity->expires_ms = expires_ms;
    return identity;
  }
  mqtt::ConnectionGrant* connect(std::shared_ptr<const mqtt::TransportIdentity> identity, std::string username = {}) {
    std::promise<void> decided;
    mqtt::ConnectionGrant* grant = nullptr;
    mqtt::ConnectAttempt attempt;
    attempt.client_id = "c";
    attempt.username = std::move(username);
    attempt.password = "secret";
    attempt.peer = &peer_;
    attempt.identity = std::move(identity);
    test_.call([&] {
      authorizer_->connect(attempt, [&](mqtt::Authorizer::Decision decision) {
        why_ = decision.reason;
        grant = decision.grant.get();
        if (grant != nullptr) grants_.push_back(std::move(decision.grant));
        decided.set_value();
      });
      return 0;
    });
    decided.get_future().wait();
    return grant;
  }
  bool ask(const std::function<bool()>& question) { return test_.call(question); }
  // The rights are read again after `act`, and the connections of that principal looked at.
  void expect_change(const std::string& principal, const std::function<void()>& act) {
    auto change = std::make_shared<std::promise<std::string>>();
    auto future = change->get_future();
    test_.call([&] {
      awaited_ = change;
      return 0;
    });
    act();
    ASSERT_EQ(future.wait_for(std::chrono::seconds(10)), std::future_status::ready);
    EXPECT_EQ(future.get(), principal);
  }

  io::VirtualClock clock_;
  std::unique_ptr<store::MemoryStore> store_;
  security::PolicyGenerations generations_;
  io::TestLoop test_;
  std::unique_ptr<DeviceAuthorizer> authorizer_;
  std::vector<std::unique_ptr<mqtt::ConnectionGrant>> grants_;
  std::shared_ptr<std::promise<std::string>> awaited_;
  io::PeerInfo peer_;
  std::string why_;
};

TEST_F(IamRightsTest, UsersPoliciesDecideAndChangesAreNoticed) {
  const auto identity = user(statement("Allow", "iot:*", "arn:aws:iot:us-east-1:123456789012:*"));
  mqtt::ConnectionGrant* grant = connect(identity);
  ASSERT_NE(grant, nullptr) << why_;
  EXPECT_EQ(grant->principal_id(), identity->principal.user_id);
  EXPECT_EQ(grant->expires_ms(), 0);
  EXPECT_TRUE(ask([&] { return grant->may_publish("t", true) && grant->may_subscribe("t/#"); }));
  const std::string deny = statement("Deny", "iot:Publish", "arn:aws:iot:us-east-1:123456789012:topic/no");
  expect_change(identity->principal.user_id,
                [&] { write([&](store::Tx& tx) -> Status { return iam::put_user_policy(tx, "ann", "q", deny); }); });
  EXPECT_TRUE(ask([&] { return grant->still_valid() && grant->may_publish("t", false); }));
  EXPECT_FALSE(ask([&] { return grant->may_publish("no", false); }));
  expect_change(identity->principal.user_id, [&] {
    write([&](store::Tx& tx) -> Status {
      return iam::update_access_key(tx, "ann", identity->principal.access_key_id, false);
    });
  });
  EXPECT_FALSE(ask([&] { return grant->still_valid() || grant->may_publish("t", false); }));
  EXPECT_EQ(connect(identity), nullptr);
  EXPECT_EQ(why_, "the access key does not exist or is not active");
}

TEST_F(IamRightsTest, AWildcardOutOfATagIsNoneOfTheFilters) {
  const auto identity = role_session(clock_.now_ms() + 60'000, "");
  const std::string topics = "arn:aws:iot:us-east-1:123456789012:topicfilter/";
  write([&](store::Tx& tx) -> Status {
    return iam::put_role_policy(
        tx, "browser", "p",
        R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Connect","Resource":"*"},)"
        R"({"Effect":"Allow","Action":"iot:Subscribe","Resource":[")" +
            topics + R"(of/${aws:PrincipalTag/team}",")" + topics + R"(own/${aws:PrincipalTag/team}/*"]}]})");
  });
  auto subscribes = [&](const std::string& team, const std::string& filter) {
    identity->principal.access_key_id += "X";  // another session
    identity->principal.session_tags = {{"team", team}};
    mqtt::ConnectionGrant* grant = connect(identity);
    return grant != nullptr && ask([&] { return grant->may_subscribe(filter); });
  };
  EXPECT_TRUE(subscribes("red", "of/red"));
  EXPECT_TRUE(subscribes("red", "own/red/#"));
  EXPECT_FALSE(subscribes("#", "of/#"));
  EXPECT_FALSE(subscribes("+", "of/+"));
  EXPECT_FALSE(subscribes("+", "own/+/x"));
  EXPECT_FALSE(subscribes("red/#", "of/red/#"));
}

TEST_F(IamRightsTest, AChangedTagIsNoticed) {
  const auto identity =
      user(R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"},)"
           R"({"Effect":"Deny","Action":"iot:Connect","Resource":"*",)"
           R"("Condition":{"StringEquals":{"aws:PrincipalTag/state":"left"}}}]})");
  mqtt::ConnectionGrant* grant = connect(identity);
  ASSERT_NE(grant, nullptr) << why_;
  expect_change(identity->principal.user_id, [&] {
    write([&](store::Tx& tx) -> Status {
      return iam::tag_entity(tx, iam::EntityKind::kUser, "ann", {{"state", "left"}});
    });
  });
  EXPECT_FALSE(ask([&] { return grant->still_valid(); }));
}

TEST_F(IamRightsTest, ConditionsSeeTheUpgradeRequest) {
  const auto identity =
      user(R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*",)"
           R"("Condition":{"StringEquals":{"aws:RequestedRegion":"us-east-1"},"Bool":{"aws:SecureTransport":"true"},)"
           R"("IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}},)"
           R"({"Effect":"Deny","Action":"*","Resource":"*",)"
           R"("Condition":{"StringLike":{"aws:UserAgent":"curl/*"}}}]})");
  EXPECT_EQ(connect(identity), nullptr) << "no region";
  identity->context = {{"aws:RequestedRegion", {"us-east-1"}}, {"aws:UserAgent", {"browser"}}};
  EXPECT_NE(connect(identity), nullptr);
  const auto second = std::make_shared<IamIdentity>(*identity);
  second->context["aws:UserAgent"] = {"curl/8"};
  EXPECT_EQ(connect(second), nullptr) << "of this connection, not of the credential";
}

TEST_F(IamRightsTest, SessionsEndAndAreBoundedByTheirPolicy) {
  const std::int64_t end_ms = clock_.now_ms() + 60'000;
  const auto identity = role_session(end_ms, statement("Allow", "iot:Connect", "*"));
  mqtt::ConnectionGrant* grant = connect(identity);
  ASSERT_NE(grant, nullptr) << why_;
  EXPECT_EQ(grant->expires_ms(), end_ms);
  EXPECT_FALSE(ask([&] { return grant->may_publish("t", false); }));
  EXPECT_TRUE(ask([&] { return grant->still_valid(); }));
  expect_change(identity->principal.user_id, [&] { clock_.advance_ms(60'000); });
  EXPECT_FALSE(ask([&] { return grant->still_valid(); }));
}

TEST_F(IamRightsTest, TokensAreRefusedWithoutAnAuthoriser) {
  EXPECT_EQ(connect(nullptr), nullptr);
  EXPECT_EQ(connect(nullptr, "ann?x-amz-customauthorizer-name=a"), nullptr);
  EXPECT_EQ(connect(token_claim({{"X-Amz-CustomAuthorizer-Name", "a"}})), nullptr);
  EXPECT_EQ(why_, "no client certificate, and there is no custom authoriser to ask");
}

TEST_F(IamRightsTest, AnAuthorisersAnswerDecides) {
  Tokens tokens;
  AuthorizerOptions options;
  options.tokens = &tokens;
  make(options);
  EXPECT_EQ(connect(nullptr, "ann"), nullptr);
  tokens.answer.accepted = true;
  EXPECT_EQ(connect(nullptr, "ann"), nullptr) << "no principal";
  tokens.answer.principal_id = "who";
  EXPECT_EQ(connect(nullptr, "ann"), nullptr) << "no policy";
  tokens.answer.policy_documents = {statement("Allow", "iot:Connect", "*"),
                                    statement("Allow", "iot:Publish", "arn:aws:iot:us-east-1:123456789012:topic/mine")};
  tokens.answer.disconnect_after_s = 60;
  mqtt::ConnectionGrant* grant = connect(nullptr, "ann?x-amz-customauthorizer-name=a&t=v%20w");
  ASSERT_NE(grant, nullptr) << why_;
  EXPECT_EQ(tokens.asked.username, "ann");
  EXPECT_EQ(tokens.asked.password, "secret");
  EXPECT_EQ(tokens.asked.claim.authorizer_name, "a");
  EXPECT_EQ(tokens.asked.claim.parameters.back().second, "v w");
  EXPECT_EQ(grant->principal_id(), "who");
  EXPECT_GT(grant->expires_ms(), 0);
  EXPECT_TRUE(ask([&] { return grant->may_publish("mine", false); }));
  EXPECT_FALSE(ask([&] { return grant->may_publish("mine", true) || grant->may_publish("other", false); }));
}

TEST_F(IamRightsTest, RefusalsAreRemembered) {
  Denials denials(clock_);
  AuthorizerOptions options;
  options.denials = &denials;
  make(options);
  std::vector<std::string> arns;
  denials.on_refused([&](const Refused& refused) { arns.push_back(refused.who ? refused.who->arn : "nobody"); });
  EXPECT_EQ(connect(nullptr), nullptr);
  mqtt::ConnectionGrant* grant = connect(user(statement("Allow", "iot:Connect", "*")));
  ASSERT_NE(grant, nullptr) << why_;
  EXPECT_FALSE(ask([&] { return grant->may_publish("t", false) || grant->may_subscribe("t/#"); }));
  EXPECT_TRUE(ask([&] { return grant->still_valid(); }));
  const auto kept = denials.of("c");
  ASSERT_EQ(kept.size(), 3u);
  EXPECT_EQ(kept[0].action, "iot:Subscribe");
  EXPECT_EQ(kept[1].principal, grant->principal_id());
  EXPECT_EQ(kept[1].kind, mqtt::PrincipalKind::kIam);
  const std::string ann = "arn:aws:iam::123456789012:user/ann";
  EXPECT_EQ(arns, (std::vector<std::string>{"nobody", ann, ann}));
  EXPECT_EQ(kept[2].action, "iot:Connect");
  EXPECT_NE(kept[2].reasons[0].sentence.find("no client certificate"), std::string::npos);
}

}  // namespace
}  // namespace muster::api::device
