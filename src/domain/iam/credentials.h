// SPDX-License-Identifier: Apache-2.0
// CredentialSource: what SigV4 verification (api/wire) asks to find the secret and the identity behind an access key.
// StoreCredentials answers from the store with a bounded cache: long-term keys live in table kAccessKey, temporary ones
// (ASIA...) are verified from their session token alone (domain/iam/sessions.h). Thread-safe.
// Errors, all kUnauthenticated; `reason` tells which: "InvalidAccessKeyId" (unknown or inactive key), "InvalidToken"
// (session token absent, forged, or sent with a long-term key), "ExpiredToken". api/wire maps them to each protocol's
// code.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "domain/iam/principal.h"
#include "store/store.h"

namespace muster::iam {

struct KnownCredentials {
  std::string secret_access_key;
  Principal principal;
  std::int64_t expires_ms = 0;  // 0: does not expire
};

inline constexpr std::int64_t kKeyUseFlushMs = 60'000;

struct KeyUse {
  std::int64_t at_ms = 0;
  std::string service;  // "iot"
};

class CredentialSource {
 public:
  virtual ~CredentialSource() = default;
  using Done = std::function<void(Result<KnownCredentials>)>;
  // Calls `done` exactly once: before it returns when the key is cached, else possibly on a thread of the store's.
  virtual void lookup(std::string access_key_id, std::string session_token, std::int64_t now_ms, Done done) = 0;
  // A request signed with this key was verified. For GetAccessKeyLastUsed; must be cheap.
  virtual void used(std::string_view /*access_key_id*/, std::string_view /*service*/, std::int64_t /*now_ms*/) {}
};

// The synchronous core, inside a transaction of the caller's: reads snapshots only, so it never conflicts.
Result<KnownCredentials> find_credentials(store::Tx& tx, const Realm& realm, std::string_view access_key_id,
                                          std::string_view session_token, std::int64_t now_ms);

class StoreCredentials final : public CredentialSource {
 public:
  // `cache_ms` bounds how long another process's change (distributed engine) can go unnoticed; changes through this
  // process call forget() after commit and take effect at once.
  StoreCredentials(store::Store& store, Realm realm, std::int64_t cache_ms = 5000);
  ~StoreCredentials() override;
  void lookup(std::string access_key_id, std::string session_token, std::int64_t now_ms, Done done) override;
  void forget(std::string_view access_key_id);
  // Long-term keys only. Kept in memory and written behind, at most once a key in kKeyUseFlushMs.
  void used(std::string_view access_key_id, std::string_view service, std::int64_t now_ms) override;
  // From memory, else as written; nullopt: never, as far as is known.
  std::optional<KeyUse> last_used(store::Tx& tx, std::string_view access_key_id) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::iam
