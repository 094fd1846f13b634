// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/event_configurations.h"

#include <gtest/gtest.h>

#include "store/memory_engine.h"

namespace muster::registry {
namespace {

class EventConfigurationsTest : public testing::Test {
 protected:
  std::string update(const std::map<std::string, bool>& change) {
    const Status status =
        store::run_blocking(*store_, [&](store::Tx& tx) { return update_event_configurations(tx, change); });
    return status ? "ok" : status.error().message;
  }
  EventConfigurations now() {
    auto found = store::run_blocking_for(*store_, [](store::Tx& tx) { return event_configurations(tx); });
    EXPECT_TRUE(found);
    return found ? *found : EventConfigurations();
  }
  bool enabled(std::string_view kind) {
    bool answer = false;
    EXPECT_TRUE(store::run_blocking(*store_, [&](store::Tx& tx) -> Status {
      answer = event_enabled(tx, kind);
      return {};
    }));
    return answer;
  }
  io::VirtualClock clock_;
  std::unique_ptr<store::MemoryStore> store_ = store::make_memory_store(clock_);
};

TEST_F(EventConfigurationsTest, everything_is_off_until_somebody_turns_it_on) {
  const auto configurations = now();
  EXPECT_EQ(configurations.enabled.size(), 11u);
  for (const auto& [kind, on] : configurations.enabled) EXPECT_FALSE(on) << kind;
  EXPECT_EQ(configurations.created_ms, 0);
  EXPECT_FALSE(enabled("JOB"));
}

TEST_F(EventConfigurationsTest, updates_merge_and_keep_the_date_of_the_first) {
  ASSERT_EQ(update({{"JOB", true}}), "ok");
  const auto created_ms = clock_.now_ms();
  EXPECT_TRUE(enabled("JOB"));
  EXPECT_FALSE(enabled("JOB_EXECUTION"));
  clock_.advance_ms(5000);
  ASSERT_EQ(update({{"JOB_EXECUTION", true}, {"THING", false}}), "ok");
  EXPECT_TRUE(enabled("JOB"));
  EXPECT_TRUE(enabled("JOB_EXECUTION"));
  EXPECT_EQ(now().created_ms, created_ms);
  EXPECT_EQ(now().modified_ms, created_ms + 5000);
  ASSERT_EQ(update({{"JOB", false}}), "ok");
  EXPECT_FALSE(enabled("JOB"));
  EXPECT_TRUE(now().enabled.at("JOB_EXECUTION"));
}

TEST_F(EventConfigurationsTest, kinds_that_are_not_published_cannot_be_turned_on) {
  for (const std::string_view kind : kEventKinds) {
    const bool published = kind == "JOB" || kind == "JOB_EXECUTION";
    const std::string answer = update({{std::string(kind), true}});
    if (published) {
      EXPECT_EQ(answer, "ok");
    } else {
      EXPECT_NE(answer.find("type " + std::string(kind) + " are not supported by Muster"), std::string::npos) << answer;
    }
    EXPECT_EQ(enabled(kind), published) << kind;
  }
}

TEST_F(EventConfigurationsTest, refused_update_changes_nothing) {
  EXPECT_NE(update({{"JOB", true}, {"POLICY", true}}), "ok");
  EXPECT_FALSE(enabled("JOB"));
  EXPECT_NE(update({{"JOB", true}, {"job", true}}), "ok");
  EXPECT_NE(update({{"", false}}), "ok");
  EXPECT_FALSE(enabled("JOB"));
  EXPECT_EQ(now().created_ms, 0);
}

TEST_F(EventConfigurationsTest, name_of_one_kind_within_another_does_not_count) {
  ASSERT_EQ(update({{"JOB_EXECUTION", true}}), "ok");
  EXPECT_FALSE(enabled("JOB"));
}

TEST_F(EventConfigurationsTest, asking_does_not_conflict_with_an_update) {
  int runs = 0;
  EXPECT_TRUE(store::run_blocking(*store_, [&](store::Tx& tx) -> Status {
    ++runs;
    event_enabled(tx, "JOB");
    if (runs == 1) {
      EXPECT_EQ(update({{"JOB", true}}), "ok");
    }
    tx.put("Hsomething", "else");
    return {};
  }));
  EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace muster::registry
