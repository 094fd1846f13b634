// SPDX-License-Identifier: Apache-2.0
// Pipeline: from an HTTP request to a handler's Reply and back. An ordered list of stages (pipeline.cc names each and
// says why it stands where it does); the first that fails ends the request with an AWS-shaped error. Owned by
// server/wiring, shared by all connections, immutable after construction but for metrics: handle() may run on any loop.
// Bounds: parsed bodies Options::max_body_bytes, streamed payloads max_object_bytes. Nothing of ours throws; an
// exception that escapes a handler ends one request with InternalFailure.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/wire/certificate_authorizer.h"
#include "api/wire/operation.h"
#include "api/wire/router.h"
#include "base/ids.h"
#include "base/metrics.h"
#include "domain/audit/trail.h"
#include "domain/iam/credentials.h"
#include "domain/iam/policy/cache.h"
#include "io/env.h"
#include "io/http_server.h"
#include "store/store.h"

namespace muster::api {

// Which listeners a request came by. The device ports serve the data planes alone, whoever asks: closing the API port
// to a network must close the control plane to it.
enum class Front : std::uint8_t { kApi, kDevice };

struct PipelineOptions {
  std::int64_t max_body_bytes = 2 << 20;                  // bodies that are parsed; a form is bounded at 1 MiB
  std::int64_t max_object_bytes = std::int64_t{5} << 30;  // S3's limit of one PUT
  std::vector<std::string> cors_origins;                  // exact origins, or "*"
  std::vector<std::string> base_domains;                  // "<bucket>.<domain>" is a virtual-host bucket
  // JSON text of a bucket's policy, or empty; null: there are none.
  std::function<std::string(store::Tx& tx, std::string_view bucket)> bucket_policy;
  bool log_requests = true;
};

// What a pipeline uses; everything outlives it. `certificates` and `tokens` may be null: callers without a signature
// are then anonymous. `trail` may be null: nothing is recorded.
struct PipelineParts {
  const Operations& operations;
  store::Store& store;
  Realm realm;
  iam::CredentialSource& credentials;
  io::Clock& clock;
  metrics::Registry& metrics;
  CertificateAuthorizer* certificates = nullptr;
  TokenCallers* tokens = nullptr;
  audit::Trail* trail = nullptr;
};

class Pipeline {
 public:
  Pipeline(const PipelineParts& parts, PipelineOptions options);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // Never throws.
  boost::asio::awaitable<io::HttpResponse> handle(io::HttpRequest& request, io::HttpBody& body,
                                                  Front front = Front::kApi);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace muster::api
