// SPDX-License-Identifier: Apache-2.0
// rest-json (iot, iot-data, iot-jobs-data, lambda): https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html
// Reads labels, query, headers and the JSON body into one object by member name and writes the answer. Timestamps in a
// body are epoch seconds with a fraction, int64 ms in memory; blobs are base64 on the wire. Pure functions. A body that
// is no JSON object, or holds a value of the wrong type, is kInvalid with reason SerializationException.
#pragma once

#include "api/wire/message.h"

namespace muster::api {

Result<json::object> read_rest_json(const WireInput& input);
Result<WireOutput> write_rest_json(const model::Service& service, const model::Operation& operation,
                                   const json::object& output, bool payload_apart);

// Body members of one structure, without HTTP: also used for MQTT payloads that mirror a shape.
Result<std::string> write_json_body(const model::Service& service, const model::Shape& shape,
                                    const json::object& output);

// The reverse: JSON text of one structure, renamed and converted, not validated. kInvalid, SerializationException.
Result<json::object> read_json_body(const model::Service& service, const model::Shape& shape, std::string_view text);

}  // namespace muster::api
