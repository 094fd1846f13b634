// SPDX-License-Identifier: Apache-2.0
// Source: IAM User Guide, "Determining whether a request is allowed or denied within an account": explicit deny, then
// resource-based allow, then identity-based allow within the session policy.
#include "domain/iam/authorize.h"

#include "domain/iam/policy/eval.h"
#include "domain/iam/principal_policies.h"

namespace muster::iam {

namespace {

struct Policies {
  std::vector<PolicyPtr> identity;
  std::vector<PolicyPtr> resource;
  std::vector<PolicyPtr> session;
};

Error denied(const Principal& principal, const AuthorizationRequest& request, std::string_view resource,
             std::string_view because) {
  if (principal.kind == PrincipalKind::kAnonymous) return make_error(ErrorKind::kAccessDenied, "Access Denied");
  std::string message = "User: " + principal.arn + " is not authorized to perform: " + request.action +
                        " on resource: " + std::string(resource) + " ";
  message += because;
  return make_error(ErrorKind::kAccessDenied, std::move(message));
}

Status decide(const Policies& policies, const Principal& principal, const AuthorizationRequest& request,
              const PolicyRequest& asked) {
  auto deny = [&](std::string_view because) { return denied(principal, request, asked.resource, because); };
  Decision own = evaluate(policies.identity, asked);
  if (own.verdict == Verdict::kExplicitDeny) return deny("with an explicit deny in an identity-based policy");
  Decision resource = evaluate(policies.resource, asked);
  if (resource.verdict == Verdict::kExplicitDeny) return deny("with an explicit deny in a resource-based policy");
  Decision session;
  if (!policies.session.empty()) {
    session = evaluate(policies.session, asked);
    if (session.verdict == Verdict::kExplicitDeny) return deny("with an explicit deny in a session policy");
  }
  std::string because = " policy allows the " + request.action + " action";
  if (own.verdict != Verdict::kAllow && resource.verdict != Verdict::kAllow)
    return deny("because no identity-based" + because);
  if (!policies.session.empty() && session.verdict != Verdict::kAllow) return deny("because no session" + because);
  return {};
}

}  // namespace

Status authorize(store::Tx& tx, const Realm& realm, const Principal& principal, const AuthorizationRequest& request,
                 PolicyCache* cache) {
  if (principal.kind == PrincipalKind::kRoot || principal.kind == PrincipalKind::kService) return {};
  PolicyContext context;
  for (const auto& [key, values] : request.context) context.set(key, values);
  add_principal_keys(context, tx, principal);
  PolicyPrincipal who = policy_principal(realm, tx, principal);

  Policies policies;
  policies.identity = identity_policies(tx, principal, cache);
  if (!request.resource_policy.empty())
    policies.resource.push_back(compile_stored(request.resource_policy, PolicyUse::kResource, cache));
  if (!principal.session_policy.empty())
    policies.session.push_back(compile_stored(principal.session_policy, PolicyUse::kIdentity, cache));

  PolicyRequest asked{.action = request.action, .context = &context, .principal = &who};
  if (request.resources.empty()) {
    asked.resource = "*";
    return decide(policies, principal, request, asked);
  }
  for (const std::string& resource : request.resources) {
    asked.resource = resource;
    TRY_VOID(decide(policies, principal, request, asked));
  }
  return {};
}

}  // namespace muster::iam
