// SPDX-License-Identifier: Apache-2.0
#include "api/device/custom_authorizers.h"

#include <atomic>
#include <mutex>
#include <unordered_map>

#include "api/device/token_grant.h"
#include "api/device/token_rights.h"
#include "api/wire/await_callback.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/text.h"
#include "domain/security/authorizer_exchange.h"
#include "domain/security/custom_authorizers.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::api::device {
namespace {

constexpr std::size_t kMaxKept = 10'000;
constexpr std::string_view kTopics = "/topics/";
constexpr std::string_view kNobody = "there is no such authoriser, and no default one";

using security::AuthorizerQuestion;
using security::CustomAuthorizer;
using Answered = std::function<void(TokenAnswer)>;
using Caller = std::shared_ptr<const TokenCaller>;

TokenAnswer refusal(std::string why) {
  TokenAnswer answer;
  answer.reason = std::move(why);
  return answer;
}

std::optional<std::string> if_any(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

AuthorizerQuestion exchange_question(const CustomAuthorizer& authorizer, const TokenQuestion& asked) {
  AuthorizerQuestion out;
  for (const auto& [name, value] : asked.claim.parameters) {
    if (authorizer.token_key_name.empty() || !equals_ignore_case(name, authorizer.token_key_name)) continue;
    out.token = value;
    break;
  }
  out.signature = asked.claim.signature;
  out.tls = asked.tls;
  out.server_name = if_any(asked.server_name);
  if (asked.claim.http) {
    const std::string& query = asked.claim.raw_query;
    out.http = {asked.claim.headers, query.empty() ? "" : "?" + query};
  }
  if (asked.mqtt) out.mqtt = {if_any(asked.username), if_any(asked.password), if_any(asked.client_id)};
  out.connection_id = asked.connection_id;
  return out;
}

TokenAnswer answer_of(const CustomAuthorizer& authorizer, const Result<std::string>& text) {
  if (!text) return refusal("its function could not be asked: " + text.error().message);
  auto read = security::read_authorizer_answer(*text);
  if (!read) return refusal("its function's answer is not valid: " + read.error().message);
  if (!read->authenticated) return refusal("its function says so");
  TokenAnswer answer;
  answer.accepted = true;
  answer.principal_id = std::move(read->principal_id);
  answer.policy_documents = std::move(read->policy_documents);
  answer.disconnect_after_s = read->disconnect_after_s;
  answer.refresh_after_s = read->refresh_after_s;
  answer.authorizer_name = authorizer.name;
  answer.cache_for_http = authorizer.cache_for_http;
  return answer;
}

class RequestCaller final : public TokenCaller {
 public:
  RequestCaller(const Realm& realm, const TokenQuestion& question, const TokenAnswer& answer)
      : rights_(realm, question, answer), principal_(token_principal(realm, answer)) {}
  const iam::Principal& principal() const override { return principal_; }
  bool allows(std::string_view action, std::string_view resource) const override {
    return rights_.allows(action, resource);
  }

 private:
  TokenRights rights_;
  iam::Principal principal_;
};

// Everything that the function may have decided by, and the connection.
std::string digest_of(const io::HttpRequest& request) {
  Digest digest(Digest::Kind::kSha256);
  const auto add = [&digest](std::string_view text) {
    digest.update(std::to_string(text.size()) + ":");
    digest.update(text);
  };
  add(request.peer.address);
  add(std::to_string(request.peer.port));
  add(request.raw_query());
  for (const auto& [name, value] : request.headers.items()) {
    if (equals_ignore_case(name, "content-length")) continue;
    add(name);
    add(value);
  }
  return digest.finish();
}

TokenQuestion question_of(const io::HttpRequest& request, const Pairs& query) {
  Pairs parameters = query;
  for (const auto& header : request.headers.items()) parameters.push_back(header);
  TokenQuestion question;
  if (auto claim = token_claim(parameters)) {
    question.claim = std::move(*claim);
  } else {
    question.claim.parameters = std::move(parameters);
  }
  question.claim.http = true;
  question.claim.headers = request.headers.items();
  question.claim.raw_query = request.raw_query();
  question.source_ip = request.peer.address;
  question.server_name = request.peer.server_name;
  question.tls = request.peer.tls;
  question.mqtt = false;
  question.connection_id = random_uuid();
  return question;
}

}  // namespace

struct CustomAuthorizers::State : std::enable_shared_from_this<CustomAuthorizers::State> {
  State(store::Store& records, Realm where, functions::FunctionInvoker& functions, const io::Clock& time)
      : store(records), realm(std::move(where)), invoker(functions), clock(time) {}

  void changed(const std::vector<std::string>& keys);
  void any_active(std::function<void(bool)> done);
  void find(std::string wanted, std::function<void(Result<CustomAuthorizer>)> done);
  void ask(TokenQuestion question, Answered done);
  void call(const CustomAuthorizer& authorizer, const TokenQuestion& question, Answered done);
  Caller kept(const std::string& digest);
  void keep(const std::string& digest, Caller caller, std::int64_t seconds, std::uint64_t epoch);

  store::Store& store;
  const Realm realm;
  functions::FunctionInvoker& invoker;
  const io::Clock& clock;
  std::atomic<std::uint64_t> epoch{0};  // grows with each change of an authoriser

  struct Kept {
    Caller caller;
    std::int64_t until_ms = 0;
  };
  std::mutex mutex;
  std::unordered_map<std::string, Kept> answers;                        // under mutex
  std::vector<std::function<void(const std::string& name)>> listeners;  // under mutex
};

void CustomAuthorizers::State::changed(const std::vector<std::string>& keys) {
  ++epoch;
  std::vector<std::function<void(const std::string& name)>> told;
  {
    std::lock_guard lock(mutex);
    answers.clear();
    told = listeners;
  }
  for (const std::string& key : keys) {
    const auto name = store::KeyReader(key).text();
    if (!name) continue;
    for (const auto& listener : told) listener(*name);
  }
}

void CustomAuthorizers::State::any_active(std::function<void(bool)> done) {
  auto found = std::make_shared<bool>(false);
  auto read = [found](store::Tx& tx) -> Status {
    const auto active = security::list_authorizers(tx, {"", 1}, true, true);
    *found = active && !active->items.empty();
    return {};
  };
  store.run(read, [found, done = std::move(done)](Status status) { done(status && *found); });
}

// The active authoriser of that name, or the default one. kNotFound says what is missing.
void CustomAuthorizers::State::find(std::string wanted, std::function<void(Result<CustomAuthorizer>)> done) {
  auto found = std::make_shared<std::optional<CustomAuthorizer>>();
  auto read = [found, wanted = std::move(wanted)](store::Tx& tx) -> Status {
    *found = security::find_authorizer(tx, wanted.empty() ? security::default_authorizer(tx).value_or("") : wanted);
    return {};
  };
  store.run(read, [found, done = std::move(done)](Status status) {
    if (!status) return done(status.error());
    if (!*found) return done(not_found(std::string(kNobody)));
    if (!(*found)->active) return done(not_found("the authoriser is not active"));
    done(**found);
  });
}

void CustomAuthorizers::State::ask(TokenQuestion question, Answered done) {
  std::string name = question.claim.authorizer_name;
  find(std::move(name), [self = shared_from_this(), question = std::move(question),
                         done = std::move(done)](Result<CustomAuthorizer> authorizer) {
    if (!authorizer) return done(refusal(authorizer.error().message));
    self->call(*authorizer, question, done);
  });
}

void CustomAuthorizers::State::call(const CustomAuthorizer& authorizer, const TokenQuestion& question, Answered done) {
  const AuthorizerQuestion exchange = exchange_question(authorizer, question);
  const auto check = security::check_token(authorizer, exchange);
  if (!check) return done(refusal(check.error().message));
  functions::Invocation invocation;
  invocation.function_arn = authorizer.function_arn;
  invocation.payload = security::authorizer_event(exchange, check->verified);
  invocation.timeout_ms = security::kAuthorizerTimeoutMs;
  invoker.invoke(std::move(invocation),
                 [authorizer, done = std::move(done)](Result<std::string> text) { done(answer_of(authorizer, text)); });
}

Caller CustomAuthorizers::State::kept(const std::string& digest) {
  std::lock_guard lock(mutex);
  const auto at = answers.find(digest);
  if (at == answers.end()) return nullptr;
  if (clock.now_ms() < at->second.until_ms) return at->second.caller;
  answers.erase(at);
  return nullptr;
}

void CustomAuthorizers::State::keep(const std::string& digest, Caller caller, std::int64_t seconds,
                                    std::uint64_t asked_at) {
  const std::int64_t now_ms = clock.now_ms();
  std::lock_guard lock(mutex);
  if (epoch != asked_at) return;  // an authoriser changed meanwhile
  if (answers.size() >= kMaxKept)
    std::erase_if(answers, [now_ms](auto& item) { return item.second.until_ms <= now_ms; });
  if (answers.size() >= kMaxKept) answers.clear();
  answers[digest] = {std::move(caller), now_ms + seconds * 1000};
}

CustomAuthorizers::CustomAuthorizers(store::Store& store, Realm realm, functions::FunctionInvoker& invoker,
                                     const io::Clock& clock)
    : state_(std::make_shared<State>(store, std::move(realm), invoker, clock)) {
  store.changes().subscribe(std::string(1, store::table::kAuthorizer),
                            [weak = std::weak_ptr<State>(state_)](const std::vector<std::string>& keys) {
                              if (const auto state = weak.lock()) state->changed(keys);
                            });
}

CustomAuthorizers::~CustomAuthorizers() = default;

void CustomAuthorizers::decide(TokenQuestion question, std::function<void(TokenAnswer)> done) {
  state_->ask(std::move(question), std::move(done));
}

void CustomAuthorizers::on_change(std::function<void(const std::string& name)> changed) {
  std::lock_guard lock(state_->mutex);
  state_->listeners.push_back(std::move(changed));
}

void CustomAuthorizers::admit(TokenClaim claim, std::function<void(bool)> done) {
  if (claim.authorizer_name.empty() && claim.signature.empty()) return state_->any_active(std::move(done));
  state_->find(claim.authorizer_name, [claim, done = std::move(done)](Result<CustomAuthorizer> found) {
    if (!found) return done(false);
    TokenQuestion question;
    question.claim = claim;
    done(claim.signature.empty() || security::check_token(*found, exchange_question(*found, question)).has_value());
  });
}

bool CustomAuthorizers::claims(const io::HttpRequest& request, const Pairs& query) const {
  const auto names = [](const auto& pair) {
    return equals_ignore_case(pair.first, kAuthorizerNameKey) ||
           equals_ignore_case(pair.first, kAuthorizerSignatureKey);
  };
  if (std::ranges::any_of(query, names) || std::ranges::any_of(request.headers.items(), names)) return true;
  return request.method == "POST" && request.raw_path().starts_with(kTopics);
}

io::Task<Caller> CustomAuthorizers::identify(const io::HttpRequest& request, const Pairs& query) {
  const std::shared_ptr<State> state = state_;
  const std::string digest = digest_of(request);
  if (Caller known = state->kept(digest)) co_return known;
  const TokenQuestion question = question_of(request, query);
  const std::uint64_t epoch = state->epoch;
  std::function<void(std::function<void(Result<TokenAnswer>)>)> start = [&](auto done) {
    state->ask(question, [done](TokenAnswer answer) { done(std::move(answer)); });
  };
  CO_TRY(const TokenAnswer answer, co_await await_callback<TokenAnswer>(start));
  const bool unasked = question.claim.authorizer_name.empty() && answer.reason == kNobody;
  if (!answer.accepted && unasked) {
    co_return make_error(ErrorKind::kUnauthenticated, "Missing Authentication Token", "MissingAuthenticationToken");
  }
  if (!answer.accepted) {
    log::info("custom authoriser refuses a request",
              {{"authorizer", question.claim.authorizer_name}, {"peer", question.source_ip}, {"why", answer.reason}});
    co_return make_error(ErrorKind::kAccessDenied, "Forbidden", "ForbiddenException");
  }
  Caller caller = std::make_shared<RequestCaller>(state->realm, question, answer);
  if (answer.cache_for_http && answer.refresh_after_s > 0) {
    state->keep(digest, caller, answer.refresh_after_s, epoch);
  }
  co_return caller;
}

}  // namespace muster::api::device
