// SPDX-License-Identifier: Apache-2.0
// For tests: a running loop, and a way to run a coroutine on it to its end from the test's thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <future>
#include <stdexcept>
#include <utility>

#include "io/loop.h"

namespace muster::io {

struct TestLoop {
  TestLoop() { loop.start(); }

  // The coroutine's value; fails the test by an exception when it takes more than ten seconds.
  template <class T>
  T run(boost::asio::awaitable<T> coroutine) {
    auto promise = std::make_shared<std::promise<T>>();
    auto future = promise->get_future();
    loop.spawn(forward(std::move(coroutine), promise));
    if (future.wait_for(std::chrono::seconds(10)) != std::future_status::ready) throw std::runtime_error("stuck");
    return future.get();
  }

  // Runs `fn` on the loop's thread and waits for it.
  template <class F>
  auto call(F fn) -> decltype(fn()) {
    std::packaged_task<decltype(fn())()> task(std::move(fn));
    auto future = task.get_future();
    auto shared = std::make_shared<decltype(task)>(std::move(task));
    loop.post([shared] { (*shared)(); });
    if (future.wait_for(std::chrono::seconds(10)) != std::future_status::ready) throw std::runtime_error("stuck");
    return future.get();
  }

  Loop loop{"test"};

 private:
  template <class T>
  static boost::asio::awaitable<void> forward(boost::asio::awaitable<T> coroutine,
                                              std::shared_ptr<std::promise<T>> promise) {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(coroutine);
      promise->set_value();
    } else {
      T value = co_await std::move(coroutine);
      promise->set_value(std::move(value));
    }
  }
};

}  // namespace muster::io
