// SPDX-License-Identifier: Apache-2.0
// rest-xml (S3): https://smithy.io/2.0/aws/protocols/aws-restxml-protocol.html plus S3's own habits: root element
// names, GetBucketLocation's unwrapped root, x-amz- headers hoisted into the query of a pre-signed URL. Pure functions.
// Errors: kInvalid with reason MalformedXML or InvalidArgument; kNotSupported with reason NotImplemented for headers,
// query keys and elements that S3 has and Muster refuses or does not know.
#pragma once

#include "api/wire/message.h"

namespace muster::api {

Result<json::object> read_rest_xml(const WireInput& input);
Result<WireOutput> write_rest_xml(const model::Service& service, const model::Operation& operation,
                                  const json::object& output, bool payload_apart);

}  // namespace muster::api
