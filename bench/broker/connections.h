// SPDX-License-Identifier: Apache-2.0
// Connections themselves: how many a second are opened, greeted (CONNECT, CONNACK) and closed, a bounded number at a
// time; and what one that does nothing costs the server in memory.
#pragma once

#include "base/json.h"
#include "link.h"
#include "meter.h"

namespace muster::bench {

struct ConnectionOptions {
  Target target;
  std::uint32_t width = 64;  // at a time, or (idle) held open
  bool reset = false;        // close with RST instead of FIN: what a client that vanishes does, and cheaper for both
  bool subscribed = false;   // idle: each with one subscription
  double warm_up_s = 1, seconds = 3;
  int server_pid = 0;
};

bool run_connects(const ConnectionOptions& options, json::object& out);
bool run_idle(const ConnectionOptions& options, json::object& out);

}  // namespace muster::bench
