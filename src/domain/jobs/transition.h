// SPDX-License-Identifier: Apache-2.0
// Transition: the one way in which an execution comes to be, changes and goes, with all that belongs to it: record,
// listings, counts, timers, pending list and notices, events, and what an ending means: a retry, an abort of the job.
// Whoever changes an execution, a device, an operator or the service, comes here. Functions of a transaction.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "domain/jobs/context.h"
#include "domain/jobs/execution.h"
#include "domain/jobs/job.h"
#include "domain/jobs/pending.h"
#include "store/store.h"

namespace muster::jobs {

// `before` nullptr: new; `after` nullptr: deleted. `pending` is the thing's, not yet finished: the caller, who may make
// several changes of one thing, finishes it.
struct Transition {
  const Job& job;
  std::int64_t number = 1;
  const Execution* before = nullptr;
  const Execution* after = nullptr;
};
Status apply_transition(const Context& context, store::Tx& tx, PendingChange& pending, const Transition& change,
                        Effects& effects);

// The same for a single change, with the announcement.
Status make_transition(const Context& context, store::Tx& tx, std::string_view thing, const Transition& change,
                       Effects& effects);

// A QUEUED execution of the job on the thing.
Status queue_execution(const Context& context, store::Tx& tx, PendingChange& pending, const Job& job,
                       std::int64_t number, Effects& effects);

// The execution as canceled, removed (version as it was, spec 3.2) or timed out now.
Execution canceled(const Execution& before, bool force, std::int64_t now_ms);
Execution removed(const Execution& before, std::int64_t now_ms);
Execution timed_out(const Execution& before, std::int64_t now_ms);

}  // namespace muster::jobs
