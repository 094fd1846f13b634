// SPDX-License-Identifier: Apache-2.0
// What rest-json and rest-xml share: members bound to the path, the query, headers and the status code, and scalars as
// text. Pure functions. Times in text: header RFC 7231, else ISO-8601; read in any of the forms. Errors: kInvalid.
#pragma once

#include <string>
#include <string_view>

#include "api/wire/message.h"

namespace muster::api {

// `text` as the shape's type; `name` is for the error. Blobs are base64. Structures and maps are not text: kInternal.
Result<json::value> scalar_from_text(const model::Service& service, const model::Shape& shape, std::string_view text,
                                     std::string_view name);
// The reverse; kInternal when the value has another type than the shape.
Result<std::string> scalar_to_text(const model::Shape& shape, model::TimestampFormat format, const json::value& value);

// Seconds since the epoch with up to three decimals, as JSON and XML carry them.
std::string epoch_seconds_text(std::int64_t time_ms);
// int64 ms from seconds; empty when it does not fit.
std::optional<std::int64_t> epoch_ms(double seconds);

// Sets every member of the operation's input that is bound to the path, query or headers. Refuses query keys (and for
// S3 x-amz- headers) that mean nothing to the operation.
Status read_bindings(const WireInput& in, json::object& input);

// Headers and status of an output structure. A value with control characters is refused: it could end the header.
Status write_bindings(const model::Service& service, const model::Shape& shape, const json::object& output,
                      WireOutput& out);
// kInternal when the output has a member that the shape does not have.
Status check_output_members(const model::Service& service, const model::Shape& shape, const json::object& output);

}  // namespace muster::api
