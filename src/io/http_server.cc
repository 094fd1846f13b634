// SPDX-License-Identifier: Apache-2.0
#include "io/http_server.h"

#include <algorithm>

#include "base/log.h"
#include "io/env.h"
#include "io/http_parser.h"
#include "io/http_response.h"

namespace asio = boost::asio;

namespace muster::io {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kBodyBufferBytes = 64 * 1024;
constexpr std::size_t kJoinBytes = 64 * 1024;  // a body up to this size leaves in one write with its head

const SystemClock system_clock;

// Received and not yet consumed bytes of one connection; holds no memory while it is empty for long.
class Inbox {
 public:
  explicit Inbox(std::string initial) : bytes_(std::move(initial)) {}
  std::string_view view() const { return std::string_view(bytes_).substr(begin_); }
  bool empty() const { return begin_ == bytes_.size(); }
  void append(std::string_view more) { bytes_.append(more); }
  void consume(std::size_t count) {
    begin_ += count;
    if (begin_ == bytes_.size()) {
      begin_ = 0;
      bytes_.clear();
    } else if (begin_ > kBodyBufferBytes) {
      bytes_.erase(0, begin_);
      begin_ = 0;
    }
  }
  void release() {
    if (empty()) std::string().swap(bytes_);
  }

 private:
  std::string bytes_;
  std::size_t begin_ = 0;
};

struct Connection {
  std::unique_ptr<Stream> stream;
  Inbox inbox;
  const HttpHandler& handler;
  const std::atomic<bool>& stopping;
  HttpLimits limits;
};

// Reads more into the inbox: >0 bytes, 0 end, -1 failure or deadline. The buffer is shared by all connections of the
// thread: read_some fills it only right before it returns.
asio::awaitable<std::int64_t> fill(Connection& connection, std::int64_t deadline_ms) {
  thread_local std::array<char, kReadBytes> shared;
  const std::span<char> buffer(shared);
  const std::int64_t count = co_await read_some(*connection.stream, buffer, deadline_ms);
  if (count > 0) connection.inbox.append(std::string_view(shared.data(), static_cast<std::size_t>(count)));
  co_return count;
}

class ConnectionBody final : public HttpBody {
 public:
  ConnectionBody(Connection& connection, const HttpHead& head)
      : connection_(connection),
        counted_left_(head.content_length),
        length_(head.chunked ? -1 : head.content_length),
        continue_pending_(head.expect_continue) {
    if (head.chunked) chunks_.emplace();
    ended_ = !head.chunked && head.content_length == 0;
  }

  std::int64_t content_length() const override { return length_; }
  bool ended() const { return ended_; }
  bool broken() const { return broken_; }
  bool continue_pending() const { return continue_pending_; }

  Task<std::string_view> read() override {
    if (ended_) co_return std::string_view{};
    if (broken_) co_return failure();
    if (std::exchange(continue_pending_, false)) {
      const bool sent = co_await write_all(*connection_.stream, "HTTP/1.1 100 Continue\r\n\r\n",
                                           connection_.limits.write_deadline_ms);
      if (!sent) co_return fail(ErrorKind::kInvalid, "connection lost");
    }
    if (chunks_) co_return co_await read_chunked();
    co_return co_await read_counted();
  }

 private:
  Error failure() const {
    return make_error(kind_, message_, kind_ == ErrorKind::kTimeout ? "RequestTimeout" : "IncompleteBody");
  }
  Error fail(ErrorKind kind, std::string message) {
    broken_ = true;
    kind_ = kind;
    message_ = std::move(message);
    return failure();
  }
  Error fail_read(std::int64_t outcome) {
    if (outcome == 0) return fail(ErrorKind::kInvalid, "the connection ended within the request body");
    return fail(ErrorKind::kTimeout, "timeout or failure while reading the request body");
  }

  // Reads past the inbox straight into the piece.
  asio::awaitable<std::int64_t> receive(std::size_t offset) {
    if (buffer_.size() < kBodyBufferBytes) buffer_.resize(kBodyBufferBytes);
    const std::span<char> into = std::span<char>(buffer_).subspan(offset);
    co_return co_await read_some(*connection_.stream, into, connection_.limits.body_deadline_ms);
  }

  Task<std::string_view> read_counted() {
    std::string_view piece;
    if (!connection_.inbox.empty()) {
      piece = take_inbox(static_cast<std::size_t>(counted_left_));
    } else {
      if (buffer_.size() < kBodyBufferBytes) {
        buffer_.resize(static_cast<std::size_t>(std::min<std::int64_t>(counted_left_, kBodyBufferBytes)));
      }
      const auto want = static_cast<std::size_t>(std::min<std::int64_t>(counted_left_, kBodyBufferBytes));
      const std::span<char> into = std::span<char>(buffer_).first(want);
      const std::int64_t count = co_await read_some(*connection_.stream, into, connection_.limits.body_deadline_ms);
      if (count <= 0) co_return fail_read(count);
      piece = std::string_view(buffer_.data(), static_cast<std::size_t>(count));
    }
    counted_left_ -= static_cast<std::int64_t>(piece.size());
    ended_ = counted_left_ == 0;
    co_return piece;
  }

  std::string_view take_inbox(std::size_t most) {
    const std::string_view ready = connection_.inbox.view().substr(0, most);
    if (buffer_.size() < ready.size()) buffer_.resize(ready.size());
    std::copy(ready.begin(), ready.end(), buffer_.begin());
    connection_.inbox.consume(ready.size());
    return std::string_view(buffer_.data(), ready.size());
  }

  // buffer_[chunk_begin_, chunk_end_) was received and not parsed; it begins with the inbox's bytes and what is left of
  // it at the end of the body goes back there (a pipelined request).
  Task<std::string_view> read_chunked() {
    if (buffer_.size() < kBodyBufferBytes) {
      buffer_.resize(std::max(kBodyBufferBytes, connection_.inbox.view().size()));
      chunk_end_ = take_inbox(buffer_.size()).size();
    }
    for (;;) {
      const std::string_view rest(buffer_.data() + chunk_begin_, chunk_end_ - chunk_begin_);
      if (!rest.empty()) {
        auto step = chunks_->step(rest);
        if (!step) co_return fail(ErrorKind::kInvalid, "malformed chunked body: " + step.error().reason);
        chunk_begin_ += step->consumed;
        if (step->done) {
          ended_ = true;
          connection_.inbox.append(rest.substr(step->consumed));
          co_return step->payload;
        }
        if (!step->payload.empty()) co_return step->payload;
        if (step->consumed > 0) continue;
      }
      std::copy(rest.begin(), rest.end(), buffer_.begin());
      chunk_begin_ = 0;
      chunk_end_ = rest.size();
      if (chunk_end_ == buffer_.size()) co_return fail(ErrorKind::kInvalid, "chunk header or trailers too large");
      const std::int64_t count = co_await receive(chunk_end_);
      if (count <= 0) co_return fail_read(count);
      chunk_end_ += static_cast<std::size_t>(count);
    }
  }

  Connection& connection_;
  std::int64_t counted_left_;
  std::int64_t length_;
  bool continue_pending_;
  std::optional<ChunkedParser> chunks_;
  bool ended_ = false;
  bool broken_ = false;
  ErrorKind kind_ = ErrorKind::kInvalid;
  std::string message_;
  std::string buffer_;
  std::size_t chunk_begin_ = 0, chunk_end_ = 0;
};

// What waiting for a request ended in.
struct Arrival {
  std::optional<HttpHead> head;
  std::optional<HttpFault> fault;  // neither: the connection is over, without a word
};

asio::awaitable<Arrival> read_head(Connection& connection) {
  Arrival arrival;
  Inbox& inbox = connection.inbox;
  std::size_t scanned = 0;
  std::int64_t end_ms = 0;  // set with the first byte
  for (;;) {
    while (inbox.view().starts_with("\r\n")) {  // RFC 9112 section 2.2
      inbox.consume(2);
      scanned = 0;
    }
    const std::string_view bytes = inbox.view();
    const std::size_t end = find_head_end(bytes, scanned);
    if (end != std::string_view::npos) {
      auto head = parse_http_head(bytes.substr(0, end), connection.limits);
      inbox.consume(end);
      if (head) {
        arrival.head = std::move(*head);
      } else {
        arrival.fault = std::move(head).error();
      }
      co_return arrival;
    }
    if (bytes.size() > connection.limits.max_head_bytes) {
      const bool in_line = bytes.find('\n') == std::string_view::npos;
      arrival.fault = in_line ? HttpFault{414, "target too long"} : HttpFault{431, "request head too large"};
      co_return arrival;
    }
    scanned = bytes.size();
    if (inbox.empty()) inbox.release();
    if (!bytes.empty() && end_ms == 0) end_ms = system_clock.steady_ms() + connection.limits.head_deadline_ms;
    const std::int64_t left_ms = end_ms == 0 ? connection.limits.idle_deadline_ms : end_ms - system_clock.steady_ms();
    if (left_ms <= 0) {
      arrival.fault = HttpFault{408, "request head not complete in time"};
      co_return arrival;
    }
    const std::int64_t count = co_await fill(connection, left_ms);
    if (count == 0) co_return arrival;
    if (count < 0) {
      if (end_ms != 0 && system_clock.steady_ms() >= end_ms) {
        arrival.fault = HttpFault{408, "request head not complete in time"};
      }
      co_return arrival;
    }
  }
}

void append_chunk(std::string& out, std::string_view piece) {
  std::array<char, 16> size{};
  const auto end = std::to_chars(size.data(), size.data() + size.size(), piece.size(), 16).ptr;
  out.append(size.data(), end).append("\r\n").append(piece).append("\r\n");
}

// False: the connection cannot go on (lost, or the source did not deliver what was announced).
asio::awaitable<bool> send_source(Connection& connection, HttpResponse& response, std::string head, Framing framing) {
  std::int64_t left = response.source_length;
  std::string out = std::move(head);
  for (;;) {
    const bool enough = framing == Framing::kCounted && left == 0;
    std::string piece;
    if (!enough) {
      Result<std::string> next = co_await response.source->read();
      if (!next) {
        log::warn("response source failed", {{"reason", next.error().message}});
        co_return false;
      }
      piece = std::move(*next);
    }
    if (piece.empty()) break;
    if (framing == Framing::kCounted) {
      if (static_cast<std::int64_t>(piece.size()) > left) piece.resize(static_cast<std::size_t>(left));
      left -= static_cast<std::int64_t>(piece.size());
    }
    if (framing == Framing::kChunked) {
      append_chunk(out, piece);
    } else if (out.empty()) {
      out = std::move(piece);
    } else {
      out.append(piece);
    }
    const bool sent = co_await write_all(*connection.stream, out, connection.limits.write_deadline_ms);
    if (!sent) co_return false;
    out.clear();
  }
  if (framing == Framing::kChunked) out.append("0\r\n\r\n");
  const bool sent = co_await write_all(*connection.stream, out, connection.limits.write_deadline_ms);
  co_return sent && (framing != Framing::kCounted || left == 0);
}

asio::awaitable<bool> send_response(Connection& connection, HttpResponse& response, const ResponseContext& context) {
  const Framing framing = framing_of(response, context);
  std::string out = response_head(response, context);
  if (framing == Framing::kNone) {
    co_return co_await write_all(*connection.stream, out, connection.limits.write_deadline_ms);
  }
  if (response.source) co_return co_await send_source(connection, response, std::move(out), framing);
  if (response.body.size() <= kJoinBytes) {
    out.append(response.body);
    co_return co_await write_all(*connection.stream, out, connection.limits.write_deadline_ms);
  }
  const bool sent = co_await write_all(*connection.stream, out, connection.limits.write_deadline_ms);
  if (!sent) co_return false;
  co_return co_await write_all(*connection.stream, response.body, connection.limits.write_deadline_ms);
}

// Closing with unread bytes in the socket resets the connection and may take the response with it (RFC 9112 section
// 9.6): say that we are done, then read on until the peer closes or falls silent.
asio::awaitable<void> linger(Connection& connection) {
  connection.stream->shutdown_write();
  const std::int64_t end_ms = system_clock.steady_ms() + connection.limits.discard_deadline_ms;
  std::size_t total = 0;
  while (total < connection.limits.max_discard_bytes && system_clock.steady_ms() < end_ms) {
    connection.inbox.consume(connection.inbox.view().size());
    const std::int64_t count = co_await fill(connection, connection.limits.linger_ms);
    if (count <= 0) co_return;
    total += static_cast<std::size_t>(count);
  }
}

asio::awaitable<void> refuse(Connection& connection, HttpFault fault) {
  HttpResponse response;
  response.status = fault.status;
  response.headers.add("Content-Type", "text/plain");
  response.body = fault.reason + "\n";
  const ResponseContext context{.close = true, .now_ms = system_clock.now_ms()};
  const bool sent = co_await send_response(connection, response, context);
  if (!sent) co_return;
  co_await linger(connection);
}

// True when the body's end was reached.
asio::awaitable<bool> discard(Connection& connection, ConnectionBody& body) {
  const std::int64_t end_ms = system_clock.steady_ms() + connection.limits.discard_deadline_ms;
  std::size_t total = 0;
  while (!body.ended()) {
    const Result<std::string_view> piece = co_await body.read();
    if (!piece) co_return false;
    total += piece->size();
    if (total > connection.limits.max_discard_bytes || system_clock.steady_ms() > end_ms) co_return false;
  }
  co_return true;
}

asio::awaitable<HttpResponse> call_handler(const HttpHandler& handler, HttpRequest& request, HttpBody& body) {
  std::string escaped;
  try {
    co_return co_await handler(request, body);
  } catch (const std::exception& error) {
    escaped = error.what();
  }
  log::error("exception escaped", {{"where", "http handler"}, {"target", request.raw_path()}, {"what", escaped}});
  HttpResponse response;
  response.status = 500;
  response.close = true;
  co_return response;
}

// One request; true when the connection can take another.
asio::awaitable<bool> exchange(Connection& connection, HttpHead head) {
  ConnectionBody body(connection, head);
  head.request.peer = connection.stream->peer();
  head.request.minor_version = head.minor_version;
  HttpResponse response = co_await call_handler(connection.handler, head.request, body);
  ResponseContext context;
  context.is_head = head.request.method == "HEAD";
  context.minor_version = head.minor_version;
  context.now_ms = system_clock.now_ms();
  const bool too_much_left =
      body.content_length() > static_cast<std::int64_t>(connection.limits.max_discard_bytes) && !body.ended();
  // A client that still waits for "100 Continue" may or may not send its body now: the connection cannot be reused.
  context.close = response.close || !head.keep_alive || body.broken() || body.continue_pending() || too_much_left ||
                  connection.stopping;
  const Framing framing = framing_of(response, context);
  if (framing == Framing::kUntilClose) context.close = true;
  const bool sent = co_await send_response(connection, response, context);
  if (!sent) co_return false;
  if (response.upgrade) {
    response.upgrade(std::move(connection.stream), std::string(connection.inbox.view()));
    co_return false;
  }
  if (context.close) {
    co_await linger(connection);
    co_return false;
  }
  co_return co_await discard(connection, body);
}

}  // namespace

asio::awaitable<void> serve_http(Loop&, std::unique_ptr<Stream> stream, std::string initial, const HttpHandler& handler,
                                 const std::atomic<bool>& stopping, HttpLimits limits) {
  Connection connection{std::move(stream), Inbox(std::move(initial)), handler, stopping, limits};
  bool alive = true;
  while (alive && !stopping) {
    Arrival arrival = co_await read_head(connection);
    if (arrival.fault) {
      co_await refuse(connection, std::move(*arrival.fault));
      co_return;
    }
    if (!arrival.head) co_return;
    alive = co_await exchange(connection, std::move(*arrival.head));
  }
}

}  // namespace muster::io
