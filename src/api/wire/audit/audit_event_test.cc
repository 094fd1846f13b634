// SPDX-License-Identifier: Apache-2.0
// What the pipeline records, in the files of a real log.
#include "api/wire/audit/audit_event.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "api/wire/wire_test_support.h"
#include "domain/audit/search.h"
#include "domain/audit/segments.h"

namespace muster::api {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Audited : public testing::Test {
 protected:
  Audited() {
    char name[] = "/tmp/muster-wire-audit-XXXXXX";
    root_ = ::mkdtemp(name);
  }
  ~Audited() override {
    server.reset();
    trail.reset();
    std::filesystem::remove_all(root_);
  }
  void SetUp() override { make(false); }
  void make(bool data_events) {
    server.reset();
    trail.reset();
    audit::LogOptions options;
    options.files = {root_ + "/audit", root_ + "/key.pem", root_ + "/public.pem", root_ + "/head.json"};
    options.may_write = [this] { return works.load(); };
    auto log = audit::Log::open(options, clock);
    ASSERT_TRUE(log) << log.error().message;
    trail = std::make_unique<audit::Trail>(*std::move(log), clock, audit::TrailOptions{kTestRealm, data_events});
    server = std::make_unique<TestServer>(PipelineOptions{}, nullptr, trail.get());
  }
  std::vector<json::object> events() const {
    std::vector<json::object> out;
    auto page = audit::search(root_ + "/audit", {}, audit::kNewest, {.max_events = 1000});
    EXPECT_TRUE(page) << page.error().message;
    for (audit::Found& found : page->events) out.push_back(std::move(found.event));
    return out;
  }
  std::string bytes() const {
    std::string out;
    for (const auto& segment : *audit::list_segments(root_ + "/audit")) out += *audit::read_segment(segment.path);
    return out;
  }
  static SignedRequest signed_by(std::string service, std::string method, std::string target, std::string body = {},
                                 sigv4::Credentials credentials = {kTestKey, kTestSecret, ""}) {
    SignedRequest in = make_request(std::move(method), std::move(target), std::move(body));
    in.request.headers.add("User-Agent", "tester/1");
    if (!in.payload.empty()) in.request.headers.add("Content-Type", "application/json");
    Signer signer;
    signer.service = std::move(service);
    signer.credentials = std::move(credentials);
    signer.sign_header(in, PayloadMode::kWholeHash);
    return in;
  }

  io::VirtualClock clock{1'700'000'000'000};
  std::atomic<bool> works{true};
  std::unique_ptr<audit::Trail> trail;
  std::unique_ptr<TestServer> server;

 private:
  std::string root_;
};

const sigv4::Credentials kUser{"AKIAUSERUSERUSERUSER", kUserSecret, ""};

TEST_F(Audited, AChangeIsRecordedWithWhoWhatAndHow) {
  server->serve("iot", "CreateThing");
  const io::HttpResponse response =
      server->send(signed_by("iot", "POST", "/things/t1", R"({"attributePayload":{"attributes":{"a":"x"}}})"));
  ASSERT_EQ(response.status, 200) << response.body;
  const auto all = events();
  ASSERT_EQ(all.size(), 1u);
  const json::object& event = all[0];
  EXPECT_EQ(get_string(event, "eventName"), "CreateThing");
  EXPECT_EQ(get_string(event, "eventSource"), "iot.amazonaws.com");
  EXPECT_EQ(get_string(event, "requestID"), response.headers.get("x-amzn-requestid"));
  EXPECT_EQ(get_string(event, "userAgent"), "tester/1");
  EXPECT_EQ(get_string(event.at("userIdentity").as_object(), "type"), "Root");
  EXPECT_EQ(to_text(event.at("requestParameters")),
            R"({"thingName":"t1","attributePayload":{"attributes":{"a":"x"}}})");
  EXPECT_EQ(get_string(event.at("resources").as_array()[0].as_object(), "ARN"),
            "arn:aws:iot:eu-west-1:123456789012:thing/t1");
  EXPECT_FALSE(get_bool(event, "readOnly", true));
  EXPECT_FALSE(has(event, "errorCode"));
}

TEST_F(Audited, FailuresCarryTheCodeThatTheClientGot) {
  server->serve("iot", "DescribeThing", [](Call&) -> io::Task<Reply> { co_return not_found("Thing t1 not found"); });
  server->serve("iot", "CreateThing", [](Call&) -> io::Task<Reply> { co_return internal("rocksdb: /secret/path"); });
  EXPECT_EQ(server->send(signed_by("iot", "GET", "/things/t1")).status, 404);
  EXPECT_EQ(server->send(signed_by("iot", "POST", "/things/t1", "{}")).status, 500);
  EXPECT_EQ(server->send(signed_by("iot", "GET", "/billing-groups")).status, 400);  // not served
  const auto all = events();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(get_string(all[2], "errorCode"), "ResourceNotFoundException");
  EXPECT_EQ(get_string(all[2], "errorMessage"), "Thing t1 not found");
  EXPECT_TRUE(get_bool(all[2], "readOnly"));
  EXPECT_EQ(get_string(all[1], "errorCode"), "InternalFailureException");
  EXPECT_THAT(bytes(), Not(HasSubstr("secret")));
  EXPECT_EQ(get_string(all[0], "eventName"), "ListBillingGroups");
}

TEST_F(Audited, DataPlanesAreRecordedOnDemandAndWhenDenied) {
  for (const auto& [service, operation] :
       {std::pair{"s3", "GetObject"}, {"s3", "PutObject"}, {"iot-data", "Publish"}}) {
    server->serve(service, operation);
  }
  EXPECT_EQ(server->send(signed_by("s3", "GET", "/b/k")).status, 200);
  EXPECT_EQ(server->send(signed_by("iotdata", "POST", "/topics/a", "payload")).status, 200);
  EXPECT_THAT(events(), IsEmpty());
  EXPECT_EQ(server->send(signed_by("s3", "GET", "/b/k", "", kUser)).status, 403);
  EXPECT_EQ(server->send(signed_by("iotdata", "POST", "/topics/a", "payload", kUser)).status, 403);
  auto all = events();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(get_string(all[1], "errorCode"), "AccessDenied");
  EXPECT_EQ(get_string(all[1].at("requestParameters").as_object(), "Key"), "k");
  EXPECT_EQ(get_string(all[1].at("userIdentity").as_object(), "userName"), "mallory");
  EXPECT_EQ(get_string(all[1], "eventCategory"), "Data");
  EXPECT_EQ(get_string(all[0].at("requestParameters").as_object(), "payload"), "<7 bytes>");
  make(true);
  server->serve("s3", "GetObject");
  EXPECT_EQ(server->send(signed_by("s3", "GET", "/b/k")).status, 200);
  EXPECT_EQ(events().size(), 3u);
}

TEST_F(Audited, AResourceThatEndsInAStarIsNamedAsWell) {
  make(true);
  server->serve("s3", "DeleteObject");
  server->serve("iot", "ListThings");
  server->serve("iot", "AttachPolicy");
  EXPECT_EQ(server->send(signed_by("s3", "DELETE", "/b/k%2A")).status, 204);
  EXPECT_EQ(server->send(signed_by("iot", "GET", "/things")).status, 200);
  EXPECT_EQ(server
                ->send(signed_by("iot", "PUT", "/target-policies/p",
                                 R"({"target":"arn:aws:iot:eu-west-1:123456789012:thinggroup/*"})"))
                .status,
            200);
  const auto all = events();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(get_string(all[2].at("resources").as_array()[0].as_object(), "ARN"), "arn:aws:s3:::b/k*");
  EXPECT_FALSE(has(all[1], "resources")) << to_text(all[1]);
  EXPECT_THAT(to_text(all[0].at("resources")), HasSubstr("thinggroup/*"));
}

TEST_F(Audited, StrangersAreRecordedOnceAMinute) {
  server->serve("iot", "CreateThing");
  for (int i = 0; i < 20; ++i) {
    SignedRequest in = make_request("POST", "/things/t", "{}");
    in.request.headers.set("Host", "iot.eu-west-1.amazonaws.com");
    EXPECT_EQ(server->send(in).status, 403);
    EXPECT_EQ(server->send(signed_by("iot", "POST", "/things/t", "{}", {kTestKey, "wrong", ""})).status, 403);
    EXPECT_EQ(server->send(signed_by("iot", "POST", "/things/t", "{}", {"AKIANOBODY", "x", ""})).status, 403);
  }
  const auto all = events();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(get_string(all[2].at("userIdentity").as_object(), "accountId"), "ANONYMOUS_PRINCIPAL");
  EXPECT_EQ(get_string(all[1], "errorCode"), "InvalidSignatureException");
  EXPECT_EQ(get_string(all[1].at("userIdentity").as_object(), "accessKeyId"), kTestKey);
  EXPECT_EQ(get_string(all[1].at("userIdentity").as_object(), "type"), "Unknown");
  EXPECT_EQ(get_string(all[0].at("userIdentity").as_object(), "accessKeyId"), "AKIANOBODY");
}

TEST_F(Audited, WhatCouldNotBeRecordedIsNotDone) {
  server->serve("iot", "CreateThing");
  server->serve("iot", "DescribeThing");
  works = false;
  // The first finds out, when it is done already, and is told.
  EXPECT_EQ(server->send(signed_by("iot", "POST", "/things/t1", "{}")).status, 503);
  EXPECT_EQ(server->seen.size(), 1u);
  const io::HttpResponse response = server->send(signed_by("iot", "POST", "/things/t2", "{}"));
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.headers.get("x-amzn-errortype"), "ServiceUnavailableException");
  EXPECT_THAT(server->seen, IsEmpty());
  EXPECT_EQ(server->send(signed_by("iot", "GET", "/things/t1")).status, 200);
  EXPECT_EQ(server->send(signed_by("iot", "POST", "/things/t2", "{}", kUser)).status, 503);  // a denial of a change
  works = true;
  while (trail->log().failing()) std::this_thread::yield();
  EXPECT_EQ(server->send(signed_by("iot", "POST", "/things/t3", "{}")).status, 200);
  EXPECT_EQ(events().size(), 5u);  // nothing was forgotten
}

TEST_F(Audited, HostileRequestsMakeOneValidLineEach) {
  server->serve("iot", "DescribeThing");
  SignedRequest in = signed_by("iot", "GET", "/things/t1");
  in.request.headers.set("User-Agent", std::string("a\x01\x1b[31m\xFF\"}}\\n") + std::string(20'000, 'x'));
  EXPECT_EQ(server->send(in).status, 200);
  in = signed_by("iot", "GET", "/things/a%0A%7B%22seq%22%3A9");
  server->send(in);
  const auto all = events();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_LT(get_string(all[1], "userAgent").size(), 2000u);
}

TEST(ReadOnly, IsToldByTheVerb) {
  const auto read_only = [](const char* service, const char* name) {
    const model::Operation* operation = model::find_operation(*model::find_service(service), name);
    EXPECT_NE(operation, nullptr) << name;
    return is_read_only(*operation);
  };
  for (const char* name : {"DescribeThing", "ListThings", "GetPolicy", "SearchIndex", "TestAuthorization"}) {
    EXPECT_TRUE(read_only("iot", name)) << name;
  }
  for (const char* name : {"CreateThing", "UpdateThing", "DeleteThing", "AttachPolicy", "RegisterThing", "CancelJob",
                           "AssociateTargetsWithJob", "SetDefaultPolicyVersion", "TagResource"}) {
    EXPECT_FALSE(read_only("iot", name)) << name;
  }
  EXPECT_TRUE(read_only("sts", "AssumeRole"));
  EXPECT_FALSE(read_only("iam", "CreateAccessKey"));
  EXPECT_TRUE(read_only("cloudtrail", "LookupEvents"));
}

}  // namespace
}  // namespace muster::api
