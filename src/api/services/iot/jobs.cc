// SPDX-License-Identifier: Apache-2.0
#include "api/services/iot/jobs.h"

#include "api/services/iot/jobs_shapes.h"
#include "domain/registry/groups.h"
#include "domain/registry/tags.h"
#include "store/transact.h"

namespace muster::api::iot {

namespace {

using jobs::Effects;
using store::Tx;

struct Outcome {
  json::object output;
  Effects effects;
};

registry::Tags tags_of_input(const json::object& input) {
  registry::Tags tags;
  const auto* list = find_array(input, "tags");
  if (list == nullptr) return tags;
  for (const auto& entry : *list) {
    const auto* tag = entry.if_object();
    if (tag != nullptr) tags.emplace(get_string(*tag, "Key"), get_string(*tag, "Value"));
  }
  return tags;
}

Result<jobs::NewJob> new_job(const json::object& input) {
  jobs::NewJob job;
  job.id = get_string(input, "jobId");
  if (const auto* targets = find_array(input, "targets")) {
    for (const auto& target : *targets) {
      if (target.is_string()) job.targets.emplace_back(target.get_string());
    }
  }
  const bool inline_document = has(input, "document"), elsewhere = has(input, "documentSource");
  if (inline_document && elsewhere) return invalid("Only one of document and documentSource can be given.");
  if (!inline_document && !elsewhere) return invalid("Either document or documentSource must be given.");
  job.document = get_string(input, "document");
  job.document_source = get_string(input, "documentSource");
  job.description = get_string(input, "description");
  if (has(input, "targetSelection")) {
    job.selection = jobs::selection_from(get_string(input, "targetSelection"));
    if (!job.selection) return invalid("targetSelection must be CONTINUOUS or SNAPSHOT.");
  }
  job.presign = presign_config(input);
  TRY(job.timeout_minutes, timeout_minutes(input));
  return job;
}

// The document of documentSource, as the caller may read it. An own transaction: the file is read only once however
// often the creation is re-run.
Result<std::string> read_document(const JobsServices& services, Tx& tx, const Call& call, const std::string& url) {
  if (!services.read_document) return make_error(ErrorKind::kNotSupported, "documentSource is not available.");
  TRY(const auto object, services.context.parse_url(url, true));
  auto text = services.read_document(tx, call, object, services.context.limits.max_document_bytes);
  if (text) return text;
  switch (text.error().kind) {
    case ErrorKind::kNotFound:
    case ErrorKind::kAccessDenied:
    case ErrorKind::kTooLarge:
    case ErrorKind::kInvalid:
      return invalid("The job document cannot be read from " + url + ": " + text.error().message);
    default:
      return std::move(text).error();
  }
}

Handler create_job_handler(std::shared_ptr<const JobsServices> services) {
  return [services](Call& call) -> io::Task<Reply> {
    CO_TRY(jobs::NewJob job, new_job(call.input));
    const registry::Tags tags = tags_of_input(call.input);
    if (!job.document_source.empty()) {
      auto read = [&](Tx& tx) { return read_document(*services, tx, call, job.document_source); };
      CO_TRY(job.document, co_await store::transact(*services->store, read));
    }
    auto create = [&](Tx& tx) -> Result<Outcome> {
      Outcome outcome;
      TRY(const auto made, jobs::create_job(services->context, tx, job, outcome.effects));
      const Realm& realm = services->context.realm;
      if (!tags.empty()) TRY_VOID(registry::tag_resource(tx, iot_arn(realm, "job", job.id), tags));
      outcome.output = job_reference_shape(realm, *made);
      return outcome;
    };
    CO_TRY(Outcome outcome, co_await store::transact(*services->store, create));
    services->signals.send(outcome.effects);
    Reply reply;
    reply.output = std::move(outcome.output);
    co_return reply;
  };
}

Result<json::object> update_job(const JobsServices& services, Tx& tx, const json::object& input, Effects&) {
  jobs::JobChange change;
  if (has(input, "description")) change.description = std::string(get_string(input, "description"));
  change.presign = presign_config(input);
  TRY(change.timeout_minutes, timeout_minutes(input));
  TRY_VOID(jobs::update_job(services.context, tx, get_string(input, "jobId"), change));
  return json::object();
}

Result<json::object> describe_job(const JobsServices& services, Tx& tx, const json::object& input, Effects&) {
  TRY(const auto description, jobs::describe_job(services.context, tx, get_string(input, "jobId")));
  json::object output;
  if (!description.job->document_source.empty()) output["documentSource"] = description.job->document_source;
  output["job"] = job_shape(services.context.realm, description);
  return output;
}

Result<json::object> get_job_document(const JobsServices& services, Tx& tx, const json::object& input, Effects&) {
  TRY(auto text, jobs::get_job_document(services.context, tx, get_string(input, "jobId")));
  return json::object{{"document", std::move(text)}};
}

Result<json::object> list_jobs(const JobsServices& services, Tx& tx, const json::object& input, Effects&) {
  jobs::JobFilter filter;
  if (has(input, "status")) filter.status = jobs::job_status_from(get_string(input, "status"));
  if (has(input, "targetSelection")) filter.selection = jobs::selection_from(get_string(input, "targetSelection"));
  filter.thing_group = get_string(input, "thingGroupName");
  filter.max_results = static_cast<std::size_t>(get_int(input, "maxResults", 250));
  filter.next_token = get_string(input, "nextToken");
  std::string group_id;
  if (!filter.thing_group.empty()) {
    TRY(const auto group, registry::get_group(tx, filter.thing_group));
    group_id = group.id;
  }
  TRY(const auto page, jobs::list_jobs(services.context, tx, filter));
  json::array summaries;
  for (const auto& job : page.items) {
    json::object summary = job_summary_shape(services.context.realm, *job);
    if (!group_id.empty()) summary["thingGroupId"] = group_id;
    summaries.emplace_back(std::move(summary));
  }
  json::object output{{"jobs", std::move(summaries)}};
  if (!page.next_token.empty()) output["nextToken"] = page.next_token;
  return output;
}

Result<json::object> cancel_job(const JobsServices& services, Tx& tx, const json::object& input, Effects& effects) {
  jobs::Cancellation request;
  request.force = get_bool(input, "force");
  request.comment = get_string(input, "comment");
  request.reason_code = get_string(input, "reasonCode");
  TRY(const auto job, jobs::cancel_job(services.context, tx, get_string(input, "jobId"), request, effects));
  return job_reference_shape(services.context.realm, *job);
}

Result<json::object> delete_job(const JobsServices& services, Tx& tx, const json::object& input, Effects& effects) {
  const auto id = get_string(input, "jobId");
  TRY_VOID(jobs::delete_job(services.context, tx, id, get_bool(input, "force"), effects));
  return json::object();
}

}  // namespace

Handler jobs_handler(std::shared_ptr<const JobsServices> services, JobsBody body) {
  return [services, body](Call& call) -> io::Task<Reply> {
    auto run = [&](Tx& tx) -> Result<Outcome> {
      Outcome outcome;
      TRY(outcome.output, body(*services, tx, call.input, outcome.effects));
      return outcome;
    };
    CO_TRY(Outcome outcome, co_await store::transact(*services->store, run));
    services->signals.send(outcome.effects);
    Reply reply;
    reply.output = std::move(outcome.output);
    co_return reply;
  };
}

void register_jobs(Operations& operations, const JobsServices& given) {
  const auto services = std::make_shared<const JobsServices>(given);
  operations.add("iot", "CreateJob", create_job_handler(services));
  const auto add = [&](std::string_view operation, JobsBody body) {
    operations.add("iot", operation, jobs_handler(services, std::move(body)));
  };
  add("UpdateJob", update_job);
  add("DescribeJob", describe_job);
  add("GetJobDocument", get_job_document);
  add("ListJobs", list_jobs);
  add("CancelJob", cancel_job);
  add("DeleteJob", delete_job);
  register_job_executions(operations, services);
}

}  // namespace muster::api::iot
