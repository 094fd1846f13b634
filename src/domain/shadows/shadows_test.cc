// SPDX-License-Identifier: Apache-2.0
// Shadows in the store: messages in the outbox, tombstones, listings.
#include "domain/shadows/shadows.h"

#include <gtest/gtest.h>

#include "store/keys.h"
#include "store/memory_engine.h"
#include "store/outbox.h"
#include "store/schema.h"

namespace muster::shadows {
namespace {

class ShadowsTest : public testing::Test {
 protected:
  ShadowsTest() : store_(store::make_memory_store(clock_)), timers_(*store_, [this] { return clock_.now_ms(); }) {
    register_timers(timers_);
  }

  Result<std::string> update(const ShadowId& id, std::string_view payload, const Wanted& wanted = {}) {
    return store::run_blocking_for(*store_, [&](store::Tx& tx) -> Result<std::string> {
      TRY(auto body, parse_update_body(payload));
      TRY(const Token token, client_token(body));
      TRY(const auto update, read_update(std::move(body)));
      return update_shadow(tx, id, update, token, wanted);
    });
  }
  Result<std::string> get(const ShadowId& id) {
    return store::run_blocking_for(*store_, [&](store::Tx& tx) { return get_shadow(tx, id, {}); });
  }
  Result<std::string> remove(const ShadowId& id, const Wanted& wanted = {}) {
    return store::run_blocking_for(*store_, [&](store::Tx& tx) { return delete_shadow(tx, id, "t", wanted); });
  }
  void updated(const ShadowId& id, std::string_view payload, const Wanted& wanted = {}) {
    EXPECT_TRUE(update(id, payload, wanted)) << payload;
  }
  void removed(const ShadowId& id, const Wanted& wanted = {}) { EXPECT_TRUE(remove(id, wanted)); }
  std::int64_t version(const Result<std::string>& payload) {
    EXPECT_TRUE(payload);
    if (!payload) return -1;
    return get_int(parse_json(*payload)->as_object(), "version");
  }
  std::vector<std::string> names(const std::string& thing, std::size_t limit) {
    std::vector<std::string> all;
    registry::PageRequest request{.token = {}, .limit = limit};
    for (int pages = 0; pages < 1000; ++pages) {
      const auto page =
          store::run_blocking_for(*store_, [&](store::Tx& tx) { return list_named_shadows(tx, thing, request); });
      EXPECT_TRUE(page);
      if (!page) return all;
      EXPECT_LE(page->items.size(), limit);
      all.insert(all.end(), page->items.begin(), page->items.end());
      if (page->next_token.empty()) return all;
      request.token = page->next_token;
    }
    ADD_FAILURE() << "the listing does not end";
    return all;
  }
  std::vector<store::OutboxMessage> sent() {
    std::vector<store::OutboxMessage> all;
    store::Outbox outbox(*store_, [&](std::vector<store::OutboxMessage> batch, std::function<void()> handled) {
      for (auto& message : batch) all.push_back(std::move(message));
      handled();
    });
    outbox.drain();
    return all;
  }
  bool record_exists(const ShadowId& id) {
    bool found = false;
    EXPECT_TRUE(store::run_blocking(*store_, [&](store::Tx& tx) -> Status {
      found = tx.get(shadow_key(id)).has_value();
      return {};
    }));
    return found;
  }

  io::VirtualClock clock_;
  std::unique_ptr<store::MemoryStore> store_;
  store::Timers timers_;
  const ShadowId classic_{"t", ""}, named_{"t", "n"};
};

TEST_F(ShadowsTest, classic_and_named_ones_are_apart) {
  updated(classic_, R"({"state":{"reported":{"a":1}}})");
  EXPECT_EQ(get(named_).error().message, "No shadow exists with name: 't~n'");
  updated(named_, R"({"state":{"reported":{"b":1}}})");
  updated(named_, R"({"state":{"reported":{"b":2}}})");
  EXPECT_EQ(version(get(classic_)), 1);
  EXPECT_EQ(version(get(named_)), 2);
  EXPECT_EQ(get({"u", ""}).error().message, "No shadow exists with name: 'u'");
  EXPECT_EQ(get({"u", ""}).error().kind, ErrorKind::kNotFound);
}

TEST_F(ShadowsTest, an_update_tells_everybody_in_its_own_transaction) {
  const auto accepted = update(named_, R"({"state":{"desired":{"a":1}},"clientToken":"t"})");
  ASSERT_TRUE(accepted);
  const auto messages = sent();
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[0].topic, "$aws/things/t/shadow/name/n/update/accepted");
  EXPECT_EQ(messages[0].payload, *accepted);
  EXPECT_EQ(messages[1].topic, "$aws/things/t/shadow/name/n/update/delta");
  EXPECT_EQ(messages[2].topic, "$aws/things/t/shadow/name/n/update/documents");
  for (const auto& message : messages) EXPECT_EQ(message.qos, 1);
}

TEST_F(ShadowsTest, a_refused_update_changes_and_tells_nothing) {
  updated(classic_, R"({"state":{"desired":{"a":1}}})");
  sent();
  const auto refused = update(classic_, R"({"state":{"desired":{"a":2}},"version":7})");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "Version conflict");
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(version(get(classic_)), 1);
}

TEST_F(ShadowsTest, there_is_no_delta_when_there_is_no_difference) {
  updated(classic_, R"({"state":{"desired":{"a":1},"reported":{"a":1}}})");
  const auto messages = sent();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[1].topic, "$aws/things/t/shadow/update/documents");
}

TEST_F(ShadowsTest, nothing_is_queued_for_nobody) {
  const auto only_delta = [](std::string_view topic) { return topic.ends_with("/delta"); };
  updated(classic_, R"({"state":{"desired":{"a":1}}})", only_delta);
  removed(classic_, only_delta);
  const auto messages = sent();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].topic, "$aws/things/t/shadow/update/delta");
}

TEST_F(ShadowsTest, a_deleted_one_is_gone_and_its_version_goes_on) {
  for (int i = 0; i < 3; ++i) updated(classic_, R"({"state":{"desired":{"a":1}}})");
  sent();
  const auto deleted = remove(classic_);
  ASSERT_TRUE(deleted);
  EXPECT_EQ(*deleted, R"({"version":3,"timestamp":1700000000,"clientToken":"t"})");
  const auto messages = sent();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].topic, "$aws/things/t/shadow/delete/accepted");
  EXPECT_EQ(messages[0].payload, *deleted);
  EXPECT_EQ(get(classic_).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(remove(classic_).error().kind, ErrorKind::kNotFound);
  clock_.advance_ms(kTombstoneMs - 1);
  timers_.fire_due();
  EXPECT_EQ(version(update(classic_, R"({"state":{"reported":{"b":1}},"version":3})")), 4);
  EXPECT_EQ(get(classic_)->find("desired"), std::string::npos);
  // The timer of the deletion leaves the new one alone.
  clock_.advance_ms(kTombstoneMs);
  timers_.fire_due();
  EXPECT_EQ(version(get(classic_)), 4);
}

TEST_F(ShadowsTest, a_tombstone_ends_after_48_hours) {
  updated(named_, R"({"state":{"desired":{"a":1}}})");
  removed(named_);
  clock_.advance_ms(kTombstoneMs / 2);
  updated(named_, R"({"state":{"desired":{"a":1}}})");
  removed(named_);
  clock_.advance_ms(kTombstoneMs / 2);
  timers_.fire_due();
  EXPECT_TRUE(record_exists(named_));  // the second deletion's time has not come
  clock_.advance_ms(kTombstoneMs / 2 - 1);
  timers_.fire_due();
  EXPECT_TRUE(record_exists(named_));
  clock_.advance_ms(1);
  // Whether the timer has fired or not: it counts no more.
  EXPECT_FALSE(update(named_, R"({"state":{},"version":2})"));
  timers_.fire_due();
  EXPECT_FALSE(record_exists(named_));
  EXPECT_EQ(version(update(named_, R"({"state":{},"version":0})")), 1);
}

TEST_F(ShadowsTest, named_ones_are_listed_in_pages) {
  std::vector<std::string> expected;
  for (int i = 0; i < 250; ++i) {
    const std::string name = "s" + std::to_string(1000 + i);
    updated({"t", name}, R"({"state":{"desired":{"a":1}}})", [](auto) { return false; });
    if (i % 3 == 0) {
      removed({"t", name}, [](auto) { return false; });
    } else {
      expected.push_back(name);
    }
  }
  updated(classic_, R"({"state":{"desired":{"a":1}}})");
  updated({"t2", "other"}, R"({"state":{"desired":{"a":1}}})");
  for (const std::size_t limit : {1u, 7u, 100u}) EXPECT_EQ(names("t", limit), expected) << limit;
  EXPECT_TRUE(names("nobody", 10).empty());
  const auto wrong = store::run_blocking_for(
      *store_, [&](store::Tx& tx) { return list_named_shadows(tx, "t", {.token = "x", .limit = 1}); });
  EXPECT_FALSE(wrong);
}

TEST_F(ShadowsTest, a_page_ends_among_many_deleted_shadows) {
  std::int64_t now_ms = 0;
  ASSERT_TRUE(store::run_blocking(*store_, [&](store::Tx& tx) -> Status {
    now_ms = tx.now_ms();
    return {};
  }));
  Document tombstone;
  tombstone.version = 1;
  tombstone.updated_ms = now_ms;
  tombstone.deleted = true;
  ASSERT_TRUE(store::run_blocking(*store_, [&](store::Tx& tx) -> Status {
    for (int i = 1000; i < 2200; ++i) tx.put(shadow_key({"t", "d" + std::to_string(i)}), encode(tombstone));
    return {};
  }));
  updated({"t", "z"}, R"({"state":{}})");
  const auto page = store::run_blocking_for(
      *store_, [&](store::Tx& tx) { return list_named_shadows(tx, "t", {.token = {}, .limit = 25}); });
  ASSERT_TRUE(page);
  EXPECT_TRUE(page->items.empty());
  EXPECT_NE(page->next_token, "") << "one call does not walk through all of them";
  EXPECT_EQ(names("t", 25), std::vector<std::string>{"z"});
}

TEST_F(ShadowsTest, a_page_that_is_just_full_is_the_last) {
  for (const auto* name : {"a", "b"}) updated({"t", name}, R"({"state":{}})");
  const auto page = store::run_blocking_for(
      *store_, [&](store::Tx& tx) { return list_named_shadows(tx, "t", {.token = {}, .limit = 2}); });
  ASSERT_TRUE(page);
  EXPECT_EQ(page->items, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(page->next_token, "");
}

TEST_F(ShadowsTest, a_broken_record_is_an_internal_error) {
  EXPECT_TRUE(store::run_blocking(*store_, [&](store::Tx& tx) -> Status {
    tx.put(shadow_key(classic_), R"({"v":1,"d":{"a":1}})");
    return {};
  }));
  EXPECT_EQ(get(classic_).error().kind, ErrorKind::kInternal);
  EXPECT_EQ(update(classic_, R"({"state":{}})").error().kind, ErrorKind::kInternal);
}

TEST_F(ShadowsTest, is_found_for_who_indexes_it) {
  const auto find = [&](const ShadowId& id) {
    return *store::run_blocking_for(*store_, [&](store::Tx& tx) { return find_shadow(tx, id); });
  };
  EXPECT_FALSE(find(classic_));
  updated(classic_, R"({"state":{"reported":{"a":1}}})");
  EXPECT_EQ(to_text(find(classic_)->reported.state), R"({"a":1})");
  removed(classic_);
  EXPECT_FALSE(find(classic_));
}

}  // namespace
}  // namespace muster::shadows
