// SPDX-License-Identifier: Apache-2.0
// Shapes of the Jobs control plane: domain values to output members and input members to domain values. Pure functions.
// Timestamps are int64 milliseconds here, as everywhere above the wire. Source: service model iot 2015-05-28.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/json.h"
#include "base/result.h"
#include "domain/jobs/executions.h"
#include "domain/jobs/jobs.h"

namespace muster::api::iot {

json::object job_shape(const Realm& realm, const jobs::JobDescription& description);  // Job
json::object job_summary_shape(const Realm& realm, const jobs::Job& job);             // JobSummary
json::object job_reference_shape(const Realm& realm, const jobs::Job& job);           // jobArn, jobId, description
json::object execution_shape(const Realm& realm, const jobs::ExecutionRow& row, std::int64_t now_ms);  // JobExecution
json::object execution_summary_shape(const jobs::Execution& execution);  // JobExecutionSummary

std::optional<std::int64_t> optional_int(const json::object& input, std::string_view member);
// CreateJob but for what needs the store (the text of documentSource, the template's members) and the tags. kInvalid
// where members exclude each other, and as config.h and schedule.h say.
Result<jobs::NewJob> new_job(const json::object& input, std::int64_t now_ms);
Result<jobs::JobChange> job_change(const json::object& input);  // UpdateJob
std::vector<std::string> text_list(const json::object& input, std::string_view member);
Result<std::optional<jobs::StatusDetails>> status_details(const json::object& input);

}  // namespace muster::api::iot
