// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/policy/explain.h"

#include <gtest/gtest.h>

namespace muster::iam {
namespace {

PolicyPtr policy(const std::string& statements) {
  auto compiled = compile_policy(R"({"Version":"2012-10-17","Statement":[)" + statements + "]}", PolicyUse::kIot);
  EXPECT_TRUE(compiled) << (compiled ? "" : compiled.error().message);
  return compiled ? *compiled : deny_all_policy();
}

constexpr std::string_view kTopic = "arn:aws:iot:us-east-1:123456789012:topic/";

Explained ask(const std::vector<PolicyPtr>& policies, const std::string& topic, const PolicyContext& context) {
  const std::string resource = std::string(kTopic) + topic;
  return explain(policies, {.action = "iot:Publish", .resource = resource, .context = &context});
}

TEST(PolicyExplain, TellsTheResourcesThatAreAllowedInstead) {
  PolicyContext context;
  context.set("iot:ClientId", "gw");
  const auto found = ask({policy(R"({"Sid":"up","Effect":"Allow","Action":"iot:Publish",
    "Resource":"arn:aws:iot:us-east-1:123456789012:topic/up/${iot:ClientId}/*"},
    {"Effect":"Allow","Action":"iot:Subscribe","Resource":"*"})")},
                         "down/gw/x", context);
  EXPECT_EQ(found.decision.verdict, Verdict::kImplicitDeny);
  ASSERT_EQ(found.misses.size(), 1u);
  EXPECT_EQ(found.misses[0].sid, "up");
  EXPECT_EQ(found.misses[0].by, Stopped::kResource);
  EXPECT_EQ(found.misses[0].what, std::vector<std::string>{std::string(kTopic) + "up/gw/*"});
}

TEST(PolicyExplain, TellsAVariableWithoutValue) {
  const auto found = ask({policy(R"({"Effect":"Allow","Action":"iot:*",
    "Resource":"arn:aws:iot:us-east-1:123456789012:topic/${iot:Connection.Thing.ThingName}"})")},
                         "gw", {});
  ASSERT_EQ(found.misses.size(), 1u);
  EXPECT_EQ(found.misses[0].by, Stopped::kVariable);
  EXPECT_EQ(found.misses[0].what, std::vector<std::string>{"iot:connection.thing.thingname"});
}

TEST(PolicyExplain, TellsAConditionThatDoesNotHold) {
  PolicyContext context;
  context.set("aws:SourceIp", "10.0.0.1");
  const auto found = ask({policy(R"({"Effect":"Allow","Action":"iot:Publish","Resource":"*",
    "Condition":{"IpAddress":{"aws:SourceIp":"192.168.0.0/16"}}})")},
                         "a", context);
  ASSERT_EQ(found.misses.size(), 1u);
  EXPECT_EQ(found.misses[0].by, Stopped::kCondition);
  EXPECT_EQ(found.misses[0].what, std::vector<std::string>{"aws:sourceip"});
}

TEST(PolicyExplain, TheVerdictIsTheEvaluators) {
  const auto found = ask({policy(R"({"Effect":"Allow","Action":"iot:*","Resource":"*"})"),
                          policy(R"({"Sid":"no","Effect":"Deny","Action":"iot:Publish","Resource":"*"})")},
                         "a", {});
  EXPECT_EQ(found.decision.verdict, Verdict::kExplicitDeny);
  EXPECT_EQ(found.decision.policy, 1);
  EXPECT_EQ(found.decision.sid, "no");
  EXPECT_TRUE(found.misses.empty());
}

TEST(PolicyExplain, NamesABoundedNumberOfStatements) {
  std::string statements;
  for (int i = 0; i < 60; ++i) {
    statements += (i == 0 ? "" : ",") + std::string(R"({"Effect":"Allow","Action":"iot:Publish",
      "Resource":"arn:aws:iot:us-east-1:123456789012:topic/t)") +
                  std::to_string(i) + "\"}";
  }
  EXPECT_EQ(ask({policy(statements)}, "a", {}).misses.size(), kExplainedStatements);
}

}  // namespace
}  // namespace muster::iam
