// SPDX-License-Identifier: Apache-2.0
// Stream: a connected byte stream on one Loop: TCP, TLS over TCP, or an in-memory pair in tests. Non-blocking calls
// with readiness callbacks, so that an idle connection owns no I/O buffer and a broker can read, handle and write in
// batches. All calls on the loop's thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace muster::io {

class Loop;

struct PeerInfo {
  std::string address;  // numeric
  std::uint16_t port = 0;
  std::uint16_t local_port = 0;
  bool tls = false;
  std::string alpn;                    // negotiated, or empty
  std::string server_name;             // SNI, or empty
  std::string client_certificate_der;  // empty when none was presented
};

// bytes > 0: that many moved. kWouldBlock: wait and try again. kClosed: orderly end. kFailed: reset or TLS error.
struct IoOutcome {
  enum class Kind : std::uint8_t { kMoved, kWouldBlock, kClosed, kFailed };
  Kind kind = Kind::kWouldBlock;
  std::size_t bytes = 0;
};

class Loop;

class Stream {
 public:
  virtual ~Stream() = default;  // closes at once
  virtual IoOutcome read(std::span<char> into) = 0;
  // After kWouldBlock the next write begins with the same bytes (a TLS record may be half sent); it may be longer.
  virtual IoOutcome write(std::string_view from) = 0;
  // One-shot. `ready` runs on the loop when the next read (write) is worth trying, also when the peer closed. Never
  // runs inline, nor after close() or destruction. At most one of each outstanding.
  virtual void when_readable(std::function<void()> ready) = 0;
  virtual void when_writable(std::function<void()> ready) = 0;
  // No more writes: the peer reads to an orderly end; reading goes on.
  virtual void shutdown_write() = 0;
  virtual void close() = 0;  // sends TLS close_notify if it can without waiting; drops the rest
  virtual const PeerInfo& peer() const = 0;
  // Moving to another loop, while nothing is waited for: detach() on the old loop's thread, attach() on the new one's;
  // between them the stream may only be destroyed. See move_to().
  virtual void detach() {}
  virtual void attach(Loop&) {}
};

// Awaitable forms for code that handles one request at a time (HTTP). `deadline_ms` is relative; 0 = none. After a
// deadline the stream is only fit to be closed (a readiness callback is still outstanding).
// read_some: number of bytes, 0 at the end of the stream, or -1 on failure or deadline. `into` is written only right
// before the call returns, so a buffer shared by all coroutines of a loop will do.
boost::asio::awaitable<std::int64_t> read_some(Stream& stream, std::span<char> into, std::int64_t deadline_ms);
// False on failure, or when no byte could be written for deadline_ms.
boost::asio::awaitable<bool> write_all(Stream& stream, std::string_view bytes, std::int64_t deadline_ms);
enum class Direction : std::uint8_t { kRead, kWrite };
// False when the deadline passed first.
boost::asio::awaitable<bool> wait_ready(Stream& stream, Direction direction, std::int64_t deadline_ms);

// Hands a stream over to `loop`, from the loop that it is on: `arrived` runs there, or never when that loop has ended.
// Nothing may be waiting for the stream.
void move_to(Loop& loop, std::unique_ptr<Stream> stream, std::function<void(std::unique_ptr<Stream>)> arrived);

// Two connected in-memory ends on one loop, each with `capacity` bytes of buffer; they stay there.
std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> memory_pair(Loop& loop, std::size_t capacity = 65536);

}  // namespace muster::io
