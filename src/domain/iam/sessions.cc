// SPDX-License-Identifier: Apache-2.0
// Session token: base64url(claims) "." base64url(HMAC-SHA256(secret, "token:" claims)); claims is JSON
// {k: access key id, a: account, r: role, i: role id, s: session name, t: issued ms, e: expires ms, p: session policy,
// x: {condition key: value} that the session supplies}.
// Secret access key: base64 of the first 30 bytes of HMAC-SHA256(secret, "key:" claims).
#include "domain/iam/sessions.h"

#include "base/crypto.h"
#include "base/json.h"
#include "base/text.h"
#include "domain/iam/identities.h"
#include "domain/iam/policy/eval.h"
#include "domain/iam/principal_policies.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::iam {

namespace {

constexpr std::string_view kKeyAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::size_t kTokenLimit = 8192;
constexpr std::size_t kSessionPolicyLimit = 2048;

Error invalid_token() {
  return make_error(ErrorKind::kUnauthenticated, "The security token included in the request is invalid.",
                    "InvalidToken");
}

std::string derived_key(std::string_view secret, std::string_view claims) {
  std::string mac = hmac_sha256(secret, "key:" + std::string(claims));
  return to_base64(std::string_view(mac).substr(0, 30));
}

std::string token_mac(std::string_view secret, std::string_view claims) {
  return hmac_sha256(secret, "token:" + std::string(claims));
}

std::string session_arn(const Realm& realm, std::string_view role, std::string_view session) {
  return "arn:aws:sts::" + realm.account_id + ":assumed-role/" + std::string(role) + "/" + std::string(session);
}

using SessionKeys = std::map<std::string, std::string>;

json::object keys_object(const SessionKeys& keys) {
  json::object object;
  for (const auto& [key, value] : keys) object[key] = value;
  return object;
}

SessionKeys keys_of(const json::object& claims) {
  SessionKeys keys;
  if (const json::object* object = find_object(claims, "x")) {
    for (const auto& item : *object) {
      if (item.value().is_string()) keys.emplace(item.key(), item.value().get_string());
    }
  }
  return keys;
}

RoleSession issue(std::string_view secret, const Realm& realm, const Role& role, std::string_view session_name,
                  std::int64_t now_ms, std::int64_t duration_s, std::string_view session_policy,
                  const SessionKeys& keys = {}) {
  RoleSession session;
  session.credentials.access_key_id = "ASIA" + random_text(16, kKeyAlphabet);
  session.expires_ms = now_ms + duration_s * 1000;
  json::object claims{{"k", session.credentials.access_key_id},
                      {"a", realm.account_id},
                      {"r", role.name},
                      {"i", role.id},
                      {"s", session_name},
                      {"t", now_ms},
                      {"e", session.expires_ms}};
  if (!session_policy.empty()) claims["p"] = session_policy;
  if (!keys.empty()) claims["x"] = keys_object(keys);
  std::string text = to_text(claims);
  session.credentials.secret_access_key = derived_key(secret, text);
  session.credentials.session_token = to_base64url(text) + "." + to_base64url(token_mac(secret, text));
  session.assumed_role_id = role.id + ":" + std::string(session_name);
  session.assumed_role_arn = session_arn(realm, role.name, session_name);
  return session;
}

// The role whose ARN, path included, is `arn`.
std::optional<Role> role_of_arn(store::Tx& tx, const Realm& realm, std::string_view arn) {
  auto parsed = parse_arn(arn);
  if (!parsed || parsed->service != "iam" || !parsed->resource.starts_with("role/")) return std::nullopt;
  std::string_view name = parsed->resource;
  auto role = find_role(tx, name.substr(name.rfind('/') + 1));
  if (!role || role_arn(realm, *role) != arn) return std::nullopt;
  return role;
}

Decision trust_decision(const Role& role, const PolicyPrincipal& who, const PolicyContext& context,
                        std::string_view arn) {
  std::vector<PolicyPtr> trust{compile_stored(role.trust_policy, PolicyUse::kTrust, nullptr)};
  return evaluate(trust, PolicyRequest{"sts:AssumeRole", arn, &context, &who});
}

Result<Role> role_for_service(store::Tx& tx, const Realm& realm, std::string_view arn, std::string_view session_name,
                              std::string_view service, std::string_view source_arn) {
  auto role = role_of_arn(tx, realm, arn);
  if (!role) return invalid("Role " + std::string(arn) + " does not exist.");
  PolicyContext context;
  Principal principal;
  principal.kind = PrincipalKind::kService;
  principal.account_id = realm.account_id;
  add_principal_keys(context, tx, principal);
  context.erase("aws:PrincipalArn");
  context.set("aws:SourceAccount", realm.account_id);
  if (!source_arn.empty()) context.set("aws:SourceArn", std::string(source_arn));
  context.set("sts:RoleSessionName", std::string(session_name));
  PolicyPrincipal who;
  who.service = service;
  if (trust_decision(*role, who, context, arn).verdict != Verdict::kAllow)
    return invalid("The trust policy of role " + std::string(arn) + " does not allow " + std::string(service) +
                   " to assume it.");
  return *std::move(role);
}

bool is_session_name(std::string_view name) {
  if (name.size() < 2 || name.size() > 64) return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_+=,.@-").find(c) != std::string_view::npos;
  });
}

Status check_request(const AssumeRole& wanted) {
  if (!parse_arn(wanted.role_arn))
    return make_error(ErrorKind::kInvalid, wanted.role_arn + " is invalid", "ValidationError");
  if (!is_session_name(wanted.session_name))
    return make_error(ErrorKind::kInvalid, "RoleSessionName must match [\\w+=,.@-]{2,64}", "ValidationError");
  if (wanted.duration_s < 900 || wanted.duration_s > 43200)
    return make_error(ErrorKind::kInvalid, "DurationSeconds must be between 900 and 43200.", "ValidationError");
  if (wanted.session_policy.empty()) return {};
  if (wanted.session_policy.size() > kSessionPolicyLimit)
    return make_error(ErrorKind::kInvalid, "Session policy exceeds 2048 characters.", "PackedPolicyTooLarge");
  TRY_VOID(compile_policy(wanted.session_policy, PolicyUse::kIdentity));
  return {};
}

}  // namespace

Result<RoleSession> assume_role(store::Tx& tx, const Realm& realm, const Principal& caller, const AssumeRole& wanted) {
  TRY_VOID(check_request(wanted));
  auto denied = [&] {
    std::string who = caller.arn.empty() ? "anonymous" : caller.arn;
    return make_error(ErrorKind::kAccessDenied,
                      "User: " + who + " is not authorized to perform: sts:AssumeRole on resource: " + wanted.role_arn);
  };
  if (caller.kind == PrincipalKind::kRoot)
    return make_error(ErrorKind::kAccessDenied, "Roles may not be assumed by root accounts.");
  if (caller.kind != PrincipalKind::kUser && caller.kind != PrincipalKind::kRoleSession) return denied();
  auto role = role_of_arn(tx, realm, wanted.role_arn);
  if (!role) return denied();

  PolicyContext context;
  add_principal_keys(context, tx, caller);
  context.set("sts:RoleSessionName", wanted.session_name);
  if (!wanted.external_id.empty()) context.set("sts:ExternalId", wanted.external_id);
  PolicyPrincipal who = policy_principal(realm, tx, caller);
  // Credentials outlive their role; a trust policy that names everybody means everybody who still exists.
  if (caller.kind == PrincipalKind::kRoleSession && who.role_arn.empty()) return denied();
  PolicyRequest asked{"sts:AssumeRole", wanted.role_arn, &context, &who};
  std::vector<PolicyPtr> own = identity_policies(tx, caller, nullptr);
  Decision identity = evaluate(own, asked);
  Decision trust = trust_decision(*role, who, context, wanted.role_arn);
  bool allowed = trust.verdict == Verdict::kAllow || (trust.delegated && identity.verdict == Verdict::kAllow);
  if (identity.verdict == Verdict::kExplicitDeny || trust.verdict == Verdict::kExplicitDeny || !allowed)
    return denied();
  if (!caller.session_policy.empty()) {
    std::vector<PolicyPtr> session{compile_stored(caller.session_policy, PolicyUse::kIdentity, nullptr)};
    if (evaluate(session, asked).verdict != Verdict::kAllow) return denied();
  }
  // Role chaining is limited to an hour on AWS.
  std::int64_t longest = caller.kind == PrincipalKind::kRoleSession ? 3600 : role->max_session_s;
  if (wanted.duration_s > longest)
    return make_error(ErrorKind::kInvalid,
                      "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
                      "ValidationError");
  TRY(std::string secret, session_secret(tx));
  return issue(secret, realm, *role, wanted.session_name, tx.now_ms(), wanted.duration_s, wanted.session_policy);
}

Result<sigv4::Credentials> session_for_role(store::Tx& tx, const Realm& realm, std::string_view role_arn,
                                            std::string_view session_name, std::int64_t duration_s,
                                            std::string_view service_principal, std::string_view source_arn) {
  TRY(Role role, role_for_service(tx, realm, role_arn, session_name, service_principal, source_arn));
  TRY(std::string secret, session_secret(tx));
  return issue(secret, realm, role, session_name, tx.now_ms(), duration_s, {}).credentials;
}

Result<RoleSession> issue_session(std::string_view secret, const Realm& realm, const Principal& who,
                                  std::int64_t now_ms, std::int64_t duration_s) {
  const std::size_t colon = who.user_id.find(':');
  if (colon == std::string::npos) return internal("a session needs a role and a name");
  Role role;
  role.name = who.name;
  role.id = who.user_id.substr(0, colon);
  const std::string session_name = who.user_id.substr(colon + 1);
  return issue(secret, realm, role, session_name, now_ms, duration_s, who.session_policy, who.session_keys);
}

Status check_service_role(store::Tx& tx, const Realm& realm, std::string_view role_arn,
                          std::string_view service_principal, std::string_view source_arn) {
  TRY_VOID(role_for_service(tx, realm, role_arn, "check", service_principal, source_arn));
  return {};
}

Result<std::string> session_secret(store::Tx& tx) {
  auto secret = tx.get_snapshot(store::Key(store::table::kMeta).text("session_secret"));
  if (!secret) return internal("the account has no session secret");
  return from_hex(*secret);
}

Result<KnownCredentials> verify_session(std::string_view secret, const Realm& realm, std::string_view access_key_id,
                                        std::string_view session_token, std::int64_t now_ms) {
  std::size_t dot = session_token.find('.');
  if (dot == std::string_view::npos || session_token.size() > kTokenLimit) return invalid_token();
  auto text = from_base64url(session_token.substr(0, dot));
  auto mac = from_base64url(session_token.substr(dot + 1));
  if (!text || !mac || !equal_constant_time(*mac, token_mac(secret, *text))) return invalid_token();
  auto claims = parse_json(*text);
  if (!claims || !claims->is_object()) return invalid_token();
  const json::object& object = claims->as_object();
  if (get_string(object, "k") != access_key_id || get_string(object, "a") != realm.account_id) return invalid_token();
  KnownCredentials known;
  known.expires_ms = get_int(object, "e");
  if (now_ms >= known.expires_ms)
    return make_error(ErrorKind::kUnauthenticated, "The security token included in the request is expired",
                      "ExpiredToken");
  known.secret_access_key = derived_key(secret, *text);
  Principal& principal = known.principal;
  principal.kind = PrincipalKind::kRoleSession;
  principal.account_id = realm.account_id;
  principal.name = get_string(object, "r");
  principal.arn = session_arn(realm, principal.name, get_string(object, "s"));
  principal.user_id = std::string(get_string(object, "i")) + ":" + std::string(get_string(object, "s"));
  principal.access_key_id = access_key_id;
  principal.session_policy = get_string(object, "p");
  principal.session_keys = keys_of(object);
  return known;
}

}  // namespace muster::iam
