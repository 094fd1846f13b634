// SPDX-License-Identifier: Apache-2.0
// The end of every exchange: errors into responses, request ids, metrics, access log.
#include "api/wire/await_callback.h"
#include "api/wire/cors.h"
#include "api/wire/errors.h"
#include "api/wire/pipeline_stages.h"
#include "base/log.h"
#include "base/text.h"

namespace muster::api {

// One lookup by pointer and status a request, instead of building labels each time.
struct PipelineStages::Series {
  std::mutex mutex;
  struct Pair {
    metrics::Counter* requests = nullptr;
    metrics::Histogram* duration = nullptr;
  };
  std::map<std::pair<const void*, int>, Pair> known;  // operation or service, status
};

PipelineStages::PipelineStages(const PipelineParts& parts, PipelineOptions options)
    : parts_(parts),
      options_(std::move(options)),
      router_(options_.base_domains),
      policies_(std::make_unique<iam::PolicyCache>()),
      series_(std::make_unique<Series>()) {}
PipelineStages::~PipelineStages() = default;

void PipelineStages::fail(Exchange& exchange, const Error& error, std::string_view stage) const {
  const model::Service& service =
      exchange.service != nullptr ? *exchange.service : guess_service(exchange.route_input());
  ErrorContext context;
  context.request_id = exchange.request_id;
  context.resource = exchange.request.raw_path().substr(0, 1024);
  context.head = exchange.request.method == "HEAD";
  exchange.response = write_error(service, exchange.operation, error, context);
  exchange.service = &service;
  exchange.failure = error;
  if (error.kind == ErrorKind::kInternal || error.kind == ErrorKind::kUnset) {
    log::error("request failed", {{"request_id", exchange.request_id},
                                  {"operation", exchange.operation != nullptr ? exchange.operation->name : "unknown"},
                                  {"stage", stage},
                                  {"reason", error.message}});
  }
}

io::Task<void> PipelineStages::record(Exchange& exchange) const {
  if (parts_.trail == nullptr) co_return Status();
  audit::Trail& trail = *parts_.trail;
  const Recorded how = how_recorded(exchange, trail.records_data());
  if (how == Recorded::kNot) co_return Status();
  // Still there when it was refused before the handler.
  const bool noted = !exchange.audited.parameters.empty() || !exchange.audited.resources.empty();
  if (!noted && exchange.operation != nullptr && !exchange.input.empty()) {
    exchange.audited = audited_input(exchange, parts_.realm);
  }
  audit::Event event = audit_event(exchange, parts_.realm);
  std::function<void(std::function<void(Result<bool>)>)> start = [&](auto done) {
    auto told = [done = std::move(done)](Status status) {
      done(status ? Result<bool>(true) : Result<bool>(std::move(status).error()));
    };
    if (how == Recorded::kDenial) return trail.record_denial(std::move(event), std::move(told));
    trail.record(std::move(event), std::move(told));
  };
  CO_TRY_VOID(co_await await_callback<bool>(start));
  co_return Status();
}

void PipelineStages::count(const Exchange& exchange, std::string_view service, std::string_view operation,
                           std::int64_t elapsed_ms) const {
  const void* key = exchange.operation != nullptr ? static_cast<const void*>(exchange.operation) : exchange.service;
  int status = exchange.response.status;
  Series::Pair pair;
  {
    std::lock_guard lock(series_->mutex);
    Series::Pair& entry = series_->known[{key, status}];
    if (entry.requests == nullptr) {
      metrics::Labels labels = {{"service", std::string(service)}, {"operation", std::string(operation)}};
      entry.duration = &parts_.metrics.histogram("muster_api_request_seconds", "Duration of API requests.", labels);
      labels.emplace_back("status", std::to_string(status));
      entry.requests = &parts_.metrics.counter("muster_api_requests_total", "API requests by outcome.", labels);
    }
    pair = entry;
  }
  pair.requests->add();
  pair.duration->observe_us(static_cast<std::uint64_t>(std::max<std::int64_t>(elapsed_ms, 0)) * 1000);
}

void PipelineStages::finish(Exchange& exchange, std::int64_t elapsed_ms) const {
  io::HttpResponse& response = exchange.response;
  if (exchange.is_s3()) {
    response.headers.set("x-amz-request-id", exchange.request_id);
    response.headers.set("x-amz-id-2", "muster");
  } else {
    response.headers.set("x-amzn-RequestId", exchange.request_id);
  }
  response.headers.set("Server", "muster");
  if (!exchange.answered) add_cors_headers(exchange.request, options_.cors_origins, response);
  std::string_view service = exchange.service != nullptr ? exchange.service->id : "none";
  std::string_view operation = exchange.operation != nullptr ? exchange.operation->name : "unknown";
  count(exchange, service, operation, elapsed_ms);
  if (!options_.log_requests) return;
  log::info("request", {{"service", service},
                        {"operation", operation},
                        {"status", response.status},
                        {"ms", elapsed_ms},
                        {"caller", exchange.caller.arn},
                        {"source", exchange.request.peer.address},
                        {"request_id", exchange.request_id}});
}

}  // namespace muster::api
