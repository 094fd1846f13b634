// SPDX-License-Identifier: Apache-2.0
// AWS JSON 1.0 and 1.1 (cloudtrail, logs and the like): https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
// Every call is POST / with the operation in X-Amz-Target; input and output are one JSON object, times epoch seconds.
// Pure functions. Errors: those of rest_json.h; kInvalid, SerializationException for another Content-Type.
#pragma once

#include "api/wire/message.h"

namespace muster::api {

Result<json::object> read_json_rpc(const WireInput& input);
Result<WireOutput> write_json_rpc(const model::Service& service, const model::Operation& operation,
                                  const json::object& output);
// "application/x-amz-json-1.1"
std::string json_rpc_content_type(const model::Service& service);

// The service and operation that X-Amz-Target names, or null: "<prefix>.<Operation>".
const model::Service* service_of_target(std::string_view target);
const model::Operation* operation_of_target(const model::Service& service, std::string_view target);

}  // namespace muster::api
