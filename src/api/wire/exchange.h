// SPDX-License-Identifier: Apache-2.0
// Exchange: one request on its way through the pipeline's stages; each stage fills what later ones need. Lives in the
// coroutine of Pipeline::handle, on the connection's loop.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/wire/operation.h"
#include "api/wire/router.h"
#include "api/wire/sigv4_verify.h"
#include "api/wire/verified_body.h"

namespace muster::api {

struct Exchange {
  io::HttpRequest& request;
  io::HttpBody& body;
  std::string request_id;
  std::int64_t now_ms = 0;

  Pairs query;
  RequestSignature signature;
  const model::Service* service = nullptr;
  // Told before authentication, reported after it: strangers do not learn what exists.
  Result<Route> route;
  const model::Operation* operation = nullptr;

  iam::Principal caller;
  PayloadRule payload;
  SigningContext signing;
  std::optional<std::string> body_text;         // read already
  std::unique_ptr<VerifiedBody> verified_body;  // what reads the rest, or all of it
  io::HttpHeaders headers;                      // as the parser sees them
  json::object input;

  Reply reply;
  io::HttpResponse response;
  bool answered = false;  // a stage made the response itself

  bool is_s3() const { return service != nullptr && service->protocol == model::Protocol::kRestXml; }
  bool is_query() const { return service != nullptr && service->protocol == model::Protocol::kQuery; }
  RouteInput route_input() const {
    return {request.method,
            request.raw_path(),
            query,
            request.headers,
            signature.kind,
            signature.scope.service,
            !request.peer.client_certificate_der.empty()};
  }
};

}  // namespace muster::api
