// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/vouched_sessions.h"

#include "domain/iam/principal_policies.h"
#include "domain/iam/role_sessions.h"

namespace muster::iam {
namespace {

Status check(store::Tx& tx, const Realm& realm, const WebIdentitySession& wanted) {
  TRY_VOID(check_session({wanted.role_arn, wanted.session_name, wanted.duration_s}));
  return check_session_policies(tx, realm, wanted.session_policy, wanted.policy_arns);
}

}  // namespace

Result<RoleSession> session_for_device(store::Tx& tx, const Realm& realm, const DeviceSession& wanted) {
  const Error refused = invalid("Unable to assume the role, or the role to assume does not exist");
  const auto role = role_of_arn(tx, realm, wanted.role_arn);
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
  if (!trusts(*role, {"sts:AssumeRole", wanted.role_arn, &context, &who})) return refused;
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
  const auto role = role_of_arn(tx, realm, wanted.role_arn);
  if (!role) return denied;
  PolicyPrincipal who;
  who.federated = oidc_provider_arn(realm, identity.provider);
  PolicyContext context;
  for (const auto& [key, values] : wanted.context) context.set(key, values);
  add_principal_keys(context, tx, Principal{});
  for (const auto& [key, values] : identity.condition_keys()) context.set(key, values);
  context.set("aws:FederatedProvider", who.federated);
  context.set("sts:RoleSessionName", wanted.session_name);
  if (!trusts(*role, {"sts:AssumeRoleWithWebIdentity", wanted.role_arn, &context, &who})) return denied;
  if (wanted.duration_s > role->max_session_s) {
    return wrong_session("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
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
