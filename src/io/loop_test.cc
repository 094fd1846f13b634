// SPDX-License-Identifier: Apache-2.0
#include "io/loop.h"

#include <gtest/gtest.h>

#include "io/env.h"
#include "io/files.h"
#include "io/loop_test_support.h"
#include "io/stream.h"
#include "io/task.h"

namespace muster::io {
namespace {

namespace asio = boost::asio;

TEST(Loop, RunsPostsOfEachThreadInOrder) {
  TestLoop test;
  constexpr int kPosts = 2000;
  std::vector<int> seen[2];
  auto poster = [&](int which) {
    for (int i = 0; i < kPosts; ++i) test.loop.post([&seen, which, i] { seen[which].push_back(i); });
  };
  std::thread other(poster, 1);
  poster(0);
  other.join();
  test.call([] {});
  for (const auto& list : seen) {
    ASSERT_EQ(list.size(), static_cast<std::size_t>(kPosts));
    EXPECT_TRUE(std::is_sorted(list.begin(), list.end()));
  }
}

TEST(Loop, PostFromTheLoopItselfIsNotInline) {
  TestLoop test;
  bool inline_run = true, ran = false;
  test.call([&] {
    test.loop.post([&ran] { ran = true; });
    inline_run = ran;
  });
  EXPECT_FALSE(inline_run);
  EXPECT_TRUE(test.call([&] { return ran; }));
}

TEST(Loop, RoundEndComesAfterWhatWasReady) {
  std::promise<void> done;  // outlives the loop that fulfils it
  TestLoop test;
  std::string order;
  test.call([&] {
    test.loop.at_round_end([&] {
      order += 'E';
      done.set_value();
    });
    test.loop.post([&] { order += 'a'; });
    test.loop.post([&] {
      order += 'b';
      test.loop.post([&] { order += 'c'; });
    });
  });
  done.get_future().wait();
  EXPECT_EQ(order, "abcE");
}

TEST(Loop, RoundEndCallbackMayAskForAnother) {
  std::promise<void> done;  // outlives the loop that fulfils it
  TestLoop test;
  int rounds = 0;
  std::function<void()> again = [&] {
    if (++rounds < 3) {
      test.loop.at_round_end(again);
    } else {
      done.set_value();
    }
  };
  test.call([&] { test.loop.at_round_end(again); });
  EXPECT_EQ(done.get_future().wait_for(std::chrono::seconds(5)), std::future_status::ready);
}

TEST(Loop, TimersFireInOrderAndNotEarly) {
  std::promise<void> done;  // outlives the loop that fulfils it
  TestLoop test;
  const SystemClock clock;
  std::string order;
  const std::int64_t begin = clock.steady_ms();
  std::int64_t fired_at = 0;
  auto late = test.loop.after_ms(30, [&] {
    order += '2';
    fired_at = clock.steady_ms();
    done.set_value();
  });
  auto early = test.loop.after_ms(5, [&] { order += '1'; });
  ASSERT_EQ(done.get_future().wait_for(std::chrono::seconds(5)), std::future_status::ready);
  EXPECT_EQ(order, "12");
  EXPECT_GE(fired_at - begin, 30);
}

TEST(Loop, DestroyedTokenCancels) {
  std::promise<void> done;  // outlives the loop that fulfils it
  TestLoop test;
  bool fired = false;
  auto token = test.loop.after_ms(5, [&] { fired = true; });
  token.reset();
  auto later = test.loop.after_ms(25, [&] { done.set_value(); });
  done.get_future().wait();
  EXPECT_FALSE(test.call([&] { return fired; }));
}

TEST(Loop, ATimerMayArmAnotherOfZeroDelayForEverWithoutStarvingPosts) {
  TestLoop test;
  std::atomic<bool> stop{false};
  std::unique_ptr<Loop::TimerToken> token;
  std::function<void()> again = [&] {
    if (!stop) token = test.loop.after_ms(0, again);
  };
  test.call([&] { token = test.loop.after_ms(0, again); });
  for (int i = 0; i < 20; ++i) test.call([] {});
  stop = true;
  test.call([&] { token.reset(); });
}

asio::awaitable<void> throwing() {
  throw std::runtime_error("on purpose");
  co_return;
}

TEST(Loop, EscapedExceptionEndsOnlyItsCoroutine) {
  TestLoop test;
  test.loop.spawn(throwing());
  test.loop.post([] { throw std::runtime_error("on purpose too"); });
  EXPECT_EQ(test.call([] { return 7; }), 7);
}

asio::awaitable<void> never(std::shared_ptr<int> held) {
  co_await sleep_ms(3'600'000);
  ++*held;
}

TEST(Loop, StoppingDestroysWhatWaits) {
  auto held = std::make_shared<int>(0);
  {
    TestLoop test;
    test.loop.spawn(never(held));
    test.call([] {});
    EXPECT_EQ(held.use_count(), 2);
  }
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_EQ(*held, 0);
}

asio::awaitable<void> read_for_ever(std::unique_ptr<Stream> stream, std::shared_ptr<int> held) {
  std::array<char, 1> byte{};
  const std::span<char> buffer(byte);
  co_await read_some(*stream, buffer, 0);
  ++*held;
}

TEST(Loop, StoppingDestroysACoroutineThatOwnsWhatItWaitsFor) {
  auto held = std::make_shared<int>(0);
  {
    TestLoop test;
    auto pair = test.call([&] { return memory_pair(test.loop); });
    test.loop.spawn(read_for_ever(std::move(pair.first), held));
    test.call([] {});
    EXPECT_EQ(held.use_count(), 2);
    test.loop.stop();
  }
  EXPECT_EQ(held.use_count(), 1);
}

asio::awaitable<std::pair<bool, int>> run_in_pool(Loop& loop, BlockingPool& pool) {
  const bool there = co_await pool.run([&loop] { return loop.on_this_thread(); });
  const int value = co_await pool.run([] { return 42; });
  co_return std::pair{!there && loop.on_this_thread(), value};
}

TEST(BlockingPool, RunsElsewhereAndResumesOnTheLoop) {
  TestLoop test;
  BlockingPool pool(2);
  const auto [home, value] = test.run(run_in_pool(test.loop, pool));
  EXPECT_TRUE(home);
  EXPECT_EQ(value, 42);
}

asio::awaitable<std::string> catch_from_pool(BlockingPool& pool) {
  try {
    co_await pool.run([]() -> int { throw std::runtime_error("disk"); });
  } catch (const std::exception& error) {
    co_return error.what();
  }
  co_return "none";
}

TEST(BlockingPool, HandsAnExceptionToTheCaller) {
  TestLoop test;
  BlockingPool pool(1);
  EXPECT_EQ(test.run(catch_from_pool(pool)), "disk");
}

asio::awaitable<ErrorKind> ask_pool(BlockingPool& pool) {
  auto answer = co_await pool.run_or_refuse([]() -> Result<int> { return 7; });
  co_return answer ? ErrorKind::kUnset : answer.error().kind;
}

TEST(BlockingPool, RefusesWhenTooMuchWaits) {
  TestLoop test;
  std::promise<void> go_on;
  auto held = go_on.get_future().share();
  BlockingPool pool(1, 1);
  std::promise<void> begun;
  pool.submit([&begun, held] {
    begun.set_value();
    held.wait();
  });
  begun.get_future().wait();
  pool.submit([] {});  // waits: the one that may
  EXPECT_EQ(test.run(ask_pool(pool)), ErrorKind::kThrottled);
  go_on.set_value();
  while (pool.is_full()) std::this_thread::yield();
  EXPECT_EQ(test.run(ask_pool(pool)), ErrorKind::kUnset);
}

TEST(BlockingPool, DestructorFinishesSubmittedWork) {
  std::atomic<int> done{0};
  {
    BlockingPool pool(2);
    for (int i = 0; i < 100; ++i) pool.submit([&] { ++done; });
  }
  EXPECT_EQ(done, 100);
}

}  // namespace
}  // namespace muster::io
