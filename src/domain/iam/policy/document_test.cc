// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/policy/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster::iam {
namespace {

using testing::HasSubstr;

std::string complaint(std::string_view text, PolicyUse use = PolicyUse::kIdentity) {
  auto policy = compile_policy(text, use);
  if (policy) return "accepted";
  EXPECT_EQ(policy.error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(policy.error().reason, use == PolicyUse::kIot ? "MalformedPolicyException" : "MalformedPolicyDocument");
  return policy.error().message;
}
std::string with(std::string_view statement) {
  return R"({"Version":"2012-10-17","Statement":[)" + std::string(statement) + "]}";
}

TEST(PolicyDocument, OrdinaryPoliciesAreAccepted) {
  EXPECT_EQ(complaint(with(R"({"Sid":"A","Effect":"Allow","Action":["iot:*","s3:Get*"],"Resource":["*"]})")),
            "accepted");
  EXPECT_EQ(complaint(R"({"Version":"2012-10-17","Id":"x","Statement":{"Effect":"Deny","NotAction":"iam:*",
      "NotResource":"arn:aws:s3:::b/*","Condition":{"StringEquals":{"aws:username":["a","b"]},
      "Bool":{"aws:SecureTransport":false}}}})"),
            "accepted");
  EXPECT_EQ(complaint(R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Connect",
      "Resource":"arn:aws:iot:us-east-1:123456789012:client/${iot:Connection.Thing.ThingName}",
      "Condition":{"Bool":{"iot:Connection.Thing.IsAttached":["true"]}}}]})",
                      PolicyUse::kIot),
            "accepted");
  EXPECT_EQ(complaint(R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":
      {"Service":["iot.amazonaws.com"],"AWS":"123456789012"},"Action":"sts:AssumeRole"}]})",
                      PolicyUse::kTrust),
            "accepted");
}

TEST(PolicyDocument, SyntaxErrors) {
  const char* kSyntax = "Syntax errors in policy.";
  for (std::string_view text :
       {"", "{", "[]", "null", "\"x\"", R"({"Version":"2012-10-17"})", R"({"Version":"2012-10-17","Statement":[]})",
        R"({"Version":"2012-10-17","Statement":"x"})", R"({"Version":"2012-10-17","Statement":[],"Extra":1})",
        R"({"Version":["2012-10-17"],"Statement":[]})"})
    EXPECT_EQ(complaint(text), kSyntax) << text;
  for (std::string_view statement :
       {"1", R"({"Effect":"allow","Action":"*","Resource":"*"})", R"({"Action":"*","Resource":"*"})",
        R"({"Effect":"Allow","Action":{},"Resource":"*"})", R"({"Effect":"Allow","Action":[1],"Resource":"*"})",
        R"({"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"})",
        R"({"Effect":"Allow","Action":"*","Resource":"*","Condition":[]})",
        R"({"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":1}})",
        R"({"Effect":"Allow","Action":"*","Resource":"*","condition":{}})", R"({"Effect":"Allow","Sid":1})"})
    EXPECT_EQ(complaint(with(statement)), kSyntax) << statement;
}

TEST(PolicyDocument, WordingOfSemanticErrors) {
  EXPECT_EQ(complaint(R"({"Version":"2012-10-18","Statement":[]})"), "The policy must contain a valid version string");
  EXPECT_EQ(complaint(R"({"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})"),
            "Policy document must be version 2012-10-17 or greater.");
  EXPECT_EQ(complaint(with(R"({"Effect":"Allow","Resource":"*"})")), "Policy statement must contain actions.");
  EXPECT_EQ(complaint(with(R"({"Effect":"Allow","Action":[],"Resource":"*"})")),
            "Policy statement must contain actions.");
  EXPECT_EQ(complaint(with(R"({"Effect":"Allow","Action":"*"})")), "Policy statement must contain resources.");
  EXPECT_EQ(complaint(with(R"({"Effect":"Allow","Action":"publish","Resource":"*"})")),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
  EXPECT_EQ(complaint(with(R"({"Effect":"Allow","Action":"io t:publish","Resource":"*"})")),
            "Vendor io t is not valid");
  EXPECT_EQ(complaint(with(R"({"Effect":"Allow","Action":"a:b:c","Resource":"*"})")),
            "Actions/Condition can contain only one colon.");
  EXPECT_EQ(complaint(with(R"({"Effect":"Allow","Action":"*","Resource":"thing/a"})")),
            "Resource thing/a must be in ARN format or \"*\".");
  EXPECT_EQ(complaint(with(R"({"Effect":"Allow","Action":"*","Resource":"arn:aws:iot:*:topic/a"})")),
            "Resource arn:aws:iot:*:topic/a must be in ARN format or \"*\".");
  EXPECT_EQ(complaint(with(R"({"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"})")),
            "Policy document should not specify a principal.");
  EXPECT_EQ(complaint(with(R"({"Sid":"a b","Effect":"Allow","Action":"*","Resource":"*"})")),
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
            "[0-9A-Za-z]*");
  std::string twice = R"({"Sid":"A","Effect":"Allow","Action":"*","Resource":"*"})";
  EXPECT_EQ(complaint(with(twice + "," + twice)), "Statement IDs (SID) in a single policy must be unique.");
}

TEST(PolicyDocument, WhatMusterDoesNotSupplyIsRefusedByName) {
  EXPECT_THAT(complaint(with(R"({"Effect":"Deny","Action":"*","Resource":"*",
      "Condition":{"StringEquals":{"aws:ResourceTag/x":"y"}}})")),
              HasSubstr("aws:ResourceTag/x"));
  EXPECT_THAT(complaint(with(R"({"Effect":"Deny","Action":"*","Resource":"*",
      "Condition":{"StringEqualz":{"aws:username":"y"}}})")),
              HasSubstr("StringEqualz"));
  EXPECT_THAT(complaint(with(R"({"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/${aws:usrname}"})")),
              HasSubstr("aws:usrname"));
  EXPECT_THAT(complaint(with(R"({"Effect":"Allow","Action":"iot:Publish",
      "Resource":"arn:aws:iot:r:1:topic/${aws:username}"})"),
                        PolicyUse::kIot),
              HasSubstr("aws:username"));
  EXPECT_THAT(complaint(with(R"({"Effect":"Allow","Action":"s3:GetObject","Resource":"*"})"), PolicyUse::kIot),
              HasSubstr("s3:GetObject"));
}

TEST(PolicyDocument, TrustPolicies) {
  auto trust = [](std::string_view statement) { return complaint(with(statement), PolicyUse::kTrust); };
  EXPECT_EQ(trust(R"({"Effect":"Allow","Action":"sts:AssumeRole"})"), "Missing required field Principal");
  EXPECT_EQ(trust(R"({"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"})"),
            "Has prohibited field Resource");
  EXPECT_EQ(trust(R"({"Effect":"Allow","Principal":"*","Action":"s3:GetObject"})"),
            "AssumeRole policy may only specify STS AssumeRole actions.");
  EXPECT_THAT(trust(R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:user/*"},"Action":"sts:AssumeRole"})"),
              HasSubstr("Invalid principal in policy"));
  EXPECT_THAT(trust(R"({"Effect":"Allow","Principal":{"Federated":"x"},"Action":"sts:AssumeRole"})"),
              HasSubstr("Invalid principal in policy"));
  for (const char* provider :
       {"id.example", "arn:aws:iam::123456789012:oidc-provider/", "arn:aws:iam::123456789012:oidc-provider/*",
        "arn:aws:iam::1:oidc-provider/id.example", "arn:aws:iam::123456789012:saml-provider/x"}) {
    EXPECT_THAT(trust(R"({"Effect":"Allow","Principal":{"Federated":")" + std::string(provider) +
                      R"("},"Action":"sts:AssumeRoleWithWebIdentity"})"),
                HasSubstr("Invalid principal in policy"))
        << provider;
  }
  EXPECT_THAT(trust(R"({"Effect":"Allow","Principal":{"AWS":[]},"Action":"sts:AssumeRole"})"),
              HasSubstr("Invalid principal in policy"));
  EXPECT_EQ(trust(R"({"Effect":"Deny","NotPrincipal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"})"),
            "Has prohibited field NotPrincipal");
}

TEST(PolicyDocument, BoundsHold) {
  EXPECT_THAT(complaint(std::string(200000, ' ')), HasSubstr("exceeds"));
  std::string deep = R"({"Version":"2012-10-17","Statement":)" + std::string(100, '[') + std::string(100, ']') + "}";
  EXPECT_EQ(complaint(deep), "Syntax errors in policy.");
  std::string many;
  for (int i = 0; i < 501; ++i)
    many += std::string(i == 0 ? "" : ",") + R"({"Effect":"Deny","Action":"*","Resource":"*"})";
  EXPECT_EQ(complaint(with(many)), "Syntax errors in policy.");
  EXPECT_EQ(policy_size_without_white_space(" { \"a b\" :\n1 }\t"), 8u);
}

}  // namespace
}  // namespace muster::iam
