// SPDX-License-Identifier: Apache-2.0
#include "api/services/iot/things_handler.h"
#include "domain/jobs/job.h"
#include "domain/registry/groups.h"
#include "domain/registry/policies.h"

namespace muster::api::iot {

namespace {

using store::Tx;

// Jobs, thing groups and policies carry tags.
Status check_resource(const RegistryServices& services, Tx& tx, std::string_view arn) {
  Error missing = not_found("Resource " + std::string(arn) + " not found.");
  if (auto group = name_in_iot_arn(services.realm, "thinggroup", arn))
    return registry::find_group(tx, *group) ? Status() : Status(missing);
  if (auto policy = name_in_iot_arn(services.realm, "policy", arn))
    return registry::find_policy(tx, *policy) ? Status() : Status(missing);
  if (auto name = name_in_iot_arn(services.realm, "job", arn)) {
    TRY(auto job, jobs::find_job(services.jobs, tx, *name));
    return job ? Status() : Status(missing);
  }
  return invalid("Resource ARN " + std::string(arn) + " names no resource that can be tagged");
}

Result<json::object> tag(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  std::string_view arn = get_string(input, "resourceArn");
  TRY_VOID(check_resource(services, tx, arn));
  TRY_VOID(registry::tag_resource(tx, arn, tags_of_list(input)));
  return json::object();
}

Result<json::object> untag(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  std::string_view arn = get_string(input, "resourceArn");
  TRY_VOID(check_resource(services, tx, arn));
  std::vector<std::string> keys;
  if (const json::array* list = find_array(input, "tagKeys"))
    for (const json::value& key : *list)
      if (key.is_string()) keys.emplace_back(key.as_string());
  TRY_VOID(registry::untag_resource(tx, arn, keys));
  return json::object();
}

// At most 50 tags: always one page, so no token was ever given out.
Result<json::object> list_tags(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  std::string_view arn = get_string(input, "resourceArn");
  TRY_VOID(check_resource(services, tx, arn));
  if (has(input, "nextToken")) return invalid("Invalid next token");
  json::array tags;
  for (const auto& [key, value] : registry::tags_of(tx, arn))
    tags.push_back(json::object{{"Key", key}, {"Value", value}});
  return json::object{{"tags", std::move(tags)}};
}

}  // namespace

void register_tags(Operations& operations, const SharedRegistry& services) {
  auto add = [&](std::string_view operation, RegistryBody body) {
    operations.add("iot", operation, registry_handler(services, std::move(body)));
  };
  add("TagResource", tag);
  add("UntagResource", untag);
  add("ListTagsForResource", list_tags);
}

}  // namespace muster::api::iot
