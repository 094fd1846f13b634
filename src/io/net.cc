// SPDX-License-Identifier: Apache-2.0
#include "io/net.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>

#include "base/log.h"
#include "io/env.h"
#include "io/socket_stream.h"
#include "io/timer_queue.h"
#include "io/tls.h"

namespace asio = boost::asio;
using asio::ip::tcp;

namespace muster::io {
namespace {

constexpr std::int64_t kAcceptBackOffMs = 100;

// A step of a handshake may cost as much as hundreds of messages. In a storm of them, so many are made in one round of
// the loop, so that the round ends and what others have written leaves; the rest wait in line.
constexpr std::size_t kStepsARound = 8;

class HandshakeTurns : public std::enable_shared_from_this<HandshakeTurns> {
 public:
  static std::shared_ptr<HandshakeTurns> create(Loop& loop) {
    auto turns = std::make_shared<HandshakeTurns>(loop);
    // The line holds coroutines, which hold the listener, which holds this.
    loop.at_end([weak = std::weak_ptr(turns)] {
      if (const auto self = weak.lock()) const auto dropped = std::exchange(self->line_, {});
    });
    return turns;
  }
  explicit HandshakeTurns(Loop& loop) : loop_(loop) {}

  bool take() {
    if (steps_ >= kStepsARound || !line_.empty()) return false;
    ++steps_;
    open_round();
    return true;
  }
  void wait(std::function<void()> resume) {
    line_.push_back(std::move(resume));
    open_round();
  }

 private:
  void open_round() {
    if (std::exchange(round_open_, true)) return;
    loop_.at_round_end([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->next_round();
    });
  }
  void next_round() {
    round_open_ = false;
    steps_ = 0;
    while (steps_ < kStepsARound && !line_.empty()) {
      asio::post(loop_.context(), std::move(line_.front()));
      line_.pop_front();
      ++steps_;
    }
    if (steps_ > 0) open_round();
  }

  Loop& loop_;
  std::size_t steps_ = 0;  // in this round
  bool round_open_ = false;
  std::deque<std::function<void()>> line_;
};

asio::awaitable<void> take_turn(std::shared_ptr<HandshakeTurns> turns) {
  if (!turns || turns->take()) co_return;
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
      [turns](auto handler) {
        auto held = std::make_shared<decltype(handler)>(std::move(handler));
        turns->wait([held] { std::move (*held)(); });
      },
      asio::use_awaitable);
}

enum class HandshakeEnd : std::uint8_t { kDone, kFailed, kTimeout };

// Runs the handshake to its end, at most until `end_ms` of the steady clock. `turns` may be null.
asio::awaitable<HandshakeEnd> complete_handshake(SocketStream& stream, std::int64_t end_ms,
                                                 std::shared_ptr<HandshakeTurns> turns) {
  const SystemClock clock;
  for (;;) {
    co_await take_turn(turns);
    const SocketStream::Handshake step = stream.handshake_step();
    if (step == SocketStream::Handshake::kDone) co_return HandshakeEnd::kDone;
    if (step == SocketStream::Handshake::kFailed) co_return HandshakeEnd::kFailed;
    const std::int64_t left_ms = end_ms - clock.steady_ms();
    if (left_ms <= 0) co_return HandshakeEnd::kTimeout;
    const Direction direction = step == SocketStream::Handshake::kAgainRead ? Direction::kRead : Direction::kWrite;
    // The session has no buffered plain text before it is established: readiness is the socket's own.
    const bool ready = co_await wait_ready(stream, direction, left_ms);
    if (!ready) co_return HandshakeEnd::kTimeout;
  }
}

}  // namespace

struct Listener::State : std::enable_shared_from_this<Listener::State> {
  State(Loop& owner, ListenOptions listen_options, OnStream callback)
      : loop(owner), options(std::move(listen_options)), on_stream(std::move(callback)), acceptor(owner.context()) {}

  Loop& loop;
  ListenOptions options;
  OnStream on_stream;
  tcp::acceptor acceptor;
  std::uint16_t bound_port = 0;
  std::atomic<bool> closed{false};
  // Outlives this: every stream releases its place.
  std::shared_ptr<std::atomic<std::size_t>> open = std::make_shared<std::atomic<std::size_t>>(0);
  std::size_t handshakes = 0;
  std::shared_ptr<HandshakeTurns> turns = HandshakeTurns::create(loop);
  std::atomic<std::uint64_t> refused{0};

  Status listen();
  void accept_next();
  void accepted(tcp::socket socket);
  void hand_over(std::unique_ptr<SocketStream> stream) {
    if (!closed) on_stream(std::move(stream));
  }
};

namespace {

asio::awaitable<void> prepare(std::shared_ptr<Listener::State> state, std::unique_ptr<SocketStream> stream) {
  struct Count {
    std::size_t& count;
    explicit Count(std::size_t& c) : count(c) { ++count; }
    ~Count() { --count; }
  };
  const SystemClock clock;
  const std::int64_t end_ms = clock.steady_ms() + state->options.handshake_deadline_ms;
  HandshakeEnd end = HandshakeEnd::kDone;
  {
    const Count counting(state->handshakes);
    bool tls = state->options.tls == ListenOptions::Tls::kAlways;
    if (!tls) {
      int first = -1;
      while (!stream->peek(first)) {
        const std::int64_t left_ms = end_ms - clock.steady_ms();
        const bool ready = co_await wait_ready(*stream, Direction::kRead, std::max<std::int64_t>(left_ms, 1));
        if (!ready) co_return;
      }
      if (first < 0) co_return;
      tls = first == 0x16;
    }
    if (tls) {
      SSL* ssl = SSL_new(state->options.context->state().context);
      if (ssl == nullptr) co_return;
      stream->begin_tls(ssl, true);
      end = co_await complete_handshake(*stream, end_ms, state->turns);
    }
  }
  if (end != HandshakeEnd::kDone) {
    log::debug("TLS handshake failed",
               {{"peer", stream->peer().address},
                {"reason", end == HandshakeEnd::kTimeout ? std::string("deadline") : stream->failure()}});
    co_return;
  }
  state->hand_over(std::move(stream));
}

}  // namespace

Status Listener::State::listen() {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(options.address, error);
  if (error) return invalid("not a numeric address: " + options.address);
  const tcp::endpoint endpoint(address, options.port);
  auto failed = [&](const char* what) {
    return make_error(ErrorKind::kUnavailable, std::string("cannot ") + what + " " + options.address + " port " +
                                                   std::to_string(options.port) + ": " + error.message());
  };
  acceptor.open(endpoint.protocol(), error);
  if (error) return failed("open a socket for");
  ::fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC);
  acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (options.reuse_port) {
    acceptor.set_option(asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>(true), error);
  }
  if (address.is_v6() && address.is_unspecified()) acceptor.set_option(asio::ip::v6_only(false), error);
  acceptor.bind(endpoint, error);
  if (error) return failed("bind to");
  acceptor.listen(4096, error);
  if (error) return failed("listen on");
  bound_port = acceptor.local_endpoint(error).port();
  return {};
}

void Listener::State::accept_next() {
  if (closed) return;
  acceptor.async_accept([self = shared_from_this()](const boost::system::error_code& error, tcp::socket socket) {
    if (self->closed || error == asio::error::operation_aborted) return;
    if (!error) {
      self->accepted(std::move(socket));
      self->accept_next();
      return;
    }
    // Out of descriptors or memory: the connection stays in the kernel's queue; trying at once would spin.
    const bool exhausted = error == asio::error::no_descriptors || error == asio::error::no_memory ||
                           error == boost::system::errc::too_many_files_open_in_system ||
                           error == asio::error::no_buffer_space;
    if (!exhausted) {
      self->accept_next();
      return;
    }
    log::warn("cannot accept", {{"reason", error.message()}});
    TimerQueue::current()->add(kAcceptBackOffMs, [self] { self->accept_next(); });
  });
}

void Listener::State::accepted(tcp::socket socket) {
  if (*open >= options.max_connections || handshakes >= options.max_handshakes) {
    ++refused;
    return;  // closes the socket
  }
  ++*open;
  std::shared_ptr<void> slot(open.get(), [count = open](void*) { --*count; });
  auto stream = std::make_unique<SocketStream>(std::move(socket), std::move(slot));
  if (options.tls == ListenOptions::Tls::kNever) {
    hand_over(std::move(stream));
  } else {
    loop.spawn(prepare(shared_from_this(), std::move(stream)));
  }
}

Listener::Listener(std::shared_ptr<State> state) : state_(std::move(state)) {}
Listener::~Listener() {
  close();
}

Result<std::unique_ptr<Listener>> Listener::create(Loop& loop, const ListenOptions& options, OnStream on_stream) {
  if (options.tls != ListenOptions::Tls::kNever && !options.context) return invalid("TLS needs a certificate");
  auto state = std::make_shared<State>(loop, options, std::move(on_stream));
  TRY_VOID(state->listen());
  return std::make_unique<Listener>(std::move(state));
}

void Listener::start() {
  state_->loop.post([state = state_] { state->accept_next(); });
}

void Listener::close() {
  if (state_->closed.exchange(true)) return;
  auto shut = [state = state_] {
    boost::system::error_code ignored;
    state->acceptor.close(ignored);
  };
  if (state_->loop.on_this_thread()) {
    shut();
  } else {
    state_->loop.post(shut);
  }
}

std::uint16_t Listener::port() const {
  return state_->bound_port;
}
std::size_t Listener::open_connections() const {
  return *state_->open;
}
std::uint64_t Listener::refused() const {
  return state_->refused;
}

namespace {

Status name_server(SSL* ssl, const std::string& name, bool verify) {
  boost::system::error_code not_address;
  asio::ip::make_address(name, not_address);
  bool ok = true;
  if (not_address) {
    ok = SSL_set_tlsext_host_name(ssl, name.c_str()) == 1;
    if (verify) ok = ok && SSL_set1_host(ssl, name.c_str()) == 1;
  } else if (verify) {
    ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) == 1;
  }
  if (!ok) return invalid("bad server name: " + name);
  return {};
}

// A connect() that does not answer is ended by closing its socket from a timer.
asio::awaitable<boost::system::error_code> connect(tcp::socket& socket, tcp::endpoint endpoint,
                                                   std::int64_t deadline_ms) {
  bool late = false;
  const TimerQueue::Id timer = TimerQueue::current()->add(deadline_ms, [&socket, &late] {
    late = true;
    boost::system::error_code ignored;
    socket.close(ignored);
  });
  boost::system::error_code error;
  co_await socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
  TimerQueue::current()->cancel(timer);
  if (late) error = asio::error::timed_out;
  co_return error;
}

}  // namespace

Task<std::unique_ptr<Stream>> dial(Loop& loop, DialOptions options) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(options.address, error);
  if (error) co_return invalid("not a numeric address: " + options.address);
  const SystemClock clock;
  const std::int64_t end_ms = clock.steady_ms() + options.deadline_ms;
  tcp::socket socket(loop.context());
  const tcp::endpoint endpoint(address, options.port);
  error = co_await connect(socket, endpoint, options.deadline_ms);
  if (error == asio::error::timed_out) co_return make_error(ErrorKind::kTimeout, "connect: deadline passed");
  if (error) co_return make_error(ErrorKind::kUnavailable, "connect: " + error.message());
  auto stream = std::make_unique<SocketStream>(std::move(socket), nullptr);
  if (options.context) {
    TlsContext::State& tls = options.context->state();
    SSL* ssl = SSL_new(tls.context);
    if (ssl == nullptr) co_return make_error(ErrorKind::kUnavailable, "out of memory");
    stream->begin_tls(ssl, false);
    const std::string& name = options.server_name.empty() ? options.address : options.server_name;
    CO_TRY_VOID(name_server(ssl, name, tls.verify_server));
    const HandshakeEnd end = co_await complete_handshake(*stream, end_ms, nullptr);
    if (end == HandshakeEnd::kTimeout) co_return make_error(ErrorKind::kTimeout, "TLS handshake: deadline passed");
    if (end == HandshakeEnd::kFailed) {
      co_return make_error(ErrorKind::kUnauthenticated, "TLS handshake: " + stream->failure());
    }
  }
  co_return std::unique_ptr<Stream>(std::move(stream));
}

}  // namespace muster::io
