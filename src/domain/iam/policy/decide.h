// SPDX-License-Identifier: Apache-2.0
// How the policies that concern a request add up; pure. The order:
//   1. an explicit deny in any policy denies: identity, resource, boundary, session;
//   2. the resource's policy allows a user, or a role session by its own ARN: allowed;
//   3. it allows a role session by its role, its account or "*": allowed within the boundary and the session policies;
//   4. an identity policy (inline, attached, of a group) allows: allowed within the boundary and the session policies;
//   5. denied.
// Source: IAM User Guide, "Determining whether a request is allowed or denied within an account"; "Permissions
// boundaries for IAM entities".
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "domain/iam/policy/eval.h"

namespace muster::iam {

// What bounds the identity policies: each must allow too, and a deny in it denies.
struct Ceiling {
  bool is_boundary = false;  // else the policies of the session
  std::vector<PolicyPtr> policies;
  bool operator==(const Ceiling&) const = default;
};

struct PolicySet {
  std::vector<PolicyPtr> identity;
  std::vector<PolicyPtr> resource;
  std::vector<Ceiling> ceilings;
  // A trust policy: identity policies count only where it names the whole account.
  bool resource_must_allow = false;
};

enum class Level : std::uint8_t { kIdentity, kResource, kBoundary, kSession };

struct Judgement {
  Verdict verdict = Verdict::kImplicitDeny;
  Level by = Level::kIdentity;  // which denied, or failed to allow
};

Judgement judge(const PolicySet& policies, const PolicyRequest& request);

}  // namespace muster::iam
