// SPDX-License-Identifier: Apache-2.0
#include "io/socket_stream.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>

#include "io/loop.h"

namespace asio = boost::asio;
using asio::ip::tcp;

namespace muster::io {
namespace {

std::string numeric(const asio::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  }
  return address.to_string();
}

IoOutcome outcome_of_errno() {
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {IoOutcome::Kind::kWouldBlock, 0};
  return {IoOutcome::Kind::kFailed, 0};
}

int clamp_to_int(std::size_t size) {
  return static_cast<int>(std::min<std::size_t>(size, 1u << 30));
}

}  // namespace

SocketStream::SocketStream(tcp::socket socket, std::shared_ptr<void> slot)
    : socket_(std::move(socket)), slot_(std::move(slot)) {
  boost::system::error_code ignored;
  socket_.native_non_blocking(true, ignored);
  ::fcntl(socket_.native_handle(), F_SETFD, FD_CLOEXEC);
  socket_.set_option(tcp::no_delay(true), ignored);
  const tcp::endpoint remote = socket_.remote_endpoint(ignored);
  peer_.address = numeric(remote.address());
  peer_.port = remote.port();
  peer_.local_port = socket_.local_endpoint(ignored).port();
}

SocketStream::~SocketStream() {
  if (detached_ >= 0) ::close(detached_);
  close();
  SSL_free(ssl_);
}

IoOutcome SocketStream::read(std::span<char> into) {
  if (!socket_.is_open() || broken_) return {IoOutcome::Kind::kFailed, 0};
  if (into.empty()) return {IoOutcome::Kind::kMoved, 0};
  if (ssl_ != nullptr) {
    ERR_clear_error();
    return tls_outcome(SSL_read(ssl_, into.data(), clamp_to_int(into.size())), true);
  }
  for (;;) {
    const ssize_t count = ::recv(socket_.native_handle(), into.data(), into.size(), 0);
    if (count > 0) return {IoOutcome::Kind::kMoved, static_cast<std::size_t>(count)};
    if (count == 0) return {IoOutcome::Kind::kClosed, 0};
    if (errno != EINTR) return outcome_of_errno();
  }
}

IoOutcome SocketStream::write(std::string_view from) {
  if (!socket_.is_open() || broken_) return {IoOutcome::Kind::kFailed, 0};
  if (from.empty()) return {IoOutcome::Kind::kMoved, 0};
  if (ssl_ != nullptr) {
    ERR_clear_error();
    return tls_outcome(SSL_write(ssl_, from.data(), clamp_to_int(from.size())), false);
  }
  for (;;) {
    const ssize_t count = ::send(socket_.native_handle(), from.data(), from.size(), MSG_NOSIGNAL);
    if (count >= 0) return {IoOutcome::Kind::kMoved, static_cast<std::size_t>(count)};
    if (errno != EINTR) return outcome_of_errno();
  }
}

IoOutcome SocketStream::tls_outcome(int result, bool reading) {
  bool& crossed = reading ? read_wants_write_ : write_wants_read_;
  crossed = false;
  if (result > 0) return {IoOutcome::Kind::kMoved, static_cast<std::size_t>(result)};
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      crossed = !reading;
      return {IoOutcome::Kind::kWouldBlock, 0};
    case SSL_ERROR_WANT_WRITE:
      crossed = reading;
      return {IoOutcome::Kind::kWouldBlock, 0};
    case SSL_ERROR_ZERO_RETURN:
      return {IoOutcome::Kind::kClosed, 0};
    default:
      broken_ = true;
      ERR_clear_error();
      return {IoOutcome::Kind::kFailed, 0};
  }
}

void SocketStream::wait(tcp::socket::wait_type what, std::function<void()> ready) {
  socket_.async_wait(
      what, [alive = std::weak_ptr<char>(alive_), ready = std::move(ready)](const boost::system::error_code& error) {
        if (error == asio::error::operation_aborted || alive.expired()) return;
        ready();  // may destroy the stream
      });
}

void SocketStream::when_readable(std::function<void()> ready) {
  if (!socket_.is_open()) return;
  const bool at_once = broken_ || (ssl_ != nullptr && SSL_pending(ssl_) > 0);
  if (at_once) {
    asio::post(socket_.get_executor(), [alive = std::weak_ptr<char>(alive_), ready = std::move(ready)] {
      if (!alive.expired()) ready();
    });
    return;
  }
  wait(read_wants_write_ ? tcp::socket::wait_write : tcp::socket::wait_read, std::move(ready));
}

void SocketStream::when_writable(std::function<void()> ready) {
  if (!socket_.is_open()) return;
  wait(write_wants_read_ ? tcp::socket::wait_read : tcp::socket::wait_write, std::move(ready));
}

void SocketStream::shutdown_write() {
  if (!socket_.is_open()) return;
  if (ssl_ != nullptr && established_ && !broken_) {
    ERR_clear_error();
    SSL_shutdown(ssl_);
    ERR_clear_error();
  }
  ::shutdown(socket_.native_handle(), SHUT_WR);
}

void SocketStream::close() {
  alive_.reset();
  if (!socket_.is_open()) return;
  if (ssl_ != nullptr && established_ && !broken_ && (SSL_get_shutdown(ssl_) & SSL_SENT_SHUTDOWN) == 0) {
    ERR_clear_error();
    SSL_shutdown(ssl_);
    ERR_clear_error();
  }
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void SocketStream::detach() {
  if (!socket_.is_open()) return;
  boost::system::error_code error;
  const tcp::endpoint local = socket_.local_endpoint(error);
  detached_v6_ = !error && local.address().is_v6();
  detached_ = socket_.release(error);  // the TLS session knows the descriptor, not the socket
  if (error) detached_ = -1;
  alive_ = std::make_shared<char>();  // a wait that has ended already would still call, on the old loop
}

void SocketStream::attach(Loop& loop) {
  if (detached_ < 0) return;
  tcp::socket socket(loop.context());
  boost::system::error_code error;
  socket.assign(detached_v6_ ? tcp::v6() : tcp::v4(), detached_, error);
  if (error) return;  // stays closed; the destructor closes the descriptor
  detached_ = -1;
  socket.native_non_blocking(true, error);
  socket_ = std::move(socket);
}

bool SocketStream::peek(int& first) {
  unsigned char byte = 0;
  for (;;) {
    const ssize_t count = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    first = count == 1 ? byte : -1;
    return true;
  }
}

void SocketStream::begin_tls(SSL* ssl, bool server) {
  ssl_ = ssl;
  SSL_set_fd(ssl_, socket_.native_handle());
  if (server) {
    SSL_set_accept_state(ssl_);
  } else {
    SSL_set_connect_state(ssl_);
  }
}

SocketStream::Handshake SocketStream::handshake_step() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) {
    established_ = true;
    fill_tls_peer();
    return Handshake::kDone;
  }
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return Handshake::kAgainRead;
    case SSL_ERROR_WANT_WRITE:
      return Handshake::kAgainWrite;
    default: {
      broken_ = true;
      const unsigned long code = ERR_peek_error();
      const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
      failure_ = reason != nullptr ? reason : "connection closed";
      ERR_clear_error();
      return Handshake::kFailed;
    }
  }
}

void SocketStream::fill_tls_peer() {
  peer_.tls = true;
  const unsigned char* alpn = nullptr;
  unsigned int alpn_length = 0;
  SSL_get0_alpn_selected(ssl_, &alpn, &alpn_length);
  if (alpn_length > 0) peer_.alpn.assign(reinterpret_cast<const char*>(alpn), alpn_length);
  if (const char* name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name)) peer_.server_name = name;
  if (X509* certificate = SSL_get1_peer_certificate(ssl_)) {
    unsigned char* der = nullptr;
    const int length = i2d_X509(certificate, &der);
    if (length > 0) peer_.client_certificate_der.assign(reinterpret_cast<char*>(der), static_cast<std::size_t>(length));
    OPENSSL_free(der);
    X509_free(certificate);
  }
}

}  // namespace muster::io
