// SPDX-License-Identifier: Apache-2.0
#include "domain/functions/http_invoker.h"

#include "base/json.h"
#include "base/text.h"
#include "domain/functions/function_name.h"

namespace muster::functions {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{6} << 20;
constexpr std::size_t kMaxMessageBytes = 1024;

// The function's own words: {"errorMessage": ..., "errorType": ...} by Lambda's convention.
std::string function_message(const std::string& body) {
  auto value = parse_json(body, {.max_bytes = kMaxBytes, .max_depth = 32});
  const json::object* object = value ? value->if_object() : nullptr;
  const std::string_view message = object != nullptr ? get_string(*object, "errorMessage") : std::string_view();
  return message.empty() ? "the function ended in an error" : std::string(message.substr(0, kMaxMessageBytes));
}

Result<std::string> answer_of(Result<io::HttpAnswer> answer) {
  if (!answer) {
    const Error& error = answer.error();
    if (error.kind == ErrorKind::kTimeout) return error;
    return make_error(ErrorKind::kUnavailable, "the function's endpoint: " + error.message);
  }
  if (answer->status == 404) return not_found("the function's endpoint does not know it");
  if (!answer->header("x-amz-function-error").empty()) {
    return make_error(ErrorKind::kUnavailable, function_message(answer->body), "FunctionError");
  }
  if (answer->status != 200) {
    return make_error(ErrorKind::kUnavailable, "the function's endpoint answered " + std::to_string(answer->status));
  }
  return std::move(answer->body);
}

}  // namespace

Result<FunctionEndpoints> parse_function_endpoints(const std::vector<std::string>& lines) {
  FunctionEndpoints endpoints;
  for (const std::string& line : lines) {
    const std::size_t equals = line.find('=');
    const std::string name(trim(std::string_view(line).substr(0, equals)));
    std::string url(equals == std::string::npos ? "" : trim(std::string_view(line).substr(equals + 1)));
    while (url.ends_with('/')) url.pop_back();
    auto function = parse_function_name(name);
    const bool named = name == "*" || (function && function->name == name);
    if (!named || !io::is_http_url(url) || url.find_first_of("?#") != std::string::npos) {
      return invalid("not a function endpoint (NAME=URL or *=URL): " + line.substr(0, 256));
    }
    if (!endpoints.emplace(name, std::move(url)).second) return invalid("two endpoints for function " + name);
  }
  return endpoints;
}

HttpInvoker::HttpInvoker(io::HttpClient& client, FunctionEndpoints endpoints)
    : client_(client), endpoints_(std::move(endpoints)) {}

const std::string* HttpInvoker::endpoint_of(std::string_view name) const {
  auto at = endpoints_.find(name);
  if (at == endpoints_.end()) at = endpoints_.find("*");
  return at == endpoints_.end() ? nullptr : &at->second;
}

bool HttpInvoker::knows(std::string_view function_arn) const {
  auto function = parse_function_name(function_arn);
  return function && endpoint_of(function->name) != nullptr;
}

void HttpInvoker::invoke(Invocation invocation, Done done) {
  auto function = parse_function_name(invocation.function_arn);
  if (!function) return done(function.error());
  const std::string* base = endpoint_of(function->name);
  if (base == nullptr) return done(not_found("no endpoint is configured for function " + function->name));
  if (invocation.payload.size() > kMaxBytes) return done(make_error(ErrorKind::kTooLarge, "the payload is too large"));
  io::HttpCall call;
  call.method = "POST";
  call.url = *base + "/2015-03-31/functions/" + function->name + "/invocations";
  if (!function->qualifier.empty()) call.url += "?Qualifier=" + percent_encode(function->qualifier);
  call.headers = {{"Content-Type", "application/json"}, {"X-Amz-Invocation-Type", "RequestResponse"}};
  call.body = std::move(invocation.payload);
  call.timeout_ms = invocation.timeout_ms;
  call.max_answer_bytes = kMaxBytes;
  client_.start(std::move(call), [done = std::move(done)](auto answer) { done(answer_of(std::move(answer))); });
}

}  // namespace muster::functions
