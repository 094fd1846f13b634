// SPDX-License-Identifier: Apache-2.0
#include "api/wire/cors.h"

#include <algorithm>

namespace muster::api {
namespace {

bool allows(const std::vector<std::string>& origins, std::string_view origin) {
  return !origin.empty() && std::ranges::any_of(origins, [&](const auto& one) { return one == "*" || one == origin; });
}

// A list of header names: what else came would be echoed into a header of ours.
bool is_name_list(std::string_view text) {
  return text.size() <= 2048 && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                  c == ',' || c == ' ';
         });
}

}  // namespace

bool is_preflight(const io::HttpRequest& request) {
  return request.method == "OPTIONS" && request.headers.has("access-control-request-method");
}

io::HttpResponse answer_preflight(const io::HttpRequest& request, const std::vector<std::string>& origins) {
  io::HttpResponse response;
  std::string_view origin = request.headers.get("origin");
  std::string_view wanted = request.headers.get("access-control-request-headers");
  if (!allows(origins, origin) || !is_name_list(wanted)) {
    response.status = 403;
    response.headers.add("Content-Type", "text/plain");
    response.body = "This origin may not call this server: add it to the list of allowed origins.\n";
    return response;
  }
  response.headers.add("Access-Control-Allow-Origin", std::string(origin));
  response.headers.add("Access-Control-Allow-Methods", "GET, PUT, POST, DELETE, HEAD, PATCH");
  if (!wanted.empty()) response.headers.add("Access-Control-Allow-Headers", std::string(wanted));
  response.headers.add("Access-Control-Max-Age", "3600");
  response.headers.add("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
  return response;
}

void add_cors_headers(const io::HttpRequest& request, const std::vector<std::string>& origins,
                      io::HttpResponse& response) {
  std::string_view origin = request.headers.get("origin");
  if (!allows(origins, origin)) return;
  response.headers.set("Access-Control-Allow-Origin", std::string(origin));
  response.headers.set("Access-Control-Expose-Headers",
                       "x-amzn-RequestId, x-amzn-ErrorType, x-amz-request-id, x-amz-id-2, ETag, Date");
  response.headers.add("Vary", "Origin");
}

}  // namespace muster::api
