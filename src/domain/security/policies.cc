// SPDX-License-Identifier: Apache-2.0
// kPolicy: name -> {default, last, created_ms, modified_ms, generation, versions: [{number, document, created_ms}]}.
#include "domain/security/policies.h"

#include "base/crypto.h"
#include "base/json.h"
#include "base/text.h"
#include "domain/iam/policy/document.h"
#include "domain/registry/policy_links.h"
#include "domain/security/named_page.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::security {

namespace {

constexpr std::size_t kDocumentLimit = 2048;
constexpr std::size_t kVersionLimit = 5;

std::string policy_key(std::string_view name) {
  return store::Key(store::table::kPolicy).text(name).str();
}

std::optional<Policy> read_policy(std::string_view name, std::string_view text) {
  auto record = parse_record(text);
  if (!record) return std::nullopt;
  Policy policy;
  policy.name = name;
  policy.default_version = get_int(*record, "default", 1);
  policy.last_version = get_int(*record, "last", 1);
  policy.created_ms = get_int(*record, "created_ms");
  policy.modified_ms = get_int(*record, "modified_ms");
  policy.generation_id = get_string(*record, "generation");
  if (const json::array* versions = find_array(*record, "versions"))
    for (const json::value& item : *versions) {
      const json::object* object = item.if_object();
      if (object == nullptr) continue;
      PolicyVersion version;
      version.number = get_int(*object, "number");
      version.document = get_string(*object, "document");
      version.created_ms = get_int(*object, "created_ms");
      policy.versions.emplace(version.number, std::move(version));
    }
  if (!policy.versions.contains(policy.default_version)) return std::nullopt;
  return policy;
}

void put_policy(store::Tx& tx, const Policy& policy) {
  json::array versions;
  for (const auto& [number, version] : policy.versions)
    versions.push_back(
        json::object{{"number", number}, {"document", version.document}, {"created_ms", version.created_ms}});
  json::object record{{"default", policy.default_version},
                      {"last", policy.last_version},
                      {"created_ms", policy.created_ms},
                      {"modified_ms", policy.modified_ms},
                      {"generation", policy.generation_id}};
  record["versions"] = std::move(versions);
  tx.put(policy_key(policy.name), to_text(record));
}

Status check_document(std::string_view document) {
  TRY_VOID(iam::compile_policy(document, iam::PolicyUse::kIot));
  if (iam::policy_size_without_white_space(document) > kDocumentLimit)
    return make_error(ErrorKind::kInvalid,
                      "Policy document exceeds the maximum size of " + std::to_string(kDocumentLimit) + " characters",
                      "MalformedPolicyException");
  return {};
}

Error delete_conflict(std::string message) {
  return make_error(ErrorKind::kConflict, std::move(message), "DeleteConflictException");
}

Result<std::int64_t> version_number(const Policy& policy, std::string_view version_id) {
  auto number = parse_int(version_id);
  if (!number || !policy.versions.contains(*number))
    return not_found("Policy version " + std::string(version_id) + " not found (name=" + policy.name + ")");
  return *number;
}

}  // namespace

std::string policy_arn(const Realm& realm, std::string_view name) {
  return iot_arn(realm, "policy", name);
}

Result<Policy> create_policy(store::Tx& tx, const Realm& realm, std::string_view name, std::string_view document) {
  TRY_VOID(check_document(document));
  if (tx.get(policy_key(name))) {
    Error error = make_error(ErrorKind::kAlreadyExists,
                             "Policy cannot be created - name already exists (name=" + std::string(name) + ")");
    error.fields["resourceId"] = name;
    error.fields["resourceArn"] = policy_arn(realm, name);
    return error;
  }
  Policy policy;
  policy.name = name;
  policy.created_ms = policy.modified_ms = tx.now_ms();
  policy.generation_id = random_uuid();
  policy.versions.emplace(1, PolicyVersion{1, std::string(document), tx.now_ms()});
  put_policy(tx, policy);
  return policy;
}

std::optional<Policy> find_policy(store::Tx& tx, std::string_view name) {
  auto text = tx.get(policy_key(name));
  return text ? read_policy(name, *text) : std::nullopt;
}

Result<Policy> get_policy(store::Tx& tx, std::string_view name) {
  auto policy = find_policy(tx, name);
  if (!policy) return not_found("Policy not found (name=" + std::string(name) + ")");
  return *std::move(policy);
}

Status delete_policy(store::Tx& tx, std::string_view name) {
  TRY(Policy policy, get_policy(tx, name));
  if (policy.versions.size() > 1)
    return delete_conflict("Cannot delete the policy because it has one or more policy versions attached to it (name=" +
                           policy.name + ")");
  if (registry::has_policy_targets(tx, name))
    return delete_conflict(
        "The policy cannot be deleted as the policy is attached to one or more principals (name=" + policy.name + ")");
  tx.erase(policy_key(name));
  return {};
}

Result<registry::Page<std::string>> list_policies(store::Tx& tx, const registry::PageRequest& request, bool ascending) {
  return list_names(tx, store::table::kPolicy, "policies", request, ascending);
}

Result<PolicyVersion> create_policy_version(store::Tx& tx, std::string_view name, std::string_view document,
                                            bool set_as_default) {
  TRY(Policy policy, get_policy(tx, name));
  TRY_VOID(check_document(document));
  if (policy.versions.size() >= kVersionLimit)
    return make_error(ErrorKind::kLimit,
                      "The policy " + policy.name + " already has the maximum number of versions (" +
                          std::to_string(kVersionLimit) + ")",
                      "VersionsLimitExceededException");
  PolicyVersion version{++policy.last_version, std::string(document), tx.now_ms()};
  policy.versions.emplace(version.number, version);
  if (set_as_default) policy.default_version = version.number;
  policy.modified_ms = tx.now_ms();
  put_policy(tx, policy);
  return version;
}

Result<PolicyVersion> get_policy_version(const Policy& policy, std::string_view version_id) {
  TRY(std::int64_t number, version_number(policy, version_id));
  return policy.versions.at(number);
}

Status delete_policy_version(store::Tx& tx, std::string_view name, std::string_view version_id) {
  TRY(Policy policy, get_policy(tx, name));
  TRY(std::int64_t number, version_number(policy, version_id));
  if (number == policy.default_version)
    return delete_conflict("Cannot delete the default version of a policy (name=" + policy.name + ")");
  policy.versions.erase(number);
  policy.modified_ms = tx.now_ms();
  put_policy(tx, policy);
  return {};
}

Status set_default_policy_version(store::Tx& tx, std::string_view name, std::string_view version_id) {
  TRY(Policy policy, get_policy(tx, name));
  TRY(policy.default_version, version_number(policy, version_id));
  policy.modified_ms = tx.now_ms();
  put_policy(tx, policy);
  return {};
}

}  // namespace muster::security
