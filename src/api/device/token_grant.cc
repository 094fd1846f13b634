// SPDX-License-Identifier: Apache-2.0
#include "api/device/token_grant.h"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <unordered_set>

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
constexpr std::size_t kAtOnce = 32;  // connections asked about at a time after a change of their authoriser
constexpr int kReadings = 5;         // of a decision while authorisers change

}  // namespace

// A connection's rights, which a refresh replaces. On the loop; the refresh holds it weakly, so that it ends with its
// grant.
struct TokenSession : std::enable_shared_from_this<TokenSession> {
  TokenSession(TokenDoor at, TokenQuestion asked, const TokenAnswer& answer);
  ~TokenSession();

  void schedule(std::int64_t refresh_after_s);
  // `answered` on the loop, whether it is still there or not.
  void ask_again(std::function<void()> answered);
  void take(const TokenAnswer& answer);
  bool may_stay() const { return !ended && rights->allows("iot:Connect", "client/", question.client_id); }

  TokenDoor door;
  TokenQuestion question;  // names the authoriser that answered
  const iam::Principal principal;
  std::unique_ptr<const TokenRights> rights;
  bool ended = false;
  std::uint64_t asked = 0;  // the last question; answers to earlier ones are out of date
  std::unique_ptr<io::Loop::TimerToken> timer;
};

struct TokenSessions {
  std::unordered_map<std::string, std::unordered_set<TokenSession*>> of;  // by authoriser
  std::uint64_t changes = 0;                                              // of any authoriser
  std::deque<std::weak_ptr<TokenSession>> waiting;                        // to be asked about again
  std::size_t running = 0;

  static void go_on(const std::shared_ptr<TokenSessions>& self);
};

std::shared_ptr<TokenSessions> make_token_sessions() {
  return std::make_shared<TokenSessions>();
}

void TokenSessions::go_on(const std::shared_ptr<TokenSessions>& self) {
  while (self->running < kAtOnce && !self->waiting.empty()) {
    const auto session = self->waiting.front().lock();
    self->waiting.pop_front();
    if (!session || session->ended) continue;
    ++self->running;
    session->ask_again([self] {
      --self->running;
      go_on(self);
    });
  }
}

TokenSession::TokenSession(TokenDoor at, TokenQuestion put, const TokenAnswer& answer)
    : door(std::move(at)),
      question(std::move(put)),
      principal(token_principal(door.realm, answer)),
      rights(std::make_unique<TokenRights>(door.realm, question, answer)) {
  question.claim.authorizer_name = answer.authorizer_name;
  if (door.sessions) door.sessions->of[answer.authorizer_name].insert(this);
}

TokenSession::~TokenSession() {
  if (!door.sessions) return;
  const auto at = door.sessions->of.find(question.claim.authorizer_name);
  at->second.erase(this);
  if (at->second.empty()) door.sessions->of.erase(at);
}

void TokenSession::schedule(std::int64_t refresh_after_s) {
  if (refresh_after_s <= 0) return;
  timer = door.loop.after_ms(refresh_after_s * 1000, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->ask_again([] {});
  });
}

void TokenSession::ask_again(std::function<void()> answered) {
  const std::uint64_t number = ++asked;
  door.authorizer->decide(question, [loop = &door.loop, weak = weak_from_this(), number,
                                     answered = std::move(answered)](TokenAnswer answer) {
    loop->post([weak, number, answered, answer = std::move(answer)] {
      const auto self = weak.lock();
      if (self && !self->ended && self->asked == number) self->take(answer);
      answered();
    });
  });
}

void TokenSession::take(const TokenAnswer& answer) {
  const bool same = answer.accepted && answer.principal_id == principal.name;
  if (same && answer.policy_documents.size() <= kMaxPolicies) {
    rights = std::make_unique<TokenRights>(door.realm, question, answer);
    timer.reset();
    schedule(answer.refresh_after_s);
  } else {
    ended = true;
    log::info("custom authoriser ends a connection",
              {{"client", question.client_id},
               {"principal", principal.name},
               {"why", answer.accepted ? std::string("it names another principal") : answer.reason}});
  }
  if (!may_stay() && door.changed) door.changed(principal.name);
}

void authorizer_changed(const TokenDoor& door, const std::string& name) {
  TokenSessions& sessions = *door.sessions;
  ++sessions.changes;
  if (!sessions.of.contains(name)) return;
  TokenClaim claim;
  claim.authorizer_name = name;
  door.authorizer->admit(claim, [door, name](bool active) {
    door.loop.post([door, name, active] {
      const auto at = door.sessions->of.find(name);
      if (at == door.sessions->of.end()) return;
      for (TokenSession* session : at->second) {
        if (active)
          door.sessions->waiting.push_back(session->weak_from_this());
        else
          session->ended = true;
      }
      if (active) return TokenSessions::go_on(door.sessions);
      log::info("a custom authoriser is not active any more: its connections end",
                {{"authorizer", name}, {"connections", at->second.size()}});
      if (door.changed) door.changed({});
    });
  });
}

namespace {

class TokenGrant final : public VouchedGrant {
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
  std::string_view principal_id() const override { return session_->principal.name; }
  mqtt::PrincipalKind principal_kind() const override { return mqtt::PrincipalKind::kToken; }
  iam::Principal vouched() const override { return session_->principal; }
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

void decide(const TokenDoor& door, const TokenQuestion& question, int reading,
            const std::function<void(mqtt::Authorizer::Decision)>& done) {
  const std::uint64_t before = door.sessions ? door.sessions->changes : 0;
  door.authorizer->decide(question, [door, question, reading, done, before](TokenAnswer answer) {
    door.loop.post([door, question, reading, done, before, answer = std::move(answer)] {
      // An authoriser changed while it was asked: later changes find the grant, this one would not.
      const bool old = door.sessions && door.sessions->changes != before;
      if (old && reading == kReadings) return done(refused("custom authorisers are changing all the time"));
      if (old) return decide(door, question, reading + 1, done);
      done(decision_of(door, question, answer));
    });
  });
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
  decide(door, question, 1, done);
}

}  // namespace muster::api::device
