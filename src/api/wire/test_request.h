// SPDX-License-Identifier: Apache-2.0
// For tests of this folder: a request in parts, parsed as the pipeline would.
#pragma once

#include <gtest/gtest.h>

#include "api/wire/message.h"

namespace muster::api {

struct TestRequest {
  std::string_view service;
  std::string_view operation;
  Pairs labels = {};
  std::string query = {};
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> header_list = {};

  Result<json::object> parse() const {
    const model::Service* found = model::find_service(service);
    const model::Operation* op = found == nullptr ? nullptr : model::find_operation(*found, operation);
    if (op == nullptr || op->support == model::Support::kRefused) return internal("test names no served operation");
    TRY(auto pairs, parse_form(query));
    io::HttpHeaders headers;
    for (const auto& [name, value] : header_list) headers.add(name, value);
    return parse_input(WireInput{*found, *op, labels, pairs, headers, body});
  }
  // The input as JSON text, or "kind reason: message".
  std::string text() const {
    const auto input = parse();
    if (input) return to_text(*input);
    return std::string(to_string(input.error().kind)) + " " + input.error().reason + ": " + input.error().message;
  }
};

inline Result<WireOutput> answer(std::string_view service, std::string_view operation, std::string_view output,
                                 bool payload_apart = false) {
  const model::Service* found = model::find_service(service);
  const model::Operation* op = found == nullptr ? nullptr : model::find_operation(*found, operation);
  if (op == nullptr) return internal("test names no operation");
  TRY(auto value, parse_json(output));
  return write_output(*found, *op, value.as_object(), "req-1", payload_apart);
}

}  // namespace muster::api
