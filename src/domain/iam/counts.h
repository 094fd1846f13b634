// SPDX-License-Identifier: Apache-2.0
// How many there are, by counters (table kIamCount): what the account's quotas bound and GetAccountSummary shows, and
// the attachments of each managed policy. Whoever makes or deletes one counts it in the same transaction. Quotas as
// AWS: 5000 users, 1000 roles, 300 groups, 1500 managed policies of the account. A counter is read without conflicting,
// so creations at the same instant may pass a quota by their number.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "store/store.h"

namespace muster::iam {

enum class Counted : std::uint8_t { kUsers, kRoles, kGroups, kPolicies, kPolicyVersions };

std::int64_t quota_of(Counted what);  // of the account
std::int64_t count_of(store::Tx& tx, Counted what);
void count(store::Tx& tx, Counted what, std::int64_t change);
// Counts one more, or answers LimitExceeded "Cannot exceed quota for UsersPerAccount: 5000".
Status count_within_quota(store::Tx& tx, Counted what);

struct PolicyUses {
  std::int64_t attached = 0, boundaries = 0;
};
PolicyUses uses_of_policy(store::Tx& tx, std::string_view arn);
void count_use(store::Tx& tx, std::string_view arn, bool as_boundary, std::int64_t change);
void forget_uses(store::Tx& tx, std::string_view arn);  // the policy is deleted

// At start: counts what a store has that was written before there were counters. Once; at most some thousands of rows.
void ensure_counts(store::Tx& tx);

}  // namespace muster::iam
