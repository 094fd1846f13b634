// SPDX-License-Identifier: Apache-2.0
#include "api/wire/protocol/json_rpc.h"

#include "api/wire/rest_json.h"
#include "base/text.h"

namespace muster::api {

std::string json_rpc_content_type(const model::Service& service) {
  return "application/x-amz-json-" + std::string(service.json_version);
}

Result<json::object> read_json_rpc(const WireInput& in) {
  std::string_view type = in.headers.get("content-type");
  type = trim(type.substr(0, type.find(';')));
  if (!equals_ignore_case(type, json_rpc_content_type(in.service))) {
    return make_error(ErrorKind::kInvalid, "The Content-Type must be " + json_rpc_content_type(in.service),
                      "SerializationException");
  }
  if (!in.query.empty()) return invalid("The URL of a JSON call has no query");
  if (in.body.empty()) return json::object();
  if (in.operation.input == model::kNone) return read_json_body(in.service, {}, in.body);  // validation refuses members
  return read_json_body(in.service, in.service.shapes[in.operation.input], in.body);
}

Result<WireOutput> write_json_rpc(const model::Service& service, const model::Operation& operation,
                                  const json::object& output) {
  WireOutput out;
  out.headers.add("Content-Type", json_rpc_content_type(service));
  if (operation.output == model::kNone) {
    if (!output.empty()) return internal("an operation without output has one");
    out.body = "{}";
    return out;
  }
  TRY(out.body, write_json_body(service, service.shapes[operation.output], output));
  return out;
}

const model::Service* service_of_target(std::string_view target) {
  const std::string_view prefix = target.substr(0, target.rfind('.'));
  if (prefix.empty() || prefix.size() == target.size()) return nullptr;
  for (const model::Service* service : model::services()) {
    if (service->protocol == model::Protocol::kJson && service->target_prefix == prefix) return service;
  }
  return nullptr;
}

const model::Operation* operation_of_target(const model::Service& service, std::string_view target) {
  if (service_of_target(target) != &service) return nullptr;
  return model::find_operation(service, target.substr(target.rfind('.') + 1));
}

}  // namespace muster::api
