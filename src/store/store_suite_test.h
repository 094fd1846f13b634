// SPDX-License-Identifier: Apache-2.0
// The contract of store.h as tests that every engine passes. An engine's test file includes this once, and calls
// INSTANTIATE_TEST_SUITE_P(name, StoreSuite, ...) with a function that makes an engine.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "io/env.h"
#include "store/keys.h"
#include "store/schema.h"
#include "store/store.h"

namespace muster::store {

class EngineUnderTest {
 public:
  virtual ~EngineUnderTest() = default;
  virtual Store& store() = 0;
  virtual void reopen() = 0;                                 // orderly close and open on the same state
  virtual bool runs_bodies_at_once() const { return true; }  // before run() returns
  virtual bool is_one_process() const { return true; }
  io::VirtualClock clock;
};
using MakeEngine = std::function<std::unique_ptr<EngineUnderTest>()>;

class StoreSuite : public testing::TestWithParam<MakeEngine> {
 protected:
  void SetUp() override { engine_ = GetParam()(); }
  Store& store() { return engine_->store(); }

  void put(const std::string& key, const std::string& value) {
    const Status status = run_blocking(store(), [&](Tx& tx) -> Status {
      tx.put(key, value);
      return {};
    });
    ASSERT_TRUE(status) << status.error().message;
  }
  void erase(const std::string& key) {
    ASSERT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
      tx.erase(key);
      return {};
    }));
  }
  std::optional<std::string> get(const std::string& key) {
    std::optional<std::string> value;
    EXPECT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
      value = tx.get(key);
      return {};
    }));
    return value;
  }
  std::int64_t counter(const std::string& key) {
    std::int64_t value = -1;
    EXPECT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
      value = tx.counter(key);
      return {};
    }));
    return value;
  }
  std::vector<KeyValue> range(RangeOptions options) {
    std::vector<KeyValue> found;
    EXPECT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
      found = tx.range(options);
      return {};
    }));
    return found;
  }
  static std::string keys_of(const std::vector<KeyValue>& entries) {
    std::string names;
    for (const auto& entry : entries) names += KeyReader(entry.key).text().value_or("?") + "=" + entry.value + " ";
    return names;
  }
  static std::string record(std::string_view name) { return Key(table::kThing).text(name).str(); }
  static std::string index(std::string_view name) { return Key(table::kGroupMember).text(name).str(); }
  static std::string tally(std::string_view name) { return Key(table::kJobCount).text(name).str(); }
  static std::string all_of(char tag) { return std::string(1, tag); }

  std::unique_ptr<EngineUnderTest> engine_;
};

TEST_P(StoreSuite, what_was_put_is_read_and_survives_reopening) {
  put(record("a"), "1");
  put(record("b"), std::string("\0\xff binary", 9));
  EXPECT_EQ(get(record("a")), "1");
  EXPECT_EQ(get(record("c")), std::nullopt);
  engine_->reopen();
  EXPECT_EQ(get(record("a")), "1");
  EXPECT_EQ(get(record("b")), std::string("\0\xff binary", 9));
  erase(record("a"));
  EXPECT_EQ(get(record("a")), std::nullopt);
  engine_->reopen();
  EXPECT_EQ(get(record("a")), std::nullopt);
}

TEST_P(StoreSuite, an_empty_value_is_not_an_absent_one) {
  put(index("a"), "");
  EXPECT_EQ(get(index("a")), "");
}

TEST_P(StoreSuite, a_transaction_sees_its_own_writes) {
  put(record("a"), "old");
  put(record("b"), "old");
  ASSERT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
    tx.put(record("a"), "new");
    tx.erase(record("b"));
    tx.put(record("c"), "new");
    EXPECT_EQ(tx.get(record("a")), "new");
    EXPECT_EQ(tx.get_snapshot(record("a")), "new");
    EXPECT_EQ(tx.get(record("b")), std::nullopt);
    const auto many = tx.get_many({record("c"), record("b"), record("d"), record("a")});
    EXPECT_EQ(many, (std::vector<std::optional<std::string>>{"new", std::nullopt, std::nullopt, "new"}));
    tx.put(record("b"), "again");
    EXPECT_EQ(tx.get(record("b")), "again");
    return {};
  }));
  EXPECT_EQ(get(record("b")), "again");
}

TEST_P(StoreSuite, get_many_answers_in_the_order_of_the_question) {
  put(record("a"), "1");
  put(record("b"), "2");
  ASSERT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
    const auto many = tx.get_many({record("b"), record("x"), record("a"), record("b")});
    EXPECT_EQ(many, (std::vector<std::optional<std::string>>{"2", std::nullopt, "1", "2"}));
    EXPECT_TRUE(tx.get_many({}).empty());
    return {};
  }));
}

TEST_P(StoreSuite, an_error_of_the_body_comes_back_unchanged_and_writes_nothing) {
  const Status status = run_blocking(store(), [&](Tx& tx) -> Status {
    tx.put(record("a"), "1");
    tx.add(tally("a"), 1);
    tx.append(all_of(table::kOutbox), "message");
    return Error{ErrorKind::kTerminalState, "ended", "reason", {{"executionState", "FAILED"}}};
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kTerminalState);
  EXPECT_EQ(status.error().message, "ended");
  EXPECT_EQ(status.error().reason, "reason");
  EXPECT_EQ(status.error().fields.at("executionState").as_string(), "FAILED");
  EXPECT_EQ(get(record("a")), std::nullopt);
  EXPECT_EQ(counter(tally("a")), 0);
  EXPECT_TRUE(range({all_of(table::kOutbox), after_prefix(all_of(table::kOutbox))}).empty());
}

TEST_P(StoreSuite, ranges_go_both_ways_with_limits_over_own_and_committed_entries) {
  for (const auto* name : {"a", "b", "c", "e", "f"}) put(index(name), "old");
  put(record("z"), "elsewhere");
  const RangeOptions all{all_of(table::kGroupMember), after_prefix(all_of(table::kGroupMember))};
  EXPECT_EQ(keys_of(range(all)), "a=old b=old c=old e=old f=old ");
  RangeOptions page = all;
  page.limit = 2;
  EXPECT_EQ(keys_of(range(page)), "a=old b=old ");
  page.begin = after_key(index("b"));
  EXPECT_EQ(keys_of(range(page)), "c=old e=old ");
  page = all;
  page.reverse = true;
  page.limit = 2;
  EXPECT_EQ(keys_of(range(page)), "f=old e=old ");
  page.end = index("e");
  EXPECT_EQ(keys_of(range(page)), "c=old b=old ");
  EXPECT_EQ(keys_of(range({index("b"), index("f")})), "b=old c=old e=old ");
  EXPECT_TRUE(range({index("b"), index("b")}).empty());
  EXPECT_TRUE(range({index("f"), index("b")}).empty());

  ASSERT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
    tx.erase(index("a"));
    tx.put(index("b"), "new");
    tx.put(index("d"), "new");
    tx.erase(index("f"));
    tx.put(index("g"), "new");
    EXPECT_EQ(keys_of(tx.range(all)), "b=new c=old d=new e=old g=new ");
    RangeOptions some = all;
    some.limit = 2;
    EXPECT_EQ(keys_of(tx.range(some)), "b=new c=old ");
    some.reverse = true;
    EXPECT_EQ(keys_of(tx.range(some)), "g=new e=old ");
    some.limit = 0;
    EXPECT_TRUE(tx.range(some).empty());
    some.limit = 3;
    some.snapshot = true;
    EXPECT_EQ(keys_of(tx.range(some)), "g=new e=old d=new ");
    return {};
  }));
  EXPECT_EQ(keys_of(range(all)), "b=new c=old d=new e=old g=new ");
  engine_->reopen();
  EXPECT_EQ(keys_of(range(all)), "b=new c=old d=new e=old g=new ");
}

TEST_P(StoreSuite, a_range_may_span_tables) {
  put(record("a"), "1");                              // H
  put(index("b"), "2");                               // J
  put(Key(table::kThingGroup).text("c").str(), "3");  // I
  for (const bool reopened : {false, true}) {
    EXPECT_EQ(keys_of(range({"A", "Z"})), "a=1 c=3 b=2 ");
    EXPECT_EQ(keys_of(range({.begin = "A", .end = "Z", .reverse = true})), "b=2 c=3 a=1 ");
    EXPECT_EQ(keys_of(range({.begin = "A", .end = "Z", .limit = 2})), "a=1 c=3 ");
    EXPECT_EQ(keys_of(range({.begin = "A", .end = "Z", .limit = 2, .reverse = true})), "b=2 c=3 ");
    EXPECT_EQ(keys_of(range({.begin = "A", .end = "J"})), "a=1 c=3 ");
    if (!reopened) engine_->reopen();
  }
}

TEST_P(StoreSuite, appended_entries_stand_in_commit_order) {
  const std::string queue = Key(table::kSessionQueue).text("client").str();
  for (int commit = 0; commit < 5; ++commit) {
    ASSERT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
      for (int place = 0; place < 3; ++place) tx.append(queue, std::to_string(commit) + "." + std::to_string(place));
      return {};
    }));
    if (commit == 2) engine_->reopen();
  }
  std::string order;
  for (const auto& entry : range({queue, after_prefix(queue)})) {
    order += entry.value + " ";
    KeyReader key(entry.key);
    EXPECT_EQ(key.text(), "client");
    EXPECT_TRUE(key.integer());
    EXPECT_TRUE(key.integer());
    EXPECT_TRUE(key.rest().empty());
  }
  EXPECT_EQ(order, "0.0 0.1 0.2 1.0 1.1 1.2 2.0 2.1 2.2 3.0 3.1 3.2 4.0 4.1 4.2 ");
}

TEST_P(StoreSuite, counters_add_up_and_survive) {
  ASSERT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
    tx.add(tally("a"), 5);
    tx.add(tally("a"), -2);
    tx.add(tally("b"), -7);
    EXPECT_EQ(tx.counter(tally("a")), 3);
    return {};
  }));
  EXPECT_EQ(counter(tally("a")), 3);
  EXPECT_EQ(counter(tally("none")), 0);
  engine_->reopen();
  EXPECT_EQ(counter(tally("a")), 3);
  EXPECT_EQ(counter(tally("b")), -7);
  ASSERT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
    tx.add(tally("a"), 100);
    tx.erase_counter(tally("a"));
    EXPECT_EQ(tx.counter(tally("a")), 0);
    tx.add(tally("a"), 1);
    EXPECT_EQ(tx.counter(tally("a")), 1);
    tx.erase_counter(tally("b"));
    return {};
  }));
  EXPECT_EQ(counter(tally("a")), 1);
  engine_->reopen();
  EXPECT_EQ(counter(tally("a")), 1);
  EXPECT_EQ(counter(tally("b")), 0);
}

TEST_P(StoreSuite, a_changed_read_runs_the_body_again) {
  put(record("a"), "1");
  int runs = 0;
  ASSERT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
    const auto seen = tx.get(record("a"));
    if (runs++ == 0) put(record("a"), "2");
    tx.put(record("copy"), *seen);
    return {};
  }));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(get(record("copy")), "2");
}

TEST_P(StoreSuite, an_absent_key_that_appears_runs_the_body_again) {
  int runs = 0;
  ASSERT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
    const bool absent = !tx.get_many({record("x"), record("a")})[1];
    if (runs++ == 0) put(record("a"), "taken");
    if (absent) tx.put(record("a"), "mine");
    return {};
  }));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(get(record("a")), "taken");
}

TEST_P(StoreSuite, an_error_drawn_from_a_changed_read_is_not_released) {
  int runs = 0;
  const Status status = run_blocking(store(), [&](Tx& tx) -> Status {
    const bool found = tx.get(record("a")).has_value();
    if (runs++ == 0) put(record("a"), "here");
    tx.get(record("b"));  // a second read: one alone would be true of its moment
    if (!found) return not_found("gone");
    return {};
  });
  EXPECT_TRUE(status);
  EXPECT_EQ(runs, 2);
}

TEST_P(StoreSuite, a_phantom_in_a_range_runs_the_body_again) {
  put(index("a"), "");
  const RangeOptions all{index("a"), index("z")};
  int runs = 0;
  std::size_t count = 0;
  ASSERT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
    count = tx.range(all).size();
    if (runs++ == 0) put(index("m"), "");
    tx.put(record("count"), std::to_string(count));
    return {};
  }));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(get(record("count")), "2");
}

TEST_P(StoreSuite, an_entry_erased_from_a_range_runs_the_body_again) {
  put(index("a"), "");
  put(index("b"), "");
  int runs = 0;
  ASSERT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
    const auto found = tx.range({.begin = index("a"), .end = index("z"), .reverse = true});
    if (runs++ == 0) erase(index("b"));
    tx.put(record("count"), std::to_string(found.size()));
    return {};
  }));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(get(record("count")), "1");
}

TEST_P(StoreSuite, what_lies_behind_a_full_page_does_not_conflict) {
  for (const auto* name : {"b", "c", "d", "e"}) put(index(name), "");
  for (const bool reverse : {false, true}) {
    int runs = 0;
    ASSERT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
      const auto found = tx.range({.begin = index("a"), .end = index("z"), .limit = 2, .reverse = reverse});
      EXPECT_EQ(found.size(), 2U);
      if (runs++ == 0) put(index(reverse ? "bb" : "dd"), "");
      tx.put(record("x"), "");
      return {};
    }));
    EXPECT_EQ(runs, 1);
  }
}

TEST_P(StoreSuite, snapshot_reads_and_counters_do_not_conflict) {
  put(record("a"), "1");
  int runs = 0;
  ASSERT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
    tx.get_snapshot(record("a"));
    tx.range({.begin = all_of(table::kThing), .end = all_of(table::kThingGroup), .snapshot = true});
    tx.counter(tally("n"));
    tx.add(tally("n"), 1);
    if (runs++ == 0) {
      put(record("a"), "2");
      EXPECT_TRUE(run_blocking(store(), [&](Tx& other) -> Status {
        other.add(tally("n"), 10);
        return {};
      }));
    }
    tx.put(record("b"), "1");
    return {};
  }));
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(counter(tally("n")), 11);
}

TEST_P(StoreSuite, blind_writes_do_not_conflict) {
  int runs = 0;
  ASSERT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
    tx.put(record("a"), "late");
    if (runs++ == 0) put(record("a"), "early");
    return {};
  }));
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(get(record("a")), "late");
}

TEST_P(StoreSuite, a_body_that_always_conflicts_ends_in_conflict) {
  put(record("a"), "0");
  int runs = 0;
  const Status status = run_blocking(store(), [&](Tx& tx) -> Status {
    tx.get(record("a"));
    put(record("a"), std::to_string(++runs));
    tx.put(record("b"), "");
    return {};
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kConflict);
  EXPECT_LT(runs, 1000);
  EXPECT_EQ(get(record("b")), std::nullopt);
}

TEST_P(StoreSuite, the_clock_of_a_body_is_the_stores) {
  engine_->clock.advance_ms(12'345);
  ASSERT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
    EXPECT_EQ(tx.now_ms(), engine_->clock.now_ms());
    engine_->clock.advance_ms(5);
    EXPECT_EQ(tx.now_ms(), engine_->clock.now_ms() - 5);
    return {};
  }));
}

TEST_P(StoreSuite, a_throwing_body_ends_one_transaction) {
  const Status status = run_blocking(store(), [&](Tx& tx) -> Status {
    tx.put(record("a"), "1");
    throw std::runtime_error("bug");
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kInternal);
  EXPECT_EQ(get(record("a")), std::nullopt);
}

TEST_P(StoreSuite, keys_and_values_beyond_the_bounds_are_refused) {
  std::string key = record(std::string(kMaxKeyBytes - 2, '\x80'));
  ASSERT_EQ(key.size(), kMaxKeyBytes);
  for (std::size_t i = 1; i + 1 < key.size(); ++i) key[i] = static_cast<char>(i * 7919 % 255 + 1);  // does not compress
  put(key, "fits");
  EXPECT_EQ(get(key), "fits");
  const auto refuse = [&](const std::string& bad_key, std::size_t value_bytes, ErrorKind kind) {
    const Status status = run_blocking(store(), [&](Tx& tx) -> Status {
      tx.put(record("other"), "");
      tx.put(bad_key, std::string(value_bytes, 'v'));
      return {};
    });
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().kind, kind);
  };
  refuse(key + "x", 0, ErrorKind::kTooLarge);
  refuse(record("a"), kMaxValueBytes + 1, ErrorKind::kTooLarge);
  refuse("", 0, ErrorKind::kInternal);
  refuse("\x01unknown table", 0, ErrorKind::kInternal);
  refuse(tally("a"), 0, ErrorKind::kInternal);
  EXPECT_EQ(get(record("other")), std::nullopt);
  put(record("big"), std::string(1 << 20, 'v'));
  EXPECT_EQ(get(record("big"))->size(), std::size_t{1} << 20);
}

TEST_P(StoreSuite, the_change_feed_tells_the_written_keys_of_its_tables_before_the_done) {
  if (!engine_->is_one_process()) GTEST_SKIP() << "a feed tells what its own process wrote";
  std::mutex mutex;
  std::vector<std::string> told;
  store().changes().subscribe(record("").substr(0, 1), [&](const std::vector<std::string>& keys) {
    const std::lock_guard lock(mutex);
    told.insert(told.end(), keys.begin(), keys.end());
  });
  put(record("a"), "1");
  EXPECT_THAT(told, testing::ElementsAre(record("a")));
  (void)run_blocking(store(), [&](Tx& tx) -> Status {
    tx.put(record("refused"), "");
    return invalid("no");
  });
  (void)run_blocking(store(), [&](Tx& tx) -> Status {
    tx.erase(record("a"));
    tx.add(tally("all"), 1);
    return {};
  });
  EXPECT_THAT(told, testing::ElementsAre(record("a"), record("a")));
}

TEST_P(StoreSuite, every_done_is_called_once) {
  constexpr int kThreads = 4, kEach = 50;
  std::atomic<int> done = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        store().run(
            [&, t, i](Tx& tx) -> Status {
              tx.put(record(std::to_string(t)), std::to_string(i));
              tx.add(tally("all"), 1);
              if (i % 10 == 9) return invalid("every tenth");
              return {};
            },
            [&](const Status&) { ++done; });
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(store().flush());
  EXPECT_EQ(done.load(), kThreads * kEach);
  EXPECT_EQ(counter(tally("all")), kThreads * kEach * 9 / 10);
}

}  // namespace muster::store
