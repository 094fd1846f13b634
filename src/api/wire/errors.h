// SPDX-License-Identifier: Apache-2.0
// Errors on the wire: (service, operation, Error) -> AWS code, HTTP status and the body in the service's protocol.
// Error::reason is the code when it is set; else the kind decides, choosing among the errors that the operation models
// (LimitExceededException is 410 on iot, VersionConflict becomes InvalidStateTransition on the jobs data plane). Pure
// functions. kInternal never shows its message: it goes to the log. Sources: the service models; "Common errors" of IAM
// and STS; "Error responses" of the S3 API reference; spec of IoT Jobs for shapes that the models do not tell.
#pragma once

#include <string>
#include <string_view>

#include "api/wire/model.h"
#include "base/result.h"
#include "io/http_server.h"

namespace muster::api {

struct ErrorCode {
  std::string code;  // "ResourceNotFoundException", "NoSuchKey"
  int status = 500;
};

ErrorCode error_code(const model::Service& service, const model::Operation* operation, const Error& error);

// What the client is told: kInternal never shows its message.
std::string_view shown_message(const model::Service& service, const Error& error);

struct ErrorContext {
  std::string request_id;
  std::string resource;  // S3: the path
  bool head = false;     // no body
};

io::HttpResponse write_error(const model::Service& service, const model::Operation* operation, const Error& error,
                             const ErrorContext& context);

}  // namespace muster::api
