// SPDX-License-Identifier: Apache-2.0
// BlockingPool: a few threads for calls that block (fsync, directory scans). run() suspends the calling coroutine and
// resumes it on its own loop. Owned by server/wiring; destroyed before the loops whose coroutines use it: the
// destructor first finishes what was submitted. The function must not touch what belongs to a loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <type_traits>

#include "base/result.h"

namespace muster::io {

class BlockingPool {
 public:
  // `max_waiting`: work that may wait for a thread before run_or_refuse() refuses.
  explicit BlockingPool(int threads, std::size_t max_waiting = std::numeric_limits<std::size_t>::max());
  ~BlockingPool();
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;

  // `fn` lives until the result is there. Work is taken in order of submission. An exception of fn's comes out here.
  template <class F, class R = std::invoke_result_t<F&>>
  boost::asio::awaitable<R> run(F fn) {
    auto job = std::make_shared<Job<F, R>>(std::move(fn));
    std::function<void()> work = [job] { job->execute(); };
    co_await run_work(std::move(work));
    if (job->thrown) std::rethrow_exception(job->thrown);
    co_return std::move(*job->result);
  }

  // As run(), of an fn that answers a Result; kThrottled at once when too much waits already.
  template <class F, class R = std::invoke_result_t<F&>>
  boost::asio::awaitable<R> run_or_refuse(F fn) {
    if (is_full()) co_return make_error(ErrorKind::kThrottled, "Rate exceeded");
    co_return co_await run(std::move(fn));
  }
  bool is_full() const;

  // Runs without anyone waiting. Thread-safe.
  void submit(std::function<void()> work);

 private:
  template <class F, class R>
  struct Job {
    explicit Job(F f) : fn(std::move(f)) {}
    F fn;
    std::optional<R> result;
    std::exception_ptr thrown;
    void execute() {
      try {
        result.emplace(fn());
      } catch (...) {
        thrown = std::current_exception();
      }
    }
  };
  boost::asio::awaitable<void> run_work(std::function<void()> work);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace muster::io
