// SPDX-License-Identifier: Apache-2.0
// Requests are what botocore 1.29 sends, byte for byte.
#include "api/wire/rest_json.h"

#include <gmock/gmock.h>

#include "api/wire/test_request.h"

namespace muster::api {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kCreateJob =
    R"({"targets": ["arn:aws:iot:eu-west-1:123456789012:thinggroup/g"], "document": "{\"op\":\"x\"}", )"
    R"("description": "d", "presignedUrlConfig": {"roleArn": "arn:aws:iam::123456789012:role/presign", )"
    R"("expiresInSec": 300}, "targetSelection": "SNAPSHOT", "tags": [{"Key": "a", "Value": "b"}]})";

TEST(RestJson, CreateJobOfBotocoreIsReadWhole) {
  const auto input = TestRequest{"iot", "CreateJob", {{"jobId", "j1"}}, "", std::string(kCreateJob)}.parse();
  ASSERT_TRUE(input) << input.error().message;
  EXPECT_EQ(get_string(*input, "jobId"), "j1");
  EXPECT_EQ(get_string(*input, "document"), R"({"op":"x"})");
  EXPECT_EQ(get_int(*find_object(*input, "presignedUrlConfig"), "expiresInSec"), 300);
  EXPECT_EQ(find_array(*input, "tags")->size(), 1u);
  EXPECT_EQ(input->size(), 7u);
}

TEST(RestJson, QueryStringsBecomeNumbersAndBooleans) {
  EXPECT_EQ((TestRequest{"iot", "ListJobs", {}, "status=IN_PROGRESS&maxResults=3"}.text()),
            R"({"status":"IN_PROGRESS","maxResults":3})");
  EXPECT_EQ(
      (TestRequest{
          "iot", "DeleteJobExecution", {{"thingName", "a:b"}, {"jobId", "j"}, {"executionNumber", "3"}}, "force=true"}
           .text()),
      R"({"jobId":"j","thingName":"a:b","executionNumber":3,"force":true})");
  EXPECT_THAT((TestRequest{"iot", "ListJobs", {}, "maxResults=three"}.text()), HasSubstr("SerializationException"));
  EXPECT_THAT((TestRequest{"iot", "ListJobs", {}, "maxResults=1&maxResults=2"}.text()), HasSubstr("given once"));
}

TEST(RestJson, HeadersCarryMembers) {
  EXPECT_EQ((TestRequest{"iot",
                         "AttachPrincipalPolicy",
                         {{"policyName", "p"}},
                         "",
                         "",
                         {{"X-Amzn-Iot-Principal", "arn:aws:iot:x:y:cert/z"}}}
                 .text()),
            R"({"policyName":"p","principal":"arn:aws:iot:x:y:cert/z"})");
}

TEST(RestJson, PublishKeepsThePayloadRaw) {
  const auto input =
      TestRequest{"iot-data", "Publish", {{"topic", "a/b"}}, "qos=1", std::string("\x00\xFFhi", 4)}.parse();
  ASSERT_TRUE(input) << input.error().message;
  EXPECT_EQ(get_string(*input, "payload"), std::string_view("\x00\xFFhi", 4));
  EXPECT_EQ(get_int(*input, "qos"), 1);
}

TEST(RestJson, UnknownAndRefusedMembersAreNamed) {
  const auto create = [](std::string body) {
    return TestRequest{"iot", "CreateJob", {{"jobId", "j"}}, "", std::move(body)}.text();
  };
  EXPECT_THAT(create(R"({"targets":["a"],"destinationPackageVersions":["x"]})"),
              HasSubstr("'destinationPackageVersions' is not supported: the Software Package Catalog"));
  EXPECT_THAT(create(R"({"targets":["a"],"newMember":1})"), HasSubstr("'newMember' is not supported"));
  EXPECT_THAT(create(R"({"targets":["a"],"presignedUrlConfig":{"colour":1}})"),
              HasSubstr("'presignedUrlConfig.colour' is not supported"));
  EXPECT_THAT((TestRequest{"iot", "ListJobs", {}, "colour=red"}.text()), HasSubstr("'colour' is not supported"));
}

TEST(RestJson, AMemberOfThePathMayStandInTheBodyOnlyWhenItSaysTheSame) {
  EXPECT_EQ((TestRequest{"iot", "CreateThing", {{"thingName", "a"}}, "", R"({"thingName":"a"})"}.text()),
            R"({"thingName":"a"})");
  EXPECT_THAT((TestRequest{"iot", "CreateThing", {{"thingName", "a"}}, "", R"({"thingName":"b"})"}.text()),
              HasSubstr("does not belong into the body"));
}

TEST(RestJson, BodiesThatAreNoObjectAreRefused) {
  for (const char* body : {"[1]", "\"x\"", "{", "{}x", "nul", "{\"targets\":\"\xC0\x80\"}"}) {
    EXPECT_THAT((TestRequest{"iot", "CreateJob", {{"jobId", "j"}}, "", body}.text()),
                HasSubstr("invalid SerializationException"))
        << body;
  }
  const std::string deep(100'000, '[');
  EXPECT_THAT((TestRequest{"iot", "CreateJob", {{"jobId", "j"}}, "", "{\"targets\":" + deep}.text()),
              HasSubstr("SerializationException"));
}

TEST(RestJson, ValuesOfAnotherTypeAreRefused) {
  const auto text = TestRequest{"iot", "CreateJob", {{"jobId", "j"}}, "", R"({"targets":"a"})"}.text();
  EXPECT_THAT(text, HasSubstr("STRING_VALUE at 'targets' cannot be converted to List"));
  EXPECT_THAT((TestRequest{"iot-jobs-data",
                           "UpdateJobExecution",
                           {{"thingName", "t"}, {"jobId", "j"}},
                           "",
                           R"({"status":"SUCCEEDED","expectedVersion":9223372036854775808})"}
                   .text()),
              HasSubstr("SerializationException"));
  EXPECT_THAT((TestRequest{"iot-jobs-data",
                           "UpdateJobExecution",
                           {{"thingName", "t"}, {"jobId", "j"}},
                           "",
                           R"({"status":"SUCCEEDED","expectedVersion":1.5})"}
                   .text()),
              HasSubstr("DECIMAL_VALUE at 'expectedVersion' cannot be converted to Long"));
}

TEST(RestJson, NullMembersCountAsAbsent) {
  EXPECT_THAT((TestRequest{"iot", "CreateJob", {{"jobId", "j"}}, "", R"({"targets":null})"}.text()),
              HasSubstr("Value null at 'targets' failed to satisfy constraint: Member must not be null"));
}

TEST(RestJson, AnswersCarryTimesInSecondsAndLeaveNullsOut) {
  const auto out =
      answer("iot", "DescribeJob",
             R"({"documentSource":null,"job":{"jobId":"j","createdAt":1486687079743,"lastUpdatedAt":1486687079000,
          "jobProcessDetails":{"numberOfQueuedThings":2}}})");
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(out->body, R"({"job":{"jobId":"j","createdAt":1486687079.743,"lastUpdatedAt":1486687079,)"
                       R"("jobProcessDetails":{"numberOfQueuedThings":2}}})");
  EXPECT_EQ(out->headers.get("Content-Type"), "application/json");
  EXPECT_EQ(out->status, 200);
}

TEST(RestJson, AnswersThatDoNotFitTheShapeAreBugs) {
  EXPECT_EQ(answer("iot", "DescribeJob", R"({"jobb":1})").error().kind, ErrorKind::kInternal);
  EXPECT_EQ(answer("iot", "DescribeJob", R"({"job":{"jobId":1}})").error().kind, ErrorKind::kInternal);
  EXPECT_EQ(answer("iot", "DescribeJob", R"({"job":{"jobbId":"1"}})").error().kind, ErrorKind::kInternal);
}

TEST(RestJson, EmptyOutputIsAnEmptyObject) {
  EXPECT_EQ(answer("iot", "DeleteThing", "{}")->body, "{}");
  EXPECT_EQ(answer("iot", "DeletePolicy", "{}")->body, "");  // no output shape
}

}  // namespace
}  // namespace muster::api
