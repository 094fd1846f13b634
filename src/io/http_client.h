// SPDX-License-Identifier: Apache-2.0
// HttpClient: calls out over HTTPS and HTTP (functions, keys of token issuers). libcurl's multi interface on one worker
// thread of its own; callers are never blocked. Owned by server/wiring; start() is thread-safe.
// Bounds: each call its timeout from the moment it is started, waiting included; the answer's body max_answer_bytes,
// its head 64 KiB; max_running calls at a time, max_waiting more wait, the rest is refused. No redirects, no proxies
// (the environment's either), no cookies, no other schemes. Server certificates are checked, against ca_file or the
// system's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace muster::io {

struct HttpClientOptions {
  std::string ca_file;  // PEM; empty: what the system trusts
  std::size_t max_running = 64;
  std::size_t max_waiting = 1024;
};

struct HttpCall {
  std::string method = "GET";  // GET or POST
  std::string url;             // http: or https:, without user and password
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  // of a POST
  std::int64_t timeout_ms = 5000;
  std::size_t max_answer_bytes = std::size_t{1} << 20;
};

struct HttpAnswer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case, in order
  std::string body;
  std::string_view header(std::string_view lower_name) const;  // the first, or ""
};

class HttpClient {
 public:
  // kInvalid: ca_file cannot be read.
  static Result<std::unique_ptr<HttpClient>> create(HttpClientOptions options);
  ~HttpClient();  // as stop()
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // An answer of any status is an answer. kTimeout; kTooLarge; kInvalid: no URL that is called here; kUnavailable: not
  // reached, not trusted, too many calls, or stopped.
  using Done = std::function<void(Result<HttpAnswer>)>;
  // Calls `done` once, on the worker thread or, when it is refused at once, before it returns.
  void start(HttpCall call, Done done);
  // Ends the thread; what runs or waits ends in kUnavailable.
  void stop();

 private:
  struct State;
  explicit HttpClient(HttpClientOptions options);
  std::unique_ptr<State> state_;
};

// Whether `url` is one that start() calls: http or https, a host, no user, no control characters or spaces, at most
// 2048 bytes.
bool is_http_url(std::string_view url);

}  // namespace muster::io
