// SPDX-License-Identifier: Apache-2.0
// Temporary credentials of roles and users, without state: the session token carries its claims and a MAC under the
// server's secret (table kMeta), the secret access key is derived from the same secret. A session ends at its expiry or
// when its role or user is deleted (whoever judges compares the id: gone_because()); the access key that
// GetSessionToken was called with may be deactivated or deleted meanwhile, as on AWS. Synchronous over Tx&. Source of
// behaviour: AWS STS API reference, AssumeRole; IAM user guide, "Disabling permissions for temporary security
// credentials".
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/sigv4.h"
#include "domain/iam/credentials.h"
#include "domain/iam/principal.h"
#include "store/store.h"

namespace muster::iam {

struct RoleSession {
  sigv4::Credentials credentials;
  std::int64_t expires_ms = 0;
  std::string assumed_role_id;   // AROA...:session
  std::string assumed_role_arn;  // arn:aws:sts::A:assumed-role/R/S
};

struct AssumeRole {
  std::string role_arn;
  std::string session_name;
  std::int64_t duration_s = 3600;
  std::string session_policy;  // JSON text or empty: permissions are the intersection
  std::string external_id;
  std::vector<std::string> policy_arns;  // managed policies, as session_policy
  std::map<std::string, std::string> tags;
  std::vector<std::string> transitive_tags;
  std::string source_identity;
  std::map<std::string, std::vector<std::string>> context;  // condition keys of the request
};

// A user's own permissions (or root's, for an hour at most) under temporary credentials. kAccessDenied from a session.
Result<RoleSession> get_session_token(store::Tx& tx, const Realm& realm, const Principal& caller,
                                      std::int64_t duration_s);

// STS AssumeRole: the trust policy must allow the caller; kAccessDenied with AWS's wording otherwise.
Result<RoleSession> assume_role(store::Tx& tx, const Realm& realm, const Principal& caller, const AssumeRole& wanted);

// Credentials for the server to act for a feature of the account (pre-signed URLs of a job): the role must exist and
// its trust policy must allow `service_principal` to assume it. duration_s may exceed the role's maximum: a pre-signed
// URL has its own bound. `source_arn` is the resource that asks (a job), for aws:SourceArn in the trust policy.
// kInvalid says why the role cannot be assumed.
Result<sigv4::Credentials> session_for_role(store::Tx& tx, const Realm& realm, std::string_view role_arn,
                                            std::string_view session_name, std::int64_t duration_s,
                                            std::string_view service_principal = "iot.amazonaws.com",
                                            std::string_view source_arn = {});

// Whether session_for_role would succeed: for checks when a job is created.
Status check_service_role(store::Tx& tx, const Realm& realm, std::string_view role_arn,
                          std::string_view service_principal = "iot.amazonaws.com", std::string_view source_arn = {});

// Credentials that stand for `who` (kind, name, user_id "ROLE_ID:session", session policies, tags and keys). Whether it
// may begin was decided before. kInvalid "PackedPolicyTooLarge" when policies and tags do not fit.
Result<RoleSession> issue_session(std::string_view secret, const Realm& realm, const Principal& who,
                                  std::int64_t now_ms, std::int64_t duration_s);

// The random server secret of this account; ensure_account made it.
Result<std::string> session_secret(store::Tx& tx);

// Pure: checks a token against the secret. Errors as in credentials.h.
Result<KnownCredentials> verify_session(std::string_view secret, const Realm& realm, std::string_view access_key_id,
                                        std::string_view session_token, std::int64_t now_ms);

}  // namespace muster::iam
