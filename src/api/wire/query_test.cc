// SPDX-License-Identifier: Apache-2.0
#include "api/wire/query.h"

#include <gmock/gmock.h>

#include "api/wire/test_request.h"

namespace muster::api {
namespace {

using ::testing::HasSubstr;

TestRequest create_user(std::string more) {
  return {"iam", "CreateUser", {}, "", "Action=CreateUser&Version=2010-05-08&UserName=u" + std::move(more)};
}

TEST(Query, ListsOfStructuresAreRead) {
  EXPECT_EQ(
      (TestRequest{"iam", "ListUsers", {}, "", "Action=ListUsers&Version=2010-05-08&PathPrefix=%2Fa%2F&MaxItems=5"}
           .text()),
      R"({"PathPrefix":"/a/","MaxItems":5})");
  EXPECT_EQ(
      create_user("&Tags.member.1.Key=k&Tags.member.1.Value=v+w%3D&Tags.member.2.Key=k2&Tags.member.2.Value=").text(),
      R"({"UserName":"u","Tags":[{"Key":"k","Value":"v w="},{"Key":"k2","Value":""}]})");
}

TEST(Query, IamNamesItsAlphabet) {
  EXPECT_EQ((TestRequest{"iam", "DeleteUser", {}, "", "Action=DeleteUser&UserName=a%20b"}.text()),
            "invalid ValidationError: The specified value for userName is invalid. It must contain only alphanumeric "
            "characters and/or the following: +=,.@_-");
}

TEST(Query, TheRequestMayStandInTheUrl) {
  EXPECT_EQ(
      (TestRequest{"sts",
                   "GetCallerIdentity",
                   {},
                   "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Date=c&"
                   "X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=d"}
           .text()),
      "{}");
}

TEST(Query, UnknownParametersAreNamed) {
  EXPECT_THAT(create_user("&Colour=red").text(), HasSubstr("'Colour' is not supported"));
  EXPECT_THAT((TestRequest{"sts", "GetCallerIdentity", {}, "", "Action=GetCallerIdentity&Colour=red"}.text()),
              HasSubstr("'Colour' is not supported"));
}

TEST(Query, BrokenFormsAreRefused) {
  for (const char* more : {"&UserName=v", "&Path=%2", "&Path=%ZZ", "&Path=%FF", "&.=1", "&Tags..1=1", "&UserName.1=x",
                           "&Tags.member.0.Key=a", "&Tags.member.2.Key=a", "&Tags.member.x.Key=a",
                           "&Tags.member.01.Key=a", "&Tags.member.1001.Key=a", "&Tags=x", "&Tags.other.1.Key=a",
                           "&Tags.member.1=a", "&a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q=1"}) {
    EXPECT_FALSE(create_user(more).parse()) << more;
  }
  std::string many;
  for (int i = 0; i < 5000; ++i) many += "&a" + std::to_string(i) + "=1";
  EXPECT_THAT(create_user(many).text(), HasSubstr("Too many parameters"));
}

TEST(Query, NumbersMustBeNumbers) {
  EXPECT_THAT((TestRequest{"iam", "ListUsers", {}, "", "MaxItems=many"}.text()), HasSubstr("MalformedInput"));
  EXPECT_THAT((TestRequest{"iam", "ListUsers", {}, "", "MaxItems=0"}.text()),
              HasSubstr("Value '0' at 'maxItems' failed to satisfy constraint: Member must have value greater than"));
}

TEST(Query, AnswersAreWrapped) {
  const auto out =
      answer("iam", "CreateUser",
             R"({"User":{"Path":"/","UserName":"u<","UserId":"AIDA","Arn":"arn","CreateDate":1767323045000}})");
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(
      out->body,
      "<CreateUserResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><CreateUserResult><User><Path>/</Path>"
      "<UserName>u&lt;</UserName><UserId>AIDA</UserId><Arn>arn</Arn><CreateDate>2026-01-02T03:04:05.000Z</CreateDate>"
      "</User></CreateUserResult><ResponseMetadata><RequestId>req-1</RequestId></ResponseMetadata>"
      "</CreateUserResponse>");
  EXPECT_EQ(out->headers.get("Content-Type"), "text/xml");
  EXPECT_EQ(answer("iam", "DeleteUser", "{}")->body,
            "<DeleteUserResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><ResponseMetadata><RequestId>req-1"
            "</RequestId></ResponseMetadata></DeleteUserResponse>");
  EXPECT_THAT(answer("iam", "ListUserPolicies", R"({"PolicyNames":["a","b"],"IsTruncated":false})")->body,
              HasSubstr("<PolicyNames><member>a</member><member>b</member></PolicyNames>"));
}

}  // namespace
}  // namespace muster::api
