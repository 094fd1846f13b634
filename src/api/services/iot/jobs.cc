// SPDX-License-Identifier: Apache-2.0
#include "api/services/iot/jobs.h"

#include "api/services/iot/job_templates.h"
#include "api/services/iot/jobs_shapes.h"
#include "api/services/iot/tags.h"
#include "api/wire/await_callback.h"
#include "domain/jobs/controls.h"
#include "domain/registry/groups.h"
#include "domain/registry/tags.h"
#include "store/transact.h"

namespace muster::api::iot {

namespace {

using jobs::Effects;
using store::Tx;

constexpr std::string_view kPlaceholder = "${aws:iot:s3-presigned-url:";
constexpr std::size_t kMaxGroupsSearched = 20'000;
constexpr std::size_t kMaxDryRunText = 1990;  // a description has 2028 characters

struct Outcome {
  json::object output;
  Effects effects;
};

// CreateJob within its transaction, which may run more than once.
Result<json::object> create_job(const JobsServices& services, Tx& tx, const Call& call, jobs::NewJob job,
                                const registry::Tags& tags, Effects& effects) {
  const jobs::Context& context = services.context;
  if (!job.template_arn.empty()) TRY_VOID(use_template(services, tx, call, job));
  TRY(const auto made, jobs::create_job(context, tx, job, effects));
  if (!tags.empty()) TRY_VOID(registry::tag_resource(tx, iot_arn(context.realm, "job", job.id), tags));
  return job_reference_shape(context.realm, *made);
}

// The whole creation in a transaction that is then given up, so that nothing is checked less than in earnest; what the
// job would do is looked at before it is made.
io::Task<Reply> dry_run(const JobsServices& services, const Call& call, const jobs::NewJob& request,
                        const registry::Tags& tags) {
  std::optional<Planned> planned;
  auto try_it = [&](Tx& tx) -> Result<bool> {
    planned.reset();
    jobs::NewJob job = request;
    if (!job.template_arn.empty()) TRY_VOID(use_template(services, tx, call, job));
    TRY(jobs::Job plan, jobs::planned_job(services.context, tx, job));
    TRY(jobs::Preview preview, jobs::preview_new_job(services.context, tx, plan));
    Effects effects;
    TRY_VOID(create_job(services, tx, call, request, tags, effects));
    planned = Planned{std::move(plan), std::move(preview)};
    return make_error(ErrorKind::kUnavailable, "a dry run is not committed");
  };
  const Result<bool> tried = co_await store::transact(*services.store, try_it);
  if (!planned) co_return tried.error();
  Planned found = *std::move(planned);
  CO_TRY(const Planned whole, co_await with_offline(services, std::move(found)));
  Reply reply;
  reply.output["jobArn"] = iot_arn(services.context.realm, "job", request.id);
  reply.output["jobId"] = request.id;
  reply.output["description"] =
      "Dry run, nothing was created. " + sentences(jobs::explain(whole.job, whole.preview), kMaxDryRunText);
  co_return reply;
}

Handler create_job_handler(std::shared_ptr<const JobsServices> services) {
  return [services](Call& call) -> io::Task<Reply> {
    CO_TRY(jobs::NewJob job, new_job(call.input, call.now_ms));
    CO_TRY(const registry::Tags tags, read_tags(call.input));
    CO_TRY(job.controls, jobs::controls_from_tags(tags));
    if (!job.document_source.empty()) {
      auto read = [&](Tx& tx) { return read_document_source(*services, tx, call, job.document_source); };
      CO_TRY(job.document, co_await store::transact(*services->store, read));
    }
    // The one place where a dry run leaves the path of a creation.
    if (job.controls.dry_run) co_return co_await dry_run(*services, call, job, tags);
    auto create = [&](Tx& tx) -> Result<Outcome> {
      Outcome outcome;
      TRY(outcome.output, create_job(*services, tx, call, job, tags, outcome.effects));
      return outcome;
    };
    CO_TRY(Outcome outcome, co_await store::transact(*services->store, create));
    services->signals.send(outcome.effects);
    Reply reply;
    reply.output = std::move(outcome.output);
    co_return reply;
  };
}

Result<json::object> update_job(const JobsServices& services, Tx& tx, const json::object& input, Effects& effects) {
  TRY(const auto change, job_change(input));
  TRY_VOID(check_namespace(services, tx, input));
  TRY_VOID(jobs::update_job(services.context, tx, get_string(input, "jobId"), change, effects));
  return json::object();
}

Result<json::object> associate_targets(const JobsServices& services, Tx& tx, const json::object& input,
                                       Effects& effects) {
  TRY_VOID(check_namespace(services, tx, input));
  jobs::MoreTargets request;
  request.job = get_string(input, "jobId");
  request.targets = text_list(input, "targets");
  request.comment = get_string(input, "comment");
  TRY(const auto job, jobs::associate_targets(services.context, tx, request, effects));
  return job_reference_shape(services.context.realm, *job);
}

// beforeSubstitution is about the document, which only GetJobDocument answers.
Result<json::object> describe_job(const JobsServices& services, Tx& tx, const json::object& input, Effects&) {
  TRY(const auto description, jobs::describe_job(services.context, tx, get_string(input, "jobId")));
  json::object output;
  if (!description.job->document_source.empty()) output["documentSource"] = description.job->document_source;
  output["job"] = job_shape(services.context.realm, description);
  return output;
}

Result<json::object> get_job_document(const JobsServices& services, Tx& tx, const json::object& input, Effects&) {
  const bool before = get_bool(input, "beforeSubstitution");
  TRY(auto text, jobs::get_job_document(services.context, tx, get_string(input, "jobId"), before));
  return json::object{{"document", std::move(text)}};
}

// The registry finds groups by name alone.
Result<registry::ThingGroup> group_of_id(Tx& tx, std::string_view id) {
  registry::ListGroups list;
  list.page.limit = 250;
  for (std::size_t seen = 0; seen < kMaxGroupsSearched; seen += list.page.limit) {
    TRY(const auto page, registry::list_groups(tx, list));
    for (const auto& name : page.items) {
      if (auto group = registry::find_group(tx, name); group && group->id == id) return *std::move(group);
    }
    if (page.next_token.empty()) return not_found("Thing Group " + std::string(id) + " not found.");
    list.page.token = page.next_token;
  }
  return invalid("There are too many thing groups to look for one by thingGroupId: give thingGroupName.");
}

// The group that thingGroupName, thingGroupId or both name.
Result<std::optional<registry::ThingGroup>> group_filter(Tx& tx, const json::object& input) {
  const std::string_view name = get_string(input, "thingGroupName"), id = get_string(input, "thingGroupId");
  if (name.empty() && id.empty()) return std::optional<registry::ThingGroup>();
  if (name.empty()) {
    TRY(auto group, group_of_id(tx, id));
    return std::optional(std::move(group));
  }
  TRY(auto group, registry::get_group(tx, name));
  if (!id.empty() && group.id != id) return invalid("thingGroupName and thingGroupId name different thing groups.");
  return std::optional(std::move(group));
}

Result<json::object> list_jobs(const JobsServices& services, Tx& tx, const json::object& input, Effects&) {
  jobs::JobFilter filter;
  if (has(input, "status")) filter.status = jobs::job_status_from(get_string(input, "status"));
  if (has(input, "targetSelection")) filter.selection = jobs::selection_from(get_string(input, "targetSelection"));
  filter.namespace_id = get_string(input, "namespaceId");
  filter.max_results = static_cast<std::size_t>(get_int(input, "maxResults", 250));
  filter.next_token = get_string(input, "nextToken");
  TRY(const auto group, group_filter(tx, input));
  if (group) filter.thing_group = group->name;
  TRY(const auto page, jobs::list_jobs(services.context, tx, filter));
  json::array summaries;
  for (const auto& job : page.items) {
    json::object summary = job_summary_shape(services.context.realm, *job);
    if (group) summary["thingGroupId"] = group->id;
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
  TRY_VOID(check_namespace(services, tx, input));
  const auto id = get_string(input, "jobId");
  TRY_VOID(jobs::delete_job(services.context, tx, id, get_bool(input, "force"), effects));
  return json::object();
}

}  // namespace

Result<std::string> read_document_source(const JobsServices& services, Tx& tx, const Call& call,
                                         const std::string& url) {
  if (!services.read_document) return make_error(ErrorKind::kNotSupported, "documentSource is not available.");
  // The models of 2022 want the URL in a placeholder, later ones plain; within one it stands unencoded.
  std::string_view plain = url;
  const bool wrapped = plain.starts_with(kPlaceholder) && plain.ends_with('}');
  if (wrapped) plain = plain.substr(kPlaceholder.size(), plain.size() - kPlaceholder.size() - 1);
  TRY(const auto object, services.context.parse_url(plain, !wrapped));
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

io::Task<Planned> with_offline(const JobsServices& services, Planned planned) {
  if (!services.count_offline) co_return planned;
  std::function<void(std::function<void(Result<std::int64_t>)>)> ask = [&](auto done) {
    services.count_offline(planned.preview.sample, std::move(done));
  };
  CO_TRY(planned.preview.offline, co_await await_callback<std::int64_t>(ask));
  co_return planned;
}

Status check_namespace(const JobsServices& services, Tx& tx, const json::object& input) {
  const std::string_view wanted = get_string(input, "namespaceId"), id = get_string(input, "jobId");
  if (wanted.empty()) return {};
  TRY(const auto job, jobs::get_job(services.context, tx, id));
  return job->namespace_id == wanted ? Status() : Status(jobs::job_not_found(id));
}

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
  add("AssociateTargetsWithJob", associate_targets);
  add("DescribeJob", describe_job);
  add("GetJobDocument", get_job_document);
  add("ListJobs", list_jobs);
  add("CancelJob", cancel_job);
  add("DeleteJob", delete_job);
  register_job_executions(operations, services);
  register_job_templates(operations, services);
}

}  // namespace muster::api::iot
