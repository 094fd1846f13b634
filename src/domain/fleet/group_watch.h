// SPDX-License-Identifier: Apache-2.0
// GroupWatch: the dynamic thing groups whose queries ask for more than the registry. Tells of which things the
// membership is not what the queries say, and lets those join or leave, in transactions of their own that read the
// thing again and decide. The Indexer's; of one thread.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "domain/fleet/document.h"
#include "domain/registry/dynamic_group_builder.h"
#include "domain/registry/group_records.h"
#include "store/store.h"

namespace muster::fleet {

class GroupWatch {
 public:
  // `changed` within the transaction that lets a thing join or leave, `committed` after it.
  GroupWatch(store::Store& store, registry::MembershipObserver changed, std::function<void()> committed)
      : store_(store), changed_(std::move(changed)), committed_(std::move(committed)) {}

  Status read_queries();
  bool empty() const { return queries_.empty(); }
  // Of all the thing's fields.
  bool disagrees(const ThingFields& thing) const;
  // Fails when the store does not write at the moment. A thing that is refused for another reason is logged and left
  // as it is, and the others go on.
  Status refresh(const std::vector<std::string>& things);

 private:
  Status refresh_some(std::span<const std::string> things);

  store::Store& store_;
  registry::MembershipObserver changed_;
  std::function<void()> committed_;
  std::vector<registry::DynamicQuery> queries_;
  std::size_t batch_ = 64;  // things a transaction; fewer after failures
};

}  // namespace muster::fleet
