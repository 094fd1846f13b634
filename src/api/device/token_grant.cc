// SPDX-License-Identifier: Apache-2.0
#include "api/device/token_grant.h"

#include <algorithm>

#include "api/device/reserved_topics.h"
#include "api/device/token_rights.h"
#include "api/wire/message.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/text.h"

namespace muster::api::device {
namespace {

constexpr std::size_t kMaxPolicies = 10;  // that an authoriser may answer with
constexpr std::size_t kMaxParametersBytes = 8 * 1024;

// A connection's rights, which a refresh replaces. On the loop; the refresh holds it weakly, so that it ends with its
// grant.
struct TokenSession : std::enable_shared_from_this<TokenSession> {
  TokenSession(TokenDoor at, TokenQuestion asked, const TokenAnswer& answer)
      : door(std::move(at)),
        question(std::move(asked)),
        principal_id(answer.principal_id),
        rights(std::make_unique<TokenRights>(door.realm, question, answer)) {}

  void schedule(std::int64_t refresh_after_s);
  void refresh();
  void take(const TokenAnswer& answer);

  TokenDoor door;
  const TokenQuestion question;
  const std::string principal_id;
  std::unique_ptr<const TokenRights> rights;
  bool ended = false;
  std::unique_ptr<io::Loop::TimerToken> timer;
};

void TokenSession::schedule(std::int64_t refresh_after_s) {
  if (refresh_after_s <= 0) return;
  timer = door.loop.after_ms(refresh_after_s * 1000, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->refresh();
  });
}

void TokenSession::refresh() {
  door.authorizer->decide(question, [loop = &door.loop, weak = weak_from_this()](TokenAnswer answer) {
    loop->post([weak, answer = std::move(answer)] {
      if (const auto self = weak.lock()) self->take(answer);
    });
  });
}

void TokenSession::take(const TokenAnswer& answer) {
  const bool same = answer.accepted && answer.principal_id == principal_id;
  if (same && answer.policy_documents.size() <= kMaxPolicies) {
    rights = std::make_unique<TokenRights>(door.realm, question, answer);
    schedule(answer.refresh_after_s);
  } else {
    ended = true;
    log::info("custom authoriser ends a connection",
              {{"client", question.client_id},
               {"principal", principal_id},
               {"why", answer.accepted ? std::string("it names another principal") : answer.reason}});
  }
  if (door.changed) door.changed(principal_id);
}

class TokenGrant final : public mqtt::ConnectionGrant {
 public:
  TokenGrant(std::shared_ptr<TokenSession> session, const TokenAnswer& answer, std::int64_t now_ms)
      : session_(std::move(session)) {
    if (answer.disconnect_after_s > 0) expires_ms_ = now_ms + answer.disconnect_after_s * 1000;
    session_->schedule(answer.refresh_after_s);
  }

  bool may_publish(std::string_view topic, bool retain) override {
    return allowed("iot:Publish", "topic/", topic) && (!retain || allowed("iot:RetainPublish", "topic/", topic));
  }
  bool may_subscribe(std::string_view filter) override {
    return !session_->ended && is_served_filter(filter, session_->door.sys_topics) &&
           session_->rights->allows_filter(filter);
  }
  bool may_receive(std::string_view topic) override { return allowed("iot:Receive", "topic/", topic); }
  bool still_valid() override {
    const bool expired = expires_ms_ != 0 && io::SystemClock().now_ms() >= expires_ms_;
    return !expired && allowed("iot:Connect", "client/", session_->question.client_id);
  }
  std::string_view principal_id() const override { return session_->principal_id; }
  std::int64_t expires_ms() const override { return expires_ms_; }

 private:
  bool allowed(std::string_view action, std::string_view kind, std::string_view name) const {
    return !session_->ended && session_->rights->allows(action, kind, name);
  }

  std::shared_ptr<TokenSession> session_;
  std::int64_t expires_ms_ = 0;
};

mqtt::Authorizer::Decision refused(std::string reason) {
  mqtt::Authorizer::Decision decision;
  decision.reason = std::move(reason);
  decision.bad_credentials = true;
  return decision;
}

mqtt::Authorizer::Decision decision_of(const TokenDoor& door, const TokenQuestion& question,
                                       const TokenAnswer& answer) {
  if (!answer.accepted) return refused("the custom authoriser refused: " + answer.reason);
  if (answer.principal_id.empty() || answer.policy_documents.size() > kMaxPolicies) {
    return refused("the custom authoriser's answer has no principal or too many policies");
  }
  auto session = std::make_shared<TokenSession>(door, question, answer);
  auto grant = std::make_unique<TokenGrant>(std::move(session), answer, io::SystemClock().now_ms());
  if (!grant->still_valid()) return refused("no policy of the custom authoriser allows iot:Connect for this client id");
  mqtt::Authorizer::Decision decision;
  decision.grant = std::move(grant);
  return decision;
}

}  // namespace

std::shared_ptr<TokenClaim> token_claim(const std::vector<std::pair<std::string, std::string>>& parameters) {
  auto claim = std::make_shared<TokenClaim>();
  bool asked = false;
  for (const auto& [name, value] : parameters) {
    if (equals_ignore_case(name, kAuthorizerNameKey)) {
      claim->authorizer_name = value;
      asked = true;
    } else if (equals_ignore_case(name, kAuthorizerSignatureKey)) {
      claim->signature = value;
      // base64 whose '+' was not percent-encoded; a space is never part of it.
      std::ranges::replace(claim->signature, ' ', '+');
      asked = true;
    }
  }
  if (!asked) return nullptr;
  claim->parameters = parameters;
  return claim;
}

std::shared_ptr<const TokenClaim> token_claim_of_username(std::string_view username) {
  const std::size_t mark = username.find('?');
  if (mark == std::string_view::npos) return nullptr;
  const auto parameters = parse_form(username.substr(mark + 1), kMaxParametersBytes);
  return parameters ? token_claim(*parameters) : nullptr;
}

void connect_with_token(const TokenDoor& door, const mqtt::ConnectAttempt& attempt,
                        const std::shared_ptr<const TokenClaim>& claim,
                        std::function<void(mqtt::Authorizer::Decision)> done) {
  if (door.authorizer == nullptr) {
    return done(refused("no client certificate, and there is no custom authoriser to ask"));
  }
  TokenQuestion question;
  if (claim) question.claim = *claim;
  // A WebSocket that named no authoriser: CONNECT may.
  if (const auto late = token_claim_of_username(attempt.username); late && question.claim.authorizer_name.empty()) {
    question.claim.authorizer_name = late->authorizer_name;
    question.claim.signature = late->signature;
    question.claim.parameters = late->parameters;
  }
  question.client_id = attempt.client_id;
  question.username = attempt.username.substr(0, attempt.username.find('?'));
  question.password = attempt.password;
  question.source_ip = attempt.peer->address;
  question.server_name = attempt.peer->server_name;
  question.tls = attempt.peer->tls;
  question.connection_id = random_uuid();
  door.authorizer->decide(question, [door, question, done](TokenAnswer answer) {
    door.loop.post([door, question, done, answer = std::move(answer)] { done(decision_of(door, question, answer)); });
  });
}

}  // namespace muster::api::device
