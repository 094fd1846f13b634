// SPDX-License-Identifier: Apache-2.0
#include "api/services/iot/jobs_shapes.h"

#include <algorithm>

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

}  // namespace

json::object job_shape(const Realm& realm, const jobs::JobDescription& description) {
  const jobs::Job& job = *description.job;
  json::object shape = job_summary_shape(realm, job);
  if (job.force_canceled) shape["forceCanceled"] = true;
  put_text(shape, "reasonCode", job.reason_code);
  put_text(shape, "comment", job.comment);
  shape["targets"] = json::array(job.targets.begin(), job.targets.end());
  put_text(shape, "description", job.description);
  json::object presign;
  if (job.presign) {
    put_text(presign, "roleArn", job.presign->role_arn);
    presign["expiresInSec"] = job.presign->expires_seconds;
  }
  shape["presignedUrlConfig"] = std::move(presign);
  shape["jobProcessDetails"] = process_details(description);
  json::object timeout;
  if (job.timeout_minutes != 0) timeout["inProgressTimeoutInMinutes"] = job.timeout_minutes;
  shape["timeoutConfig"] = std::move(timeout);
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
  shape["retryAttempt"] = 0;
  return shape;
}

std::optional<std::int64_t> optional_int(const json::object& input, std::string_view member) {
  if (!has(input, member)) return std::nullopt;
  return get_int(input, member);
}

std::optional<jobs::PresignConfig> presign_config(const json::object& input) {
  const auto* config = find_object(input, "presignedUrlConfig");
  if (config == nullptr) return std::nullopt;
  return jobs::PresignConfig{std::string(get_string(*config, "roleArn")), get_int(*config, "expiresInSec", 3600)};
}

Result<std::optional<std::int64_t>> timeout_minutes(const json::object& input) {
  const auto* config = find_object(input, "timeoutConfig");
  if (config == nullptr) return std::optional<std::int64_t>();
  const auto minutes = optional_int(*config, "inProgressTimeoutInMinutes");
  if (!minutes) return invalid("timeoutConfig must have inProgressTimeoutInMinutes.");
  return minutes;
}

Result<std::optional<jobs::StatusDetails>> status_details(const json::object& input) {
  if (!has(input, "statusDetails")) return std::optional<jobs::StatusDetails>();
  TRY(auto details, jobs::parse_status_details(input.at("statusDetails")));
  return std::optional(std::move(details));
}

}  // namespace muster::api::iot
