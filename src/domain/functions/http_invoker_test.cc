// SPDX-License-Identifier: Apache-2.0
#include "domain/functions/http_invoker.h"

#include <gtest/gtest.h>

#include <future>

#include "domain/functions/function_name.h"
#include "io/http_server.h"
#include "io/loop_test_support.h"
#include "io/net.h"

namespace muster::functions {
namespace {

constexpr std::string_view kArn = "arn:aws:lambda:us-east-1:123456789012:function:";

std::string arn(const std::string& name) {
  return std::string(kArn) + name;
}

TEST(FunctionNameTest, ArnsAndNames) {
  auto parsed = parse_function_name(arn("auth:live"));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->name, "auth");
  EXPECT_EQ(parsed->qualifier, "live");
  EXPECT_EQ(parse_function_name("auth")->name, "auth");
  EXPECT_EQ(parse_function_name(arn("auth:$LATEST"))->qualifier, "$LATEST");
  for (const std::string& bad :
       {std::string(), arn(""), arn("a/../b"), arn("a:"), arn("a:b:c"), arn(std::string(65, 'a')), std::string("a b"),
        std::string("arn:aws:s3:::function:x"), std::string("arn:aws:lambda:us-east-1:1:layer:x"), std::string("*"),
        std::string("a?x=y")}) {
    EXPECT_FALSE(parse_function_name(bad)) << bad;
  }
}

TEST(FunctionNameTest, AnotherAccountsFunctionIsRefused) {
  const Realm realm{"123456789012", "us-east-1"};
  EXPECT_TRUE(own_function(realm, arn("f")));
  EXPECT_FALSE(own_function(realm, "arn:aws:lambda:us-east-1:999999999999:function:f"));
  EXPECT_FALSE(own_function(realm, "arn:aws:lambda:eu-west-1:123456789012:function:f"));
  EXPECT_FALSE(own_function(realm, "f"));
}

TEST(FunctionEndpointsTest, LinesAreChecked) {
  auto endpoints = parse_function_endpoints({"a = http://h:1/x/", "*=https://other"});
  ASSERT_TRUE(endpoints) << endpoints.error().message;
  EXPECT_EQ(endpoints->at("a"), "http://h:1/x");
  EXPECT_EQ(endpoints->at("*"), "https://other");
  for (const char* bad :
       {"", "a", "a=", "=http://h", "a=ftp://h", "a=http://u:p@h", "a=http://h?x", "a b=http://h", "a:live=http://h"}) {
    EXPECT_FALSE(parse_function_endpoints({bad})) << bad;
  }
  EXPECT_FALSE(parse_function_endpoints({"a=http://h", "a=http://i"}));
}

class HttpInvokerTest : public testing::Test {
 protected:
  HttpInvokerTest() {
    auto listener = io::Listener::create(server_.loop, {}, [this](std::unique_ptr<io::Stream> stream) {
      server_.loop.spawn(io::serve_http(server_.loop, std::move(stream), "", handler_, stopping_));
    });
    EXPECT_TRUE(listener);
    listener_ = std::move(*listener);
    listener_->start();
    client_ = *io::HttpClient::create({});
    const std::string url = "http://127.0.0.1:" + std::to_string(listener_->port());
    invoker_ = std::make_unique<HttpInvoker>(
        *client_, FunctionEndpoints{{"auth", url}, {"slow", url}, {"gone", url}, {"fails", url}, {"broken", url}});
  }
  ~HttpInvokerTest() override {
    client_.reset();
    server_.call([this] {
      listener_.reset();
      return 0;
    });
    server_.loop.stop();
  }
  Result<std::string> invoke(const std::string& function, std::int64_t timeout_ms = 5000) {
    std::promise<Result<std::string>> promise;
    invoker_->invoke({function, R"({"a":1})", timeout_ms}, [&](auto answer) { promise.set_value(std::move(answer)); });
    return promise.get_future().get();
  }

  io::TestLoop server_;
  std::atomic<bool> stopping_{false};
  io::HttpHandler handler_ = [](io::HttpRequest& request,
                                io::HttpBody& body) -> boost::asio::awaitable<io::HttpResponse> {
    io::HttpResponse response;
    auto text = co_await io::read_all(body, 1 << 20);
    const std::string& target = request.target;
    if (target.find("/slow/") != std::string::npos) {
      co_await io::sleep_ms(30'000);
    }
    if (target.find("/gone/") != std::string::npos) response.status = 404;
    if (target.find("/broken/") != std::string::npos) response.status = 502;
    if (target.find("/fails/") != std::string::npos) {
      response.headers.add("X-Amz-Function-Error", "Unhandled");
      response.body = R"({"errorMessage":"division by zero","errorType":"ZeroDivisionError"})";
    } else {
      response.body = request.method + " " + target + " " + (text ? *text : "");
    }
    co_return response;
  };
  std::unique_ptr<io::Listener> listener_;
  std::unique_ptr<io::HttpClient> client_;
  std::unique_ptr<HttpInvoker> invoker_;
};

TEST_F(HttpInvokerTest, CallsTheInvokePathOfTheFunctionsEndpoint) {
  auto answer = invoke(arn("auth:live"));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(*answer, R"(POST /2015-03-31/functions/auth/invocations?Qualifier=live {"a":1})");
  EXPECT_TRUE(invoker_->knows(arn("auth")));
  EXPECT_FALSE(invoker_->knows(arn("other")));
}

TEST_F(HttpInvokerTest, EveryFailureHasItsKind) {
  EXPECT_EQ(invoke(arn("other")).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(invoke(arn("gone")).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(invoke("not a function").error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(invoke(arn("slow"), 50).error().kind, ErrorKind::kTimeout);
  EXPECT_EQ(invoke(arn("broken")).error().message, "the function's endpoint answered 502");
  const Error failed = invoke(arn("fails")).error();
  EXPECT_EQ(failed.kind, ErrorKind::kUnavailable);
  EXPECT_EQ(failed.reason, "FunctionError");
  EXPECT_EQ(failed.message, "division by zero");
}

}  // namespace
}  // namespace muster::functions
