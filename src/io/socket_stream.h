// SPDX-License-Identifier: Apache-2.0
// SocketStream: a Stream over a TCP socket, with or without an OpenSSL session on the raw descriptor (no memory BIOs:
// an idle TLS connection costs 16 KiB less that way). Readiness comes from Asio's reactor. Internal to io.
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "io/stream.h"

namespace muster::io {

class SocketStream final : public Stream {
 public:
  // `slot` is released when the stream is destroyed: the listener's count of open connections.
  SocketStream(boost::asio::ip::tcp::socket socket, std::shared_ptr<void> slot);
  ~SocketStream() override;

  IoOutcome read(std::span<char> into) override;
  IoOutcome write(std::string_view from) override;
  void when_readable(std::function<void()> ready) override;
  void when_writable(std::function<void()> ready) override;
  void shutdown_write() override;
  void close() override;
  const PeerInfo& peer() const override { return peer_; }
  void detach() override;
  void attach(Loop& loop) override;

  // True when a byte can be peeked; -1 in `first` at the end of the stream.
  bool peek(int& first);
  // Takes `ssl` over. Then handshake_step() until it is not kAgain*.
  void begin_tls(SSL* ssl, bool server);
  enum class Handshake : std::uint8_t { kDone, kAgainRead, kAgainWrite, kFailed };
  Handshake handshake_step();
  std::string failure() const { return failure_; }  // why the handshake failed, for the log

 private:
  IoOutcome tls_outcome(int result, bool reading);
  void wait(boost::asio::ip::tcp::socket::wait_type what, std::function<void()> ready);
  void fill_tls_peer();

  boost::asio::ip::tcp::socket socket_;
  int detached_ = -1;  // the descriptor between two loops
  bool detached_v6_ = false;
  SSL* ssl_ = nullptr;
  bool established_ = false;       // handshake complete
  bool broken_ = false;            // fatal TLS error: no close_notify
  bool read_wants_write_ = false;  // TLS may need the other direction
  bool write_wants_read_ = false;
  std::shared_ptr<void> slot_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // callbacks in flight hold it weakly
  std::string failure_;
  PeerInfo peer_;
};

}  // namespace muster::io
