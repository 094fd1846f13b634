// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/job.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "base/crypto.h"
#include "base/json.h"
#include "domain/jobs/caches.h"
#include "domain/jobs/membership.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::jobs {

namespace {

constexpr std::array<std::string_view, 5> kStatusNames{"SCHEDULED", "IN_PROGRESS", "CANCELED", "COMPLETED",
                                                       "DELETION_IN_PROGRESS"};
constexpr std::array<std::string_view, 2> kSelectionNames{"SNAPSHOT", "CONTINUOUS"};

struct JobTransition {
  JobStatus from, to;
};
constexpr JobTransition kTransitions[] = {
    {JobStatus::kScheduled, JobStatus::kInProgress},  // startTime, window opens
    {JobStatus::kInProgress, JobStatus::kScheduled},  // window closes
    {JobStatus::kScheduled, JobStatus::kCanceled},
    {JobStatus::kInProgress, JobStatus::kCanceled},
    {JobStatus::kInProgress, JobStatus::kCompleted},
    {JobStatus::kCompleted, JobStatus::kDeletionInProgress},
    {JobStatus::kCanceled, JobStatus::kDeletionInProgress},
    {JobStatus::kInProgress, JobStatus::kDeletionInProgress},  // DeleteJob with force
    {JobStatus::kScheduled, JobStatus::kDeletionInProgress},   // the same
};

template <class Enum, std::size_t N>
std::optional<Enum> from_name(const std::array<std::string_view, N>& names, std::string_view text) {
  const auto it = std::ranges::find(names, text);
  if (it == names.end()) return std::nullopt;
  return static_cast<Enum>(it - names.begin());
}

std::string job_key(std::string_view job_id) {
  return store::Key(store::table::kJob).text(job_id).str();
}

}  // namespace

std::string_view to_string(JobStatus status) {
  return kStatusNames[static_cast<std::size_t>(status)];
}
std::string_view to_string(Selection selection) {
  return kSelectionNames[static_cast<std::size_t>(selection)];
}
std::optional<JobStatus> job_status_from(std::string_view text) {
  return from_name<JobStatus>(kStatusNames, text);
}
std::optional<Selection> selection_from(std::string_view text) {
  return from_name<Selection>(kSelectionNames, text);
}

bool may_become(JobStatus from, JobStatus to) {
  return std::ranges::any_of(kTransitions, [&](const JobTransition& t) { return t.from == from && t.to == to; });
}

std::string encode(const Job& job) {
  json::object record;
  record["status"] = to_string(job.status);
  record["selection"] = to_string(job.selection);
  record["targets"] = json::array(job.targets.begin(), job.targets.end());
  if (!job.description.empty()) record["description"] = job.description;
  if (!job.document_source.empty()) record["source"] = job.document_source;
  record["digest"] = job.document_digest;
  if (job.presign) record["presign"] = to_json(*job.presign);
  if (job.timeout_minutes != 0) record["timeout"] = job.timeout_minutes;
  if (job.default_timeout) record["default_timeout"] = true;
  if (job.rollout) record["rollout"] = to_json(*job.rollout);
  if (job.abort) record["abort"] = to_json(*job.abort);
  if (job.retry) record["retry"] = to_json(*job.retry);
  if (!job.schedule.empty()) record["schedule"] = to_json(job.schedule);
  if (!job.namespace_id.empty()) record["namespace"] = job.namespace_id;
  if (!job.template_arn.empty()) record["template"] = job.template_arn;
  if (!job.parameters.empty()) {
    json::object parameters;
    for (const auto& [key, value] : job.parameters) parameters[key] = value;
    record["parameters"] = std::move(parameters);
  }
  if (json::object controls = to_json(job.controls); !controls.empty()) record["controls"] = std::move(controls);
  if (!job.comment.empty()) record["comment"] = job.comment;
  if (!job.reason_code.empty()) record["reason"] = job.reason_code;
  if (job.force_canceled) record["forced"] = true;
  record["created"] = job.created_ms;
  record["updated"] = job.updated_ms;
  if (job.completed_ms != 0) record["completed"] = job.completed_ms;
  if (job.started_ms != 0) record["started"] = job.started_ms;
  if (job.rolled_out) record["rolled_out"] = true;
  if (job.stopped) record["stopped"] = true;
  if (job.announcing) record["announcing"] = true;
  if (job.withdrawn_unseen) record["unseen"] = true;
  if (job.sweep != Sweep::kNone) record["sweep"] = static_cast<std::int64_t>(job.sweep);
  return to_text(record);
}

namespace {

// The members that have types of their own.
Status read_configs(const json::object& record, Job& job) {
  if (const auto* presign = find_object(record, "presign")) {
    TRY(job.presign, read_presign(*presign));
  }
  if (const auto* rollout = find_object(record, "rollout")) {
    TRY(job.rollout, read_rollout(*rollout));
  }
  if (const auto* abort = find_object(record, "abort")) {
    TRY(job.abort, read_abort(*abort));
  }
  if (const auto* retry = find_object(record, "retry")) {
    TRY(job.retry, read_retry(*retry));
  }
  if (const auto* schedule = find_object(record, "schedule")) {
    TRY(job.schedule, read_schedule(*schedule, 0));
  }
  if (const auto* controls = find_object(record, "controls")) job.controls = controls_from_json(*controls);
  if (const auto* parameters = find_object(record, "parameters")) {
    for (const auto& [key, value] : *parameters) {
      if (value.is_string()) job.parameters.emplace(key, value.get_string());
    }
  }
  return {};
}

}  // namespace

Result<Job> decode_job(std::string_view id, std::string_view text) {
  TRY(const json::object record, parse_record(text));
  Job job;
  job.id = id;
  const auto status = job_status_from(get_string(record, "status"));
  const auto selection = selection_from(get_string(record, "selection"));
  const auto sweep = get_int(record, "sweep");
  if (!status || !selection || sweep < 0 || sweep > 2) return internal("corrupt record of job " + job.id);
  job.status = *status;
  job.selection = *selection;
  job.sweep = static_cast<Sweep>(sweep);
  if (const auto* targets = find_array(record, "targets")) {
    for (const auto& target : *targets) {
      if (target.is_string()) job.targets.emplace_back(target.get_string());
    }
  }
  job.description = get_string(record, "description");
  job.document_source = get_string(record, "source");
  job.document_digest = get_string(record, "digest");
  if (!read_configs(record, job)) return internal("corrupt record of job " + job.id);
  job.default_timeout = get_bool(record, "default_timeout");
  job.namespace_id = get_string(record, "namespace");
  job.template_arn = get_string(record, "template");
  job.started_ms = get_int(record, "started");
  job.stopped = get_bool(record, "stopped");
  job.announcing = get_bool(record, "announcing");
  job.withdrawn_unseen = get_bool(record, "unseen");
  job.timeout_minutes = get_int(record, "timeout");
  job.comment = get_string(record, "comment");
  job.reason_code = get_string(record, "reason");
  job.force_canceled = get_bool(record, "forced");
  job.created_ms = get_int(record, "created");
  job.updated_ms = get_int(record, "updated");
  job.completed_ms = get_int(record, "completed");
  job.rolled_out = get_bool(record, "rolled_out");
  return job;
}

Result<std::shared_ptr<const Job>> find_job(const Context& context, store::Tx& tx, std::string_view job_id) {
  auto record = tx.get(job_key(job_id));
  if (!record) return std::shared_ptr<const Job>();
  const std::string id(job_id);
  if (const auto cached = context.caches->jobs.find(id); cached && cached->record == *record) return cached->job;
  TRY(Job job, decode_job(job_id, *record));
  auto shared = std::make_shared<const Job>(std::move(job));
  context.caches->jobs.insert(id, std::make_shared<const ParsedJob>(ParsedJob{*std::move(record), shared}));
  return shared;
}

Result<std::shared_ptr<const Job>> get_job(const Context& context, store::Tx& tx, std::string_view job_id) {
  TRY(auto job, find_job(context, tx, job_id));
  if (!job) return job_not_found(job_id);
  return job;
}

namespace {

std::string all_jobs_key(std::string_view what) {
  return store::Key(store::table::kJobCount).text("").text(what).str();
}

// The counters over all jobs that a job in this state is part of.
void count(store::Tx& tx, const Job& job, std::int64_t delta) {
  if (job.is_active()) tx.add(all_jobs_key("active"), delta);
  if (job.is_concurrent()) tx.add(all_jobs_key("concurrent"), delta);
  if (job.status == JobStatus::kDeletionInProgress) tx.add(all_jobs_key("deleting"), delta);
}

std::string version_key() {
  return store::Key(store::table::kMeta).text("jobs_offers").str();
}

// Everything that is_offered() goes by.
auto offer_of(const Job& job) {
  return std::tuple(job.offers(), job.announcing, job.withdrawn_unseen, job.sweep,
                    job.status == JobStatus::kDeletionInProgress);
}

void change_offers_version(store::Tx& tx) {
  tx.put(version_key(), random_uuid());
}

std::string time_key(const Job& job) {
  return store::Key(store::table::kJobByTime).descending(job.created_ms).text(job.id).str();
}

}  // namespace

void put_job(const Context& context, store::Tx& tx, const Job* before, const Job& job) {
  if (before != nullptr) count(tx, *before, -1);
  count(tx, job, 1);
  const bool listened = before != nullptr && before->follows_groups();
  if (listened && !job.follows_groups()) unindex_groups(context, tx, *before);
  if (job.follows_groups() && (!listened || before->targets.size() != job.targets.size())) {
    index_groups(context, tx, job);
  }
  if (before != nullptr && offer_of(*before) != offer_of(job)) change_offers_version(tx);
  tx.put(job_key(job.id), encode(job));
  std::string summary(to_string(job.status));
  summary.append(" ").append(to_string(job.selection));
  if (!job.namespace_id.empty()) summary.append(" ").append(job.namespace_id);
  tx.put(time_key(job), summary);
}

void erase_job_record(const Context& context, store::Tx& tx, const Job& job) {
  count(tx, job, -1);
  if (job.follows_groups()) unindex_groups(context, tx, job);
  tx.erase(job_key(job.id));
  tx.erase(time_key(job));
  change_offers_version(tx);
}

std::string offers_version(store::Tx& tx) {
  return tx.get(version_key()).value_or(std::string());
}

std::int64_t active_jobs(store::Tx& tx) {
  return tx.counter(all_jobs_key("active"));
}
std::int64_t concurrent_jobs(store::Tx& tx) {
  return tx.counter(all_jobs_key("concurrent"));
}
std::int64_t deleting_jobs(store::Tx& tx) {
  return tx.counter(all_jobs_key("deleting"));
}

Error job_not_found(std::string_view job_id) {
  return not_found("Job " + std::string(job_id) + " cannot be found.");
}

}  // namespace muster::jobs
