// SPDX-License-Identifier: Apache-2.0
// The stages of the pipeline, one function each; pipeline.cc holds their order and its reasons. Used by Pipeline alone:
// one object for all connections, immutable but for the policy cache and the metrics, which are thread-safe. A stage
// either fills the Exchange or fails with the Error that the client gets.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "api/wire/audit/audit_event.h"
#include "api/wire/operation.h"
#include "api/wire/pipeline.h"
#include "api/wire/router.h"
#include "api/wire/signature/sigv4_verify.h"
#include "api/wire/signature/verified_body.h"

namespace muster::api {

// One request on its way through the stages; each fills what later ones need. Lives in the coroutine of
// Pipeline::handle, on the connection's loop.
struct Exchange {
  io::HttpRequest& request;
  io::HttpBody& body;
  Front front = Front::kApi;
  std::string request_id;
  std::int64_t now_ms = 0;

  Pairs query;
  RequestSignature signature;
  const model::Service* service = nullptr;
  // Told before authentication, reported after it: strangers do not learn what exists.
  Result<Route> route;
  const model::Operation* operation = nullptr;

  bool token = false;  // neither signed nor with a certificate: a custom authoriser is asked
  iam::Principal caller;
  std::shared_ptr<const TokenCaller> token_caller;
  PayloadRule payload;
  SigningContext signing;
  std::optional<std::string> body_text;         // read already
  std::unique_ptr<VerifiedBody> verified_body;  // what reads the rest, or all of it
  io::HttpHeaders headers;                      // as the parser sees them
  json::object input;

  AuditedInput audited;
  std::optional<Error> failure;  // what the client was told

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
            token || !request.peer.client_certificate_der.empty()};
  }
};

class PipelineStages {
 public:
  PipelineStages(const PipelineParts& parts, PipelineOptions options);
  ~PipelineStages();

  Status answer_cors(Exchange& exchange) const;
  Status read_query(Exchange& exchange) const;
  Status find_signature(Exchange& exchange) const;
  Status find_service(Exchange& exchange) const;
  Status find_operation(Exchange& exchange) const;
  io::Task<void> authenticate(Exchange& exchange) const;
  Status require_operation(Exchange& exchange) const;
  io::Task<void> read_body(Exchange& exchange) const;
  Status find_action(Exchange& exchange) const;
  Status parse(Exchange& exchange) const;
  Status note_input(Exchange& exchange) const;
  io::Task<void> authorize(Exchange& exchange) const;
  Status may_change(Exchange& exchange) const;
  io::Task<void> call(Exchange& exchange) const;
  Status serialise(Exchange& exchange) const;

  // Turns a stage's error into the response.
  void fail(Exchange& exchange, const Error& error, std::string_view stage) const;
  // The exchange in the audit log, before its answer leaves. A change that could not be recorded is no success.
  io::Task<void> record(Exchange& exchange) const;
  // Request id and server headers, metrics, access log.
  void finish(Exchange& exchange, std::int64_t elapsed_ms) const;

  const io::Clock& clock() const { return parts_.clock; }

 private:
  io::Task<void> authenticate_signature(Exchange& exchange) const;
  io::Task<void> read_whole(Exchange& exchange) const;
  Status check_supported(const Exchange& exchange) const;
  void count(const Exchange& exchange, std::string_view service, std::string_view operation,
             std::int64_t elapsed_ms) const;

  PipelineParts parts_;
  PipelineOptions options_;
  Router router_;
  std::unique_ptr<iam::PolicyCache> policies_;
  struct Series;
  std::unique_ptr<Series> series_;
};

}  // namespace muster::api
