// SPDX-License-Identifier: Apache-2.0
// Cancel: the ends that a job can come to before its time: canceled by an operator, by an abort criterion, by its
// schedule; and deleted. Each sets the job's state at once and leaves the executions to sweep() and purge()
// (rollout.h), of which few things' are done in the same transaction. Source: jobs spec 1.5, 4.2, 4.5.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "domain/jobs/context.h"
#include "domain/jobs/job.h"
#include "domain/jobs/plan.h"
#include "store/store.h"

namespace muster::jobs {

// Codes that Muster fills in where AWS says only that the service does (spec 1.5, unverified).
inline constexpr std::string_view kAbortReason = "ABORT_CRITERIA_MET", kEndReason = "SCHEDULE_ENDED",
                                  kExpiredReason = "NEVER_STARTED";

// As CancelJob without force.
Result<std::shared_ptr<const Job>> abort_job(const Context& context, store::Tx& tx, const Job& job,
                                             std::size_t criterion, const JobCounts& counts, Effects& effects);
// The end of the schedule: CANCEL and FORCE_CANCEL cancel; STOP_ROLLOUT lets what exists finish.
Result<std::shared_ptr<const Job>> end_job(const Context& context, store::Tx& tx, const Job& job, Effects& effects);

// The sweep of a canceled job is over. Returns the job as it is then.
std::shared_ptr<const Job> swept(const Context& context, store::Tx& tx, const Job& stored, Effects& effects);

// A job that ended so long ago that it is deleted: handler of the timer of this kind, whose id is the job's.
inline constexpr std::string_view kRetentionTimer = "job-retention";
void arm_retention(const Context& context, store::Tx& tx, const Job& job);
Status retention_due(const Context& context, store::Tx& tx, std::string_view job_id, Effects& effects);

}  // namespace muster::jobs
