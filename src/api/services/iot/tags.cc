// SPDX-License-Identifier: Apache-2.0
#include "api/services/iot/tags.h"

#include <algorithm>
#include <array>
#include <set>

#include "api/services/iot/jobs_shapes.h"
#include "api/services/iot/things_handler.h"
#include "base/text.h"
#include "domain/jobs/controls.h"
#include "domain/jobs/jobs.h"
#include "domain/jobs/templates.h"
#include "domain/registry/groups.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::api::iot {

namespace {

using store::Tx;

std::optional<std::string> job_in(const RegistryServices& services, std::string_view arn) {
  return name_in_iot_arn(services.realm, "job", arn);
}

// Whose records tell by themselves that they are there.
struct Taggable {
  std::string_view kind;
  char table;
};
constexpr std::array kTaggable{Taggable{"thingtype", store::table::kThingType},
                               Taggable{"billinggroup", store::table::kBillingGroup},
                               Taggable{"policy", store::table::kPolicy},
                               Taggable{"cacert", store::table::kCaCertificate},
                               Taggable{"rolealias", store::table::kRoleAlias},
                               Taggable{"authorizer", store::table::kAuthorizer},
                               Taggable{"provisioningtemplate", store::table::kProvisioningTemplate}};

// As AWS: things and certificates carry no tags.
Status check_resource(const RegistryServices& services, Tx& tx, std::string_view arn) {
  Error missing = not_found("Resource " + std::string(arn) + " not found.");
  if (auto group = name_in_iot_arn(services.realm, "thinggroup", arn))
    return registry::find_group(tx, *group) ? Status() : Status(missing);
  for (const Taggable& taggable : kTaggable)
    if (auto name = name_in_iot_arn(services.realm, taggable.kind, arn))
      return tx.get(store::Key(taggable.table).text(*name)) ? Status() : Status(missing);
  if (auto name = job_in(services, arn)) {
    TRY(auto job, jobs::find_job(services.jobs, tx, *name));
    return job ? Status() : Status(missing);
  }
  if (auto id = name_in_iot_arn(services.realm, "jobtemplate", arn)) {
    auto found = jobs::get_template(tx, *id);
    if (found) return {};
    return found.error().kind == ErrorKind::kNotFound ? missing : std::move(found).error();
  }
  return invalid("Resource ARN " + std::string(arn) + " names no resource that can be tagged");
}

// After a change of reserved tags.
Status follow_tags(const RegistryServices& services, Tx& tx, std::string_view arn, Changes& changes) {
  const auto job = job_in(services, arn);
  if (!job) return {};
  return jobs::change_controls(services.jobs, tx, *job, registry::tags_of(tx, arn), changes.jobs);
}

Result<json::object> tag(const RegistryServices& services, Tx& tx, const json::object& input, Changes& changes) {
  std::string_view arn = get_string(input, "resourceArn");
  TRY_VOID(check_resource(services, tx, arn));
  TRY(const registry::Tags tags, read_tags(input));
  const bool controls = std::ranges::any_of(tags, [](const auto& tag) { return is_reserved_tag(tag.first); });
  if (controls && !job_in(services, arn)) TRY_VOID(refuse_reserved_tags(tags));
  TRY_VOID(registry::tag_resource(tx, arn, tags));
  if (controls) TRY_VOID(follow_tags(services, tx, arn, changes));
  return json::object();
}

Result<json::object> untag(const RegistryServices& services, Tx& tx, const json::object& input, Changes& changes) {
  std::string_view arn = get_string(input, "resourceArn");
  TRY_VOID(check_resource(services, tx, arn));
  const std::vector<std::string> keys = text_list(input, "tagKeys");
  TRY_VOID(registry::untag_resource(tx, arn, keys));
  if (std::ranges::any_of(keys, is_reserved_tag)) TRY_VOID(follow_tags(services, tx, arn, changes));
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

Result<registry::Tags> read_tags(const json::object& input) {
  registry::Tags tags;
  std::set<std::string> seen;
  const json::array* list = find_array(input, "tags");
  if (list == nullptr) return tags;
  for (const json::value& entry : *list) {
    const json::object* tag = entry.if_object();
    if (tag == nullptr) continue;
    std::string key(get_string(*tag, "Key"));
    if (!seen.insert(lower(key)).second) {
      return invalid("Tag " + key + " is given more than once, or another differs from it in letter case only.");
    }
    if (is_reserved_tag(key) && !key.starts_with(jobs::kReservedTagPrefix)) {
      return invalid("Tag " + key + " is reserved: its prefix is written " + std::string(jobs::kReservedTagPrefix));
    }
    tags.emplace(std::move(key), get_string(*tag, "Value"));
  }
  return tags;
}

bool is_reserved_tag(std::string_view key) {
  return lower(key.substr(0, jobs::kReservedTagPrefix.size())) == jobs::kReservedTagPrefix;
}

Status refuse_reserved_tags(const registry::Tags& tags) {
  for (const auto& [key, value] : tags) {
    if (is_reserved_tag(key)) return invalid("Tag " + key + " is reserved: it can only be put on a job.");
  }
  return {};
}

Status tag_new_resource(store::Tx& tx, std::string_view arn, const json::object& input) {
  TRY(const registry::Tags tags, read_tags(input));
  TRY_VOID(refuse_reserved_tags(tags));
  if (tags.empty()) return {};
  return registry::tag_resource(tx, arn, tags);
}

void register_tags(Operations& operations, const SharedRegistry& services) {
  auto add = [&](std::string_view operation, RegistryBody body) {
    operations.add("iot", operation, registry_handler(services, std::move(body)));
  };
  add("TagResource", tag);
  add("UntagResource", untag);
  add("ListTagsForResource", list_tags);
}

}  // namespace muster::api::iot
