// SPDX-License-Identifier: Apache-2.0
// Parcel: what one shard has for another at the end of a round: messages with the sessions that get them, and
// acknowledgements that have become due. Filled and sent by one shard, read by the other, never shared.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mqtt/broker/routes.h"
#include "mqtt/broker/waiter.h"
#include "mqtt/codec/packets.h"

namespace muster::mqtt {

struct Parcel {
  struct Item {
    std::size_t begin = 0, end = 0;  // of `bytes`: a whole PUBLISH packet
    Version version = Version::k5;
    bool waits = false;
    Waiter waiter;
    std::size_t first_target = 0, targets = 0;
  };
  std::string bytes;
  std::vector<Item> items;
  std::vector<Target> targets;
  std::vector<std::uint32_t> identifiers;
  std::vector<Waiter> due;
};

}  // namespace muster::mqtt
