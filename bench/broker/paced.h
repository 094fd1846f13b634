// SPDX-License-Identifier: Apache-2.0
// Open-loop latency: a fixed number of messages a second, evenly spaced over pairs, whatever the broker does; one-way
// latency from the moment a message was due. The thread does not sleep meanwhile, so a wake-up of its own is not in the
// figures. With `flood`, one more client publishes as fast as the broker takes it, to one that subscribes and never
// reads.
#pragma once

#include "base/json.h"
#include "link.h"
#include "meter.h"

namespace muster::bench {

struct PacedOptions {
  Target target;
  std::uint32_t pairs = 10;
  std::size_t payload_bytes = 64;
  int qos = 0;
  double rate = 10'000;  // messages a second, all pairs together
  bool flood = false;
  double warm_up_s = 1, seconds = 5;
  int server_pid = 0;
};

bool run_paced(const PacedOptions& options, json::object& out);

}  // namespace muster::bench
