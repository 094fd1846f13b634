// SPDX-License-Identifier: Apache-2.0
// The coroutine forms that g++ 12.2 miscompiles or rejects. A compiler that fails one of these must not build Muster.
#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace {

namespace asio = boost::asio;
using muster::Result;

struct Options {
  std::string name;
  std::vector<std::string> items;
};

asio::awaitable<void> hop() {
  auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, asio::use_awaitable);
}

asio::awaitable<std::size_t> take(Options options) {
  co_await hop();
  co_return options.name.size() + options.items.size();
}

asio::awaitable<std::string> text(int n) {
  co_await hop();
  co_return std::string(static_cast<std::size_t>(n), 'x');
}

asio::awaitable<int> number(int n) {
  co_await hop();
  co_return n;
}

asio::awaitable<Result<std::string>> result(bool ok) {
  co_await hop();
  if (!ok) co_return muster::not_found("a name longer than any small-string buffer would hold");
  co_return std::string(64, 'r');
}

template <class F>
void run(F body) {
  asio::io_context context;
  bool done = false;
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        co_await body();
        done = true;
      },
      asio::detached);
  context.run();
  EXPECT_TRUE(done);
}

const std::string kLong = "a name longer than any small-string buffer would hold";

TEST(Coroutine, AggregateTemporaryIsFreedOnce) {
  run([]() -> asio::awaitable<void> {
    for (int i = 0; i < 100; ++i) {
      std::size_t n = co_await take(Options{.name = kLong, .items = {kLong, kLong}});
      EXPECT_EQ(n, kLong.size() + 2);
    }
  });
}

TEST(Coroutine, AwaitInsideAConditional) {
  run([]() -> asio::awaitable<void> {
    for (int i = 0; i < 100; ++i) {
      std::string s = i % 2 ? co_await text(40) : co_await text(50);
      EXPECT_EQ(s.size(), i % 2 ? 40u : 50u);
    }
  });
}

TEST(Coroutine, AwaitInsideAnAggregate) {
  run([]() -> asio::awaitable<void> {
    Options options{.name = co_await text(48), .items = {}};
    EXPECT_EQ(options.name.size(), 48u);
  });
}

TEST(Coroutine, AwaitInASwitch) {
  run([]() -> asio::awaitable<void> {
    int seen = 0;
    switch (co_await number(2)) {
      case 1:
        seen = 1;
        break;
      case 2:
        seen = 2;
        break;
      default:
        seen = 3;
    }
    EXPECT_EQ(seen, 2);
  });
}

TEST(Coroutine, AwaitInAConditionOfABodyWithoutVariables) {
  run([]() -> asio::awaitable<void> {
    if (co_await number(1)) {
      while ((co_await number(0)) != 0) ADD_FAILURE();
    }
  });
}

TEST(Coroutine, LambdaCapturingByCopyInsideAnAwaitedCall) {
  auto call = [](std::function<std::string()> f) -> asio::awaitable<std::string> {
    co_await hop();
    co_return f();
  };
  run([&]() -> asio::awaitable<void> {
    std::string captured = kLong;
    std::string got = co_await call([captured] { return captured + captured; });
    EXPECT_EQ(got.size(), 2 * kLong.size());
  });
}

asio::awaitable<Result<std::size_t>> through(bool ok) {
  CO_TRY(auto value, co_await result(ok));
  co_return value.size();
}

TEST(Coroutine, TryPassesValueAndError) {
  run([]() -> asio::awaitable<void> {
    auto good = co_await through(true);
    EXPECT_TRUE(good);
    auto bad = co_await through(false);
    EXPECT_FALSE(bad);
    EXPECT_EQ(bad.error().message, kLong);
  });
}

}  // namespace
