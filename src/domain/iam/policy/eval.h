// SPDX-License-Identifier: Apache-2.0
// The policy evaluator, shared by IAM and IoT policies: pure, no I/O, no allocation on the usual path. Explicit deny
// wins, then allow, else implicit deny. A value substituted for ${variable} is compared literally: a '*' in a client id
// never becomes a wildcard. A variable that the request does not carry makes its pattern match nothing (in NotResource:
// an Allow statement then does not apply, a Deny statement does).
// Source: IAM User Guide, "Policy evaluation logic", "Policy variables", "Condition operators", "Multivalued keys".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "domain/iam/policy/document.h"

namespace muster::iam {

// Condition keys and policy variables of one request (they share a name space). Keys are case-insensitive. A key with
// no value is absent. Keep it small (tens of keys): lookup is linear.
class PolicyContext {
 public:
  void set(std::string_view key, std::string value);
  void set(std::string_view key, std::vector<std::string> values);
  void erase(std::string_view key);
  // `lower_key` in lower case; nullptr when absent.
  const std::vector<std::string>* find(std::string_view lower_key) const;
  // A copy that lacks the keys of which any value holds one of those characters.
  PolicyContext without_any_of(std::string_view characters) const;
  bool operator==(const PolicyContext&) const = default;

 private:
  std::vector<std::pair<std::string, std::vector<std::string>>> items_;
};

// Who asks, for the Principal element of resource and trust policies.
struct PolicyPrincipal {
  std::string arn;         // session ARN of a role session
  std::string role_arn;    // of a role session: matches as well
  std::string account_id;  // empty: anonymous
  std::string service;     // "iot.amazonaws.com" for the server on behalf of a feature
  std::string federated;   // ARN of the OpenID Connect provider that vouches for a web identity; nothing else is set
  bool is_root = false;
};

struct PolicyRequest {
  std::string_view action;
  std::string_view resource;
  const PolicyContext* context = nullptr;
  const PolicyPrincipal* principal = nullptr;  // resource and trust policies only
};

enum class Verdict : std::uint8_t { kImplicitDeny, kAllow, kExplicitDeny };

struct Decision {
  Verdict verdict = Verdict::kImplicitDeny;
  // An Allow named the caller's whole account: it counts only together with an Allow in the caller's own policies.
  bool delegated = false;
  // An Allow named the role session itself, not its role or everybody: what bounds the role does not bound that.
  bool named_session = false;
  int policy = -1;  // index of the policy and statement that decided; -1: none
  int statement = -1;
  std::string_view sid;  // of that statement; lives as long as the policy
};

Decision evaluate(std::span<const PolicyPtr> policies, const PolicyRequest& request);

}  // namespace muster::iam
