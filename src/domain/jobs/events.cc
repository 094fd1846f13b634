// SPDX-License-Identifier: Apache-2.0
// Times within an event are as the guide's examples show them: timestamp in seconds, createdAt and its like in
// milliseconds.
#include "domain/jobs/events.h"

#include <array>

#include "base/crypto.h"
#include "base/json.h"
#include "base/text.h"
#include "domain/jobs/jobs.h"
#include "domain/registry/event_configurations.h"
#include "domain/registry/things.h"
#include "store/outbox.h"

namespace muster::jobs {

namespace {

struct EventNames {
  std::string_view operation, status;
};
constexpr std::array<EventNames, 5> kJobEvents{{{"completed", "COMPLETED"},
                                                {"cancellation_in_progress", "CANCELLATION_IN_PROGRESS"},
                                                {"canceled", "CANCELED"},
                                                {"deletion_in_progress", "DELETION_IN_PROGRESS"},
                                                {"deleted", "DELETED"}}};

json::object event_head(const store::Tx& tx, std::string_view type, std::string_view operation) {
  return {{"eventType", type}, {"eventId", random_uuid()}, {"timestamp", tx.now_ms() / 1000}, {"operation", operation}};
}

void publish(store::Tx& tx, std::string_view kind, std::string_view job_id, std::string_view operation,
             const json::object& event, Effects& effects) {
  std::string topic = "$aws/events/";
  topic.append(kind).append("/").append(job_id).append("/").append(operation);
  store::enqueue(tx, {std::move(topic), to_text(event), 1});
  effects.messages = true;
}

json::object process_details(store::Tx& tx, std::string_view job_id) {
  using enum ExecutionStatus;
  const JobCounts counts = job_counts(tx, job_id);
  return {{"numberOfCanceledThings", counts.of(kCanceled)},   {"numberOfRejectedThings", counts.of(kRejected)},
          {"numberOfFailedThings", counts.of(kFailed)},       {"numberOfRemovedThings", counts.of(kRemoved)},
          {"numberOfSucceededThings", counts.of(kSucceeded)}, {"numberOfTimedOutThings", counts.of(kTimedOut)}};
}

// As the guide's examples have it.
bool tells_comment(JobEvent event) {
  return event != JobEvent::kCompleted && event != JobEvent::kCanceled;
}

}  // namespace

void announce_job(const Context&, store::Tx& tx, const Job& job, JobEvent event, Effects& effects) {
  if (!registry::event_enabled(tx, "JOB")) return;
  const EventNames& names = kJobEvents[static_cast<std::size_t>(event)];
  json::object message = event_head(tx, "JOB", names.operation);
  message["jobId"] = job.id;
  message["status"] = names.status;
  message["targetSelection"] = to_string(job.selection);
  message["targets"] = json::array(job.targets.begin(), job.targets.end());
  if (!job.description.empty()) message["description"] = job.description;
  if (event == JobEvent::kCompleted) message["completedAt"] = job.completed_ms;
  message["createdAt"] = job.created_ms;
  message["lastUpdatedAt"] = job.updated_ms;
  if (tells_comment(event) && !job.comment.empty()) message["comment"] = job.comment;
  if (event == JobEvent::kCompleted) message["jobProcessDetails"] = process_details(tx, job.id);
  publish(tx, "job", job.id, names.operation, message, effects);
}

void announce_execution(const Context& context, store::Tx& tx, const ExecutionId& id, const Execution& before,
                        const Execution* after, Effects& effects) {
  const bool ended = after != nullptr && is_terminal(after->status) && !is_terminal(before.status);
  if (after != nullptr && !ended) return;
  if (!registry::event_enabled(tx, "JOB_EXECUTION")) return;
  // Source: "the status field reflects the job execution status prior to the deletion" (guide of 2018).
  const Execution& told = ended ? *after : before;
  const std::string operation = ended ? lower(to_string(told.status)) : "deleted";
  json::object message = event_head(tx, "JOB_EXECUTION", operation);
  message["jobId"] = id.job;
  message["thingArn"] = registry::thing_arn(context.realm, id.thing);
  message["status"] = to_string(told.status);
  if (!told.details.empty()) {
    json::object details;
    for (const auto& [key, value] : told.details) details[key] = value;
    message["statusDetails"] = std::move(details);
  }
  publish(tx, "jobExecution", id.job, operation, message, effects);
}

}  // namespace muster::jobs
