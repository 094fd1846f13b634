// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/policy/conditions.h"

#include <gtest/gtest.h>

#include "domain/iam/policy/eval.h"

namespace muster::iam {
namespace {

using Values = std::vector<std::string>;

bool holds(std::string_view op, std::string_view key, std::string_view json_values, const PolicyContext& context,
           bool allow = true) {
  auto values = parse_json(json_values);
  EXPECT_TRUE(values) << json_values;
  auto condition = Condition::compile(op, key, *values, PolicyUse::kTrust, true);
  EXPECT_TRUE(condition) << condition.error().message;
  return condition && condition->holds(&context, allow);
}

bool user(std::string_view op, std::string_view json_values, std::string name) {
  PolicyContext context;
  context.set("aws:username", std::move(name));
  return holds(op, "AWS:UserName", json_values, context);
}

TEST(PolicyConditions, Strings) {
  EXPECT_TRUE(user("StringEquals", R"(["bob","ann"])", "ann"));
  EXPECT_FALSE(user("StringEquals", R"("Ann")", "ann"));
  EXPECT_TRUE(user("StringEqualsIgnoreCase", R"("Ann")", "ann"));
  EXPECT_FALSE(user("StringNotEquals", R"(["bob","ann"])", "ann"));
  EXPECT_TRUE(user("StringNotEquals", R"(["bob","cid"])", "ann"));
  EXPECT_FALSE(user("StringNotEqualsIgnoreCase", R"("ANN")", "ann"));
  EXPECT_TRUE(user("StringLike", R"("a?n*")", "anne"));
  EXPECT_FALSE(user("StringNotLike", R"("a*")", "anne"));
  EXPECT_FALSE(user("StringEquals", R"("a*")", "anne")) << "no wildcards in StringEquals";
  EXPECT_TRUE(user("StringEquals", R"("a*")", "a*"));
}

TEST(PolicyConditions, VariablesAreLiteral) {
  PolicyContext context;
  context.set("aws:username", "*");
  context.set("sts:RoleSessionName", "ann");
  EXPECT_FALSE(holds("StringLike", "sts:RoleSessionName", R"("${aws:username}")", context));
  context.set("sts:RoleSessionName", "*");
  EXPECT_TRUE(holds("StringLike", "sts:RoleSessionName", R"("${aws:username}")", context));
}

TEST(PolicyConditions, UnresolvedVariableFailsClosed) {
  PolicyContext context;
  context.set("sts:RoleSessionName", "ann");
  EXPECT_FALSE(holds("StringEquals", "sts:RoleSessionName", R"("${aws:username}")", context, true));
  EXPECT_FALSE(holds("StringNotEquals", "sts:RoleSessionName", R"("${aws:username}")", context, true));
  EXPECT_TRUE(holds("StringNotEquals", "sts:RoleSessionName", R"("${aws:username}")", context, false));
}

bool number(std::string_view op, std::string_view json_values, std::string value) {
  PolicyContext context;
  context.set("s3:max-keys", std::move(value));
  return holds(op, "s3:max-keys", json_values, context);
}

TEST(PolicyConditions, Numbers) {
  EXPECT_TRUE(number("NumericEquals", "[5, 10]", "10"));
  EXPECT_TRUE(number("NumericEquals", R"("10.0")", "10"));
  EXPECT_FALSE(number("NumericNotEquals", "10", "10"));
  EXPECT_TRUE(number("NumericLessThan", "10", "9.5"));
  EXPECT_FALSE(number("NumericLessThan", "10", "10"));
  EXPECT_TRUE(number("NumericLessThanEquals", "10", "10"));
  EXPECT_TRUE(number("NumericGreaterThan", "10", "11"));
  EXPECT_TRUE(number("NumericGreaterThanEquals", "10", "10"));
  EXPECT_FALSE(number("NumericEquals", "10", "ten"));
  EXPECT_FALSE(number("NumericLessThan", "10", "nan"));
  EXPECT_TRUE(number("NumericNotEquals", "10", "ten"));
}

bool date(std::string_view op, std::string_view value) {
  PolicyContext context;
  context.set("aws:CurrentTime", "2026-11-23T12:00:00Z");
  return holds(op, "aws:CurrentTime", value, context);
}

TEST(PolicyConditions, Dates) {
  EXPECT_TRUE(date("DateLessThan", R"("2026-11-24T00:00:00Z")"));
  EXPECT_FALSE(date("DateGreaterThan", R"("2026-11-24T00:00:00Z")"));
  EXPECT_TRUE(date("DateEquals", R"("2026-11-23T12:00:00Z")"));
  EXPECT_TRUE(date("DateNotEquals", R"("2026-11-23T12:00:01Z")"));
  EXPECT_TRUE(date("DateGreaterThanEquals", R"("1700000000")")) << "seconds since the epoch";
  EXPECT_TRUE(date("DateLessThanEquals", "4000000000"));
}

bool address(std::string_view op, std::string_view networks, std::string ip) {
  PolicyContext context;
  context.set("aws:SourceIp", std::move(ip));
  return holds(op, "aws:SourceIp", networks, context);
}

TEST(PolicyConditions, Addresses) {
  EXPECT_TRUE(address("IpAddress", R"("10.0.0.0/8")", "10.255.0.1"));
  EXPECT_FALSE(address("IpAddress", R"("10.0.0.0/9")", "10.255.0.1"));
  EXPECT_TRUE(address("IpAddress", R"(["192.0.2.7","10.0.0.0/8"])", "192.0.2.7"));
  EXPECT_FALSE(address("NotIpAddress", R"("10.0.0.0/8")", "10.0.0.1"));
  EXPECT_TRUE(address("NotIpAddress", R"("10.0.0.0/8")", "11.0.0.1"));
  EXPECT_TRUE(address("IpAddress", R"("2001:db8::/33")", "2001:db8:7fff::1"));
  EXPECT_FALSE(address("IpAddress", R"("2001:db8::/33")", "2001:db8:8000::1"));
  EXPECT_TRUE(address("IpAddress", R"("10.0.0.0/8")", "::ffff:10.1.2.3")) << "IPv4 on a dual-stack socket";
  EXPECT_TRUE(address("IpAddress", R"("0.0.0.0/0")", "203.0.113.9"));
  EXPECT_FALSE(address("IpAddress", R"("0.0.0.0/0")", "not an address"));
  EXPECT_FALSE(address("IpAddress", R"("10.0.0.0/8")", "10.0.0.0/4")) << "a wider network is not inside";
}

TEST(PolicyConditions, Booleans) {
  PolicyContext context;
  context.set("aws:SecureTransport", "true");
  EXPECT_TRUE(holds("Bool", "aws:SecureTransport", R"("true")", context));
  EXPECT_TRUE(holds("Bool", "aws:SecureTransport", "true", context));
  EXPECT_FALSE(holds("Bool", "aws:SecureTransport", "false", context));
}

TEST(PolicyConditions, Arns) {
  PolicyContext context;
  context.set("aws:SourceArn", "arn:aws:iot:us-east-1:123456789012:job/j1");
  EXPECT_TRUE(holds("ArnLike", "aws:SourceArn", R"("arn:aws:iot:*:123456789012:job/*")", context));
  EXPECT_TRUE(holds("ArnEquals", "aws:SourceArn", R"("arn:aws:iot:*:123456789012:job/*")", context));
  EXPECT_FALSE(holds("ArnNotLike", "aws:SourceArn", R"("arn:aws:iot:*:*:job/j?")", context));
  EXPECT_TRUE(holds("ArnNotEquals", "aws:SourceArn", R"("arn:aws:iot:*:*:thing/*")", context));
}

TEST(PolicyConditions, NullAsksWhetherTheKeyIsThere) {
  PolicyContext with, without;
  with.set("sts:ExternalId", "x");
  EXPECT_TRUE(holds("Null", "sts:ExternalId", R"("false")", with));
  EXPECT_FALSE(holds("Null", "sts:ExternalId", R"("true")", with));
  EXPECT_TRUE(holds("Null", "sts:ExternalId", "true", without));
  EXPECT_FALSE(holds("Null", "sts:ExternalId", "false", without));
}

TEST(PolicyConditions, AbsentKeys) {
  PolicyContext none;
  EXPECT_FALSE(holds("StringEquals", "aws:username", R"("ann")", none));
  EXPECT_TRUE(holds("StringNotEquals", "aws:username", R"("ann")", none));
  EXPECT_TRUE(holds("StringEqualsIfExists", "aws:username", R"("ann")", none));
  EXPECT_FALSE(holds("IpAddress", "aws:SourceIp", R"("0.0.0.0/0")", none));
  EXPECT_TRUE(holds("NotIpAddress", "aws:SourceIp", R"("10.0.0.0/8")", none));
  EXPECT_TRUE(holds("ForAllValues:StringEquals", "aws:username", R"("ann")", none));
  EXPECT_FALSE(holds("ForAnyValue:StringEquals", "aws:username", R"("ann")", none));
  EXPECT_FALSE(holds("ForAnyValue:StringNotEquals", "aws:username", R"("ann")", none));
}

TEST(PolicyConditions, SeveralValues) {
  PolicyContext context;
  context.set("aws:username", Values{"a", "b"});
  auto check = [&](std::string_view op, std::string_view values) { return holds(op, "aws:username", values, context); };
  EXPECT_TRUE(check("ForAllValues:StringEquals", R"(["a","b","c"])"));
  EXPECT_FALSE(check("ForAllValues:StringEquals", R"(["a","c"])"));
  EXPECT_TRUE(check("ForAnyValue:StringEquals", R"(["b","c"])"));
  EXPECT_FALSE(check("ForAnyValue:StringEquals", R"(["c"])"));
  EXPECT_TRUE(check("ForAnyValue:StringNotEquals", R"(["a"])"));
  EXPECT_FALSE(check("ForAllValues:StringNotEquals", R"(["a"])"));
  EXPECT_FALSE(check("StringEquals", R"(["a"])")) << "without a qualifier all must match";
  EXPECT_TRUE(check("StringEquals", R"(["a","b"])"));
}

TEST(PolicyConditions, TagsOfARequestCanDecide) {
  PolicyContext context;
  context.set("aws:RequestTag/muster:approval", std::string("approved"));
  context.set("aws:TagKeys", std::vector<std::string>{"muster:approval", "team"});
  EXPECT_TRUE(holds("StringEquals", "aws:RequestTag/Muster:Approval", R"("approved")", context));
  EXPECT_FALSE(holds("StringEquals", "aws:RequestTag/team", R"("approved")", context));
  EXPECT_TRUE(holds("ForAnyValue:StringEquals", "aws:TagKeys", R"("team")", context));
  EXPECT_FALSE(holds("ForAllValues:StringEquals", "aws:TagKeys", R"("team")", context));
  const auto on_a_device =
      Condition::compile("StringEquals", "aws:RequestTag/a", *parse_json(R"("b")"), PolicyUse::kIot, true);
  EXPECT_FALSE(on_a_device);
}

TEST(PolicyConditions, WhatCannotBeEvaluatedIsRefused) {
  auto refused = [](std::string_view op, std::string_view key, std::string_view values) {
    return !Condition::compile(op, key, *parse_json(values), PolicyUse::kIdentity, true);
  };
  for (std::string_view op : {"StringEqual", "stringEquals", "StringLikeIgnoreCase", "NullIfExists", "NumericLike",
                              "ForSomeValues:StringEquals", "", "IfExists", "ForAllValues:Null", "DateNotLessThan"})
    EXPECT_TRUE(refused(op, "aws:username", R"("a")")) << op;
  EXPECT_TRUE(refused("StringEquals", "aws:nosuchkey", R"("a")"));
  EXPECT_TRUE(refused("StringEquals", "username", R"("a")"));
  EXPECT_TRUE(refused("StringEquals", "aws:username", "{}"));
  EXPECT_TRUE(refused("StringEquals", "aws:username", "[]"));
  EXPECT_TRUE(refused("StringEquals", "aws:username", R"([["a"]])"));
  EXPECT_TRUE(refused("NumericEquals", "s3:max-keys", R"("ten")"));
  EXPECT_TRUE(refused("NumericEquals", "s3:max-keys", R"("inf")"));
  EXPECT_TRUE(refused("IpAddress", "aws:SourceIp", R"("10.0.0.0/33")"));
  EXPECT_TRUE(refused("IpAddress", "aws:SourceIp", R"("10.0.0/8")"));
  EXPECT_TRUE(refused("Bool", "aws:SecureTransport", R"("yes")"));
  EXPECT_TRUE(refused("DateLessThan", "aws:CurrentTime", R"("tomorrow")"));
  EXPECT_TRUE(refused("DateLessThan", "aws:CurrentTime", "9223372036854775807"));
  EXPECT_TRUE(refused("ArnLike", "aws:PrincipalArn", R"("not an arn")"));
  EXPECT_TRUE(refused("StringLike", "aws:username", R"("${aws:nosuch}")"));
  EXPECT_TRUE(refused("StringLike", "aws:username", R"("${aws:username")"));
}

}  // namespace
}  // namespace muster::iam
