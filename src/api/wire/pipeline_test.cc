// SPDX-License-Identifier: Apache-2.0
#include "api/wire/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/wire/wire_test_support.h"

namespace muster::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

SignedRequest signed_iot(std::string method, std::string target, std::string body = {}) {
  SignedRequest in = make_request(std::move(method), std::move(target), std::move(body));
  if (!in.payload.empty()) in.request.headers.add("Content-Type", "application/json");
  Signer signer;
  signer.service = "execute-api";
  signer.sign_header(in, PayloadMode::kWholeHash);
  return in;
}

SignedRequest signed_s3(std::string method, std::string target, std::string body = {},
                        PayloadMode mode = PayloadMode::kDeclaredHash) {
  SignedRequest in = make_request(std::move(method), std::move(target), std::move(body));
  Signer().sign_header(in, mode);
  return in;
}

TEST(Pipeline, CallsTheHandlerAndSerialises) {
  TestServer server;
  server.serve("iot", "DescribeThing", [](Call& call) -> io::Task<Reply> {
    Reply reply;
    reply.output["thingName"] = get_string(call.input, "thingName");
    reply.output["version"] = 3;
    co_return reply;
  });
  io::HttpResponse response = server.send(signed_iot("GET", "/things/t%3A1"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, R"({"thingName":"t:1","version":3})");
  EXPECT_EQ(response.headers.get("content-type"), "application/json");
  EXPECT_EQ(response.headers.get("server"), "muster");
  EXPECT_EQ(response.headers.get("x-amzn-requestid").size(), 36u);
  EXPECT_EQ(server.seen[0].caller.kind, iam::PrincipalKind::kRoot);
  EXPECT_EQ(server.seen[0].origin, "http://127.0.0.1:4566");
  EXPECT_THAT(server.metrics.exposition(),
              HasSubstr("muster_api_requests_total{service=\"iot\",operation=\"DescribeThing\",status=\"200\"} 1\n"));
}

TEST(Pipeline, HandlersErrorsBecomeAwsErrors) {
  TestServer server;
  server.serve("iot", "DescribeThing", [](Call&) -> io::Task<Reply> {
    Error error = not_found("Thing t cannot be found");
    error.fields["resourceId"] = "t";
    co_return error;
  });
  server.serve("iot", "DescribeJob", [](Call&) -> io::Task<Reply> { co_return internal("rocksdb: /secret/path"); });
  server.serve("iot", "DeleteThing", [](Call&) -> io::Task<Reply> {
    throw std::runtime_error("bug with /secret/path");
    co_return Reply{};
  });
  io::HttpResponse response = server.send(signed_iot("GET", "/things/t"));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.headers.get("x-amzn-errortype"), "ResourceNotFoundException");
  EXPECT_EQ(response.body, R"({"message":"Thing t cannot be found","resourceId":"t"})");
  for (auto [method, target] : {std::pair{"GET", "/jobs/j"}, std::pair{"DELETE", "/things/t"}}) {
    response = server.send(signed_iot(method, target));
    EXPECT_EQ(response.status, 500);
    EXPECT_THAT(response.body, Not(HasSubstr("secret")));
  }
}

TEST(Pipeline, UnsupportedOperationsAreNamed) {
  TestServer server;
  io::HttpResponse response = server.send(signed_s3("PUT", "/b?policy", "{}"));
  EXPECT_EQ(response.status, 501);
  EXPECT_THAT(response.body, HasSubstr("<Code>NotImplemented</Code><Message>The operation PutBucketPolicy is not"));
  response = server.send(signed_iot("GET", "/streams"));
  EXPECT_EQ(response.status, 400);
  EXPECT_THAT(response.body, HasSubstr("ListStreams is not supported"));
  EXPECT_EQ(response.headers.get("x-amzn-errortype"), "InvalidRequestException");
  SignedRequest in = make_request("POST", "/", "Action=CreateGroup&Version=2010-05-08&GroupName=g");
  in.request.headers.add("Content-Type", "application/x-www-form-urlencoded");
  Signer signer;
  signer.service = "iam";
  signer.region = "us-east-1";  // the global services' region
  signer.sign_header(in, PayloadMode::kWholeHash);
  response = server.send(in);
  EXPECT_EQ(response.status, 400);
  EXPECT_THAT(response.body, HasSubstr("CreateGroup is not supported"));
}

TEST(Pipeline, StrangersLearnNothing) {
  TestServer server;
  server.serve("s3", "GetObject");
  server.serve("s3", "PutObject");
  server.serve("sts", "AssumeRole");
  for (const char* target : {"/b?policy", "/b/k?acl", "/", "/b?acl&policy", "/b/k?uploadId=1"}) {
    io::HttpResponse response = server.send(make_request("GET", target));
    EXPECT_EQ(response.status, 403) << target;
    EXPECT_THAT(response.body, HasSubstr("<Code>AccessDenied</Code><Message>Access Denied</Message>")) << target;
  }
  // Objects may be anonymous, where a bucket policy says so: here none does.
  EXPECT_EQ(server.send(make_request("GET", "/b/k")).status, 403);
  EXPECT_EQ(server.send(make_request("PUT", "/b/k", "x")).status, 403);
  EXPECT_EQ(server.consumed, 0u);
  // A form says in its body what it asks for: it is read, and says no more than before.
  for (const char* action : {"AssumeRole", "GetCallerIdentity", "NoSuchAction", "CreateUser"}) {
    SignedRequest form = make_request("POST", "/", "Action=" + std::string(action) + "&Version=2011-06-15");
    form.request.headers.add("Content-Type", "application/x-www-form-urlencoded");
    io::HttpResponse response = server.send(form);
    EXPECT_EQ(response.status, 403) << action;
    EXPECT_THAT(response.body, HasSubstr("<Code>MissingAuthenticationToken</Code>")) << action;
  }
  EXPECT_TRUE(server.seen.empty());
}

TEST(Pipeline, StrangersFormsAreReadOnlyWhereTheyMayCallSomething) {
  TestServer server;
  server.serve("sts", "AssumeRoleWithWebIdentity");
  const auto form = [](const std::string& host, const std::string& body) {
    SignedRequest made = make_request("POST", "/", body);
    made.request.headers.set("Host", host);
    made.request.headers.add("Content-Type", "application/x-www-form-urlencoded");
    return made;
  };
  const auto send = [&](const std::string& host, const std::string& body) {
    SignedRequest made = form(host, body);
    return server.send(made);
  };
  const std::string refused = "<Code>MissingAuthenticationToken</Code>";
  EXPECT_THAT(send("iam.amazonaws.com", "Action=ListUsers&Version=2010-05-08").body, HasSubstr(refused));
  EXPECT_EQ(server.consumed, 0u);
  for (const char* body : {"Action=AssumeRole&Version=2011-06-15", "Action=NoSuchThing&Version=2011-06-15", "", "a=b",
                           "Action=AssumeRoleWithWebIdentity&Version=1999-01-01"}) {
    EXPECT_THAT(send("sts.amazonaws.com", body).body, HasSubstr(refused)) << body;
  }
  EXPECT_TRUE(server.seen.empty());
  const std::string good =
      "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:role/r"
      "&RoleSessionName=session&WebIdentityToken=a.b.c";
  EXPECT_EQ(send("sts.amazonaws.com", good).status, 200);
  EXPECT_EQ(server.seen.size(), 1u);
}

TEST(Pipeline, BucketPoliciesLetStrangersIn) {
  PipelineOptions options;
  options.bucket_policy = [](store::Tx&, std::string_view bucket) -> std::string {
    if (bucket != "public") return {};
    return R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",)"
           R"("Resource":"arn:aws:s3:::public/open/*"}]})";
  };
  TestServer server(options);
  server.serve("s3", "GetObject");
  EXPECT_EQ(server.send(make_request("GET", "/public/open/k")).status, 200);
  EXPECT_EQ(server.send(make_request("GET", "/public/closed/k")).status, 403);
  EXPECT_EQ(server.send(make_request("GET", "/private/open/k")).status, 403);
}

TEST(Pipeline, BothBucketsOfACopyHaveTheirPolicyRead) {
  std::string source_effect = "Allow";
  PipelineOptions options;
  options.bucket_policy = [&](store::Tx&, std::string_view bucket) -> std::string {
    if (bucket != "from" && bucket != "to") return {};
    return R"({"Version":"2012-10-17","Statement":[{"Effect":")" + (bucket == "from" ? source_effect : "Allow") +
           R"(","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::)" + std::string(bucket) + R"(/*"}]})";
  };
  TestServer server(options);
  server.serve("s3", "CopyObject", [](Call&) -> io::Task<Reply> {
    Reply reply;
    reply.output["CopyObjectResult"] = json::object{{"ETag", "x"}};
    co_return reply;
  });
  server.add_user();
  auto copy = [&](const std::string& source) {
    SignedRequest in = make_request("PUT", "/to/k");
    in.request.headers.add("x-amz-copy-source", source);
    Signer signer;
    signer.service = "s3";
    signer.credentials = {"AKIAUSERUSERUSERUSER", kUserSecret, ""};
    signer.sign_header(in, PayloadMode::kWholeHash);
    return server.send(in).status;
  };
  EXPECT_EQ(copy("/from/k"), 200);
  EXPECT_EQ(copy("/other/k"), 403) << "the destination's policy is not the source's";
  EXPECT_EQ(copy("to/k"), 200);
  source_effect = "Deny";
  EXPECT_EQ(copy("/from/k"), 403);
  EXPECT_EQ(copy("/fr%6Fm/k?versionId=null"), 403);
}

TEST(Pipeline, UsersWithoutPoliciesAreDenied) {
  TestServer server;
  server.serve("iot", "DescribeThing");
  SignedRequest in = make_request("GET", "/things/t");
  Signer signer;
  signer.service = "iot";
  signer.credentials = {"AKIAUSERUSERUSERUSER", kUserSecret, ""};
  signer.sign_header(in, PayloadMode::kWholeHash);
  io::HttpResponse response = server.send(in);
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(response.headers.get("x-amzn-errortype"), "AccessDeniedException");
  EXPECT_THAT(response.body, HasSubstr("is not authorized to perform: iot:DescribeThing on resource: "
                                       "arn:aws:iot:eu-west-1:123456789012:thing/t"));
  EXPECT_TRUE(server.seen.empty());
}

TEST(Pipeline, BodiesAreBounded) {
  PipelineOptions options;
  options.max_body_bytes = 1000;
  options.max_object_bytes = 5000;
  TestServer server(options);
  server.serve("iot", "UpdateThing");
  server.serve("s3", "PutObject");
  EXPECT_GE(server.send(signed_iot("PATCH", "/things/t", std::string(1001, ' '))).status, 400);
  EXPECT_EQ(server.send(signed_s3("PUT", "/b/k", std::string(5000, 'x'))).status, 200);
  for (PayloadMode mode : {PayloadMode::kDeclaredHash, PayloadMode::kUnsigned, PayloadMode::kSignedChunks}) {
    io::HttpResponse response = server.send(signed_s3("PUT", "/b/k", std::string(5001, 'x'), mode));
    EXPECT_EQ(response.status, 400);
    EXPECT_THAT(response.body, HasSubstr("<Code>EntityTooLarge</Code>"));
    EXPECT_TRUE(server.seen.empty());
    EXPECT_EQ(server.consumed, 0u);
  }
}

TEST(Pipeline, ChunkedUploadsLookPlainToTheHandler) {
  TestServer server;
  std::string encoding = "unset", length;
  server.serve("s3", "PutObject", [&](Call& call) -> io::Task<Reply> {
    encoding = get_string(call.input, "ContentEncoding", "none");
    length = std::to_string(get_int(call.input, "ContentLength", -1));
    co_return Reply{};
  });
  EXPECT_EQ(server.send(signed_s3("PUT", "/b/k", "hello", PayloadMode::kSignedChunksTrailer)).status, 200);
  EXPECT_EQ(encoding, "none");
  EXPECT_EQ(length, "5");
  EXPECT_EQ(server.seen[0].body, "hello");
}

TEST(Pipeline, HandlersThatDoNotReadToTheEndDoNotSucceed) {
  TestServer server;
  server.serve_raw("s3", "PutObject", [](Call& call) -> io::Task<Reply> {
    CO_TRY(std::string_view piece, co_await call.body->read());
    if (piece.empty()) co_return internal("nothing came");
    co_return Reply{};
  });
  SignedRequest in = signed_s3("PUT", "/b/k", "hello");
  in.body = "hellO";
  EXPECT_EQ(server.send(in).status, 400);
  in.body = "hello";
  EXPECT_EQ(server.send(in).status, 200);
}

TEST(Pipeline, HeadHasNoBodyOnErrors) {
  TestServer server;
  server.serve("s3", "HeadObject", [](Call&) -> io::Task<Reply> { co_return not_found("no such key"); });
  io::HttpResponse response = server.send(signed_s3("HEAD", "/b/k"));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body, "");
  EXPECT_NE(response.headers.get("x-amz-request-id"), "");
}

TEST(Pipeline, BrowsersOfListedOriginsMayCall) {
  PipelineOptions options;
  options.cors_origins = {"https://console.example"};
  TestServer server(options);
  server.serve("iot", "DescribeThing");
  SignedRequest preflight = make_request("OPTIONS", "/things/t");
  preflight.request.headers.add("Access-Control-Request-Method", "GET");
  preflight.request.headers.add("Access-Control-Request-Headers", "authorization,x-amz-date");
  preflight.request.headers.add("Origin", "https://evil.example");
  EXPECT_EQ(server.send(preflight).status, 403);
  preflight.request.headers.set("Origin", "https://console.example");
  io::HttpResponse response = server.send(preflight);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.get("access-control-allow-origin"), "https://console.example");
  EXPECT_EQ(response.headers.get("access-control-allow-headers"), "authorization,x-amz-date");
  SignedRequest in = signed_iot("GET", "/things/t");
  in.request.headers.add("Origin", "https://console.example");
  response = server.send(in);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.get("access-control-allow-origin"), "https://console.example");
  in.request.headers.set("Origin", "https://evil.example");
  EXPECT_FALSE(server.send(in).headers.has("access-control-allow-origin"));
}

class OneCertificate final : public CertificateAuthorizer {
 public:
  io::Task<iam::Principal> identify(std::string der) override {
    if (der != "good") co_return make_error(ErrorKind::kUnauthenticated, "Forbidden");
    iam::Principal principal;
    principal.kind = iam::PrincipalKind::kCertificate;
    principal.name = "cert-1";
    co_return principal;
  }
  io::Task<void> authorize(CertificateCall call) override {
    asked = call.action + ' ' + call.resources.at(0);
    if (call.resources.at(0).ends_with("/mine")) co_return Status();
    co_return make_error(ErrorKind::kAccessDenied, "Forbidden");
  }
  std::string asked;
};

TEST(Pipeline, CertificatesAreAuthorisedByIotPolicies) {
  OneCertificate certificates;
  TestServer server({}, &certificates);
  server.serve("iot-jobs-data", "GetPendingJobExecutions");
  server.serve("iot-data", "Publish");
  server.serve("s3", "GetObject");
  server.serve("iot", "DescribeThing");
  SignedRequest in = make_request("GET", "/things/mine/jobs");
  in.request.peer.client_certificate_der = "good";
  EXPECT_EQ(server.send(in).status, 200);
  EXPECT_EQ(certificates.asked, "iotjobsdata:GetPendingJobExecutions arn:aws:iot:eu-west-1:123456789012:thing/mine");
  EXPECT_EQ(server.seen[0].caller.name, "cert-1");
  in.request.target = "/things/other/jobs";
  io::HttpResponse response = server.send(in);
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(response.headers.get("x-amzn-errortype"), "ForbiddenException");
  in = make_request("POST", "/topics/a/mine?qos=1", "hello");
  in.request.peer.client_certificate_der = "good";
  EXPECT_EQ(server.send(in).status, 200);
  EXPECT_EQ(certificates.asked, "iot:Publish arn:aws:iot:eu-west-1:123456789012:topic/a/mine");
  in.request.peer.client_certificate_der = "stolen";
  EXPECT_EQ(server.send(in).status, 403);
  in = make_request("GET", "/things/mine");
  in.request.peer.client_certificate_der = "good";
  EXPECT_EQ(server.send(in).status, 403);
  EXPECT_TRUE(server.seen.empty());
}

TEST(Pipeline, CertificatesReachNothingButTheDataPlanes) {
  OneCertificate certificates;
  TestServer server({}, &certificates);
  server.serve("s3", "GetObject");
  server.serve("iot", "CreatePolicy");
  server.serve("iam", "CreateUser");
  server.serve("sts", "GetCallerIdentity");
  for (const char* host : {"iot.eu-west-1.amazonaws.com", "iam.amazonaws.com", "sts.x", "b.s3.x", "b.localhost"}) {
    for (const char* target : {"/policies/mine", "/mine", "/?Action=CreateUser&Version=2010-05-08&UserName=mine",
                               "/?Action=GetCallerIdentity&Version=2011-06-15"}) {
      for (const char* method : {"GET", "POST"}) {
        SignedRequest in = make_request(method, target);
        in.request.headers.set("Host", host);
        in.request.peer.client_certificate_der = "good";
        EXPECT_EQ(server.send(in).status, 403) << method << host << target;
      }
    }
  }
  EXPECT_TRUE(certificates.asked.empty());
  EXPECT_TRUE(server.seen.empty());
}

}  // namespace
}  // namespace muster::api
