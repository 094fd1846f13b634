// SPDX-License-Identifier: Apache-2.0
// Rollout and sweeps: the bounded pieces of work on a job's executions that create_job and cancel_job do at once for
// few things, and the engine for many. Each call is part of the caller's transaction, touches at most `budget`
// executions and says whether the work is finished. Progress is kept in kJobTarget (rollout) or follows from what is
// left (sweeps).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/jobs/context.h"
#include "domain/jobs/execution.h"
#include "domain/jobs/job.h"
#include "domain/jobs/pending.h"
#include "store/store.h"

namespace muster::jobs {

// Remembers the targets as still to be rolled out. Each names a thing or thing group of this realm that exists;
// kNotFound otherwise.
Status put_targets(const Context& context, store::Tx& tx, const Job& job);
std::vector<std::string> remaining_targets(store::Tx& tx, std::string_view job_id);

struct Progress {
  bool finished = false;
  std::size_t executions = 0;  // created, canceled or deleted now
  std::string position;        // where to go on (see engine.h, Step)
};

// Creates executions for things that have none of this job yet: members of group targets including child groups, once.
Result<Progress> roll_out(const Context& context, store::Tx& tx, const Job& job, std::size_t budget, Effects& effects);

// Cancels what job.sweep names.
Result<Progress> sweep(const Context& context, store::Tx& tx, const Job& job, std::string_view position,
                       std::size_t budget, Effects& effects);

// Deletes the executions of a job in deletion; finished: all are gone, and with them everything else of the job.
Result<Progress> purge(const Context& context, store::Tx& tx, const Job& job, std::string_view position,
                       std::size_t budget, Effects& effects);

// No execution in QUEUED or IN_PROGRESS. Conflicts with whoever adds one.
bool all_terminal(store::Tx& tx, std::string_view job_id);

// The engine's list of jobs.
void mark_active(store::Tx& tx, std::string_view job_id);
void mark_inactive(store::Tx& tx, std::string_view job_id);

// One change of an execution with all that belongs to it: record, listings, counts, timer, pending list, notifications.
// `before` nullptr: new; `after` nullptr: deleted.
Status change_execution(const Context& context, store::Tx& tx, const ExecutionId& id, const Execution* before,
                        const Execution* after, Effects& effects);
// The same for who has read the pending list already.
Status change_execution(PendingChange& pending, store::Tx& tx, const ExecutionId& id, const Execution* before,
                        const Execution* after, Effects& effects);
// The execution as canceled now.
Execution canceled(const Execution& before, bool force, std::int64_t now_ms);

// How many jobs are in DELETION_IN_PROGRESS.
std::int64_t deleting_jobs(store::Tx& tx);
void count_deleting_jobs(store::Tx& tx, std::int64_t delta);

}  // namespace muster::jobs
