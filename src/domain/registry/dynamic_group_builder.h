// SPDX-License-Identifier: Apache-2.0
// Builds dynamic thing groups: walks all things for groups that are BUILDING or REBUILDING, in bounded transactions
// that refresh each thing (dynamic_groups.h). One walk, round and round, serves all groups: each is ACTIVE once
// the walk has gone past every thing since it was made. Progress is in the store (kGroupBuild), so a crash costs one
// transaction. Made by server/wiring; one worker thread, asleep when nothing is to be built.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/store.h"

namespace muster::registry {

// Told of each thing whose membership a build changes, within the transaction, which may be run again.
using MembershipObserver =
    std::function<Status(store::Tx& tx, std::string_view thing, const std::vector<std::string>& groups_before,
                         const std::vector<std::string>& groups_after)>;

// One transaction's worth: at most `batch` things. False: no group is to be built.
Result<bool> build_step(store::Tx& tx, std::size_t batch, const MembershipObserver& changed);

class DynamicGroupBuilder {
 public:
  // `committed` is called after each transaction, on the thread that ran it.
  DynamicGroupBuilder(store::Store& store, MembershipObserver changed, std::function<void()> committed);
  ~DynamicGroupBuilder();
  void start_thread();
  void stop();
  void poke();  // a group is to be built
  bool step();  // one transaction; false: nothing to do. For tests, instead of the thread.

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::registry
