// SPDX-License-Identifier: Apache-2.0
// Rollout and sweeps: the bounded pieces of work on a job's executions that create_job and cancel_job do at once for
// few things, and the engine for many. Each call is part of the caller's transaction, touches at most `budget`
// executions and says whether the work is finished. Progress is kept in kJobTarget (targets still to be rolled out) and
// kJobRollout (how far it is), or follows from what is left (sweeps).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/jobs/context.h"
#include "domain/jobs/execution.h"
#include "domain/jobs/job.h"
#include "domain/jobs/plan.h"
#include "store/store.h"

namespace muster::jobs {

// Remembers targets as still to be rolled out, behind those that are. Each names a thing or thing group of this realm
// that exists; kNotFound otherwise.
Status put_targets(const Context& context, store::Tx& tx, std::string_view job_id,
                   const std::vector<std::string>& targets);
// The same for one thing that joined a group while its job is still rolling out.
void put_thing_target(const Context& context, store::Tx& tx, std::string_view job_id, std::string_view thing);
// A thing that joined a snapshot job's target after its creation: a walk through groups leaves it out. The second tells
// whether it was so.
void pass_over(store::Tx& tx, std::string_view job_id, std::string_view thing);
bool pass_over_no_more(store::Tx& tx, std::string_view job_id, std::string_view thing);
bool is_late(store::Tx& tx, std::string_view job_id, std::string_view thing);
// Targets as given, without those things.
std::vector<std::string> remaining_targets(store::Tx& tx, std::string_view job_id);
// Things targeted, without going through them; a thing in two targets counts twice.
std::int64_t fleet_size(const Context& context, store::Tx& tx, const std::vector<std::string>& targets);

// Progress of a job beside its record (plan.h) and what the engine's slow sweeps need.
struct JobProgress {
  RolloutState rollout;
  std::string announce_from;   // position of announce_offers()
  std::string expire_from;     // position of expire_queued()
  std::int64_t expire_ms = 0;  // when expire_queued() begins again; 0: not yet set
};
Result<JobProgress> read_progress(store::Tx& tx, std::string_view job_id);
void put_progress(store::Tx& tx, std::string_view job_id, const JobProgress& progress);

struct Progress {
  bool finished = false;
  std::size_t executions = 0;  // created, canceled or deleted now
  std::string position;        // where to go on (see engine.h, Step)
};

// Creates at most `allowed` executions for things that have none of this job yet: members of group targets including
// child groups, once; looks at no more than `budget` things.
struct RolloutBounds {
  std::size_t budget = 0;
  std::size_t allowed = 0;
};
Result<Progress> roll_out(const Context& context, store::Tx& tx, const Job& job, RolloutBounds bounds,
                          Effects& effects);

// Cancels what job.sweep names.
Result<Progress> sweep(const Context& context, store::Tx& tx, const Job& job, std::string_view position,
                       std::size_t budget, Effects& effects);

// Tells the things with a QUEUED execution that it is on offer, or no longer. Goes on at progress.announce_from.
Result<Progress> announce_offers(const Context& context, store::Tx& tx, const Job& job, JobProgress& progress,
                                 std::size_t budget, Effects& effects);

// The job's offer has changed: announce_offers() is to begin anew. Sets job.announcing; the caller puts the job.
Status announce_again(store::Tx& tx, Job& job);

// Cancels executions that were QUEUED before `queued_before_ms`. Goes on at progress.expire_from.
Result<Progress> expire_queued(const Context& context, store::Tx& tx, const Job& job, JobProgress& progress,
                               std::int64_t queued_before_ms, std::size_t budget, Effects& effects);

// Deletes the executions of a job in deletion; finished: all are gone, and with them everything else of the job.
Result<Progress> purge(const Context& context, store::Tx& tx, const Job& job, std::string_view position,
                       std::size_t budget, Effects& effects);

// No execution in QUEUED or IN_PROGRESS. Conflicts with whoever adds one.
bool all_terminal(store::Tx& tx, std::string_view job_id);

// The engine's list of jobs.
void mark_active(store::Tx& tx, std::string_view job_id);
void mark_inactive(store::Tx& tx, std::string_view job_id);

}  // namespace muster::jobs
