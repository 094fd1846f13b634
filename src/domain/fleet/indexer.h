// SPDX-License-Identifier: Apache-2.0
// Indexer: keeps the indexes of things and of thing groups as the store has them. Told by the store's change feed which
// things were written, it reads them again, soon after; at the start, and when what is indexed changes, it reads all.
// After a thing it looks at the dynamic groups that ask for more than the registry: where the answer changed, the thing
// joins or leaves in a transaction of its own. Nothing is kept but in memory. Made by server/wiring before the store's
// first commit that counts; one worker thread, asleep when nothing is to be done. search() and the like are
// thread-safe, and take a while: not on a loop.
//
// An index that is off is kNotFound; one that is being built kConflict with reason IndexNotReadyException.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "domain/fleet/connectivity.h"
#include "domain/fleet/search.h"
#include "domain/fleet/settings.h"
#include "domain/registry/dynamic_group_builder.h"
#include "store/store.h"

namespace muster::fleet {

enum class IndexStatus : std::uint8_t { kOff, kBuilding, kRebuilding, kActive };

class Indexer {
 public:
  struct Parts {
    store::Store& store;
    registry::MembershipObserver changed;          // within the transaction that lets a thing join or leave
    std::function<void()> committed;               // after it
    ConnectivityRecorder* connectivity = nullptr;  // stopped before it goes
    std::function<std::int64_t()> now_ms;          // for who left while connectivity was not recorded
  };
  explicit Indexer(Parts parts);  // subscribes to the store's changes
  ~Indexer();
  void start_thread();
  void stop();

  IndexStatus status(QuerySubject subject) const;
  // Calls `look` with the index, which does not change meanwhile.
  Status with_index(QuerySubject subject, const std::function<void(const Index& index)>& look) const;
  // For who builds dynamic groups: after everything that was written before the call is in the index. nullopt: it is
  // not ready, or does not catch up in time.
  std::optional<std::vector<std::string>> candidates(const FleetQuery& query) const;

  bool step();  // one round; false: nothing to do. For tests, instead of the thread.

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::fleet
