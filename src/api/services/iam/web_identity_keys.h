// SPDX-License-Identifier: Apache-2.0
// WebIdentityKeys: the public keys by which an OpenID Connect issuer signs, from the issuer (its discovery document and
// the jwks_uri there, over HTTPS) or from a configured file with the key set, for sites without a way out. Owned by
// server/wiring; thread-safe; nobody is blocked. Bounds: keys are kept for an hour and, while the issuer cannot be
// reached, for a day; a key that is not among them has them fetched again, at most once a minute an issuer; after a
// failure 10 s pass; 200 issuers, 1,000 waiting calls each; documents 256 KiB, 5 s each.
// Source: OpenID Connect Discovery 1.0, section 4; STS API reference, AssumeRoleWithWebIdentity.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/jwt.h"
#include "io/env.h"
#include "io/files.h"
#include "io/http_client.h"

namespace muster::api::iam_service {

// Issuer without "https://" -> file with its JSON web key set.
using KeyFiles = std::map<std::string, std::string, std::less<>>;
// From "ISSUER=FILE" each; kInvalid names the one that is wrong.
Result<KeyFiles> parse_key_files(const std::vector<std::string>& lines);

class WebIdentityKeys {
 public:
  using Keys = std::shared_ptr<const std::vector<jwt::Key>>;
  // References outlive what is under way.
  WebIdentityKeys(io::HttpClient& client, io::BlockingPool& pool, const io::Clock& clock, KeyFiles files);
  ~WebIdentityKeys();

  // The keys of issuer `url` (without "https://"); `lacking`, or null: what an earlier call gave and where the token's
  // key was not. `done` once, on any thread. kUnavailable, reason IDPCommunicationError: the issuer could not be
  // reached. kInvalid, reason InvalidIdentityToken: what it says is no key set.
  void get(std::string url, Keys lacking, std::function<void(Result<Keys>)> done);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::api::iam_service
