// SPDX-License-Identifier: Apache-2.0
// The query protocol (iam, sts): https://smithy.io/2.0/aws/protocols/aws-query-protocol.html . A form, in the body or
// in the URL, whose keys are paths (Tags.member.1.Key); the answer is XML with <OpResult> and ResponseMetadata. Pure
// functions. Bounds: 4,000 parameters, list indexes 1 to 1,000 without gaps, paths 16 deep. Errors: kInvalid with
// reason ValidationError or MalformedQueryString.
#pragma once

#include "api/wire/message.h"

namespace muster::api {

Result<json::object> read_query(const WireInput& input);
Result<WireOutput> write_query(const model::Service& service, const model::Operation& operation,
                               const json::object& output, std::string_view request_id);

}  // namespace muster::api
