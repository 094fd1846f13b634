// SPDX-License-Identifier: Apache-2.0
// kRole: lower-case name -> {name, path, id, created_ms, trust, description, max_session_s, policies, tags, attached,
// boundary}.
#include "base/text.h"
#include "domain/iam/counts.h"
#include "domain/iam/entities.h"
#include "domain/iam/identities.h"
#include "domain/iam/identity_records.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::iam {

namespace {

constexpr std::size_t kTrustPolicySize = 2048;

std::optional<Role> read_role(std::string_view text) {
  auto record = parse_record(text);
  if (!record) return std::nullopt;
  Role role;
  role.name = get_string(*record, "name");
  role.path = get_string(*record, "path", "/");
  role.id = get_string(*record, "id");
  role.created_ms = get_int(*record, "created_ms");
  role.trust_policy = get_string(*record, "trust");
  role.description = get_string(*record, "description");
  role.max_session_s = get_int(*record, "max_session_s", 3600);
  role.policies = text_map(*record, "policies");
  role.tags = text_map(*record, "tags");
  role.attached = text_list(*record, "attached");
  role.boundary = get_string(*record, "boundary");
  return role;
}

void put_role(store::Tx& tx, const Role& role) {
  json::object record{{"name", role.name},
                      {"path", role.path},
                      {"id", role.id},
                      {"created_ms", role.created_ms},
                      {"trust", role.trust_policy},
                      {"description", role.description},
                      {"max_session_s", role.max_session_s}};
  record["policies"] = to_object(role.policies);
  record["tags"] = to_object(role.tags);
  record["attached"] = to_array(role.attached);
  if (!role.boundary.empty()) record["boundary"] = role.boundary;
  tx.put(identity_key(store::table::kRole, role.name), to_text(record));
}

Status check_trust_policy(std::string_view document) {
  TRY_VOID(compile_policy(document, PolicyUse::kTrust));
  if (policy_size_without_white_space(document) > kTrustPolicySize)
    return limit_exceeded("Cannot exceed quota for ACLSizePerRole: " + std::to_string(kTrustPolicySize));
  return {};
}

}  // namespace

std::string role_arn(const Realm& realm, const Role& role) {
  return "arn:aws:iam::" + realm.account_id + ":role" + role.path + role.name;
}

Result<Role> create_role(store::Tx& tx, const Role& wanted) {
  TRY_VOID(check_trust_policy(wanted.trust_policy));
  TRY_VOID(check_tags(wanted.tags));
  if (tx.get(identity_key(store::table::kRole, wanted.name)))
    return entity_exists("Role with name " + wanted.name + " already exists.");
  Role role;
  role.name = wanted.name;
  role.path = wanted.path.empty() ? "/" : wanted.path;
  role.trust_policy = wanted.trust_policy;
  role.description = wanted.description;
  role.max_session_s = wanted.max_session_s;
  role.tags = wanted.tags;
  role.id = unique_id("AROA");
  role.created_ms = tx.now_ms();
  TRY_VOID(count_within_quota(tx, Counted::kRoles));
  put_role(tx, role);
  return role;
}

std::optional<Role> find_role(store::Tx& tx, std::string_view name) {
  auto text = tx.get(identity_key(store::table::kRole, name));
  return text ? read_role(*text) : std::nullopt;
}

Result<Role> get_role(store::Tx& tx, std::string_view name) {
  auto role = find_role(tx, name);
  if (!role) return no_such_entity("The role with name " + std::string(name) + " cannot be found.");
  return *std::move(role);
}

Result<NamePage<Role>> list_roles(store::Tx& tx, const ListNames& list) {
  return list_identities<Role>(tx, store::table::kRole, list, read_role);
}

Status delete_role(store::Tx& tx, std::string_view name) {
  TRY(Role role, get_role(tx, name));
  if (!role.policies.empty()) return delete_conflict("Cannot delete entity, must delete policies first.");
  if (!role.attached.empty()) return delete_conflict("Cannot delete entity, must detach all policies first.");
  forget_boundary(tx, EntityKind::kRole, name, role.boundary);
  tx.erase(identity_key(store::table::kRole, name));
  count(tx, Counted::kRoles, -1);
  return {};
}

Status update_trust_policy(store::Tx& tx, std::string_view name, std::string_view document) {
  TRY(Role role, get_role(tx, name));
  TRY_VOID(check_trust_policy(document));
  role.trust_policy = document;
  put_role(tx, role);
  return {};
}

Status put_role_policy(store::Tx& tx, std::string_view role, std::string_view policy, std::string_view document) {
  return put_inline_policy(tx, EntityKind::kRole, role, policy, document);
}

Status delete_role_policy(store::Tx& tx, std::string_view role, std::string_view policy) {
  return delete_inline_policy(tx, EntityKind::kRole, role, policy);
}

Result<Role> update_role(store::Tx& tx, std::string_view name, const RoleChange& change) {
  TRY(Role role, get_role(tx, name));
  if (change.description) role.description = *change.description;
  if (change.max_session_s) role.max_session_s = *change.max_session_s;
  put_role(tx, role);
  return role;
}

}  // namespace muster::iam
