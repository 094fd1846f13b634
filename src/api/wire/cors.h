// SPDX-License-Identifier: Apache-2.0
// Cross-origin access for browsers from a configured list of origins, for all services alike. Pure functions. A
// preflight carries no signature, so nothing but the list decides; answering it gives no access, the call itself is
// signed. Source: Fetch standard, "CORS protocol"; exposed headers are those that the JavaScript SDK reads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "io/http_server.h"

namespace muster::api {

bool is_preflight(const io::HttpRequest& request);
io::HttpResponse answer_preflight(const io::HttpRequest& request, const std::vector<std::string>& origins);
// Adds what lets an allowed origin's script read the answer.
void add_cors_headers(const io::HttpRequest& request, const std::vector<std::string>& origins,
                      io::HttpResponse& response);

}  // namespace muster::api
