// SPDX-License-Identifier: Apache-2.0
// What every way to a role's session shares (sessions.h, vouched_sessions.h): the role behind an ARN, its trust, and
// the checks of what the session asks for. For those two files.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/iam/identities.h"
#include "domain/iam/policy/eval.h"
#include "domain/iam/principal.h"
#include "store/store.h"

namespace muster::iam {

Error wrong_session(std::string message);  // kInvalid, reason ValidationError

// The role whose ARN, path included, is `arn`.
std::optional<Role> role_of_arn(store::Tx& tx, const Realm& realm, std::string_view arn);
// Whether the trust policy alone allows it.
bool trusts(const Role& role, const PolicyRequest& asked);
Principal session_of(const Role& role, std::string_view session_name);

struct SessionRequest {
  std::string_view role_arn, session_name;
  std::int64_t duration_s = 0;  // 900 to 43,200
};
Status check_session(const SessionRequest& wanted);
// At most 10 ARNs of managed policies that exist; 2048 characters with the inline one.
Status check_session_policies(store::Tx& tx, const Realm& realm, const std::string& policy,
                              const std::vector<std::string>& policy_arns);

}  // namespace muster::iam
