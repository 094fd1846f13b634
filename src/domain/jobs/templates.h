// SPDX-License-Identifier: Apache-2.0
// Job templates: a custom template is a stored document and configuration from which jobs are made; a managed one comes
// with Muster, as AWS's come with AWS, and takes parameters. Synchronous functions of a transaction. Source: service
// model iot 2015-05-28, jobs spec 1.3, 5.4.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
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

// `job_arn`: the job whose members are copied where the request gives none.
struct NewTemplate {
  JobTemplate wanted;
  std::string job_arn;
};
Result<JobTemplate> create_template(const Context& context, store::Tx& tx, const NewTemplate& request);
Result<JobTemplate> get_template(store::Tx& tx, std::string_view template_id);
Status delete_template(const Context& context, store::Tx& tx, std::string_view template_id);
// Newest first.
Result<Page<JobTemplate>> list_templates(store::Tx& tx, std::size_t max_results, std::string_view next_token);

// CreateJob: fills in what the request leaves to the template that its ARN names, custom or managed; a managed one's
// document gets the parameters. kNotFound, kInvalid.
Status apply_template(const Context& context, store::Tx& tx, std::string_view template_arn, NewJob& request);

struct ManagedParameter {
  std::string_view key, description, regex, example;
  bool optional = false;
};
struct ManagedTemplate {
  std::string_view name, version, description, document;
  std::span<const ManagedParameter> parameters;
};
std::span<const ManagedTemplate> managed_templates();
// nullptr: no such name (or version, when one is asked for).
const ManagedTemplate* find_managed_template(std::string_view name, std::string_view version);
std::string managed_template_arn(const Context& context, const ManagedTemplate& found);  // empty account
// The document with every ${aws:iot:parameter:KEY} replaced. kInvalid: required missing, unknown, not matching its
// regex.
Result<std::string> expand_parameters(const ManagedTemplate& from, const std::map<std::string, std::string>& values);

}  // namespace muster::jobs
