// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/authorize.h"

#include "domain/iam/policy/decide.h"
#include "domain/iam/principal_policies.h"

namespace muster::iam {

namespace {

Error denied(const Principal& principal, const AuthorizationRequest& request, std::string_view resource,
             std::string_view because) {
  if (principal.kind == PrincipalKind::kAnonymous) return make_error(ErrorKind::kAccessDenied, "Access Denied");
  std::string message = "User: " + principal.arn + " is not authorized to perform: " + request.action +
                        " on resource: " + std::string(resource) + " ";
  message += because;
  return make_error(ErrorKind::kAccessDenied, std::move(message));
}

std::string_view deny_words(Level level) {
  switch (level) {
    case Level::kIdentity:
      return "with an explicit deny in an identity-based policy";
    case Level::kResource:
      return "with an explicit deny in a resource-based policy";
    case Level::kBoundary:
      return "with an explicit deny in a permissions boundary";
    case Level::kSession:
      return "with an explicit deny in a session policy";
  }
  return "";
}

Status decide(const PolicySet& policies, const Principal& principal, const AuthorizationRequest& request,
              const PolicyRequest& asked) {
  const Judgement judgement = judge(policies, asked);
  if (judgement.verdict == Verdict::kAllow) return {};
  if (judgement.verdict == Verdict::kExplicitDeny)
    return denied(principal, request, asked.resource, deny_words(judgement.by));
  const std::string_view none = judgement.by == Level::kBoundary  ? "because no permissions boundary"
                                : judgement.by == Level::kSession ? "because no session policy"
                                                                  : "because no identity-based policy";
  return denied(principal, request, asked.resource, std::string(none) + " allows the " + request.action + " action");
}

}  // namespace

Status authorize(store::Tx& tx, const Realm& realm, const Principal& principal, const AuthorizationRequest& request,
                 PolicyCache* cache) {
  if (principal.kind == PrincipalKind::kRoot || principal.kind == PrincipalKind::kService) return {};
  if (const std::string_view gone = gone_because(tx, principal); !gone.empty())
    return denied(principal, request, request.resources.empty() ? "*" : request.resources.front(),
                  "because " + std::string(gone));
  PolicyContext context;
  for (const auto& [key, values] : request.context) context.set(key, values);
  add_principal_keys(context, tx, principal);
  PolicyPrincipal who = policy_principal(realm, tx, principal);

  PolicySet policies;
  policies.identity = identity_policies(tx, principal, cache);
  if (!request.resource_policy.empty())
    policies.resource.push_back(compile_stored(request.resource_policy, PolicyUse::kResource, cache));
  policies.ceilings = ceilings(tx, principal, cache);

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
