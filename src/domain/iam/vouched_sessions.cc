// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/vouched_sessions.h"

#include <algorithm>

#include "domain/iam/identities.h"
#include "domain/iam/managed_policies.h"
#include "domain/iam/policy/eval.h"
#include "domain/iam/principal_policies.h"

namespace muster::iam {
namespace {

constexpr std::size_t kSessionPolicyLimit = 2048, kSessionPolicyArns = 10;

Error wrong(std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message), "ValidationError");
}

// The role whose ARN, path included, is `arn`.
std::optional<Role> role_of(store::Tx& tx, const Realm& realm, std::string_view arn) {
  const auto parsed = parse_arn(arn);
  if (!parsed || parsed->service != "iam" || !parsed->resource.starts_with("role/")) return std::nullopt;
  const std::string_view name = parsed->resource;
  auto role = find_role(tx, name.substr(name.rfind('/') + 1));
  if (!role || role_arn(realm, *role) != arn) return std::nullopt;
  return role;
}

bool trusts(const Role& role, std::string_view action, std::string_view arn, const PolicyContext& context,
            const PolicyPrincipal& who) {
  const std::vector<PolicyPtr> trust{compile_stored(role.trust_policy, PolicyUse::kTrust, nullptr)};
  const PolicyRequest asked{.action = action, .resource = arn, .context = &context, .principal = &who};
  return evaluate(trust, asked).verdict == Verdict::kAllow;
}

Principal session_of(const Role& role, std::string_view session_name) {
  Principal who;
  who.kind = PrincipalKind::kRoleSession;
  who.name = role.name;
  who.user_id = role.id + ":" + std::string(session_name);
  return who;
}

bool is_session_name(std::string_view name) {
  return name.size() >= 2 && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view("_+=,.@-").find(c) != std::string_view::npos;
         });
}

Status check(store::Tx& tx, const Realm& realm, const WebIdentitySession& wanted) {
  if (!parse_arn(wanted.role_arn)) return wrong(wanted.role_arn + " is invalid");
  if (!is_session_name(wanted.session_name)) return wrong("RoleSessionName must match [\\w+=,.@-]{2,64}");
  if (wanted.duration_s < 900 || wanted.duration_s > 43200) {
    return wrong("DurationSeconds must be between 900 and 43200.");
  }
  if (!wanted.session_policy.empty()) TRY_VOID(compile_policy(wanted.session_policy, PolicyUse::kIdentity));
  if (wanted.policy_arns.size() > kSessionPolicyArns) {
    return wrong("PolicyArns must not name more than 10 managed policies.");
  }
  std::size_t size = wanted.session_policy.size();
  for (const std::string& arn : wanted.policy_arns) {
    size += arn.size();
    if (!managed_policy_exists(tx, realm, arn)) {
      return make_error(ErrorKind::kInvalid, "Policy " + arn + " does not exist or is not attachable.",
                        "MalformedPolicyDocument");
    }
  }
  if (size > kSessionPolicyLimit) {
    return make_error(ErrorKind::kInvalid, "Session policies exceed 2048 characters.", "PackedPolicyTooLarge");
  }
  return {};
}

}  // namespace

Result<RoleSession> session_for_device(store::Tx& tx, const Realm& realm, const DeviceSession& wanted) {
  const Error refused = invalid("Unable to assume the role, or the role to assume does not exist");
  const auto role = role_of(tx, realm, wanted.role_arn);
  if (!role) return refused;
  PolicyContext context;
  for (const auto& [key, values] : wanted.context) context.set(key, values);
  Principal service;
  service.kind = PrincipalKind::kService;
  service.account_id = realm.account_id;
  add_principal_keys(context, tx, service);
  context.erase("aws:PrincipalArn");
  context.set("aws:SourceAccount", realm.account_id);
  context.set("sts:RoleSessionName", wanted.session_name);
  PolicyPrincipal who;
  who.service = "credentials.iot.amazonaws.com";
  if (!trusts(*role, "sts:AssumeRole", wanted.role_arn, context, who)) return refused;
  if (wanted.duration_s > role->max_session_s) {
    return invalid("The requested CredentialDurationSeconds exceeds the MaxSessionDuration set for the role");
  }
  TRY(const std::string secret, session_secret(tx));
  Principal session = session_of(*role, wanted.session_name);
  session.session_keys = wanted.keys;
  return issue_session(secret, realm, session, tx.now_ms(), wanted.duration_s);
}

Result<RoleSession> assume_role_with_web_identity(store::Tx& tx, const Realm& realm, const WebIdentity& identity,
                                                  const WebIdentitySession& wanted) {
  TRY_VOID(check(tx, realm, wanted));
  const Error denied =
      make_error(ErrorKind::kAccessDenied, "Not authorized to perform sts:AssumeRoleWithWebIdentity", "AccessDenied");
  const auto role = role_of(tx, realm, wanted.role_arn);
  if (!role) return denied;
  PolicyPrincipal who;
  who.federated = oidc_provider_arn(realm, identity.provider);
  PolicyContext context;
  for (const auto& [key, values] : wanted.context) context.set(key, values);
  add_principal_keys(context, tx, Principal{});
  for (const auto& [key, values] : identity.condition_keys()) context.set(key, values);
  context.set("aws:FederatedProvider", who.federated);
  context.set("sts:RoleSessionName", wanted.session_name);
  if (!trusts(*role, "sts:AssumeRoleWithWebIdentity", wanted.role_arn, context, who)) return denied;
  if (wanted.duration_s > role->max_session_s) {
    return wrong("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
  }
  TRY(const std::string secret, session_secret(tx));
  Principal session = session_of(*role, wanted.session_name);
  session.session_policy = wanted.session_policy;
  session.session_policy_arns = wanted.policy_arns;
  session.session_keys = {{identity.provider + ":sub", identity.subject},
                          {identity.provider + ":aud", identity.audience},
                          {"aws:FederatedProvider", who.federated}};
  return issue_session(secret, realm, session, tx.now_ms(), wanted.duration_s);
}

}  // namespace muster::iam
