// SPDX-License-Identifier: Apache-2.0
// The operations on executions of jobs.h.
#include "api/services/iot/jobs.h"
#include "api/services/iot/jobs_shapes.h"
#include "domain/registry/things.h"

namespace muster::api::iot {

namespace {

using jobs::Effects;
using store::Tx;

jobs::ExecutionFilter execution_filter(const json::object& input) {
  jobs::ExecutionFilter filter;
  if (has(input, "status")) filter.status = jobs::execution_status_from(get_string(input, "status"));
  filter.max_results = static_cast<std::size_t>(get_int(input, "maxResults", 250));
  filter.next_token = get_string(input, "nextToken");
  return filter;
}

// `name`: the member that tells the rows of this listing apart.
template <class NameOf>
json::object execution_page(const jobs::Page<jobs::ExecutionRow>& page, std::string_view name, NameOf name_of) {
  json::array summaries;
  for (const auto& row : page.items) {
    json::object entry;
    entry[name] = name_of(row);
    entry["jobExecutionSummary"] = execution_summary_shape(row.execution);
    summaries.emplace_back(std::move(entry));
  }
  json::object output{{"executionSummaries", std::move(summaries)}};
  if (!page.next_token.empty()) output["nextToken"] = page.next_token;
  return output;
}

Result<json::object> list_for_job(const JobsServices& services, Tx& tx, const json::object& input, Effects&) {
  const auto filter = execution_filter(input);
  TRY(const auto page, jobs::list_executions_of_job(services.context, tx, get_string(input, "jobId"), filter));
  return execution_page(page, "thingArn",
                        [&](const auto& row) { return registry::thing_arn(services.context.realm, row.thing); });
}

Result<json::object> list_for_thing(const JobsServices& services, Tx& tx, const json::object& input, Effects&) {
  auto filter = execution_filter(input);
  filter.job = get_string(input, "jobId");
  filter.namespace_id = get_string(input, "namespaceId");
  TRY(const auto page, jobs::list_executions_of_thing(services.context, tx, get_string(input, "thingName"), filter));
  return execution_page(page, "jobId", [](const auto& row) { return row.job; });
}

Result<json::object> describe(const JobsServices& services, Tx& tx, const json::object& input, Effects&) {
  TRY(const auto row, jobs::describe_execution(services.context, tx, get_string(input, "thingName"),
                                               get_string(input, "jobId"), optional_int(input, "executionNumber")));
  return json::object{{"execution", execution_shape(services.context.realm, row, tx.now_ms())}};
}

Result<json::object> cancel(const JobsServices& services, Tx& tx, const json::object& input, Effects& effects) {
  jobs::ExecutionCancellation request;
  request.thing = get_string(input, "thingName");
  request.job = get_string(input, "jobId");
  request.force = get_bool(input, "force");
  request.expected_version = optional_int(input, "expectedVersion");
  TRY(request.details, status_details(input));
  TRY_VOID(jobs::cancel_execution(services.context, tx, request, effects));
  return json::object();
}

Result<json::object> remove(const JobsServices& services, Tx& tx, const json::object& input, Effects& effects) {
  TRY_VOID(check_namespace(services, tx, input));
  const jobs::ExecutionId id{std::string(get_string(input, "thingName")), std::string(get_string(input, "jobId")),
                             get_int(input, "executionNumber")};
  TRY_VOID(jobs::delete_execution(services.context, tx, id, get_bool(input, "force"), effects));
  return json::object();
}

}  // namespace

void register_job_executions(Operations& operations, const std::shared_ptr<const JobsServices>& services) {
  const auto add = [&](std::string_view operation, JobsBody body) {
    operations.add("iot", operation, jobs_handler(services, std::move(body)));
  };
  add("ListJobExecutionsForJob", list_for_job);
  add("ListJobExecutionsForThing", list_for_thing);
  add("DescribeJobExecution", describe);
  add("CancelJobExecution", cancel);
  add("DeleteJobExecution", remove);
}

}  // namespace muster::api::iot
