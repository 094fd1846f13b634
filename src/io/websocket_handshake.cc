// SPDX-License-Identifier: Apache-2.0
#include "io/websocket_handshake.h"

#include <algorithm>
#include <functional>

#include "base/crypto.h"
#include "base/text.h"

namespace muster::io {
namespace {

constexpr std::size_t kKeyBytes = 16;

HttpResponse refuse(int status, std::string reason) {
  HttpResponse response;
  response.status = status;
  response.headers.add("Content-Type", "text/plain");
  response.body = std::move(reason) + "\n";
  response.close = true;
  return response;
}

// Members of all headers of that name, each a comma-separated list; until `match` holds.
bool any_member(const HttpHeaders& headers, std::string_view name, const std::function<bool(std::string_view)>& match) {
  for (const auto& [key, value] : headers.items()) {
    if (!equals_ignore_case(key, name)) continue;
    for (const std::string_view member : split(value, ',')) {
      if (match(trim(member))) return true;
    }
  }
  return false;
}

bool has_token(const HttpHeaders& headers, std::string_view name, std::string_view token) {
  return any_member(headers, name, [&](std::string_view member) { return equals_ignore_case(member, token); });
}

bool is_allowed_origin(const HttpRequest& request, const std::vector<std::string>& origins) {
  if (!request.headers.has("origin")) return true;  // not a browser
  if (request.headers.count("origin") != 1) return false;
  const std::string_view origin = request.headers.get("origin");
  // Of either scheme: some clients say https on a plain socket, and a proxy may end TLS.
  const std::string host(request.headers.get("host"));
  if (equals_ignore_case(origin, "http://" + host) || equals_ignore_case(origin, "https://" + host)) return true;
  return std::ranges::any_of(origins, [&](const std::string& one) { return one == "*" || one == origin; });
}

}  // namespace

bool wants_websocket(const HttpRequest& request, std::string_view path) {
  return request.raw_path() == path && has_token(request.headers, "upgrade", "websocket");
}

std::string websocket_accept(std::string_view key) {
  return to_base64(sha1(std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
}

HttpResponse answer_websocket(const HttpRequest& request, const std::vector<std::string>& origins) {
  const HttpHeaders& headers = request.headers;
  if (request.method != "GET") return refuse(400, "A WebSocket is asked for with GET.");
  if (request.minor_version < 1) return refuse(400, "A WebSocket needs HTTP/1.1.");
  if (!headers.has("host")) return refuse(400, "The Host header is missing.");
  if (!has_token(headers, "connection", "upgrade")) return refuse(400, "The Connection header must name Upgrade.");
  const bool has_length = headers.has("content-length") && headers.get("content-length") != "0";
  if (has_length || headers.has("transfer-encoding")) return refuse(400, "An upgrade has no body.");
  if (headers.count("sec-websocket-version") != 1 || headers.get("sec-websocket-version") != "13") {
    HttpResponse response = refuse(426, "WebSocket version 13 is spoken here.");
    response.headers.add("Sec-WebSocket-Version", "13");
    response.headers.add("Upgrade", "websocket");
    return response;
  }
  const std::string_view key = headers.get("sec-websocket-key");
  const auto nonce = from_base64(key);
  if (headers.count("sec-websocket-key") != 1 || !nonce || nonce->size() != kKeyBytes) {
    return refuse(400, "Sec-WebSocket-Key must be given once, 16 bytes in base64.");
  }
  std::string protocol;
  any_member(headers, "sec-websocket-protocol", [&](std::string_view member) {
    const bool ours = member == "mqtt" || member == "mqttv3.1";
    if (ours) protocol = member;
    return ours;
  });
  if (protocol.empty()) return refuse(400, "The WebSocket subprotocol \"mqtt\" must be offered.");
  if (!is_allowed_origin(request, origins)) {
    return refuse(403, "This origin may not open a WebSocket here: add it to the list of allowed origins.");
  }
  HttpResponse response;
  response.status = 101;
  response.headers.add("Upgrade", "websocket");
  response.headers.add("Sec-WebSocket-Accept", websocket_accept(key));
  response.headers.add("Sec-WebSocket-Protocol", protocol);
  return response;
}

}  // namespace muster::io
