// SPDX-License-Identifier: Apache-2.0
#include "api/services/iam/web_identity_keys.h"

#include <fstream>
#include <mutex>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "domain/iam/oidc.h"

namespace muster::api::iam_service {
namespace {

constexpr std::size_t kMaxDocumentBytes = 256 * 1024;
constexpr std::size_t kMaxIssuers = 200, kMaxWaiting = 1000;
constexpr std::int64_t kTimeoutMs = 5000;
constexpr std::int64_t kFreshMs = 3'600'000, kStaleMs = 24 * kFreshMs;
constexpr std::int64_t kAgainMs = 60'000, kAfterFailureMs = 10'000;

using Keys = WebIdentityKeys::Keys;
using Done = std::function<void(Result<Keys>)>;

Error unreachable(const std::string& why) {
  return make_error(ErrorKind::kUnavailable, "The identity provider could not be reached: " + why,
                    "IDPCommunicationError");
}

Error no_keys(const std::string& why) {
  return make_error(ErrorKind::kInvalid,
                    "Couldn't retrieve verification key from your identity provider, please reference "
                    "AssumeRoleWithWebIdentity documentation for requirements: " +
                        why,
                    "InvalidIdentityToken");
}

Result<Keys> keys_of(std::string_view text) {
  auto keys = jwt::parse_key_set(text);
  if (!keys) return no_keys(keys.error().message);
  return std::make_shared<const std::vector<jwt::Key>>(*std::move(keys));
}

Result<std::string> body_of(Result<io::HttpAnswer> answer) {
  if (!answer) {
    if (answer.error().kind == ErrorKind::kTooLarge) return no_keys(answer.error().message);
    return unreachable(answer.error().message);
  }
  if (answer->status != 200) return unreachable("it answers " + std::to_string(answer->status));
  return std::move(answer->body);
}

// The jwks_uri of a discovery document, which must speak of the issuer that was asked.
Result<std::string> key_set_url(std::string_view text, const std::string& url) {
  auto value = parse_json(text, {.max_bytes = kMaxDocumentBytes, .max_depth = 16});
  const json::object* document = value ? value->if_object() : nullptr;
  if (document == nullptr) return no_keys("its configuration is not a JSON object");
  if (get_string(*document, "issuer") != "https://" + url) return no_keys("its configuration names another issuer");
  const std::string_view address = get_string(*document, "jwks_uri");
  if (!address.starts_with("https://") || !io::is_http_url(address)) return no_keys("its jwks_uri is no https URL");
  return std::string(address);
}

io::HttpCall get_call(std::string url) {
  io::HttpCall call;
  call.url = std::move(url);
  call.headers = {{"Accept", "application/json"}};
  call.timeout_ms = kTimeoutMs;
  call.max_answer_bytes = kMaxDocumentBytes;
  return call;
}

Result<Keys> read_key_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxDocumentBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.empty()) return unreachable("the configured file of its keys cannot be read");
  return keys_of(text);
}

}  // namespace

struct WebIdentityKeys::State : std::enable_shared_from_this<WebIdentityKeys::State> {
  State(io::HttpClient& caller, io::BlockingPool& threads, const io::Clock& time, KeyFiles configured)
      : client(caller), pool(threads), clock(time), files(std::move(configured)) {}

  struct Issuer {
    Keys keys;
    std::int64_t fetched_ms = 0, tried_ms = 0;
    Result<Keys> failure;  // of the last try; meant when `failed`
    bool failed = false, running = false;
    std::vector<Done> waiting;
  };

  std::optional<Result<Keys>> known(const Issuer& issuer, const Keys& lacking) const;
  void fetch(const std::string& url);
  void fetched(const std::string& url, Result<Keys> keys);

  io::HttpClient& client;
  io::BlockingPool& pool;
  const io::Clock& clock;
  const KeyFiles files;
  std::mutex mutex;
  std::map<std::string, Issuer, std::less<>> issuers;  // under mutex
};

// What can be said without asking; under the mutex.
std::optional<Result<Keys>> WebIdentityKeys::State::known(const Issuer& issuer, const Keys& lacking) const {
  const std::int64_t now_ms = clock.steady_ms();
  const std::int64_t since_try_ms = now_ms - issuer.tried_ms;
  const bool usable = issuer.keys && now_ms - issuer.fetched_ms < kStaleMs;
  if (issuer.failed && since_try_ms < kAfterFailureMs) return usable ? Result<Keys>(issuer.keys) : issuer.failure;
  if (!usable || now_ms - issuer.fetched_ms >= kFreshMs) return std::nullopt;
  if (issuer.keys == lacking && since_try_ms >= kAgainMs) return std::nullopt;
  return Result<Keys>(issuer.keys);
}

void WebIdentityKeys::State::fetch(const std::string& url) {
  auto self = shared_from_this();
  if (const auto file = files.find(url); file != files.end()) {
    return pool.submit([self, url, path = file->second] { self->fetched(url, read_key_file(path)); });
  }
  std::string base = url;
  while (base.ends_with('/')) base.pop_back();
  client.start(get_call("https://" + base + "/.well-known/openid-configuration"), [self, url](auto answer) {
    auto text = body_of(std::move(answer));
    if (!text) return self->fetched(url, text.error());
    auto address = key_set_url(*text, url);
    if (!address) return self->fetched(url, address.error());
    self->client.start(get_call(*address), [self, url](auto set) {
      auto body = body_of(std::move(set));
      self->fetched(url, body ? keys_of(*body) : Result<Keys>(body.error()));
    });
  });
}

void WebIdentityKeys::State::fetched(const std::string& url, Result<Keys> keys) {
  std::vector<Done> waiting;
  Result<Keys> outcome = keys;
  {
    std::lock_guard lock(mutex);
    Issuer& issuer = issuers[url];
    const std::int64_t now_ms = clock.steady_ms();
    issuer.running = false;
    issuer.tried_ms = now_ms;
    issuer.failed = !keys;
    if (keys) {
      issuer.keys = *keys;
      issuer.fetched_ms = now_ms;
    } else {
      issuer.failure = keys;
      if (issuer.keys && now_ms - issuer.fetched_ms < kStaleMs) outcome = issuer.keys;
    }
    waiting.swap(issuer.waiting);
  }
  if (!keys) log::warn("keys of an identity provider", {{"issuer", url}, {"why", keys.error().message}});
  for (const Done& done : waiting) done(outcome);
}

WebIdentityKeys::WebIdentityKeys(io::HttpClient& client, io::BlockingPool& pool, const io::Clock& clock, KeyFiles files)
    : state_(std::make_shared<State>(client, pool, clock, std::move(files))) {}
WebIdentityKeys::~WebIdentityKeys() = default;

void WebIdentityKeys::get(std::string url, Keys lacking, Done done) {
  std::optional<Result<Keys>> answer;
  bool begin = false;
  {
    std::lock_guard lock(state_->mutex);
    auto& issuers = state_->issuers;
    if (issuers.size() >= kMaxIssuers && !issuers.contains(url)) {
      std::erase_if(issuers, [](const auto& item) { return !item.second.running; });
    }
    State::Issuer& issuer = issuers[url];
    answer = state_->known(issuer, lacking);
    if (!answer && issuer.waiting.size() >= kMaxWaiting) answer = unreachable("too many calls wait for it");
    if (!answer) {
      issuer.waiting.push_back(done);
      begin = !std::exchange(issuer.running, true);
    }
  }
  if (answer) return done(*std::move(answer));
  if (begin) state_->fetch(url);
}

Result<KeyFiles> parse_key_files(const std::vector<std::string>& lines) {
  KeyFiles files;
  for (const std::string& line : lines) {
    const std::size_t equals = line.find('=');
    const auto url = iam::oidc_url_of_issuer(trim(std::string_view(line).substr(0, equals)));
    const std::string path(equals == std::string::npos ? "" : trim(std::string_view(line).substr(equals + 1)));
    if (!url || url->empty() || path.empty()) return invalid("not ISSUER=FILE with an https issuer: " + line);
    if (!files.emplace(*url, path).second) return invalid("two key files for issuer https://" + *url);
  }
  return files;
}

}  // namespace muster::api::iam_service
