// SPDX-License-Identifier: Apache-2.0
#include "api/wire/router.h"

#include <gtest/gtest.h>

#include "api/wire/signature/sigv4_verify.h"
#include "base/text.h"

namespace muster::api {
namespace {

struct Ask {
  std::string method, target;
  std::string scope = "s3";
  std::string host = "127.0.0.1:4566";
  std::vector<std::pair<std::string, std::string>> headers = {};
  bool certificate = false;
  SignatureKind signature = SignatureKind::kHeaderV4;
};

class Routing : public testing::Test {
 protected:
  // "service.Operation label=value ...", "service" for the query protocol, or the error's reason.
  std::string route(const Ask& ask) const {
    io::HttpHeaders headers;
    headers.add("Host", ask.host);
    for (const auto& [name, value] : ask.headers) headers.add(name, value);
    std::size_t mark = ask.target.find('?');
    Pairs query = *parse_form(mark == std::string::npos ? "" : std::string_view(ask.target).substr(mark + 1));
    RouteInput input{
        ask.method,     std::string_view(ask.target).substr(0, mark), query, headers, ask.signature, ask.scope,
        ask.certificate};
    auto service = router_.find_service(input);
    if (!service) return service.error().reason;
    auto found = router_.find_operation(**service, input);
    if (!found) return found.error().reason;
    std::string out(found->service->id);
    if (found->operation != nullptr) out += '.' + std::string(found->operation->name);
    for (const auto& [name, value] : found->labels) out += ' ' + name + '=' + value;
    return out;
  }
  std::string unsigned_route(Ask ask) const {
    ask.scope.clear();
    ask.signature = SignatureKind::kNone;
    return route(ask);
  }
  Router router_{{"muster.example", "objects.localhost"}};
};

TEST_F(Routing, S3OperationsByPathAndSubresource) {
  const std::pair<Ask, const char*> rows[] = {
      {{"GET", "/"}, "s3.ListBuckets"},
      {{"PUT", "/b"}, "s3.CreateBucket Bucket=b"},
      {{"PUT", "/b/"}, "s3.CreateBucket Bucket=b"},
      {{"PUT", "/b?policy"}, "s3.PutBucketPolicy Bucket=b"},
      {{"PUT", "/b?policy="}, "s3.PutBucketPolicy Bucket=b"},
      {{"PUT", "/b/?policy"}, "s3.PutBucketPolicy Bucket=b"},
      {{"PUT", "/b?x-id=CreateBucket"}, "s3.CreateBucket Bucket=b"},
      {{"DELETE", "/b?policy"}, "s3.DeleteBucketPolicy Bucket=b"},
      {{"DELETE", "/b"}, "s3.DeleteBucket Bucket=b"},
      {{"GET", "/b"}, "s3.ListObjects Bucket=b"},
      {{"GET", "/b?list-type=2&prefix=x"}, "s3.ListObjectsV2 Bucket=b"},
      {{"GET", "/b?list-type=1"}, "s3.ListObjects Bucket=b"},
      {{"GET", "/b?location"}, "s3.GetBucketLocation Bucket=b"},
      {{"GET", "/b?lifecycle"}, "s3.GetBucketLifecycleConfiguration Bucket=b"},
      {{"GET", "/b?analytics"}, "s3.ListBucketAnalyticsConfigurations Bucket=b"},
      {{"GET", "/b?analytics&id=1"}, "s3.GetBucketAnalyticsConfiguration Bucket=b"},
      {{"GET", "/b?versions"}, "s3.ListObjectVersions Bucket=b"},
      {{"POST", "/b?delete"}, "s3.DeleteObjects Bucket=b"},
      {{"HEAD", "/b"}, "s3.HeadBucket Bucket=b"},
      {{"HEAD", "/b/k"}, "s3.HeadObject Bucket=b Key=k"},
      {{"GET", "/b/k"}, "s3.GetObject Bucket=b Key=k"},
      {{"GET", "/b/k?partNumber=1"}, "s3.GetObject Bucket=b Key=k"},
      {{"GET", "/b/a%2Fb//c%20d/"}, "s3.GetObject Bucket=b Key=a/b//c d/"},
      {{"GET", "/b//k"}, "s3.GetObject Bucket=b Key=/k"},
      {{"GET", "/b/../k"}, "s3.GetObject Bucket=b Key=../k"},
      {{"GET", "/b/k?uploadId=u"}, "s3.ListParts Bucket=b Key=k"},
      {{"GET", "/b/k?tagging"}, "s3.GetObjectTagging Bucket=b Key=k"},
      {{"PUT", "/b/k"}, "s3.PutObject Bucket=b Key=k"},
      {{"PUT", "/b/k?acl"}, "s3.PutObjectAcl Bucket=b Key=k"},
      {{"PUT", "/b/k?partNumber=1&uploadId=u"}, "s3.UploadPart Bucket=b Key=k"},
      {{"PUT", "/b/k?uploadId=u"}, "s3.UploadPart Bucket=b Key=k"},
      {{"DELETE", "/b/k?uploadId=u"}, "s3.AbortMultipartUpload Bucket=b Key=k"},
      {{"DELETE", "/b/k"}, "s3.DeleteObject Bucket=b Key=k"},
      {{"POST", "/b/k?uploads"}, "s3.CreateMultipartUpload Bucket=b Key=k"},
      {{"POST", "/b/k?uploadId=u"}, "s3.CompleteMultipartUpload Bucket=b Key=k"},
      {{"POST", "/b/k?select&select-type=2"}, "s3.SelectObjectContent Bucket=b Key=k"},
      {{"POST", "/b/k"}, "MethodNotAllowed"},
      {{"POST", "/b"}, "MethodNotAllowed"},
      {{"POST", "/b?policy"}, "MethodNotAllowed"},
      {{"PUT", "/b?uploads"}, "MethodNotAllowed"},
      {{"HEAD", "/"}, "MethodNotAllowed"},
      {{"PATCH", "/b/k"}, "MethodNotAllowed"},
      {{"GET", "/b?acl&policy"}, "InvalidArgument"},
      {{"GET", "/b/%ff"}, "InvalidURI"},
      {{"GET", "/b/%2"}, "InvalidURI"},
      {{"GET", "//k"}, "InvalidURI"},
  };
  for (const auto& [ask, want] : rows) EXPECT_EQ(route(ask), want) << ask.method << ' ' << ask.target;
  Ask copy{"PUT", "/b/k"};
  copy.headers = {{"x-amz-copy-source", "/a/b"}};
  EXPECT_EQ(route(copy), "s3.CopyObject Bucket=b Key=k");
  copy.target = "/b/k?partNumber=1&uploadId=u";
  EXPECT_EQ(route(copy), "s3.UploadPartCopy Bucket=b Key=k");
  EXPECT_EQ(route({"PUT", "/b/k?X-Amz-Copy-Source=a"}), "s3.CopyObject Bucket=b Key=k");
}

TEST_F(Routing, VirtualHostsAreBuckets) {
  const std::pair<const char*, const char*> hosts[] = {{"b.s3.eu-west-1.amazonaws.com", "b"},
                                                       {"my.dotted.s3.example:4566", "my.dotted"},
                                                       {"b.s3-eu-west-1.x", "b"},
                                                       {"b.localhost:4566", "b"},
                                                       {"B.LOCALHOST", "b"},
                                                       {"b.muster.example", "b"},
                                                       {"b.s3.muster.example", "b"},
                                                       {"s3.muster.example", ""},
                                                       {"muster.example:443", ""},
                                                       {"b.objects.localhost", "b"},
                                                       {"objects.localhost", ""},
                                                       {"s3.amazonaws.com", ""},
                                                       {"localhost:4566", ""},
                                                       {"127.0.0.1:4566", ""},
                                                       {"[::1]:4566", ""},
                                                       {"s3.localhost", ""},
                                                       {"iot.localhost", ""},
                                                       {"notmuster.example", ""},
                                                       {"", ""},
                                                       {".localhost", ""},
                                                       {"b.localhost.", "b"}};
  for (auto [host, bucket] : hosts) EXPECT_EQ(router_.virtual_bucket(host), bucket) << host;
  EXPECT_EQ(route({"GET", "/", "s3", "b.localhost"}), "s3.ListObjects Bucket=b");
  EXPECT_EQ(route({"GET", "/a/b", "s3", "b.localhost"}), "s3.GetObject Bucket=b Key=a/b");
  EXPECT_EQ(route({"PUT", "/", "s3", "b.localhost"}), "s3.CreateBucket Bucket=b");
}

TEST_F(Routing, RestJsonByScope) {
  const std::pair<Ask, const char*> rows[] = {
      {{"GET", "/things/t/jobs", "execute-api"}, "iot.ListJobExecutionsForThing thingName=t"},
      {{"GET", "/things/t/jobs", "iot"}, "iot.ListJobExecutionsForThing thingName=t"},
      {{"GET", "/things/t/jobs", "iot-jobs-data"}, "iot-jobs-data.GetPendingJobExecutions thingName=t"},
      {{"GET", "/things/t/jobs/j", "iot-jobs-data"}, "iot-jobs-data.DescribeJobExecution thingName=t jobId=j"},
      {{"PUT", "/things/t/jobs/$next", "iot-jobs-data"}, "iot-jobs-data.StartNextPendingJobExecution thingName=t"},
      {{"PUT", "/things/t/jobs/%24next", "iot-jobs-data"}, "iot-jobs-data.StartNextPendingJobExecution thingName=t"},
      {{"POST", "/things/t/jobs/j", "iot-jobs-data"}, "iot-jobs-data.UpdateJobExecution thingName=t jobId=j"},
      {{"GET", "/jobs", "iot"}, "iot.ListJobs"},
      {{"GET", "/jobs/", "iot"}, "iot.ListJobs"},
      {{"GET", "/jobs", "s3"}, "s3.ListObjects Bucket=jobs"},
      {{"GET", "/b%2Fk", "s3"}, "InvalidURI"},
      {{"PUT", "/b%2fk", "s3"}, "InvalidURI"},
      {{"PUT", "/jobs/j%2Fx", "iot"}, "iot.CreateJob jobId=j/x"},
      {{"PUT", "/jobs/j/cancel", "iot"}, "iot.CancelJob jobId=j"},
      {{"GET", "//things/./x/../y", "iot"}, "iot.DescribeThing thingName=y"},
      {{"POST", "/topics/a%2Fb?qos=1", "iotdata"}, "iot-data.Publish topic=a/b"},
      {{"POST", "/topics/a/b", "iotdevicegateway"}, "iot-data.Publish topic=a/b"},
      {{"POST", "/jobs", "iot"}, "UnknownOperationException"},
      {{"GET", "/nothing", "iot"}, "UnknownOperationException"},
      {{"GET", "/things/%zz", "iot"}, "InvalidURI"},
      {{"GET", "/", "lambda-unknown"}, "SignatureDoesNotMatch"},
      {{"POST", "/", "iam"}, "iam"},
      {{"GET", "/?Action=ListUsers", "sts"}, "sts"},
      {{"POST", "/x", "iam"}, "InvalidAction"},
  };
  for (const auto& [ask, want] : rows)
    EXPECT_EQ(route(ask), want) << ask.method << ' ' << ask.target << ' ' << ask.scope;
}

TEST_F(Routing, EveryModelledOperationIsReachedOrTold) {
  int routed = 0;
  for (const model::Service* service : model::services()) {
    if (service->protocol != model::Protocol::kRestJson) continue;
    for (const model::Operation& operation : service->operations) {
      std::string target;
      bool label = false;
      for (char c : operation.uri) {
        if (c == '{') label = true;
        if (!label) target += c;
        if (c == '}') {
          label = false;
          target += "v1";
        }
      }
      std::string got = route({std::string(operation.method), target, std::string(service->signing_names[0])});
      std::string want = std::string(service->id) + '.' + std::string(operation.name);
      EXPECT_EQ(got.substr(0, got.find(' ')), want) << operation.method << ' ' << operation.uri;
      ++routed;
    }
  }
  EXPECT_GT(routed, 240);
}

TEST_F(Routing, UnsignedByHostCertificateAndForm) {
  EXPECT_EQ(unsigned_route({"GET", "/b/k"}), "s3.GetObject Bucket=b Key=k");
  EXPECT_EQ(unsigned_route({"GET", "/k", "", "b.localhost"}), "s3.GetObject Bucket=b Key=k");
  EXPECT_EQ(unsigned_route({"GET", "/things/t", "", "iot.eu-west-1.amazonaws.com"}), "iot.DescribeThing thingName=t");
  EXPECT_EQ(unsigned_route({"GET", "/things/t/jobs", "", "data.jobs.iot.eu-west-1.amazonaws.com"}),
            "iot-jobs-data.GetPendingJobExecutions thingName=t");
  Ask form{"POST", "/", "", "127.0.0.1", {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}}};
  EXPECT_EQ(unsigned_route(form), "sts");
  Ask device{"GET", "/things/t/jobs", "", "127.0.0.1", {}, true};
  EXPECT_EQ(unsigned_route(device), "iot-jobs-data.GetPendingJobExecutions thingName=t");
  device.method = "POST";
  device.target = "/topics/a/b?qos=1";
  EXPECT_EQ(unsigned_route(device), "iot-data.Publish topic=a/b");
  for (const char* target : {"/things/t", "/jobs", "/", "/b/k", "/things/t/../../jobs"}) {
    device.target = target;
    EXPECT_EQ(unsigned_route(device), "MissingAuthenticationToken") << target;
  }
  // The Host header is the client's own choice: it must not lead a certificate out of the data planes.
  for (const char* host : {"iot.us-east-1.amazonaws.com", "iam.x", "sts.x", "s3.x", "b.s3.x", "b.localhost"}) {
    device.host = host;
    for (const char* target : {"/policies/p", "/things/t", "/", "/?Action=CreateUser&Version=2010-05-08", "/b/k"}) {
      device.target = target;
      EXPECT_EQ(unsigned_route(device), "MissingAuthenticationToken") << host << target;
    }
    device.target = "/topics/a/b";
    EXPECT_EQ(unsigned_route(device), "iot-data.Publish topic=a/b") << host;
  }
  Ask v2{"GET", "/b/k", "", "iot.x.y"};
  v2.signature = SignatureKind::kQueryV2;
  EXPECT_EQ(route(v2), "s3.GetObject Bucket=b Key=k");
}

TEST_F(Routing, ActionsComeFromOnePlace) {
  const model::Service& iam = *model::find_service("iam");
  const Pairs version = {{"Version", "2010-05-08"}};
  auto find = [&](const Pairs& query, const Pairs& form) -> std::string {
    auto found = router_.find_action(iam, query, form);
    return found ? std::string((*found)->name) : found.error().reason;
  };
  EXPECT_EQ(find({}, {{"Action", "GetUser"}, version[0]}), "GetUser");
  EXPECT_EQ(find({{"Action", "GetUser"}}, version), "GetUser");
  EXPECT_EQ(find({{"Action", "GetUser"}, version[0]}, {{"Action", "DeleteUser"}}), "MalformedQueryString");
  EXPECT_EQ(find({}, {{"Action", "GetUser"}, {"Action", "GetUser"}, version[0]}), "MalformedQueryString");
  EXPECT_EQ(find({}, {{"Action", "GetUser"}}), "InvalidAction");
  EXPECT_EQ(find({}, {{"Action", "Nonsense"}, version[0]}), "InvalidAction");
  EXPECT_EQ(find({}, version), "MissingAction");
}

}  // namespace
}  // namespace muster::api
