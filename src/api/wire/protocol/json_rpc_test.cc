// SPDX-License-Identifier: Apache-2.0
// Requests are what botocore 1.29 sends, byte for byte.
#include "api/wire/protocol/json_rpc.h"

#include <gmock/gmock.h>

#include "api/wire/test_request.h"
#include "api/wire/wire_test_support.h"

namespace muster::api {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kTarget = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";

TestRequest lookup(std::string body, std::string type = "application/x-amz-json-1.1", std::string query = "") {
  return {"cloudtrail", "LookupEvents", {}, std::move(query), std::move(body), {{"Content-Type", std::move(type)}}};
}

SignedRequest signed_lookup(std::string_view target, std::string method = "POST", std::string path = "/") {
  SignedRequest in = make_request(std::move(method), std::move(path), "{}");
  in.request.headers.add("Content-Type", "application/x-amz-json-1.1");
  if (!target.empty()) in.request.headers.add("X-Amz-Target", std::string(target));
  Signer signer;
  signer.service = "cloudtrail";
  signer.sign_header(in, PayloadMode::kWholeHash);
  return in;
}

TEST(JsonRpc, ReadsWhatBotocoreSends) {
  EXPECT_EQ(lookup(R"({"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "x"}], )"
                   R"("StartTime": 1700000000, "MaxResults": 5})")
                .text(),
            R"({"LookupAttributes":[{"AttributeKey":"EventName","AttributeValue":"x"}],)"
            R"("StartTime":1700000000000,"MaxResults":5})");
  EXPECT_EQ(lookup("").text(), "{}");
  EXPECT_EQ(lookup("{}", "application/x-amz-json-1.1; charset=utf-8").text(), "{}");
}

TEST(JsonRpc, RefusesOtherBodiesByName) {
  for (const char* body : {"[]", "{", "1", "{}{}", R"({"StartTime":"yesterday"})"}) {
    EXPECT_THAT(lookup(body).text(), HasSubstr("SerializationException")) << body;
  }
  EXPECT_THAT(lookup("{}", "application/json").text(), HasSubstr("SerializationException"));
  EXPECT_THAT(lookup("{}", "application/x-amz-json-1.0").text(), HasSubstr("SerializationException"));
  EXPECT_THAT(lookup("{}", "application/x-amz-json-1.1", "a=b").text(), HasSubstr("query"));
  EXPECT_THAT(lookup(R"({"EventCategory":"insight"})").text(), HasSubstr("Insights"));
  EXPECT_THAT(lookup(R"({"Nothing":1})").text(), HasSubstr("Nothing"));
}

TEST(JsonRpc, WritesTimesAsSeconds) {
  const auto out = answer("cloudtrail", "LookupEvents", R"({"Events":[{"EventId":"e","EventTime":1700000000123}]})");
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(out->body, R"({"Events":[{"EventId":"e","EventTime":1700000000.123}]})");
  EXPECT_EQ(out->headers.get("content-type"), "application/x-amz-json-1.1");
}

TEST(JsonRpc, TheTargetNamesTheOperation) {
  TestServer server;
  server.serve("cloudtrail", "LookupEvents");
  io::HttpResponse response = server.send(signed_lookup(kTarget));
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(server.seen.size(), 1u);
  const std::string other = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.CreateTrail";
  response = server.send(signed_lookup(other));
  EXPECT_THAT(response.body, HasSubstr("CreateTrail is not supported"));
  for (const std::string& target :
       {std::string(), std::string("LookupEvents"), std::string("Other_2013.LookupEvents"), std::string(kTarget) + ".",
        "." + std::string(kTarget), std::string(kTarget.substr(0, kTarget.size() - 1))}) {
    response = server.send(signed_lookup(target));
    EXPECT_EQ(response.status, 400) << target;
    EXPECT_THAT(response.body, HasSubstr(R"({"__type":"UnknownOperationException")")) << target;
  }
  for (auto [method, path] : {std::pair{"GET", "/"}, std::pair{"POST", "/x"}, std::pair{"PUT", "/"}}) {
    EXPECT_EQ(server.send(signed_lookup(kTarget, method, path)).status, 400) << method << path;
    EXPECT_TRUE(server.seen.empty());
  }
}

TEST(JsonRpc, StrangersGetTheErrorOfTheProtocol) {
  TestServer server;
  server.serve("cloudtrail", "LookupEvents");
  SignedRequest in = make_request("POST", "/", "{}");
  in.request.headers.set("Host", "127.0.0.1:4566");
  in.request.headers.add("Content-Type", "application/x-amz-json-1.1");
  in.request.headers.add("X-Amz-Target", std::string(kTarget));
  io::HttpResponse response = server.send(in);
  EXPECT_EQ(response.status, 400);
  EXPECT_THAT(response.body, HasSubstr(R"("__type":"MissingAuthenticationTokenException")"));
  // A second target, unsigned, behind the signed one.
  in = signed_lookup(kTarget);
  in.request.headers.add("X-Amz-Target", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.DeleteTrail");
  EXPECT_GE(server.send(in).status, 400);
  EXPECT_TRUE(server.seen.empty());
}

}  // namespace
}  // namespace muster::api
