// SPDX-License-Identifier: Apache-2.0
#include "api/wire/validate.h"

#include <gmock/gmock.h>

#include "api/wire/test_request.h"

namespace muster::api {
namespace {

using ::testing::HasSubstr;

std::string check(std::string_view service, std::string_view operation, std::string_view input) {
  const model::Service& s = *model::find_service(service);
  const auto status = validate(s, *model::find_operation(s, operation), parse_json(input)->as_object());
  return status ? "ok" : status.error().message;
}

TEST(Validate, SaysWhatAwsSays) {
  EXPECT_EQ(check("iot", "CreateThing", R"({"thingName":"a b"})"),
            "1 validation error detected: Value 'a b' at 'thingName' failed to satisfy constraint: Member must satisfy "
            "regular expression pattern: [a-zA-Z0-9:_-]+");
  EXPECT_EQ(
      check("iot", "CreateThing", "{}"),
      "1 validation error detected: Value null at 'thingName' failed to satisfy constraint: Member must not be null");
  EXPECT_EQ(check("iot", "CreateThing", R"({"thingName":")" + std::string(129, 'a') + "\"}"),
            "1 validation error detected: Value '" + std::string(129, 'a') +
                "' at 'thingName' failed to satisfy "
                "constraint: Member must have length less than or equal to 128");
  EXPECT_EQ(
      check("iot", "ListJobs", R"({"maxResults":0})"),
      "1 validation error detected: Value '0' at 'maxResults' failed to satisfy constraint: Member must have value "
      "greater than or equal to 1");
  EXPECT_EQ(
      check("iot", "ListJobs", R"({"status":"GONE"})"),
      "1 validation error detected: Value 'GONE' at 'status' failed to satisfy constraint: Member must satisfy enum "
      "value set: [IN_PROGRESS, CANCELED, COMPLETED, DELETION_IN_PROGRESS, SCHEDULED]");
}

TEST(Validate, JoinsSeveralFailures) {
  const std::string text = check("iot", "CreateJob", R"({"jobId":"a b","targets":[]})");
  EXPECT_THAT(text, HasSubstr("2 validation errors detected: Value 'a b' at 'jobId'"));
  EXPECT_THAT(text, HasSubstr("; Value '[]' at 'targets' failed to satisfy constraint: Member must have length greater "
                              "than or equal to 1"));
}

TEST(Validate, NumbersPathsInListsFromOne) {
  EXPECT_THAT(check("iot", "CreateThingGroup", R"({"thingGroupName":"g","tags":[{"Key":"k"},{"Value":"v"}]})"),
              HasSubstr("Value null at 'tags.2.member.Key' failed"));
}

TEST(Validate, ReportsListsAndMapsOfScalarsAsAWhole) {
  EXPECT_THAT(check("iot", "CreateJob", R"({"jobId":"j","targets":[")" + std::string(2049, 'a') + "\"]}"),
              HasSubstr("at 'targets' failed to satisfy constraint: Member must satisfy constraint: [Member must have "
                        "length less than or equal to 2048]"));
  EXPECT_THAT(check("iot", "CreateThing", R"({"thingName":"t","attributePayload":{"attributes":{"a b":"c"}}})"),
              HasSubstr("Value '{a b=c}' at 'attributePayload.attributes' failed to satisfy constraint: Map keys must "
                        "satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z0-9_.,@/:#-]+]"));
  EXPECT_THAT(check("iot", "CreateThing", R"({"thingName":"t","attributePayload":{"attributes":{"a":"ü"}}})"),
              HasSubstr("Map value must satisfy constraint: ["));
}

TEST(Validate, CountsCharactersNotBytes) {
  std::string text;
  for (int i = 0; i < 2028; ++i) text += "é";
  EXPECT_EQ(check("iot", "CreateJob", R"({"jobId":"j","targets":["x"],"description":")" + text + "\"}"), "ok");
  EXPECT_NE(check("iot", "CreateJob", R"({"jobId":"j","targets":["x"],"description":")" + text + "é\"}"), "ok");
}

TEST(Validate, FalseAsksForNothing) {
  EXPECT_EQ(check("s3", "CreateBucket", R"({"Bucket":"bbb","ObjectLockEnabledForBucket":false})"), "ok");
  EXPECT_THAT(check("s3", "CreateBucket", R"({"Bucket":"bbb","ObjectLockEnabledForBucket":true})"),
              HasSubstr("not implemented"));
}

TEST(Validate, LongValuesAreCutAtACharacter) {
  std::string name;
  for (int i = 0; i < 400; ++i) name += "é";
  const std::string text = check("iot", "CreateThing", R"({"thingName":")" + name + "\"}");
  EXPECT_LT(text.size(), 1200u);
  EXPECT_THAT(text, HasSubstr("é...'"));
}

TEST(Validate, ManyFailuresAreCountedButNotAllSpelt) {
  std::string tags;
  for (int i = 0; i < 40; ++i) tags += std::string(i == 0 ? "" : ",") + "{\"Value\":\"v\"}";
  const std::string text = check("iot", "CreateThingGroup", R"({"thingGroupName":"g","tags":[)" + tags + "]}");
  EXPECT_THAT(text, HasSubstr("40 validation errors detected"));
  EXPECT_THAT(text, HasSubstr("; and 20 more"));
}

TEST(Validate, QueryServicesSayItTheirWay) {
  const model::Service& iam = *model::find_service("iam");
  const auto status = validate(iam, *model::find_operation(iam, "DeleteUser"), {});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "ValidationError");
  EXPECT_THAT(status.error().message, HasSubstr("Value null at 'userName'"));
}

TEST(Validate, S3TellsBodyFromHeader) {
  const model::Service& s3 = *model::find_service("s3");
  const auto& many = *model::find_operation(s3, "DeleteObjects");
  EXPECT_EQ(validate(s3, many, parse_json(R"({"Bucket":"b","Delete":{}})")->as_object()).error().reason,
            "MalformedXML");
  EXPECT_EQ(validate(s3, *model::find_operation(s3, "ListObjectsV2"),
                     parse_json(R"({"Bucket":"b","EncodingType":"x"})")->as_object())
                .error()
                .reason,
            "InvalidArgument");
}

}  // namespace
}  // namespace muster::api
