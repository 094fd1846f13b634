// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/jobs.h"

#include <algorithm>

#include "domain/jobs/caches.h"
#include "domain/jobs/documents.h"
#include "domain/jobs/rollout.h"
#include "domain/registry/page.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::jobs {

namespace table = store::table;
using store::Key;

namespace {

constexpr std::int64_t kMaxTimeoutMinutes = 10080;
constexpr std::size_t kMaxPage = 250;
constexpr std::size_t kScanLimit = 2000;  // entries of the list by time that one page looks at

Status check_timeout(std::int64_t minutes) {
  if (minutes >= 1 && minutes <= kMaxTimeoutMinutes) return {};
  return invalid("1 validation error detected: Value '" + std::to_string(minutes) +
                 "' at 'timeoutConfig.inProgressTimeoutInMinutes' failed to satisfy constraint: Member must have " +
                 (minutes < 1 ? "value greater than or equal to 1" : "value less than or equal to 10080"));
}

Status check_presign(const PresignConfig& presign) {
  if (presign.expires_seconds >= 60 && presign.expires_seconds <= 3600) return {};
  return invalid("1 validation error detected: Value '" + std::to_string(presign.expires_seconds) +
                 "' at 'presignedUrlConfig.expiresInSec' failed to satisfy constraint: Member must have value " +
                 (presign.expires_seconds < 60 ? "greater than or equal to 60" : "less than or equal to 3600"));
}

// The role must be there, and able to sign, when the job is made: later it would only show on devices.
Status check_signing(const Context& context, store::Tx& tx, const Job& job, const Document& document) {
  if (!document.has_placeholders()) return {};
  if (!job.presign || job.presign->role_arn.empty()) {
    return invalid("The job document contains a pre-signed URL placeholder: presignedUrlConfig.roleArn is required.");
  }
  const PresignRequest request{document.urls.front(), job.presign->role_arn, job.id, "GET",
                               job.presign->expires_seconds};
  const auto signed_url = context.sign_url(tx, request);
  if (signed_url || signed_url.error().kind == ErrorKind::kUnavailable) return {};
  if (signed_url.error().kind == ErrorKind::kInternal) return signed_url.error();
  return invalid("The role " + job.presign->role_arn +
                 " cannot be used to sign URLs of the job document: " + signed_url.error().message);
}

Result<Job> job_from(const Context& context, const NewJob& request, std::int64_t now_ms) {
  if (!is_job_id(request.id)) return invalid("Invalid job id: it must match [a-zA-Z0-9_-]{1,64}.");
  if (request.targets.empty()) return invalid("A job must have at least one target.");
  if (request.targets.size() > context.limits.max_targets) {
    return invalid("A job can have at most " + std::to_string(context.limits.max_targets) + " targets.");
  }
  if (request.selection == Selection::kContinuous) {
    return make_error(ErrorKind::kInvalid, "targetSelection CONTINUOUS is not supported by Muster.");
  }
  if (request.timeout_minutes) TRY_VOID(check_timeout(*request.timeout_minutes));
  if (request.presign) TRY_VOID(check_presign(*request.presign));
  Job job;
  job.id = request.id;
  for (const auto& target : request.targets) {
    if (std::ranges::find(job.targets, target) == job.targets.end()) job.targets.push_back(target);
  }
  job.description = request.description;
  job.document_source = request.document_source;
  job.document_digest = digest_of(request.document);
  job.presign = request.presign;
  job.timeout_minutes = request.timeout_minutes.value_or(0);
  job.created_ms = job.updated_ms = now_ms;
  return job;
}

std::shared_ptr<const Job> shared(Job job) {
  return std::make_shared<const Job>(std::move(job));
}

Status check_deletion_limit(const Context& context, store::Tx& tx) {
  if (deleting_jobs(tx) < static_cast<std::int64_t>(context.limits.max_deleting_jobs)) return {};
  return make_error(ErrorKind::kLimit, "The limit of " + std::to_string(context.limits.max_deleting_jobs) +
                                           " jobs in status DELETION_IN_PROGRESS has been reached.");
}

bool matches(const JobFilter& filter, std::string_view summary) {
  const auto space = summary.find(' ');
  if (space == std::string_view::npos) return false;
  if (filter.status && to_string(*filter.status) != summary.substr(0, space)) return false;
  return !filter.selection || to_string(*filter.selection) == summary.substr(space + 1);
}

}  // namespace

Result<std::shared_ptr<const Job>> create_job(const Context& context, store::Tx& tx, const NewJob& request,
                                              Effects& effects) {
  TRY(Job job, job_from(context, request, tx.now_ms()));
  TRY(Document document, compile_document(context, request.document));
  TRY(const auto existing, find_job(context, tx, job.id));
  if (existing) {
    Error error = make_error(ErrorKind::kAlreadyExists, "Job " + job.id + " already exists.");
    error.fields["resourceId"] = job.id;
    error.fields["resourceArn"] = iot_arn(context.realm, "job", job.id);
    return error;
  }
  TRY_VOID(put_targets(context, tx, job));
  TRY_VOID(check_signing(context, tx, job, document));
  context.caches->documents.insert(job.document_digest, std::make_shared<const Document>(std::move(document)));
  tx.put(Key(table::kJobDocument).text(job.id), request.document);
  // Before the rollout: announcing an execution reads its job.
  put_job(tx, job);
  TRY(const Progress progress, roll_out(context, tx, job, context.limits.immediate_executions, effects));
  if (progress.finished) {
    job.rolled_out = true;
    if (progress.executions == 0) {  // nothing was targeted: there is nothing to wait for
      job.status = JobStatus::kCompleted;
      job.completed_ms = tx.now_ms();
    }
    put_job(tx, job);
  }
  if (job.status != JobStatus::kCompleted) {
    mark_active(tx, job.id);
    effects.touch(job.id);
  }
  return shared(std::move(job));
}

Status update_job(const Context& context, store::Tx& tx, std::string_view job_id, const JobChange& change) {
  if (!change.description && !change.presign && !change.timeout_minutes) {
    return invalid("At least one of description, presignedUrlConfig and timeoutConfig must be given.");
  }
  if (change.timeout_minutes) TRY_VOID(check_timeout(*change.timeout_minutes));
  if (change.presign) TRY_VOID(check_presign(*change.presign));
  TRY(const auto stored, get_job(context, tx, job_id));
  if (stored->status != JobStatus::kInProgress && stored->status != JobStatus::kScheduled) {
    return invalid("Job " + stored->id + " is in status " + std::string(to_string(stored->status)) +
                   " and cannot be updated.");
  }
  Job job = *stored;
  if (change.description) job.description = *change.description;
  if (change.timeout_minutes) job.timeout_minutes = *change.timeout_minutes;
  if (change.presign) {
    job.presign = *change.presign;
    TRY(const std::string text, document_text(tx, job.id));
    TRY(const Document document, compile_document(context, text));
    TRY_VOID(check_signing(context, tx, job, document));
  }
  job.updated_ms = tx.now_ms();
  put_job(tx, job);
  return {};
}

JobCounts job_counts(store::Tx& tx, std::string_view job_id) {
  JobCounts counts;
  for (const auto status : kAllStatuses) {
    counts.by_status[static_cast<std::size_t>(status)] =
        tx.counter(Key(table::kJobCount).text(job_id).text(to_string(status)));
  }
  return counts;
}

Result<JobDescription> describe_job(const Context& context, store::Tx& tx, std::string_view job_id) {
  JobDescription description;
  TRY(description.job, get_job(context, tx, job_id));
  description.counts = job_counts(tx, job_id);
  if (description.job->status == JobStatus::kInProgress && !description.job->rolled_out) {
    description.processing_targets = remaining_targets(tx, job_id);
  }
  return description;
}

Result<std::string> get_job_document(const Context& context, store::Tx& tx, std::string_view job_id) {
  TRY_VOID(get_job(context, tx, job_id));
  return document_text(tx, job_id);
}

Result<Page<std::shared_ptr<const Job>>> list_jobs(const Context& context, store::Tx& tx, const JobFilter& filter) {
  const std::size_t wanted = std::clamp<std::size_t>(filter.max_results, 1, kMaxPage);
  TRY(const std::string position, registry::page_position("jobs", filter.next_token));
  const std::string prefix(1, table::kJobByTime);
  store::RangeOptions options;
  options.begin = prefix + position;
  options.end = store::after_prefix(prefix);
  const bool filtered = filter.status || filter.selection || !filter.thing_group.empty();
  options.limit = filtered ? kScanLimit : wanted + 1;
  options.snapshot = true;
  const std::string group_arn =
      filter.thing_group.empty() ? "" : iot_arn(context.realm, "thinggroup", filter.thing_group);

  Page<std::shared_ptr<const Job>> page;
  const auto rows = tx.range(options);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (page.items.size() == wanted) {
      page.next_token = registry::page_token("jobs", std::string_view(rows[i].key).substr(1));
      return page;
    }
    if (!matches(filter, rows[i].value)) continue;
    store::KeyReader reader(rows[i].key);
    const auto id = reader.descending() ? reader.text() : std::nullopt;
    if (!id) return internal("corrupt list of jobs");
    TRY(auto job, find_job(context, tx, *id));
    if (!job) continue;  // deleted since the snapshot
    const bool targeted = group_arn.empty() || std::ranges::find(job->targets, group_arn) != job->targets.end();
    if (targeted) page.items.push_back(std::move(job));
  }
  if (rows.size() == options.limit) {
    page.next_token = registry::page_token("jobs", store::after_key(rows.back().key).substr(1));
  }
  return page;
}

Result<std::shared_ptr<const Job>> cancel_job(const Context& context, store::Tx& tx, std::string_view job_id,
                                              const Cancellation& request, Effects& effects) {
  TRY(const auto stored, get_job(context, tx, job_id));
  const bool again = stored->status == JobStatus::kCanceled;
  if (!again && !may_become(stored->status, JobStatus::kCanceled)) {
    return invalid("Job " + stored->id + " is in status " + std::string(to_string(stored->status)) +
                   " and cannot be canceled.");
  }
  if (again && !request.force) return stored;
  Job job = *stored;
  job.status = JobStatus::kCanceled;
  if (!request.comment.empty()) job.comment = request.comment;
  if (!request.reason_code.empty()) job.reason_code = request.reason_code;
  job.force_canceled = job.force_canceled || request.force;
  job.sweep = job.force_canceled ? Sweep::kQueuedAndInProgress : Sweep::kQueued;
  job.updated_ms = tx.now_ms();
  put_job(tx, job);
  TRY(const Progress progress, sweep(context, tx, job, {}, context.limits.immediate_executions, effects));
  if (progress.finished) {
    job.sweep = Sweep::kNone;
    put_job(tx, job);
    mark_inactive(tx, job.id);
  } else {
    mark_active(tx, job.id);
    effects.touch(job.id);
  }
  return shared(std::move(job));
}

Status delete_job(const Context& context, store::Tx& tx, std::string_view job_id, bool force, Effects& effects) {
  TRY(const auto stored, get_job(context, tx, job_id));
  const bool ended = stored->status == JobStatus::kCompleted || stored->status == JobStatus::kCanceled;
  if (!may_become(stored->status, JobStatus::kDeletionInProgress) || (!ended && !force)) {
    const std::string_view end = ended || force ? "." : " without force.";
    return make_error(ErrorKind::kInvalidStateTransition, "Job " + stored->id + " is in status " +
                                                              std::string(to_string(stored->status)) +
                                                              " and cannot be deleted" + std::string(end));
  }
  TRY_VOID(check_deletion_limit(context, tx));
  Job job = *stored;
  job.status = JobStatus::kDeletionInProgress;
  job.sweep = Sweep::kNone;
  job.updated_ms = tx.now_ms();
  put_job(tx, job);
  count_deleting_jobs(tx, 1);
  mark_active(tx, job.id);
  effects.touch(job.id);
  return {};
}

}  // namespace muster::jobs
