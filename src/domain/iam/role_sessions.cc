// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/role_sessions.h"

#include <algorithm>

#include "domain/iam/managed_policies.h"
#include "domain/iam/policy/cache.h"

namespace muster::iam {

namespace {

constexpr std::size_t kSessionPolicyLimit = 2048;
constexpr std::size_t kSessionPolicyArns = 10;

bool is_session_name(std::string_view name) {
  if (name.size() < 2 || name.size() > 64) return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_+=,.@-").find(c) != std::string_view::npos;
  });
}

}  // namespace

Error wrong_session(std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message), "ValidationError");
}

std::optional<Role> role_of_arn(store::Tx& tx, const Realm& realm, std::string_view arn) {
  const auto parsed = parse_arn(arn);
  if (!parsed || parsed->service != "iam" || !parsed->resource.starts_with("role/")) return std::nullopt;
  const std::string_view name = parsed->resource;
  auto role = find_role(tx, name.substr(name.rfind('/') + 1));
  if (!role || role_arn(realm, *role) != arn) return std::nullopt;
  return role;
}

bool trusts(const Role& role, const PolicyRequest& asked) {
  const std::vector<PolicyPtr> trust{compile_stored(role.trust_policy, PolicyUse::kTrust, nullptr)};
  return evaluate(trust, asked).verdict == Verdict::kAllow;
}

Principal session_of(const Role& role, std::string_view session_name) {
  Principal who;
  who.kind = PrincipalKind::kRoleSession;
  who.name = role.name;
  who.user_id = role.id + ":" + std::string(session_name);
  return who;
}

Status check_session(const SessionRequest& wanted) {
  if (!parse_arn(wanted.role_arn)) return wrong_session(std::string(wanted.role_arn) + " is invalid");
  if (!is_session_name(wanted.session_name)) return wrong_session("RoleSessionName must match [\\w+=,.@-]{2,64}");
  if (wanted.duration_s < 900 || wanted.duration_s > 43200)
    return wrong_session("DurationSeconds must be between 900 and 43200.");
  return {};
}

Status check_session_policies(store::Tx& tx, const Realm& realm, const std::string& policy,
                              const std::vector<std::string>& policy_arns) {
  std::size_t size = policy.size();
  if (!policy.empty()) TRY_VOID(compile_policy(policy, PolicyUse::kIdentity));
  if (policy_arns.size() > kSessionPolicyArns)
    return wrong_session("PolicyArns must not name more than 10 managed policies.");
  for (const std::string& arn : policy_arns) {
    size += arn.size();
    if (!managed_policy_exists(tx, realm, arn))
      return make_error(ErrorKind::kInvalid, "Policy " + arn + " does not exist or is not attachable.",
                        "MalformedPolicyDocument");
  }
  if (size > kSessionPolicyLimit)
    return make_error(ErrorKind::kInvalid, "Session policies exceed 2048 characters.", "PackedPolicyTooLarge");
  return {};
}

}  // namespace muster::iam
