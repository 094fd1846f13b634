// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/principal_policies.h"

#include "base/text.h"
#include "domain/iam/identities.h"

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

std::vector<PolicyPtr> identity_policies(store::Tx& tx, const Principal& principal, PolicyCache* cache) {
  std::map<std::string, std::string> documents;
  if (principal.kind == PrincipalKind::kUser) {
    if (auto user = current_user(tx, principal)) documents = std::move(user->policies);
  } else if (principal.kind == PrincipalKind::kRoleSession) {
    if (auto role = current_role(tx, principal)) documents = std::move(role->policies);
  }
  std::vector<PolicyPtr> policies;
  policies.reserve(documents.size());
  for (const auto& [name, text] : documents) policies.push_back(compile_stored(text, PolicyUse::kIdentity, cache));
  return policies;
}

void add_principal_keys(PolicyContext& context, store::Tx& tx, const Principal& principal) {
  context.set("aws:CurrentTime", to_iso8601(tx.now_ms()));
  context.set("aws:EpochTime", std::to_string(tx.now_ms() / 1000));
  context.set("aws:PrincipalType", std::string(principal_type(principal.kind)));
  context.set("aws:PrincipalIsAWSService", principal.kind == PrincipalKind::kService ? "true" : "false");
  if (principal.kind == PrincipalKind::kAnonymous) return;
  context.set("aws:PrincipalAccount", principal.account_id);
  context.set("aws:PrincipalArn", principal.arn);
  if (!principal.user_id.empty()) context.set("aws:userid", principal.user_id);
  for (const auto& [key, value] : principal.session_keys) context.set(key, value);
  std::map<std::string, std::string> tags;
  if (principal.kind == PrincipalKind::kUser) {
    context.set("aws:username", principal.name);
    if (auto user = current_user(tx, principal)) tags = std::move(user->tags);
  } else if (principal.kind == PrincipalKind::kRoleSession) {
    if (auto role = current_role(tx, principal)) tags = std::move(role->tags);
  }
  for (auto& [key, value] : tags) context.set("aws:PrincipalTag/" + key, std::move(value));
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
