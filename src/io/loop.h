// SPDX-License-Identifier: Apache-2.0
// Loop: one thread that runs one Asio io_context. Everything that belongs to a loop is touched on its thread only;
// other threads post to it. Posts are coalesced: many posts from other threads between two rounds cost one wake-up.
// Streams, coroutines and timers of a loop end before it or with it; what still waits when it ends is destroyed, not
// run.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace boost::asio {
class io_context;
}

namespace muster::io {

class Loop {
 public:
  explicit Loop(std::string name);
  ~Loop();  // stops and joins
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void start();     // starts the thread
  void stop();      // thread-safe; pending work is dropped; joins unless called on the loop
  void run_here();  // instead of start(): runs on the calling thread until stop()

  boost::asio::io_context& context();
  bool on_this_thread() const;
  // Thread-safe; runs `fn` on the loop's thread, in order of posting per thread. Never runs it inline.
  void post(std::function<void()> fn);
  // On the loop's thread only: runs `fn` after everything that is ready now was handled, once per call. For writers
  // that flush once a round.
  void at_round_end(std::function<void()> fn);
  // Runs `fn` in the destructor, after the thread has ended: for what must let go of suspended coroutines.
  void at_end(std::function<void()> fn);
  // Runs a coroutine to its end on this loop. An escaped exception is logged and ends only that coroutine.
  void spawn(boost::asio::awaitable<void> coroutine);
  // One-shot timer on the loop's thread (posts itself there); the returned token cancels when destroyed.
  class TimerToken {
   public:
    virtual ~TimerToken() = default;
  };
  std::unique_ptr<TimerToken> after_ms(std::int64_t delay_ms, std::function<void()> fn);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::io
