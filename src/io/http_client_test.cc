// SPDX-License-Identifier: Apache-2.0
#include "io/http_client.h"

#include <gtest/gtest.h>

#include <dlfcn.h>
#include <netdb.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <semaphore>

#include "io/http_server.h"
#include "io/loop_test_support.h"
#include "io/net.h"
#include "io/test_certificates.h"

namespace {

// A name server that does not answer for a host until it is let go, whichever library asks.
std::atomic<bool> silent{false};
std::atomic<int> asking{0};

}  // namespace

extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** found) {
  if (host != nullptr && std::string_view(host) == "silent.invalid") {
    ++asking;
    asking.notify_all();
    silent.wait(true);
    --asking;
    asking.notify_all();
    return EAI_AGAIN;
  }
  static const auto real = reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  return real(host, service, hints, found);
}

namespace muster::io {
namespace {

// A server of our own, over HTTP or HTTPS.
class HttpClientTest : public testing::Test {
 protected:
  ~HttpClientTest() override {
    client_.reset();
    server_.call([this] {
      listener_.reset();
      return 0;
    });
    server_.loop.stop();
    if (!ca_file_.empty()) std::filesystem::remove(ca_file_);
  }

  std::string serve(bool tls) {
    ListenOptions options;
    if (tls) {
      TlsOptions chain;
      chain.certificate_chain_pem = identity_.certificate_pem;
      chain.private_key_pem = identity_.key_pem;
      options.tls = ListenOptions::Tls::kAlways;
      options.context = *TlsContext::create(chain);
    }
    auto listener = Listener::create(server_.loop, options, [this](std::unique_ptr<Stream> stream) {
      server_.loop.spawn(serve_http(server_.loop, std::move(stream), "", handler_, stopping_));
    });
    EXPECT_TRUE(listener) << listener.error().message;
    listener_ = std::move(*listener);
    listener_->start();
    return (tls ? "https://localhost:" : "http://127.0.0.1:") + std::to_string(listener_->port());
  }
  void make(HttpClientOptions options = {}) {
    auto client = HttpClient::create(std::move(options));
    ASSERT_TRUE(client) << client.error().message;
    client_ = *std::move(client);
  }
  std::string ca_file() {
    ca_file_ = std::filesystem::temp_directory_path() / ("muster-ca-" + std::to_string(::getpid()) + ".pem");
    std::ofstream(ca_file_) << ca_.certificate_pem;
    return ca_file_;
  }
  std::future<Result<HttpAnswer>> start(HttpCall call) {
    auto promise = std::make_shared<std::promise<Result<HttpAnswer>>>();
    auto future = promise->get_future();
    client_->start(std::move(call), [promise](Result<HttpAnswer> answer) { promise->set_value(std::move(answer)); });
    return future;
  }
  Result<HttpAnswer> call(HttpCall call) { return start(std::move(call)).get(); }
  ErrorKind failure(HttpCall wanted) {
    auto answer = call(std::move(wanted));
    return answer ? ErrorKind::kUnset : answer.error().kind;
  }

  TestIdentity ca_{"test CA"};
  TestIdentity identity_{"localhost", &ca_};
  TestLoop server_;
  std::atomic<bool> stopping_{false};
  std::counting_semaphore<> slow_began_{0};
  HttpHandler handler_ = [this](HttpRequest& request, HttpBody& body) -> boost::asio::awaitable<HttpResponse> {
    HttpResponse response;
    auto text = co_await read_all(body, 1 << 20);
    response.headers.add("X-Seen", request.method + " " + request.target);
    response.headers.add("X-Got", std::string(request.headers.get("x-sent")));
    if (request.target == "/moved") {
      response.status = 302;
      response.headers.add("Location", "/elsewhere");
    }
    if (request.target == "/slow") {
      slow_began_.release();
      co_await sleep_ms(30'000);
    }
    if (request.target == "/huge") response.body = std::string(200'000, 'x');
    if (request.target == "/heads") response.headers.add("X-Much", std::string(80'000, 'h'));
    if (request.target == "/echo") response.body = text ? *text : std::string();
    co_return response;
  };
  std::unique_ptr<Listener> listener_;
  std::string ca_file_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(HttpClientTest, PostsAndReadsAnswers) {
  const std::string url = serve(false);
  make();
  auto answer = call({.method = "POST", .url = url + "/echo", .headers = {{"X-Sent", "v"}}, .body = "payload"});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "payload");
  EXPECT_EQ(answer->header("x-seen"), "POST /echo");
  EXPECT_EQ(answer->header("x-got"), "v");
  answer = call({.url = url + "/?a=b"});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->header("x-seen"), "GET /?a=b");
}

TEST_F(HttpClientTest, RedirectsAreAnswersNotFollowed) {
  const std::string url = serve(false);
  make();
  auto answer = call({.url = url + "/moved"});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 302);
}

TEST_F(HttpClientTest, ServersAreTrustedByTheConfiguredAuthorityAlone) {
  const std::string url = serve(true);
  make();
  EXPECT_EQ(failure({.url = url + "/"}), ErrorKind::kUnavailable);
  make({.ca_file = ca_file()});
  auto answer = call({.url = url + "/"});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 200);
  EXPECT_FALSE(HttpClient::create({.ca_file = "/does/not/exist"}));
}

TEST_F(HttpClientTest, AnswersAreBoundedInTimeAndSize) {
  const std::string url = serve(false);
  make();
  EXPECT_EQ(failure({.url = url + "/slow", .timeout_ms = 50}), ErrorKind::kTimeout);
  EXPECT_EQ(failure({.url = url + "/huge", .max_answer_bytes = 1000}), ErrorKind::kTooLarge);
  EXPECT_EQ(failure({.url = url + "/heads"}), ErrorKind::kTooLarge);
}

TEST_F(HttpClientTest, WaitingCountsAgainstTheTimeAndIsBounded) {
  const std::string url = serve(false);
  make({.max_running = 1, .max_waiting = 5});
  auto first = start({.url = url + "/slow", .timeout_ms = 2000});
  slow_began_.acquire();
  std::vector<std::future<Result<HttpAnswer>>> more;
  for (int i = 0; i < 20; ++i) more.push_back(start({.url = url + "/slow", .timeout_ms = 100}));
  int refused = 0, late = 0;
  for (auto& one : more) {
    auto answer = one.get();
    ASSERT_FALSE(answer);
    refused += answer.error().kind == ErrorKind::kUnavailable ? 1 : 0;
    late += answer.error().kind == ErrorKind::kTimeout ? 1 : 0;
  }
  EXPECT_EQ(refused, 15);
  EXPECT_EQ(late, 5);
  EXPECT_EQ(first.get().error().kind, ErrorKind::kTimeout);
}

TEST_F(HttpClientTest, StopEndsWhatRunsAndRefusesWhatComes) {
  const std::string url = serve(false);
  make();
  auto running = start({.url = url + "/slow", .timeout_ms = 60'000});
  client_->stop();
  EXPECT_EQ(running.get().error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(failure({.url = url + "/"}), ErrorKind::kUnavailable);
}

class SilentNames : public HttpClientTest {
 protected:
  SilentNames() { silent = true; }
  ~SilentNames() override {
    silent = false;
    silent.notify_all();
    for (int now = asking; now != 0; now = asking) asking.wait(now);
  }
  void wait_until_asked() { asking.wait(0); }
};

TEST_F(SilentNames, ACallEndsInTimeThoughItsNameIsStillAskedFor) {
  make();
  auto late = start({.url = "http://silent.invalid/", .timeout_ms = 200});
  wait_until_asked();
  ASSERT_EQ(late.wait_for(std::chrono::seconds(60)), std::future_status::ready);
  EXPECT_EQ(late.get().error().kind, ErrorKind::kTimeout);
  EXPECT_EQ(asking, 1);
  auto other = call({.url = serve(false) + "/"});
  EXPECT_TRUE(other) << "the thread goes on with others";
}

TEST_F(SilentNames, StopDoesNotWaitForThem) {
  make();
  auto running = start({.url = "http://silent.invalid/", .timeout_ms = 60'000});
  wait_until_asked();
  auto stopped = std::async(std::launch::async, [this] { client_->stop(); });
  const bool in_time = stopped.wait_for(std::chrono::seconds(30)) == std::future_status::ready;
  EXPECT_TRUE(in_time);
  if (in_time) EXPECT_EQ(asking, 1);
  silent = false;  // else the destructor of `stopped` would wait for it
  silent.notify_all();
  EXPECT_EQ(running.get().error().kind, ErrorKind::kUnavailable);
}

TEST_F(HttpClientTest, OtherSchemesUsersAndControlCharactersAreRefused) {
  make();
  for (const char* url : {"", "file:///etc/passwd", "ftp://h/", "gopher://h/", "http://", "https:///x", "http://:80/",
                          "http://user:secret@h/", "http://h/\r\nX: y", "http://h/ x", "HTTP://h/", "//h/", "h/"}) {
    EXPECT_EQ(failure({.url = url}), ErrorKind::kInvalid) << url;
  }
  EXPECT_EQ(failure({.url = "http://127.0.0.1:1/" + std::string(3000, 'x')}), ErrorKind::kInvalid);
  EXPECT_EQ(failure({.url = "http://127.0.0.1:1/", .headers = {{"A", "b\r\nC: d"}}}), ErrorKind::kInvalid);
  EXPECT_EQ(failure({.method = "DELETE", .url = "http://127.0.0.1:1/"}), ErrorKind::kInvalid);
  EXPECT_EQ(failure({.url = "http://127.0.0.1:1/"}), ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace muster::io
