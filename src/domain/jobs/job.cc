// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/job.h"

#include <algorithm>
#include <array>

#include "base/json.h"
#include "domain/jobs/caches.h"
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
  if (job.presign) {
    record["presign"] = json::object{{"role", job.presign->role_arn}, {"expires", job.presign->expires_seconds}};
  }
  if (job.timeout_minutes != 0) record["timeout"] = job.timeout_minutes;
  if (!job.comment.empty()) record["comment"] = job.comment;
  if (!job.reason_code.empty()) record["reason"] = job.reason_code;
  if (job.force_canceled) record["forced"] = true;
  record["created"] = job.created_ms;
  record["updated"] = job.updated_ms;
  if (job.completed_ms != 0) record["completed"] = job.completed_ms;
  if (job.rolled_out) record["rolled_out"] = true;
  if (job.sweep != Sweep::kNone) record["sweep"] = static_cast<std::int64_t>(job.sweep);
  return to_text(record);
}

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
  if (const auto* presign = find_object(record, "presign")) {
    job.presign = PresignConfig{std::string(get_string(*presign, "role")), get_int(*presign, "expires", 3600)};
  }
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

void put_job(store::Tx& tx, const Job& job) {
  tx.put(job_key(job.id), encode(job));
  std::string summary(to_string(job.status));
  summary.append(" ").append(to_string(job.selection));
  tx.put(store::Key(store::table::kJobByTime).descending(job.created_ms).text(job.id), summary);
}

Error job_not_found(std::string_view job_id) {
  return not_found("Job " + std::string(job_id) + " cannot be found.");
}

}  // namespace muster::jobs
