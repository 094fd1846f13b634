// SPDX-License-Identifier: Apache-2.0
// Policy documents: JSON text -> CompiledPolicy, or MalformedPolicyDocument with AWS's wording. A value, immutable and
// shareable between threads. What cannot be evaluated is refused here: unknown members, operators and condition keys.
// Bounds: 131072 bytes, JSON depth 16, 500 statements, 1000 patterns a statement; callers add their own quota.
// Source: IAM User Guide, "IAM JSON policy reference"; AWS IoT developer guide, "Policy resource ARNs".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster::iam {

enum class PolicyUse : std::uint8_t {
  kIdentity,  // of a user, role or session: Resource required, Principal refused
  kResource,  // of a bucket: Principal and Resource required
  kTrust,     // of a role: Principal required, Resource refused, only sts: actions
  kIot,       // of a certificate or thing group: as kIdentity, actions of iot: and iotjobsdata: only
};

struct CompiledPolicy;
using PolicyPtr = std::shared_ptr<const CompiledPolicy>;

// kInvalid with reason "MalformedPolicyDocument" (kIot: "MalformedPolicyException").
Result<PolicyPtr> compile_policy(std::string_view text, PolicyUse use);

// A policy that denies everything: what a stored document that no longer compiles is evaluated as (fail closed).
PolicyPtr deny_all_policy();

// Characters that count against a size quota: AWS leaves out white space.
std::size_t policy_size_without_white_space(std::string_view text);

}  // namespace muster::iam
