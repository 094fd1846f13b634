// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/policy/eval.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster::iam {
namespace {

struct Case {
  std::string document;
  std::string action = "iot:Publish";
  std::string resource = "arn:aws:iot:us-east-1:123456789012:topic/a";
  PolicyContext context;
  PolicyUse use = PolicyUse::kIdentity;
  PolicyPrincipal principal;

  Decision decide() const {
    auto policy = compile_policy(document, use);
    EXPECT_TRUE(policy) << policy.error().message << "\n" << document;
    if (!policy) return {};
    std::vector<PolicyPtr> policies{*policy};
    return evaluate(policies, {action, resource, &context, &principal});
  }
  Verdict verdict() const { return decide().verdict; }
};

std::string statement(std::string_view effect, std::string_view action, std::string_view resource,
                      std::string_view more = "") {
  return R"({"Effect":")" + std::string(effect) + R"(","Action":")" + std::string(action) + R"(","Resource":")" +
         std::string(resource) + "\"" + std::string(more) + "}";
}
std::string document(std::string_view statements) {
  return R"({"Version":"2012-10-17","Statement":[)" + std::string(statements) + "]}";
}
std::string allow(std::string_view resource, std::string_view more = "") {
  return document(statement("Allow", "iot:Publish", resource, more));
}
constexpr std::string_view kTopic = "arn:aws:iot:us-east-1:123456789012:topic/";

bool allows(const std::string& pattern, const std::string& resource, const PolicyContext& context = {}) {
  Case c;
  c.document = allow(pattern);
  c.resource = resource;
  c.context = context;
  c.use = PolicyUse::kIot;
  return c.verdict() == Verdict::kAllow;
}

TEST(PolicyEval, DenyWinsOverAllowAndNothingIsAllowedByDefault) {
  Case c;
  c.document =
      document(statement("Allow", "*", "*") + "," + statement("Deny", "iot:Pub*", "*", R"(,"Sid":"NoPublish")"));
  Decision decision = c.decide();
  EXPECT_EQ(decision.verdict, Verdict::kExplicitDeny);
  EXPECT_EQ(decision.statement, 1);
  c.action = "iot:Connect";
  EXPECT_EQ(c.verdict(), Verdict::kAllow);
  c.document = document(statement("Allow", "iot:Publish", "*"));
  EXPECT_EQ(c.verdict(), Verdict::kImplicitDeny);
}

TEST(PolicyEval, DenyInALaterPolicyWinsToo) {
  auto allowing = compile_policy(document(statement("Allow", "*", "*")), PolicyUse::kIdentity);
  auto denying = compile_policy(document(statement("Deny", "*", "*")), PolicyUse::kIdentity);
  std::vector<PolicyPtr> policies{*allowing, *denying};
  PolicyContext context;
  Decision decision = evaluate(policies, {"iot:Publish", "arn:aws:iot:r:1:topic/a", &context, nullptr});
  EXPECT_EQ(decision.verdict, Verdict::kExplicitDeny);
  EXPECT_EQ(decision.policy, 1);
}

TEST(PolicyEval, ActionsIgnoreCaseAndHaveWildcards) {
  Case c;
  c.document = document(statement("Allow", "IoT:pub*sh", "*"));
  EXPECT_EQ(c.verdict(), Verdict::kAllow);
  c.document = document(statement("Allow", "iot:Publis?", "*"));
  EXPECT_EQ(c.verdict(), Verdict::kAllow);
  c.document = document(statement("Allow", "iot:Publish?", "*"));
  EXPECT_EQ(c.verdict(), Verdict::kImplicitDeny);
  c.document = document(statement("Allow", "s3:*", "*"));
  EXPECT_EQ(c.verdict(), Verdict::kImplicitDeny);
}

TEST(PolicyEval, NotActionAndNotResourceTakeTheRest) {
  Case c;
  c.document = R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}})";
  EXPECT_EQ(c.verdict(), Verdict::kAllow);
  c.action = "iam:CreateUser";
  EXPECT_EQ(c.verdict(), Verdict::kImplicitDeny);
  c.action = "iot:Publish";
  c.document = R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","NotResource":")" +
               std::string(kTopic) + R"(secret*"}})";
  EXPECT_EQ(c.verdict(), Verdict::kAllow);
  c.resource = std::string(kTopic) + "secret/x";
  EXPECT_EQ(c.verdict(), Verdict::kImplicitDeny);
}

TEST(PolicyEval, ResourceWildcards) {
  std::string topic(kTopic);
  EXPECT_TRUE(allows(topic + "a/*/c", topic + "a/b/b/c"));
  EXPECT_FALSE(allows(topic + "a/*/c", topic + "a/b/b/d"));
  EXPECT_TRUE(allows(topic + "a?c", topic + "abc"));
  EXPECT_TRUE(allows(topic + "a?c", topic + "a\xC3\xA9"
                                            "c"));  // one character of two bytes
  EXPECT_FALSE(allows(topic + "a?c", topic + "ac"));
  EXPECT_TRUE(allows(topic + "*ab*ab*", topic + "xabxabx"));
  EXPECT_FALSE(allows(topic + "*ab*ab", topic + "xab"));
  EXPECT_FALSE(allows(topic + "A", topic + "a")) << "resources are case-sensitive";
  EXPECT_TRUE(allows("*", topic + "a"));
  EXPECT_TRUE(allows("arn:aws:iot:*", topic + "a"));
  EXPECT_TRUE(allows("arn:aws:iot:*:*:topic/a", topic + "a"));
}

TEST(PolicyEval, WildcardDoesNotCrossPartsOfAnArn) {
  // A topic filter whose name ends like a topic ARN must not pass for one.
  std::string pattern = "arn:aws:iot:us-east-1:*:topic/a";
  EXPECT_TRUE(allows(pattern, "arn:aws:iot:us-east-1:123456789012:topic/a"));
  EXPECT_FALSE(allows(pattern, "arn:aws:iot:us-east-1:123456789012:topicfilter/x:topic/a"));
  EXPECT_TRUE(allows("arn:aws:iot:*:*:topic*", "arn:aws:iot:us-east-1:123456789012:topicfilter/x:y"));
}

PolicyContext client(std::string id) {
  PolicyContext context;
  context.set("iot:ClientId", std::move(id));
  return context;
}

TEST(PolicyEval, SubstitutedValueNeverBecomesAWildcard) {
  std::string pattern = std::string(kTopic) + "${iot:ClientId}/data";
  EXPECT_TRUE(allows(pattern, std::string(kTopic) + "dev1/data", client("dev1")));
  for (const char* hostile : {"*", "?", "de*", "dev?", "${iot:ClientId}", "*/*", "a*b"}) {
    EXPECT_FALSE(allows(pattern, std::string(kTopic) + "dev1/data", client(hostile))) << hostile;
    EXPECT_TRUE(allows(pattern, std::string(kTopic) + hostile + "/data", client(hostile))) << hostile;
  }
  // With wildcards around it as well.
  EXPECT_FALSE(allows(std::string(kTopic) + "*/${iot:ClientId}/x*", std::string(kTopic) + "a/dev/xy", client("*")));
  EXPECT_TRUE(allows(std::string(kTopic) + "*/${iot:ClientId}/x*", std::string(kTopic) + "a/*/xy", client("*")));
}

TEST(PolicyEval, SubstitutedValueCannotShiftThePartsOfAnArn) {
  std::string pattern = "arn:aws:iot:${iot:ClientId}:123456789012:topic/a";
  EXPECT_FALSE(allows(pattern, "arn:aws:iot:r:999:123456789012:topic/a", client("r:999")));
  EXPECT_TRUE(allows(pattern, "arn:aws:iot:r:123456789012:topic/a", client("r")));
}

TEST(PolicyEval, VariableWithoutValueMatchesNothing) {
  std::string topic(kTopic);
  EXPECT_FALSE(allows(topic + "${iot:ClientId}", topic + "${iot:ClientId}"));
  EXPECT_FALSE(allows(topic + "${iot:ClientId}", topic));
  EXPECT_FALSE(allows(topic + "*${iot:ClientId}", topic + "x"));
  EXPECT_TRUE(allows(topic + "${iot:ClientId, 'none'}", topic + "none"));
  PolicyContext several;
  several.set("iot:ClientId", std::vector<std::string>{"a", "b"});
  EXPECT_FALSE(allows(topic + "${iot:ClientId}", topic + "a", several)) << "a variable has one value";
}

TEST(PolicyEval, NotResourceWithAnUnresolvedVariableFailsClosed) {
  auto with = [](std::string_view effect) {
    Case c;
    c.use = PolicyUse::kIot;
    c.document = R"({"Version":"2012-10-17","Statement":{"Effect":")" + std::string(effect) +
                 R"(","Action":"iot:Publish","NotResource":")" + std::string(kTopic) + R"(${iot:ClientId}"}})";
    return c.verdict();
  };
  EXPECT_EQ(with("Allow"), Verdict::kImplicitDeny);
  EXPECT_EQ(with("Deny"), Verdict::kExplicitDeny);
}

TEST(PolicyEval, EscapesAreTheCharactersThemselves) {
  std::string topic(kTopic);
  EXPECT_TRUE(allows(topic + "a${*}b", topic + "a*b"));
  EXPECT_FALSE(allows(topic + "a${*}b", topic + "axb"));
  EXPECT_TRUE(allows(topic + "${?}", topic + "?"));
  EXPECT_FALSE(allows(topic + "${?}", topic + "x"));
  EXPECT_TRUE(allows(topic + "${$}{iot:ClientId}", topic + "${iot:ClientId}", client("x")));
}

TEST(PolicyEval, OldVersionKnowsNoVariables) {
  Case c;
  c.use = PolicyUse::kResource;
  c.principal.account_id = "123456789012";
  c.document = R"({"Version":"2008-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",
      "Resource":"arn:aws:s3:::b/${aws:username}"}})";
  c.action = "s3:GetObject";
  c.context.set("aws:username", "ann");
  c.resource = "arn:aws:s3:::b/ann";
  EXPECT_EQ(c.verdict(), Verdict::kImplicitDeny);
  c.resource = "arn:aws:s3:::b/${aws:username}";
  EXPECT_EQ(c.verdict(), Verdict::kAllow);
}

TEST(PolicyEval, StarHeavyPatternsStayQuick) {
  std::string pattern(kTopic), text(kTopic);
  for (int i = 0; i < 400; ++i) pattern += "*a";
  pattern += "*b";
  text += std::string(4000, 'a');
  EXPECT_FALSE(allows(pattern, text));
}

TEST(PolicyEval, DenyAllPolicyDeniesEverything) {
  std::vector<PolicyPtr> policies{deny_all_policy()};
  PolicyContext context;
  EXPECT_EQ(evaluate(policies, {"iot:Publish", "*", &context, nullptr}).verdict, Verdict::kExplicitDeny);
}

// ---- principals

Case bucket_case(std::string_view effect, std::string_view principal) {
  Case c;
  c.use = PolicyUse::kResource;
  c.action = "s3:GetObject";
  c.resource = "arn:aws:s3:::b/k";
  c.document = R"({"Version":"2012-10-17","Statement":{"Effect":")" + std::string(effect) + R"(","Principal":)" +
               std::string(principal) + R"(,"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}})";
  c.principal.arn = "arn:aws:iam::123456789012:user/ann";
  c.principal.account_id = "123456789012";
  return c;
}

TEST(PolicyEval, PrincipalsByArnServiceAndEverybody) {
  EXPECT_EQ(bucket_case("Allow", R"({"AWS":"arn:aws:iam::123456789012:user/ann"})").verdict(), Verdict::kAllow);
  EXPECT_EQ(bucket_case("Allow", R"({"AWS":"arn:aws:iam::123456789012:user/bob"})").verdict(), Verdict::kImplicitDeny);
  EXPECT_EQ(bucket_case("Allow", R"("*")").verdict(), Verdict::kAllow);
  Case anonymous = bucket_case("Allow", R"({"AWS":"*"})");
  anonymous.principal = {};
  EXPECT_EQ(anonymous.verdict(), Verdict::kAllow);
  Case service = bucket_case("Allow", R"({"Service":"iot.amazonaws.com"})");
  EXPECT_EQ(service.verdict(), Verdict::kImplicitDeny);
  service.principal = {};
  service.principal.service = "iot.amazonaws.com";
  EXPECT_EQ(service.verdict(), Verdict::kAllow);
}

TEST(PolicyEval, SessionMatchesItsRole) {
  Case c = bucket_case("Allow", R"({"AWS":"arn:aws:iam::123456789012:role/r"})");
  c.principal.arn = "arn:aws:sts::123456789012:assumed-role/r/s";
  EXPECT_EQ(c.verdict(), Verdict::kImplicitDeny);
  c.principal.role_arn = "arn:aws:iam::123456789012:role/r";
  EXPECT_EQ(c.verdict(), Verdict::kAllow);
}

TEST(PolicyEval, AllowOfAnAccountOnlyDelegatesButItsDenyBinds) {
  Case allowed = bucket_case("Allow", R"({"AWS":"123456789012"})");
  EXPECT_EQ(allowed.verdict(), Verdict::kImplicitDeny);
  EXPECT_TRUE(allowed.decide().delegated);
  allowed.principal.is_root = true;
  EXPECT_EQ(allowed.verdict(), Verdict::kAllow);
  EXPECT_EQ(bucket_case("Deny", R"({"AWS":"arn:aws:iam::123456789012:root"})").verdict(), Verdict::kExplicitDeny);
  EXPECT_FALSE(bucket_case("Allow", R"({"AWS":"999999999999"})").decide().delegated);
}

TEST(PolicyEval, NotPrincipalDeniesAllOthers) {
  Case c = bucket_case("Deny", "{}");
  c.document = R"({"Version":"2012-10-17","Statement":{"Effect":"Deny","NotPrincipal":
      {"AWS":"arn:aws:iam::123456789012:user/ann"},"Action":"s3:*","Resource":"*"}})";
  EXPECT_EQ(c.verdict(), Verdict::kImplicitDeny);
  c.principal.arn = "arn:aws:iam::123456789012:user/bob";
  EXPECT_EQ(c.verdict(), Verdict::kExplicitDeny);
}

}  // namespace
}  // namespace muster::iam
