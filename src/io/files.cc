// SPDX-License-Identifier: Apache-2.0
#include "io/files.h"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "base/log.h"

namespace asio = boost::asio;

namespace muster::io {

struct BlockingPool::State {
  std::size_t max_waiting = 0;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> work;
  bool stopping = false;
  std::vector<std::thread> threads;

  void serve() {
    for (;;) {
      std::function<void()> next;
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return stopping || !work.empty(); });
        if (work.empty()) return;
        next = std::move(work.front());
        work.pop_front();
      }
      try {
        next();
      } catch (const std::exception& error) {
        log::error("exception escaped", {{"where", "blocking pool"}, {"what", error.what()}});
      }
    }
  }
};

BlockingPool::BlockingPool(int threads, std::size_t max_waiting) : state_(std::make_unique<State>()) {
  state_->max_waiting = max_waiting;
  for (int i = 0; i < threads; ++i) state_->threads.emplace_back([state = state_.get()] { state->serve(); });
}

BlockingPool::~BlockingPool() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_all();
  for (auto& thread : state_->threads) thread.join();
}

bool BlockingPool::is_full() const {
  std::lock_guard lock(state_->mutex);
  return state_->work.size() >= state_->max_waiting;
}

void BlockingPool::submit(std::function<void()> work) {
  {
    std::lock_guard lock(state_->mutex);
    state_->work.push_back(std::move(work));
  }
  state_->changed.notify_one();
}

asio::awaitable<void> BlockingPool::run_work(std::function<void()> work) {
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
      [this, &work](auto handler) {
        auto executor = asio::get_associated_executor(handler);
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        submit([work = std::move(work), shared = std::move(shared), executor]() mutable {
          work();
          work = nullptr;  // what it holds is gone before the coroutine goes on
          // The coroutine's frame goes to its own thread whole: this thread keeps no reference.
          asio::post(executor, [shared = std::move(shared)] { std::move (*shared)(); });
        });
      },
      asio::use_awaitable);
}

}  // namespace muster::io
