// SPDX-License-Identifier: Apache-2.0
// kManagedPolicy: lower-case name -> {name, path, id, description, created_ms, updated_ms, next, default, versions:
// [{id, document, created_ms}], tags}.
#include "domain/iam/managed_policies.h"

#include <algorithm>

#include "base/text.h"
#include "domain/iam/counts.h"
#include "domain/iam/entities.h"
#include "domain/iam/identity_records.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::iam {

namespace {

constexpr std::size_t kVersionLimit = 5;
constexpr std::size_t kPolicySize = 6144;
constexpr std::string_view kAwsPrefix = "arn:aws:iam::aws:policy/";

std::string policy_prefix(const Realm& realm) {
  return "arn:aws:iam::" + realm.account_id + ":policy";
}

std::optional<ManagedPolicy> read_policy(const Realm& realm, std::string_view text) {
  auto record = parse_record(text);
  if (!record) return std::nullopt;
  ManagedPolicy policy;
  policy.name = get_string(*record, "name");
  policy.path = get_string(*record, "path", "/");
  policy.id = get_string(*record, "id");
  policy.arn = policy_prefix(realm) + policy.path + policy.name;
  policy.description = get_string(*record, "description");
  policy.created_ms = get_int(*record, "created_ms");
  policy.updated_ms = get_int(*record, "updated_ms");
  policy.next_version = get_int(*record, "next", 1);
  policy.default_version = get_string(*record, "default");
  policy.tags = text_map(*record, "tags");
  const json::array* versions = find_array(*record, "versions");
  if (versions == nullptr) return policy;
  for (const json::value& item : *versions) {
    const json::object* version = item.if_object();
    if (version == nullptr) continue;
    policy.versions.push_back({std::string(get_string(*version, "id")), std::string(get_string(*version, "document")),
                               get_int(*version, "created_ms")});
  }
  return policy;
}

void put_policy(store::Tx& tx, const ManagedPolicy& policy) {
  json::array versions;
  for (const PolicyVersion& version : policy.versions)
    versions.push_back(
        json::object{{"id", version.id}, {"document", version.document}, {"created_ms", version.created_ms}});
  json::object record{{"name", policy.name},
                      {"path", policy.path},
                      {"id", policy.id},
                      {"description", policy.description},
                      {"created_ms", policy.created_ms},
                      {"updated_ms", policy.updated_ms},
                      {"next", policy.next_version},
                      {"default", policy.default_version},
                      {"versions", std::move(versions)},
                      {"tags", to_object(policy.tags)}};
  tx.put(identity_key(store::table::kManagedPolicy, policy.name), to_text(record));
}

Error no_policy(std::string_view arn) {
  return no_such_entity("Policy " + std::string(arn) + " was not found.");
}

Error no_version(std::string_view arn, std::string_view version) {
  return no_such_entity("Policy " + std::string(arn) + " version " + std::string(version) +
                        " does not exist or is not attachable.");
}

Status check_document(std::string_view document) {
  TRY_VOID(compile_policy(document, PolicyUse::kIdentity));
  if (policy_size_without_white_space(document) > kPolicySize)
    return limit_exceeded("Cannot exceed quota for PolicySize: " + std::to_string(kPolicySize));
  return {};
}

PolicyVersion& add_version(ManagedPolicy& policy, std::string_view document, std::int64_t now_ms) {
  policy.versions.push_back({"v" + std::to_string(policy.next_version++), std::string(document), now_ms});
  policy.updated_ms = now_ms;
  return policy.versions.back();
}

// One that may be changed.
Result<ManagedPolicy> own_policy(store::Tx& tx, const Realm& realm, std::string_view arn) {
  if (arn.starts_with(kAwsPrefix))
    return make_error(ErrorKind::kAccessDenied, "Policy " + std::string(arn) + " is managed by AWS.", "AccessDenied");
  return get_managed_policy(tx, realm, arn);
}

}  // namespace

const PolicyVersion* ManagedPolicy::find(std::string_view version) const {
  auto found = std::ranges::find(versions, version, &PolicyVersion::id);
  return found == versions.end() ? nullptr : &*found;
}

Result<ManagedPolicy> create_managed_policy(store::Tx& tx, const Realm& realm, const ManagedPolicy& wanted,
                                            std::string_view document) {
  TRY_VOID(check_document(document));
  TRY_VOID(check_tags(wanted.tags));
  if (tx.get(identity_key(store::table::kManagedPolicy, wanted.name)))
    return entity_exists("A policy called " + wanted.name + " already exists. Duplicate names are not allowed.");
  ManagedPolicy policy;
  policy.name = wanted.name;
  policy.path = wanted.path;
  policy.arn = policy_prefix(realm) + policy.path + policy.name;
  policy.id = unique_id("ANPA");
  policy.description = wanted.description;
  policy.tags = wanted.tags;
  policy.created_ms = tx.now_ms();
  policy.default_version = add_version(policy, document, tx.now_ms()).id;
  TRY_VOID(count_within_quota(tx, Counted::kPolicies));
  count(tx, Counted::kPolicyVersions, 1);
  put_policy(tx, policy);
  return policy;
}

std::optional<ManagedPolicy> find_managed_policy(store::Tx& tx, const Realm& realm, std::string_view arn) {
  if (arn.starts_with(kAwsPrefix)) {
    auto found = std::ranges::find(aws_managed_policies(), arn, &ManagedPolicy::arn);
    if (found == aws_managed_policies().end()) return std::nullopt;
    return *found;
  }
  if (!arn.starts_with(policy_prefix(realm) + "/")) return std::nullopt;
  auto text = tx.get(identity_key(store::table::kManagedPolicy, arn.substr(arn.rfind('/') + 1)));
  auto policy = text ? read_policy(realm, *text) : std::nullopt;
  if (!policy || policy->arn != arn) return std::nullopt;
  return policy;
}

Result<ManagedPolicy> get_managed_policy(store::Tx& tx, const Realm& realm, std::string_view arn) {
  auto policy = find_managed_policy(tx, realm, arn);
  if (!policy) return no_policy(arn);
  return *std::move(policy);
}

bool managed_policy_exists(store::Tx& tx, const Realm& realm, std::string_view arn) {
  return find_managed_policy(tx, realm, arn).has_value();
}

std::optional<std::string> managed_document(store::Tx& tx, const Realm& realm, std::string_view arn) {
  auto policy = find_managed_policy(tx, realm, arn);
  const PolicyVersion* version = policy ? policy->find(policy->default_version) : nullptr;
  if (version == nullptr) return std::nullopt;
  return version->document;
}

Result<NamePage<ManagedPolicy>> list_managed_policies(store::Tx& tx, const Realm& realm, const ListNames& list,
                                                      const std::function<bool(const ManagedPolicy&)>& keep) {
  return list_identities<ManagedPolicy>(tx, store::table::kManagedPolicy, list, [&](std::string_view text) {
    auto policy = read_policy(realm, text);
    if (policy && keep && !keep(*policy)) policy.reset();
    return policy;
  });
}

Status delete_managed_policy(store::Tx& tx, const Realm& realm, std::string_view arn) {
  TRY(ManagedPolicy policy, own_policy(tx, realm, arn));
  if (policy_is_used(tx, arn)) return delete_conflict("Cannot delete a policy attached to entities.");
  if (policy.versions.size() > 1)
    return delete_conflict(
        "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
        "The default version is deleted with the policy.");
  tx.erase(identity_key(store::table::kManagedPolicy, policy.name));
  count(tx, Counted::kPolicies, -1);
  count(tx, Counted::kPolicyVersions, -1);
  forget_uses(tx, arn);
  return {};
}

Result<PolicyVersion> create_managed_version(store::Tx& tx, const Realm& realm, std::string_view arn,
                                             std::string_view document, bool as_default) {
  TRY(ManagedPolicy policy, own_policy(tx, realm, arn));
  TRY_VOID(check_document(document));
  if (policy.versions.size() >= kVersionLimit)
    return limit_exceeded(
        "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing "
        "version.");
  PolicyVersion version = add_version(policy, document, tx.now_ms());
  if (as_default) policy.default_version = version.id;
  count(tx, Counted::kPolicyVersions, 1);
  put_policy(tx, policy);
  return version;
}

Result<PolicyVersion> get_managed_version(store::Tx& tx, const Realm& realm, std::string_view arn,
                                          std::string_view version) {
  TRY(ManagedPolicy policy, get_managed_policy(tx, realm, arn));
  const PolicyVersion* found = policy.find(version);
  if (found == nullptr) return no_version(arn, version);
  return *found;
}

Status delete_managed_version(store::Tx& tx, const Realm& realm, std::string_view arn, std::string_view version) {
  TRY(ManagedPolicy policy, own_policy(tx, realm, arn));
  if (policy.find(version) == nullptr) return no_version(arn, version);
  if (policy.default_version == version) return delete_conflict("Cannot delete the default version of a policy.");
  std::erase_if(policy.versions, [&](const PolicyVersion& one) { return one.id == version; });
  count(tx, Counted::kPolicyVersions, -1);
  policy.updated_ms = tx.now_ms();
  put_policy(tx, policy);
  return {};
}

Status set_default_managed_version(store::Tx& tx, const Realm& realm, std::string_view arn, std::string_view version) {
  TRY(ManagedPolicy policy, own_policy(tx, realm, arn));
  if (policy.find(version) == nullptr) return no_version(arn, version);
  policy.default_version = version;
  policy.updated_ms = tx.now_ms();
  put_policy(tx, policy);
  return {};
}

Status tag_managed_policy(store::Tx& tx, const Realm& realm, std::string_view arn, const TextMap& tags) {
  TRY(ManagedPolicy policy, own_policy(tx, realm, arn));
  TRY_VOID(merge_tags(policy.tags, tags));
  put_policy(tx, policy);
  return {};
}

Status untag_managed_policy(store::Tx& tx, const Realm& realm, std::string_view arn,
                            const std::vector<std::string>& keys) {
  TRY(ManagedPolicy policy, own_policy(tx, realm, arn));
  erase_tags(policy.tags, keys);
  put_policy(tx, policy);
  return {};
}

}  // namespace muster::iam
