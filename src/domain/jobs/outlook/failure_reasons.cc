// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/outlook/failure_reasons.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "domain/jobs/executions.h"

namespace muster::jobs {

namespace {

std::string reason_of(const StatusDetails& details) {
  for (const auto& [key, value] : details) {
    if (key == "reason") return value;
  }
  return details.empty() ? "" : details.front().first + "=" + details.front().second;
}

}  // namespace

Result<std::vector<FailureReason>> failure_reasons(const Context& context, store::Tx& tx, std::string_view job_id) {
  std::vector<FailureReason> reasons;
  for (const auto status : {ExecutionStatus::kFailed, ExecutionStatus::kRejected, ExecutionStatus::kTimedOut}) {
    ExecutionFilter filter;
    filter.status = status;
    filter.max_results = kReasonsSampled;
    TRY(const auto page, list_executions_of_job(context, tx, job_id, filter));
    std::map<std::string, std::int64_t> counts;
    for (const auto& row : page.items) ++counts[reason_of(row.execution.details)];
    for (const auto& [reason, count] : counts) reasons.push_back({status, reason, count});
  }
  std::ranges::sort(reasons, {}, [](const FailureReason& r) { return std::tuple(-r.count, r.status, r.reason); });
  if (reasons.size() > kReasonsShown) reasons.resize(kReasonsShown);
  return reasons;
}

}  // namespace muster::jobs
