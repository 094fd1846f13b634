// SPDX-License-Identifier: Apache-2.0
#include "api/device/token_grant.h"

#include <gtest/gtest.h>

#include <semaphore>

#include "api/device/custom_authorizers.h"
#include "base/jwt_test_support.h"
#include "domain/security/custom_authorizers.h"
#include "io/loop_test_support.h"
#include "store/memory_engine.h"

namespace muster::api::device {
namespace {

const Realm kRealm{"123456789012", "us-east-1"};

std::string policy(const std::string& topic) {
  return R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Connect","Resource":"*"},)"
         R"({"Effect":"Allow","Action":["iot:Publish","iot:Receive"],"Resource":"arn:aws:iot:*:*:topic/)" +
         topic + R"("},{"Effect":"Allow","Action":"iot:Subscribe","Resource":"arn:aws:iot:*:*:topicfilter/)" + topic +
         R"("}]})";
}

TokenAnswer accepted(const std::string& topic, std::int64_t refresh_after_s) {
  TokenAnswer answer;
  answer.accepted = true;
  answer.principal_id = "p1";
  answer.policy_documents = {policy(topic)};
  answer.refresh_after_s = refresh_after_s;
  return answer;
}

// Gives its answers one after the other, the last one again and again.
class Answers final : public TokenAuthorizer {
 public:
  void admit(TokenClaim, std::function<void(bool)> done) override { done(active); }
  bool active = true;
  void decide(TokenQuestion question, std::function<void(TokenAnswer)> done) override {
    questions.push_back(question);
    const bool first = questions.size() == 1;
    const TokenAnswer answer = answers.at(std::min(questions.size(), answers.size()) - 1);
    if (hold) return held.push_back([answer, done] { done(answer); });
    done(answer);
    if (!first) again.release();
  }
  void on_change(std::function<void(const std::string& name)>) override {}
  bool hold = false;
  std::vector<std::function<void()>> held;
  std::counting_semaphore<> again{0};
  std::vector<TokenAnswer> answers;
  std::vector<TokenQuestion> questions;
};

class TokenGrantTest : public testing::Test {
 protected:
  TokenGrantTest() {
    peer_.address = "10.1.2.3";
    peer_.tls = true;
  }
  ~TokenGrantTest() override {
    test_.call([this] {
      grant_.reset();
      return 0;
    });
  }
  // The grant, or null.
  mqtt::ConnectionGrant* connect(const std::string& client_id = "c") {
    mqtt::ConnectAttempt attempt;
    attempt.client_id = client_id;
    attempt.username = "u";
    attempt.peer = &peer_;
    std::promise<void> decided;
    test_.loop.post([&] {
      connect_with_token(door(), attempt, nullptr, [&](mqtt::Authorizer::Decision decision) {
        grant_ = std::move(decision.grant);
        decided.set_value();
      });
    });
    decided.get_future().wait();
    return grant_.get();
  }
  TokenDoor door() {
    return {
        test_.loop, kRealm, &answers_, false, [this](const std::string& principal) { changed_.push_back(principal); },
        sessions_};
  }
  void change(const std::string& authorizer) {
    ask([&] {
      authorizer_changed(door(), authorizer);
      return true;
    });
    ask([] { return true; });  // and what it posted
    ask([] { return true; });
  }
  bool ask(const std::function<bool()>& question) { return test_.call(question); }
  void wait_for_refresh() { ASSERT_TRUE(answers_.again.try_acquire_for(std::chrono::seconds(10))); }

  Answers answers_;
  io::TestLoop test_;
  io::PeerInfo peer_;
  std::vector<std::string> changed_;
  std::shared_ptr<TokenSessions> sessions_ = make_token_sessions();
  std::unique_ptr<mqtt::ConnectionGrant> grant_;
};

TEST_F(TokenGrantTest, ARefreshReplacesTheRights) {
  answers_.answers = {accepted("a", 1), accepted("b", 0)};
  mqtt::ConnectionGrant* grant = connect();
  ASSERT_NE(grant, nullptr);
  EXPECT_TRUE(ask([&] { return grant->may_publish("a", false) && !grant->may_publish("b", false); }));
  wait_for_refresh();
  EXPECT_TRUE(ask([&] { return changed_.empty() && grant->still_valid() && grant->may_publish("b", false); }));
  EXPECT_FALSE(ask([&] { return grant->may_publish("a", false); }));
  ASSERT_EQ(answers_.questions.size(), 2u);
  EXPECT_EQ(answers_.questions[0].connection_id, answers_.questions[1].connection_id);
  EXPECT_EQ(answers_.questions[1].username, "u");
}

TEST_F(TokenGrantTest, ARefusalAtTheRefreshEndsTheConnection) {
  answers_.answers = {accepted("a", 1), TokenAnswer{}};
  mqtt::ConnectionGrant* grant = connect();
  ASSERT_NE(grant, nullptr);
  wait_for_refresh();
  EXPECT_FALSE(ask([&] { return grant->still_valid() || grant->may_publish("a", false) || grant->may_receive("a"); }));
  EXPECT_FALSE(ask([&] { return grant->may_subscribe("a"); }));
}

TEST_F(TokenGrantTest, AnotherPrincipalAtTheRefreshEndsTheConnection) {
  TokenAnswer other = accepted("a", 0);
  other.principal_id = "p2";
  answers_.answers = {accepted("a", 1), other};
  mqtt::ConnectionGrant* grant = connect();
  ASSERT_NE(grant, nullptr);
  wait_for_refresh();
  EXPECT_FALSE(ask([&] { return grant->still_valid(); }));
  EXPECT_EQ(changed_, std::vector<std::string>{"p1"});
}

TEST_F(TokenGrantTest, AConnectionThatHasEndedIsNotRefreshed) {
  answers_.answers = {accepted("a", 1)};
  ASSERT_NE(connect(), nullptr);
  ask([&] {
    grant_.reset();
    return true;
  });
  EXPECT_FALSE(answers_.again.try_acquire_for(std::chrono::milliseconds(1200)));
  EXPECT_EQ(answers_.questions.size(), 1u);
}

TEST_F(TokenGrantTest, AChangedAuthoriserIsAskedAgainAtOnce) {
  answers_.answers = {accepted("a", 0), accepted("b", 0)};
  for (TokenAnswer& answer : answers_.answers) answer.authorizer_name = "own";
  mqtt::ConnectionGrant* grant = connect();
  ASSERT_NE(grant, nullptr);
  change("another");
  EXPECT_EQ(answers_.questions.size(), 1u);
  change("own");
  EXPECT_EQ(answers_.questions.size(), 2u);
  EXPECT_EQ(answers_.questions[1].claim.authorizer_name, "own") << "not whichever is the default by now";
  EXPECT_TRUE(ask([&] { return grant->still_valid() && grant->may_publish("b", false); }));
  EXPECT_FALSE(ask([&] { return grant->may_publish("a", false); }));
  answers_.answers = {TokenAnswer{}};
  change("own");
  EXPECT_FALSE(ask([&] { return grant->still_valid(); }));
  EXPECT_EQ(changed_, std::vector<std::string>{"p1"});
}

TEST_F(TokenGrantTest, ConnectionsEndWithTheirAuthoriser) {
  answers_.answers = {accepted("a", 0)};
  answers_.answers[0].authorizer_name = "own";
  mqtt::ConnectionGrant* grant = connect();
  ASSERT_NE(grant, nullptr);
  answers_.active = false;
  change("another");
  EXPECT_TRUE(ask([&] { return grant->still_valid(); }));
  change("own");
  EXPECT_FALSE(
      ask([&] { return grant->still_valid() || grant->may_publish("a", false) || grant->may_subscribe("a"); }));
  EXPECT_EQ(changed_, std::vector<std::string>{""});
  EXPECT_EQ(answers_.questions.size(), 1u) << "nobody was asked";
}

TEST_F(TokenGrantTest, AnAnswerFromBeforeTheChangeDoesNotCount) {
  answers_.answers = {accepted("old", 0), accepted("new", 0)};
  for (TokenAnswer& answer : answers_.answers) answer.authorizer_name = "own";
  answers_.hold = true;
  std::promise<void> decided;
  mqtt::ConnectAttempt attempt;
  attempt.client_id = "c";
  attempt.peer = &peer_;
  ask([&] {
    connect_with_token(door(), attempt, nullptr, [&](mqtt::Authorizer::Decision decision) {
      grant_ = std::move(decision.grant);
      decided.set_value();
    });
    return true;
  });
  change("own");
  ask([&] {
    answers_.hold = false;
    for (const auto& answer : answers_.held) answer();
    return true;
  });
  decided.get_future().wait();
  ASSERT_NE(grant_, nullptr);
  EXPECT_TRUE(ask([&] { return grant_->may_publish("new", false) && !grant_->may_publish("old", false); }));
}

TEST_F(TokenGrantTest, ItsPrincipalIsTheAuthorisersWhateverName) {
  answers_.answers = {accepted("a", 0)};
  answers_.answers[0].authorizer_name = "own";
  answers_.answers[0].principal_id = std::string(64, 'a');  // looks like a certificate
  mqtt::ConnectionGrant* grant = connect();
  ASSERT_NE(grant, nullptr);
  EXPECT_EQ(grant->principal_kind(), mqtt::PrincipalKind::kToken);
  const iam::Principal who = dynamic_cast<VouchedGrant&>(*grant).vouched();
  EXPECT_EQ(who.kind, iam::PrincipalKind::kToken);
  EXPECT_EQ(who.arn, "arn:aws:iot:us-east-1:123456789012:authorizer/own");
}

TEST_F(TokenGrantTest, ItLivesAsLongAsTheAnswerSaysWhateverIsRefreshed) {
  answers_.answers = {accepted("a", 300)};
  answers_.answers[0].disconnect_after_s = 600;
  mqtt::ConnectionGrant* grant = connect();
  ASSERT_NE(grant, nullptr);
  const std::int64_t left_ms = grant->expires_ms() - io::SystemClock().now_ms();
  EXPECT_GT(left_ms, 590'000);
  EXPECT_LE(left_ms, 600'000);
}

TEST_F(TokenGrantTest, WildcardsInAClientIdGainNothing) {
  for (const char* client : {"#", "+", "+/+"}) {
    answers_.answers = {accepted("${iot:ClientId}", 0)};
    mqtt::ConnectionGrant* grant = connect(client);
    ASSERT_NE(grant, nullptr) << client;
    EXPECT_FALSE(ask([&] { return grant->may_subscribe(client); })) << client;
  }
  answers_.answers = {accepted("a/*", 0)};
  mqtt::ConnectionGrant* grant = connect();
  EXPECT_TRUE(ask([&] { return grant->may_subscribe("a/#") && !grant->may_subscribe("$aws/things/x/shadow/#"); }));
}

TEST(TokenClaimTest, NamesAndSignaturesInAnyLetterCase) {
  const auto claim =
      token_claim_of_username("u?X-AMZ-CustomAuthorizer-Name=a&x-amz-customauthorizer-signature=b+c%3D&t=v");
  ASSERT_NE(claim, nullptr);
  EXPECT_EQ(claim->authorizer_name, "a");
  EXPECT_EQ(claim->signature, "b+c=");  // '+' that nobody encoded
  EXPECT_EQ(claim->parameters.back().second, "v");
  for (const char* none : {"", "u", "u?", "u?a=b", "u?x-amz-customauthorizer-name", "?%zz"}) {
    const auto found = token_claim_of_username(none);
    EXPECT_TRUE(found == nullptr || found->authorizer_name.empty()) << none;
  }
  EXPECT_EQ(token_claim_of_username("u?x-amz-customauthorizer-name=a&" + std::string(9000, 'x')), nullptr);
}

// ---- what asks the functions

class Function final : public functions::FunctionInvoker {
 public:
  void invoke(functions::Invocation invocation, Done done) override {
    calls.push_back(invocation);
    done(answer);
  }
  Result<std::string> answer = std::string(R"({"isAuthenticated":false})");
  std::vector<functions::Invocation> calls;
};

class CustomAuthorizersTest : public testing::Test {
 protected:
  void make(const std::string& name, bool active, bool signing_disabled) {
    security::CustomAuthorizer wanted;
    wanted.name = name;
    wanted.function_arn = "arn:aws:lambda:us-east-1:123456789012:function:" + name;
    wanted.token_key_name = "tok";
    wanted.public_keys = {{"k", signer().public_pem()}};
    wanted.active = active;
    wanted.signing_disabled = signing_disabled;
    const Status status = store::run_blocking(*store_, [&](store::Tx& tx) -> Status {
      TRY_VOID(security::create_authorizer(tx, kRealm, wanted));
      return {};
    });
    ASSERT_TRUE(status) << status.error().message;
  }
  TokenAnswer decide(const TokenQuestion& question) {
    std::promise<TokenAnswer> promise;
    authorizers_.decide(question, [&](TokenAnswer answer) { promise.set_value(std::move(answer)); });
    return promise.get_future().get();
  }
  bool admitted(const TokenClaim& claim) {
    std::promise<bool> promise;
    authorizers_.admit(claim, [&](bool admit) { promise.set_value(admit); });
    return promise.get_future().get();
  }
  // The principal, or the code of the refusal.
  std::string identify(const io::HttpRequest& request) {
    auto caller = loop_.run(authorizers_.identify(request, {}));
    return caller ? (*caller)->principal().user_id : caller.error().reason;
  }
  static const jwt::TestSigner& signer() {
    static const jwt::TestSigner made;
    return made;
  }
  static TokenQuestion question(const std::string& authorizer, const std::string& token) {
    TokenQuestion out;
    out.claim.authorizer_name = authorizer;
    out.claim.signature = to_base64(signer().sign(token));
    out.claim.parameters = {{"TOK", token}};
    out.client_id = "c";
    return out;
  }

  io::VirtualClock clock_;
  std::unique_ptr<store::MemoryStore> store_ = store::make_memory_store(clock_);
  Function function_;
  io::TestLoop loop_;
  CustomAuthorizers authorizers_{*store_, kRealm, function_, clock_};
};

TEST_F(CustomAuthorizersTest, OnlySignedTokensReachTheFunction) {
  make("a", true, false);
  make("off", false, false);
  function_.answer = R"({"isAuthenticated":true,"principalId":"p","policyDocuments":[)" + policy("t") + "]}";
  TokenAnswer answer = decide(question("a", "t"));
  EXPECT_TRUE(answer.accepted) << answer.reason;
  EXPECT_EQ(answer.principal_id, "p");
  ASSERT_EQ(function_.calls.size(), 1u);
  EXPECT_EQ(function_.calls[0].function_arn, "arn:aws:lambda:us-east-1:123456789012:function:a");
  EXPECT_EQ(function_.calls[0].timeout_ms, 5000);
  TokenQuestion other = question("a", "t");
  other.claim.parameters = {{"tok", "u"}};
  EXPECT_EQ(decide(other).reason, "the token's signature is wrong");
  EXPECT_EQ(decide(question("off", "t")).reason, "the authoriser is not active");
  EXPECT_EQ(decide(question("", "t")).reason, "there is no such authoriser, and no default one");
  EXPECT_EQ(function_.calls.size(), 1u);
}

TEST_F(CustomAuthorizersTest, TellsWhichAuthoriserChanged) {
  std::vector<std::string> changed;
  authorizers_.on_change([&](const std::string& name) { changed.push_back(name); });
  make("a", true, false);
  const Status status = store::run_blocking(*store_, [&](store::Tx& tx) -> Status {
    TRY_VOID(security::set_default_authorizer(tx, kRealm, "a"));
    return {};
  });
  ASSERT_TRUE(status);
  EXPECT_EQ(changed, (std::vector<std::string>{"a", ""}));
}

TEST_F(CustomAuthorizersTest, WhateverTheFunctionDoesWrongIsARefusal) {
  make("a", true, true);
  for (const Error& error : {make_error(ErrorKind::kTimeout, "x"), make_error(ErrorKind::kNotFound, "x"),
                             make_error(ErrorKind::kUnavailable, "x", "FunctionError")}) {
    function_.answer = error;
    EXPECT_FALSE(decide(question("a", "t")).accepted);
  }
  for (const char* text : {"", "null", "{}", R"({"isAuthenticated":true})"}) {
    function_.answer = std::string(text);
    EXPECT_FALSE(decide(question("a", "t")).accepted) << text;
  }
}

TEST_F(CustomAuthorizersTest, WebSocketsAreOpenedForWhomSomebodyCanBeAsked) {
  EXPECT_FALSE(admitted({}));
  make("off", false, false);
  EXPECT_FALSE(admitted({}));
  make("a", true, false);
  EXPECT_TRUE(admitted({}));  // CONNECT may bring the token
  EXPECT_TRUE(admitted(question("a", "t").claim));
  EXPECT_FALSE(admitted(question("off", "t").claim));
  EXPECT_FALSE(admitted(question("gone", "t").claim));
  TokenClaim forged = question("a", "t").claim;
  forged.signature = to_base64(signer().sign("u"));
  EXPECT_FALSE(admitted(forged));
  EXPECT_TRUE(function_.calls.empty());
}

TEST_F(CustomAuthorizersTest, TheDefaultIsAskedForHttpsOnceItIsSet) {
  make("a", true, true);
  io::HttpRequest request;
  request.method = "POST";
  request.target = "/topics/t?qos=1";
  EXPECT_EQ(identify(request), "MissingAuthenticationToken");
  const Status status = store::run_blocking(*store_, [&](store::Tx& tx) -> Status {
    TRY_VOID(security::set_default_authorizer(tx, kRealm, "a"));
    return {};
  });
  ASSERT_TRUE(status);
  EXPECT_TRUE(authorizers_.claims(request, {}));
  EXPECT_EQ(identify(request), "ForbiddenException");
  function_.answer = R"({"isAuthenticated":true,"principalId":"p","policyDocuments":[)" + policy("t") + "]}";
  EXPECT_EQ(identify(request), "p");
  request.target = "/bucket/key";
  EXPECT_FALSE(authorizers_.claims(request, {}));
  request.headers.add("X-Amz-CustomAuthorizer-Name", "b");
  EXPECT_TRUE(authorizers_.claims(request, {}));
}

}  // namespace
}  // namespace muster::api::device
