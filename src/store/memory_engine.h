// SPDX-License-Identifier: Apache-2.0
// The in-memory engine: the reference the other engines are tested against, and the store of unit tests and
// simulations. Optimistic like they are, and able to go wrong on demand, from a seed. Thread-safe; bounded by memory
// only.
#pragma once

#include <memory>

#include "io/env.h"
#include "store/store.h"

namespace muster::store {

struct MemoryFaults {
  std::uint64_t seed = 1;
  double refuse = 0;    // probability that a commit with writes ends in kUnavailable and changes nothing
  double conflict = 0;  // probability that a run that could commit is thrown away and the body runs again
  // false: commits are visible to other transactions at once, but their Done waits for flush(); crash() takes back what
  // was not flushed.
  bool sync_at_once = true;
};

class MemoryStore : public Store {
 public:
  // As if the process had died and come back: what was not synced is gone, and its Done gets kUnavailable.
  virtual void crash() = 0;
  virtual void set_faults(const MemoryFaults& faults) = 0;
  virtual std::size_t size() const = 0;  // keys, without counters
};

// The clock outlives the store.
std::unique_ptr<MemoryStore> make_memory_store(const io::Clock& clock, MemoryFaults faults = {});

}  // namespace muster::store
