// SPDX-License-Identifier: Apache-2.0
#include "server/draining.h"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace muster::server {
namespace {

struct Meeting {
  std::mutex mutex;
  std::condition_variable condition;
  bool done = false;
};

}  // namespace

bool wait_for(const std::function<bool()>& condition, std::int64_t deadline_ms) {
  constexpr std::int64_t kLookEveryMs = 5;
  Meeting never;
  std::unique_lock lock(never.mutex);
  for (std::int64_t waited = 0; !condition(); waited += kLookEveryMs) {
    if (waited >= deadline_ms) return false;
    never.condition.wait_for(lock, std::chrono::milliseconds(kLookEveryMs));
  }
  return true;
}

bool wait_for_call(const std::function<void(std::function<void()> done)>& begin, std::int64_t deadline_ms) {
  auto meeting = std::make_shared<Meeting>();
  begin([meeting] {
    std::lock_guard lock(meeting->mutex);
    meeting->done = true;
    meeting->condition.notify_all();
  });
  std::unique_lock lock(meeting->mutex);
  return meeting->condition.wait_for(lock, std::chrono::milliseconds(deadline_ms), [&] { return meeting->done; });
}

}  // namespace muster::server
