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
