// SPDX-License-Identifier: Apache-2.0
#include "api/services/data/jobs_data.h"

#include "api/services/iot/jobs_shapes.h"

namespace muster::api::data {

namespace {

using iot::JobsServices;
using iot::optional_int;
using jobs::Effects;
using store::Tx;

json::array summaries_shape(const std::vector<jobs::PendingEntry>& entries) {
  json::array shapes;
  for (const auto& entry : entries) {
    json::object shape{{"jobId", entry.job}, {"queuedAt", entry.queued_ms / 1000}};
    if (entry.started_ms != 0) shape["startedAt"] = entry.started_ms / 1000;
    shape["lastUpdatedAt"] = entry.updated_ms / 1000;
    shape["versionNumber"] = entry.version;
    shape["executionNumber"] = entry.number;
    shapes.emplace_back(std::move(shape));
  }
  return shapes;
}

json::object details_shape(const jobs::StatusDetails& details) {
  json::object shape;
  for (const auto& [key, value] : details) shape[key] = value;
  return shape;
}

json::object execution_shape(const jobs::DeviceExecution& execution) {
  const jobs::Execution& e = execution.execution;
  json::object shape{{"jobId", execution.job}, {"thingName", execution.thing}, {"status", to_string(e.status)}};
  if (!e.details.empty()) shape["statusDetails"] = details_shape(e.details);
  shape["queuedAt"] = e.queued_ms / 1000;
  if (e.started_ms != 0) shape["startedAt"] = e.started_ms / 1000;
  shape["lastUpdatedAt"] = e.updated_ms / 1000;
  if (execution.seconds_to_timeout) shape["approximateSecondsBeforeTimedOut"] = *execution.seconds_to_timeout;
  shape["versionNumber"] = e.version;
  shape["executionNumber"] = e.number;
  if (execution.document) shape["jobDocument"] = *execution.document;
  return shape;
}

json::object execution_output(const std::optional<jobs::DeviceExecution>& execution) {
  json::object output;
  if (execution) output["execution"] = execution_shape(*execution);
  return output;
}

Result<json::object> get_pending(const JobsServices& services, Tx& tx, const json::object& input, Effects&) {
  TRY(const auto lists, jobs::get_pending(services.context, tx, get_string(input, "thingName")));
  return json::object{{"inProgressJobs", summaries_shape(lists.in_progress)},
                      {"queuedJobs", summaries_shape(lists.queued)}};
}

Result<json::object> start_next(const JobsServices& services, Tx& tx, const json::object& input, Effects& effects) {
  jobs::StartNext request;
  request.thing = get_string(input, "thingName");
  TRY(request.details, iot::status_details(input));
  request.step_timeout_minutes = optional_int(input, "stepTimeoutInMinutes");
  TRY(const auto execution, jobs::start_next(services.context, tx, request, effects));
  return execution_output(execution);
}

Result<json::object> describe(const JobsServices& services, Tx& tx, const json::object& input, Effects&) {
  jobs::Describe request;
  request.thing = get_string(input, "thingName");
  request.job = get_string(input, "jobId");
  request.number = optional_int(input, "executionNumber");
  request.include_document = get_bool(input, "includeJobDocument", true);
  TRY(const auto execution, jobs::describe_for_device(services.context, tx, request));
  return execution_output(execution);
}

Result<json::object> update(const JobsServices& services, Tx& tx, const json::object& input, Effects& effects) {
  jobs::Update request;
  request.thing = get_string(input, "thingName");
  request.job = get_string(input, "jobId");
  request.status = get_string(input, "status");
  TRY(request.details, iot::status_details(input));
  request.step_timeout_minutes = optional_int(input, "stepTimeoutInMinutes");
  request.expected_version = optional_int(input, "expectedVersion");
  request.number = optional_int(input, "executionNumber");
  request.include_state = get_bool(input, "includeJobExecutionState");
  request.include_document = get_bool(input, "includeJobDocument");
  TRY(const auto updated, jobs::update_execution(services.context, tx, request, effects));
  json::object output;
  if (updated.state) {
    json::object state = jobs::execution_state(*updated.state);
    output["executionState"] = std::move(state);
  }
  if (updated.document) output["jobDocument"] = *updated.document;
  return output;
}

}  // namespace

void register_jobs_data(Operations& operations, const JobsServices& given) {
  const auto services = std::make_shared<const JobsServices>(given);
  const auto add = [&](std::string_view operation, iot::JobsBody body) {
    operations.add("iot-jobs-data", operation, iot::jobs_handler(services, std::move(body)));
  };
  add("GetPendingJobExecutions", get_pending);
  add("StartNextPendingJobExecution", start_next);
  add("DescribeJobExecution", describe);
  add("UpdateJobExecution", update);
}

}  // namespace muster::api::data
