// SPDX-License-Identifier: Apache-2.0
// The upgrade of an HTTP request to a WebSocket that carries MQTT (RFC 6455 section 4.2, MQTT 5 section 6). Pure. Any
// request from a browser must come from an allowed origin or the server's own: WebSockets know no CORS.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "io/http_server.h"

namespace muster::io {

// Whether the request wants a WebSocket at exactly `path`; whatever else it asks for there is none of ours.
bool wants_websocket(const HttpRequest& request, std::string_view path);

// 101 with its headers when the handshake is in order, else what to refuse it with: 400, 403 for the origin, 426 for
// the version. The subprotocol is "mqtt", or "mqttv3.1", which AWS accepts as well, and must have been offered
// [MQTT-6.0.0-3]. `origins` are exact, or "*".
HttpResponse answer_websocket(const HttpRequest& request, const std::vector<std::string>& origins);

// Sec-WebSocket-Accept for a key.
std::string websocket_accept(std::string_view key);

}  // namespace muster::io
