// SPDX-License-Identifier: Apache-2.0
#include "io/timer_queue.h"

#include <algorithm>
#include <chrono>

namespace muster::io {
namespace {

thread_local TimerQueue* current_queue = nullptr;

std::int64_t steady_now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

}  // namespace

TimerQueue* TimerQueue::current() {
  return current_queue;
}
void TimerQueue::set_current(TimerQueue* queue) {
  current_queue = queue;
}

TimerQueue::Id TimerQueue::add(std::int64_t delay_ms, std::function<void()> fn) {
  constexpr std::int64_t kLongest = std::int64_t{10} * 365 * 86'400'000;
  // One more than asked: now is truncated, and a timer must not fire early.
  Id id{steady_now_ms() + std::clamp<std::int64_t>(delay_ms, 0, kLongest) + (delay_ms > 0 ? 1 : 0), next_number_++};
  pending_.emplace(id, std::move(fn));
  if (armed_for_ms_ == 0 || id.first < armed_for_ms_) arm();
  return id;
}

void TimerQueue::clear() {
  auto dropped = std::move(pending_);
  pending_.clear();
  timer_.cancel();
}

void TimerQueue::arm() {
  if (pending_.empty()) {
    armed_for_ms_ = 0;
    return;
  }
  armed_for_ms_ = pending_.begin()->first.first;
  timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::milliseconds(armed_for_ms_)));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) fire();
  });
}

void TimerQueue::fire() {
  const std::int64_t now = steady_now_ms();
  const std::uint64_t first_new = next_number_;  // those armed while firing wait for the next turn
  armed_for_ms_ = now;                           // keeps add() from arming meanwhile
  for (auto at = pending_.begin(); at != pending_.end() && at->first.first <= now;) {
    if (at->first.second >= first_new) {
      ++at;
      continue;
    }
    auto fn = std::move(at->second);
    pending_.erase(at);
    fn();
    at = pending_.begin();
  }
  arm();
}

}  // namespace muster::io
