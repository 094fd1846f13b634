// SPDX-License-Identifier: Apache-2.0
// Works off in the background what thing groups are owed. Builds dynamic ones: walks all things for groups that are
// BUILDING or REBUILDING, in bounded transactions that refresh each thing (dynamic_groups.h). One walk, round and
// round, serves all groups: each is ACTIVE once the walk has gone past every thing since it was made. Progress is in
// the store (kGroupBuild), so a crash costs one transaction. A group whose candidates the fleet index knows is built of
// them alone, without the walk. And empties groups of both kinds whose deletion somebody
// began and left. Made by server/wiring; one worker thread, asleep when nothing is to be done.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/registry/fleet_query.h"
#include "store/store.h"

namespace muster::registry {

// Told of each thing whose membership a step changes, within the transaction, which may be run again.
using MembershipObserver =
    std::function<Status(store::Tx& tx, std::string_view thing, const std::vector<std::string>& groups_before,
                         const std::vector<std::string>& groups_after)>;

// The fields of a thing that the fleet index has beside the registry's; asked when a group's query reads such.
using IndexFields = std::function<FieldValues(store::Tx& tx, std::string_view thing)>;
// All things that match the query now, by name; nullopt: nobody knows without a walk. On the builder's thread; may wait
// for the index to catch up.
using Candidates = std::function<std::optional<std::vector<std::string>>(const FleetQuery& query)>;

// One transaction's worth: at most `batch` things. False: nothing is to be done.
Result<bool> build_step(store::Tx& tx, std::size_t batch, const MembershipObserver& changed,
                        const IndexFields& index_fields = {});

// Joins and leaves of some things, within the transaction. True: a membership changed.
Result<bool> refresh_things(store::Tx& tx, const std::vector<std::string>& names, const MembershipObserver& changed,
                            const IndexFields& index_fields);

class DynamicGroupBuilder {
 public:
  // `committed` is called after each transaction, on the thread that ran it.
  DynamicGroupBuilder(store::Store& store, MembershipObserver changed, std::function<void()> committed,
                      IndexFields index_fields = {}, Candidates candidates = {});
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
