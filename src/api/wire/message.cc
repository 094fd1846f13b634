// SPDX-License-Identifier: Apache-2.0
#include "api/wire/message.h"

#include "api/wire/protocol/json_rpc.h"
#include "api/wire/query.h"
#include "api/wire/rest_json.h"
#include "api/wire/rest_xml.h"
#include "api/wire/validate.h"
#include "base/text.h"

namespace muster::api {

Result<Pairs> parse_form(std::string_view text, std::size_t max_bytes, std::size_t max_pairs) {
  if (text.size() > max_bytes) return make_error(ErrorKind::kTooLarge, "The query or form is too large");
  Pairs pairs;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    if (pairs.size() == max_pairs) {
      return make_error(ErrorKind::kInvalid, "Too many parameters", "MalformedQueryString");
    }
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto key = percent_decode(pair.substr(0, equals), true);
    auto value = percent_decode(equals == pair.size() ? std::string_view() : pair.substr(equals + 1), true);
    if (!key || !value || !is_utf8(*key) || !is_utf8(*value)) {
      return make_error(ErrorKind::kInvalid, "The query string contains a syntax error", "MalformedQueryString");
    }
    pairs.emplace_back(std::move(*key), std::move(*value));
  }
  return pairs;
}

Result<json::object> parse_input(const WireInput& input) {
  Result<json::object> read = [&] {
    switch (input.service.protocol) {
      case model::Protocol::kRestJson:
        return read_rest_json(input);
      case model::Protocol::kRestXml:
        return read_rest_xml(input);
      case model::Protocol::kQuery:
        return read_query(input);
      case model::Protocol::kJson:
        return read_json_rpc(input);
    }
    return Result<json::object>(internal("unknown protocol"));
  }();
  if (!read) return read;
  TRY_VOID(validate(input.service, input.operation, *read));
  return read;
}

Result<WireOutput> write_output(const model::Service& service, const model::Operation& operation,
                                const json::object& output, std::string_view request_id, bool payload_apart) {
  switch (service.protocol) {
    case model::Protocol::kRestJson:
      return write_rest_json(service, operation, output, payload_apart);
    case model::Protocol::kRestXml:
      return write_rest_xml(service, operation, output, payload_apart);
    case model::Protocol::kQuery:
      return write_query(service, operation, output, request_id);
    case model::Protocol::kJson:
      return write_json_rpc(service, operation, output);
  }
  return internal("unknown protocol");
}

}  // namespace muster::api
