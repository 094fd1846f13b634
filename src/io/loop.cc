// SPDX-License-Identifier: Apache-2.0
#include "io/loop.h"

#include <atomic>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <csignal>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/log.h"
#include "io/task.h"
#include "io/timer_queue.h"

namespace asio = boost::asio;

namespace muster::io {
namespace {

// A round ends after this many handlers or this long even if more is ready: who writes at its end must not starve
// because somebody floods.
constexpr int kHandlersPerRound = 4096;
constexpr int kHandlersPerLook = 2;
constexpr std::chrono::microseconds kLongestRound{250};

void log_escaped(std::string_view where, std::string_view what) {
  log::error("exception escaped", {{"where", where}, {"what", what}});
}

template <class F>
void guarded(std::string_view where, F&& fn) {
  try {
    fn();
  } catch (const std::exception& error) {
    log_escaped(where, error.what());
  } catch (...) {
    log_escaped(where, "unknown");
  }
}

}  // namespace

struct Loop::State {
  explicit State(std::string loop_name) : name(std::move(loop_name)), timers(context) {}

  std::string name;
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  TimerQueue timers;
  std::vector<std::function<void()>> round_end;

  std::mutex mutex;  // guards posted, end and wake_pending
  std::vector<std::function<void()>> posted;
  std::vector<std::function<void()>> end;
  bool wake_pending = false;

  std::atomic<bool> stopping{false};
  std::atomic<std::thread::id> runner{};
  std::thread thread;

  void run();
  void drain_posted();
  void run_round_end();
};

void Loop::State::drain_posted() {
  std::vector<std::function<void()>> batch;
  {
    std::lock_guard lock(mutex);
    batch.swap(posted);
    wake_pending = false;
  }
  for (auto& fn : batch) {
    if (stopping) return;
    guarded("post", fn);
    fn = nullptr;
  }
}

void Loop::State::run_round_end() {
  std::vector<std::function<void()>> batch;
  batch.swap(round_end);
  for (auto& fn : batch) guarded("round end", fn);
  if (round_end.empty()) {  // keeps the allocation
    batch.clear();
    round_end.swap(batch);
  }
}

void Loop::State::run() {
  runner = std::this_thread::get_id();
  TimerQueue::set_current(&timers);
  while (!stopping) {
    guarded(name, [&] {
      if (round_end.empty()) context.run_one();
      const auto round_ends = std::chrono::steady_clock::now() + kLongestRound;
      for (int i = 1; i < kHandlersPerRound && context.poll_one() > 0; ++i) {
        if (i % kHandlersPerLook == 0 && std::chrono::steady_clock::now() >= round_ends) break;
      }
    });
    if (!stopping) run_round_end();
  }
  TimerQueue::set_current(nullptr);
  runner = std::thread::id{};
}

Loop::Loop(std::string name) : state_(std::make_shared<State>(std::move(name))) {
  // OpenSSL writes to the socket by write(2), which cannot be told MSG_NOSIGNAL.
  static std::once_flag once;
  std::call_once(once, [] { std::signal(SIGPIPE, SIG_IGN); });
}

Loop::~Loop() {
  stop();
  // Callbacks may own streams of this loop: they go while the context still stands.
  std::vector<std::function<void()>> last;
  {
    std::lock_guard lock(state_->mutex);
    last.swap(state_->end);
  }
  for (auto& fn : last) guarded("end", fn);
  state_->timers.clear();
  state_->round_end.clear();
  std::vector<std::function<void()>> dropped;
  {
    std::lock_guard lock(state_->mutex);
    dropped.swap(state_->posted);
  }
}

void Loop::start() {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

void Loop::run_here() {
  state_->run();
}

void Loop::stop() {
  state_->stopping = true;
  state_->context.stop();
  if (!on_this_thread() && state_->thread.joinable()) state_->thread.join();
}

boost::asio::io_context& Loop::context() {
  return state_->context;
}

bool Loop::on_this_thread() const {
  return state_->runner.load() == std::this_thread::get_id();
}

void Loop::post(std::function<void()> fn) {
  bool wake = false;
  {
    std::lock_guard lock(state_->mutex);
    state_->posted.push_back(std::move(fn));
    wake = !std::exchange(state_->wake_pending, true);
  }
  if (wake) asio::post(state_->context, [state = state_.get()] { state->drain_posted(); });
}

void Loop::at_end(std::function<void()> fn) {
  std::lock_guard lock(state_->mutex);
  state_->end.push_back(std::move(fn));
}

void Loop::at_round_end(std::function<void()> fn) {
  state_->round_end.push_back(std::move(fn));
}

void Loop::spawn(boost::asio::awaitable<void> coroutine) {
  asio::co_spawn(state_->context, std::move(coroutine), [name = state_->name](const std::exception_ptr& error) {
    if (error) guarded(name, [&] { std::rethrow_exception(error); });
  });
}

namespace {

struct TimerEntry {
  std::function<void()> fn;
  TimerQueue::Id id{};
  bool armed = false;
  std::atomic<bool> cancelled{false};
};

// Arming and disarming happen on the loop's thread; `cancelled` alone decides whether the function runs.
class QueueToken final : public Loop::TimerToken {
 public:
  QueueToken(std::shared_ptr<TimerEntry> entry, std::function<void(std::shared_ptr<TimerEntry>)> disarm)
      : entry_(std::move(entry)), disarm_(std::move(disarm)) {}
  ~QueueToken() override {
    if (!entry_->cancelled.exchange(true)) disarm_(std::move(entry_));
  }

 private:
  std::shared_ptr<TimerEntry> entry_;
  std::function<void(std::shared_ptr<TimerEntry>)> disarm_;
};

}  // namespace

std::unique_ptr<Loop::TimerToken> Loop::after_ms(std::int64_t delay_ms, std::function<void()> fn) {
  auto entry = std::make_shared<TimerEntry>();
  entry->fn = std::move(fn);
  std::weak_ptr<State> weak = state_;
  auto arm = [weak, entry, delay_ms] {
    auto state = weak.lock();
    if (!state || entry->cancelled) return;
    entry->armed = true;
    entry->id = state->timers.add(delay_ms, [entry] {
      entry->armed = false;
      auto run = std::move(entry->fn);
      if (!entry->cancelled.exchange(true)) guarded("timer", run);
    });
  };
  if (on_this_thread()) {
    arm();
  } else {
    post(arm);
  }
  return std::make_unique<QueueToken>(entry, [weak](std::shared_ptr<TimerEntry> cancelled) {
    auto state = weak.lock();
    if (!state) return;
    auto disarm = [raw = state.get(), cancelled] {
      if (std::exchange(cancelled->armed, false)) raw->timers.cancel(cancelled->id);
      cancelled->fn = nullptr;
    };
    if (TimerQueue::current() == &state->timers) {
      disarm();
    } else {
      asio::post(state->context, disarm);
    }
  });
}

boost::asio::awaitable<void> sleep_ms(std::int64_t delay_ms) {
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
      [delay_ms](auto handler) {
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        TimerQueue::current()->add(delay_ms, [shared] { std::move (*shared)(); });
      },
      asio::use_awaitable);
}

}  // namespace muster::io
