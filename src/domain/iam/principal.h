// SPDX-License-Identifier: Apache-2.0
// Principal: who is calling, as authentication found it. A value; made by api/wire (SigV4), api/device (certificates)
// and nowhere else.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace muster::iam {

enum class PrincipalKind : std::uint8_t {
  kAnonymous,    // unsigned request
  kRoot,         // the account's root key: everything is allowed
  kUser,         // IAM user: its own and its groups' policies decide
  kRoleSession,  // temporary credentials of a role: the role's policies decide
  kCertificate,  // X.509 client certificate: its IoT policies decide
  kToken,        // a custom authoriser's token: the policies of its answer decide
  kService,      // the server itself on behalf of a feature (never from outside)
};

struct Principal {
  PrincipalKind kind = PrincipalKind::kAnonymous;
  std::string account_id;
  std::string arn;             // arn:aws:iam::A:root, :user/N, arn:aws:sts::A:assumed-role/R/S, arn:aws:iot:R:A:cert/ID
  std::string name;            // user, role or certificate id
  std::string user_id;         // AIDA..., AROA...:session, account id for root
  std::string access_key_id;   // empty for certificates
  std::string session_policy;  // sessions: JSON text given to AssumeRole, or empty
  // Of temporary credentials (ASIA...) only.
  std::vector<std::string> session_policy_arns;     // managed policies that bound the session as well
  std::map<std::string, std::string> session_tags;  // aws:PrincipalTag, over the role's own
  std::vector<std::string> transitive_tags;         // keys of session_tags that a chained session keeps
  std::string source_identity;
  // Condition keys and policy variables that the session brings: aws:FederatedProvider, credentials-iot:ThingName ...
  std::map<std::string, std::string> session_keys;
  std::int64_t token_issued_ms = 0;  // 0: long-term credentials
};

}  // namespace muster::iam
