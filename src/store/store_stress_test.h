// SPDX-License-Identifier: Apache-2.0
// Serialisability under threads, for every engine: transfers keep the sum, on-call doctors never all leave (write
// skew), and numbers handed out by counting a range have no gaps and no twins (phantoms). Each would fail with weaker
// isolation.
#pragma once

#include <random>

#include "store/store_suite_test.h"

namespace muster::store {

class StoreStress : public StoreSuite {
 protected:
  static constexpr int kThreads = 4;
  int rounds_ = 150;

  // The contention of these tests is far above any real one; a bounded retry may give up, the caller then tries again.
  void insist(const Store::Body& body) {
    for (int tries = 0; tries < 100; ++tries) {
      const Status status = run_blocking(store(), body);
      if (status) return;
      ASSERT_EQ(status.error().kind, ErrorKind::kConflict) << status.error().message;
    }
    FAIL() << "no progress";
  }
  void in_threads(const std::function<void(int, std::mt19937&)>& work) {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(static_cast<unsigned>(t) + 1);
        for (int i = 0; i < rounds_; ++i) work(t, random);
      });
    }
    for (auto& thread : threads) thread.join();
  }
};

TEST_P(StoreStress, transfers_keep_the_sum_for_every_reader) {
  constexpr int kAccounts = 6, kEach = 100;
  const auto account = [](int n) { return record("account" + std::to_string(n)); };
  for (int n = 0; n < kAccounts; ++n) put(account(n), std::to_string(kEach));
  const auto sum = [&](Tx& tx) {
    int total = 0;
    for (const auto& entry : tx.range({record("account"), record("accounu")})) total += std::stoi(entry.value);
    return total;
  };
  in_threads([&](int thread, std::mt19937& random) {
    if (thread == 0) {
      int total = 0;
      insist([&](Tx& tx) -> Status {
        total = sum(tx);
        return {};
      });
      EXPECT_EQ(total, kAccounts * kEach);
      return;
    }
    const int from = static_cast<int>(random() % kAccounts), to = static_cast<int>(random() % kAccounts);
    const int amount = static_cast<int>(random() % 20);
    insist([&](Tx& tx) -> Status {
      const int a = std::stoi(tx.get(account(from)).value_or("0"));
      if (a < amount || from == to) return {};
      std::this_thread::yield();
      const int b = std::stoi(tx.get(account(to)).value_or("0"));
      tx.put(account(from), std::to_string(a - amount));
      tx.put(account(to), std::to_string(b + amount));
      return {};
    });
  });
  engine_->reopen();
  ASSERT_TRUE(run_blocking(store(), [&](Tx& tx) -> Status {
    EXPECT_EQ(sum(tx), kAccounts * kEach);
    return {};
  }));
}

TEST_P(StoreStress, one_of_two_stays_on_call) {
  put(record("doctor0"), "on");
  put(record("doctor1"), "on");
  std::atomic<int> both_off = 0, left = 0;
  in_threads([&](int thread, std::mt19937& random) {
    const std::string me = record("doctor" + std::to_string(thread % 2));
    const std::string other = record("doctor" + std::to_string(1 - thread % 2));
    if (random() % 2 == 0) {
      insist([&](Tx& tx) -> Status {
        const bool covered = tx.get(other) == "on";
        std::this_thread::yield();
        if (covered) tx.put(me, "off");
        return {};
      });
      ++left;
    } else {
      insist([&](Tx& tx) -> Status {
        tx.put(me, "on");
        return {};
      });
    }
    bool none = false;
    insist([&](Tx& tx) -> Status {
      none = tx.get(me) == "off";
      std::this_thread::yield();
      none = none && tx.get(other) == "off";
      return {};
    });
    if (none) ++both_off;
  });
  EXPECT_EQ(both_off.load(), 0);
  EXPECT_GT(left.load(), 0);
}

TEST_P(StoreStress, numbers_from_counting_a_range_have_no_twins) {
  rounds_ = 50;
  const RangeOptions all{.begin = index(""), .end = index("\xff"), .limit = 10'000};
  in_threads([&](int thread, std::mt19937& random) {
    const std::string name = index(std::to_string(random()) + "." + std::to_string(thread));
    insist([&](Tx& tx) -> Status {
      tx.put(name, std::to_string(tx.range(all).size()));
      std::this_thread::yield();
      tx.add(tally("members"), 1);
      return {};
    });
  });
  std::set<int> numbers;
  const auto members = range(all);
  for (const auto& member : members) numbers.insert(std::stoi(member.value));
  EXPECT_EQ(numbers.size(), members.size());
  EXPECT_EQ(members.size(), static_cast<std::size_t>(kThreads * rounds_));
  EXPECT_EQ(*numbers.rbegin(), kThreads * rounds_ - 1);
  EXPECT_EQ(counter(tally("members")), kThreads * rounds_);
}

TEST_P(StoreStress, appends_of_many_threads_keep_each_threads_order) {
  const std::string queue = all_of(table::kOutbox);
  std::array<int, kThreads> next{};
  in_threads([&](int thread, std::mt19937&) {
    const std::string text = std::to_string(thread) + " " + std::to_string(next[static_cast<std::size_t>(thread)]++);
    insist([&](Tx& tx) -> Status {
      tx.append(queue, text);
      tx.append(queue, text + " second");
      return {};
    });
  });
  std::array<int, kThreads> seen{};
  const auto entries = range({.begin = queue, .end = after_prefix(queue), .limit = 100'000});
  ASSERT_EQ(entries.size(), static_cast<std::size_t>(2 * kThreads * rounds_));
  for (std::size_t i = 0; i < entries.size(); i += 2) {
    const auto thread = static_cast<std::size_t>(entries[i].value[0] - '0');
    EXPECT_EQ(entries[i].value, std::to_string(thread) + " " + std::to_string(seen[thread]++));
    EXPECT_EQ(entries[i + 1].value, entries[i].value + " second");
  }
}

}  // namespace muster::store
