// SPDX-License-Identifier: Apache-2.0
// Closed-loop throughput: flows (one publisher, its topic, its subscribers) that keep a bounded number of messages on
// the way, so that no broker has a reason to drop. One thread. A subscriber checks every sequence number of every flow.
#pragma once

#include "base/json.h"
#include "link.h"
#include "meter.h"

namespace muster::bench {

struct FlowOptions {
  Target target;
  enum class Shape : std::uint8_t { kPairs, kFanIn, kFanOut } shape = Shape::kPairs;
  std::uint32_t width = 50;  // pairs, publishers of a fan-in or subscribers of a fan-out
  std::size_t payload_bytes = 64;
  int qos = 0;
  bool persistent = false;     // the subscribers' sessions
  std::uint32_t window = 256;  // messages of a flow on the way; QoS 1: without PUBACK (twice as many undelivered)
  double warm_up_s = 1, seconds = 3;
  int server_pid = 0;
};

// Prints nothing; `out` gets the figures. False when connections failed or broke.
bool run_flows(const FlowOptions& options, json::object& out);

}  // namespace muster::bench
