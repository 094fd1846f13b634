// SPDX-License-Identifier: Apache-2.0
// Clock: the only source of time outside io. The system one in the server, a virtual one in tests.
#pragma once

#include <atomic>
#include <cstdint>

namespace muster::io {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t now_ms() const = 0;     // wall clock, since the epoch
  virtual std::int64_t steady_ms() const = 0;  // for durations; never goes back
};

class SystemClock final : public Clock {
 public:
  std::int64_t now_ms() const override;
  std::int64_t steady_ms() const override;
};

// Processors that this process may run on (its affinity, not the machine's count); at least 1.
std::size_t available_processors();

class VirtualClock final : public Clock {
 public:
  explicit VirtualClock(std::int64_t start_ms = 1'700'000'000'000) : now_(start_ms) {}
  std::int64_t now_ms() const override { return now_.load(); }
  std::int64_t steady_ms() const override { return now_.load(); }
  void advance_ms(std::int64_t by) { now_ += by; }

 private:
  std::atomic<std::int64_t> now_;
};

}  // namespace muster::io
