// SPDX-License-Identifier: Apache-2.0
// authorize(): the one decision point for SigV4 and anonymous callers. Deny unless a policy allows; an explicit deny
// wins; policy/decide.h says how identity policies, the resource's policy, boundary and session policies add up. Root
// is allowed everything. Reads the policies in the given transaction.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "domain/iam/policy/cache.h"
#include "domain/iam/principal.h"
#include "store/store.h"

namespace muster::iam {

struct AuthorizationRequest {
  std::string action;                  // "iot:CreateJob"
  std::vector<std::string> resources;  // ARNs that must all be allowed; {"*"} where the action has no resource
  std::map<std::string, std::vector<std::string>> context;  // condition keys, e.g. "aws:SourceIp"
  std::string resource_policy;                              // JSON text of a bucket policy, or empty
};

// kAccessDenied with AWS's wording ("User: ARN is not authorized to perform: A on resource: R because no identity-based
// policy allows the A action"), or success.
// `cache` (may be null) saves compiling the same documents for each request.
Status authorize(store::Tx& tx, const Realm& realm, const Principal& principal, const AuthorizationRequest& request,
                 PolicyCache* cache = nullptr);

}  // namespace muster::iam
