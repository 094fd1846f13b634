// SPDX-License-Identifier: Apache-2.0
// The stages of the pipeline, one function each; pipeline.cc holds their order and its reasons. Used by Pipeline alone:
// one object for all connections, immutable but for the policy cache and the metrics, which are thread-safe. A stage
// either fills the Exchange or fails with the Error that the client gets.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string_view>

#include "api/wire/exchange.h"
#include "api/wire/pipeline.h"

namespace muster::api {

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
  io::Task<void> authorize(Exchange& exchange) const;
  io::Task<void> call(Exchange& exchange) const;
  Status serialise(Exchange& exchange) const;

  // Turns a stage's error into the response.
  void fail(Exchange& exchange, const Error& error, std::string_view stage) const;
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
