// SPDX-License-Identifier: Apache-2.0
// The fleet index: the indexer, who is connected, and the dynamic thing groups that both feed.
#include "base/log.h"
#include "domain/jobs/membership.h"
#include "server/parts.h"

namespace muster::server {

void Server::Parts::make_fleet_index() {
  // Who joins or leaves a dynamic group joins or leaves its continuous jobs, in the same transaction.
  auto changed = [this](store::Tx& tx, std::string_view thing, const std::vector<std::string>& before,
                        const std::vector<std::string>& after) -> Status {
    return jobs::membership_changed(*jobs_context, tx, thing, before, after, indexed);
  };
  auto committed = [this] { signals.send(std::exchange(indexed, {})); };
  indexer = std::make_unique<fleet::Indexer>(fleet::Indexer::Parts{.store = *store,
                                                                   .changed = changed,
                                                                   .committed = committed,
                                                                   .connectivity = connectivity.get(),
                                                                   .now_ms = [this] { return clock.now_ms(); }});
}

void Server::Parts::start_fleet_index() {
  if (auto settled = connectivity->settle(clock.now_ms()); !settled)
    log::warn("the connectivity of an earlier process is left as it was", {{"reason", settled.error().message}});
  indexer->start_thread();
}

}  // namespace muster::server
