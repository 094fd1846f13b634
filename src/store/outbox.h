// SPDX-License-Identifier: Apache-2.0
// Outbox: messages that leave only after the transaction that caused them is durable, and then at least once. enqueue()
// writes the message in the caller's transaction; the drainer (one per process) reads committed messages in order,
// hands each to the Publisher, and deletes it when the Publisher says that it is delivered or safely queued.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.h"

namespace muster::store {

struct OutboxMessage {
  std::string topic;
  std::string payload;
  std::uint8_t qos = 1;
};

// Part of the transaction: nothing leaves if it does not commit.
void enqueue(Tx& tx, const OutboxMessage& message);

// Takes messages of one committed batch in commit order; calls `handled` once, when all of them are delivered to online
// subscribers' buffers or durably queued for the absent ones. Set by server/wiring to the broker.
using Publisher = std::function<void(std::vector<OutboxMessage> batch, std::function<void()> handled)>;

class Outbox {
 public:
  // Starts with what an earlier process left. The store outlives it.
  Outbox(Store& store, Publisher publisher);
  ~Outbox();  // stops; undelivered messages stay for the next start
  // Says that something was enqueued and committed. Cheap, thread-safe, coalesced.
  void wake();
  // For graceful stop and tests: waits until the outbox was seen empty.
  void drain();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::store
