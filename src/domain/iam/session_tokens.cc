// SPDX-License-Identifier: Apache-2.0
// Session token: base64url(claims) "." base64url(HMAC-SHA256(secret, "token:" claims)); claims is JSON
// {k: access key id, a: account, t: issued ms, e: expires ms, of a role: r: role, i: role id, s: session name; of a
// user (GetSessionToken): u: user, i: user id, n: ARN; of root: i: account; p: session policy, pa: session policy ARNs,
// st: session tags, tt: transitive keys, si: source identity, sk: condition keys}.
// Secret access key: base64 of the first 30 bytes of HMAC-SHA256(secret, "key:" claims).
#include "domain/iam/sessions.h"

#include "base/crypto.h"
#include "base/json.h"
#include "base/text.h"
#include "domain/iam/identity_records.h"

namespace muster::iam {

namespace {

constexpr std::string_view kKeyAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::size_t kTokenLimit = 8192;

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

void add_identity(json::object& claims, const Principal& who) {
  const std::string_view id = who.user_id;
  if (who.kind == PrincipalKind::kRoleSession) {
    const std::size_t colon = id.find(':');
    claims["r"] = who.name;
    claims["i"] = id.substr(0, colon);
    claims["s"] = id.substr(colon + 1);
    return;
  }
  if (who.kind == PrincipalKind::kUser) {
    claims["u"] = who.name;
    claims["n"] = who.arn;
  }
  claims["i"] = id;
}

void read_identity(const json::object& claims, const Realm& realm, Principal& who) {
  const std::string id(get_string(claims, "i"));
  if (has(claims, "r")) {
    const std::string session(get_string(claims, "s"));
    who.kind = PrincipalKind::kRoleSession;
    who.name = get_string(claims, "r");
    who.arn = session_arn(realm, who.name, session);
    who.user_id = id + ":" + session;
    return;
  }
  who.user_id = id;
  if (has(claims, "u")) {
    who.kind = PrincipalKind::kUser;
    who.name = get_string(claims, "u");
    who.arn = get_string(claims, "n");
    return;
  }
  who.kind = PrincipalKind::kRoot;
  who.name = "root";
  who.arn = "arn:aws:iam::" + realm.account_id + ":root";
}

}  // namespace

Result<RoleSession> issue_session(std::string_view secret, const Realm& realm, const Principal& who,
                                  std::int64_t now_ms, std::int64_t duration_s) {
  RoleSession session;
  session.credentials.access_key_id = "ASIA" + random_text(16, kKeyAlphabet);
  session.expires_ms = now_ms + duration_s * 1000;
  json::object claims{
      {"k", session.credentials.access_key_id}, {"a", realm.account_id}, {"t", now_ms}, {"e", session.expires_ms}};
  add_identity(claims, who);
  if (!who.session_policy.empty()) claims["p"] = who.session_policy;
  if (!who.session_policy_arns.empty()) claims["pa"] = to_array(who.session_policy_arns);
  if (!who.session_tags.empty()) claims["st"] = to_object(who.session_tags);
  if (!who.transitive_tags.empty()) claims["tt"] = to_array(who.transitive_tags);
  if (!who.source_identity.empty()) claims["si"] = who.source_identity;
  if (!who.session_keys.empty()) claims["sk"] = to_object(who.session_keys);
  const std::string text = to_text(claims);
  session.credentials.secret_access_key = derived_key(secret, text);
  session.credentials.session_token = to_base64url(text) + "." + to_base64url(token_mac(secret, text));
  if (session.credentials.session_token.size() > kTokenLimit)
    return make_error(ErrorKind::kInvalid, "The session policies and session tags are too large together.",
                      "PackedPolicyTooLarge");
  session.assumed_role_id = who.user_id;
  session.assumed_role_arn =
      who.kind == PrincipalKind::kRoleSession ? session_arn(realm, who.name, get_string(claims, "s")) : who.arn;
  return session;
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
  read_identity(object, realm, principal);
  principal.account_id = realm.account_id;
  principal.access_key_id = access_key_id;
  principal.session_policy = get_string(object, "p");
  principal.session_policy_arns = text_list(object, "pa");
  principal.session_tags = text_map(object, "st");
  principal.transitive_tags = text_list(object, "tt");
  principal.source_identity = get_string(object, "si");
  principal.session_keys = text_map(object, "sk");
  principal.token_issued_ms = get_int(object, "t");
  return known;
}

}  // namespace muster::iam
