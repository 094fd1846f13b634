// SPDX-License-Identifier: Apache-2.0
// The rows that attach IoT policies to targets (ARNs of certificates and thing groups, Cognito identities), in both
// directions. Rows alone: whether policy and target exist, and how many there may be, is domain/security's to check
// (security/policies.h). Here because a group that goes takes its attachments along.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "store/store.h"

namespace muster::registry {

void link_policy(store::Tx& tx, std::string_view policy, std::string_view target);
void unlink_policy(store::Tx& tx, std::string_view policy, std::string_view target);
bool is_policy_linked(store::Tx& tx, std::string_view policy, std::string_view target);
bool has_policy_targets(store::Tx& tx, std::string_view policy);
// By name; the quotas of a target bound them.
std::vector<std::string> policies_of_target(store::Tx& tx, std::string_view target);
void detach_all_policies(store::Tx& tx, std::string_view target);

}  // namespace muster::registry
