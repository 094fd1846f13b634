// SPDX-License-Identifier: Apache-2.0
#include "domain/provisioning/templates.h"

#include "api/services/iot/tags.h"
#include "api/services/iot/things_handler.h"
#include "api/services/provisioning/provisioning.h"

namespace muster::api::iot {

namespace {

using provisioning::Hook;
using provisioning::ProvisioningTemplate;
using provisioning::TemplateType;
using store::Tx;

std::optional<Hook> hook_of(const json::object& input) {
  const json::object* shape = find_object(input, "preProvisioningHook");
  if (shape == nullptr) return std::nullopt;
  Hook hook{.target_arn = std::string(get_string(*shape, "targetArn"))};
  if (has(*shape, "payloadVersion")) hook.payload_version = get_string(*shape, "payloadVersion");
  return hook;
}

json::object reference(const ProvisioningServices& services, std::string_view name) {
  return {{"templateArn", provisioning::template_arn(services.context->realm, name)}, {"templateName", name}};
}

Result<json::object> create_template(const ProvisioningServices& services, Tx& tx, const Call& call) {
  const json::object& input = call.input;
  ProvisioningTemplate wanted;
  wanted.name = get_string(input, "templateName");
  wanted.description = get_string(input, "description");
  wanted.enabled = get_bool(input, "enabled");
  wanted.role_arn = get_string(input, "provisioningRoleArn");
  wanted.hook = hook_of(input);
  if (get_string(input, "type") == to_string(TemplateType::kJustInTime)) wanted.type = TemplateType::kJustInTime;
  const std::string arn = provisioning::template_arn(services.context->realm, wanted.name);
  TRY(const auto made,
      provisioning::create_template(tx, services.context->realm, wanted, get_string(input, "templateBody")));
  TRY_VOID(tag_new_resource(tx, arn, input));
  json::object output = reference(services, made.name);
  output["defaultVersionId"] = made.default_version;
  return output;
}

json::object summary(const ProvisioningServices& services, const ProvisioningTemplate& item) {
  json::object shape = reference(services, item.name);
  shape["description"] = item.description;
  shape["creationDate"] = item.created_ms;
  shape["lastModifiedDate"] = item.modified_ms;
  shape["enabled"] = item.enabled;
  shape["type"] = to_string(item.type);
  return shape;
}

Result<json::object> describe_template(const ProvisioningServices& services, Tx& tx, const Call& call) {
  TRY(const auto item, provisioning::get_template(tx, get_string(call.input, "templateName")));
  TRY(auto version, provisioning::get_template_version(tx, item.name, item.default_version));
  json::object shape = summary(services, item);
  shape["defaultVersionId"] = item.default_version;
  shape["templateBody"] = std::move(version.body);
  shape["provisioningRoleArn"] = item.role_arn;
  if (item.hook) {
    shape["preProvisioningHook"] =
        json::object{{"payloadVersion", item.hook->payload_version}, {"targetArn", item.hook->target_arn}};
  }
  return shape;
}

Result<json::object> list_templates(const ProvisioningServices& services, Tx& tx, const Call& call) {
  TRY(const auto page, provisioning::list_templates(tx, page_of_input(call.input)));
  json::array templates;
  for (const auto& item : page.items) templates.emplace_back(summary(services, item));
  json::object output{{"templates", std::move(templates)}};
  if (!page.next_token.empty()) output["nextToken"] = page.next_token;
  return output;
}

Result<json::object> update_template(const ProvisioningServices& services, Tx& tx, const Call& call) {
  const json::object& input = call.input;
  provisioning::TemplateChange change{.name = std::string(get_string(input, "templateName"))};
  if (has(input, "description")) change.description = std::string(get_string(input, "description"));
  if (has(input, "enabled")) change.enabled = get_bool(input, "enabled");
  if (has(input, "defaultVersionId")) change.default_version = get_int(input, "defaultVersionId");
  if (has(input, "provisioningRoleArn")) {
    change.role_arn = std::string(get_string(input, "provisioningRoleArn"));
  }
  change.hook = hook_of(input);
  change.remove_hook = get_bool(input, "removePreProvisioningHook");
  TRY_VOID(provisioning::update_template(tx, services.context->realm, change));
  return json::object();
}

Result<json::object> delete_template(const ProvisioningServices& services, Tx& tx, const Call& call) {
  TRY_VOID(provisioning::delete_template(tx, services.context->realm, get_string(call.input, "templateName")));
  return json::object();
}

Result<json::object> create_version(const ProvisioningServices& services, Tx& tx, const Call& call) {
  const std::string_view name = get_string(call.input, "templateName");
  const bool as_default = get_bool(call.input, "setAsDefault");
  TRY(const auto version,
      provisioning::create_template_version(tx, name, get_string(call.input, "templateBody"), as_default));
  json::object output = reference(services, name);
  output["versionId"] = version.number;
  output["isDefaultVersion"] = as_default;
  return output;
}

json::object version_summary(const ProvisioningTemplate& item, const provisioning::TemplateVersion& version) {
  return {{"versionId", version.number},
          {"creationDate", version.created_ms},
          {"isDefaultVersion", version.number == item.default_version}};
}

Result<json::object> describe_version(const ProvisioningServices&, Tx& tx, const Call& call) {
  TRY(const auto item, provisioning::get_template(tx, get_string(call.input, "templateName")));
  TRY(auto version, provisioning::get_template_version(tx, item.name, get_int(call.input, "versionId")));
  json::object shape = version_summary(item, version);
  shape["templateBody"] = std::move(version.body);
  return shape;
}

Result<json::object> list_versions(const ProvisioningServices&, Tx& tx, const Call& call) {
  TRY(const auto item, provisioning::get_template(tx, get_string(call.input, "templateName")));
  TRY(const auto page, provisioning::list_template_versions(tx, item.name, page_of_input(call.input)));
  json::array versions;
  for (const auto& version : page.items) versions.emplace_back(version_summary(item, version));
  json::object output{{"versions", std::move(versions)}};
  if (!page.next_token.empty()) output["nextToken"] = page.next_token;
  return output;
}

Result<json::object> delete_version(const ProvisioningServices&, Tx& tx, const Call& call) {
  TRY_VOID(provisioning::delete_template_version(tx, get_string(call.input, "templateName"),
                                                 get_int(call.input, "versionId")));
  return json::object();
}

}  // namespace

void register_provisioning_templates(Operations& operations, const SharedProvisioning& services) {
  const auto add = [&](std::string_view operation, ProvisioningBody body) {
    operations.add("iot", operation, provisioning_handler(services, std::move(body)));
  };
  add("CreateProvisioningTemplate", create_template);
  add("DescribeProvisioningTemplate", describe_template);
  add("ListProvisioningTemplates", list_templates);
  add("UpdateProvisioningTemplate", update_template);
  add("DeleteProvisioningTemplate", delete_template);
  add("CreateProvisioningTemplateVersion", create_version);
  add("DescribeProvisioningTemplateVersion", describe_version);
  add("ListProvisioningTemplateVersions", list_versions);
  add("DeleteProvisioningTemplateVersion", delete_version);
}

}  // namespace muster::api::iot
