// SPDX-License-Identifier: Apache-2.0
// kOidcProvider: url -> {clients [], thumbprints [], tags {}, created_ms}
#include "domain/iam/oidc.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "domain/iam/identity_records.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::iam {
namespace {

constexpr std::string_view kScheme = "https://";
constexpr std::size_t kMaxProviders = 100, kMaxClients = 100, kMaxThumbprints = 5;
constexpr std::size_t kMaxUrlBytes = 255, kMaxSubjectBytes = 255, kMaxListed = 100;
constexpr std::int64_t kSkewMs = 5 * 60 * 1000;

std::string provider_key(std::string_view url) {
  return store::Key(store::table::kOidcProvider).text(url).str();
}

Error invalid_input(std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message), "InvalidInput");
}

Error bad_token(std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message), "InvalidIdentityToken");
}

json::array strings(const std::vector<std::string>& items) {
  json::array out;
  for (const std::string& item : items) out.emplace_back(item);
  return out;
}

std::vector<std::string> strings(const json::object& record, std::string_view member) {
  std::vector<std::string> out;
  if (const json::array* list = find_array(record, member)) {
    for (const json::value& item : *list) {
      if (item.is_string()) out.emplace_back(item.get_string());
    }
  }
  return out;
}

void put(store::Tx& tx, const OidcProvider& provider) {
  tx.put(provider_key(provider.url), to_text(json::object{{"clients", strings(provider.client_ids)},
                                                          {"thumbprints", strings(provider.thumbprints)},
                                                          {"tags", to_object(provider.tags)},
                                                          {"created_ms", provider.created_ms}}));
}

std::optional<OidcProvider> read(std::string_view url, std::string_view text) {
  const auto record = parse_record(text);
  if (!record) return std::nullopt;  // unreadable: trusts nobody
  OidcProvider provider;
  provider.url = url;
  provider.client_ids = strings(*record, "clients");
  provider.thumbprints = strings(*record, "thumbprints");
  provider.tags = text_map(*record, "tags");
  provider.created_ms = get_int(*record, "created_ms");
  return provider;
}

bool is_provider_url(std::string_view url) {
  const bool plain = std::ranges::all_of(url, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~:/%").find(c) != std::string_view::npos;
  });
  const std::string_view host = url.substr(0, url.find('/'));
  return plain && !host.empty() && host.front() != ':' && host.find('%') == std::string_view::npos &&
         url.size() + kScheme.size() <= kMaxUrlBytes;
}

Status check_clients(const std::vector<std::string>& clients) {
  if (clients.size() > kMaxClients)
    return limit_exceeded("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100");
  for (const std::string& client : clients) {
    if (client.empty() || client.size() > 255) return invalid_input("Client ID must be between 1 and 255 characters");
  }
  return {};
}

Status check_thumbprints(const std::vector<std::string>& thumbprints) {
  if (thumbprints.size() > kMaxThumbprints) return invalid_input("Thumbprint list must contain fewer than 5 entries.");
  for (const std::string& thumbprint : thumbprints) {
    if (thumbprint.size() != 40 || !from_hex(thumbprint)) return invalid_input("Invalid thumbprint: not 40 hex digits");
  }
  return {};
}

// Changes one provider.
template <class F>
Status change(store::Tx& tx, const Realm& realm, std::string_view arn, F&& body) {
  TRY(OidcProvider provider, get_oidc_provider(tx, realm, arn));
  TRY_VOID(body(provider));
  put(tx, provider);
  return {};
}

// A NumericDate in milliseconds. RFC 7519 section 2: it may have a fraction.
std::optional<std::int64_t> time_claim(const json::object& claims, std::string_view name) {
  const json::value* value = claims.if_contains(name);
  if (value == nullptr) return std::nullopt;
  double seconds = -1;
  if (value->is_int64()) seconds = static_cast<double>(value->get_int64());
  if (value->is_double()) seconds = value->get_double();
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e12) return std::nullopt;
  return static_cast<std::int64_t>(seconds * 1000);
}

// A string or a list of strings, at most 100.
std::optional<std::vector<std::string>> text_claim(const json::object& claims, std::string_view name) {
  const json::value* value = claims.if_contains(name);
  std::vector<std::string> out;
  if (value == nullptr) return out;
  if (value->is_string()) return std::vector<std::string>{std::string(value->get_string())};
  if (!value->is_array() || value->get_array().size() > kMaxListed) return std::nullopt;
  for (const json::value& item : value->get_array()) {
    if (!item.is_string()) return std::nullopt;
    out.emplace_back(item.get_string());
  }
  return out;
}

Status check_times(const json::object& claims, std::int64_t now_ms) {
  const auto expires = time_claim(claims, "exp"), issued = time_claim(claims, "iat");
  if (!expires) return bad_token("Missing a required claim: exp");
  if (!issued) return bad_token("Missing a required claim: iat");
  if (now_ms >= *expires + kSkewMs) {
    return make_error(ErrorKind::kInvalid,
                      "Token expired: current date/time " + std::to_string(now_ms / 1000) +
                          " must be before the expiration date/time " + std::to_string(*expires / 1000),
                      "ExpiredTokenException");
  }
  if (*issued > now_ms + kSkewMs) return bad_token("Token was issued in the future");
  if (claims.contains("nbf")) {
    const auto not_before = time_claim(claims, "nbf");
    if (!not_before || *not_before > now_ms + kSkewMs) return bad_token("Token is not valid yet");
  }
  return {};
}

Status refuse_session_claims(const json::object& claims) {
  for (const char* name : {"https://aws.amazon.com/tags", "https://aws.amazon.com/source_identity"}) {
    if (claims.contains(name)) return bad_token(std::string("The claim ") + name + " is not served");
  }
  return {};
}

// "azp", when there is one, is what the audience is; "aud" then may be anything.
Result<std::string> audience_of(const OidcProvider& provider, const json::object& claims,
                                const std::vector<std::string>& audiences) {
  const auto known = [&](const std::string& id) {
    return std::ranges::find(provider.client_ids, id) != provider.client_ids.end();
  };
  if (const json::value* party = claims.if_contains("azp")) {
    const std::string id = party->is_string() ? std::string(party->get_string()) : std::string();
    if (!known(id)) return bad_token("Incorrect token audience");
    return id;
  }
  const auto at = std::ranges::find_if(audiences, known);
  if (at == audiences.end()) return bad_token("Incorrect token audience");
  return *at;
}

}  // namespace

std::string oidc_provider_arn(const Realm& realm, std::string_view url) {
  return iam_arn(realm, "oidc-provider", url);
}

Result<OidcProvider> create_oidc_provider(store::Tx& tx, const OidcProvider& wanted) {
  OidcProvider provider = wanted;
  const auto url = oidc_url_of_issuer(wanted.url);
  if (!url || !is_provider_url(*url)) return invalid_input("Invalid Open ID Connect Provider URL");
  provider.url = *url;
  TRY_VOID(check_clients(provider.client_ids));
  TRY_VOID(check_thumbprints(provider.thumbprints));
  TRY_VOID(check_tags(provider.tags));
  if (tx.get(provider_key(provider.url))) {
    return entity_exists("Provider with url https://" + provider.url + " already exists.");
  }
  if (list_oidc_providers(tx).size() >= kMaxProviders) {
    return limit_exceeded("Cannot exceed quota for OpenIdConnectProvidersPerAccount: 100");
  }
  provider.created_ms = tx.now_ms();
  put(tx, provider);
  return provider;
}

std::optional<OidcProvider> find_oidc_provider(store::Tx& tx, std::string_view url) {
  const auto text = tx.get(provider_key(url));
  return text ? read(url, *text) : std::nullopt;
}

Result<OidcProvider> get_oidc_provider(store::Tx& tx, const Realm& realm, std::string_view arn) {
  const std::string prefix = oidc_provider_arn(realm, "");
  std::optional<OidcProvider> provider;
  if (arn.starts_with(prefix)) provider = find_oidc_provider(tx, arn.substr(prefix.size()));
  if (!provider) return no_such_entity("OpenIDConnect Provider not found for arn " + std::string(arn));
  return *std::move(provider);
}

std::vector<OidcProvider> list_oidc_providers(store::Tx& tx) {
  std::vector<OidcProvider> out;
  const std::string begin(1, store::table::kOidcProvider);
  for (const store::KeyValue& item : tx.range({.begin = begin, .end = store::after_prefix(begin)})) {
    const auto url = store::KeyReader(item.key).text();
    auto provider = url ? read(*url, item.value) : std::nullopt;
    if (provider) out.push_back(*std::move(provider));
  }
  return out;
}

Status delete_oidc_provider(store::Tx& tx, const Realm& realm, std::string_view arn) {
  TRY(const OidcProvider provider, get_oidc_provider(tx, realm, arn));
  tx.erase(provider_key(provider.url));
  return {};
}

Status add_oidc_client_id(store::Tx& tx, const Realm& realm, std::string_view arn, std::string_view client_id) {
  return change(tx, realm, arn, [&](OidcProvider& provider) -> Status {
    const auto& known = provider.client_ids;
    if (std::ranges::find(known, client_id) == known.end()) provider.client_ids.emplace_back(client_id);
    return check_clients(provider.client_ids);
  });
}

Status remove_oidc_client_id(store::Tx& tx, const Realm& realm, std::string_view arn, std::string_view client_id) {
  return change(tx, realm, arn, [&](OidcProvider& provider) -> Status {
    std::erase(provider.client_ids, client_id);
    return {};
  });
}

Status update_oidc_thumbprints(store::Tx& tx, const Realm& realm, std::string_view arn,
                               const std::vector<std::string>& thumbprints) {
  return change(tx, realm, arn, [&](OidcProvider& provider) -> Status {
    provider.thumbprints = thumbprints;
    return check_thumbprints(thumbprints);
  });
}

Status tag_oidc_provider(store::Tx& tx, const Realm& realm, std::string_view arn,
                         const std::map<std::string, std::string>& tags) {
  return change(tx, realm, arn, [&](OidcProvider& provider) -> Status {
    for (const auto& [key, value] : tags) provider.tags[key] = value;
    return check_tags(provider.tags);
  });
}

Status untag_oidc_provider(store::Tx& tx, const Realm& realm, std::string_view arn,
                           const std::vector<std::string>& keys) {
  return change(tx, realm, arn, [&](OidcProvider& provider) -> Status {
    for (const std::string& key : keys) provider.tags.erase(key);
    return {};
  });
}

std::optional<std::string> oidc_url_of_issuer(std::string_view issuer) {
  if (!issuer.starts_with(kScheme)) return std::nullopt;
  return std::string(issuer.substr(kScheme.size()));
}

std::map<std::string, std::vector<std::string>> WebIdentity::condition_keys() const {
  std::map<std::string, std::vector<std::string>> keys{
      {provider + ":sub", {subject}}, {provider + ":aud", {audience}}, {provider + ":oaud", original_audience}};
  if (!methods.empty()) keys[provider + ":amr"] = methods;
  return keys;
}

Result<WebIdentity> check_web_identity(const OidcProvider& provider, const json::object& claims, std::int64_t now_ms) {
  WebIdentity identity;
  identity.provider = provider.url;
  if (get_string(claims, "iss") != std::string(kScheme) + provider.url) return bad_token("Incorrect token issuer");
  identity.subject = get_string(claims, "sub");
  if (identity.subject.empty()) return bad_token("Missing a required claim: sub");
  if (identity.subject.size() > kMaxSubjectBytes) return bad_token("The subject is longer than 255 characters");
  auto audiences = text_claim(claims, "aud");
  if (!audiences || audiences->empty()) return bad_token("Missing a required claim: aud");
  identity.original_audience = *std::move(audiences);
  TRY(identity.audience, audience_of(provider, claims, identity.original_audience));
  auto methods = text_claim(claims, "amr");
  if (!methods) return bad_token("The claim amr is not a list of strings");
  identity.methods = *std::move(methods);
  TRY_VOID(check_times(claims, now_ms));
  TRY_VOID(refuse_session_claims(claims));
  return identity;
}

}  // namespace muster::iam
