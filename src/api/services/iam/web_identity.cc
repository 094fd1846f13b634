// SPDX-License-Identifier: Apache-2.0
#include "api/services/iam/web_identity.h"

#include "api/wire/authorization.h"
#include "api/wire/await_callback.h"
#include "base/log.h"
#include "domain/iam/oidc.h"
#include "domain/iam/vouched_sessions.h"
#include "store/transact.h"

namespace muster::api::iam_service {
namespace {

using store::Tx;
using Keys = WebIdentityKeys::Keys;

Error bad_token(std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message), "InvalidIdentityToken");
}

io::Task<Keys> issuer_keys(const WebIdentityServices& services, std::string url, Keys lacking) {
  std::function<void(std::function<void(Result<Keys>)>)> start = [&](auto done) {
    services.keys->get(url, lacking, std::move(done));
  };
  co_return co_await await_callback<Keys>(start);
}

// With the issuer's keys, and once more with newer ones when the token names a key that is not among them.
io::Task<void> verify(const WebIdentityServices& services, const jwt::Token& token, std::string url) {
  CO_TRY(Keys keys, co_await issuer_keys(services, url, nullptr));
  Status status = jwt::verify(token, *keys);
  if (!status && status.error().kind == ErrorKind::kNotFound) {
    const Keys lacking = keys;
    CO_TRY(keys, co_await issuer_keys(services, url, lacking));
    status = jwt::verify(token, *keys);
  }
  if (!status) {
    log::info("web identity token refused", {{"issuer", url}, {"why", status.error().message}});
    co_return bad_token(
        "Couldn't retrieve verification key from your identity provider, please reference "
        "AssumeRoleWithWebIdentity documentation for requirements");
  }
  co_return Status();
}

json::object answer_of(const iam::WebIdentity& identity, const iam::RoleSession& session, std::size_t packed_bytes) {
  json::object output;
  output["Credentials"] = json::object{{"AccessKeyId", session.credentials.access_key_id},
                                       {"SecretAccessKey", session.credentials.secret_access_key},
                                       {"SessionToken", session.credentials.session_token},
                                       {"Expiration", session.expires_ms}};
  output["SubjectFromWebIdentityToken"] = identity.subject;
  output["AssumedRoleUser"] =
      json::object{{"AssumedRoleId", session.assumed_role_id}, {"Arn", session.assumed_role_arn}};
  output["Provider"] = "https://" + identity.provider;
  output["Audience"] = identity.audience;
  if (packed_bytes > 0) output["PackedPolicySize"] = static_cast<std::int64_t>(packed_bytes * 100 / 2048);
  return output;
}

io::Task<Reply> assume(const WebIdentityServices& services, Call& call) {
  auto token = jwt::parse_token(get_string(call.input, "WebIdentityToken"));
  if (!token) {
    log::info("web identity token refused", {{"why", token.error().message}});
    co_return bad_token(
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)");
  }
  const std::string issuer(get_string(token->claims, "iss"));
  const std::string url = iam::oidc_url_of_issuer(issuer).value_or("");
  using Found = std::optional<iam::OidcProvider>;
  auto read = [&url](Tx& tx) -> Result<Found> { return iam::find_oidc_provider(tx, url); };
  CO_TRY(const Found provider, co_await store::transact(*services.store, read));
  if (!provider) co_return bad_token("No OpenIDConnect provider found in your account for " + issuer.substr(0, 256));
  CO_TRY_VOID(co_await verify(services, *token, url));
  CO_TRY(const iam::WebIdentity identity, iam::check_web_identity(*provider, token->claims, call.now_ms));
  iam::WebIdentitySession wanted{.role_arn = std::string(get_string(call.input, "RoleArn")),
                                 .session_name = std::string(get_string(call.input, "RoleSessionName")),
                                 .duration_s = get_int(call.input, "DurationSeconds", 3600),
                                 .session_policy = std::string(get_string(call.input, "Policy")),
                                 .policy_arns = {},
                                 .context = request_context(*call.request, services.realm, call.now_ms)};
  std::size_t packed = wanted.session_policy.size();
  if (const json::array* arns = find_array(call.input, "PolicyArns")) {
    for (const json::value& item : *arns) {
      const json::object* policy = item.if_object();
      if (policy != nullptr) packed += wanted.policy_arns.emplace_back(get_string(*policy, "arn")).size();
    }
  }
  auto begin = [&](Tx& tx) -> Result<iam::RoleSession> {
    return iam::assume_role_with_web_identity(tx, services.realm, identity, wanted);
  };
  CO_TRY(const iam::RoleSession session, co_await store::transact(*services.store, begin));
  Reply reply;
  reply.output = answer_of(identity, session, packed);
  co_return reply;
}

}  // namespace

void register_web_identity(Operations& operations, const WebIdentityServices& given) {
  auto services = std::make_shared<const WebIdentityServices>(given);
  operations.add("sts", "AssumeRoleWithWebIdentity", [services](Call& call) { return assume(*services, call); });
}

}  // namespace muster::api::iam_service
