// SPDX-License-Identifier: Apache-2.0
// OpenID Connect providers of the account: whose tokens AssumeRoleWithWebIdentity takes, for which audiences; and what
// a token's claims must say. Synchronous over Tx&, and pure. Errors carry AWS's IAM and STS codes in `reason`.
// Bounds as AWS: 100 providers, 100 client ids and 5 thumbprints each. Thumbprints are kept and given back; trust in
// an issuer's server comes from its certificate authority, as AWS does it by now. Unlike AWS, an issuer may have a
// port. Sources: IAM API reference, CreateOpenIDConnectProvider; STS API reference, AssumeRoleWithWebIdentity; IAM user
// guide, "Available keys for AWS OIDC federation".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/json.h"
#include "base/result.h"
#include "store/store.h"

namespace muster::iam {

struct OidcProvider {
  std::string url;  // without "https://": host[:port][/path]
  std::vector<std::string> client_ids;
  std::vector<std::string> thumbprints;  // hex SHA-1
  std::map<std::string, std::string> tags;
  std::int64_t created_ms = 0;
};

std::string oidc_provider_arn(const Realm& realm, std::string_view url);

// `url` of the request, with "https://". InvalidInput, EntityAlreadyExists, LimitExceeded.
Result<OidcProvider> create_oidc_provider(store::Tx& tx, const OidcProvider& wanted);
std::optional<OidcProvider> find_oidc_provider(store::Tx& tx, std::string_view url);  // without "https://"
Result<OidcProvider> get_oidc_provider(store::Tx& tx, const Realm& realm, std::string_view arn);
std::vector<OidcProvider> list_oidc_providers(store::Tx& tx);
Status delete_oidc_provider(store::Tx& tx, const Realm& realm, std::string_view arn);

// Both succeed when nothing is to be done, as on AWS.
Status add_oidc_client_id(store::Tx& tx, const Realm& realm, std::string_view arn, std::string_view client_id);
Status remove_oidc_client_id(store::Tx& tx, const Realm& realm, std::string_view arn, std::string_view client_id);
Status update_oidc_thumbprints(store::Tx& tx, const Realm& realm, std::string_view arn,
                               const std::vector<std::string>& thumbprints);
Status tag_oidc_provider(store::Tx& tx, const Realm& realm, std::string_view arn,
                         const std::map<std::string, std::string>& tags);
Status untag_oidc_provider(store::Tx& tx, const Realm& realm, std::string_view arn,
                           const std::vector<std::string>& keys);

// The issuer's part of an "iss" claim that a provider's url is compared with; nullopt unless it is "https://...".
std::optional<std::string> oidc_url_of_issuer(std::string_view issuer);

// Who a verified token is about.
struct WebIdentity {
  std::string provider;  // OidcProvider::url
  std::string subject;
  std::string audience;                        // "azp" when the token has one, else the "aud" that is a client id
  std::vector<std::string> original_audience;  // "aud"
  std::vector<std::string> methods;            // "amr"
  // The condition keys of trust and role policies: PROVIDER:aud, PROVIDER:sub, PROVIDER:oaud, PROVIDER:amr.
  std::map<std::string, std::vector<std::string>> condition_keys() const;
};

// Pure. The token's signature was verified with the issuer's keys. Clocks may differ by 5 minutes. InvalidIdentityToken
// or ExpiredTokenException. Claims that hand over session tags or a source identity are refused by name.
Result<WebIdentity> check_web_identity(const OidcProvider& provider, const json::object& claims, std::int64_t now_ms);

}  // namespace muster::iam
