// SPDX-License-Identifier: Apache-2.0
// Deadlines: a wheel of one-second slots that says which connections to look at. An entry is only a hint to look:
// traffic moves a connection's deadline without touching the wheel, and the look puts it back. Owned by the Broker, on
// its loop.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace muster::mqtt {

class Deadlines {
 public:
  struct Entry {
    std::uint64_t link = 0;
    std::int64_t second = 0;
  };

  explicit Deadlines(std::int64_t now_ms) : second_(now_ms / 1000) {}

  // Rounds up to the next second; returns it, at least the one after the present.
  std::int64_t add(std::uint64_t link, std::int64_t due_ms) {
    std::int64_t second = (due_ms + 999) / 1000;
    if (second <= second_) second = second_ + 1;
    const std::int64_t furthest = second_ + static_cast<std::int64_t>(kSlots) - 1;
    if (second > furthest) second = furthest;  // looked at early, put back
    slots_[static_cast<std::size_t>(second) % kSlots].push_back({link, second});
    return second;
  }

  // Calls look(entry) for everything due; `look` may add.
  template <class Look>
  void advance(std::int64_t now_ms, Look&& look) {
    const std::int64_t target = now_ms / 1000;
    if (target - second_ > static_cast<std::int64_t>(kSlots)) second_ = target - static_cast<std::int64_t>(kSlots);
    while (second_ < target) {
      ++second_;
      const std::vector<Entry> due = std::exchange(slots_[static_cast<std::size_t>(second_) % kSlots], {});
      for (const Entry& entry : due) look(entry);
    }
  }

 private:
  static constexpr std::size_t kSlots = 2048;  // 34 minutes: above 1.5 times the longest keep-alive
  std::array<std::vector<Entry>, kSlots> slots_;
  std::int64_t second_;
};

}  // namespace muster::mqtt
