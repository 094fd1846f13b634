// SPDX-License-Identifier: Apache-2.0
#include "api/device/authorizer.h"

#include <utility>

#include "api/device/authorizer_state.h"
#include "api/device/reserved_topics.h"
#include "api/device/token_grant.h"
#include "api/device/unknown_certificates.h"
#include "base/crypto.h"
#include "base/log.h"
#include "domain/security/certificates.h"
#include "store/transact.h"

namespace muster::api::device {

namespace {

constexpr int kReadings = 5;  // of what changes while it is read

// The plain listener with plain_policy "*": the operator opened it to everybody.
class OpenGrant final : public mqtt::ConnectionGrant, public KnownClient {
 public:
  OpenGrant(std::shared_ptr<DeviceAuthorizer::State> owner, std::string client, std::string source_ip)
      : owner_(std::move(owner)), client_(std::move(client)), source_ip_(std::move(source_ip)) {}
  iam::Principal caller() const override { return {}; }
  const std::string& source_ip() const override { return source_ip_; }
  bool may_publish(std::string_view, bool) override { return true; }
  bool may_subscribe(std::string_view filter) override { return owner_->served(filter, client_); }
  bool may_receive(std::string_view) override { return true; }
  bool still_valid() override { return true; }
  std::string_view principal_id() const override { return "plain:*"; }
  mqtt::PrincipalKind principal_kind() const override { return mqtt::PrincipalKind::kPlain; }

 private:
  std::shared_ptr<DeviceAuthorizer::State> owner_;
  std::string client_, source_ip_;
};

// Of connections by IAM credentials or a token, whose grants know nothing of memories.
class RememberedGrant final : public mqtt::ConnectionGrant, public KnownClient {
 public:
  RememberedGrant(std::shared_ptr<DeviceAuthorizer::State> owner, std::unique_ptr<mqtt::ConnectionGrant> grant,
                  iam::Principal who, std::string client, std::string source_ip)
      : owner_(std::move(owner)),
        grant_(std::move(grant)),
        who_(std::move(who)),
        client_(std::move(client)),
        source_ip_(std::move(source_ip)) {}
  iam::Principal caller() const override { return who_; }
  const std::string& source_ip() const override { return source_ip_; }
  bool may_publish(std::string_view topic, bool retain) override {
    return grant_->may_publish(topic, retain) || denied("iot:Publish", topic);
  }
  bool may_subscribe(std::string_view filter) override {
    return grant_->may_subscribe(filter) || denied("iot:Subscribe", filter);
  }
  bool may_receive(std::string_view topic) override { return grant_->may_receive(topic); }
  bool still_valid() override { return grant_->still_valid(); }
  std::string_view principal_id() const override { return grant_->principal_id(); }
  mqtt::PrincipalKind principal_kind() const override { return grant_->principal_kind(); }
  std::int64_t expires_ms() const override { return grant_->expires_ms(); }

 private:
  bool denied(std::string_view action, std::string_view name) {
    owner_->remember({client_, source_ip_, action, name, principal_id(), principal_kind(), &who_},
                     {"policy.none", "the policies of its credentials do not allow " + std::string(action) + " there"});
    return false;
  }

  std::shared_ptr<DeviceAuthorizer::State> owner_;
  std::unique_ptr<mqtt::ConnectionGrant> grant_;
  iam::Principal who_;
  std::string client_, source_ip_;
};

mqtt::Authorizer::Decision refused_because(std::string reason, std::string principal_id = {}) {
  mqtt::Authorizer::Decision decision;
  decision.reason = std::move(reason);
  decision.principal_id = std::move(principal_id);
  return decision;
}

}  // namespace

void DeviceAuthorizer::State::decide(const FactsRequest& request, int reading,
                                     const std::function<void(Decision)>& done) {
  const std::uint64_t then = generations.now();
  auto facts = std::make_shared<Result<DeviceFacts>>();
  store::Store::Body body = [self = shared_from_this(), request, facts](store::Tx& tx) -> Status {
    *facts = read_facts(tx, self->realm, request, self->cache);
    if (!*facts) return facts->error();
    return {};
  };
  std::weak_ptr<State> weak = weak_from_this();
  io::Loop* owner = &loop;
  store.run(std::move(body), [weak, owner, request, reading, then, facts, done](Status status) {
    if (weak.expired()) return;
    owner->post([weak, request, reading, then, facts, done, status = std::move(status)] {
      const auto self = weak.lock();
      if (!self) return;
      if (!status) return done(refused_because("the registry could not be read: " + status.error().message));
      self->judge(request, reading, then, **std::move(facts), done);
    });
  });
}

void DeviceAuthorizer::State::judge(const FactsRequest& request, int reading, std::uint64_t then, DeviceFacts found,
                                    const std::function<void(Decision)>& done) {
  const bool valid = found.valid;
  const std::string refusal = found.refusal;
  auto grant = std::make_unique<DeviceGrant>(shared_from_this(), request, std::move(found));
  // Changed while it was read: what is already known to be old decides nothing. Later changes find the grant.
  if (grant->changed_since(then) && reading < kReadings) {
    grant.reset();
    return decide(request, reading + 1, done);
  }
  if (!valid) {
    const iam::Principal who = certificate(request.certificate_id);
    const bool plain = request.certificate_id.empty();
    remember({request.client_id, request.source_ip, "iot:Connect", request.client_id, request.certificate_id,
              plain ? mqtt::PrincipalKind::kPlain : mqtt::PrincipalKind::kCertificate, plain ? nullptr : &who},
             {"certificate.refused", refusal});
    return done(refused_because(refusal));
  }
  if (!grant->still_valid()) {
    grant->remember("iot:Connect", request.client_id);
    return done(refused_because("no policy allows iot:Connect on " + prefix + "client/" + request.client_id,
                                request.certificate_id));
  }
  Decision decision;
  decision.grant = std::move(grant);
  done(std::move(decision));
}

bool DeviceAuthorizer::State::served(std::string_view filter, std::string_view client) const {
  if (is_served_filter(filter, options.sys_topics)) return true;
  log::debug("mqtt: filter of a reserved topic that is not served",
             {{"client", client}, {"filter", filter}, {"see", "docs/operating.md, reserved topics"}});
  return false;
}

iam::Principal DeviceAuthorizer::State::certificate(const std::string& id) const {
  iam::Principal principal;
  principal.kind = iam::PrincipalKind::kCertificate;
  principal.account_id = realm.account_id;
  principal.arn = security::certificate_arn(realm, id);
  principal.name = principal.user_id = id;
  return principal;
}

void DeviceAuthorizer::State::remember(const Refused& who, const Refusal& refusal) const {
  if (options.denials == nullptr) return;
  options.denials->record(who, [&] { return Findings{{refusal.code, "It was refused: " + refusal.reason + ".", {}}}; });
}

DeviceAuthorizer::DeviceAuthorizer(io::Loop& loop, store::Store& store, Realm realm, PolicyGenerations& generations,
                                   AuthorizerOptions options)
    : state_(std::make_shared<State>(loop, store, std::move(realm), generations, std::move(options))) {
  generations.on_change([weak = std::weak_ptr<State>(state_), owner = &loop](RightsKind kind, std::string_view name) {
    if (weak.expired()) return;
    owner->post([weak, kind, name = std::string(name)] {
      if (const auto self = weak.lock()) self->changed(kind, name);
    });
  });
  if (state_->options.tokens == nullptr) return;
  state_->options.tokens->on_change([weak = std::weak_ptr<State>(state_), owner = &loop](const std::string& name) {
    if (weak.expired()) return;
    owner->post([weak, name] {
      if (const auto self = weak.lock()) authorizer_changed(self->token_door(), name);
    });
  });
}

DeviceAuthorizer::~DeviceAuthorizer() = default;

void DeviceAuthorizer::on_refused(std::function<void(std::string principal_id)> refused) {
  state_->iam.on_changed(refused);
  state_->refused = std::move(refused);
}

void DeviceAuthorizer::connect(const mqtt::ConnectAttempt& attempt, std::function<void(Decision)> done) {
  // `signer`: of IAM credentials, or null.
  const auto remembering = [state = state_, client = attempt.client_id, address = attempt.peer->address, done,
                            signer =
                                std::dynamic_pointer_cast<const IamIdentity>(attempt.identity)](Decision decision) {
    if (decision.grant) {
      const auto* vouched = dynamic_cast<const VouchedGrant*>(decision.grant.get());
      iam::Principal who = signer ? signer->principal : vouched != nullptr ? vouched->vouched() : iam::Principal();
      decision.grant =
          std::make_unique<RememberedGrant>(state, std::move(decision.grant), std::move(who), client, address);
    } else if (signer) {
      state->remember({client, address, "iot:Connect", client, signer->principal.user_id, mqtt::PrincipalKind::kIam,
                       &signer->principal},
                      {"connect.refused", decision.reason});
    } else {
      state->remember({client, address, "iot:Connect", client}, {"connect.refused", decision.reason});
    }
    done(std::move(decision));
  };
  if (const auto* identity = dynamic_cast<const IamIdentity*>(attempt.identity.get())) {
    return state_->iam.connect(attempt, *identity, remembering);
  }
  const TokenDoor tokens = state_->token_door();
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
      return remembering(refused_because("the plain listener is not open to clients: no plain policy is set"));
    if (policy == "*") {
      Decision open;
      open.grant = std::make_unique<OpenGrant>(state_, attempt.client_id, attempt.peer->address);
      return done(std::move(open));
    }
    request.plain_policy = policy;
  } else {
    request.certificate_id = sha256_hex(attempt.peer->client_certificate_der);
    if (auto* unknown = state_->options.unknown) {
      done = [unknown, der = attempt.peer->client_certificate_der, address = attempt.peer->address,
              done = std::move(done)](Decision decision) {
        if (!decision.grant) unknown->refused(der, address);
        done(std::move(decision));
      };
    }
  }
  state_->decide(request, 0, done);
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
  co_return state->certificate(id);
}

io::Task<void> DeviceAuthorizer::authorize(CertificateCall call) {
  const std::shared_ptr<State> state = state_;
  FactsRequest request;
  request.certificate_id = sha256_hex(call.certificate_der);
  request.source_ip = call.source_ip;
  request.domain_name = call.server_name;
  request.thing = call.thing;
  for (const std::string& resource : call.resources) {
    // The device is the thing that it speaks about, if it is attached to it; "thing/T/S" is its shadow.
    if (const auto thing = name_in_iot_arn(state->realm, "thing", resource))
      request.thing = thing->substr(0, thing->find('/'));
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
