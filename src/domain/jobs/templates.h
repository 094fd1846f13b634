// SPDX-License-Identifier: Apache-2.0
// Job templates: a custom template is a stored document and configuration from which jobs are made; a managed one comes
// with Muster (managed_templates.h). Synchronous functions of a transaction; the service layer has checked shapes.
// Source: service model iot 2015-05-28, developer guide "Job templates", jobs spec 1.3. Bounds: a page of 250; a
// document as of a job.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/jobs/config.h"
#include "domain/jobs/context.h"
#include "domain/jobs/jobs.h"
#include "domain/jobs/schedule.h"
#include "store/store.h"

namespace muster::jobs {

struct JobTemplate {
  std::string id;
  std::string description;
  std::string document;         // text
  std::string document_source;  // as given, or empty
  std::optional<PresignConfig> presign;
  std::optional<RolloutConfig> rollout;
  std::optional<AbortConfig> abort;
  std::optional<RetryConfig> retry;
  std::optional<std::int64_t> timeout_minutes;
  std::vector<MaintenanceWindow> windows;
  std::int64_t created_ms = 0;
};

// `job_arn`: the job whose members are copied where the request gives none; empty: none. The text of a document_source
// is in `wanted.document` already.
struct NewTemplate {
  JobTemplate wanted;
  std::string job_arn;
};
// kAlreadyExists (field resourceId), kNotFound for the job, kInvalid for the source, the document and the ids.
Result<JobTemplate> create_template(const Context& context, store::Tx& tx, const NewTemplate& request);
Result<JobTemplate> get_template(store::Tx& tx, std::string_view template_id);  // kNotFound
// Its tags too. Jobs made from it stay as they are. kNotFound.
Status delete_template(const Context& context, store::Tx& tx, std::string_view template_id);
// Newest first; of each the id, description and created_ms only.
Result<Page<JobTemplate>> list_templates(store::Tx& tx, std::size_t max_results, std::string_view next_token);

// CreateJob: fills in what the request leaves to the template that its ARN names, custom or managed; a managed one's
// document gets the parameters. A member that the request has stays whole. kNotFound; kInvalid for an ARN of something
// else, parameters for a custom template, wrong ones for a managed one, and a document besides a managed one's.
Status apply_template(const Context& context, store::Tx& tx, std::string_view template_arn, NewJob& request);

std::string template_arn(const Context& context, std::string_view template_id);

}  // namespace muster::jobs
