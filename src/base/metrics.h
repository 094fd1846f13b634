// SPDX-License-Identifier: Apache-2.0
// Counters, gauges and histograms, and their Prometheus text exposition. A Registry is made by server/wiring and handed
// to whoever counts; the objects it gives out live as long as it does. Increments are single atomics, callable from any
// thread; asking the Registry for a series takes a lock, so keep the reference. Bounds: 2,000 series a name; beyond
// that all share one series labelled overflow="true", so that labels from outside cannot fill memory.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

class Counter {
 public:
  void add(std::uint64_t by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void set(std::int64_t value) { value_.store(value, std::memory_order_relaxed); }
  void add(std::int64_t by) { value_.fetch_add(by, std::memory_order_relaxed); }
  std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

// Of durations: observed in microseconds, exposed in seconds. Bucket i holds what is at most 100 us * 2^i; the last one
// (about 27 minutes) is followed by +Inf.
class Histogram {
 public:
  static constexpr std::size_t kBuckets = 25;
  static constexpr std::uint64_t bound_us(std::size_t bucket) { return std::uint64_t{100} << bucket; }
  void observe_us(std::uint64_t microseconds);
  std::uint64_t count() const;
  std::uint64_t sum_us() const { return sum_us_.load(std::memory_order_relaxed); }
  std::uint64_t in_bucket(std::size_t bucket) const { return buckets_[bucket].load(std::memory_order_relaxed); }

 private:
  std::array<std::atomic<std::uint64_t>, kBuckets + 1> buckets_{};
  std::atomic<std::uint64_t> sum_us_{0};
};

class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // The series of that name and labels, made when it is new. Names are [a-zA-Z_:][a-zA-Z0-9_:]* and constants of ours;
  // a name has one type for good. Labels may hold any text.
  Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, const Labels& labels = {});
  // A gauge or counter whose value is asked for at exposition; the same name and labels once more replace the first.
  // `read` is called on the exposing thread.
  void observed_gauge(std::string_view name, std::string_view help, std::function<std::int64_t()> read,
                      const Labels& labels = {});
  void observed_counter(std::string_view name, std::string_view help, std::function<std::uint64_t()> read,
                        const Labels& labels = {});

  // text/plain; version=0.0.4
  std::string exposition() const;

 private:
  struct Family;
  Family& family(std::string_view name, std::string_view help, int type);
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Family>, std::less<>> families_;
};

}  // namespace muster::metrics
