// SPDX-License-Identifier: Apache-2.0
// kProvisioningTemplate: name -> {description, type, enabled, role, hook: {target, payload}, default, last, created_ms,
// modified_ms}. kProvisioningVersion: (name, number) -> {body, created_ms}.
#include "domain/provisioning/templates.h"

#include "base/json.h"
#include "domain/functions/function_name.h"
#include "domain/iam/sessions.h"
#include "domain/registry/tags.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::provisioning {

namespace {

using store::Tx;

constexpr std::size_t kVersionLimit = 5;
constexpr std::string_view kListing = "provisioning-templates", kVersionListing = "provisioning-template-versions";
constexpr std::string_view kPayloadVersion = "2020-04-01";

std::string template_key(std::string_view name) {
  return store::Key(store::table::kProvisioningTemplate).text(name).str();
}
std::string versions_prefix(std::string_view name) {
  return store::Key(store::table::kProvisioningVersion).text(name).str();
}
std::string version_key(std::string_view name, std::int64_t number) {
  return store::Key(store::table::kProvisioningVersion).text(name).integer(number).str();
}

std::optional<ProvisioningTemplate> read_template(std::string_view name, std::string_view text) {
  const auto record = parse_record(text);
  if (!record) return std::nullopt;
  ProvisioningTemplate out;
  out.name = name;
  out.description = get_string(*record, "description");
  out.type = get_string(*record, "type") == to_string(TemplateType::kJustInTime) ? TemplateType::kJustInTime
                                                                                 : TemplateType::kFleet;
  out.enabled = get_bool(*record, "enabled");
  out.role_arn = get_string(*record, "role");
  if (const json::object* hook = find_object(*record, "hook")) {
    out.hook = Hook{std::string(get_string(*hook, "target")), std::string(get_string(*hook, "payload"))};
  }
  out.default_version = get_int(*record, "default", 1);
  out.last_version = get_int(*record, "last", 1);
  out.created_ms = get_int(*record, "created_ms");
  out.modified_ms = get_int(*record, "modified_ms");
  return out;
}

void put_template(Tx& tx, const ProvisioningTemplate& item) {
  json::object record{{"description", item.description}, {"type", to_string(item.type)},    {"enabled", item.enabled},
                      {"role", item.role_arn},           {"default", item.default_version}, {"last", item.last_version},
                      {"created_ms", item.created_ms},   {"modified_ms", item.modified_ms}};
  if (item.hook) record["hook"] = {{"target", item.hook->target_arn}, {"payload", item.hook->payload_version}};
  tx.put(template_key(item.name), to_text(record));
}

void put_version(Tx& tx, std::string_view name, const TemplateVersion& version) {
  tx.put(version_key(name, version.number),
         to_text(json::object{{"body", version.body}, {"created_ms", version.created_ms}}));
}

std::optional<TemplateVersion> read_version(std::int64_t number, std::string_view text) {
  const auto record = parse_record(text);
  if (!record) return std::nullopt;
  return TemplateVersion{number, std::string(get_string(*record, "body")), get_int(*record, "created_ms")};
}

std::size_t count_versions(Tx& tx, std::string_view name) {
  const std::string prefix = versions_prefix(name);
  return tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = kVersionLimit + 1}).size();
}

Status check_hook(const Realm& realm, TemplateType type, const Hook& hook) {
  if (type != TemplateType::kFleet) {
    return invalid("preProvisioningHook is only supported for templates of type FLEET_PROVISIONING");
  }
  if (hook.payload_version != kPayloadVersion) return invalid("The payloadVersion must be 2020-04-01");
  TRY_VOID(functions::own_function(realm, hook.target_arn));
  return {};
}

Status check_role(Tx& tx, const Realm& realm, std::string_view role, std::string_view name) {
  return iam::check_service_role(tx, realm, role, "iot.amazonaws.com", template_arn(realm, name));
}

Error version_not_found(std::string_view name, std::int64_t number) {
  return not_found("Version " + std::to_string(number) + " of provisioning template " + std::string(name) +
                   " not found.");
}

}  // namespace

std::string_view to_string(TemplateType type) {
  return type == TemplateType::kFleet ? "FLEET_PROVISIONING" : "JITP";
}

TemplateUse use_of(TemplateType type) {
  return type == TemplateType::kFleet ? TemplateUse::kFleet : TemplateUse::kJustInTime;
}

std::string template_arn(const Realm& realm, std::string_view name) {
  return iot_arn(realm, "provisioningtemplate", name);
}

Result<ProvisioningTemplate> create_template(Tx& tx, const Realm& realm, const ProvisioningTemplate& wanted,
                                             std::string_view body) {
  TRY_VOID(parse_template(body, use_of(wanted.type)));
  if (wanted.hook) TRY_VOID(check_hook(realm, wanted.type, *wanted.hook));
  if (find_template(tx, wanted.name)) {
    Error error = make_error(ErrorKind::kAlreadyExists, "Provisioning template " + wanted.name + " already exists.");
    error.fields["resourceId"] = wanted.name;
    error.fields["resourceArn"] = template_arn(realm, wanted.name);
    return error;
  }
  TRY_VOID(check_role(tx, realm, wanted.role_arn, wanted.name));
  ProvisioningTemplate made = wanted;
  made.default_version = made.last_version = 1;
  made.created_ms = made.modified_ms = tx.now_ms();
  put_template(tx, made);
  put_version(tx, made.name, {1, std::string(body), tx.now_ms()});
  return made;
}

std::optional<ProvisioningTemplate> find_template(Tx& tx, std::string_view name) {
  const auto text = tx.get(template_key(name));
  return text ? read_template(name, *text) : std::nullopt;
}

Result<ProvisioningTemplate> get_template(Tx& tx, std::string_view name) {
  auto found = find_template(tx, name);
  if (!found) return not_found("Provisioning template " + std::string(name) + " not found.");
  return *std::move(found);
}

Result<registry::Page<ProvisioningTemplate>> list_templates(Tx& tx, const registry::PageRequest& request) {
  TRY(const std::string position, registry::page_position(kListing, request.token));
  store::RangeOptions options{.begin = std::string(1, store::table::kProvisioningTemplate), .snapshot = true};
  options.end = store::after_prefix(options.begin);
  if (!position.empty()) options.begin = store::after_key(template_key(position));
  options.limit = request.limit + 1;
  registry::Page<ProvisioningTemplate> page;
  std::string last;
  std::size_t taken = 0;
  for (const store::KeyValue& item : tx.range(options)) {
    if (taken++ == request.limit) {
      page.next_token = registry::page_token(kListing, last);
      break;
    }
    store::KeyReader reader(item.key);
    last = reader.text().value_or("");
    if (auto found = read_template(last, item.value)) page.items.push_back(*std::move(found));
  }
  return page;
}

Status delete_template(Tx& tx, const Realm& realm, std::string_view name) {
  TRY_VOID(get_template(tx, name));
  const std::string prefix = versions_prefix(name);
  for (const auto& item : tx.range({.begin = prefix, .end = store::after_prefix(prefix)})) tx.erase(item.key);
  tx.erase(template_key(name));
  registry::erase_tags(tx, template_arn(realm, name));
  return {};
}

Result<ProvisioningTemplate> update_template(Tx& tx, const Realm& realm, const TemplateChange& change) {
  TRY(ProvisioningTemplate item, get_template(tx, change.name));
  if (change.hook && change.remove_hook) {
    return invalid("preProvisioningHook and removePreProvisioningHook cannot both be given");
  }
  if (change.description) item.description = *change.description;
  if (change.enabled) item.enabled = *change.enabled;
  if (change.role_arn) {
    TRY_VOID(check_role(tx, realm, *change.role_arn, item.name));
    item.role_arn = *change.role_arn;
  }
  if (change.default_version) {
    TRY_VOID(get_template_version(tx, item.name, *change.default_version));
    item.default_version = *change.default_version;
  }
  if (change.remove_hook) item.hook.reset();
  if (change.hook) {
    TRY_VOID(check_hook(realm, item.type, *change.hook));
    item.hook = change.hook;
  }
  item.modified_ms = tx.now_ms();
  put_template(tx, item);
  return item;
}

Result<TemplateVersion> create_template_version(Tx& tx, std::string_view name, std::string_view body,
                                                bool set_as_default) {
  TRY(ProvisioningTemplate item, get_template(tx, name));
  TRY_VOID(parse_template(body, use_of(item.type)));
  if (count_versions(tx, name) >= kVersionLimit) {
    return make_error(ErrorKind::kLimit,
                      "Provisioning template " + item.name + " already has the maximum number of versions (" +
                          std::to_string(kVersionLimit) + ")",
                      "VersionsLimitExceededException");
  }
  TemplateVersion version{++item.last_version, std::string(body), tx.now_ms()};
  if (set_as_default) item.default_version = version.number;
  item.modified_ms = tx.now_ms();
  put_version(tx, name, version);
  put_template(tx, item);
  return version;
}

Result<TemplateVersion> get_template_version(Tx& tx, std::string_view name, std::int64_t number) {
  const auto text = tx.get(version_key(name, number));
  auto version = text ? read_version(number, *text) : std::nullopt;
  if (!version) return version_not_found(name, number);
  return *std::move(version);
}

Result<registry::Page<TemplateVersion>> list_template_versions(Tx& tx, std::string_view name,
                                                               const registry::PageRequest& request) {
  TRY_VOID(get_template(tx, name));
  TRY(const std::string position, registry::page_position(kVersionListing, request.token));
  store::RangeOptions options{.begin = versions_prefix(name), .snapshot = true};
  options.end = store::after_prefix(options.begin);
  // A forged token may name any position; it stays within this template's versions.
  if (!position.empty()) options.begin = std::max(options.begin, options.begin + position + '\0');
  options.limit = request.limit + 1;
  const std::size_t prefix_bytes = versions_prefix(name).size();
  registry::Page<TemplateVersion> page;
  std::string last;
  std::size_t taken = 0;
  for (const store::KeyValue& item : tx.range(options)) {
    if (taken++ == request.limit) {
      page.next_token = registry::page_token(kVersionListing, last);
      break;
    }
    last = item.key.substr(prefix_bytes);
    store::KeyReader reader(item.key);
    reader.text();
    const auto number = reader.integer();
    auto version = number ? read_version(*number, item.value) : std::nullopt;
    if (version) page.items.push_back(*std::move(version));
  }
  return page;
}

Status delete_template_version(Tx& tx, std::string_view name, std::int64_t number) {
  TRY(ProvisioningTemplate item, get_template(tx, name));
  TRY_VOID(get_template_version(tx, name, number));
  if (number == item.default_version) {
    return make_error(ErrorKind::kConflict, "Cannot delete the default version of provisioning template " + item.name,
                      "DeleteConflictException");
  }
  tx.erase(version_key(name, number));
  item.modified_ms = tx.now_ms();
  put_template(tx, item);
  return {};
}

}  // namespace muster::provisioning
