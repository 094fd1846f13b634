// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/policy/blanket.h"

#include <gtest/gtest.h>

#include <random>

namespace muster::iam {
namespace {

const std::string kPrefix = "arn:aws:iot:us-east-1:123456789012:topic/";

PolicyPtr policy(const std::string& statements) {
  auto compiled = compile_policy(R"({"Version":"2012-10-17","Statement":[)" + statements + "]}", PolicyUse::kIot);
  EXPECT_TRUE(compiled) << (compiled ? "" : compiled.error().message);
  return compiled ? *compiled : deny_all_policy();
}
std::string allow(const std::string& resource, const std::string& action = "iot:Publish",
                  const std::string& effect = "Allow", const std::string& more = "") {
  return R"({"Effect":")" + effect + R"(","Action":")" + action + R"(","Resource":")" + resource + "\"" + more + "}";
}
bool blanket(const std::string& statements, const PolicyContext& context = {}) {
  const std::vector<PolicyPtr> policies{policy(statements)};
  return allows_all_below(policies, "iot:Publish", kPrefix, context);
}

TEST(Blanket, AllTopicsByOneStatement) {
  for (const char* resource :
       {"*", "arn:aws:iot:us-east-1:123456789012:topic/*", "arn:aws:iot:*:*:topic/*", "arn:aws:iot:*:*:*",
        "arn:aws:iot:us-east-1:123456789012:top*", "arn:aws:iot:us-east-1:*"})
    EXPECT_TRUE(blanket(allow(resource))) << resource;
  EXPECT_TRUE(blanket(allow("*", "iot:*")));
  EXPECT_TRUE(blanket(allow(kPrefix + "a") + "," + allow("*")));
}

TEST(Blanket, LessThanAllIsNone) {
  for (const char* resource :
       {"arn:aws:iot:us-east-1:123456789012:topic/a*", "arn:aws:iot:us-east-1:123456789012:topic/?*",
        "arn:aws:iot:eu-west-1:123456789012:topic/*", "arn:aws:iot:us-east-1:123456789012:topicfilter/*",
        "arn:aws:iot:us-east-1:123456789012:topic/${iot:ClientId}*", "arn:aws:iot:us-east-1:123456789012:*/x",
        "arn:aws:iot:us-west*"})
    EXPECT_FALSE(blanket(allow(resource))) << resource;
  EXPECT_FALSE(blanket(allow("*", "iot:Receive")));
  EXPECT_FALSE(allows_all_below({}, "iot:Publish", kPrefix, {}));
  const std::vector<PolicyPtr> none{deny_all_policy()};
  EXPECT_FALSE(allows_all_below(none, "iot:Publish", kPrefix, {}));
}

TEST(Blanket, ADenyOfTheActionEndsIt) {
  EXPECT_FALSE(blanket(allow("*") + "," + allow(kPrefix + "secret", "iot:Publish", "Deny")));
  EXPECT_TRUE(blanket(allow("*") + "," + allow("*", "iot:Receive", "Deny")));
  EXPECT_FALSE(blanket(
      R"({"Effect":"Allow","Action":"iot:Publish","NotResource":"arn:aws:iot:us-east-1:123456789012:topic/x"})"));
}

TEST(Blanket, ConditionsAreTheConnectionsOwn) {
  const std::string when = R"(,"Condition":{"StringEquals":{"iot:ClientId":"a"}})";
  PolicyContext a, b;
  a.set("iot:ClientId", std::string("a"));
  b.set("iot:ClientId", std::string("b"));
  EXPECT_TRUE(blanket(allow("*", "iot:*", "Allow", when), a));
  EXPECT_FALSE(blanket(allow("*", "iot:*", "Allow", when), b));
  EXPECT_FALSE(blanket(allow("*", "iot:*", "Allow", when)));
  EXPECT_FALSE(blanket(allow("*") + "," + allow("*", "iot:*", "Deny", when), a));
  EXPECT_TRUE(blanket(allow("*") + "," + allow("*", "iot:*", "Deny", when), b));
}

// Whenever it says yes, the evaluator says yes to whatever is below.
TEST(Blanket, AgreesWithTheEvaluator) {
  std::mt19937 random(5);
  const auto pick = [&](auto& list) { return std::string(list[random() % std::size(list)]); };
  const char* resources[] = {"*",
                             "arn:aws:iot:us-east-1:123456789012:topic/*",
                             "arn:aws:iot:*:123456789012:topic/*",
                             "arn:aws:iot:us-east-1:*",
                             "arn:aws:iot:us-east-1:123456789012:*",
                             "arn:aws:iot:us-east-1:123456789012:t*",
                             "arn:aws:iot:us-east-1:123456789012:topic/a/*",
                             "arn:aws:iot:us-east-1:123456789012:topic/?",
                             "arn:aws:iot:us-east-1:123456789012:topic/${iot:ClientId}/*"};
  const char* actions[] = {"iot:Publish", "iot:*", "iot:Receive", "iot:P*", "*"};
  const char* topics[] = {"", "a", "a/b", "x:y", "dev/1", "*", "\xff\xfe", "topic/topic"};
  PolicyContext context;
  context.set("iot:ClientId", std::string("dev"));
  int yes = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string statements;
    for (std::size_t n = random() % 3 + 1; n > 0; --n)
      statements +=
          (statements.empty() ? "" : ",") + allow(pick(resources), pick(actions), random() % 4 == 0 ? "Deny" : "Allow");
    const std::vector<PolicyPtr> policies{policy(statements)};
    if (!allows_all_below(policies, "iot:Publish", kPrefix, context)) continue;
    ++yes;
    for (const char* topic : topics) {
      const std::string resource = kPrefix + topic;
      ASSERT_EQ(evaluate(policies, {"iot:Publish", resource, &context, nullptr}).verdict, Verdict::kAllow)
          << statements << " " << resource;
    }
  }
  EXPECT_GT(yes, 500);
}

}  // namespace
}  // namespace muster::iam
