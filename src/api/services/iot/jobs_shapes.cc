// SPDX-License-Identifier: Apache-2.0
#include "api/services/iot/jobs_shapes.h"

#include <algorithm>

#include "base/text.h"
#include "domain/registry/things.h"

namespace muster::api::iot {

namespace {

void put_text(json::object& shape, std::string_view member, const std::string& text) {
  if (!text.empty()) shape[member] = text;
}

json::object process_details(const jobs::JobDescription& description) {
  using enum jobs::ExecutionStatus;
  const auto& counts = description.counts;
  json::object details;
  if (!description.processing_targets.empty()) {
    details["processingTargets"] =
        json::array(description.processing_targets.begin(), description.processing_targets.end());
  }
  details["numberOfCanceledThings"] = counts.of(kCanceled);
  details["numberOfSucceededThings"] = counts.of(kSucceeded);
  details["numberOfFailedThings"] = counts.of(kFailed);
  details["numberOfRejectedThings"] = counts.of(kRejected);
  details["numberOfQueuedThings"] = counts.of(kQueued);
  details["numberOfInProgressThings"] = counts.of(kInProgress);
  details["numberOfRemovedThings"] = counts.of(kRemoved);
  details["numberOfTimedOutThings"] = counts.of(kTimedOut);
  return details;
}

// AWS shows these four empty where the job has none, the others not at all.
void put_configs(json::object& shape, const jobs::Job& job) {
  json::object presign;
  if (job.presign) {
    put_text(presign, "roleArn", job.presign->role_arn);
    presign["expiresInSec"] = job.presign->expires_seconds;
  }
  shape["presignedUrlConfig"] = std::move(presign);
  shape["jobExecutionsRolloutConfig"] = job.rollout ? jobs::to_json(*job.rollout) : json::object();
  // The server's own default is shown as well: it holds.
  shape["timeoutConfig"] = job.timeout_minutes != 0 ? jobs::timeout_to_json(job.timeout_minutes) : json::object();
  shape["schedulingConfig"] = jobs::to_json(job.schedule);
  if (job.abort) shape["abortConfig"] = jobs::to_json(*job.abort);
  if (job.retry) shape["jobExecutionsRetryConfig"] = jobs::to_json(*job.retry);
}

// Reads the member with its reader in config.h, when the request has it.
template <class T>
Status read_config(const json::object& input, std::string_view member, Result<T> (*read)(const json::object&),
                   std::optional<T>& config) {
  if (const auto* value = find_object(input, member)) {
    TRY(config, read(*value));
  }
  return {};
}

// Either of CreateJob and UpdateJob.
template <class Request>
Status read_configs(const json::object& input, Request& request) {
  TRY_VOID(read_config(input, "presignedUrlConfig", jobs::read_presign, request.presign));
  TRY_VOID(read_config(input, "jobExecutionsRolloutConfig", jobs::read_rollout, request.rollout));
  TRY_VOID(read_config(input, "abortConfig", jobs::read_abort, request.abort));
  TRY_VOID(read_config(input, "timeoutConfig", jobs::read_timeout, request.timeout_minutes));
  return read_config(input, "jobExecutionsRetryConfig", jobs::read_retry, request.retry);
}

Status check_sources(const json::object& input) {
  const bool inline_document = has(input, "document"), elsewhere = has(input, "documentSource");
  const bool from_template = has(input, "jobTemplateArn");
  if (inline_document && elsewhere) return invalid("Only one of document and documentSource can be given.");
  if (!inline_document && !elsewhere && !from_template) {
    return invalid("Either document, documentSource or jobTemplateArn must be given.");
  }
  if (has(input, "documentParameters") && !from_template) {
    return invalid("documentParameters can only be used with the jobTemplateArn of a managed template.");
  }
  return {};
}

}  // namespace

json::object job_shape(const Realm& realm, const jobs::JobDescription& description) {
  const jobs::Job& job = *description.job;
  json::object shape = job_summary_shape(realm, job);
  if (job.force_canceled) shape["forceCanceled"] = true;
  put_text(shape, "reasonCode", job.reason_code);
  put_text(shape, "comment", job.comment);
  shape["targets"] = json::array(job.targets.begin(), job.targets.end());
  put_text(shape, "description", job.description);
  shape["jobProcessDetails"] = process_details(description);
  put_configs(shape, job);
  put_text(shape, "namespaceId", job.namespace_id);
  put_text(shape, "jobTemplateArn", job.template_arn);
  if (!job.parameters.empty()) {
    json::object parameters;
    for (const auto& [key, value] : job.parameters) parameters[key] = value;
    shape["documentParameters"] = std::move(parameters);
  }
  if (!description.scheduled_rollouts.empty()) {
    json::array rollouts;
    for (const auto start_ms : description.scheduled_rollouts) {
      // A string in the model; no source shows one.
      rollouts.emplace_back(json::object{{"startTime", to_iso8601(start_ms, false)}});
    }
    shape["scheduledJobRollouts"] = std::move(rollouts);
  }
  return shape;
}

json::object job_summary_shape(const Realm& realm, const jobs::Job& job) {
  json::object shape;
  shape["jobArn"] = iot_arn(realm, "job", job.id);
  shape["jobId"] = job.id;
  shape["targetSelection"] = to_string(job.selection);
  shape["status"] = to_string(job.status);
  shape["createdAt"] = job.created_ms;
  shape["lastUpdatedAt"] = job.updated_ms;
  if (job.completed_ms != 0) shape["completedAt"] = job.completed_ms;
  shape["isConcurrent"] = job.is_concurrent();
  return shape;
}

json::object job_reference_shape(const Realm& realm, const jobs::Job& job) {
  json::object shape;
  shape["jobArn"] = iot_arn(realm, "job", job.id);
  shape["jobId"] = job.id;
  put_text(shape, "description", job.description);
  return shape;
}

json::object execution_shape(const Realm& realm, const jobs::ExecutionRow& row, std::int64_t now_ms) {
  const jobs::Execution& e = row.execution;
  json::object shape;
  shape["jobId"] = row.job;
  shape["status"] = to_string(e.status);
  shape["forceCanceled"] = e.force_canceled;
  json::object details;
  for (const auto& [key, value] : e.details) details[key] = value;
  shape["statusDetails"] = json::object{{"detailsMap", std::move(details)}};
  shape["thingArn"] = registry::thing_arn(realm, row.thing);
  shape["queuedAt"] = e.queued_ms;
  if (e.started_ms != 0) shape["startedAt"] = e.started_ms;
  shape["lastUpdatedAt"] = e.updated_ms;
  shape["executionNumber"] = e.number;
  shape["versionNumber"] = e.version;
  if (const auto due = e.due_ms(); due != 0) {
    shape["approximateSecondsBeforeTimedOut"] = std::max<std::int64_t>(0, (due - now_ms) / 1000);
  }
  return shape;
}

json::object execution_summary_shape(const jobs::Execution& e) {
  json::object shape;
  shape["status"] = to_string(e.status);
  shape["queuedAt"] = e.queued_ms;
  if (e.started_ms != 0) shape["startedAt"] = e.started_ms;
  shape["lastUpdatedAt"] = e.updated_ms;
  shape["executionNumber"] = e.number;
  shape["retryAttempt"] = e.retries.all();
  return shape;
}

std::optional<std::int64_t> optional_int(const json::object& input, std::string_view member) {
  if (!has(input, member)) return std::nullopt;
  return get_int(input, member);
}

std::vector<std::string> text_list(const json::object& input, std::string_view member) {
  std::vector<std::string> texts;
  const auto* list = find_array(input, member);
  if (list == nullptr) return texts;
  for (const auto& item : *list) {
    if (item.is_string()) texts.emplace_back(item.get_string());
  }
  return texts;
}

Result<jobs::NewJob> new_job(const json::object& input, std::int64_t now_ms) {
  TRY_VOID(check_sources(input));
  jobs::NewJob job;
  job.id = get_string(input, "jobId");
  job.targets = text_list(input, "targets");
  job.document = get_string(input, "document");
  job.document_source = get_string(input, "documentSource");
  job.description = get_string(input, "description");
  if (has(input, "targetSelection")) job.selection = jobs::selection_from(get_string(input, "targetSelection"));
  TRY_VOID(read_configs(input, job));
  if (const auto* schedule = find_object(input, "schedulingConfig")) {
    TRY(job.schedule, jobs::read_schedule(*schedule, now_ms));
  }
  job.namespace_id = get_string(input, "namespaceId");
  job.template_arn = get_string(input, "jobTemplateArn");
  if (const auto* parameters = find_object(input, "documentParameters")) {
    for (const auto& [key, value] : *parameters) {
      if (value.is_string()) job.parameters.emplace(key, value.get_string());
    }
  }
  return job;
}

Result<jobs::JobChange> job_change(const json::object& input) {
  jobs::JobChange change;
  if (has(input, "description")) change.description = std::string(get_string(input, "description"));
  TRY_VOID(read_configs(input, change));
  return change;
}

Result<std::optional<jobs::StatusDetails>> status_details(const json::object& input) {
  if (!has(input, "statusDetails")) return std::optional<jobs::StatusDetails>();
  TRY(auto details, jobs::parse_status_details(input.at("statusDetails")));
  return std::optional(std::move(details));
}

}  // namespace muster::api::iot
