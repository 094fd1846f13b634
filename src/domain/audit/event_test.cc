// SPDX-License-Identifier: Apache-2.0
#include "domain/audit/event.h"

#include <gmock/gmock.h>

#include "base/text.h"

namespace muster::audit {
namespace {

Event sample() {
  Event event;
  event.time_ms = 1'700'000'000'123;
  event.id = "11111111-2222-4333-8444-555555555555";
  event.request_id = "r";
  event.source = "iot.amazonaws.com";
  event.name = "CreateThing";
  event.who = {"IAMUser", "AIDA1", "arn:aws:iam::123456789012:user/ann", "123456789012", "AKIA1", "ann", "", "", ""};
  event.region = "eu-west-1";
  event.account_id = "123456789012";
  event.address = "192.0.2.7";
  event.user_agent = "Boto3/1.26";
  event.parameters = R"({"thingName":"t"})";
  event.resources = {{"AWS::IoT::Thing", "arn:aws:iot:eu-west-1:123456789012:thing/t"}};
  return event;
}

json::object parsed(const Event& event) {
  const auto value = parse_json(to_text(event));
  EXPECT_TRUE(value) << value.error().message;
  return value->as_object();
}

TEST(AuditEvent, HasTheFormOfACloudTrailRecord) {
  EXPECT_EQ(
      to_text(sample()),
      R"({"eventVersion":"1.08","userIdentity":{"type":"IAMUser","principalId":"AIDA1",)"
      R"("arn":"arn:aws:iam::123456789012:user/ann","accountId":"123456789012","accessKeyId":"AKIA1",)"
      R"("userName":"ann"},"eventTime":"2023-11-14T22:13:20Z","eventSource":"iot.amazonaws.com",)"
      R"("eventName":"CreateThing","awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.7","userAgent":"Boto3/1.26",)"
      R"("requestParameters":{"thingName":"t"},"responseElements":null,)"
      R"("additionalEventData":{"eventTimeMs":1700000000123},"requestID":"r",)"
      R"("eventID":"11111111-2222-4333-8444-555555555555","readOnly":false,)"
      R"("resources":[{"accountId":"123456789012","type":"AWS::IoT::Thing",)"
      R"("ARN":"arn:aws:iot:eu-west-1:123456789012:thing/t"}],"eventType":"AwsApiCall","managementEvent":true,)"
      R"("recipientAccountId":"123456789012","eventCategory":"Management"})");
}

TEST(AuditEvent, SaysWhichRoleASessionIsOf) {
  Event event = sample();
  event.who = {"AssumedRole",
               "AROA1:night",
               "arn:aws:sts::123456789012:assumed-role/ops/night",
               "123456789012",
               "ASIA1",
               "",
               "arn:aws:iam::123456789012:role/ops",
               "AROA1",
               "ops"};
  const json::object record = parsed(event);
  const json::object& who = record.at("userIdentity").as_object();
  const json::object& issuer = who.at("sessionContext").as_object().at("sessionIssuer").as_object();
  EXPECT_EQ(get_string(issuer, "arn"), "arn:aws:iam::123456789012:role/ops");
  EXPECT_EQ(get_string(issuer, "userName"), "ops");
  EXPECT_EQ(user_name(record), "night");
}

TEST(AuditEvent, NothingThatAClientChoosesBreaksOrForgesALine) {
  Event event = sample();
  const std::string forged = "x\"}\n{\"seq\":2,\"prev\":\"" + std::string(64, '0') + "\",\"event\":{}}";
  const std::string hostile[] = {forged,
                                 std::string("\r\n\0\x1b[2J\x7f", 8),
                                 "\xFF\xC0\x80\xED\xA0\x80",
                                 "\xF0\x9F",
                                 "\xE2\x80\xA8",
                                 std::string(100'000, '\n'),
                                 std::string(100'000, '\xFF'),
                                 "\\",
                                 "\""};
  for (const std::string& text : hostile) {
    event.user_agent = event.address = event.error_message = event.host = text;
    event.error_code = "E";
    event.tls = true;
    event.who.arn = event.who.user_name = event.who.access_key_id = text;
    event.resources = {{"t", text}};
    const std::string line = to_text(event);
    EXPECT_EQ(line.find_first_of(std::string("\n\r\0", 3)), std::string::npos);
    EXPECT_TRUE(is_utf8(line));
    EXPECT_LT(line.size(), 100'000u);
    parsed(event);
  }
}

TEST(AuditEvent, CleanTextIsValidAndBounded) {
  EXPECT_EQ(clean("abc", 3), "abc");
  EXPECT_EQ(clean("abcd", 3), "abc...");
  EXPECT_EQ(clean("a\xFF"
                  "b",
                  10),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(clean("\xC3\xA4\xC3\xA4", 3), "\xC3\xA4...");
  EXPECT_EQ(clean("", 0), "");
}

TEST(AuditEvent, ResourcesHaveTypesAndNames) {
  EXPECT_EQ(resource_type("arn:aws:iot:r:1:thing/a"), "AWS::IoT::Thing");
  EXPECT_EQ(resource_type("arn:aws:s3:::b"), "AWS::S3::Bucket");
  EXPECT_EQ(resource_type("arn:aws:s3:::b/k/l"), "AWS::S3::Object");
  EXPECT_EQ(resource_type("arn:aws:iam::1:policy/x"), "AWS::IAM::Policy");
  EXPECT_EQ(resource_type("arn:aws:iot:r:1:nothing/a"), "");
  EXPECT_EQ(resource_type("no arn"), "");
  EXPECT_EQ(resource_name("arn:aws:iot:r:1:thing/a:b"), "a:b");
  EXPECT_EQ(resource_name("arn:aws:s3:::b/k/l"), "b/k/l");
  EXPECT_EQ(resource_name("x"), "x");
}

TEST(AuditEvent, AResourceListIsBounded) {
  Event event = sample();
  event.resources.assign(5000, {"AWS::IoT::Thing", "arn:aws:iot:eu-west-1:123456789012:thing/t"});
  EXPECT_LT(to_text(event).size(), 20'000u);
}

}  // namespace
}  // namespace muster::audit
