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
  struct Addressee {
    std::uint64_t session_id = 0;
    std::uint32_t first_identifier = 0, identifiers = 0;
    std::uint8_t qos = 0;  // granted
    bool retain_as_published = false;
    std::uint64_t number = 0;   // taken by the sender, who has it in the message log; 0: not
    std::uint64_t segment = 0;  // of the message log, with a number
  };
  std::string bytes;
  std::uint64_t position = 0;  // of the shared log, behind the record with what was numbered
  std::vector<Item> items;
  std::vector<Addressee> targets;
  std::vector<std::uint32_t> identifiers;
  std::vector<Waiter> due;

  std::size_t weight() const {
    return bytes.size() + items.size() * sizeof(Item) + targets.size() * sizeof(Addressee) +
           due.size() * sizeof(Waiter);
  }
};

}  // namespace muster::mqtt
