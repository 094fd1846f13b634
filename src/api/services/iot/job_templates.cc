// SPDX-License-Identifier: Apache-2.0
#include "api/services/iot/job_templates.h"

#include "api/services/iot/jobs_shapes.h"
#include "api/services/iot/tags.h"
#include "api/wire/authorization.h"
#include "base/text.h"
#include "domain/iam/authorize.h"
#include "domain/jobs/managed_templates.h"
#include "domain/jobs/templates.h"
#include "domain/registry/page.h"
#include "domain/registry/tags.h"
#include "store/transact.h"

namespace muster::api::iot {

namespace {

using jobs::Effects;
using store::Tx;

constexpr std::string_view kManagedListing = "managed-job-templates";

// iam:PassRole, which the pipeline asks for a role in the request.
Status authorize_role(const JobsServices& services, Tx& tx, const Call& call, const std::string& role) {
  iam::AuthorizationRequest pass;
  pass.action = "iam:PassRole";
  pass.resources = {role};
  if (call.request != nullptr) pass.context = request_context(*call.request, services.context.realm, call.now_ms);
  pass.context["iam:PassedToService"] = {"iot.amazonaws.com"};
  return iam::authorize(tx, services.context.realm, call.caller, pass);
}

Result<jobs::NewTemplate> new_template(const json::object& input) {
  if (has(input, "document") && has(input, "documentSource")) {
    return invalid("Only one of document and documentSource can be given.");
  }
  TRY(jobs::JobChange configs, job_change(input));
  jobs::NewTemplate request;
  request.job_arn = get_string(input, "jobArn");
  jobs::JobTemplate& wanted = request.wanted;
  wanted.id = get_string(input, "jobTemplateId");
  wanted.description = get_string(input, "description");
  wanted.document = get_string(input, "document");
  wanted.document_source = get_string(input, "documentSource");
  wanted.presign = std::move(configs.presign);
  wanted.rollout = std::move(configs.rollout);
  wanted.abort = std::move(configs.abort);
  wanted.retry = std::move(configs.retry);
  wanted.timeout_minutes = configs.timeout_minutes;
  if (const auto* windows = find_array(input, "maintenanceWindows")) {
    TRY(wanted.windows, jobs::read_windows(*windows));
  }
  return request;
}

// Within the creating transaction, which may run more than once.
Result<json::object> create_template(const JobsServices& services, Tx& tx, const Call& call,
                                     const jobs::NewTemplate& request, const registry::Tags& tags) {
  TRY(const auto made, jobs::create_template(services.context, tx, request));
  if (made.presign && !request.wanted.presign) {
    TRY_VOID(authorize_role(services, tx, call, made.presign->role_arn));
  }
  const std::string arn = jobs::template_arn(services.context, made.id);
  if (!tags.empty()) TRY_VOID(registry::tag_resource(tx, arn, tags));
  return json::object{{"jobTemplateArn", arn}, {"jobTemplateId", made.id}};
}

Handler create_template_handler(std::shared_ptr<const JobsServices> services) {
  return [services](Call& call) -> io::Task<Reply> {
    CO_TRY(jobs::NewTemplate request, new_template(call.input));
    CO_TRY(const registry::Tags tags, read_tags(call.input));
    CO_TRY_VOID(refuse_reserved_tags(tags));
    if (const std::string source = request.wanted.document_source; !source.empty()) {
      auto read = [&](Tx& tx) { return read_document_source(*services, tx, call, source); };
      CO_TRY(request.wanted.document, co_await store::transact(*services->store, read));
    }
    auto create = [&](Tx& tx) { return create_template(*services, tx, call, request, tags); };
    Reply reply;
    CO_TRY(reply.output, co_await store::transact(*services->store, create));
    co_return reply;
  };
}

Result<json::object> describe_template(const JobsServices& services, Tx& tx, const json::object& input, Effects&) {
  TRY(const auto found, jobs::get_template(tx, get_string(input, "jobTemplateId")));
  json::object shape;
  shape["jobTemplateArn"] = jobs::template_arn(services.context, found.id);
  shape["jobTemplateId"] = found.id;
  shape["description"] = found.description;
  if (!found.document_source.empty()) shape["documentSource"] = found.document_source;
  shape["document"] = found.document;
  shape["createdAt"] = found.created_ms;
  if (found.presign) shape["presignedUrlConfig"] = jobs::to_json(*found.presign);
  if (found.rollout) shape["jobExecutionsRolloutConfig"] = jobs::to_json(*found.rollout);
  if (found.abort) shape["abortConfig"] = jobs::to_json(*found.abort);
  if (found.timeout_minutes) shape["timeoutConfig"] = jobs::timeout_to_json(*found.timeout_minutes);
  if (found.retry) shape["jobExecutionsRetryConfig"] = jobs::to_json(*found.retry);
  if (!found.windows.empty()) shape["maintenanceWindows"] = jobs::to_json(found.windows);
  return shape;
}

Result<json::object> list_templates(const JobsServices& services, Tx& tx, const json::object& input, Effects&) {
  const auto max_results = static_cast<std::size_t>(get_int(input, "maxResults", 250));
  TRY(const auto page, jobs::list_templates(tx, max_results, get_string(input, "nextToken")));
  json::array summaries;
  for (const auto& item : page.items) {
    summaries.push_back(json::object{{"jobTemplateArn", jobs::template_arn(services.context, item.id)},
                                     {"jobTemplateId", item.id},
                                     {"description", item.description},
                                     {"createdAt", item.created_ms}});
  }
  json::object output{{"jobTemplates", std::move(summaries)}};
  if (!page.next_token.empty()) output["nextToken"] = page.next_token;
  return output;
}

Result<json::object> delete_template(const JobsServices& services, Tx& tx, const json::object& input, Effects&) {
  TRY_VOID(jobs::delete_template(services.context, tx, get_string(input, "jobTemplateId")));
  return json::object();
}

// ManagedJobTemplateSummary, and what it shares with DescribeManagedJobTemplate.
json::object managed_summary(const jobs::Context& context, const jobs::ManagedTemplate& managed) {
  return {{"templateArn", jobs::managed_template_arn(context, managed)},
          {"templateName", managed.name},
          {"description", managed.description},
          {"environments", json::array{jobs::kManagedEnvironment}},
          {"templateVersion", managed.version}};
}

Error managed_not_found(std::string_view name, std::string_view version) {
  std::string text = "Managed Job Template " + std::string(name);
  if (!version.empty()) text.append(" version ").append(version);
  return not_found(text + " cannot be found.");
}

Result<json::object> describe_managed(const JobsServices& services, Tx&, const json::object& input, Effects&) {
  const std::string_view name = get_string(input, "templateName"), version = get_string(input, "templateVersion");
  const auto* found = jobs::find_managed_template(name, version);
  if (found == nullptr) return managed_not_found(name, version);
  json::object shape = managed_summary(services.context, *found);
  json::array parameters;
  for (const auto& parameter : found->parameters) {
    parameters.push_back(json::object{{"key", parameter.key},
                                      {"description", parameter.description},
                                      {"regex", parameter.regex},
                                      {"example", parameter.example},
                                      {"optional", parameter.optional}});
  }
  shape["documentParameters"] = std::move(parameters);
  shape["document"] = found->document;
  return shape;
}

// A token is the name of the next one.
Result<json::object> list_managed(const JobsServices& services, Tx&, const json::object& input, Effects&) {
  const std::string_view name = get_string(input, "templateName");
  const auto wanted = static_cast<std::size_t>(get_int(input, "maxResults", 250));
  TRY(const std::string position, registry::page_position(kManagedListing, get_string(input, "nextToken")));
  if (!name.empty() && jobs::find_managed_template(name) == nullptr) return managed_not_found(name, {});
  json::array summaries;
  json::object output;
  for (const auto& managed : jobs::managed_templates()) {
    if (managed.name < position || (!name.empty() && managed.name != name)) continue;
    if (summaries.size() == wanted) {
      output["nextToken"] = registry::page_token(kManagedListing, managed.name);
      break;
    }
    summaries.push_back(managed_summary(services.context, managed));
  }
  output["managedJobTemplates"] = std::move(summaries);
  return output;
}

}  // namespace

Status use_template(const JobsServices& services, Tx& tx, const Call& call, jobs::NewJob& job) {
  const bool own_role = job.presign.has_value();
  const std::string arn = job.template_arn;
  TRY_VOID(jobs::apply_template(services.context, tx, arn, job));
  if (own_role || !job.presign) return {};
  return authorize_role(services, tx, call, job.presign->role_arn);
}

void register_job_templates(Operations& operations, const std::shared_ptr<const JobsServices>& services) {
  operations.add("iot", "CreateJobTemplate", create_template_handler(services));
  const auto add = [&](std::string_view operation, JobsBody body) {
    operations.add("iot", operation, jobs_handler(services, std::move(body)));
  };
  add("DescribeJobTemplate", describe_template);
  add("ListJobTemplates", list_templates);
  add("DeleteJobTemplate", delete_template);
  add("DescribeManagedJobTemplate", describe_managed);
  add("ListManagedJobTemplates", list_managed);
}

}  // namespace muster::api::iot
