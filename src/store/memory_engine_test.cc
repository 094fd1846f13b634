// SPDX-License-Identifier: Apache-2.0
#include "store/memory_engine.h"

#include <gtest/gtest.h>

namespace muster::store {
namespace {

Store::Body put(std::string key, std::string value) {
  return [=](Tx& tx) -> Status {
    tx.put(key, value);
    tx.add("fcount", 1);
    return {};
  };
}

TEST(MemoryEngine, refused_commits_change_nothing_and_repeat_with_the_seed) {
  io::VirtualClock clock;
  const auto outcomes = [&] {
    auto store = make_memory_store(clock, {.seed = 7, .refuse = 0.5});
    std::string text;
    std::size_t accepted = 0;
    for (int i = 0; i < 40; ++i) {
      const Status status = run_blocking(*store, put("H" + std::to_string(i), "x"));
      if (!status) EXPECT_EQ(status.error().kind, ErrorKind::kUnavailable);
      text += status ? '1' : '0';
      accepted += status.has_value();
    }
    EXPECT_EQ(store->size(), accepted);
    return text;
  };
  const std::string first = outcomes();
  EXPECT_NE(first.find('0'), std::string::npos);
  EXPECT_NE(first.find('1'), std::string::npos);
  EXPECT_EQ(first, outcomes());
}

TEST(MemoryEngine, spurious_conflicts_run_bodies_again) {
  io::VirtualClock clock;
  auto store = make_memory_store(clock, {.conflict = 0.5});
  int runs = 0;
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(run_blocking(*store, [&](Tx& tx) -> Status {
      ++runs;
      tx.put("H", std::to_string(std::stoi(tx.get("H").value_or("0")) + 1));
      return {};
    }));
  }
  EXPECT_GT(runs, 60);
  ASSERT_TRUE(run_blocking(*store, [&](Tx& tx) -> Status {
    EXPECT_EQ(tx.get("H"), "50");
    return {};
  }));
}

TEST(MemoryEngine, a_crash_takes_back_what_was_not_synced) {
  io::VirtualClock clock;
  auto store = make_memory_store(clock, {.sync_at_once = false});
  int kept = 0, lost = 0;
  const auto count = [&](const Status& status) { ++(status ? kept : lost); };
  store->run(put("Ha", "1"), count);
  EXPECT_EQ(kept, 0);
  EXPECT_TRUE(store->flush());
  EXPECT_EQ(kept, 1);
  store->run(put("Ha", "2"), count);
  store->run(put("Hb", "2"), count);
  store->run(
      [](Tx& tx) -> Status {
        EXPECT_EQ(tx.get("Ha"), "2");  // visible, but not released
        return {};
      },
      count);
  store->crash();
  EXPECT_EQ(kept, 1);
  EXPECT_EQ(lost, 3);
  ASSERT_TRUE(run_blocking(*store, [&](Tx& tx) -> Status {
    EXPECT_EQ(tx.get("Ha"), "1");
    EXPECT_EQ(tx.get("Hb"), std::nullopt);
    EXPECT_EQ(tx.counter("fcount"), 1);
    return {};
  }));
}

}  // namespace
}  // namespace muster::store
