// SPDX-License-Identifier: Apache-2.0
// Principal: who is calling, as authentication found it. A value; made by api/wire (SigV4), api/device (certificates)
// and nowhere else.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace muster::iam {

enum class PrincipalKind : std::uint8_t {
  kAnonymous,    // unsigned request
  kRoot,         // the account's root key: everything is allowed
  kUser,         // IAM user: its inline policies decide
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
  std::string session_policy;  // role sessions: JSON text given to AssumeRole, or empty
  // Role sessions: condition keys that the session was begun with and supplies as long as it lives, as
  // credentials-iot:ThingName or ISSUER:sub.
  std::map<std::string, std::string> session_keys;
};

}  // namespace muster::iam
