// SPDX-License-Identifier: Apache-2.0
// Failure reasons: what devices gave as the reason of executions that FAILED, were REJECTED or TIMED_OUT, most frequent
// first: the detail "reason" of statusDetails, else the first detail. Reads the first kReasonsSampled executions of
// each of the three statuses; a job with more shows a sample.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/jobs/context.h"
#include "domain/jobs/execution.h"
#include "store/store.h"

namespace muster::jobs {

inline constexpr std::size_t kReasonsSampled = 250;
inline constexpr std::size_t kReasonsShown = 5;

struct FailureReason {
  ExecutionStatus status = ExecutionStatus::kFailed;
  std::string reason;  // "disk full", or "KEY=VALUE" of another detail; empty: none was given
  std::int64_t count = 0;
};
// At most kReasonsShown. kNotFound: no such job.
Result<std::vector<FailureReason>> failure_reasons(const Context& context, store::Tx& tx, std::string_view job_id);

}  // namespace muster::jobs
