// SPDX-License-Identifier: Apache-2.0
#include "api/device/authorizer.h"

#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "api/device/answer_cache.h"
#include "api/device/denials.h"
#include "api/device/device_facts.h"
#include "api/device/explain_access.h"
#include "api/device/iam_rights.h"
#include "api/device/reserved_topics.h"
#include "api/device/token_grant.h"
#include "base/crypto.h"
#include "base/log.h"
#include "domain/security/certificates.h"
#include "store/transact.h"

namespace muster::api::device {

namespace {

constexpr std::size_t kReloadBatch = 64;  // connections read again in one transaction
constexpr std::int64_t kRetryMs = 200;    // the store refused

struct Refusal {
  std::string code;
  std::string reason;  // without a full stop
};

}  // namespace

class DeviceGrant;

struct DeviceAuthorizer::State : std::enable_shared_from_this<DeviceAuthorizer::State> {
  State(io::Loop& on, store::Store& records, Realm where, security::PolicyGenerations& changes,
        AuthorizerOptions chosen)
      : loop(on),
        store(records),
        realm(std::move(where)),
        generations(changes),
        options(std::move(chosen)),
        prefix("arn:aws:iot:" + realm.region + ":" + realm.account_id + ":"),
        iam(on, records, realm, cache) {}

  void decide(const FactsRequest& request, std::uint64_t generation, int attempt,
              const std::function<void(Decision)>& done);
  void changed(const std::string& certificate_id);
  // Whether there is anything to hear by a filter; says in the log why not.
  bool served(std::string_view filter, std::string_view client) const;
  void reload(std::vector<std::uint64_t> grants, std::string certificate_id);
  // A refusal that has one reason.
  void remember(const Refused& refused, const Refusal& refusal) const;

  io::Loop& loop;
  store::Store& store;
  const Realm realm;
  security::PolicyGenerations& generations;
  const AuthorizerOptions options;
  const std::string prefix;
  iam::PolicyCache cache;
  std::function<void(std::string)> reloaded;
  // On the loop.
  std::unordered_map<std::uint64_t, DeviceGrant*> grants;
  std::uint64_t last_grant = 0;
  std::unordered_set<std::string> pending;  // certificate ids with a reload under way, or asked for again
  std::unordered_set<std::string> again;
  std::string resource;  // scratch
  IamConnections iam;
};

// On the broker's loop, like everything that holds it.
class DeviceGrant final : public mqtt::ConnectionGrant {
 public:
  DeviceGrant(std::shared_ptr<DeviceAuthorizer::State> owner, FactsRequest asked, DeviceFacts found)
      : owner_(std::move(owner)),
        id_(++owner_->last_grant),
        request_(std::move(asked)),
        facts_(std::move(found)),
        principal_(request_.certificate_id.empty() ? "plain:" + request_.plain_policy : request_.certificate_id) {
    owner_->grants.emplace(id_, this);
  }
  ~DeviceGrant() override { owner_->grants.erase(id_); }

  bool may_publish(std::string_view topic, bool retain) override {
    AnswerCache& known = retain ? known_retain_ : known_publish_;
    const bool may = known.answer(topic, [&] {
      return allowed("iot:Publish", "topic/", topic) && (!retain || allowed("iot:RetainPublish", "topic/", topic));
    });
    if (!may) remember(retain && allowed("iot:Publish", "topic/", topic) ? "iot:RetainPublish" : "iot:Publish", topic);
    return may;
  }
  bool may_subscribe(std::string_view filter) override {
    const bool may = filter_allowed(filter);
    if (!may) remember("iot:Subscribe", filter);
    return may;
  }
  // Asked for every message: only the first refusal of a topic is worth a memory.
  bool may_receive(std::string_view topic) override {
    return known_receive_.answer(topic, [&] {
      const bool may = allowed("iot:Receive", "topic/", topic);
      if (!may) remember("iot:Receive", topic);
      return may;
    });
  }
  bool still_valid() override { return facts_.valid && allowed("iot:Connect", "client/", request_.client_id); }
  std::string_view principal_id() const override { return principal_; }

  void replace(DeviceFacts facts) {
    facts_ = std::move(facts);
    known_publish_.forget();
    known_retain_.forget();
    known_receive_.forget();
  }
  const FactsRequest& request() const { return request_; }
  void remember(std::string_view action, std::string_view name) {
    if (owner_->options.denials == nullptr) return;
    owner_->options.denials->record({request_.client_id, request_.source_ip, action, name, principal_}, [&] {
      const AccessQuestion question{action, name, {request_.client_id}, owner_->options.sys_topics};
      return explain_access(owner_->realm, facts_, question);
    });
  }

 private:
  bool filter_allowed(std::string_view filter) {
    if (!owner_->served(filter, request_.client_id)) return false;
    if (!allowed("iot:Subscribe", "topicfilter/", filter)) return false;
    // "topicfilter/${iot:ClientId}" must not let a client named '#' see everything: a wildcard of the filter has to
    // stand in the policy itself.
    return filter.find_first_of("+#") == std::string_view::npos ||
           allows(facts_, "iot:Subscribe", owner_->resource, facts_.context.without_any_of("+#"));
  }
  bool allowed(std::string_view action, std::string_view kind, std::string_view name) {
    std::string& resource = owner_->resource;
    resource.assign(owner_->prefix).append(kind).append(name);
    return allows(facts_, action, resource);
  }

  std::shared_ptr<DeviceAuthorizer::State> owner_;
  std::uint64_t id_;
  FactsRequest request_;
  DeviceFacts facts_;
  std::string principal_;
  AnswerCache known_publish_, known_retain_, known_receive_;
};

namespace {

// The plain listener with plain_policy "*": the operator opened it to everybody.
class OpenGrant final : public mqtt::ConnectionGrant {
 public:
  OpenGrant(std::shared_ptr<DeviceAuthorizer::State> owner, std::string client)
      : owner_(std::move(owner)), client_(std::move(client)) {}
  bool may_publish(std::string_view, bool) override { return true; }
  bool may_subscribe(std::string_view filter) override { return owner_->served(filter, client_); }
  bool may_receive(std::string_view) override { return true; }
  bool still_valid() override { return true; }
  std::string_view principal_id() const override { return "plain:*"; }

 private:
  std::shared_ptr<DeviceAuthorizer::State> owner_;
  std::string client_;
};

// Of connections by IAM credentials or a token, whose grants know nothing of memories.
class RememberedGrant final : public mqtt::ConnectionGrant {
 public:
  RememberedGrant(std::shared_ptr<DeviceAuthorizer::State> owner, std::unique_ptr<mqtt::ConnectionGrant> grant,
                  std::string client, std::string source_ip)
      : owner_(std::move(owner)),
        grant_(std::move(grant)),
        client_(std::move(client)),
        source_ip_(std::move(source_ip)) {}
  bool may_publish(std::string_view topic, bool retain) override {
    return grant_->may_publish(topic, retain) || denied("iot:Publish", topic);
  }
  bool may_subscribe(std::string_view filter) override {
    return grant_->may_subscribe(filter) || denied("iot:Subscribe", filter);
  }
  bool may_receive(std::string_view topic) override { return grant_->may_receive(topic); }
  bool still_valid() override { return grant_->still_valid(); }
  std::string_view principal_id() const override { return grant_->principal_id(); }
  std::int64_t expires_ms() const override { return grant_->expires_ms(); }

 private:
  bool denied(std::string_view action, std::string_view name) {
    owner_->remember({client_, source_ip_, action, name, grant_->principal_id()},
                     {"policy.none", "the policies of its credentials do not allow " + std::string(action) + " there"});
    return false;
  }

  std::shared_ptr<DeviceAuthorizer::State> owner_;
  std::unique_ptr<mqtt::ConnectionGrant> grant_;
  std::string client_, source_ip_;
};

mqtt::Authorizer::Decision refused(std::string reason, std::string principal_id = {}) {
  mqtt::Authorizer::Decision decision;
  decision.reason = std::move(reason);
  decision.principal_id = std::move(principal_id);
  return decision;
}

}  // namespace

void DeviceAuthorizer::State::decide(const FactsRequest& request, std::uint64_t generation, int attempt,
                                     const std::function<void(Decision)>& done) {
  auto facts = std::make_shared<Result<DeviceFacts>>();
  store::Store::Body body = [self = shared_from_this(), request, facts](store::Tx& tx) -> Status {
    *facts = read_facts(tx, self->realm, request, self->cache);
    if (!*facts) return facts->error();
    return {};
  };
  std::weak_ptr<State> weak = weak_from_this();
  io::Loop* owner = &loop;
  store.run(std::move(body), [weak, owner, request, generation, attempt, facts, done](Status status) {
    if (weak.expired()) return;
    owner->post([weak, request, generation, attempt, facts, done, status = std::move(status)] {
      const auto self = weak.lock();
      if (!self) return;
      if (!status) return done(refused("the registry could not be read: " + status.error().message));
      const std::uint64_t now = self->generations.generation(request.certificate_id);
      // Changed while it was read: what is already known to be old decides nothing.
      if (now != generation && attempt < 5) return self->decide(request, now, attempt + 1, done);
      DeviceFacts& found = **facts;
      if (!found.valid) {
        self->remember({request.client_id, request.source_ip, "iot:Connect", request.client_id, request.certificate_id},
                       {"certificate.refused", found.refusal});
        return done(refused(found.refusal));
      }
      Decision decision;
      auto grant = std::make_unique<DeviceGrant>(self, request, std::move(found));
      if (!grant->still_valid()) {
        grant->remember("iot:Connect", request.client_id);
        return done(refused("no policy allows iot:Connect on " + self->prefix + "client/" + request.client_id,
                            request.certificate_id));
      }
      decision.grant = std::move(grant);
      done(std::move(decision));
    });
  });
}

bool DeviceAuthorizer::State::served(std::string_view filter, std::string_view client) const {
  if (is_served_filter(filter, options.sys_topics)) return true;
  log::debug("mqtt: filter of a reserved topic that is not served",
             {{"client", client}, {"filter", filter}, {"see", "docs/operating.md, reserved topics"}});
  return false;
}

void DeviceAuthorizer::State::remember(const Refused& refused, const Refusal& refusal) const {
  if (options.denials == nullptr) return;
  options.denials->record(refused, [&] {
    return Findings{{refusal.code, "It was refused: " + refusal.reason + ".", {}}};
  });
}

void DeviceAuthorizer::State::changed(const std::string& certificate_id) {
  if (pending.contains(certificate_id)) {
    again.insert(certificate_id);
    return;
  }
  std::vector<std::uint64_t> concerned;
  for (const auto& [id, grant] : grants) {
    if (certificate_id.empty() || grant->request().certificate_id == certificate_id) concerned.push_back(id);
  }
  if (concerned.empty()) return;
  pending.insert(certificate_id);
  reload(std::move(concerned), certificate_id);
}

void DeviceAuthorizer::State::reload(std::vector<std::uint64_t> concerned, std::string certificate_id) {
  struct Item {
    std::uint64_t id = 0;
    FactsRequest request;
    DeviceFacts facts;
  };
  auto batch = std::make_shared<std::vector<Item>>();
  while (!concerned.empty() && batch->size() < kReloadBatch) {
    const auto at = grants.find(concerned.back());
    if (at != grants.end()) batch->push_back({at->first, at->second->request(), {}});
    concerned.pop_back();
  }
  store::Store::Body body = [self = shared_from_this(), batch](store::Tx& tx) -> Status {
    for (Item& item : *batch) {
      TRY(item.facts, read_facts(tx, self->realm, item.request, self->cache));
    }
    return {};
  };
  std::weak_ptr<State> weak = weak_from_this();
  io::Loop* owner = &loop;
  store.run(std::move(body), [weak, owner, batch, concerned = std::move(concerned),
                              certificate_id = std::move(certificate_id)](Status status) {
    if (weak.expired()) return;
    owner->post([weak, batch, concerned, certificate_id, ok = status.has_value()] {
      const auto self = weak.lock();
      if (!self) return;
      std::vector<std::uint64_t> rest = concerned;
      for (Item& item : *batch) {
        const auto at = self->grants.find(item.id);
        if (at == self->grants.end()) continue;
        if (ok) {
          at->second->replace(std::move(item.facts));
        } else {
          rest.push_back(item.id);
        }
      }
      if (!rest.empty()) {
        if (ok) return self->reload(std::move(rest), certificate_id);
        // Unknown what they may do now: they keep what they had until the store answers again.
        log::warn("device permissions could not be read again, will retry", {{"connections", rest.size()}});
        auto timer = std::make_shared<std::unique_ptr<io::Loop::TimerToken>>();
        *timer = self->loop.after_ms(kRetryMs, [weak, rest, certificate_id, timer] {
          if (const auto alive = weak.lock()) alive->reload(rest, certificate_id);
        });
        return;
      }
      self->pending.erase(certificate_id);
      if (self->again.erase(certificate_id) > 0) self->changed(certificate_id);
      if (self->reloaded) self->reloaded(certificate_id);
    });
  });
}

DeviceAuthorizer::DeviceAuthorizer(io::Loop& loop, store::Store& store, Realm realm,
                                   security::PolicyGenerations& generations, AuthorizerOptions options)
    : state_(std::make_shared<State>(loop, store, std::move(realm), generations, std::move(options))) {
  generations.on_change([weak = std::weak_ptr<State>(state_), owner = &loop](std::string_view certificate_id) {
    if (weak.expired()) return;
    owner->post([weak, id = std::string(certificate_id)] {
      if (const auto self = weak.lock()) self->changed(id);
    });
  });
}

DeviceAuthorizer::~DeviceAuthorizer() = default;

void DeviceAuthorizer::on_reloaded(std::function<void(std::string certificate_id)> reloaded) {
  state_->iam.on_changed(reloaded);
  state_->reloaded = std::move(reloaded);
}

void DeviceAuthorizer::connect(const mqtt::ConnectAttempt& attempt, std::function<void(Decision)> done) {
  const auto remembering = [state = state_, client = attempt.client_id, address = attempt.peer->address,
                            done](Decision decision) {
    if (decision.grant) {
      decision.grant = std::make_unique<RememberedGrant>(state, std::move(decision.grant), client, address);
    } else {
      state->remember({client, address, "iot:Connect", client, decision.principal_id},
                      {"connect.refused", decision.reason});
    }
    done(std::move(decision));
  };
  if (const auto* identity = dynamic_cast<const IamIdentity*>(attempt.identity.get())) {
    return state_->iam.connect(attempt, *identity, remembering);
  }
  const TokenDoor tokens{state_->loop, state_->realm, state_->options.tokens};
  auto claim = std::dynamic_pointer_cast<const TokenClaim>(attempt.identity);
  // The plain listener's clients are judged by its policy alone, unless they came with a token.
  const bool bare_tls = attempt.peer->tls && attempt.peer->client_certificate_der.empty();
  if (!claim && bare_tls) claim = token_claim_of_username(attempt.username);
  if (claim || bare_tls) return connect_with_token(tokens, attempt, claim, remembering);
  FactsRequest request;
  request.client_id = attempt.client_id;
  request.thing = attempt.client_id;
  if (attempt.has_will) request.will_topic = attempt.will_topic;
  request.source_ip = attempt.peer->address;
  request.domain_name = attempt.peer->server_name;
  if (attempt.peer->client_certificate_der.empty()) {
    const std::string& policy = state_->options.plain_policy;
    if (policy.empty())
      return remembering(refused("the plain listener is not open to clients: no plain policy is set"));
    if (policy == "*") {
      Decision open;
      open.grant = std::make_unique<OpenGrant>(state_, attempt.client_id);
      return done(std::move(open));
    }
    request.plain_policy = policy;
  } else {
    request.certificate_id = sha256_hex(attempt.peer->client_certificate_der);
  }
  const std::uint64_t generation = state_->generations.generation(request.certificate_id);
  state_->decide(request, generation, 0, done);
}

io::Task<iam::Principal> DeviceAuthorizer::identify(std::string certificate_der) {
  const std::shared_ptr<State> state = state_;
  const std::string id = sha256_hex(certificate_der);
  FactsRequest request;
  request.certificate_id = id;
  auto body = [state, request](store::Tx& tx) -> Result<DeviceFacts> {
    return read_facts(tx, state->realm, request, state->cache);
  };
  CO_TRY(const DeviceFacts facts, co_await store::transact(state->store, body));
  if (!facts.valid) {
    log::debug("device certificate refused", {{"certificate", id}, {"why", facts.refusal}});
    co_return make_error(ErrorKind::kUnauthenticated, "The client certificate is not registered or not active.",
                         "UnauthorizedException");
  }
  iam::Principal principal;
  principal.kind = iam::PrincipalKind::kCertificate;
  principal.account_id = state->realm.account_id;
  principal.arn = security::certificate_arn(state->realm, id);
  principal.name = id;
  principal.user_id = id;
  co_return principal;
}

io::Task<void> DeviceAuthorizer::authorize(CertificateCall call) {
  const std::shared_ptr<State> state = state_;
  FactsRequest request;
  request.certificate_id = sha256_hex(call.certificate_der);
  request.source_ip = call.source_ip;
  for (const std::string& resource : call.resources) {
    // The device is the thing that it speaks about, if it is attached to it.
    if (auto thing = name_in_iot_arn(state->realm, "thing", resource)) request.thing = *std::move(thing);
  }
  auto body = [state, request](store::Tx& tx) -> Result<DeviceFacts> {
    return read_facts(tx, state->realm, request, state->cache);
  };
  CO_TRY(const DeviceFacts facts, co_await store::transact(state->store, body));
  if (!facts.valid) {
    co_return make_error(ErrorKind::kUnauthenticated, "The client certificate is not registered or not active.",
                         "UnauthorizedException");
  }
  bool allowed = !call.resources.empty();
  for (const std::string& resource : call.resources) allowed = allowed && allows(facts, call.action, resource);
  if (!allowed) {
    log::info("device call without permission",
              {{"certificate", request.certificate_id},
               {"peer", call.source_ip},
               {"action", call.action},
               {"resource", call.resources.empty() ? std::string() : call.resources.front()},
               {"request", call.request_id}});
    co_return make_error(ErrorKind::kAccessDenied, "Forbidden", "ForbiddenException");
  }
  co_return Status{};
}

}  // namespace muster::api::device
