// SPDX-License-Identifier: Apache-2.0
#include "io/stream.h"

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "io/loop.h"
#include "io/timer_queue.h"

namespace asio = boost::asio;

namespace muster::io {
namespace {

// One suspended coroutine that either readiness or the deadline resumes, whichever comes first.
template <class Handler>
struct Wait {
  explicit Wait(Handler h) : handler(std::move(h)) {}
  std::optional<Handler> handler;
  std::optional<TimerQueue::Id> timer;

  void finish(bool ready) {
    if (!handler) return;
    if (ready && timer) TimerQueue::current()->cancel(*timer);
    auto resume = std::move(*handler);
    handler.reset();
    std::move(resume)(ready);
  }
};

}  // namespace

asio::awaitable<bool> wait_ready(Stream& stream, Direction direction, std::int64_t deadline_ms) {
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(bool)>(
      [&stream, direction, deadline_ms](auto handler) {
        auto wait = std::make_shared<Wait<decltype(handler)>>(std::move(handler));
        if (deadline_ms > 0) {
          wait->timer = TimerQueue::current()->add(deadline_ms, [wait] { wait->finish(false); });
        }
        auto ready = [wait] { wait->finish(true); };
        if (direction == Direction::kRead) {
          stream.when_readable(std::move(ready));
        } else {
          stream.when_writable(std::move(ready));
        }
      },
      asio::use_awaitable);
}

asio::awaitable<std::int64_t> read_some(Stream& stream, std::span<char> into, std::int64_t deadline_ms) {
  for (;;) {
    const IoOutcome outcome = stream.read(into);
    if (outcome.kind == IoOutcome::Kind::kMoved) co_return static_cast<std::int64_t>(outcome.bytes);
    if (outcome.kind == IoOutcome::Kind::kClosed) co_return 0;
    if (outcome.kind == IoOutcome::Kind::kFailed) co_return -1;
    const bool ready = co_await wait_ready(stream, Direction::kRead, deadline_ms);
    if (!ready) co_return -1;
  }
}

asio::awaitable<bool> write_all(Stream& stream, std::string_view bytes, std::int64_t deadline_ms) {
  while (!bytes.empty()) {
    const IoOutcome outcome = stream.write(bytes);
    if (outcome.kind == IoOutcome::Kind::kMoved) {
      bytes.remove_prefix(outcome.bytes);
      continue;
    }
    if (outcome.kind != IoOutcome::Kind::kWouldBlock) co_return false;
    const bool ready = co_await wait_ready(stream, Direction::kWrite, deadline_ms);
    if (!ready) co_return false;
  }
  co_return true;
}

void move_to(Loop& loop, std::unique_ptr<Stream> stream, std::function<void(std::unique_ptr<Stream>)> arrived) {
  if (loop.on_this_thread()) return arrived(std::move(stream));
  stream->detach();
  // std::function wants to be copied.
  auto held = std::make_shared<std::unique_ptr<Stream>>(std::move(stream));
  loop.post([&loop, held, arrived = std::move(arrived)] {
    (*held)->attach(loop);
    arrived(std::move(*held));
  });
}

}  // namespace muster::io
