// SPDX-License-Identifier: Apache-2.0
#include "api/device/token_grant.h"

#include <algorithm>

#include "api/wire/message.h"
#include "base/log.h"
#include "base/text.h"
#include "domain/iam/policy/cache.h"
#include "domain/iam/policy/eval.h"

namespace muster::api::device {
namespace {

constexpr std::size_t kMaxPolicies = 10;  // that an authoriser may answer with
constexpr std::size_t kMaxParametersBytes = 8 * 1024;

class TokenGrant final : public mqtt::ConnectionGrant {
 public:
  TokenGrant(const Realm& realm, const TokenQuestion& question, const TokenAnswer& answer, std::int64_t now_ms)
      : prefix_("arn:aws:iot:" + realm.region + ":" + realm.account_id + ":"),
        client_id_(question.client_id),
        principal_(answer.principal_id) {
    for (const std::string& document : answer.policy_documents) {
      policies_.push_back(iam::compile_stored(document, iam::PolicyUse::kIot, nullptr));
    }
    context_.set("iot:ClientId", client_id_);
    context_.set("aws:SourceIp", question.source_ip);
    if (!question.server_name.empty()) context_.set("iot:DomainName", question.server_name);
    // An answer that has grown stale is not used on: the client connects, and is asked about, again.
    std::int64_t seconds = answer.disconnect_after_s;
    if (answer.refresh_after_s > 0 && (seconds <= 0 || answer.refresh_after_s < seconds)) {
      seconds = answer.refresh_after_s;
    }
    if (seconds > 0) expires_ms_ = now_ms + seconds * 1000;
  }

  bool may_publish(std::string_view topic, bool retain) override {
    return allowed("iot:Publish", "topic/", topic) && (!retain || allowed("iot:RetainPublish", "topic/", topic));
  }
  bool may_subscribe(std::string_view filter) override { return allowed("iot:Subscribe", "topicfilter/", filter); }
  bool may_receive(std::string_view topic) override { return allowed("iot:Receive", "topic/", topic); }
  bool still_valid() override {
    const bool ended = expires_ms_ != 0 && io::SystemClock().now_ms() >= expires_ms_;
    return !ended && allowed("iot:Connect", "client/", client_id_);
  }
  std::string_view principal_id() const override { return principal_; }
  std::int64_t expires_ms() const override { return expires_ms_; }

 private:
  bool allowed(std::string_view action, std::string_view kind, std::string_view name) {
    resource_.assign(prefix_).append(kind).append(name);
    const iam::PolicyRequest asked{.action = action, .resource = resource_, .context = &context_};
    return iam::evaluate(policies_, asked).verdict == iam::Verdict::kAllow;
  }

  std::string prefix_;
  std::string client_id_;
  std::string principal_;
  std::vector<iam::PolicyPtr> policies_;
  iam::PolicyContext context_;
  std::int64_t expires_ms_ = 0;
  std::string resource_;  // scratch
};

mqtt::Authorizer::Decision refused(std::string reason) {
  mqtt::Authorizer::Decision decision;
  decision.reason = std::move(reason);
  decision.bad_credentials = true;
  return decision;
}

mqtt::Authorizer::Decision decision_of(const Realm& realm, const TokenQuestion& question, const TokenAnswer& answer) {
  if (!answer.accepted) return refused("the custom authoriser refused: " + answer.reason);
  if (answer.principal_id.empty() || answer.policy_documents.size() > kMaxPolicies) {
    return refused("the custom authoriser's answer has no principal or too many policies");
  }
  auto grant = std::make_unique<TokenGrant>(realm, question, answer, io::SystemClock().now_ms());
  if (!grant->still_valid()) return refused("no policy of the custom authoriser allows iot:Connect for this client id");
  mqtt::Authorizer::Decision decision;
  decision.grant = std::move(grant);
  return decision;
}

}  // namespace

std::shared_ptr<const TokenClaim> token_claim(const std::vector<std::pair<std::string, std::string>>& parameters) {
  auto claim = std::make_shared<TokenClaim>();
  bool asked = false;
  for (const auto& [name, value] : parameters) {
    if (equals_ignore_case(name, kAuthorizerNameKey)) {
      claim->authorizer_name = value;
      asked = true;
    } else if (equals_ignore_case(name, kAuthorizerSignatureKey)) {
      claim->signature = value;
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
  question.client_id = attempt.client_id;
  question.username = attempt.username.substr(0, attempt.username.find('?'));
  question.password = attempt.password;
  question.source_ip = attempt.peer->address;
  question.server_name = attempt.peer->server_name;
  door.authorizer->decide(question, [loop = &door.loop, realm = door.realm, question, done](TokenAnswer answer) {
    loop->post([realm, question, done, answer = std::move(answer)] { done(decision_of(realm, question, answer)); });
  });
}

}  // namespace muster::api::device
