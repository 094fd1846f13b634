// SPDX-License-Identifier: Apache-2.0
// Why: sentences, with the facts behind them, about why a rollout waits and why a thing is or is not offered a job. It
// decides nothing itself: a rollout's reason is plan.h's decision on engine.h's facts, an offer is pending.h's, so an
// explanation cannot differ from what happens. Reads snapshots where it reads much, writes nothing. Bounds: looks at
// kWhyPending entries of a thing's pending list.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/finding.h"
#include "base/result.h"
#include "domain/jobs/context.h"
#include "domain/jobs/job.h"
#include "domain/jobs/plan.h"
#include "store/store.h"

namespace muster::jobs {

inline constexpr std::size_t kWhyPending = 200;

// Why the rollout is where it is: one finding about what it does or waits for ("job.waits.rate", "job.canceled").
Result<Finding> explain_rollout(const Context& context, store::Tx& tx, const Job& job);
// The same of facts that were read: of the job as it is at `now_ms`.
Finding explain_decision(const Context& context, const Job& job, const Facts& facts, std::int64_t now_ms);

// Of a job alone: state, waiting, counts. A finding "job.unknown" when there is none.
Result<Findings> explain_job(const Context& context, store::Tx& tx, std::string_view job_id);
// Of a job on a thing: targeted or not, where in the queue, held by what, how it ended.
Result<Findings> explain_execution(const Context& context, store::Tx& tx, std::string_view thing,
                                   std::string_view job_id);
// What is pending for a thing, in order, and what of it is on offer.
Result<Findings> explain_thing(const Context& context, store::Tx& tx, std::string_view thing);

}  // namespace muster::jobs
