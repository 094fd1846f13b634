// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/policy/decide.h"

#include <optional>

namespace muster::iam {

Judgement judge(const PolicySet& policies, const PolicyRequest& request) {
  const Decision identity = evaluate(policies.identity, request);
  if (identity.verdict == Verdict::kExplicitDeny) return {Verdict::kExplicitDeny, Level::kIdentity};
  const Decision resource = evaluate(policies.resource, request);
  if (resource.verdict == Verdict::kExplicitDeny) return {Verdict::kExplicitDeny, Level::kResource};
  std::optional<Level> bounded;
  for (const Ceiling& ceiling : policies.ceilings) {
    const Level level = ceiling.is_boundary ? Level::kBoundary : Level::kSession;
    const Verdict verdict = evaluate(ceiling.policies, request).verdict;
    if (verdict == Verdict::kExplicitDeny) return {Verdict::kExplicitDeny, level};
    if (verdict != Verdict::kAllow && !bounded) bounded = level;
  }
  const bool is_role_session = request.principal != nullptr && !request.principal->role_arn.empty();
  const bool by_resource = resource.verdict == Verdict::kAllow;
  if (by_resource && (!is_role_session || resource.named_session)) return {Verdict::kAllow, Level::kResource};
  const bool by_identity = identity.verdict == Verdict::kAllow && (!policies.resource_must_allow || resource.delegated);
  if (!by_identity && !by_resource) return {Verdict::kImplicitDeny, Level::kIdentity};
  if (bounded) return {Verdict::kImplicitDeny, *bounded};
  return {Verdict::kAllow, by_identity ? Level::kIdentity : Level::kResource};
}

}  // namespace muster::iam
