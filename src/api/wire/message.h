// SPDX-License-Identifier: Apache-2.0
// One call between HTTP and the value tree: what every protocol reads a request from and writes an answer to. The
// router fills WireInput (views into the connection's buffers, alive for the call); parse_input and write_output pick
// the protocol. Pure functions without state, callable from any thread. Bounds: the body as the pipeline read it, query
// and form 64 KiB / 1 MiB and 4,000 parameters, JSON depth 64, XML depth 32. Errors: kInvalid with AWS's text and,
// where the kind does not decide the code, the AWS code in Error::reason; kNotSupported for refused S3 members.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/wire/model.h"
#include "base/json.h"
#include "io/http_server.h"

namespace muster::api {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct WireInput {
  const model::Service& service;
  const model::Operation& operation;
  const Pairs& labels;  // URI labels by label name ("thingName", "Key"), percent-decoded
  const Pairs& query;   // percent-decoded, in order; of the URL
  const io::HttpHeaders& headers;
  std::string_view body;  // empty for a streamed payload, which the handler reads
};

struct WireOutput {
  int status = 200;
  io::HttpHeaders headers;  // Content-Type and the members bound to headers
  std::int64_t content_length =
      -1;  // of an output member bound to Content-Length (GetObject, HeadObject); not a header
  std::string body;
};

// URL query or form body, bounded; '+' is a space. kInvalid on a broken escape, bad UTF-8 or too many parameters.
Result<Pairs> parse_form(std::string_view text, std::size_t max_bytes = 1u << 20, std::size_t max_pairs = 4000);

// Request -> input by member name (operation.h says in which form), parsed and validated.
Result<json::object> parse_input(const WireInput& input);
// Output by member name -> answer. `payload` is true when the payload member travels apart (Reply::payload or source);
// then no body is written. `request_id` goes into the ResponseMetadata of query answers. A member that the output shape
// does not have is a bug of the handler: kInternal naming it.
Result<WireOutput> write_output(const model::Service& service, const model::Operation& operation,
                                const json::object& output, std::string_view request_id, bool payload_apart = false);

}  // namespace muster::api
