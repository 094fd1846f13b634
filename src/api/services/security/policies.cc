// SPDX-License-Identifier: Apache-2.0
#include "domain/security/policies.h"
#include "api/services/iot/tags.h"
#include "api/services/iot/things_handler.h"
#include "api/services/security/certificate_shapes.h"

namespace muster::api::iot {

namespace {

using store::Tx;

json::array policy_list(const Realm& realm, const std::vector<std::string>& names) {
  json::array policies;
  for (const std::string& name : names)
    policies.push_back(json::object{{"policyName", name}, {"policyArn", security::policy_arn(realm, name)}});
  return policies;
}

Result<json::object> create_policy(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY(auto policy, security::create_policy(tx, services.realm, get_string(input, "policyName"),
                                           get_string(input, "policyDocument")));
  std::string arn = security::policy_arn(services.realm, policy.name);
  TRY(const registry::Tags tags, read_tags(input));
  TRY_VOID(refuse_reserved_tags(tags));
  if (!tags.empty()) TRY_VOID(registry::tag_resource(tx, arn, tags));
  return json::object{{"policyName", policy.name},
                      {"policyArn", arn},
                      {"policyDocument", policy.current().document},
                      {"policyVersionId", std::to_string(policy.default_version)}};
}

Result<json::object> get_policy(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY(auto policy, security::get_policy(tx, get_string(input, "policyName")));
  return json::object{{"policyName", policy.name},
                      {"policyArn", security::policy_arn(services.realm, policy.name)},
                      {"policyDocument", policy.current().document},
                      {"defaultVersionId", std::to_string(policy.default_version)},
                      {"creationDate", policy.created_ms},
                      {"lastModifiedDate", policy.modified_ms},
                      {"generationId", policy.generation_id}};
}

Result<json::object> delete_policy(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  std::string_view name = get_string(input, "policyName");
  TRY_VOID(security::delete_policy(tx, name));
  registry::erase_tags(tx, security::policy_arn(services.realm, name));
  return json::object();
}

Result<json::object> list_policies(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY(auto page, security::list_policies(tx, marker_page_of_input(input), get_bool(input, "ascendingOrder", true)));
  json::object output{{"policies", policy_list(services.realm, page.items)}};
  if (!page.next_token.empty()) output["nextMarker"] = page.next_token;
  return output;
}

Result<json::object> create_version(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  std::string_view name = get_string(input, "policyName");
  bool as_default = get_bool(input, "setAsDefault");
  TRY(auto version, security::create_policy_version(tx, name, get_string(input, "policyDocument"), as_default));
  return json::object{{"policyArn", security::policy_arn(services.realm, name)},
                      {"policyDocument", version.document},
                      {"policyVersionId", std::to_string(version.number)},
                      {"isDefaultVersion", as_default}};
}

Result<json::object> get_version(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY(auto policy, security::get_policy(tx, get_string(input, "policyName")));
  TRY(auto version, security::get_policy_version(policy, get_string(input, "policyVersionId")));
  return json::object{{"policyArn", security::policy_arn(services.realm, policy.name)},
                      {"policyName", policy.name},
                      {"policyDocument", version.document},
                      {"policyVersionId", std::to_string(version.number)},
                      {"isDefaultVersion", version.number == policy.default_version},
                      {"creationDate", version.created_ms},
                      {"lastModifiedDate", version.created_ms},
                      {"generationId", policy.generation_id}};
}

Result<json::object> list_versions(const RegistryServices&, Tx& tx, const json::object& input, Changes&) {
  TRY(auto policy, security::get_policy(tx, get_string(input, "policyName")));
  json::array versions;
  for (auto version = policy.versions.rbegin(); version != policy.versions.rend(); ++version)
    versions.push_back(json::object{{"versionId", std::to_string(version->first)},
                                    {"isDefaultVersion", version->first == policy.default_version},
                                    {"createDate", version->second.created_ms}});
  return json::object{{"policyVersions", std::move(versions)}};
}

Result<json::object> delete_version(const RegistryServices&, Tx& tx, const json::object& input, Changes&) {
  TRY_VOID(security::delete_policy_version(tx, get_string(input, "policyName"), get_string(input, "policyVersionId")));
  return json::object();
}

Result<json::object> set_default_version(const RegistryServices&, Tx& tx, const json::object& input, Changes&) {
  TRY_VOID(
      security::set_default_policy_version(tx, get_string(input, "policyName"), get_string(input, "policyVersionId")));
  return json::object();
}

// `target` of AttachPolicy, `principal` of the older AttachPrincipalPolicy.
RegistryBody attach(std::string_view member) {
  return
      [member](const RegistryServices& services, Tx& tx, const json::object& input, Changes&) -> Result<json::object> {
        std::string_view target = get_string(input, member);
        TRY_VOID(security::attach_policy(tx, services.realm, get_string(input, "policyName"), target));
        return json::object();
      };
}

RegistryBody detach(std::string_view member) {
  return
      [member](const RegistryServices& services, Tx& tx, const json::object& input, Changes&) -> Result<json::object> {
        std::string_view target = get_string(input, member);
        TRY_VOID(security::detach_policy(tx, services.realm, get_string(input, "policyName"), target));
        return json::object();
      };
}

RegistryBody list_attached(std::string_view member) {
  return
      [member](const RegistryServices& services, Tx& tx, const json::object& input, Changes&) -> Result<json::object> {
        TRY(auto page, security::list_attached_policies(tx, services.realm, get_string(input, member),
                                                        get_bool(input, "recursive"), marker_page_of_input(input)));
        json::object output{{"policies", policy_list(services.realm, page.items)}};
        if (!page.next_token.empty()) output["nextMarker"] = page.next_token;
        return output;
      };
}

RegistryBody list_targets(std::string_view answer) {
  return [answer](const RegistryServices&, Tx& tx, const json::object& input, Changes&) -> Result<json::object> {
    TRY(auto page, security::list_policy_targets(tx, get_string(input, "policyName"), marker_page_of_input(input)));
    json::object output;
    output[answer] = string_list(std::move(page.items));
    if (!page.next_token.empty()) output["nextMarker"] = page.next_token;
    return output;
  };
}

}  // namespace

void register_policies(Operations& operations, const SharedRegistry& services) {
  auto add = [&](std::string_view operation, RegistryBody body) {
    operations.add("iot", operation, registry_handler(services, std::move(body)));
  };
  add("CreatePolicy", create_policy);
  add("GetPolicy", get_policy);
  add("DeletePolicy", delete_policy);
  add("ListPolicies", list_policies);
  add("CreatePolicyVersion", create_version);
  add("GetPolicyVersion", get_version);
  add("ListPolicyVersions", list_versions);
  add("DeletePolicyVersion", delete_version);
  add("SetDefaultPolicyVersion", set_default_version);
  add("AttachPolicy", attach("target"));
  add("DetachPolicy", detach("target"));
  add("ListAttachedPolicies", list_attached("target"));
  add("ListTargetsForPolicy", list_targets("targets"));
  add("AttachPrincipalPolicy", attach("principal"));
  add("DetachPrincipalPolicy", detach("principal"));
  add("ListPrincipalPolicies", list_attached("principal"));
  add("ListPolicyPrincipals", list_targets("principals"));
}

}  // namespace muster::api::iot
