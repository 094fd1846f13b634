// SPDX-License-Identifier: Apache-2.0
// Events: $aws/events/job/... and $aws/events/jobExecution/... as UpdateEventConfigurations enables them; ordinary
// messages of the outbox (QoS 1), in the transaction that causes them. Off by default, and then a call costs one read
// that conflicts with nobody. Source: developer guide "Jobs events", jobs spec 6.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "domain/jobs/context.h"
#include "domain/jobs/execution.h"
#include "domain/jobs/job.h"
#include "store/store.h"

namespace muster::jobs {

enum class JobEvent : std::uint8_t {
  kCompleted,
  kCancellationInProgress,
  kCanceled,
  kDeletionInProgress,
  kDeleted,
};
// `job` as it is after the change (before it is gone). kCompleted tells the counts of its executions: call it when they
// are written. Canceling and deleting are two events each, also where both happen in one transaction.
void announce_job(const Context& context, store::Tx& tx, const Job& job, JobEvent event, Effects& effects);

// A terminal status, or (after == nullptr) a deletion, which tells the status before it. Others are no event.
void announce_execution(const Context& context, store::Tx& tx, const ExecutionId& id, const Execution& before,
                        const Execution* after, Effects& effects);

}  // namespace muster::jobs
