// SPDX-License-Identifier: Apache-2.0
// What authorize() and AssumeRole both need of a principal: its own policies and the condition keys it supplies.
#pragma once

#include <vector>

#include "base/ids.h"
#include "domain/iam/policy/cache.h"
#include "domain/iam/policy/eval.h"
#include "domain/iam/principal.h"
#include "store/store.h"

namespace muster::iam {

// The inline policies of the user or role; none when it is gone or was replaced by another of that name.
std::vector<PolicyPtr> identity_policies(store::Tx& tx, const Principal& principal, PolicyCache* cache);

// aws:PrincipalArn, aws:userid, aws:username, aws:CurrentTime and so on.
void add_principal_keys(PolicyContext& context, store::Tx& tx, const Principal& principal);

PolicyPrincipal policy_principal(const Realm& realm, store::Tx& tx, const Principal& principal);

}  // namespace muster::iam
