// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/jobs.h"

#include <algorithm>

#include "base/text.h"
#include "domain/jobs/caches.h"
#include "domain/jobs/documents.h"
#include "domain/jobs/engine.h"
#include "domain/jobs/managed_templates.h"
#include "domain/jobs/rollout.h"
#include "domain/registry/page.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::jobs {

namespace table = store::table;
using store::Key;

namespace {

constexpr std::size_t kMaxPage = 250;
constexpr std::size_t kScanLimit = 2000;  // entries of the list by time that one page looks at
constexpr std::size_t kScheduledRollouts = 7;
constexpr std::size_t kMaxNamespace = 64;                        // in every execution and notice; AWS states no bound
constexpr std::size_t kMaxRecordBytes = std::size_t{128} << 10;  // of a job, which device calls read

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

Status check_selection(const Job& job, bool windows_of_template) {
  if (job.selection == Selection::kContinuous || job.schedule.windows.empty()) return {};
  if (windows_of_template) {
    return invalid("A job template with maintenanceWindows can only be used for a job of targetSelection CONTINUOUS.");
  }
  return invalid("schedulingConfig.maintenanceWindows need targetSelection CONTINUOUS.");
}

Status check_size(const Job& job) {
  if (encode(job).size() <= kMaxRecordBytes) return {};
  return invalid("The configuration of the job is too large: its targets, criteria and documentParameters.");
}

Result<Job> job_from(const Context& context, const NewJob& request, std::int64_t now_ms) {
  if (!is_job_id(request.id)) return invalid("Invalid job id: it must match [a-zA-Z0-9_-]{1,64}.");
  if (request.targets.empty()) return invalid("A job must have at least one target.");
  if (request.targets.size() > context.limits.max_targets) {
    return invalid("A job can have at most " + std::to_string(context.limits.max_targets) + " targets.");
  }
  Job job;
  job.id = request.id;
  for (const auto& target : request.targets) {
    if (std::ranges::find(job.targets, target) == job.targets.end()) job.targets.push_back(target);
  }
  job.selection = request.selection.value_or(Selection::kSnapshot);
  job.description = request.description;
  job.document_source = request.document_source;
  job.document_digest = digest_of(request.document);
  job.presign = request.presign;
  job.timeout_minutes = request.timeout_minutes.value_or(context.limits.default_timeout_minutes);
  job.default_timeout = !request.timeout_minutes && job.timeout_minutes != 0;
  job.rollout = request.rollout;
  job.abort = request.abort;
  job.retry = request.retry;
  job.schedule = request.schedule;
  job.namespace_id = request.namespace_id;
  job.template_arn = request.template_arn;
  job.parameters = request.parameters;
  job.controls = request.controls;
  job.controls.dry_run = false;
  job.created_ms = job.updated_ms = now_ms;
  TRY_VOID(check_selection(job, request.windows_of_template));
  TRY_VOID(check_windows(job.schedule, now_ms));
  if (job.namespace_id.size() > kMaxNamespace) {
    return invalid("A namespaceId can have at most " + std::to_string(kMaxNamespace) + " characters.");
  }
  TRY_VOID(check_size(job));
  const bool at_once = schedule_at(job.schedule, now_ms).open && job.controls.approval != Approval::kRequired;
  job.status = at_once ? JobStatus::kInProgress : JobStatus::kScheduled;
  if (at_once) job.started_ms = now_ms;
  return job;
}

Error limit_reached(std::string_view what, std::int64_t limit) {
  return make_error(ErrorKind::kLimit,
                    "The limit of " + std::to_string(limit) + " " + std::string(what) + " has been reached.");
}

// What few things need is done in the transaction that makes the job.
Result<std::shared_ptr<const Job>> carry_on(const Context& context, store::Tx& tx, std::string_view job_id,
                                            Effects& effects) {
  constexpr int kSteps = 4;
  std::size_t budget = context.limits.immediate_executions;
  for (int i = 0; i < kSteps && budget > 0; ++i) {
    TRY(const Step step, advance_job(context, tx, job_id, {}, budget, effects));
    if (step.advance == Advance::kGone) return find_job(context, tx, job_id);
    if (step.advance == Advance::kIdle) break;
    budget -= std::min(budget, std::max<std::size_t>(step.executions, 1));
  }
  effects.touch(job_id);
  return find_job(context, tx, job_id);
}

// `summary`: "STATUS SELECTION [NAMESPACE]".
bool matches(const JobFilter& filter, std::string_view summary) {
  const auto parts = split(summary, ' ');
  if (parts.size() < 2) return false;
  if (filter.status && to_string(*filter.status) != parts[0]) return false;
  if (filter.selection && to_string(*filter.selection) != parts[1]) return false;
  return filter.namespace_id.empty() || (parts.size() > 2 && parts[2] == filter.namespace_id);
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
  const Limits& limits = context.limits;
  if (active_jobs(tx) >= limits.max_active_jobs) return limit_reached("active jobs", limits.max_active_jobs);
  TRY_VOID(put_targets(context, tx, job.id, job.targets));
  TRY_VOID(check_signing(context, tx, job, document));
  context.caches->documents.insert(job.document_digest, std::make_shared<const Document>(std::move(document)));
  tx.put(Key(table::kJobDocument).text(job.id), request.document);
  put_job(context, tx, nullptr, job);
  mark_active(tx, job.id);
  const bool full = concurrent_jobs(tx) > limits.max_concurrent_jobs;
  TRY(auto made, carry_on(context, tx, job.id, effects));
  if (full && made->is_concurrent()) return limit_reached("concurrent jobs", limits.max_concurrent_jobs);
  return made;
}

namespace {

bool changes_nothing(const JobChange& change) {
  return !change.description && !change.presign && !change.timeout_minutes && !change.rollout && !change.abort &&
         !change.retry;
}

}  // namespace

Status update_job(const Context& context, store::Tx& tx, std::string_view job_id, const JobChange& change,
                  Effects& effects) {
  if (changes_nothing(change)) {
    return invalid(
        "At least one of description, presignedUrlConfig, jobExecutionsRolloutConfig, abortConfig, "
        "timeoutConfig and jobExecutionsRetryConfig must be given.");
  }
  TRY(const auto stored, get_job(context, tx, job_id));
  if (!stored->is_active()) {
    return invalid("Job " + stored->id + " is in status " + std::string(to_string(stored->status)) +
                   " and cannot be updated.");
  }
  Job job = *stored;
  if (change.description) job.description = *change.description;
  if (change.timeout_minutes) {
    job.timeout_minutes = *change.timeout_minutes;
    job.default_timeout = false;
  }
  if (change.rollout) job.rollout = change.rollout;
  if (change.abort) job.abort = change.abort;
  if (change.retry) {
    TRY_VOID(check_retry_update(stored->retry, *change.retry));
    job.retry = change.retry;
  }
  if (change.presign) {
    job.presign = *change.presign;
    TRY(const std::string text, document_text(tx, job.id));
    TRY(const Document document, compile_document(context, text));
    TRY_VOID(check_signing(context, tx, job, document));
  }
  job.updated_ms = tx.now_ms();
  TRY_VOID(check_size(job));
  put_job(context, tx, &*stored, job);
  effects.touch(job.id);  // another rate, other criteria
  return {};
}

Result<std::shared_ptr<const Job>> associate_targets(const Context& context, store::Tx& tx, const MoreTargets& request,
                                                     Effects& effects) {
  TRY(const auto stored, get_job(context, tx, request.job));
  if (stored->selection != Selection::kContinuous) {
    return invalid("Job " + stored->id + " is not CONTINUOUS: no targets can be associated with it.");
  }
  const bool ended = stored->stopped || schedule_at(stored->schedule, tx.now_ms()).ended;
  if (stored->status != JobStatus::kInProgress || ended) {
    return invalid("Job " + stored->id + " is in status " + std::string(to_string(stored->status)) +
                   (ended ? " and its schedule has ended" : "") + ": no targets can be associated with it.");
  }
  Job job = *stored;
  std::vector<std::string> added;
  for (const auto& target : request.targets) {
    if (!name_in_iot_arn(context.realm, "thinggroup", target)) {
      return invalid("Target " + target + " is not a thing group: only groups can be associated with a job.");
    }
    if (std::ranges::find(job.targets, target) != job.targets.end()) continue;
    job.targets.push_back(target);
    added.push_back(target);
  }
  if (job.targets.size() > context.limits.max_targets) {
    return limit_reached("targets of a job", static_cast<std::int64_t>(context.limits.max_targets));
  }
  if (added.empty()) return stored;
  TRY_VOID(put_targets(context, tx, job.id, added));
  if (!request.comment.empty()) job.comment = request.comment;
  job.rolled_out = false;
  job.updated_ms = tx.now_ms();
  TRY(JobProgress progress, read_progress(tx, job.id));
  if (progress.rollout.fleet >= 0) {
    progress.rollout.fleet += fleet_size(context, tx, added);
    put_progress(tx, job.id, progress);
  }
  put_job(context, tx, &*stored, job);
  mark_active(tx, job.id);
  return carry_on(context, tx, job.id, effects);
}

Status change_controls(const Context& context, store::Tx& tx, std::string_view job_id,
                       const std::map<std::string, std::string>& tags, Effects& effects) {
  TRY(const auto stored, get_job(context, tx, job_id));
  TRY(Controls controls, controls_from_tags(tags));
  if (controls == stored->controls) return {};
  if (!stored->is_active()) {
    return invalid("Job " + stored->id + " is in status " + std::string(to_string(stored->status)) +
                   ": its muster: tags cannot be changed.");
  }
  TRY_VOID(check_controls_change(stored->controls, controls, stored->started_ms != 0));
  Job job = *stored;
  job.controls = std::move(controls);
  job.updated_ms = tx.now_ms();
  if (job.offers() != stored->offers()) TRY_VOID(announce_again(tx, job));
  put_job(context, tx, &*stored, job);
  mark_active(tx, job.id);
  effects.touch(job.id);
  return {};
}

JobCounts job_counts(store::Tx& tx, std::string_view job_id) {
  JobCounts counts;
  for (const auto status : kAllStatuses) {
    counts.by_status[static_cast<std::size_t>(status)] = tx.counter(count_key(job_id, status));
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
  if (description.job->is_active() && !description.job->schedule.windows.empty()) {
    description.scheduled_rollouts = next_rollouts(description.job->schedule, tx.now_ms(), kScheduledRollouts);
  }
  return description;
}

Result<std::string> get_job_document(const Context& context, store::Tx& tx, std::string_view job_id,
                                     bool before_substitution) {
  TRY(const auto job, get_job(context, tx, job_id));
  if (before_substitution) {
    for (const auto& managed : managed_templates()) {
      if (managed_template_arn(context, managed) == job->template_arn) return std::string(managed.document);
    }
  }
  return document_text(tx, job_id);
}

Result<Page<std::shared_ptr<const Job>>> list_jobs(const Context& context, store::Tx& tx, const JobFilter& filter) {
  const std::size_t wanted = std::clamp<std::size_t>(filter.max_results, 1, kMaxPage);
  TRY(const std::string position, registry::page_position("jobs", filter.next_token));
  const std::string prefix(1, table::kJobByTime);
  store::RangeOptions options;
  options.begin = prefix + position;
  options.end = store::after_prefix(prefix);
  const bool filtered =
      filter.status || filter.selection || !filter.thing_group.empty() || !filter.namespace_id.empty();
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

}  // namespace muster::jobs
