// SPDX-License-Identifier: Apache-2.0
// Events: $aws/events/job/... and $aws/events/jobExecution/... as UpdateEventConfigurations enables them; ordinary
// messages of the outbox, in the transaction that causes them. Off by default. Source: developer guide "Jobs events",
// jobs spec 6.
#pragma once

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
void announce_job(const Context& context, store::Tx& tx, const Job& job, JobEvent event, Effects& effects);

// A terminal status, or (after == nullptr) a deletion. Others are no event.
void announce_execution(const Context& context, store::Tx& tx, const ExecutionId& id, const Execution& before,
                        const Execution* after, Effects& effects);

}  // namespace muster::jobs
