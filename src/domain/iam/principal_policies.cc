// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/principal_policies.h"

#include "base/text.h"
#include "domain/iam/entities.h"
#include "domain/iam/groups.h"
#include "domain/iam/identities.h"
#include "domain/iam/managed_policies.h"

namespace muster::iam {

namespace {

// user_id of a role session is ROLE_ID:session.
std::string_view role_id(const Principal& principal) {
  return std::string_view(principal.user_id).substr(0, principal.user_id.find(':'));
}

std::optional<Role> current_role(store::Tx& tx, const Principal& principal) {
  auto role = find_role(tx, principal.name);
  if (role && role->id != role_id(principal)) return std::nullopt;
  return role;
}

std::optional<User> current_user(store::Tx& tx, const Principal& principal) {
  auto user = find_user(tx, principal.name);
  if (user && user->id != principal.user_id) return std::nullopt;
  return user;
}

std::string_view principal_type(PrincipalKind kind) {
  switch (kind) {
    case PrincipalKind::kRoot:
      return "Account";
    case PrincipalKind::kUser:
      return "User";
    case PrincipalKind::kRoleSession:
      return "AssumedRole";
    default:
      return "Anonymous";
  }
}

}  // namespace

namespace {

// The documents of managed policies are found by their ARN, which names the account.
Realm realm_of(const Principal& principal) {
  Realm realm;
  realm.account_id = principal.account_id;
  return realm;
}

PolicyPtr managed(store::Tx& tx, const Principal& principal, const std::string& arn, PolicyCache* cache) {
  auto document = managed_document(tx, realm_of(principal), arn);
  return document ? compile_stored(*document, PolicyUse::kIdentity, cache) : deny_all_policy();
}

template <class Owner>
void append_policies(std::vector<PolicyPtr>& out, store::Tx& tx, const Principal& principal, const Owner& owner,
                     PolicyCache* cache) {
  for (const auto& [name, text] : owner.policies) out.push_back(compile_stored(text, PolicyUse::kIdentity, cache));
  for (const std::string& arn : owner.attached) out.push_back(managed(tx, principal, arn, cache));
}

}  // namespace

std::vector<PolicyPtr> identity_policies(store::Tx& tx, const Principal& principal, PolicyCache* cache) {
  std::vector<PolicyPtr> policies;
  if (principal.kind == PrincipalKind::kUser) {
    auto user = current_user(tx, principal);
    if (!user) return policies;
    append_policies(policies, tx, principal, *user, cache);
    for (const std::string& name : groups_of_user(tx, user->name))
      if (auto group = find_entity(tx, EntityKind::kGroup, name))
        append_policies(policies, tx, principal, *group, cache);
  } else if (principal.kind == PrincipalKind::kRoleSession) {
    if (auto role = current_role(tx, principal)) append_policies(policies, tx, principal, *role, cache);
  }
  return policies;
}

std::vector<Ceiling> ceilings(store::Tx& tx, const Principal& principal, PolicyCache* cache) {
  std::vector<Ceiling> out;
  std::string boundary;
  if (principal.kind == PrincipalKind::kUser) {
    if (auto user = current_user(tx, principal)) boundary = user->boundary;
  } else if (principal.kind == PrincipalKind::kRoleSession) {
    if (auto role = current_role(tx, principal)) boundary = role->boundary;
  }
  if (!boundary.empty()) out.push_back({true, {managed(tx, principal, boundary, cache)}});
  if (principal.session_policy.empty() && principal.session_policy_arns.empty()) return out;
  Ceiling session;
  if (!principal.session_policy.empty())
    session.policies.push_back(compile_stored(principal.session_policy, PolicyUse::kIdentity, cache));
  for (const std::string& arn : principal.session_policy_arns)
    session.policies.push_back(managed(tx, principal, arn, cache));
  out.push_back(std::move(session));
  return out;
}

void add_principal_keys(PolicyContext& context, store::Tx& tx, const Principal& principal) {
  context.set("aws:CurrentTime", to_iso8601(tx.now_ms()));
  context.set("aws:EpochTime", std::to_string(tx.now_ms() / 1000));
  context.set("aws:PrincipalType", std::string(principal_type(principal.kind)));
  context.set("aws:ViaAWSService", "false");
  context.set("aws:PrincipalIsAWSService", principal.kind == PrincipalKind::kService ? "true" : "false");
  if (principal.kind == PrincipalKind::kAnonymous) return;
  context.set("aws:PrincipalAccount", principal.account_id);
  context.set("aws:PrincipalArn", principal.arn);
  if (!principal.user_id.empty()) context.set("aws:userid", principal.user_id);
  std::map<std::string, std::string> tags;
  if (principal.kind == PrincipalKind::kUser) {
    context.set("aws:username", principal.name);
    if (auto user = current_user(tx, principal)) tags = std::move(user->tags);
  } else if (principal.kind == PrincipalKind::kRoleSession) {
    if (auto role = current_role(tx, principal)) tags = std::move(role->tags);
  }
  for (auto& [key, value] : tags) context.set("aws:PrincipalTag/" + key, std::move(value));
  for (const auto& [key, value] : principal.session_tags) context.set("aws:PrincipalTag/" + key, value);
  for (const auto& [key, value] : principal.session_keys) context.set(key, value);
  if (!principal.source_identity.empty()) context.set("aws:SourceIdentity", principal.source_identity);
  if (principal.token_issued_ms == 0) return;
  context.set("aws:TokenIssueTime", to_iso8601(principal.token_issued_ms));
  context.set("aws:MultiFactorAuthPresent", "false");  // as AWS: absent with long-term credentials
}

std::string_view gone_because(store::Tx& tx, const Principal& principal) {
  if (principal.kind == PrincipalKind::kUser && !current_user(tx, principal)) return "the user does not exist";
  if (principal.kind == PrincipalKind::kRoleSession && !current_role(tx, principal)) return "the role does not exist";
  return "";
}

PolicyPrincipal policy_principal(const Realm& realm, store::Tx& tx, const Principal& principal) {
  PolicyPrincipal who;
  if (principal.kind == PrincipalKind::kAnonymous) return who;
  who.arn = principal.arn;
  who.account_id = principal.account_id;
  who.is_root = principal.kind == PrincipalKind::kRoot;
  if (principal.kind == PrincipalKind::kRoleSession)
    if (auto role = current_role(tx, principal)) who.role_arn = role_arn(realm, *role);
  return who;
}

}  // namespace muster::iam
