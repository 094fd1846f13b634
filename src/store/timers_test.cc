// SPDX-License-Identifier: Apache-2.0
#include "store/timers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>

#include "store/memory_engine.h"

namespace muster::store {
namespace {

class TimersTest : public testing::Test {
 protected:
  void SetUp() override { start(); }
  void start() {
    timers_ = std::make_unique<Timers>(*store_, [this] { return clock_.now_ms(); });
    timers_->handle("job", [](Tx& tx, std::string_view id, std::string_view payload, std::function<void()>&) -> Status {
      if (id == "bad") return invalid("handler says no");
      tx.add("fcount", 1);
      tx.put("Hfired", tx.get("Hfired").value_or("") + std::string(id) + ":" + std::string(payload) + " ");
      if (id == "again") arm(tx, "job", id, tx.now_ms() + 10, payload);
      if (id == "past") arm(tx, "job", id, tx.now_ms() - 10, payload);
      return {};
    });
  }
  void in_tx(const std::function<void(Tx&)>& work) {
    ASSERT_TRUE(run_blocking(*store_, [&](Tx& tx) -> Status {
      work(tx);
      return {};
    }));
  }
  void arm_in(std::string_view id, std::int64_t in_ms, std::string_view payload = "") {
    in_tx([&](Tx& tx) { arm(tx, "job", id, tx.now_ms() + in_ms, payload); });
  }
  std::string fired() {
    std::string text;
    in_tx([&](Tx& tx) {
      text = tx.get("Hfired").value_or("");
      tx.erase("Hfired");
    });
    return text;
  }

  io::VirtualClock clock_;
  std::unique_ptr<MemoryStore> store_ = make_memory_store(clock_);
  std::unique_ptr<Timers> timers_;
};

TEST_F(TimersTest, due_timers_fire_once_in_order) {
  EXPECT_EQ(timers_->fire_due(), -1);
  arm_in("b", 200, "2");
  arm_in("a", 100, "1");
  arm_in("c", 300, "3");
  EXPECT_EQ(timers_->fire_due(), clock_.now_ms() + 100);
  EXPECT_EQ(fired(), "");
  clock_.advance_ms(200);
  EXPECT_EQ(timers_->fire_due(), clock_.now_ms() + 100);
  EXPECT_EQ(fired(), "a:1 b:2 ");
  clock_.advance_ms(100);
  EXPECT_EQ(timers_->fire_due(), -1);
  EXPECT_EQ(fired(), "c:3 ");
  EXPECT_EQ(store_->size(), 0U);
}

TEST_F(TimersTest, arming_again_moves_and_disarming_removes) {
  arm_in("a", 100, "old");
  arm_in("a", 500, "new");
  arm_in("b", 100);
  in_tx([](Tx& tx) { disarm(tx, "job", "b"); });
  in_tx([](Tx& tx) { disarm(tx, "job", "never armed"); });
  clock_.advance_ms(200);
  EXPECT_EQ(timers_->fire_due(), clock_.now_ms() + 300);
  EXPECT_EQ(fired(), "");
  clock_.advance_ms(300);
  timers_->fire_due();
  EXPECT_EQ(fired(), "a:new ");
  EXPECT_EQ(store_->size(), 0U);
}

TEST_F(TimersTest, a_handler_may_arm_its_timer_again_even_for_the_past) {
  arm_in("again", 0);
  arm_in("past", 0);
  EXPECT_EQ(timers_->fire_due(), clock_.now_ms() - 10);
  EXPECT_EQ(fired(), "again: past: ");
  clock_.advance_ms(10);
  timers_->fire_due();
  EXPECT_EQ(fired(), "past: again: ");
}

TEST_F(TimersTest, a_failing_handler_is_tried_again_after_a_minute_and_stops_nobody) {
  arm_in("bad", 0, "p");
  arm_in("good", 0);
  EXPECT_EQ(timers_->fire_due(), clock_.now_ms() + 60'000);
  EXPECT_EQ(fired(), "good: ");
  clock_.advance_ms(60'000);
  EXPECT_EQ(timers_->fire_due(), clock_.now_ms() + 60'000);
}

TEST_F(TimersTest, a_kind_without_handler_stays_armed) {
  in_tx([](Tx& tx) { arm(tx, "unknown", "x", tx.now_ms(), "keep"); });
  timers_->fire_due();
  clock_.advance_ms(60'000);
  timers_->handle("unknown", [](Tx& tx, std::string_view, std::string_view payload, std::function<void()>&) -> Status {
    tx.put("Hfired", payload);
    return {};
  });
  timers_->fire_due();
  EXPECT_EQ(fired(), "keep");
}

TEST_F(TimersTest, timers_survive_a_restart_and_effects_happen_once_in_spite_of_conflicts) {
  constexpr int kCount = 1000;
  for (int i = 0; i < kCount; ++i) arm_in(std::to_string(i), i % 7);
  clock_.advance_ms(10);
  store_->crash();
  store_->set_faults({.seed = 3, .conflict = 0.3});
  start();
  timers_->fire_due();
  in_tx([&](Tx& tx) { EXPECT_EQ(tx.counter("fcount"), kCount); });
}

TEST_F(TimersTest, a_refusing_store_leaves_timers_armed) {
  arm_in("a", 0);
  store_->set_faults({.refuse = 1});
  EXPECT_GT(timers_->fire_due(), clock_.now_ms());
  store_->set_faults({});
  EXPECT_EQ(fired(), "");
  timers_->fire_due();
  EXPECT_EQ(fired(), "a: ");
}

TEST_F(TimersTest, the_thread_fires_what_is_due) {
  std::mutex mutex;
  std::condition_variable changed;
  bool rang = false;
  timers_->handle("ring", [&](Tx&, std::string_view, std::string_view, std::function<void()>&) -> Status {
    const std::lock_guard lock(mutex);
    rang = true;
    changed.notify_all();
    return {};
  });
  timers_->start_thread();
  in_tx([](Tx& tx) { arm(tx, "ring", "x", tx.now_ms()); });
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), [&] { return rang; }));
}

}  // namespace
}  // namespace muster::store
