// SPDX-License-Identifier: Apache-2.0
// One validator for all operations: walks the input against its shape (types, required, length in code points, ranges,
// patterns, enums, members that are refused or in no model) and answers AWS's text: "1 validation error detected: Value
// 'x' at 'thingName' failed to satisfy constraint: Member must ...". Patterns are RE2, compiled once; callable from any
// thread. Bounds: at most 20 failures are spelt out, values are cut at 256 bytes. Errors: kInvalid; reason is the AWS
// code where the protocol has its own (MalformedXML, ValidationError), empty for rest-json.
#pragma once

#include "api/wire/model.h"
#include "base/json.h"

namespace muster::api {

// `input` is in the form that handlers see: timestamps int64 ms, blobs raw bytes in strings.
Status validate(const model::Service& service, const model::Operation& operation, const json::object& input);

// Compiles every pattern now instead of at the first use (about 3 ms in all): kInternal names one that does not
// compile.
Status compile_patterns();

// A refusal in this service's form: S3 answers NotImplemented, query services ValidationError, the others
// InvalidRequestException.
Error refuse_member(const model::Service& service, std::string_view member, std::string_view why);

}  // namespace muster::api
