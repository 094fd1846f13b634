// SPDX-License-Identifier: Apache-2.0
// Turnstile: a lock that is had in turn, by time of arrival. Held for a moment, while another lock is taken behind it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace muster::fleet {

class Turnstile {
 public:
  void lock() {
    std::unique_lock lock(mutex_);
    const std::uint64_t mine = next_++;
    moved_.wait(lock, [&] { return serving_ == mine; });
  }
  void unlock() {
    {
      const std::lock_guard lock(mutex_);
      ++serving_;
    }
    moved_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable moved_;
  std::uint64_t next_ = 0, serving_ = 0;
};

}  // namespace muster::fleet
