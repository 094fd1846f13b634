// SPDX-License-Identifier: Apache-2.0
#include "store/outbox.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "store/keys.h"
#include "store/memory_engine.h"
#include "store/schema.h"

namespace muster::store {
namespace {

// Records what it is given; says "handled" at once, or when told to.
class Recorder {
 public:
  explicit Recorder(bool at_once = true) : at_once_(at_once) {}
  Publisher publisher() {
    return [this](std::vector<OutboxMessage> batch, std::function<void()> handled) {
      std::unique_lock lock(mutex_);
      for (auto& message : batch) messages_.push_back(std::move(message));
      changed_.notify_all();
      if (at_once_) {
        lock.unlock();
        handled();
      } else {
        held_.push_back(std::move(handled));
      }
    };
  }
  std::vector<OutboxMessage> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return messages_.size() >= count; }));
    return messages_;
  }
  void release() {
    std::vector<std::function<void()>> held;
    {
      const std::lock_guard lock(mutex_);
      held.swap(held_);
    }
    for (auto& handled : held) handled();
  }

 private:
  const bool at_once_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<OutboxMessage> messages_;
  std::vector<std::function<void()>> held_;
};

class OutboxTest : public testing::Test {
 protected:
  void send(const std::string& topic, const std::string& payload) {
    ASSERT_TRUE(run_blocking(*store_, [&](Tx& tx) -> Status {
      enqueue(tx, {.topic = topic, .payload = payload});
      return {};
    }));
  }
  // Messages; not the places of outboxes (outbox.cc).
  std::size_t stored() {
    std::size_t count = 0;
    const auto status = run_blocking(*store_, [&](Tx& tx) -> Status {
      const std::string prefix(1, table::kOutbox);
      count = 0;
      for (const auto& row : tx.range({.begin = prefix, .end = after_prefix(prefix), .limit = 10'000})) {
        if (row.value.size() > 5) ++count;
      }
      return {};
    });
    EXPECT_TRUE(status);
    return count;
  }

  io::VirtualClock clock_;
  std::unique_ptr<MemoryStore> store_ = make_memory_store(clock_);
};

TEST_F(OutboxTest, messages_leave_in_commit_order_and_are_deleted) {
  Recorder recorder;
  Outbox outbox(*store_, recorder.publisher());
  for (int i = 0; i < 2500; ++i) send("t/" + std::to_string(i), std::string("\0\x80", 2) + std::to_string(i));
  outbox.wake();
  outbox.drain();
  const auto messages = recorder.wait_for(2500);
  ASSERT_EQ(messages.size(), 2500U);
  for (int i = 0; i < 2500; ++i) {
    EXPECT_EQ(messages[static_cast<std::size_t>(i)].topic, "t/" + std::to_string(i));
    EXPECT_EQ(messages[static_cast<std::size_t>(i)].payload, std::string("\0\x80", 2) + std::to_string(i));
    EXPECT_EQ(messages[static_cast<std::size_t>(i)].qos, 1);
  }
  EXPECT_EQ(stored(), 0U);
}

TEST_F(OutboxTest, a_message_of_an_aborted_transaction_never_leaves) {
  Recorder recorder;
  Outbox outbox(*store_, recorder.publisher());
  const Status status = run_blocking(*store_, [](Tx& tx) -> Status {
    enqueue(tx, {.topic = "never", .payload = ""});
    return invalid("no");
  });
  EXPECT_FALSE(status);
  send("yes", "");
  outbox.drain();
  const auto messages = recorder.wait_for(1);
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(messages[0].topic, "yes");
}

TEST_F(OutboxTest, what_was_not_handled_is_delivered_by_the_next_start) {
  Recorder first(false);
  {
    Outbox outbox(*store_, first.publisher());
    send("a", "1");
    send("b", "2");
    outbox.wake();
    first.wait_for(2);
  }
  EXPECT_EQ(stored(), 2U);
  Recorder second;
  Outbox outbox(*store_, second.publisher());
  const auto messages = second.wait_for(2);
  EXPECT_EQ(messages[0].topic + messages[1].topic, "ab");
  outbox.drain();
  EXPECT_EQ(stored(), 0U);
  first.release();  // too late: changes nothing, breaks nothing
}

TEST_F(OutboxTest, nothing_leaves_before_its_cause_is_durable_and_a_crash_keeps_what_was) {
  store_ = make_memory_store(clock_, {.sync_at_once = false});
  int done = 0;
  const auto send_unsynced = [&](const std::string& topic) {
    store_->run(
        [topic](Tx& tx) -> Status {
          enqueue(tx, {.topic = topic, .payload = ""});
          return {};
        },
        [&](const Status& status) { done += status.has_value(); });
  };
  send_unsynced("kept");
  store_->flush();
  send_unsynced("lost");
  store_->crash();
  store_->set_faults({});
  EXPECT_EQ(done, 1);
  Recorder recorder;
  Outbox outbox(*store_, recorder.publisher());
  outbox.drain();
  const auto messages = recorder.wait_for(1);
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(messages[0].topic, "kept");
}

TEST_F(OutboxTest, refused_deletes_are_tried_again) {
  Recorder recorder;
  for (int i = 0; i < 20; ++i) send("t", "");
  store_->set_faults({.seed = 5, .refuse = 0.8});
  {
    Outbox outbox(*store_, recorder.publisher());
    recorder.wait_for(20);
    outbox.drain();
  }
  EXPECT_EQ(stored(), 0U);
  EXPECT_EQ(recorder.wait_for(20).size(), 20U);  // and none twice in one life
}

TEST_F(OutboxTest, a_slow_publisher_holds_a_bounded_number_of_batches) {
  Recorder recorder(false);
  for (int i = 0; i < 10'500; ++i) send("t", "");
  Outbox outbox(*store_, recorder.publisher());
  EXPECT_EQ(recorder.wait_for(8000).size(), 8000U);
  std::thread release([&] {
    recorder.release();
    recorder.wait_for(10'500);
    recorder.release();
  });
  outbox.drain();
  release.join();
  EXPECT_EQ(stored(), 0U);
}

TEST_F(OutboxTest, a_malformed_entry_is_dropped_and_the_rest_goes_on) {
  ASSERT_TRUE(run_blocking(*store_, [](Tx& tx) -> Status {
    tx.append(std::string(1, table::kOutbox), "bad");
    tx.append(std::string(1, table::kOutbox), std::string("\1\xff\xff\xff\xfftopic", 10));
    enqueue(tx, {.topic = "good", .payload = ""});
    return {};
  }));
  Recorder recorder;
  Outbox outbox(*store_, recorder.publisher());
  outbox.drain();
  const auto messages = recorder.wait_for(1);
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(messages[0].topic, "good");
  EXPECT_EQ(stored(), 0U);
}

}  // namespace
}  // namespace muster::store
