// SPDX-License-Identifier: Apache-2.0
// await_callback(): suspends a coroutine until a callback was called, once, on whatever thread; it resumes on its own
// loop. For interfaces that answer through a callback (CredentialSource).
#pragma once

#include <atomic>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <utility>

#include "io/task.h"

namespace muster::api {

template <class T>
class CallbackMeeting {
 public:
  void arrive(Result<T> result) {
    result_ = std::move(result);
    if (first_.exchange(kArrived) == kWaiting) std::exchange(resume_, nullptr)();
  }
  bool arrived() const { return first_.load() == kArrived; }
  Result<T> take() { return std::move(result_); }

  template <class Handler>
  void wait(Handler handler) {
    auto executor = boost::asio::get_associated_executor(handler);
    auto shared = std::make_shared<Handler>(std::move(handler));
    auto guard = boost::asio::make_work_guard(executor);  // the loop runs on while only the callback holds the handler
    resume_ = [executor, shared, guard]() mutable {
      boost::asio::post(executor, [shared = std::move(shared)] { std::move (*shared)(); });
      guard.reset();
    };
    if (first_.exchange(kWaiting) == kArrived) std::exchange(resume_, nullptr)();
  }

 private:
  enum : int { kNobody, kArrived, kWaiting };
  std::atomic<int> first_ = kNobody;
  Result<T> result_;
  std::function<void()> resume_;
};

// `start` is called at once with the callback.
template <class T>
io::Task<T> await_callback(std::function<void(std::function<void(Result<T>)>)> start) {
  auto meeting = std::make_shared<CallbackMeeting<T>>();
  start([meeting](Result<T> result) { meeting->arrive(std::move(result)); });
  if (meeting->arrived()) co_return meeting->take();
  co_await boost::asio::async_initiate<decltype(boost::asio::use_awaitable), void()>(
      [meeting](auto handler) { meeting->wait(std::move(handler)); }, boost::asio::use_awaitable);
  co_return meeting->take();
}

}  // namespace muster::api
