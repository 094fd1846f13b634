// SPDX-License-Identifier: Apache-2.0
// The evaluator against the model of model_test_support.h. A failure prints the seed.
#include <gtest/gtest.h>

#include "domain/iam/policy/model_test_support.h"

namespace muster::iam {
namespace {

TEST(PolicyModel, EvaluatorAgreesWithTheModelOnRandomPolicies) {
  std::map<Verdict, int> seen;
  for (std::uint64_t seed = 1; seed <= 20000; ++seed) {
    Generator generator(seed);
    json::value document = generator.policy();
    std::string text = to_text(document);
    auto compiled = compile_policy(text, PolicyUse::kIdentity);
    ASSERT_TRUE(compiled) << "seed " << seed << ": " << compiled.error().message << "\n" << text;
    std::vector<PolicyPtr> policies{*compiled};
    for (int round = 0; round < 5; ++round) {
      std::string action = generator.action(), resource = generator.resource();
      Context keys = generator.context();
      PolicyContext context;
      for (const auto& [key, values] : keys) context.set(key, values);
      Verdict expected = model::decide(document, action, resource, keys);
      Verdict actual = evaluate(policies, {action, resource, &context, nullptr}).verdict;
      ++seen[expected];
      ASSERT_EQ(actual, expected) << "seed " << seed << " round " << round << " " << action << " " << resource << "\n"
                                  << text;
    }
  }
  // The generator must not drift into policies that decide nothing.
  EXPECT_GT(seen[Verdict::kAllow], 3000);
  EXPECT_GT(seen[Verdict::kExplicitDeny], 3000);
  EXPECT_GT(seen[Verdict::kImplicitDeny], 3000);
}

std::vector<PolicyPtr> compiled(const std::vector<json::value>& documents, PolicyUse use) {
  std::vector<PolicyPtr> policies;
  for (const json::value& document : documents) {
    auto policy = compile_policy(to_text(document), use);
    EXPECT_TRUE(policy) << policy.error().message << to_text(document);
    if (policy) policies.push_back(*policy);
  }
  return policies;
}

// Inline, attached and group policies are all identity policies; boundary, session and resource policies on top.
TEST(PolicyModel, WholeDecisionAgreesWithTheModel) {
  std::map<Verdict, int> seen;
  int bounded = 0, by_session_name = 0;
  for (std::uint64_t seed = 1; seed <= 20000; ++seed) {
    Generator generator(seed + 1'000'000);
    const model::Who who = generator.who();
    model::Everything all;
    for (int count = who.arn.empty() ? 0 : generator.between(0, 3); count > 0; --count)
      all.identity.push_back(generator.policy());
    if (generator.chance(2)) all.resource.push_back(generator.resource_policy(who));
    all.bounded = !who.arn.empty() && generator.chance(3);
    all.has_session = !who.role_arn.empty() && generator.chance(3);
    if (all.bounded) all.boundary.push_back(generator.policy());
    for (int count = all.has_session ? generator.between(1, 2) : 0; count > 0; --count)
      all.session.push_back(generator.policy());
    PolicySet set;
    set.identity = compiled(all.identity, PolicyUse::kIdentity);
    set.resource = compiled(all.resource, PolicyUse::kResource);
    if (all.bounded) set.ceilings.push_back({true, compiled(all.boundary, PolicyUse::kIdentity)});
    if (all.has_session) set.ceilings.push_back({false, compiled(all.session, PolicyUse::kIdentity)});
    PolicyPrincipal principal{.arn = who.arn, .role_arn = who.role_arn, .account_id = who.account};
    for (int round = 0; round < 3; ++round) {
      const std::string action = generator.action(), resource = generator.resource();
      const Context keys = generator.context();
      PolicyContext context;
      for (const auto& [key, values] : keys) context.set(key, values);
      const Verdict expected = model::judge(all, action, resource, keys, who);
      const Judgement actual = judge(set, {action, resource, &context, &principal});
      ++seen[expected];
      bounded += actual.by == Level::kBoundary || actual.by == Level::kSession;
      by_session_name += actual.verdict == Verdict::kAllow && actual.by == Level::kResource && !who.role_arn.empty();
      ASSERT_EQ(actual.verdict, expected) << "seed " << seed << " round " << round;
    }
  }
  EXPECT_GT(seen[Verdict::kAllow], 1000);
  EXPECT_GT(seen[Verdict::kExplicitDeny], 1000);
  EXPECT_GT(seen[Verdict::kImplicitDeny], 1000);
  EXPECT_GT(bounded, 200);
  EXPECT_GT(by_session_name, 50);
}

}  // namespace
}  // namespace muster::iam
