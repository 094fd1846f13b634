// SPDX-License-Identifier: Apache-2.0
#include "api/wire/router.h"

#include <algorithm>
#include <map>

#include "api/wire/protocol/json_rpc.h"
#include "api/wire/route_table.h"
#include "api/wire/signature/sigv4_verify.h"
#include "base/assert.h"
#include "base/text.h"

namespace muster::api {
namespace {

Error refuse(ErrorKind kind, std::string_view reason, std::string message) {
  return make_error(kind, std::move(message), std::string(reason));
}

// Host without port and trailing dot, lower case; empty for an address literal.
std::string host_name(std::string_view host) {
  if (host.starts_with('[')) return {};
  std::string name = lower(host.substr(0, host.find(':')));
  if (name.ends_with('.')) name.pop_back();
  bool address = !name.empty() && name.find_first_not_of("0123456789.") == std::string::npos;
  return address ? std::string() : name;
}

const model::Service& service_named(std::string_view id) {
  const model::Service* service = model::find_service(id);
  CHECK(service != nullptr);
  return *service;
}

bool is_form(const RouteInput& input) {
  std::string_view type = input.headers.get("content-type");
  return equals_ignore_case(trim(type.substr(0, type.find(';'))), "application/x-www-form-urlencoded");
}

bool has_action(const RouteInput& input) {
  return std::ranges::any_of(input.query, [](const auto& pair) { return pair.first == "Action"; });
}

// AWS's own host names: "iot.us-east-1.amazonaws.com", "abc-ats.iot....", "data.jobs.iot....".
const model::Service* service_of_host(const std::string& name) {
  std::vector<std::string_view> parts = split(name, '.');
  for (std::size_t i = 0; i + 1 < parts.size() && i < 3; ++i) {
    if (parts[i] != "iot") continue;
    if (i == 0) return &service_named("iot");
    return &service_named(parts[i - 1] == "jobs" ? "iot-jobs-data" : "iot-data");
  }
  if (parts.size() > 1 && (parts[0] == "sts" || parts[0] == "iam" || parts[0] == "s3")) return &service_named(parts[0]);
  return nullptr;
}

// What a device may do over mutual TLS without a signature: its data planes, told by the path alone. The Host header is
// the client's to choose, and IoT policies were not written to decide about anything else.
Result<const model::Service*> service_of_device_path(std::string_view raw_path) {
  std::string path = normalize_path(raw_path);
  std::vector<std::string_view> parts = split(std::string_view(path).substr(1), '/');
  if (parts[0] == "topics" || parts[0] == "retainedMessage") return &service_named("iot-data");
  if (parts.size() > 2 && parts[0] == "things") {
    if (parts[2] == "jobs") return &service_named("iot-jobs-data");
    if (parts[2] == "shadow") return &service_named("iot-data");
  }
  if (parts.size() > 1 && parts[0] == "api" && parts[1] == "things") return &service_named("iot-data");
  return refuse(ErrorKind::kUnauthenticated, "MissingAuthenticationToken", "Missing Authentication Token");
}

}  // namespace

struct Router::State {
  std::vector<std::string> base_domains;
  std::map<std::string_view, const model::Service*> by_scope;
  std::map<const model::Service*, RestRoutes> rest;
  std::map<const model::Service*, S3Routes> s3;
};

Router::Router(std::vector<std::string> base_domains) : state_(std::make_unique<State>()) {
  for (std::string& domain : base_domains) state_->base_domains.push_back(lower(domain));
  for (const model::Service* service : model::services()) {
    for (std::string_view name : service->signing_names) state_->by_scope.emplace(name, service);
    if (service->protocol == model::Protocol::kRestJson) state_->rest.emplace(service, RestRoutes(*service));
    if (service->protocol == model::Protocol::kRestXml) state_->s3.emplace(service, S3Routes(*service));
  }
}
Router::~Router() = default;

std::string Router::virtual_bucket(std::string_view host) const {
  std::string name = host_name(host);
  for (const std::string& domain : state_->base_domains) {
    if (name == domain) return {};
    if (name.size() > domain.size() + 1 && name.ends_with(domain) && name[name.size() - domain.size() - 1] == '.') {
      std::string bucket = name.substr(0, name.size() - domain.size() - 1);
      // "s3.<domain>" is the service; "b.s3.<domain>" the bucket b.
      if (bucket == "s3") return {};
      return bucket.ends_with(".s3") ? bucket.substr(0, bucket.size() - 3) : bucket;
    }
  }
  for (std::string_view mark : {".s3.", ".s3-"}) {
    std::size_t at = name.rfind(mark);
    if (at != std::string::npos && at > 0) return name.substr(0, at);
  }
  constexpr std::string_view kLocal = ".localhost";
  if (name.ends_with(kLocal) && service_of_host(name) == nullptr) return name.substr(0, name.size() - kLocal.size());
  return {};
}

Result<const model::Service*> Router::find_service(const RouteInput& input) const {
  if (!input.scope_service.empty()) {
    auto found = state_->by_scope.find(input.scope_service);
    if (found != state_->by_scope.end()) return found->second;
    return refuse(ErrorKind::kUnauthenticated, "SignatureDoesNotMatch",
                  "Credential should be scoped to a known service, not '" + std::string(input.scope_service) + "'.");
  }
  if (input.signature == SignatureKind::kQueryV2) return &service_named("s3");
  if (input.client_certificate) return service_of_device_path(input.raw_path);
  if (!virtual_bucket(input.headers.get("host")).empty()) return &service_named("s3");
  if (const model::Service* named = service_of_host(host_name(input.headers.get("host")))) return named;
  if (const model::Service* named = service_of_target(input.headers.get("x-amz-target"))) return named;
  if (normalize_path(input.raw_path) == "/" && (has_action(input) || (input.method == "POST" && is_form(input)))) {
    return &service_named("sts");
  }
  return &service_named("s3");
}

Result<Route> Router::find_operation(const model::Service& service, const RouteInput& input) const {
  Route route;
  route.service = &service;
  if (auto rest = state_->rest.find(&service); rest != state_->rest.end()) {
    std::string path = normalize_path(input.raw_path);
    TRY(route.operation, rest->second.find(input.method, path, input.query, route.labels));
    if (route.operation != nullptr) return route;
    return refuse(ErrorKind::kNotFound, "UnknownOperationException",
                  "No operation of " + std::string(service.id) + " has this method and path.");
  }
  if (auto s3 = state_->s3.find(&service); s3 != state_->s3.end()) {
    route.virtual_bucket = virtual_bucket(input.headers.get("host"));
    TRY(route.operation,
        s3->second.find(input.method, input.raw_path, route.virtual_bucket, input.query, input.headers, route.labels));
    if (route.operation != nullptr) return route;
    return refuse(ErrorKind::kInvalid, "MethodNotAllowed",
                  "The specified method is not allowed against this resource.");
  }
  if (service.protocol == model::Protocol::kJson) {
    const bool one = input.headers.count("x-amz-target") == 1;
    if (one && input.method == "POST" && normalize_path(input.raw_path) == "/") {
      route.operation = operation_of_target(service, input.headers.get("x-amz-target"));
    }
    if (route.operation != nullptr) return route;
    return refuse(
        ErrorKind::kNotFound, "UnknownOperationException",
        "No operation of " + std::string(service.id) + " has this X-Amz-Target; only POST of / is known here.");
  }
  if (normalize_path(input.raw_path) != "/" || (input.method != "POST" && input.method != "GET")) {
    return refuse(ErrorKind::kNotFound, "InvalidAction", "Only GET and POST of / are known here.");
  }
  return route;
}

Result<const model::Operation*> Router::find_action(const model::Service& service, const Pairs& query,
                                                    const Pairs& form) const {
  std::vector<std::string_view> actions, versions;
  for (const Pairs* pairs : {&query, &form}) {
    for (const auto& [name, value] : *pairs) {
      if (name == "Action") actions.push_back(value);
      if (name == "Version") versions.push_back(value);
    }
  }
  if (actions.empty())
    return refuse(ErrorKind::kInvalid, "MissingAction", "The request must contain the parameter Action");
  if (actions.size() > 1 || versions.size() > 1) {
    return refuse(ErrorKind::kInvalid, "MalformedQueryString", "Action and Version may be given once");
  }
  std::string_view version = versions.empty() ? std::string_view("NO_VERSION_SPECIFIED") : versions[0];
  const model::Operation* operation = model::find_operation(service, actions[0]);
  if (operation == nullptr || version != service.api_version) {
    return refuse(ErrorKind::kInvalid, "InvalidAction",
                  "Could not find operation " + std::string(actions[0].substr(0, 128)) + " for version " +
                      std::string(version.substr(0, 32)));
  }
  return operation;
}

const model::Service& guess_service(const RouteInput& input) {
  std::string credential(input.headers.get("authorization"));
  for (const auto& [name, value] : input.query) {
    if (equals_ignore_case(name, "X-Amz-Credential")) credential += value;
  }
  for (const model::Service* service : model::services()) {
    for (std::string_view name : service->signing_names) {
      if (credential.find('/' + std::string(name) + "/aws4_request") != std::string::npos) return *service;
    }
  }
  if (const model::Service* named = service_of_target(input.headers.get("x-amz-target"))) return *named;
  if (is_form(input) || has_action(input)) return service_named("sts");
  std::string_view type = input.headers.get("content-type");
  if (type.starts_with("application/json") || type.starts_with("application/x-amz-json")) return service_named("iot");
  return service_named("s3");
}

}  // namespace muster::api
