// SPDX-License-Identifier: Apache-2.0
// What a run cost: wall time, processor time of the server (all its threads), of the generator and of everything else
// on the machine, and the server's memory. Read from /proc.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "../process_cpu.h"
#include "base/json.h"

namespace muster::bench {

using Nanos = std::int64_t;
Nanos now_ns();

class Meter {
 public:
  explicit Meter(int server_pid) : server_pid_(server_pid) {}
  void start();
  void stop();
  double seconds() const { return static_cast<double>(to_.wall - from_.wall) / 1e9; }
  double server_cpu() const { return to_.server - from_.server; }
  // Adds seconds, server_cpu_s, generator_cpu_s, foreign_cpu_s (what other processes took: above a few percent the
  // figures are disturbed) and, of `count`, NAME_per_s and NAME_per_server_cpu_s.
  void report(json::object& out, std::string_view name, std::uint64_t count) const;

 private:
  struct Reading {
    Nanos wall = 0;
    double server = 0, own = 0, machine = 0;
  };
  Reading read() const;
  int server_pid_;
  Reading from_, to_;
};

// Proportional set size in bytes; 0 when it is not readable.
std::int64_t pss_bytes(int pid);

// Percentiles of nanoseconds, in microseconds; sorts.
json::object percentiles(std::vector<Nanos>& samples);

}  // namespace muster::bench
