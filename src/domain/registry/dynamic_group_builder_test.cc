// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/dynamic_group_builder.h"

#include <condition_variable>
#include <mutex>
#include <random>
#include <set>

#include "domain/registry/dynamic_groups.h"
#include "domain/registry/fleet_query.h"
#include "domain/registry/registry_test_support.h"

namespace muster::registry {
namespace {

using Names = std::vector<std::string>;

// Random changes of things and groups, with steps of the builder in between, and at the end every membership is
// counted again.
class DynamicGroupsAtRandom : public RegistryTest, public testing::WithParamInterface<int> {
 protected:
  static constexpr int kThings = 24, kStatic = 13, kDynamic = 6;

  std::size_t pick(std::size_t count) { return random_() % count; }
  std::string some_thing() { return "t" + std::to_string(pick(kThings)); }
  std::string some_static() { return "s" + std::to_string(pick(kStatic)); }
  std::string some_dynamic() { return "d" + std::to_string(pick(kDynamic)); }
  std::string some_value() { return std::to_string(pick(4)); }
  std::string some_query() {
    const std::vector<std::string> queries{"attributes.a:" + some_value(),
                                           "attributes.a>" + some_value(),
                                           "NOT attributes.b:" + some_value(),
                                           "thingGroupNames:" + some_static(),
                                           "attributes.a:" + some_value() + " OR thingGroupNames:s1*",
                                           "thingName:t1*",
                                           "*"};
    return queries[pick(queries.size())];
  }

  // Every outcome is right, refusals too: what counts is what is there at the end.
  template <class F>
  void attempt(F&& body) {
    static_cast<void>(status([&](store::Tx& tx) -> Status {
      TRY_VOID(body(tx));
      return {};
    }));
  }
  void change_thing_at_random() {
    std::string name = some_thing();
    switch (pick(7)) {
      case 0:
        return attempt([&](store::Tx& tx) { return delete_thing(tx, name, std::nullopt); });
      case 1:
      case 2: {
        CreateThing wanted{name, "", {{"a", some_value()}, {"b", some_value()}}};
        return attempt([&](store::Tx& tx) { return create_thing(tx, realm_, wanted); });
      }
      case 3:
      case 4: {
        UpdateThing change{.name = name, .attributes = Attributes{{pick(2) == 0 ? "a" : "b", some_value()}}};
        change.merge = true;
        return attempt([&](store::Tx& tx) { return update_thing(tx, change); });
      }
      case 5: {
        std::string from = some_static();
        return attempt([&](store::Tx& tx) { return remove_thing_from_group(tx, from, name); });
      }
      default: {
        std::string to = some_static();
        auto dynamic = pick(2) == 0 ? DynamicGroups::kKeep : DynamicGroups::kOverride;
        return attempt([&](store::Tx& tx) { return add_thing_to_group(tx, to, name, dynamic); });
      }
    }
  }
  void change_group_at_random() {
    std::string name = some_dynamic(), other = some_static(), text = some_query();
    std::size_t batch = 1 + pick(3);
    switch (pick(6)) {
      case 0:
        return attempt([&](store::Tx& tx) { return delete_dynamic_group(tx, realm_, name, std::nullopt, batch); });
      case 1:
        return attempt([&](store::Tx& tx) { return delete_group(tx, realm_, other, std::nullopt, batch); });
      case 2:
        return attempt([&](store::Tx& tx) { return create_group(tx, realm_, {other, "", "", {}}); });
      case 3: {
        UpdateDynamicGroup change{.group = {.name = name}, .query = text};
        return attempt([&](store::Tx& tx) { return update_dynamic_group(tx, change); });
      }
      default:
        return attempt([&](store::Tx& tx) { return create_dynamic_group(tx, realm_, {.name = name, .query = text}); });
    }
  }
  bool build_some() {
    std::size_t batch = 1 + pick(5);
    auto outcome = result([&](store::Tx& tx) -> Result<bool> {
      std::vector<std::pair<std::string, Names>> told;
      auto note = [&](store::Tx& same, std::string_view name, const Names&, const Names& after) -> Status {
        EXPECT_EQ(after, groups_of_thing_with_ancestors(same, name));
        return {};
      };
      return build_step(tx, batch, note);
    });
    return !outcome || *outcome;
  }
  void act() {
    switch (pick(5)) {
      case 0:
        change_group_at_random();
        break;
      case 1:
        build_some();
        break;
      default:
        change_thing_at_random();
        break;
    }
    clock_.advance_ms(static_cast<std::int64_t>(pick(2)));
  }

  void recount() {
    std::map<std::string, std::int64_t> counts;
    run([&](store::Tx& tx) -> Result<bool> {
      counts.clear();
      auto groups = list_groups(tx, {.page = {.limit = 250}});
      std::vector<ThingGroup> dynamic;
      for (const std::string& name : groups->items) {
        auto group = find_group(tx, name);
        counts[name] = 0;
        if (group && group->is_dynamic()) dynamic.push_back(*group);
      }
      std::ranges::sort(dynamic, {}, [](const ThingGroup& one) { return std::pair(one.created_ms, one.name); });
      auto things = list_things(tx, {.page = {.limit = 250}});
      for (const Thing& thing : things->items) {
        Names static_groups;
        Names all = groups_of_thing(tx, thing.name);
        for (const std::string& name : all)
          if (!find_group(tx, name)->is_dynamic()) static_groups.push_back(name);
        std::set<std::string> expected(static_groups.begin(), static_groups.end());
        for (const ThingGroup& group : dynamic)
          if (expected.size() < 10 && FleetQuery::parse(group.query)->matches({thing, static_groups}))
            expected.insert(group.name);
        EXPECT_EQ(all, Names(expected.begin(), expected.end())) << thing.name;
        for (const std::string& name : all) ++counts[name];
      }
      return true;
    });
    for (const auto& [name, count] : counts)
      run([&](store::Tx& tx) -> Result<bool> {
        EXPECT_EQ(member_count(tx, name, false), count) << name;
        EXPECT_EQ(for_each_member(tx, name, false, "", 250)->things.size(), static_cast<std::size_t>(count)) << name;
        return true;
      });
  }

  std::mt19937 random_{static_cast<std::uint32_t>(GetParam())};
};

TEST_P(DynamicGroupsAtRandom, MembershipEqualsARecount) {
  for (int i = 0; i < kStatic; ++i) group("s" + std::to_string(i));
  for (int round = 0; round < 40 && !HasFailure(); ++round) {
    store_->set_faults({.seed = random_(), .refuse = 0.05, .conflict = 0.2, .sync_at_once = true});
    for (std::size_t acts = pick(20); acts > 0; --acts) act();
    // In the middle of a change, others commit, and groups may be made and built.
    bool first = true;
    UpdateThing change{.name = some_thing(), .attributes = Attributes{{"a", some_value()}}, .merge = true};
    attempt([&](store::Tx& tx) -> Status {
      TRY_VOID(update_thing(tx, change));
      if (!std::exchange(first, false)) return {};
      for (std::size_t more = 1 + pick(4); more > 0; --more) act();
      for (std::size_t more = pick(40); more > 0 && build_some(); --more) {
      }
      return {};
    });
    // Walks heal what is wrong, so each round ends with a look: builds that are under way go on, none begins.
    store_->set_faults({});
    for (int steps = 0; build_some(); ++steps) ASSERT_LT(steps, 1000);
    recount();
  }
}

INSTANTIATE_TEST_SUITE_P(Seed, DynamicGroupsAtRandom, testing::Range(1, 41));

class DynamicGroupBuilderTest : public RegistryTest {
 protected:
  std::int64_t count(const std::string& name) {
    return run([&](store::Tx& tx) -> Result<std::int64_t> { return member_count(tx, name, false); });
  }
  void dynamic(const std::string& name, const std::string& text) {
    run([&](store::Tx& tx) { return create_dynamic_group(tx, realm_, {.name = name, .query = text}); });
  }
  static Status nobody_asks(store::Tx&, std::string_view, const Names&, const Names&) { return {}; }
};

TEST_F(DynamicGroupBuilderTest, GoesOnWhereACrashLeftIt) {
  for (int i = 0; i < 500; ++i) thing("t" + std::to_string(1000 + i), {{"a", "1"}});
  dynamic("d", "attributes.a:1");
  {
    DynamicGroupBuilder builder(*store_, nobody_asks, [] {});
    EXPECT_TRUE(builder.step());
  }
  std::int64_t built = count("d");
  EXPECT_GT(built, 0);
  EXPECT_LT(built, 500);
  store_->crash();
  DynamicGroupBuilder another(*store_, nobody_asks, [] {});
  EXPECT_EQ(count("d"), built);
  int steps = 0;
  while (another.step()) ASSERT_LT(++steps, 10);
  EXPECT_EQ(count("d"), 500);
  EXPECT_LE(steps, 3) << "it did not begin again";
}

TEST_F(DynamicGroupBuilderTest, TellsOfEachCommitAndSurvivesRefusals) {
  for (int i = 0; i < 20; ++i) thing("t" + std::to_string(i), {{"a", "1"}});
  dynamic("d", "attributes.a:1");
  int commits = 0, told = 0;
  DynamicGroupBuilder builder(
      *store_,
      [&](store::Tx&, std::string_view, const Names& before, const Names& after) -> Status {
        EXPECT_TRUE(before.empty());
        EXPECT_EQ(after, Names{"d"});
        return ++told == 5 ? Status(internal("not now")) : Status();
      },
      [&] { ++commits; });
  EXPECT_TRUE(builder.step()) << "refused: there is still something to do";
  EXPECT_EQ(commits, 0);
  EXPECT_EQ(count("d"), 0) << "all or nothing";
  while (builder.step()) ASSERT_LT(commits, 10);
  EXPECT_EQ(commits, 1);
  EXPECT_EQ(told, 5 + 20);
  EXPECT_EQ(count("d"), 20);
}

TEST_F(DynamicGroupBuilderTest, ItsThreadBuildsWhatItIsPokedFor) {
  std::mutex mutex;
  std::condition_variable changed;
  int commits = 0;
  DynamicGroupBuilder builder(*store_, nobody_asks, [&] {
    const std::lock_guard lock(mutex);
    ++commits;
    changed.notify_one();
  });
  auto wait_for_commits = [&](int wanted) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(30), [&] { return commits >= wanted; });
  };
  thing("t", {{"a", "1"}});
  dynamic("before", "attributes.a:1");
  builder.start_thread();
  ASSERT_TRUE(wait_for_commits(1)) << "what was left by another process is built without a poke";
  EXPECT_EQ(count("before"), 1);
  dynamic("after", "attributes.a:1");
  builder.poke();
  ASSERT_TRUE(wait_for_commits(2));
  EXPECT_EQ(count("after"), 1);
  builder.stop();
  builder.stop();
}

}  // namespace
}  // namespace muster::registry
