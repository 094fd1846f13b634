// SPDX-License-Identifier: Apache-2.0
// Waiter: who waits until something is durable or a slow subscriber has caught up: an entry of a connection's order of
// acknowledgements, or (link 0) a call that the server itself made. A value; it may go from shard to shard.
#pragma once

#include <cstdint>

namespace muster::mqtt {

struct Waiter {
  std::uint64_t link = 0;  // 0: `ack` is the number of a call
  std::uint32_t ack = 0;
  std::uint16_t shard = 0;  // where the link or call lives
};

}  // namespace muster::mqtt
