// SPDX-License-Identifier: Apache-2.0
// What authorize() and AssumeRole both need of a principal: its own policies and the condition keys it supplies.
#pragma once

#include <string_view>
#include <vector>

#include "base/ids.h"
#include "domain/iam/policy/cache.h"
#include "domain/iam/policy/decide.h"
#include "domain/iam/policy/eval.h"
#include "domain/iam/principal.h"
#include "store/store.h"

namespace muster::iam {

// Inline and attached policies of the user or role, and of the user's groups; none when it is gone or was replaced by
// another of that name. One that cannot be read denies everything.
std::vector<PolicyPtr> identity_policies(store::Tx& tx, const Principal& principal, PolicyCache* cache);

// The permissions boundary and the session policies.
std::vector<Ceiling> ceilings(store::Tx& tx, const Principal& principal, PolicyCache* cache);

// aws:PrincipalArn, aws:userid, aws:username, aws:PrincipalTag/..., aws:CurrentTime and so on.
void add_principal_keys(PolicyContext& context, store::Tx& tx, const Principal& principal);

// Credentials outlive their user or role; what names everybody, or an ARN that another may have by now, means those who
// still exist. Whoever judges asks this first: "the user does not exist", "the role does not exist", or "" for anybody
// else.
std::string_view gone_because(store::Tx& tx, const Principal& principal);

PolicyPrincipal policy_principal(const Realm& realm, store::Tx& tx, const Principal& principal);

}  // namespace muster::iam
