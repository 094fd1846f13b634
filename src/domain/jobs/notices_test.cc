// SPDX-License-Identifier: Apache-2.0
// Notices on their way from a commit to the broker: their text, what becomes of it, and in which order.
#include "domain/jobs/notices.h"

#include <future>
#include <mutex>
#include <thread>

#include "domain/jobs/fleet_fixture.h"

namespace muster::jobs {
namespace {

bool everything(std::string_view) {
  return true;
}

PendingEntry entry(const std::string& job, std::int64_t number) {
  PendingEntry one;
  one.job = job;
  one.number = number;
  one.queued_ms = one.updated_ms = 1'700'000'000'000;
  return one;
}

// The text of notices as it goes into the outbox.
std::string text_of(Fleet& fleet, const std::vector<Notice>& notices) {
  std::string text;
  const auto status = fleet.run_status([&](store::Tx& tx, Effects& effects) -> Status {
    effects.gather = true;
    for (const auto& notice : notices) announce(tx, notice, effects);
    text = effects.notices;
    return {};
  });
  EXPECT_TRUE(status);
  return text;
}

TEST(Notices, come_back_as_they_were_written) {
  Fleet fleet;
  PendingEntry started = entry("started", 3);
  started.status = ExecutionStatus::kInProgress;
  started.version = 2;
  started.started_ms = started.updated_ms = started.queued_ms + 5;
  PendingEntry urgent = entry("urgent", 1), late = entry("late", 12);
  urgent.priority = 99;
  late.priority = -99;
  PendingEntry foreign = entry("foreign", 1);
  foreign.namespace_id = "aws-gg";
  const std::vector<Notice> written{{"d:1", "", 1, true, true, {started, urgent, entry("plain", 1), late}},
                                    {"d_2", "aws-gg", 2, false, true, {foreign}},
                                    {"d-3", "", 3, true, false, {}},
                                    {"d4", "", 4, false, true, {}}};
  const auto read = parse_notices(text_of(fleet, written));
  ASSERT_EQ(read.size(), written.size());
  for (std::size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(read[i].thing, written[i].thing);
    EXPECT_EQ(read[i].namespace_id, written[i].namespace_id);
    EXPECT_EQ(read[i].at_ms, written[i].at_ms);
    EXPECT_EQ(read[i].listed, written[i].listed);
    EXPECT_EQ(read[i].next, written[i].next);
    EXPECT_EQ(read[i].entries, written[i].entries);
  }
}

TEST(Notices, damaged_text_costs_no_more_than_itself) {
  for (const char* text : {"", "\n", "\n\n\n", " ", " Q j 1 5", "thing", "thing x L", " orphan", "thing 1 L @a b c",
                           "\x00\xff", "a 1 L\n Q"}) {
    for (const auto& notice : parse_notices(text)) EXPECT_TRUE(notice.entries.empty()) << text;
  }
  const auto read =
      parse_notices("not a notice at all\na 1 L\n nonsense\n Q j 1 5\n Z j 1 5\n Q j 99999999999999999999 5\n");
  ASSERT_EQ(read.size(), 1u);
  ASSERT_EQ(read[0].entries.size(), 1u);
  EXPECT_EQ(read[0].entries[0].job, "j");
}

TEST(Notices, every_single_damaged_byte_is_survived) {
  Fleet fleet;
  const std::string whole = text_of(fleet, {{"d", "ns", 7, true, true, {entry("j", 1), entry("k", 2)}}});
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const char byte : {'\0', '\n', ' ', '@', '9', '\xff'}) {
      std::string damaged = whole;
      damaged[i] = byte;
      for (const auto& notice : parse_notices(damaged)) EXPECT_FALSE(notice.thing.empty());
    }
    EXPECT_LE(parse_notices(whole.substr(0, i)).size(), 1u);
  }
}

TEST(Notices, are_made_only_for_topics_that_somebody_wants) {
  Fleet fleet;
  fleet.add_thing("d");
  fleet.must_create_on_thing("j", "d");
  const Notice notice{"d", "", 1, true, true, {entry("j", 1)}};
  const auto made = [&](const Wanted& wanted) {
    const auto messages = fleet.run([&](store::Tx& tx) { return messages_of(fleet.context, tx, notice, wanted); });
    EXPECT_TRUE(messages);
    std::string topics;
    for (const auto& message : *messages) topics += message.topic + " ";
    return topics;
  };
  EXPECT_EQ(made(everything), "$aws/things/d/jobs/notify $aws/things/d/jobs/notify-next ");
  EXPECT_EQ(made([](std::string_view topic) { return topic.ends_with("notify"); }), "$aws/things/d/jobs/notify ");
  EXPECT_EQ(made([](std::string_view) { return false; }), "");
}

TEST(Notices, of_a_namespace_have_topics_of_their_own) {
  Fleet fleet;
  const Notice notice{"d", "ns", 1, true, true, {}};
  const auto messages = fleet.run([&](store::Tx& tx) { return messages_of(fleet.context, tx, notice, everything); });
  ASSERT_TRUE(messages);
  ASSERT_EQ(messages->size(), 2u);
  EXPECT_EQ((*messages)[0].topic, "$aws/things/d/jobs/notify-namespace-ns");
  EXPECT_EQ((*messages)[1].topic, "$aws/things/d/jobs/notify-next-namespace-ns");
}

TEST(Notices, of_a_job_that_is_gone_say_nothing_about_what_is_next) {
  Fleet fleet;
  const Notice notice{"d", "", 1, false, true, {entry("gone", 1)}};
  const auto messages = fleet.run([&](store::Tx& tx) { return messages_of(fleet.context, tx, notice, everything); });
  ASSERT_TRUE(messages);
  EXPECT_TRUE(messages->empty());
}

TEST(Notices, tell_the_execution_as_it_was_then) {
  Fleet fleet;
  fleet.add_thing("d");
  fleet.must_create_on_thing("j", "d");
  ASSERT_TRUE(fleet.start("d"));
  const Notice notice{"d", "", 1, false, true, {entry("j", 1)}};
  const auto messages = fleet.run([&](store::Tx& tx) { return messages_of(fleet.context, tx, notice, everything); });
  ASSERT_TRUE(messages);
  ASSERT_EQ(messages->size(), 1u);
  EXPECT_NE((*messages)[0].payload.find("\"QUEUED\""), std::string::npos);
  EXPECT_NE((*messages)[0].payload.find("\"versionNumber\":1"), std::string::npos);
}

// Stands for the broker: keeps what it is handed, and answers when told to.
struct Broker {
  std::mutex mutex;
  std::vector<std::string> topics;
  std::vector<std::function<void()>> open;
  bool answer_at_once = true;

  store::Publisher publisher() {
    return [this](std::vector<store::OutboxMessage> batch, std::function<void()> handled) {
      {
        const std::lock_guard lock(mutex);
        for (const auto& message : batch) topics.push_back(message.topic);
        if (!answer_at_once) {
          open.push_back(std::move(handled));
          return;
        }
      }
      handled();
    };
  }
  std::size_t pieces() {
    const std::lock_guard lock(mutex);
    return open.size();
  }
  std::size_t messages() {
    const std::lock_guard lock(mutex);
    return topics.size();
  }
  bool answer_one() {
    std::function<void()> handled;
    {
      const std::lock_guard lock(mutex);
      if (open.empty()) return false;
      handled = std::move(open.front());
      open.erase(open.begin());
    }
    handled();
    return true;
  }
};

store::OutboxMessage notices_message(Fleet& fleet, int things) {
  std::vector<Notice> notices;
  for (int i = 0; i < things; ++i) notices.push_back({"d" + std::to_string(i), "", 1, true, false, {}});
  return {"$muster/jobs/notices", text_of(fleet, notices), 1};
}

TEST(NoticeExpander, keeps_the_order_of_the_outbox_and_hands_on_the_rest_untouched) {
  Fleet fleet;
  Broker broker;
  NoticeExpander expander(*fleet.store, fleet.context, everything, broker.publisher());
  bool handled = false;
  expander.publish({{"first", "x", 1}, notices_message(fleet, 2), {"last", "y", 0}}, [&] { handled = true; });
  EXPECT_TRUE(handled);
  EXPECT_EQ(broker.topics,
            (std::vector<std::string>{"first", "$aws/things/d0/jobs/notify", "$aws/things/d1/jobs/notify", "last"}));
}

TEST(NoticeExpander, a_batch_that_nobody_wants_is_handled_all_the_same) {
  Fleet fleet;
  Broker broker;
  NoticeExpander expander(
      *fleet.store, fleet.context, [](std::string_view) { return false; }, broker.publisher());
  bool handled = false;
  expander.publish({notices_message(fleet, 1000)}, [&] { handled = true; });
  EXPECT_TRUE(handled);
  EXPECT_TRUE(broker.topics.empty());
}

TEST(NoticeExpander, is_handled_when_the_last_piece_is) {
  Fleet fleet;
  Broker broker;
  broker.answer_at_once = false;
  NoticeExpander expander(*fleet.store, fleet.context, everything, broker.publisher());
  int handled = 0;
  expander.publish({notices_message(fleet, 1200)}, [&] { ++handled; });
  EXPECT_GE(broker.pieces(), 2u);
  while (broker.pieces() > 1) ASSERT_TRUE(broker.answer_one());
  EXPECT_EQ(handled, 0);
  ASSERT_TRUE(broker.answer_one());
  EXPECT_EQ(handled, 1);
  EXPECT_EQ(broker.topics.size(), 1200u);
}

TEST(NoticeExpander, waits_while_much_is_under_way_and_stop_releases_it) {
  Fleet fleet;
  Broker broker;
  broker.answer_at_once = false;
  NoticeExpander expander(*fleet.store, fleet.context, everything, broker.publisher());
  bool handled = false;
  const auto message = notices_message(fleet, 10'000);
  auto published = std::async(std::launch::async, [&] { expander.publish({message}, [&] { handled = true; }); });
  while (broker.pieces() < 4) std::this_thread::yield();
  ASSERT_TRUE(broker.answer_one());
  while (broker.pieces() < 4) std::this_thread::yield();
  EXPECT_LT(broker.messages(), 10'000u);
  expander.stop();
  published.get();
  while (broker.answer_one()) {
  }
  EXPECT_FALSE(handled) << "the outbox must keep what was not handed on";
}

}  // namespace
}  // namespace muster::jobs
