// SPDX-License-Identifier: Apache-2.0
// Job: the record of one job, its states and the one table of its legal transitions, and how it is kept in the store.
// Values and pure functions, but for find_job/put_job. Source: AWS IoT developer guide "Jobs key concepts", "Job
// states"; service model iot 2015-05-28. Bounds: at most Limits::max_targets targets, a document of 32768 bytes (kept
// apart, in kJobDocument). What engine work a job still needs is part of its record (rolled_out, sweep), so a crash
// loses none.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/jobs/config.h"
#include "domain/jobs/context.h"
#include "domain/jobs/controls.h"
#include "domain/jobs/schedule.h"
#include "store/store.h"

namespace muster::jobs {

enum class JobStatus : std::uint8_t { kScheduled, kInProgress, kCanceled, kCompleted, kDeletionInProgress };
enum class Selection : std::uint8_t { kSnapshot, kContinuous };
// Which executions of a canceled job the engine still has to cancel.
enum class Sweep : std::uint8_t { kNone, kQueued, kQueuedAndInProgress };

std::string_view to_string(JobStatus status);     // "IN_PROGRESS"
std::string_view to_string(Selection selection);  // "SNAPSHOT"
std::optional<JobStatus> job_status_from(std::string_view text);
std::optional<Selection> selection_from(std::string_view text);

// May a job go from one state to the other? (jobs spec 3.1)
bool may_become(JobStatus from, JobStatus to);

struct Job {
  std::string id;
  JobStatus status = JobStatus::kInProgress;
  Selection selection = Selection::kSnapshot;
  std::vector<std::string> targets;  // ARNs as given, without duplicates
  std::string description;
  std::string document_source;  // the S3 URL as given, or empty
  std::string document_digest;  // names the document's text: key of the document cache
  std::optional<PresignConfig> presign;
  std::int64_t timeout_minutes = 0;  // inProgressTimeoutInMinutes; 0: none
  bool default_timeout = false;      // the server's, because the request gave none (Limits::default_timeout_minutes)
  std::optional<RolloutConfig> rollout;  // none: all at once
  std::optional<AbortConfig> abort;
  std::optional<RetryConfig> retry;
  Schedule schedule;
  std::string namespace_id;                       // empty: none
  std::string template_arn;                       // jobTemplateArn, or empty
  std::map<std::string, std::string> parameters;  // documentParameters
  Controls controls;
  std::string comment;
  std::string reason_code;
  bool force_canceled = false;
  std::int64_t created_ms = 0;
  std::int64_t updated_ms = 0;
  std::int64_t completed_ms = 0;  // 0: not yet
  std::int64_t started_ms = 0;    // first IN_PROGRESS; 0: not yet
  bool rolled_out = false;        // every target has its executions
  Sweep sweep = Sweep::kNone;
  // What is withdrawn in QUEUED was on no device's list when that began: nobody needs to hear of it.
  bool withdrawn_unseen = false;
  bool stopped = false;  // the schedule's end has come: no new executions, no retries
  // What is QUEUED is offered to its thing, or no longer: the engine still has to tell some of the devices.
  bool announcing = false;

  // Are QUEUED executions on offer? Not outside a maintenance window and not while paused.
  bool offers() const { return status == JobStatus::kInProgress && !controls.paused; }

  bool is_active() const { return status == JobStatus::kScheduled || status == JobStatus::kInProgress; }
  bool has_ended() const { return status == JobStatus::kCanceled || status == JobStatus::kCompleted; }
  // Who joins one of its groups gets an execution.
  bool takes_members() const { return selection == Selection::kContinuous && is_active() && !stopped; }

  // Does a change of a thing's groups concern it? While it rolls out, who moves within a target may pass it by.
  bool follows_groups() const { return takes_members() || (is_active() && !rolled_out); }

  // Canceled or deleted as it is now, would it take something from the lists of devices? While devices are being told
  // of a change, some know the one and some the other.
  bool would_withdraw_unseen() const { return is_active() ? !offers() && !announcing : withdrawn_unseen; }

  // AWS's isConcurrent: rolling out or canceling executions now.
  bool is_concurrent() const { return (status == JobStatus::kInProgress && !rolled_out) || sweep != Sweep::kNone; }
};

std::string encode(const Job& job);
Result<Job> decode_job(std::string_view id, std::string_view record);

// nullptr when there is no such job. The parsed record is shared and cached by its bytes, so it is never stale.
Result<std::shared_ptr<const Job>> find_job(const Context& context, store::Tx& tx, std::string_view job_id);
// kNotFound, AWS wording, when absent.
Result<std::shared_ptr<const Job>> get_job(const Context& context, store::Tx& tx, std::string_view job_id);
// Writes the record with what is kept about it elsewhere: list by time, counts over all jobs, index of groups. `before`
// is the stored job, nullptr for a new one.
void put_job(const Context& context, store::Tx& tx, const Job* before, const Job& job);
void erase_job_record(const Context& context, store::Tx& tx, const Job& job);

// Changes whenever what some job offers does: names the state that Offers (caches.h) may be kept for.
std::string offers_version(store::Tx& tx);

// Over all jobs: SCHEDULED and IN_PROGRESS; is_concurrent(); DELETION_IN_PROGRESS. Snapshots.
std::int64_t active_jobs(store::Tx& tx);
std::int64_t concurrent_jobs(store::Tx& tx);
std::int64_t deleting_jobs(store::Tx& tx);

Error job_not_found(std::string_view job_id);

}  // namespace muster::jobs
