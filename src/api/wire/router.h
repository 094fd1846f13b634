// SPDX-License-Identifier: Apache-2.0
// Router: which service and operation a request means, when all services share one port. The service comes from the
// SigV4 scope, else from pre-sign parameters, the host, or the mutual-TLS paths; the operation from method, raw path
// (percent-decoded only after matching, so that %2F stays inside its label), the sub-resources of the query and, for
// the query protocol, the Action. Owned by the pipeline; built once from the model tables; immutable. Bounds: those of
// the request head. What cannot be told is an error with AWS's code, never a guess that could turn one operation into
// another
// ("PUT /b?policy" is never CreateBucket).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/wire/message.h"
#include "api/wire/model.h"
#include "base/result.h"

namespace muster::api {

// How the request says who sends it; found by read_signature() (sigv4_verify.h).
enum class SignatureKind : std::uint8_t { kNone, kHeaderV4, kQueryV4, kQueryV2 };

struct RouteInput {
  std::string_view method;
  std::string_view raw_path;
  const Pairs& query;  // decoded
  const io::HttpHeaders& headers;
  SignatureKind signature = SignatureKind::kNone;
  std::string_view scope_service;   // of the credential scope; empty without SigV4
  bool client_certificate = false;  // or a custom authoriser's token: who calls is a device
};

struct Route {
  const model::Service* service = nullptr;
  const model::Operation* operation = nullptr;  // null: query protocol, told by route_action() once the body is read
  Pairs labels;                                 // decoded
  std::string virtual_bucket;                   // from the host, or empty
};

class Router {
 public:
  // `base_domains`: names of this server under which buckets are hosts.
  explicit Router(std::vector<std::string> base_domains);
  ~Router();

  // The service alone. kUnauthenticated or kAccessDenied when none can be told.
  Result<const model::Service*> find_service(const RouteInput& input) const;
  // `service` is what find_service answered. Errors: kNotFound, reason UnknownOperationException; S3: MethodNotAllowed,
  // InvalidURI, InvalidArgument.
  Result<Route> find_operation(const model::Service& service, const RouteInput& input) const;
  // Query protocol: Action and Version from the URL or the form, not both.
  Result<const model::Operation*> find_action(const model::Service& service, const Pairs& query,
                                              const Pairs& form) const;
  // The bucket that the Host header names, or empty (path style).
  std::string virtual_bucket(std::string_view host) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The form protocol's services that an unsigned POST / may mean, for error answers before the service is known.
const model::Service& guess_service(const RouteInput& input);

}  // namespace muster::api
