// SPDX-License-Identifier: Apache-2.0
#include "server/admin.h"

namespace muster::server {
namespace {

io::HttpResponse text_response(int status, std::string body, std::string type = "text/plain; charset=utf-8") {
  io::HttpResponse response;
  response.status = status;
  response.headers.add("Content-Type", std::move(type));
  response.headers.add("Cache-Control", "no-store");
  response.body = std::move(body);
  return response;
}

}  // namespace

std::optional<io::HttpResponse> Admin::answer(const io::HttpRequest& request) const {
  if (request.method != "GET" && request.method != "HEAD") return std::nullopt;
  if (request.headers.has("authorization") || !request.raw_query().empty()) return std::nullopt;
  std::string_view path = request.raw_path();
  if (path == "/health/live") return text_response(200, "live\n");
  if (path == "/health/ready") {
    if (auto reason = sources_.not_ready()) return text_response(503, *reason + "\n");
    return text_response(200, "ready\n");
  }
  if (path == "/metrics") return text_response(200, sources_.metrics(), "text/plain; version=0.0.4; charset=utf-8");
  return std::nullopt;
}

}  // namespace muster::server
