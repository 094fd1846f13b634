// SPDX-License-Identifier: Apache-2.0
// TimerQueue: all one-shot timers of one Loop behind one Asio timer. Arming and cancelling touch a map only; the kernel
// timer is set again only when an earlier due time appears, so a deadline around every read costs no system call. Owned
// by the Loop, used on its thread only. Internal to io.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

namespace muster::io {

class TimerQueue {
 public:
  using Id = std::pair<std::int64_t, std::uint64_t>;  // due time, number

  explicit TimerQueue(boost::asio::io_context& context) : timer_(context) {}
  Id add(std::int64_t delay_ms, std::function<void()> fn);
  void cancel(const Id& id) { pending_.erase(id); }
  void clear();  // drops all without calling them

  // The queue of the loop that runs on this thread; null elsewhere.
  static TimerQueue* current();
  static void set_current(TimerQueue* queue);

 private:
  void arm();
  void fire();

  boost::asio::steady_timer timer_;
  std::map<Id, std::function<void()>> pending_;
  std::uint64_t next_number_ = 0;
  std::int64_t armed_for_ms_ = 0;  // 0: not armed
};

}  // namespace muster::io
