// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 server side of one connection: Boost.Beast's parser fed from our own Stream. Keep-alive, pipelining one at a
// time, Expect: 100-continue (answered when the handler first reads the body), chunked and counted bodies, HEAD.
// Bounds (HttpLimits): request head 32 KiB, 100 headers, target 8 KiB; body bounded by the handler; deadlines for the
// head (10 s), each body read (30 s), idle (75 s), write progress (30 s). Malformed input: 400 and close. Both
// Content-Length and Transfer-Encoding, or two Content-Lengths: 400 and close (request smuggling). Source: RFC 9112.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/loop.h"
#include "io/stream.h"
#include "io/task.h"

namespace muster::io {

// In order of arrival, names as received, values trimmed.
class HttpHeaders {
 public:
  void add(std::string name, std::string value) { items_.emplace_back(std::move(name), std::move(value)); }
  void set(std::string_view name, std::string value);  // replaces all of that name
  std::string_view get(std::string_view name) const;   // first of that name (case-insensitive), or ""
  bool has(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& items() const { return items_; }

 private:
  std::vector<std::pair<std::string, std::string>> items_;
};

struct HttpRequest {
  std::string method;
  // Path and query exactly as received, not decoded. Of an absolute-form target (http://host/path) the path and query;
  // its authority then replaces the Host header, as RFC 9112 section 3.2.2 says.
  std::string target;
  HttpHeaders headers;
  PeerInfo peer;
  int minor_version = 1;               // HTTP/1.x
  std::string_view raw_path() const;   // target up to '?'
  std::string_view raw_query() const;  // after '?', or ""
};

// The request's body, de-chunked, in pieces. After the handler returns, what it left unread is discarded up to a bound,
// else the connection closes.
class HttpBody {
 public:
  virtual ~HttpBody() = default;
  // Next piece, valid until the next call; empty at the end. kTimeout, or kInvalid on a broken body (reason
  // "IncompleteBody" when the connection ended within it).
  virtual Task<std::string_view> read() = 0;
  virtual std::int64_t content_length() const = 0;  // -1 when chunked
};
// The whole body, kTooLarge above `limit` (without reading more than that).
Task<std::string> read_all(HttpBody& body, std::size_t limit);

// Response bytes from elsewhere than memory (a file). read() is called until it returns an empty piece.
class HttpSource {
 public:
  virtual ~HttpSource() = default;
  virtual Task<std::string> read() = 0;
};

struct HttpResponse {
  int status = 200;
  // Content-Length, Date and Connection are added. For HEAD a Content-Length given here stands. Control characters in
  // values become spaces.
  HttpHeaders headers;
  std::string body;
  std::unique_ptr<HttpSource> source;  // instead of body, with source_length
  std::int64_t source_length = -1;     // -1: chunked
  bool close = false;
  // With status 101: after the head was sent, takes the stream, with what was read behind the request; HTTP is over.
  std::function<void(std::unique_ptr<Stream> stream, std::string rest)> upgrade;
};

struct HttpLimits {
  std::size_t max_head_bytes = 32 * 1024;
  std::size_t max_headers = 100;
  std::size_t max_target_bytes = 8 * 1024;
  std::int64_t head_deadline_ms = 10'000;            // from the first byte of a request to the end of its head
  std::int64_t body_deadline_ms = 30'000;            // each read
  std::int64_t idle_deadline_ms = 75'000;            // between requests
  std::int64_t write_deadline_ms = 30'000;           // without progress
  std::size_t max_discard_bytes = 16 * 1024 * 1024;  // of a body that the handler left unread
  std::int64_t discard_deadline_ms = 10'000;
  std::int64_t linger_ms = 1'000;  // reading on after the last response, so that it is not lost to a reset
};

using HttpHandler = std::function<boost::asio::awaitable<HttpResponse>(HttpRequest& request, HttpBody& body)>;

// Serves until the peer closes, a bound is hit or `stopping` is true between requests. `initial` was already read. The
// handler and `stopping` outlive the connection. A connection that waits for its next request when stopping begins ends
// at its idle deadline or with the loop.
boost::asio::awaitable<void> serve_http(Loop& loop, std::unique_ptr<Stream> stream, std::string initial,
                                        const HttpHandler& handler, const std::atomic<bool>& stopping,
                                        HttpLimits limits = {});

}  // namespace muster::io
