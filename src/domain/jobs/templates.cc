// SPDX-License-Identifier: Apache-2.0
// kJobTemplate: the members of DescribeJobTemplate by AWS's names, but for the id; created in milliseconds.
#include "domain/jobs/templates.h"

#include <algorithm>

#include "base/ids.h"
#include "base/json.h"
#include "domain/jobs/documents.h"
#include "domain/jobs/managed_templates.h"
#include "domain/registry/page.h"
#include "domain/registry/tags.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::jobs {

namespace table = store::table;
using store::Key;

namespace {

constexpr std::string_view kListing = "job-templates";
constexpr std::size_t kMaxPage = 250;

std::string record_key(std::string_view template_id) {
  return Key(table::kJobTemplate).text(template_id).str();
}
std::string time_key(const JobTemplate& stored) {
  return Key(table::kJobTemplateByTime).descending(stored.created_ms).text(stored.id).str();
}

Error template_not_found(std::string_view template_id) {
  return not_found("Job Template " + std::string(template_id) + " cannot be found.");
}

std::string encode(const JobTemplate& stored) {
  json::object record;
  record["description"] = stored.description;
  record["document"] = stored.document;
  if (!stored.document_source.empty()) record["documentSource"] = stored.document_source;
  if (stored.presign) record["presignedUrlConfig"] = to_json(*stored.presign);
  if (stored.rollout) record["jobExecutionsRolloutConfig"] = to_json(*stored.rollout);
  if (stored.abort) record["abortConfig"] = to_json(*stored.abort);
  if (stored.retry) record["jobExecutionsRetryConfig"] = to_json(*stored.retry);
  if (stored.timeout_minutes) record["timeoutConfig"] = timeout_to_json(*stored.timeout_minutes);
  if (!stored.windows.empty()) record["maintenanceWindows"] = to_json(stored.windows);
  record["created"] = stored.created_ms;
  return to_text(record);
}

template <class T>
Status read_member(const json::object& record, std::string_view member, Result<T> (*read)(const json::object&),
                   std::optional<T>& value) {
  const auto* stored = find_object(record, member);
  if (stored == nullptr) return {};
  TRY(value, read(*stored));
  return {};
}

Result<JobTemplate> decode(std::string_view template_id, std::string_view text) {
  TRY(const json::object record, parse_record(text));
  JobTemplate stored;
  stored.id = template_id;
  stored.description = get_string(record, "description");
  stored.document = get_string(record, "document");
  stored.document_source = get_string(record, "documentSource");
  TRY_VOID(read_member(record, "presignedUrlConfig", read_presign, stored.presign));
  TRY_VOID(read_member(record, "jobExecutionsRolloutConfig", read_rollout, stored.rollout));
  TRY_VOID(read_member(record, "abortConfig", read_abort, stored.abort));
  TRY_VOID(read_member(record, "jobExecutionsRetryConfig", read_retry, stored.retry));
  TRY_VOID(read_member(record, "timeoutConfig", read_timeout, stored.timeout_minutes));
  if (const auto* windows = find_array(record, "maintenanceWindows")) {
    TRY(stored.windows, read_windows(*windows));
  }
  stored.created_ms = get_int(record, "created");
  return stored;
}

Result<std::optional<JobTemplate>> find_template(store::Tx& tx, std::string_view template_id) {
  const auto record = tx.get(record_key(template_id));
  if (!record) return std::optional<JobTemplate>();
  auto stored = decode(template_id, *record);
  if (!stored) return internal("corrupt record of job template " + std::string(template_id));
  return std::optional(*std::move(stored));
}

template <class T>
void fill(std::optional<T>& wanted, const std::optional<T>& from) {
  if (!wanted) wanted = from;
}

// What the request leaves to the job.
Status copy_job(const Context& context, store::Tx& tx, std::string_view job_arn, JobTemplate& wanted) {
  const auto job_id = name_in_iot_arn(context.realm, "job", job_arn);
  if (!job_id) {
    const auto arn = parse_arn(job_arn);
    const bool of_a_job = arn && arn->service == "iot" && arn->resource.starts_with("job/");
    if (!of_a_job) return invalid("Invalid job ARN: " + std::string(job_arn));
    return job_not_found(arn->resource.substr(4));  // another account's or region's
  }
  TRY(const auto job, get_job(context, tx, *job_id));
  if (job->status == JobStatus::kDeletionInProgress) return job_not_found(*job_id);
  if (wanted.document.empty()) {
    TRY(wanted.document, document_text(tx, job->id));
    wanted.document_source = job->document_source;
  }
  fill(wanted.presign, job->presign);
  fill(wanted.rollout, job->rollout);
  fill(wanted.abort, job->abort);
  fill(wanted.retry, job->retry);
  if (job->timeout_minutes != 0 && !job->default_timeout) fill(wanted.timeout_minutes, {job->timeout_minutes});
  return {};
}

Status apply_managed(const ManagedTemplate& managed, NewJob& request) {
  if (!request.document.empty() || !request.document_source.empty()) {
    return invalid("The document of managed job template " + std::string(managed.name) +
                   " cannot be replaced: document and documentSource must not be given.");
  }
  TRY(request.document, expand_parameters(managed, request.parameters));
  if (request.description.empty()) request.description = managed.description;
  return {};
}

void apply_custom(const JobTemplate& stored, NewJob& request) {
  if (request.document.empty()) {
    request.document = stored.document;
    request.document_source = stored.document_source;
  }
  fill(request.presign, stored.presign);
  fill(request.rollout, stored.rollout);
  fill(request.abort, stored.abort);
  fill(request.retry, stored.retry);
  fill(request.timeout_minutes, stored.timeout_minutes);
  if (request.schedule.windows.empty() && !stored.windows.empty()) {
    request.schedule.windows = stored.windows;
    request.windows_of_template = true;
  }
}

}  // namespace

std::string template_arn(const Context& context, std::string_view template_id) {
  return iot_arn(context.realm, "jobtemplate", template_id);
}

Result<JobTemplate> create_template(const Context& context, store::Tx& tx, const NewTemplate& request) {
  JobTemplate wanted = request.wanted;
  if (!is_job_id(wanted.id)) return invalid("Invalid job template id: it must match [a-zA-Z0-9_-]{1,64}.");
  if (wanted.description.empty()) return invalid("A job template must have a description.");
  if (wanted.document.empty() && request.job_arn.empty()) {
    return invalid("One of jobArn, document and documentSource must be given.");
  }
  if (tx.get(record_key(wanted.id))) {
    Error error = make_error(ErrorKind::kAlreadyExists, "Job Template " + wanted.id + " already exists.");
    error.fields["resourceId"] = wanted.id;
    return error;
  }
  if (!request.job_arn.empty()) TRY_VOID(copy_job(context, tx, request.job_arn, wanted));
  TRY_VOID(compile_document(context, wanted.document));
  wanted.created_ms = tx.now_ms();
  tx.put(record_key(wanted.id), encode(wanted));
  tx.put(time_key(wanted), wanted.description);
  return wanted;
}

Result<JobTemplate> get_template(store::Tx& tx, std::string_view template_id) {
  TRY(auto stored, find_template(tx, template_id));
  if (!stored) return template_not_found(template_id);
  return *std::move(stored);
}

Status delete_template(const Context& context, store::Tx& tx, std::string_view template_id) {
  TRY(const JobTemplate stored, get_template(tx, template_id));
  tx.erase(record_key(template_id));
  tx.erase(time_key(stored));
  registry::erase_tags(tx, template_arn(context, template_id));
  return {};
}

Result<Page<JobTemplate>> list_templates(store::Tx& tx, std::size_t max_results, std::string_view next_token) {
  const std::size_t wanted = std::clamp<std::size_t>(max_results, 1, kMaxPage);
  TRY(const std::string position, registry::page_position(kListing, next_token));
  const std::string prefix(1, table::kJobTemplateByTime);
  store::RangeOptions options;
  options.begin = prefix + position;
  options.end = store::after_prefix(prefix);
  options.limit = wanted + 1;
  options.snapshot = true;
  Page<JobTemplate> page;
  for (auto& row : tx.range(options)) {
    if (page.items.size() == wanted) {
      page.next_token = registry::page_token(kListing, std::string_view(row.key).substr(1));
      break;
    }
    store::KeyReader reader(row.key);
    const auto created_ms = reader.descending();
    auto id = created_ms ? reader.text() : std::nullopt;
    if (!id) return internal("corrupt list of job templates");
    JobTemplate& listed = page.items.emplace_back();
    listed.id = *std::move(id);
    listed.description = std::move(row.value);
    listed.created_ms = *created_ms;
  }
  return page;
}

Status apply_template(const Context& context, store::Tx& tx, std::string_view arn, NewJob& request) {
  const auto parsed = parse_arn(arn);
  if (!parsed || parsed->service != "iot" || !parsed->resource.starts_with("jobtemplate/")) {
    return invalid("Invalid job template ARN: " + std::string(arn));
  }
  request.template_arn = arn;
  if (const auto* managed = find_managed_template_by_arn(context, arn)) return apply_managed(*managed, request);
  const auto id = name_in_iot_arn(context.realm, "jobtemplate", arn);
  if (!id) return template_not_found(arn);  // another account's or region's, or a managed one that there is not
  TRY(const JobTemplate stored, get_template(tx, *id));
  if (!request.parameters.empty()) {
    return invalid("documentParameters can only be used with managed job templates; " + stored.id +
                   " is a custom one.");
  }
  apply_custom(stored, request);
  return {};
}

}  // namespace muster::jobs
