// SPDX-License-Identifier: Apache-2.0
#include "api/wire/errors.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace muster::api {
namespace {

struct Row {
  const char *service, *operation;
  ErrorKind kind;
  const char* reason;
  const char* code;
  int status;
};

TEST(ErrorCodes, FollowTheModels) {
  const Row rows[] = {
      {"iot", "CreateThing", ErrorKind::kAlreadyExists, "", "ResourceAlreadyExistsException", 409},
      {"iot", "CreateThing", ErrorKind::kInvalid, "", "InvalidRequestException", 400},
      {"iot", "DescribeThing", ErrorKind::kNotFound, "", "ResourceNotFoundException", 404},
      {"iot", "CreateJob", ErrorKind::kLimit, "", "LimitExceededException", 410},
      {"iot", "CancelJobExecution", ErrorKind::kVersionConflict, "", "VersionConflictException", 409},
      {"iot", "CancelJobExecution", ErrorKind::kInvalidStateTransition, "", "InvalidStateTransitionException", 409},
      {"iot", "DeletePolicy", ErrorKind::kConflict, "", "DeleteConflictException", 409},
      {"iot", "DescribeThing", ErrorKind::kThrottled, "", "ThrottlingException", 400},
      {"iot", "DescribeThing", ErrorKind::kAccessDenied, "", "AccessDeniedException", 403},
      {"iot", "DescribeThing", ErrorKind::kNotSupported, "", "InvalidRequestException", 400},
      {"iot", "DescribeThing", ErrorKind::kUnavailable, "", "ServiceUnavailableException", 503},
      {"iot", "DescribeThing", ErrorKind::kInternal, "", "InternalFailureException", 500},
      {"iot", "DescribeThing", ErrorKind::kNotFound, "UnknownOperationException", "UnknownOperationException", 404},
      {"iot", "UpdateCertificate", ErrorKind::kConflict, "CertificateStateException", "CertificateStateException", 406},
      {"iot-jobs-data", "UpdateJobExecution", ErrorKind::kVersionConflict, "", "InvalidStateTransitionException", 409},
      {"iot-jobs-data", "DescribeJobExecution", ErrorKind::kTerminalState, "", "TerminalStateException", 410},
      {"iot-jobs-data", "UpdateJobExecution", ErrorKind::kThrottled, "", "ThrottlingException", 429},
      {"iot-jobs-data", "UpdateJobExecution", ErrorKind::kAccessDenied, "", "ForbiddenException", 403},
      {"cloudtrail", "LookupEvents", ErrorKind::kAccessDenied, "", "AccessDeniedException", 400},
      {"cloudtrail", "LookupEvents", ErrorKind::kInvalid, "", "ValidationException", 400},
      {"cloudtrail", "LookupEvents", ErrorKind::kInvalid, "InvalidNextTokenException", "InvalidNextTokenException",
       400},
      {"cloudtrail", "LookupEvents", ErrorKind::kNotFound, "UnknownOperationException", "UnknownOperationException",
       400},
      {"cloudtrail", "LookupEvents", ErrorKind::kUnavailable, "", "ServiceUnavailableException", 503},
      {"iot-data", "Publish", ErrorKind::kAccessDenied, "", "ForbiddenException", 403},
      {"s3", "GetObject", ErrorKind::kNotFound, "", "NoSuchKey", 404},
      {"s3", "GetObject", ErrorKind::kNotFound, "NoSuchBucket", "NoSuchBucket", 404},
      {"s3", "DeleteBucket", ErrorKind::kConflict, "BucketNotEmpty", "BucketNotEmpty", 409},
      {"s3", "GetObject", ErrorKind::kInvalid, "InvalidRange", "InvalidRange", 416},
      {"s3", "GetObject", ErrorKind::kPrecondition, "", "PreconditionFailed", 412},
      {"s3", "GetObject", ErrorKind::kPrecondition, "NotModified", "NotModified", 304},
      {"s3", "PutObject", ErrorKind::kInvalid, "BadDigest", "BadDigest", 400},
      {"s3", "PutObject", ErrorKind::kUnavailable, "", "ServiceUnavailable", 503},
      {"s3", "PutBucketPolicy", ErrorKind::kNotSupported, "", "NotImplemented", 501},
      {"s3", "PutObject", ErrorKind::kInternal, "", "InternalError", 500},
      {"iam", "GetUser", ErrorKind::kNotFound, "NoSuchEntity", "NoSuchEntity", 404},
      {"iam", "CreateUser", ErrorKind::kAlreadyExists, "", "EntityAlreadyExists", 409},
      {"iam", "CreateUser", ErrorKind::kLimit, "", "LimitExceeded", 409},
      {"iam", "PutUserPolicy", ErrorKind::kInvalid, "MalformedPolicyDocument", "MalformedPolicyDocument", 400},
      {"sts", "AssumeRole", ErrorKind::kAccessDenied, "", "AccessDenied", 403},
  };
  for (const Row& row : rows) {
    const model::Service& service = *model::find_service(row.service);
    ErrorCode code =
        error_code(service, model::find_operation(service, row.operation), make_error(row.kind, "m", row.reason));
    EXPECT_EQ(code.code, row.code) << row.service << ' ' << row.operation;
    EXPECT_EQ(code.status, row.status) << row.service << ' ' << row.operation << ' ' << code.code;
  }
}

TEST(ErrorCodes, ExistForEveryKindAndService) {
  for (const model::Service* service : model::services()) {
    for (int kind = 0; kind <= static_cast<int>(ErrorKind::kInternal); ++kind) {
      ErrorCode code = error_code(*service, nullptr, make_error(static_cast<ErrorKind>(kind), "m"));
      EXPECT_FALSE(code.code.empty());
      EXPECT_GE(code.status, 400);
      EXPECT_LT(code.status, 600);
    }
  }
}

TEST(ErrorBodies, AreInTheServicesProtocol) {
  Error error = make_error(ErrorKind::kNotFound, "gone <&>");
  error.fields["executionState"] = json::object{{"status", "QUEUED"}};
  io::HttpResponse iot = write_error(*model::find_service("iot"), nullptr, error, {"rid", "", false});
  EXPECT_EQ(iot.headers.get("x-amzn-errortype"), "ResourceNotFoundException");
  EXPECT_EQ(iot.body, R"({"message":"gone <&>","executionState":{"status":"QUEUED"}})");
  io::HttpResponse s3 = write_error(*model::find_service("s3"), nullptr,
                                    make_error(ErrorKind::kNotFound, "gone <&>", "NoSuchKey"), {"rid", "/b/k", false});
  EXPECT_EQ(
      s3.body,
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>gone &lt;&amp;&gt;</Message>"
      "<Resource>/b/k</Resource><RequestId>rid</RequestId><HostId>muster</HostId></Error>");
  io::HttpResponse iam =
      write_error(*model::find_service("iam"), nullptr, make_error(ErrorKind::kNotFound, "gone"), {"rid", "", false});
  EXPECT_NE(iam.body.find("<Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>gone</Message></Error>"
                          "<RequestId>rid</RequestId></ErrorResponse>"),
            std::string::npos)
      << iam.body;
  EXPECT_EQ(write_error(*model::find_service("s3"), nullptr, error, {"rid", "", true}).body, "");
}

}  // namespace
}  // namespace muster::api
