// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/credentials.h"

#include <mutex>
#include <unordered_map>

#include "base/json.h"
#include "domain/iam/identities.h"
#include "domain/iam/sessions.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::iam {

namespace {

constexpr std::size_t kCacheLimit = 10000;
constexpr std::size_t kAccessKeyIdLimit = 128;

Error unknown_key() {
  return make_error(ErrorKind::kUnauthenticated, "The security token included in the request is invalid.",
                    "InvalidAccessKeyId");
}
Error invalid_token() {
  return make_error(ErrorKind::kUnauthenticated, "The security token included in the request is invalid.",
                    "InvalidToken");
}
bool is_temporary(std::string_view id) {
  return id.starts_with("ASIA");
}

Result<KnownCredentials> long_term(store::Tx& tx, const Realm& realm, std::string_view id) {
  auto key = find_access_key(tx, id);
  if (!key || !key->active) return unknown_key();
  KnownCredentials known;
  known.secret_access_key = key->secret;
  Principal& principal = known.principal;
  principal.account_id = realm.account_id;
  principal.access_key_id = key->id;
  if (key->user.empty()) {
    principal.kind = PrincipalKind::kRoot;
    principal.arn = "arn:aws:iam::" + realm.account_id + ":root";
    principal.name = "root";
    principal.user_id = realm.account_id;
    return known;
  }
  auto user = find_user(tx, key->user);
  if (!user) return unknown_key();
  principal.kind = PrincipalKind::kUser;
  principal.arn = user_arn(realm, *user);
  principal.name = user->name;
  principal.user_id = user->id;
  return known;
}

}  // namespace

Result<KnownCredentials> find_credentials(store::Tx& tx, const Realm& realm, std::string_view access_key_id,
                                          std::string_view session_token, std::int64_t now_ms) {
  if (access_key_id.empty() || access_key_id.size() > kAccessKeyIdLimit) return unknown_key();
  if (!is_temporary(access_key_id)) {
    if (!session_token.empty()) return invalid_token();
    return long_term(tx, realm, access_key_id);
  }
  if (session_token.empty()) return unknown_key();
  TRY(std::string secret, session_secret(tx));
  return verify_session(secret, realm, access_key_id, session_token, now_ms);
}

struct StoreCredentials::State {
  struct Entry {
    KnownCredentials known;
    std::int64_t read_ms = 0;
  };
  store::Store& store;
  Realm realm;
  std::int64_t cache_ms;
  std::mutex mutex;
  std::unordered_map<std::string, Entry> keys;  // long-term keys only
  std::string secret;                           // of sessions; never changes
  // Last uses, and when they were last handed to the store. Bounded: all leave when it is full.
  struct Use {
    KeyUse use;
    std::int64_t written_ms = 0;
  };
  std::unordered_map<std::string, Use> uses;
  std::uint64_t changes = 0;  // forget() calls: a read that began before one is not kept

  std::optional<KnownCredentials> cached(const std::string& id, std::int64_t now_ms) {
    std::lock_guard lock(mutex);
    auto found = keys.find(id);
    if (found == keys.end()) return std::nullopt;
    std::int64_t age_ms = now_ms - found->second.read_ms;
    if (age_ms < 0 || age_ms > cache_ms) {
      keys.erase(found);
      return std::nullopt;
    }
    return found->second.known;
  }
  void keep(const std::string& id, const KnownCredentials& known, std::int64_t now_ms, std::uint64_t changes_before) {
    std::lock_guard lock(mutex);
    if (changes != changes_before) return;
    if (keys.size() >= kCacheLimit) keys.clear();
    keys.insert_or_assign(id, Entry{known, now_ms});
  }
};

StoreCredentials::StoreCredentials(store::Store& store, Realm realm, std::int64_t cache_ms)
    : state_(std::make_shared<State>(store, std::move(realm), cache_ms)) {}
StoreCredentials::~StoreCredentials() = default;

void StoreCredentials::forget(std::string_view access_key_id) {
  std::lock_guard lock(state_->mutex);
  ++state_->changes;
  state_->keys.erase(std::string(access_key_id));
}

namespace {

std::string use_key(std::string_view id) {
  return store::Key(store::table::kMeta).text("key_used").text(id).str();
}

}  // namespace

void StoreCredentials::used(std::string_view access_key_id, std::string_view service, std::int64_t now_ms) {
  if (is_temporary(access_key_id)) return;
  const std::string id(access_key_id);
  {
    std::lock_guard lock(state_->mutex);
    if (state_->uses.size() >= kCacheLimit) state_->uses.clear();
    State::Use& use = state_->uses[id];
    use.use = {now_ms, std::string(service)};
    if (use.written_ms != 0 && now_ms - use.written_ms < kKeyUseFlushMs) return;
    use.written_ms = now_ms;
  }
  // Nobody waits for it, and one that is lost costs a minute of exactness.
  store::Store::Body body = [id, service = std::string(service), now_ms](store::Tx& tx) -> Status {
    if (find_access_key(tx, id)) tx.put(use_key(id), to_text(json::object{{"at_ms", now_ms}, {"service", service}}));
    return {};
  };
  state_->store.run(std::move(body), [](Status) {});
}

std::optional<KeyUse> StoreCredentials::last_used(store::Tx& tx, std::string_view access_key_id) const {
  {
    std::lock_guard lock(state_->mutex);
    auto found = state_->uses.find(std::string(access_key_id));
    if (found != state_->uses.end()) return found->second.use;
  }
  auto text = tx.get_snapshot(use_key(access_key_id));
  auto record = text ? parse_record(*text) : Result<json::object>(not_found(""));
  if (!record) return std::nullopt;
  return KeyUse{get_int(*record, "at_ms"), std::string(get_string(*record, "service"))};
}

void StoreCredentials::lookup(std::string access_key_id, std::string session_token, std::int64_t now_ms, Done done) {
  bool temporary = is_temporary(access_key_id);
  std::uint64_t changes_before = 0;
  std::string secret;
  {
    std::lock_guard lock(state_->mutex);
    changes_before = state_->changes;
    secret = state_->secret;
  }
  if (temporary && !secret.empty() && !session_token.empty()) {
    done(verify_session(secret, state_->realm, access_key_id, session_token, now_ms));
    return;
  }
  if (!temporary && session_token.empty()) {
    if (auto known = state_->cached(access_key_id, now_ms)) {
      done(*std::move(known));
      return;
    }
  }
  struct Found {
    Result<KnownCredentials> known;
    std::string secret;
  };
  auto found = std::make_shared<Found>();
  auto state = state_;
  store::Store::Body body = [state, found, access_key_id, session_token, now_ms](store::Tx& tx) -> Status {
    if (auto session = session_secret(tx)) found->secret = *std::move(session);
    found->known = find_credentials(tx, state->realm, access_key_id, session_token, now_ms);
    return {};  // an unknown key is an answer, not a failed transaction
  };
  state_->store.run(std::move(body), [state, found, temporary, access_key_id, now_ms, changes_before,
                                      done = std::move(done)](Status status) {
    if (!status) {
      done(std::move(status).error());
      return;
    }
    if (found->known && !temporary) state->keep(access_key_id, *found->known, now_ms, changes_before);
    if (!found->secret.empty()) {
      std::lock_guard lock(state->mutex);
      state->secret = found->secret;
    }
    done(std::move(found->known));
  });
}

}  // namespace muster::iam
