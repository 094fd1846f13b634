// SPDX-License-Identifier: Apache-2.0
// Dynamic thing groups: groups whose members are the things that match a fleet query; flat, no parent, no children.
// Membership is kept in the same tables as static groups' (kGroupMember, kThingMembership), so jobs, lists and
// groups_of_thing_with_ancestors see no difference. It follows a change of a thing in that change's own transaction
// (refresh_thing); a new or changed query is worked through in the background (status BUILDING, then ACTIVE).
// Source: service model iot 2015-05-28 "CreateDynamicThingGroup"; bounds: 100 dynamic groups (Muster: as AWS).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/registry/groups.h"
#include "store/store.h"

namespace muster::registry {

struct CreateDynamicGroup {
  std::string name;
  std::string query;
  std::string index_name;     // "AWS_Things" or empty
  std::string query_version;  // "2017-09-30" or empty
  std::string description;
  Attributes attributes;
};
Result<ThingGroup> create_dynamic_group(store::Tx& tx, const Realm& realm, const CreateDynamicGroup& wanted);
struct UpdateDynamicGroup {
  UpdateGroup group;
  std::optional<std::string> query;
};
Result<ThingGroup> update_dynamic_group(store::Tx& tx, const UpdateDynamicGroup& change);

// After the thing was made or changed (attributes, type, static groups): joins and leaves dynamic groups. The caller
// compares groups_of_thing_with_ancestors before and after for whoever must hear (jobs::membership_changed).
Status refresh_thing(store::Tx& tx, std::string_view thing);

// Builds: walks all things for groups that are BUILDING or REBUILDING, in bounded transactions, and tells `changed` of
// each thing whose membership it changes, within the transaction; `committed` after it. One worker thread; progress is
// in the store.
using MembershipObserver =
    std::function<Status(store::Tx& tx, std::string_view thing, const std::vector<std::string>& groups_before,
                         const std::vector<std::string>& groups_after)>;
class DynamicGroupBuilder {
 public:
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
