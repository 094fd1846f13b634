// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/sessions.h"

#include <algorithm>

#include "base/text.h"
#include "domain/iam/identities.h"
#include "domain/iam/identity_records.h"
#include "domain/iam/policy/eval.h"
#include "domain/iam/principal_policies.h"
#include "domain/iam/role_sessions.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::iam {

namespace {

constexpr std::int64_t kChainedSeconds = 3600;

Result<Role> role_for_service(store::Tx& tx, const Realm& realm, std::string_view arn, std::string_view session_name,
                              std::string_view service, std::string_view source_arn) {
  auto role = role_of_arn(tx, realm, arn);
  if (!role) return invalid("Role " + std::string(arn) + " does not exist.");
  PolicyContext context;
  Principal principal;
  principal.kind = PrincipalKind::kService;
  principal.account_id = realm.account_id;
  add_principal_keys(context, tx, principal);
  context.erase("aws:PrincipalArn");
  context.set("aws:SourceAccount", realm.account_id);
  if (!source_arn.empty()) context.set("aws:SourceArn", std::string(source_arn));
  context.set("sts:RoleSessionName", std::string(session_name));
  PolicyPrincipal who;
  who.service = service;
  if (!trusts(*role, {"sts:AssumeRole", arn, &context, &who}))
    return invalid("The trust policy of role " + std::string(arn) + " does not allow " + std::string(service) +
                   " to assume it.");
  return *std::move(role);
}

Status check_request(store::Tx& tx, const Realm& realm, const AssumeRole& wanted) {
  TRY_VOID(check_session({wanted.role_arn, wanted.session_name, wanted.duration_s}));
  for (const std::string& key : wanted.transitive_tags)
    if (!wanted.tags.contains(key))
      return wrong_session("Transitive tag key " + key + " is not among the session tags.");
  if (!check_tags(wanted.tags)) return wrong_session("Invalid session tags.");
  return check_session_policies(tx, realm, wanted.session_policy, wanted.policy_arns);
}

// Tags and source identity that the session will have: what a chained caller must hand on, then what was asked for.
Status add_session_facts(const Principal& caller, const AssumeRole& wanted, Principal& session) {
  for (const std::string& key : caller.transitive_tags) {
    auto inherited = caller.session_tags.find(key);
    if (inherited == caller.session_tags.end()) continue;
    for (const auto& [asked, value] : wanted.tags)
      if (equals_ignore_case(asked, key))
        return wrong_session(
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key "
            "from the calling session.");
    session.session_tags.insert(*inherited);
    session.transitive_tags.push_back(key);
  }
  session.session_tags.insert(wanted.tags.begin(), wanted.tags.end());
  session.transitive_tags.insert(session.transitive_tags.end(), wanted.transitive_tags.begin(),
                                 wanted.transitive_tags.end());
  session.source_identity = caller.source_identity.empty() ? wanted.source_identity : caller.source_identity;
  session.session_policy = wanted.session_policy;
  session.session_policy_arns = wanted.policy_arns;
  return {};
}

PolicyContext context_of(store::Tx& tx, const Principal& caller, const AssumeRole& wanted, const Principal& session) {
  PolicyContext context;
  for (const auto& [key, values] : wanted.context) context.set(key, values);
  add_principal_keys(context, tx, caller);
  context.set("sts:RoleSessionName", wanted.session_name);
  if (!wanted.external_id.empty()) context.set("sts:ExternalId", wanted.external_id);
  if (!session.source_identity.empty()) context.set("sts:SourceIdentity", session.source_identity);
  std::vector<std::string> keys;
  for (const auto& [key, value] : session.session_tags) {
    context.set("aws:RequestTag/" + key, value);
    keys.push_back(key);
  }
  if (!keys.empty()) context.set("aws:TagKeys", std::move(keys));
  if (!session.transitive_tags.empty()) context.set("sts:TransitiveTagKeys", session.transitive_tags);
  return context;
}

// The trust policy is the role's resource policy.
class AssumeDecision {
 public:
  AssumeDecision(store::Tx& tx, const Realm& realm, const Principal& caller, const Role& role)
      : who_(policy_principal(realm, tx, caller)) {
    policies_.identity = identity_policies(tx, caller, nullptr);
    policies_.resource.push_back(compile_stored(role.trust_policy, PolicyUse::kTrust, nullptr));
    policies_.ceilings = ceilings(tx, caller, nullptr);
    policies_.resource_must_allow = true;
  }
  bool allowed(std::string_view action, std::string_view arn, const PolicyContext& context) const {
    return judge(policies_, PolicyRequest{action, arn, &context, &who_}).verdict == Verdict::kAllow;
  }

 private:
  PolicyPrincipal who_;
  PolicySet policies_;
};

Status check_duration(const Principal& caller, const Role& role, std::int64_t duration_s) {
  if (caller.kind == PrincipalKind::kRoleSession && duration_s > kChainedSeconds)
    return wrong_session(
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.");
  if (duration_s > role.max_session_s)
    return wrong_session("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
  return {};
}

}  // namespace

Result<RoleSession> assume_role(store::Tx& tx, const Realm& realm, const Principal& caller, const AssumeRole& wanted) {
  TRY_VOID(check_request(tx, realm, wanted));
  auto denied = [&](std::string_view action) {
    std::string who = caller.arn.empty() ? "anonymous" : caller.arn;
    return make_error(ErrorKind::kAccessDenied, "User: " + who + " is not authorized to perform: " +
                                                    std::string(action) + " on resource: " + wanted.role_arn);
  };
  if (caller.kind == PrincipalKind::kRoot)
    return make_error(ErrorKind::kAccessDenied, "Roles may not be assumed by root accounts.");
  const bool known = caller.kind == PrincipalKind::kUser || caller.kind == PrincipalKind::kRoleSession;
  auto role = known ? role_of_arn(tx, realm, wanted.role_arn) : std::nullopt;
  if (!role || !gone_because(tx, caller).empty()) return denied("sts:AssumeRole");
  Principal session = session_of(*role, wanted.session_name);
  TRY_VOID(add_session_facts(caller, wanted, session));
  const PolicyContext context = context_of(tx, caller, wanted, session);
  const AssumeDecision decision(tx, realm, caller, *role);
  std::vector<std::string_view> actions{"sts:AssumeRole"};
  if (!session.session_tags.empty()) actions.emplace_back("sts:TagSession");
  if (!session.source_identity.empty()) actions.emplace_back("sts:SetSourceIdentity");
  for (std::string_view action : actions)
    if (!decision.allowed(action, wanted.role_arn, context)) return denied(action);
  if (!wanted.source_identity.empty() && session.source_identity != wanted.source_identity)
    return denied("sts:SetSourceIdentity");  // a source identity stays for the whole chain
  TRY_VOID(check_duration(caller, *role, wanted.duration_s));
  TRY(std::string secret, session_secret(tx));
  return issue_session(secret, realm, session, tx.now_ms(), wanted.duration_s);
}

Result<RoleSession> get_session_token(store::Tx& tx, const Realm& realm, const Principal& caller,
                                      std::int64_t duration_s) {
  const bool root = caller.kind == PrincipalKind::kRoot;
  if ((!root && caller.kind != PrincipalKind::kUser) || caller.token_issued_ms != 0)
    return make_error(ErrorKind::kAccessDenied, "Cannot call GetSessionToken with session credentials");
  if (!gone_because(tx, caller).empty())  // its key may still be in a cache
    return make_error(ErrorKind::kUnauthenticated, "The security token included in the request is invalid.",
                      "InvalidAccessKeyId");
  if (duration_s < 900 || duration_s > 129600) return wrong_session("DurationSeconds must be between 900 and 129600.");
  if (root) duration_s = std::min(duration_s, kChainedSeconds);
  TRY(std::string secret, session_secret(tx));
  Principal who;
  who.kind = caller.kind;
  who.name = caller.name;
  who.arn = caller.arn;
  who.user_id = caller.user_id;
  return issue_session(secret, realm, who, tx.now_ms(), duration_s);
}

Result<sigv4::Credentials> session_for_role(store::Tx& tx, const Realm& realm, std::string_view role_arn,
                                            std::string_view session_name, std::int64_t duration_s,
                                            std::string_view service_principal, std::string_view source_arn) {
  TRY(Role role, role_for_service(tx, realm, role_arn, session_name, service_principal, source_arn));
  TRY(std::string secret, session_secret(tx));
  TRY(RoleSession session, issue_session(secret, realm, session_of(role, session_name), tx.now_ms(), duration_s));
  return std::move(session.credentials);
}

Status check_service_role(store::Tx& tx, const Realm& realm, std::string_view role_arn,
                          std::string_view service_principal, std::string_view source_arn) {
  TRY_VOID(role_for_service(tx, realm, role_arn, "check", service_principal, source_arn));
  return {};
}

Result<std::string> session_secret(store::Tx& tx) {
  auto secret = tx.get_snapshot(store::Key(store::table::kMeta).text("session_secret"));
  if (!secret) return internal("the account has no session secret");
  return from_hex(*secret);
}

}  // namespace muster::iam
