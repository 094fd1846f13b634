// SPDX-License-Identifier: Apache-2.0
#include "api/wire/audit/redact.h"

#include <gmock/gmock.h>

#include "base/text.h"

namespace muster::api {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string redacted(const char* service, const char* operation, const json::object& input) {
  const model::Service* found = model::find_service(service);
  return redacted_input(*found, *model::find_operation(*found, operation), input);
}

TEST(Redact, KeepsWhatWasAskedFor) {
  EXPECT_EQ(redacted("iot", "CreateThing",
                     {{"thingName", "t"}, {"attributePayload", {{"attributes", {{"colour", "red"}}}}}, {"other", 1}}),
            R"({"thingName":"t","attributePayload":{"attributes":{"colour":"red"}}})");
  EXPECT_EQ(redacted("cloudtrail", "LookupEvents", {{"StartTime", 1'700'000'000'000}, {"MaxResults", 3}}),
            R"({"StartTime":"2023-11-14T22:13:20.000Z","MaxResults":3})");
  EXPECT_EQ(redacted("iot", "CreateThing", {}), "");
}

TEST(Redact, LeavesOutWhatTheModelsMarkAsSensitive) {
  std::size_t marked = 0;
  for (const model::Service* service : model::services()) {
    for (const model::Operation& operation : service->operations) {
      if (operation.input == model::kNone) continue;
      const model::Shape& shape = service->shapes[operation.input];
      for (const model::Member& member : service->members.subspan(shape.first_member, shape.member_count)) {
        if (!service->shapes[member.shape].sensitive) continue;
        ++marked;
        json::object input;
        input[member.name] = "hush-hush";
        EXPECT_THAT(redacted_input(*service, operation, input), Not(HasSubstr("hush"))) << member.name;
      }
    }
  }
  EXPECT_GT(marked, 3u);
}

TEST(Redact, LeavesOutBlobsAndLongTexts) {
  EXPECT_EQ(redacted("iot-data", "Publish", {{"topic", "a"}, {"payload", std::string("\xFF\0x", 3)}}),
            R"({"topic":"a","payload":"<3 bytes>"})");
  const std::string text =
      redacted("iot", "CreatePolicy", {{"policyName", "p"}, {"policyDocument", std::string(20'000, 'x')}});
  EXPECT_THAT(text, HasSubstr("<20000 characters>"));
  json::object attributes;
  for (int i = 0; i < 100; ++i) attributes["a" + std::to_string(i)] = std::string(10'000, 'x');
  EXPECT_LT(
      redacted("iot", "CreateThing", {{"thingName", "t"}, {"attributePayload", {{"attributes", attributes}}}}).size(),
      200u);
}

TEST(Redact, HidesWhatACustomAuthoriserIsAskedWith) {
  const std::string text = redacted(
      "iot", "TestInvokeAuthorizer",
      {{"authorizerName", "a"},
       {"token", "hush-1"},
       {"tokenSignature", "hush-2"},
       {"httpContext", {{"headers", {{"X-Token", "hush-3"}}}, {"queryString", "a=b&token=hush-4"}}},
       {"mqttContext", {{"username", "gw?x-token=hush-5"}, {"password", "hush-6"}, {"clientId", "gateway-1"}}}});
  EXPECT_THAT(text, Not(HasSubstr("hush")));
  for (const char* kept : {"X-Token", "\"gw?HIDDEN", "gateway-1", "\"authorizerName\":\"a\""}) {
    EXPECT_THAT(text, HasSubstr(kept));
  }
}

TEST(Redact, HidesWhatADeviceProvesItselfWith) {
  const std::string text =
      redacted("iot", "RegisterThing", {{"templateBody", "{}"}, {"parameters", {{"ActivationCode", "hush"}}}});
  EXPECT_THAT(text, Not(HasSubstr("hush")));
  EXPECT_THAT(text, HasSubstr("ActivationCode"));
  EXPECT_THAT(redacted("iot", "SearchIndex", {{"queryString", "thingName:x"}}), HasSubstr("thingName:x"));
}

TEST(Redact, HidesTheContentsOfMessagesAndStatusDetails) {
  EXPECT_THAT(redacted("iot-data", "Publish",
                       {{"topic", "a"}, {"userProperties", R"([{"k":"hush"}])"}, {"correlationData", "hush"}}),
              Not(HasSubstr("hush")));
  EXPECT_THAT(redacted("iot-jobs-data", "UpdateJobExecution",
                       {{"jobId", "j"}, {"thingName", "t"}, {"statusDetails", {{"wifi", "hush"}}}}),
              Not(HasSubstr("hush")));
}

TEST(Redact, HidesSignaturesAndKeysWhereverTheyStand) {
  const std::string url = "https://b.s3/k?X-Amz-Signature=hush&X-Amz-Security-Token=hush&X-Amz-Date=kept";
  EXPECT_EQ(redacted("iot", "CreateJob", {{"jobId", "j"}, {"documentSource", url}}),
            R"({"jobId":"j","documentSource":"https://b.s3/k?X-Amz-Signature=HIDDEN_DUE_TO_SECURITY_REASONS)"
            R"(&X-Amz-Security-Token=HIDDEN_DUE_TO_SECURITY_REASONS&X-Amz-Date=kept"})");
  const std::string document = R"({"url":"https://b/k?Signature=hush","next":"kept","last":"Signature="})";
  const std::string text = redacted("iot", "CreateJob", {{"jobId", "j"}, {"document", document}});
  EXPECT_THAT(text, Not(HasSubstr("hush")));
  EXPECT_THAT(text, HasSubstr("kept"));
  EXPECT_THAT(redacted("iot", "CreateJob", {{"jobId", "j"}, {"document", "-----BEGIN RSA PRIVATE KEY-----\nhush\n"}}),
              Not(HasSubstr("hush")));
  for (const std::string& odd :
       {std::string("signature="), std::string("signature=&signature=\"signature="), std::string()}) {
    EXPECT_THAT(redacted("iot", "CreateJob", {{"jobId", odd}}), HasSubstr(odd.substr(0, 10)));
  }
}

TEST(Redact, MessagesDoNotRepeatWhatWasSent) {
  EXPECT_EQ(
      redacted_message("2 validation errors detected: Value 'hush' at 'token' failed to satisfy constraint: "
                       "Member must be short; Value 'it's hush' at 'httpContext.headers.x.member' failed to "
                       "satisfy constraint: Member must be short"),
      "2 validation errors detected: Value at 'token' failed to satisfy constraint: Member must be short; Value at "
      "'httpContext.headers.x.member' failed to satisfy constraint: Member must be short");
  EXPECT_EQ(redacted_message("Value '' at 'x' failed"), "Value at 'x' failed");
  EXPECT_EQ(redacted_message("Thing t1 not found"), "Thing t1 not found");
}

TEST(Redact, NamesThatSaySecretAreSecret) {
  for (const char* name : {"Password", "NewPassword", "token", "SessionToken", "WebIdentityToken", "privateKey",
                           "SecretAccessKey", "clientSecret", "SAMLAssertion", "TokenCode"}) {
    EXPECT_TRUE(is_secret_name(name)) << name;
  }
  for (const char* name : {"nextToken", "clientRequestToken", "thingName", "policyDocument", "publicKey"}) {
    EXPECT_FALSE(is_secret_name(name)) << name;
  }
}

TEST(Redact, WhateverGoesInJsonComesOut) {
  for (const std::string& text : {std::string("\xFF\xFE"), std::string("a\nb\0c", 5), std::string("\"}\n{\"seq\":1")}) {
    for (const std::string& out :
         {redacted("iot", "CreateThing", {{"thingName", text}}), redacted_labels({{"thingName", text}})}) {
      EXPECT_TRUE(parse_json(out)) << out;
      EXPECT_EQ(out.find('\n'), std::string::npos);
      EXPECT_TRUE(is_utf8(out));
    }
  }
  EXPECT_EQ(redacted("iot", "CreateThing", {{"thingName", 7}}), R"({"thingName":null})");
}

}  // namespace
}  // namespace muster::api
