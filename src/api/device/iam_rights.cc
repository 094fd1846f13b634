// SPDX-License-Identifier: Apache-2.0
#include "api/device/iam_rights.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/log.h"
#include "domain/iam/identities.h"
#include "domain/iam/policy/eval.h"
#include "domain/iam/principal_policies.h"

namespace muster::api::device {
namespace {

constexpr std::int64_t kRefreshMs = 500;
constexpr std::size_t kRefreshBatch = 64;  // credentials read again in one transaction

struct ReadRights {
  std::string refusal;  // empty: valid
  std::vector<iam::PolicyPtr> own;
  std::vector<iam::Ceiling> ceilings;  // each must allow as well
  iam::PolicyContext context;
};

std::string refusal_of(store::Tx& tx, const IamIdentity& identity) {
  const iam::Principal& principal = identity.principal;
  if (identity.expires_ms != 0 && tx.now_ms() >= identity.expires_ms) return "the session has expired";
  if (principal.kind == iam::PrincipalKind::kRoleSession) {
    const auto role = iam::find_role(tx, principal.name);
    const std::string_view id = std::string_view(principal.user_id).substr(0, principal.user_id.find(':'));
    return role && role->id == id ? "" : "the role does not exist";
  }
  const auto user = iam::find_user(tx, principal.name);
  if (principal.token_issued_ms != 0) {  // GetSessionToken: lives as long as the user
    if (principal.kind == iam::PrincipalKind::kRoot) return "";
    return user && user->id == principal.user_id ? "" : "the user does not exist";
  }
  const auto key = iam::find_access_key(tx, principal.access_key_id);
  if (!key || !key->active) return "the access key does not exist or is not active";
  if (principal.kind == iam::PrincipalKind::kRoot) return key->user.empty() ? "" : "the access key is another's";
  return user && user->id == principal.user_id && key->user == user->name ? "" : "the user does not exist";
}

ReadRights read_rights(store::Tx& tx, const IamIdentity& identity, iam::PolicyCache& cache) {
  ReadRights rights;
  rights.refusal = refusal_of(tx, identity);
  if (!rights.refusal.empty()) return rights;
  rights.own = iam::identity_policies(tx, identity.principal, &cache);
  rights.ceilings = iam::ceilings(tx, identity.principal, &cache);
  iam::add_principal_keys(rights.context, tx, identity.principal);
  return rights;
}

// Of one credential; shared by its connections.
struct Rights {
  IamIdentity identity;
  ReadRights now;
  std::uint64_t version = 1;  // of `now`
};

}  // namespace

struct IamConnections::State : std::enable_shared_from_this<IamConnections::State> {
  State(io::Loop& on, store::Store& records, Realm where, iam::PolicyCache& policies)
      : loop(on),
        store(records),
        realm(std::move(where)),
        cache(policies),
        prefix("arn:aws:iot:" + realm.region + ":" + realm.account_id + ":") {}

  void read(std::vector<std::shared_ptr<Rights>> batch, std::function<void(Status)> done);
  void arm();
  void refresh(std::vector<std::shared_ptr<Rights>> left);

  io::Loop& loop;
  store::Store& store;
  const Realm realm;
  iam::PolicyCache& cache;
  const std::string prefix;
  std::function<void(std::string)> changed;
  // By access key and session token's claims; on the loop.
  std::unordered_map<std::string, std::weak_ptr<Rights>> live;
  std::unique_ptr<io::Loop::TimerToken> timer;
  bool refreshing = false;
};

namespace {

class IamGrant final : public mqtt::ConnectionGrant {
 public:
  IamGrant(std::shared_ptr<IamConnections::State> owner, std::shared_ptr<Rights> rights, std::string client_id,
           const io::PeerInfo& peer, const std::map<std::string, std::vector<std::string>>& request)
      : owner_(std::move(owner)), rights_(std::move(rights)), client_id_(std::move(client_id)), own_keys_(request) {
    own_keys_["iot:ClientId"] = {client_id_};
    own_keys_["aws:SourceIp"] = {peer.address};
    own_keys_["aws:SecureTransport"] = {peer.tls ? "true" : "false"};
  }

  bool may_publish(std::string_view topic, bool retain) override {
    return allowed("iot:Publish", "topic/", topic) && (!retain || allowed("iot:RetainPublish", "topic/", topic));
  }
  bool may_subscribe(std::string_view filter) override {
    if (!allowed("iot:Subscribe", "topicfilter/", filter)) return false;
    if (filter.find_first_of("+#") == std::string_view::npos) return true;
    return allowed("iot:Subscribe", "topicfilter/", filter, true);
  }
  bool may_receive(std::string_view topic) override { return allowed("iot:Receive", "topic/", topic); }
  bool still_valid() override { return allowed("iot:Connect", "client/", client_id_); }
  std::string_view principal_id() const override { return rights_->identity.principal.user_id; }
  mqtt::PrincipalKind principal_kind() const override { return mqtt::PrincipalKind::kIam; }
  std::int64_t expires_ms() const override { return rights_->identity.expires_ms; }

 private:
  // `plain`: without the values that hold a wildcard of MQTT.
  bool allowed(std::string_view action, std::string_view kind, std::string_view name, bool plain = false) {
    const ReadRights& now = rights_->now;
    if (!now.refusal.empty()) return false;
    if (rights_->identity.principal.kind == iam::PrincipalKind::kRoot) return true;
    if (seen_ != rights_->version) {
      context_ = now.context;
      for (const auto& [key, values] : own_keys_) context_.set(key, values);
      seen_ = rights_->version;
    }
    resource_.assign(owner_->prefix).append(kind).append(name);
    const iam::PolicyContext kept = plain ? context_.without_any_of("+#") : iam::PolicyContext();
    const iam::PolicyRequest asked{.action = action, .resource = resource_, .context = plain ? &kept : &context_};
    if (iam::evaluate(now.own, asked).verdict != iam::Verdict::kAllow) return false;
    return std::ranges::all_of(now.ceilings, [&](const iam::Ceiling& ceiling) {
      return iam::evaluate(ceiling.policies, asked).verdict == iam::Verdict::kAllow;
    });
  }

  std::shared_ptr<IamConnections::State> owner_;
  std::shared_ptr<Rights> rights_;
  std::string client_id_;
  std::map<std::string, std::vector<std::string>> own_keys_;  // of this connection: the request's and the client id
  std::uint64_t seen_ = 0;                                    // version of the rights that context_ was made from
  iam::PolicyContext context_;
  std::string resource_;  // scratch
};

// Whether connections need not be looked at again: only the time differs.
bool same_rights(const ReadRights& a, const ReadRights& b) {
  auto timeless = [](iam::PolicyContext context) {
    for (const char* key : {"aws:CurrentTime", "aws:EpochTime"}) context.erase(key);
    return context;
  };
  return a.refusal == b.refusal && a.own == b.own && a.ceilings == b.ceilings &&
         timeless(a.context) == timeless(b.context);
}

std::string key_of(const iam::Principal& principal) {
  return principal.access_key_id + '\n' + principal.user_id + '\n' + principal.session_policy;
}

}  // namespace

// Reads the rights of a batch again; `done` on the loop, after they were replaced.
void IamConnections::State::read(std::vector<std::shared_ptr<Rights>> batch, std::function<void(Status)> done) {
  struct Item {
    IamIdentity identity;
    ReadRights found;
  };
  auto items = std::make_shared<std::vector<Item>>();
  for (const auto& rights : batch) items->push_back({rights->identity, {}});
  store::Store::Body body = [self = shared_from_this(), items](store::Tx& tx) -> Status {
    for (Item& item : *items) item.found = read_rights(tx, item.identity, self->cache);
    return {};
  };
  std::weak_ptr<State> weak = weak_from_this();
  store.run(std::move(body), [weak, owner = &loop, items, batch = std::move(batch), done](Status status) {
    if (weak.expired()) return;
    owner->post([weak, items, batch, done, status = std::move(status)] {
      const auto self = weak.lock();
      if (!self) return;
      if (!status) return done(status);
      for (std::size_t i = 0; i < batch.size(); ++i) {
        Rights& rights = *batch[i];
        ReadRights& found = (*items)[i].found;
        const bool same = same_rights(rights.now, found);
        rights.now = std::move(found);
        ++rights.version;
        if (!same && self->changed) self->changed(rights.identity.principal.user_id);
      }
      done({});
    });
  });
}

void IamConnections::State::arm() {
  if (timer || refreshing || live.empty()) return;
  timer = loop.after_ms(kRefreshMs, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    std::vector<std::shared_ptr<Rights>> all;
    std::erase_if(self->live, [&](const auto& entry) {
      auto rights = entry.second.lock();
      const bool gone = rights == nullptr;
      if (!gone) all.push_back(std::move(rights));
      return gone;
    });
    self->refreshing = true;
    self->refresh(std::move(all));
  });
}

void IamConnections::State::refresh(std::vector<std::shared_ptr<Rights>> left) {
  if (left.empty()) {
    refreshing = false;
    timer.reset();
    return arm();
  }
  std::vector<std::shared_ptr<Rights>> batch;
  while (!left.empty() && batch.size() < kRefreshBatch) {
    batch.push_back(std::move(left.back()));
    left.pop_back();
  }
  read(std::move(batch), [self = shared_from_this(), left = std::move(left)](Status status) {
    // Unknown what they may do now: they keep what they had until the store answers again.
    if (!status) log::warn("IAM permissions could not be read again, will retry", {{"why", status.error().message}});
    self->refresh(left);
  });
}

IamConnections::IamConnections(io::Loop& loop, store::Store& store, Realm realm, iam::PolicyCache& cache)
    : state_(std::make_shared<State>(loop, store, std::move(realm), cache)) {}
IamConnections::~IamConnections() = default;

void IamConnections::on_changed(std::function<void(std::string principal_id)> changed) {
  state_->changed = std::move(changed);
}

void IamConnections::connect(const mqtt::ConnectAttempt& attempt, const IamIdentity& identity,
                             std::function<void(mqtt::Authorizer::Decision)> done) {
  std::weak_ptr<Rights>& slot = state_->live[key_of(identity.principal)];
  auto rights = slot.lock();
  if (!rights) {
    rights = std::make_shared<Rights>();
    rights->identity = identity;
    rights->now.refusal = "not read yet";
    slot = rights;
  }
  // Read at each CONNECT: a permission that was just given counts.
  auto answered = [self = state_, rights, client_id = attempt.client_id, peer = *attempt.peer,
                   request = identity.context, done = std::move(done)](Status status) {
    mqtt::Authorizer::Decision decision;
    if (!status) {
      decision.reason = "the permissions could not be read: " + status.error().message;
      return done(std::move(decision));
    }
    auto grant = std::make_unique<IamGrant>(self, rights, client_id, peer, request);
    if (!rights->now.refusal.empty()) {
      decision.reason = rights->now.refusal;
    } else if (!grant->still_valid()) {
      decision.reason = "no identity-based policy allows iot:Connect for this client id";
    } else {
      decision.grant = std::move(grant);
    }
    done(std::move(decision));
  };
  state_->read({rights}, std::move(answered));
  state_->arm();
}

}  // namespace muster::api::device
