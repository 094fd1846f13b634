// SPDX-License-Identifier: Apache-2.0
#include "store/transact.h"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace muster::store {

namespace {

// Where the engine's Done and the waiting coroutine meet, whichever comes first.
struct Meeting {
  enum : int { kNobody, kDone, kWaiting };
  std::atomic<int> first = kNobody;
  Status status;
  std::function<void()> resume;  // posts to the coroutine's executor
};

template <class Handler>
void wait_for_done(const std::shared_ptr<Meeting>& meeting, Handler&& handler) {
  auto executor = boost::asio::get_associated_executor(handler);
  auto shared = std::make_shared<std::decay_t<Handler>>(std::forward<Handler>(handler));
  // The guard keeps the loop running while only the engine holds the handler.
  auto guard = boost::asio::make_work_guard(executor);
  meeting->resume = [executor, shared, guard]() mutable {
    boost::asio::post(executor, [shared = std::move(shared)] { std::move (*shared)(); });
    guard.reset();
  };
  if (meeting->first.exchange(Meeting::kWaiting) == Meeting::kDone) std::exchange(meeting->resume, nullptr)();
}

}  // namespace

io::Task<void> transact_status(Store& store, Store::Body body) {
  auto meeting = std::make_shared<Meeting>();
  store.run(std::move(body), [meeting](Status status) {
    meeting->status = std::move(status);
    // A post from another thread wakes the loop only when it sleeps, so one flush's completions cost one wake-up.
    if (meeting->first.exchange(Meeting::kDone) == Meeting::kWaiting) std::exchange(meeting->resume, nullptr)();
  });
  // Decided at once: what most reads do; no round through the loop.
  if (meeting->first.load() == Meeting::kDone) co_return std::move(meeting->status);
  co_await boost::asio::async_initiate<decltype(boost::asio::use_awaitable), void()>(
      [meeting](auto handler) { wait_for_done(meeting, std::move(handler)); }, boost::asio::use_awaitable);
  co_return std::move(meeting->status);
}

}  // namespace muster::store
