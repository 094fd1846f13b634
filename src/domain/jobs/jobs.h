// SPDX-License-Identifier: Apache-2.0
// Jobs, the operator's side: create, describe, list, update, cancel and delete jobs. Synchronous functions of a
// transaction; the service layer has checked shapes (lengths, patterns, enums), everything that needs the store or
// relates members is checked here. Source: service model iot 2015-05-28, jobs spec 1.2-1.7. Bounds: a page of 250; a
// transaction touches at most Limits::immediate_executions executions, the engine does the rest.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/jobs/context.h"
#include "domain/jobs/execution.h"
#include "domain/jobs/job.h"
#include "domain/jobs/plan.h"
#include "store/store.h"

namespace muster::jobs {

struct NewJob {
  std::string id;
  std::vector<std::string> targets;  // ARNs
  std::string document;              // inline, or the text read from document_source
  std::string document_source;
  std::string description;
  std::optional<Selection> selection;
  std::optional<PresignConfig> presign;
  std::optional<std::int64_t> timeout_minutes;
  std::optional<RolloutConfig> rollout;
  std::optional<AbortConfig> abort;
  std::optional<RetryConfig> retry;
  Schedule schedule;
  bool windows_of_template = false;  // schedule.windows came with the template
  std::string namespace_id;
  std::string template_arn;
  std::map<std::string, std::string> parameters;
  Controls controls;  // of its tags
};
// kAlreadyExists (fields resourceId, resourceArn), kNotFound for a target, kInvalid, kLimit for a quota.
Result<std::shared_ptr<const Job>> create_job(const Context& context, store::Tx& tx, const NewJob& request,
                                              Effects& effects);

struct JobChange {
  std::optional<std::string> description;
  std::optional<PresignConfig> presign;
  std::optional<std::int64_t> timeout_minutes;
  std::optional<RolloutConfig> rollout;
  std::optional<AbortConfig> abort;
  std::optional<RetryConfig> retry;  // every number 0, the failure types of creation
};
Status update_job(const Context& context, store::Tx& tx, std::string_view job_id, const JobChange& change,
                  Effects& effects);

// AssociateTargetsWithJob: more groups for a continuous job. kInvalid for its state or selection, kNotFound, kLimit.
struct MoreTargets {
  std::string job;
  std::vector<std::string> targets;  // thing group ARNs
  std::string comment;
};
Result<std::shared_ptr<const Job>> associate_targets(const Context& context, store::Tx& tx, const MoreTargets& request,
                                                     Effects& effects);

// The job's controls become those of `tags` (all its tags, after a change of them). kInvalid: see controls.h.
Status change_controls(const Context& context, store::Tx& tx, std::string_view job_id,
                       const std::map<std::string, std::string>& tags, Effects& effects);

// Exact as of the transaction's snapshot.
JobCounts job_counts(store::Tx& tx, std::string_view job_id);

struct JobDescription {
  std::shared_ptr<const Job> job;
  JobCounts counts;
  std::vector<std::string> processing_targets;   // still rolling out
  std::vector<std::int64_t> scheduled_rollouts;  // the next openings of maintenance windows, ms, at most 7
};
Result<JobDescription> describe_job(const Context& context, store::Tx& tx, std::string_view job_id);
// `before_substitution`: the managed template's text instead of the one with its parameters filled in.
Result<std::string> get_job_document(const Context& context, store::Tx& tx, std::string_view job_id,
                                     bool before_substitution = false);

template <class T>
struct Page {
  std::vector<T> items;
  std::string next_token;  // empty: the end. A page may hold fewer items than asked for and still not be the last.
};

struct JobFilter {
  std::optional<JobStatus> status;
  std::optional<Selection> selection;
  std::string thing_group;   // name; empty: any
  std::string namespace_id;  // empty: any
  std::size_t max_results = 250;
  std::string next_token;
};
// Newest first.
Result<Page<std::shared_ptr<const Job>>> list_jobs(const Context& context, store::Tx& tx, const JobFilter& filter);

struct Cancellation {
  bool force = false;
  std::string comment;
  std::string reason_code;
};
Result<std::shared_ptr<const Job>> cancel_job(const Context& context, store::Tx& tx, std::string_view job_id,
                                              const Cancellation& request, Effects& effects);
// The job becomes DELETION_IN_PROGRESS at once; the engine deletes its executions and then the job.
Status delete_job(const Context& context, store::Tx& tx, std::string_view job_id, bool force, Effects& effects);

}  // namespace muster::jobs
