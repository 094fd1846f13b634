// SPDX-License-Identifier: Apache-2.0
// Membership: what joining and leaving thing groups means for continuous jobs: who joins a targeted group (or one below
// it) gets an execution, who leaves all of them loses the one that is QUEUED. Called by whoever changes memberships, in
// the same transaction. Source: jobs spec 3.3.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/jobs/context.h"
#include "domain/jobs/job.h"
#include "store/store.h"

namespace muster::jobs {

// `before` and `after`: every group that contains the thing, ancestors and dynamic groups included
// (registry::groups_of_thing_with_ancestors). A group in both is no event.
Status membership_changed(const Context& context, store::Tx& tx, std::string_view thing,
                          const std::vector<std::string>& before, const std::vector<std::string>& after,
                          Effects& effects);

// The index that the above asks: group -> jobs that follow it (Job::follows_groups).
void index_groups(const Context& context, store::Tx& tx, const Job& job);
void unindex_groups(const Context& context, store::Tx& tx, const Job& job);

// Is the thing still targeted, itself or by a group? (retries of continuous jobs)
bool is_targeted(const Context& context, store::Tx& tx, const Job& job, std::string_view thing);

}  // namespace muster::jobs
