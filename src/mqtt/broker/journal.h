// SPDX-License-Identifier: Apache-2.0
// Journal: the broker's writes. Collects what a round changes (sessions, subscriptions, retained messages; queues
// are message_log.h) and gives it to the store as one transaction, one at a time and in order: what arrives while one
// is on its way to the disk goes with the next, so that batches grow with load and one sync serves them all. Waiters
// hear when what was collected before them is durable. A refused transaction is tried again (first after 100 ms, then
// up to 5 s) with the same keys, so memory and store never part; until then acknowledgements wait and failing() is
// true. Owned by the Broker, on its loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/loop.h"
#include "mqtt/broker/waiter.h"
#include "store/store.h"

namespace muster::mqtt {

class Journal {
 public:
  // Called after each batch, on the loop; the owner calls commit() afterwards.
  using OnDurable = std::function<void(const std::vector<Waiter>&)>;

  Journal(io::Loop& loop, store::Store& store, OnDurable on_durable);
  ~Journal();

  void put(std::string key, std::string value);
  void erase(std::string key);
  void wait(Waiter waiter);
  void wait(std::function<void()> durable);

  // At the end of a round: starts a batch unless one is on its way. Waiters with nothing before them are released.
  void commit();
  bool idle() const;     // nothing collected, nothing on its way
  bool failing() const;  // the last attempt was refused
  std::uint64_t batches() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::mqtt
