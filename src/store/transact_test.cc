// SPDX-License-Identifier: Apache-2.0
#include "store/transact.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <thread>

#include "store/memory_engine.h"

namespace muster::store {
namespace {

constexpr auto kNoOneAsks = [](const std::exception_ptr& failure) { EXPECT_FALSE(failure); };

boost::asio::awaitable<void> put_and_read(Store& store, std::string key, std::thread::id home, int& ended) {
  auto written = co_await transact(store, [key](Tx& tx) -> Result<std::string> {
    tx.put(key, "v");
    return key;
  });
  EXPECT_TRUE(written);
  EXPECT_EQ(*written, key);
  EXPECT_EQ(std::this_thread::get_id(), home);
  auto read = co_await transact(store, [key](Tx& tx) -> Result<std::string> {
    auto value = tx.get(key);
    if (!value) return not_found("gone");
    return *value;
  });
  EXPECT_TRUE(read);
  auto refused = co_await transact(store, [](Tx&) -> Result<int> { return invalid("no"); });
  EXPECT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(std::this_thread::get_id(), home);
  ++ended;
}

TEST(Transact, decided_at_once) {
  io::VirtualClock clock;
  auto store = make_memory_store(clock);
  boost::asio::io_context context;
  int ended = 0;
  boost::asio::co_spawn(context, put_and_read(*store, "Ha", std::this_thread::get_id(), ended), kNoOneAsks);
  context.run();
  EXPECT_EQ(ended, 1);
}

TEST(Transact, completions_from_another_thread_resume_on_the_coroutines_executor) {
  io::VirtualClock clock;
  auto store = make_memory_store(clock, {.sync_at_once = false});
  boost::asio::io_context context;
  constexpr int kCount = 200;
  int ended = 0;
  std::atomic<bool> stop = false;
  for (int i = 0; i < kCount; ++i) {
    boost::asio::co_spawn(context, put_and_read(*store, "H" + std::to_string(i), std::this_thread::get_id(), ended),
                          kNoOneAsks);
  }
  std::thread flusher([&] {
    while (!stop) {
      store->flush();
      std::this_thread::yield();
    }
  });
  context.run();  // ends only when every coroutine has: the waiting ones keep it running
  stop = true;
  flusher.join();
  EXPECT_EQ(ended, kCount);
}

}  // namespace
}  // namespace muster::store
