// SPDX-License-Identifier: Apache-2.0
#include "io/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <fstream>
#include <iterator>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/text.h"

namespace muster::io {
namespace {

constexpr std::size_t kMaxHeadBytes = 64 * 1024;
constexpr std::size_t kMaxUrlBytes = 2048;
constexpr long kConnectTimeoutMs = 10'000;
constexpr int kPollMs = 1000;        // wake-ups end it earlier
constexpr int kPollWaitingMs = 100;  // while calls wait for room, so that they end in time

std::int64_t steady_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

Error unavailable(std::string message) {
  return make_error(ErrorKind::kUnavailable, std::move(message));
}

struct Waiting {
  HttpCall call;
  HttpClient::Done done;
  std::int64_t due_ms = 0;
};

// One call under way: owned by the worker, referred to by libcurl.
struct Transfer {
  HttpCall call;
  HttpClient::Done done;
  HttpAnswer answer;
  std::size_t head_bytes = 0;
  bool too_large = false;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;

  ~Transfer() {
    if (easy != nullptr) curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
  }
};

std::size_t on_body(char* bytes, std::size_t, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (transfer.answer.body.size() + count > transfer.call.max_answer_bytes) {
    transfer.too_large = true;
    return 0;
  }
  transfer.answer.body.append(bytes, count);
  return count;
}

std::size_t on_header(char* bytes, std::size_t, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  transfer.head_bytes += count;
  if (transfer.head_bytes > kMaxHeadBytes) {
    transfer.too_large = true;
    return 0;
  }
  const std::string_view line = trim(std::string_view(bytes, count));
  if (line.starts_with("HTTP/")) transfer.answer.headers.clear();  // what came with a 100 is not the answer's
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos && colon > 0) {
    transfer.answer.headers.emplace_back(lower(line.substr(0, colon)), std::string(trim(line.substr(colon + 1))));
  }
  return count;
}

void set_up(Transfer& transfer, const HttpClientOptions& options, std::int64_t left_ms) {
  CURL* easy = transfer.easy;
  const HttpCall& call = transfer.call;
  curl_easy_setopt(easy, CURLOPT_URL, call.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");  // not even the environment's
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  // A name server may not answer for half a minute: whoever gives up must not wait for the thread that asks it.
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(left_ms));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, std::min(static_cast<long>(left_ms), kConnectTimeoutMs));
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!options.ca_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, options.ca_file.c_str());
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  }
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "muster");
  for (const auto& [name, value] : call.headers) {
    transfer.headers = curl_slist_append(transfer.headers, (name + ": " + value).c_str());
  }
  transfer.headers = curl_slist_append(transfer.headers, "Expect:");  // no waiting for a 100
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.headers);
  if (call.method == "POST") {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
  }
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
}

Result<HttpAnswer> outcome_of(Transfer& transfer, CURLcode code) {
  if (transfer.too_large) return make_error(ErrorKind::kTooLarge, "the answer is too large");
  if (code == CURLE_OPERATION_TIMEDOUT) return make_error(ErrorKind::kTimeout, "no answer in time");
  if (code != CURLE_OK) return unavailable(curl_easy_strerror(code));
  long status = 0;
  curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &status);
  transfer.answer.status = static_cast<int>(status);
  return std::move(transfer.answer);
}

}  // namespace

struct HttpClient::State {
  explicit State(HttpClientOptions chosen) : options(std::move(chosen)), multi(curl_multi_init()) {
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(options.max_running));
  }
  ~State() { curl_multi_cleanup(multi); }

  void run();
  void admit();
  void begin(Waiting waiting);
  void finish(CURL* easy, CURLcode code);

  const HttpClientOptions options;
  CURLM* multi;
  std::mutex mutex;
  std::deque<Waiting> waiting;                                   // under mutex
  bool stopping = false;                                         // under mutex
  std::unordered_map<CURL*, std::unique_ptr<Transfer>> running;  // on the thread
  std::thread thread;
};

// Takes what waits, as far as there is room, and ends what has waited for too long.
void HttpClient::State::admit() {
  std::vector<Waiting> next, late;
  {
    std::lock_guard lock(mutex);
    const std::int64_t now_ms = steady_ms();
    std::deque<Waiting> kept;
    for (Waiting& one : waiting) {
      if (one.due_ms > now_ms) {
        kept.push_back(std::move(one));
      } else {
        late.push_back(std::move(one));
      }
    }
    waiting.swap(kept);
    while (!waiting.empty() && running.size() + next.size() < options.max_running) {
      next.push_back(std::move(waiting.front()));
      waiting.pop_front();
    }
  }
  for (Waiting& one : late) one.done(make_error(ErrorKind::kTimeout, "no answer in time"));
  for (Waiting& one : next) begin(std::move(one));
}

void HttpClient::State::begin(Waiting next) {
  auto transfer = std::make_unique<Transfer>();
  transfer->call = std::move(next.call);
  transfer->done = std::move(next.done);
  transfer->easy = curl_easy_init();
  if (transfer->easy == nullptr) return transfer->done(unavailable("no memory for the call"));
  set_up(*transfer, options, std::max<std::int64_t>(next.due_ms - steady_ms(), 1));
  CURL* easy = transfer->easy;
  running.emplace(easy, std::move(transfer));
  if (curl_multi_add_handle(multi, easy) != CURLM_OK) finish(easy, CURLE_FAILED_INIT);
}

void HttpClient::State::finish(CURL* easy, CURLcode code) {
  auto at = running.find(easy);
  if (at == running.end()) return;
  const std::unique_ptr<Transfer> transfer = std::move(at->second);
  running.erase(at);
  Result<HttpAnswer> outcome = outcome_of(*transfer, code);
  curl_multi_remove_handle(multi, easy);
  transfer->done(std::move(outcome));
}

void HttpClient::State::run() {
  for (;;) {
    {
      std::lock_guard lock(mutex);
      if (stopping) break;
    }
    admit();
    int active = 0;
    curl_multi_perform(multi, &active);
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg == CURLMSG_DONE) finish(message->easy_handle, message->data.result);
    }
    int wait_ms = kPollMs;
    {
      std::lock_guard lock(mutex);
      if (!waiting.empty()) wait_ms = running.size() < options.max_running ? 0 : kPollWaitingMs;
    }
    curl_multi_poll(multi, nullptr, 0, wait_ms, nullptr);
  }
  while (!running.empty()) finish(running.begin()->first, CURLE_ABORTED_BY_CALLBACK);
  std::deque<Waiting> rest;
  {
    std::lock_guard lock(mutex);
    rest.swap(waiting);
  }
  for (Waiting& one : rest) one.done(unavailable("the server stops"));
}

HttpClient::HttpClient(HttpClientOptions options) : state_(std::make_unique<State>(std::move(options))) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

HttpClient::~HttpClient() {
  stop();
}

Result<std::unique_ptr<HttpClient>> HttpClient::create(HttpClientOptions options) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  if (!options.ca_file.empty()) {
    std::ifstream file(options.ca_file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    if (text.find("-----BEGIN ") == std::string::npos) {
      return invalid("the CA file " + options.ca_file + " cannot be read or holds no certificate");
    }
  }
  return std::unique_ptr<HttpClient>(new HttpClient(std::move(options)));
}

void HttpClient::start(HttpCall call, Done done) {
  const bool clean = std::ranges::none_of(call.headers, [](const auto& header) {
    return has_control_characters(header.first) || has_control_characters(header.second);
  });
  if (!is_http_url(call.url) || !clean || (call.method != "GET" && call.method != "POST")) {
    return done(invalid("not a call of an http or https URL"));
  }
  const std::int64_t due_ms = steady_ms() + std::max<std::int64_t>(call.timeout_ms, 1);
  {
    std::lock_guard lock(state_->mutex);
    if (!state_->stopping && state_->waiting.size() < state_->options.max_waiting) {
      state_->waiting.push_back({std::move(call), std::move(done), due_ms});
      done = nullptr;
    }
  }
  if (done) return done(unavailable("too many calls are waiting, or the server stops"));
  curl_multi_wakeup(state_->multi);
}

void HttpClient::stop() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  curl_multi_wakeup(state_->multi);
  if (state_->thread.joinable()) state_->thread.join();
}

std::string_view HttpAnswer::header(std::string_view lower_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_name) return value;
  }
  return {};
}

bool is_http_url(std::string_view url) {
  if (url.size() > kMaxUrlBytes || has_control_characters(url) || !is_utf8(url)) return false;
  if (url.find_first_of(" \\\"<>^`{|}") != std::string_view::npos) return false;
  const std::string_view rest = url.starts_with("https://")  ? url.substr(8)
                                : url.starts_with("http://") ? url.substr(7)
                                                             : std::string_view();
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  return !authority.empty() && authority.front() != ':' && authority.find('@') == std::string_view::npos;
}

}  // namespace muster::io
