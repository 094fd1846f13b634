// SPDX-License-Identifier: Apache-2.0
// Sessions of roles for whom somebody else vouches: a device's certificate (AWS IoT credentials provider) or an OpenID
// Connect issuer (AssumeRoleWithWebIdentity). Each session supplies condition keys of its own to every evaluation, as
// long as it lives. Synchronous over Tx&. Sources: AWS IoT developer guide, "Authorizing direct calls to AWS services";
// STS API reference, AssumeRoleWithWebIdentity.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "domain/iam/oidc.h"
#include "domain/iam/sessions.h"
#include "store/store.h"

namespace muster::iam {

using SessionKeys = std::map<std::string, std::string>;  // condition key -> value
// Condition keys of the request, for the trust policy: aws:SourceIp, aws:SecureTransport ...
using RequestKeys = std::map<std::string, std::vector<std::string>>;

// For a device whose certificate was judged: the role must trust credentials.iot.amazonaws.com, and allow sessions that
// long. kInvalid with AWS's wording otherwise.
struct DeviceSession {
  std::string role_arn;
  std::string session_name;
  std::int64_t duration_s = 3600;
  SessionKeys keys;
  RequestKeys context;
};
Result<RoleSession> session_for_device(store::Tx& tx, const Realm& realm, const DeviceSession& wanted);

// For a token that was verified: the role's trust policy must name the provider and allow
// sts:AssumeRoleWithWebIdentity. kAccessDenied, whatever is missing.
struct WebIdentitySession {
  std::string role_arn;
  std::string session_name;
  std::int64_t duration_s = 3600;
  std::string session_policy;
  std::vector<std::string> policy_arns;  // managed policies, as session_policy
  RequestKeys context;
};
Result<RoleSession> assume_role_with_web_identity(store::Tx& tx, const Realm& realm, const WebIdentity& identity,
                                                  const WebIdentitySession& wanted);

}  // namespace muster::iam
