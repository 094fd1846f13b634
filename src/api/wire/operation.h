// SPDX-License-Identifier: Apache-2.0
// What a service implements: one Handler an operation. The pipeline has routed, authenticated, authorised, parsed and
// validated before it calls one; it serialises what the handler returns. Handlers know no HTTP but what Reply carries.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/wire/model.h"
#include "base/json.h"
#include "domain/iam/principal.h"
#include "io/http_server.h"
#include "io/task.h"

namespace muster::api {

struct Call {
  const model::Service* service = nullptr;
  const model::Operation* operation = nullptr;
  iam::Principal caller;
  std::string request_id;
  std::string source_ip;
  std::string origin;                  // scheme://host:port the client used: for URLs in answers
  std::string client_certificate_der;  // mutual TLS callers
  std::int64_t now_ms = 0;
  // Validated input by member name, wherever it came from (path, query, header, body). Timestamps are int64 ms. A
  // non-streaming blob is a string of raw bytes.
  json::object input;
  // The payload of an operation whose input has a streaming blob (PutObject): decoded (aws-chunked removed) and checked
  // against the signed hash, chunk signatures and trailers while it is read; an error there means nothing may be kept.
  io::HttpBody* body = nullptr;
  const io::HttpRequest* request = nullptr;
};

struct Reply {
  json::object output;                     // by member name, serialised by the output shape; timestamps are int64 ms
  std::optional<int> status;               // instead of the model's
  io::HttpHeaders headers;                 // extra
  std::string payload;                     // output's payload blob (GetObject)
  std::unique_ptr<io::HttpSource> source;  // or streamed
  std::int64_t source_length = -1;
};

using Handler = std::function<io::Task<Reply>(Call&)>;

// Owned by server/wiring; filled by each service's register function; read-only afterwards.
class Operations {
 public:
  void add(std::string_view service, std::string_view operation, Handler handler);
  const Handler* find(std::string_view service, std::string_view operation) const;
  std::size_t size() const { return handlers_.size(); }

 private:
  std::map<std::string, Handler, std::less<>> handlers_;
};

}  // namespace muster::api
