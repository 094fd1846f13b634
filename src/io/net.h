// SPDX-License-Identifier: Apache-2.0
// Listeners, dialling and TLS. A Listener accepts on its own loop, completes a TLS handshake where the first byte asks
// for one (0x16) or the options demand it, and hands over a Stream. Handshakes have a deadline and a bound on how many
// are open. TLS 1.2 or newer; no session tickets, no renegotiation.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/task.h"

namespace muster::io {

enum class ClientCertificate : std::uint8_t {
  kNone,      // not asked for
  kOptional,  // asked for; absent is fine; the handshake proves possession of the key, trust is the application's check
  kRequired,  // handshake fails without one
};

struct TlsOptions {
  std::string certificate_chain_pem;
  std::string private_key_pem;
  ClientCertificate client_certificate = ClientCertificate::kNone;
  // Issuers named in the CertificateRequest; empty = any. Verification against the registry is the application's.
  std::string client_ca_pem;
  std::vector<std::string> alpn;  // server's preference; empty = no ALPN; an unknown offer is refused as RFC 7301 says
};

// The connecting side: for clients that ship with the server (load generator, tests), not for outgoing requests.
struct TlsClientOptions {
  std::string ca_pem;                 // trusted issuers; empty = the server is not verified
  std::string certificate_chain_pem;  // ours, or empty
  std::string private_key_pem;
  std::vector<std::string> alpn;  // offered
};

class TlsContext {
 public:
  static Result<std::shared_ptr<TlsContext>> create(const TlsOptions& options);
  static Result<std::shared_ptr<TlsContext>> create_client(const TlsClientOptions& options);
  struct State;
  explicit TlsContext(std::unique_ptr<State> state);
  ~TlsContext();
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

struct ListenOptions {
  std::string address = "127.0.0.1";  // numeric, "::" and "0.0.0.0" for all
  std::uint16_t port = 0;             // 0 = any free one
  enum class Tls : std::uint8_t { kNever, kAlways, kByFirstByte } tls = Tls::kNever;
  std::shared_ptr<TlsContext> context;
  std::size_t max_connections = 100'000;  // accepted beyond that: closed at once, counted
  std::size_t max_handshakes = 4'096;     // likewise
  std::int64_t handshake_deadline_ms = 10'000;
  bool reuse_port = false;  // several loops listen on one port and the kernel spreads connections
};

class Listener {
 public:
  using OnStream = std::function<void(std::unique_ptr<Stream>)>;
  // Binds and listens at once (so that port() is known and errors are the caller's); accepts from start() on.
  static Result<std::unique_ptr<Listener>> create(Loop& loop, const ListenOptions& options, OnStream on_stream);
  ~Listener();
  void start();
  void close();  // stops accepting; open streams go on
  std::uint16_t port() const;
  std::size_t open_connections() const;  // handshaking or handed over and not yet destroyed; thread-safe
  std::uint64_t refused() const;         // closed at once for a bound, since start; thread-safe

  struct State;
  explicit Listener(std::shared_ptr<State> state);

 private:
  std::shared_ptr<State> state_;
};

struct DialOptions {
  std::string address = "127.0.0.1";  // numeric: names are not resolved
  std::uint16_t port = 0;
  std::shared_ptr<TlsContext> context;  // of create_client; null = plain
  std::string server_name;              // SNI, and the name or address verified; empty = the address
  std::int64_t deadline_ms = 10'000;    // connect and handshake
};
// On the loop's thread. kUnavailable when refused or unreachable, kTimeout, kInvalid for a bad address,
// kUnauthenticated for a failed handshake.
Task<std::unique_ptr<Stream>> dial(Loop& loop, DialOptions options);

}  // namespace muster::io
