// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/simulate.h"

#include "domain/iam/entities.h"
#include "domain/iam/groups.h"
#include "domain/iam/iam_test_support.h"
#include "domain/iam/managed_policies.h"

namespace muster::iam {
namespace {

using testing::ElementsAre;
using testing::Field;

SourcePolicy source(std::string document, std::string id = "p", std::string type = "none") {
  return {std::move(id), std::move(type), std::move(document)};
}

SimulationResult decide(const std::vector<SourcePolicy>& identity, std::string_view action, std::string_view resource,
                        const std::vector<SourcePolicy>& boundary = {},
                        const std::vector<SourcePolicy>& of_resource = {}, const PolicyPrincipal& who = {},
                        const PolicyContext& context = {}) {
  auto simulation = Simulation::make(identity, boundary, of_resource);
  EXPECT_TRUE(simulation) << simulation.error().message;
  return simulation ? simulation->decide(action, resource, context, who) : SimulationResult{};
}

// The text between the positions of the only matched statement.
std::string matched_text(const std::string& document, const SimulationResult& result) {
  if (result.matched.size() != 1) return "(" + std::to_string(result.matched.size()) + " matched)";
  auto offset = [&](const TextPosition& at) {
    std::size_t begin = 0;
    for (std::int64_t line = 1; line < at.line; ++line) begin = document.find('\n', begin) + 1;
    return begin + static_cast<std::size_t>(at.column) - 1;
  };
  const std::size_t begin = offset(result.matched[0].start);
  return document.substr(begin, offset(result.matched[0].end) - begin);
}

TEST(Simulation, StatementsAreFoundInTheirText) {
  const std::string tricky = R"({ "Version" : "2012-10-17",
    "Id": "a \"Statement\": [{ ] } ",
    "Statement" : [ {"Sid":"a","Effect":"Deny","Action":"s3:Put*","Resource":"arn:aws:s3:::}{\"]["},
      {"Sid":"b",
       "Effect":"Allow", "Action":["s3:Get*"], "Resource":"*", "Condition":{"Bool":{"aws:SecureTransport":[true]}}} ]
  })";
  PolicyContext context;
  context.set("aws:SecureTransport", std::string("true"));
  const SimulationResult allowed = decide({source(tricky)}, "s3:GetObject", "arn:aws:s3:::b/k", {}, {}, {}, context);
  EXPECT_EQ(allowed.verdict, Verdict::kAllow);
  const std::string text = matched_text(tricky, allowed);
  EXPECT_TRUE(text.starts_with("{\"Sid\":\"b\"") && text.ends_with("}}}")) << text;
  EXPECT_EQ(allowed.matched[0].start.line, 4);
  const std::string one = R"({"Statement":{"Effect":"Allow","Action":"*","Resource":"*"},"Version":"2012-10-17"})";
  EXPECT_EQ(matched_text(one, decide({source(one)}, "a:b", "*")), R"({"Effect":"Allow","Action":"*","Resource":"*"})");
}

TEST(Simulation, TheLastStatementElementWinsAsInTheParser) {
  const std::string twice = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}],)"
                            R"("Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]})";
  const SimulationResult result = decide({source(twice)}, "a:b", "*");
  EXPECT_EQ(result.verdict, Verdict::kExplicitDeny);
  EXPECT_EQ(matched_text(twice, result), R"({"Effect":"Deny","Action":"*","Resource":"*"})");
}

TEST(Simulation, DenialsNameEveryStatementThatDenies) {
  const SimulationResult result = decide(
      {source(allow("*", "*"), "a"), source(allow("s3:*", "*", "Deny"), "b"), source(allow("*", "*", "Deny"), "c")},
      "s3:GetObject", "*");
  EXPECT_THAT(result.matched,
              ElementsAre(Field(&MatchedStatement::policy_id, "b"), Field(&MatchedStatement::policy_id, "c")));
  EXPECT_TRUE(decide({source(allow("iot:*", "*"))}, "s3:GetObject", "*").matched.empty());
}

TEST(Simulation, BoundaryIsToldApart) {
  const std::vector<SourcePolicy> all{source(allow("*", "*"))}, reading{source(allow("s3:Get*", "*"))};
  EXPECT_EQ(decide(all, "s3:GetObject", "*").allowed_by_boundary, std::nullopt);
  EXPECT_EQ(decide(all, "s3:GetObject", "*", reading).verdict, Verdict::kAllow);
  const SimulationResult put = decide(all, "s3:PutObject", "*", reading);
  EXPECT_EQ(put.verdict, Verdict::kImplicitDeny);
  EXPECT_EQ(put.allowed_by_boundary, false);
  EXPECT_FALSE(Simulation::make(all, {reading[0], reading[0]}, {})) << "one boundary only";
}

TEST(Simulation, MissingKeysAreNamedAsWritten) {
  const std::string document = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*",
      "Resource":"arn:aws:s3:::${AWS:UserName}/${*}${aws:userid, 'x'}",
      "Condition":{"StringLike":{"S3:Prefix":["${aws:username}/*"]}}}]})";
  EXPECT_THAT(decide({source(document)}, "s3:GetObject", "*").missing,
              ElementsAre("AWS:UserName", "S3:Prefix", "aws:userid"));
  PolicyContext context;
  context.set("s3:prefix", std::string("a/b"));
  context.set("aws:username", std::string("a"));
  EXPECT_THAT(decide({source(document)}, "s3:GetObject", "*", {}, {}, {}, context).missing, ElementsAre("aws:userid"));
}

TEST(Simulation, HostileDocumentsAreRefused) {
  for (const std::string& text :
       {std::string(), std::string("{"), std::string(1000, '['), std::string("{}"),
        std::string(R"({"Version":"2012-10-17","Statement":"x"})"), std::string(200000, ' ')}) {
    EXPECT_EQ(Simulation::make({source(text)}, {}, {}).error().reason, "InvalidInput") << text.substr(0, 20);
    EXPECT_FALSE(context_keys({source(text)}));
  }
}

TEST(Simulation, ContextEntriesHaveTypes) {
  PolicyContext context;
  auto add = [&](std::string_view type, std::vector<std::string> values) {
    return add_context_entry(context, "k:k", type, std::move(values)).has_value();
  };
  EXPECT_TRUE(add("string", {"a"}));
  EXPECT_FALSE(add("string", {"a", "b"}));
  EXPECT_TRUE(add("stringList", {"a", "b"}));
  EXPECT_TRUE(add("numericList", {"1", "2.5"}));
  EXPECT_FALSE(add("numeric", {"one"}));
  EXPECT_TRUE(add("boolean", {"true"}));
  EXPECT_FALSE(add("boolean", {"yes"}));
  EXPECT_TRUE(add("ipList", {"10.0.0.1", "::1"}));
  EXPECT_FALSE(add("ip", {"10.0.0.256"}));
  EXPECT_TRUE(add("date", {"2026-01-01T00:00:00Z"}));
  EXPECT_FALSE(add("date", {"tomorrow"}));
  EXPECT_TRUE(add("binary", {"AAAA"}));
  EXPECT_FALSE(add("binary", {"*"}));
}

class SimulatedEntities : public IamTest {};

TEST_F(SimulatedEntities, PoliciesOfAUserAreItsOwnAttachedAndItsGroups) {
  user("ann");
  run([&](store::Tx& tx) -> Result<bool> {
    TRY_VOID(create_group(tx, "g", "/"));
    TRY_VOID(add_user_to_group(tx, "g", "ann"));
    TRY_VOID(put_user_policy(tx, "ann", "own", kAllowAll));
    TRY_VOID(put_inline_policy(tx, EntityKind::kGroup, "g", "theirs", kAllowAll));
    TRY_VOID(attach_policy(tx, realm_, EntityKind::kUser, "ann", "arn:aws:iam::aws:policy/IAMFullAccess"));
    TRY_VOID(put_boundary(tx, realm_, EntityKind::kUser, "ann", "arn:aws:iam::aws:policy/AWSIoTFullAccess"));
    const std::string arn = "arn:aws:iam::" + realm_.account_id + ":user/ann";
    std::vector<SourcePolicy> boundary;
    TRY(auto policies, policies_of_entity(tx, realm_, arn, &boundary));
    EXPECT_THAT(policies, ElementsAre(Field(&SourcePolicy::type, "user"), Field(&SourcePolicy::type, "aws-managed"),
                                      Field(&SourcePolicy::type, "group")));
    EXPECT_EQ(boundary.size(), 1u);
    EXPECT_EQ(policies_of_entity(tx, realm_, arn + "x", nullptr).error().reason, "NoSuchEntity");
    EXPECT_EQ(
        policies_of_entity(tx, realm_, "arn:aws:iam::" + realm_.account_id + ":user/p/ann", nullptr).error().reason,
        "NoSuchEntity")
        << "another path";
    EXPECT_EQ(policies_of_entity(tx, realm_, "arn:aws:iam::999999999999:user/ann", nullptr).error().reason,
              "InvalidInput");
    return true;
  });
}

}  // namespace
}  // namespace muster::iam
