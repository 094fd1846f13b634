// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/dynamic_groups.h"

#include <map>
#include <set>

#include "domain/registry/dynamic_group_builder.h"
#include "domain/registry/registry_test_support.h"

namespace muster::registry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Names = std::vector<std::string>;

class DynamicGroupsTest : public RegistryTest {
 protected:
  ThingGroup dynamic(const std::string& name, const std::string& query) {
    return run([&](store::Tx& tx) { return create_dynamic_group(tx, realm_, {.name = name, .query = query}); });
  }
  std::string refused(const CreateDynamicGroup& wanted) {
    return said([&](store::Tx& tx) { return create_dynamic_group(tx, realm_, wanted); });
  }
  void set(const std::string& thing_name, const std::string& attribute, const std::string& value) {
    UpdateThing change{.name = thing_name, .attributes = Attributes{{attribute, value}}, .merge = true};
    run([&](store::Tx& tx) { return update_thing(tx, change); });
  }
  void query(const std::string& group_name, const std::string& text) {
    UpdateDynamicGroup change{.group = {.name = group_name}, .query = text};
    run([&](store::Tx& tx) { return update_dynamic_group(tx, change); });
  }
  std::string leave(const std::string& group_name, const std::string& thing_name) {
    return said([&](store::Tx& tx) { return remove_thing_from_group(tx, group_name, thing_name); });
  }
  Names members(const std::string& group_name) {
    return run([&](store::Tx& tx) { return for_each_member(tx, group_name, true, "", 1000); }).things;
  }
  Names groups_of(const std::string& thing_name) {
    return run([&](store::Tx& tx) -> Result<Names> { return groups_of_thing(tx, thing_name); });
  }
  std::int64_t count(const std::string& group_name) {
    return run([&](store::Tx& tx) -> Result<std::int64_t> { return member_count(tx, group_name, false); });
  }
  std::string group_status(const std::string& group_name) {
    return run([&](store::Tx& tx) -> Result<std::string> {
      return std::string(to_string(dynamic_group_status(tx, group_name)));
    });
  }
  bool step(std::size_t batch) {
    auto note = [this](store::Tx&, std::string_view thing_name, const Names& before, const Names& after) -> Status {
      EXPECT_NE(before, after);
      observed_.emplace_back(thing_name);
      return {};
    };
    return run([&](store::Tx& tx) { return build_step(tx, batch, note); });
  }
  void build() {
    for (int i = 0; step(7); ++i) ASSERT_LT(i, 10000) << "a build without end";
  }
  bool erase(const std::string& group_name, std::size_t batch = 250) {
    return run([&](store::Tx& tx) { return delete_dynamic_group(tx, realm_, group_name, std::nullopt, batch); }).done;
  }

  Names observed_;
};

TEST_F(DynamicGroupsTest, AreBuiltFromTheThingsThatAreThere) {
  for (int i = 0; i < 30; ++i) thing("t" + std::to_string(100 + i), {{"n", std::to_string(i)}});
  ThingGroup made = dynamic("small", "attributes.n<10");
  EXPECT_EQ(made.query, "attributes.n<10");
  EXPECT_THAT(made.ancestors, IsEmpty());
  EXPECT_EQ(group_status("small"), "BUILDING");
  EXPECT_THAT(members("small"), IsEmpty());
  build();
  EXPECT_EQ(group_status("small"), "ACTIVE");
  EXPECT_EQ(members("small").size(), 10u);
  EXPECT_EQ(count("small"), 10);
  EXPECT_EQ(observed_, members("small")) << "who joined, and nobody else";
  observed_.clear();
  query("small", "attributes.n<12 attributes.n>=2");
  EXPECT_EQ(group_status("small"), "REBUILDING");
  build();
  EXPECT_EQ(group_status("small"), "ACTIVE");
  EXPECT_THAT(observed_, ElementsAre("t100", "t101", "t110", "t111"));
  EXPECT_EQ(count("small"), 10);
  query("small", "attributes.n<12 attributes.n>=2");
  EXPECT_EQ(group_status("small"), "ACTIVE") << "the same query is no rebuild";
}

TEST_F(DynamicGroupsTest, FollowTheirThings) {
  dynamic("warm", "attributes.t>20");
  dynamic("rome", "thingGroupNames:italy");
  build();
  group("italy");
  group("rm", "italy");
  thing("a", {{"t", "25"}});
  thing("b", {{"t", "15"}});
  EXPECT_THAT(members("warm"), ElementsAre("a"));
  set("a", "t", "5");
  set("b", "t", "21");
  EXPECT_THAT(members("warm"), ElementsAre("b"));
  EXPECT_EQ(join("rm", "a"), "ok");
  EXPECT_THAT(groups_of("a"), ElementsAre("rm", "rome"));
  auto reach = [&](const std::string& name) {
    return run([&](store::Tx& tx) -> Result<Names> { return groups_of_thing_with_ancestors(tx, name); });
  };
  EXPECT_THAT(reach("a"), ElementsAre("italy", "rm", "rome"));
  EXPECT_EQ(leave("rm", "a"), "ok");
  EXPECT_THAT(groups_of("a"), IsEmpty());
  EXPECT_EQ(join("rm", "b"), "ok");
  auto deletion = run([&](store::Tx& tx) { return delete_group(tx, realm_, "rm", std::nullopt); });
  ASSERT_EQ(deletion.changes.size(), 1u);
  EXPECT_THAT(deletion.changes[0].before, ElementsAre("italy", "rm", "rome", "warm"));
  EXPECT_THAT(deletion.changes[0].after, ElementsAre("warm")) << "the query saw the group go";
  EXPECT_EQ(count("rome"), 0);
  run([](store::Tx& tx) { return delete_thing(tx, "b", std::nullopt); });
  EXPECT_THAT(members("warm"), IsEmpty());
  EXPECT_EQ(count("warm"), 0);
}

TEST_F(DynamicGroupsTest, AreNeitherJoinedNorLeftNorInheritedByHand) {
  group("static");
  thing("t", {{"a", "1"}});
  dynamic("d", "attributes.a:1");
  build();
  EXPECT_THAT(join("d", "t"), HasSubstr("is dynamic"));
  EXPECT_THAT(leave("d", "t"), HasSubstr("is dynamic"));
  EXPECT_THAT(said([&](store::Tx& tx) {
                return create_group(tx, realm_, {"child", "d", "", {}});
              }),
              HasSubstr("is dynamic and cannot be the parent"));
  EXPECT_THAT(said([&](store::Tx& tx) { return update_group(tx, {.name = "d", .description = "x"}); }),
              HasSubstr("UpdateDynamicThingGroup"));
  EXPECT_THAT(said([&](store::Tx& tx) { return delete_group(tx, realm_, "d", std::nullopt); }),
              HasSubstr("DeleteDynamicThingGroup"));
  EXPECT_THAT(said([&](store::Tx& tx) { return delete_dynamic_group(tx, realm_, "static", std::nullopt); }),
              HasSubstr("is not dynamic"));
  UpdateDynamicGroup change{.group = {.name = "static"}, .query = "a"};
  EXPECT_THAT(said([&](store::Tx& tx) { return update_dynamic_group(tx, change); }), HasSubstr("is not dynamic"));
  EXPECT_THAT(members("d"), ElementsAre("t"));
  EXPECT_THAT(run([](store::Tx& tx) { return list_groups(tx, {}); }).items, ElementsAre("d", "static"));
  EXPECT_THAT(run([](store::Tx& tx) { return list_groups(tx, {.recursive = false}); }).items,
              ElementsAre("d", "static"));
}

TEST_F(DynamicGroupsTest, AreCreatedOnceAndWithinLimits) {
  ThingGroup first = dynamic("d", "attributes.a:1");
  EXPECT_EQ(dynamic("d", "attributes.a:1").id, first.id) << "alike is a success";
  EXPECT_THAT(refused({.name = "d", .query = "attributes.a:2"}), HasSubstr("already exists"));
  EXPECT_THAT(said([&](store::Tx& tx) {
                return create_group(tx, realm_, {"d", "", "", {}});
              }),
              HasSubstr("already exists"));
  group("static");
  EXPECT_THAT(refused({.name = "static", .query = "a"}), HasSubstr("already exists"));
  EXPECT_THAT(refused({.name = "x", .query = "a", .index_name = "AWS_ThingGroups"}),
              HasSubstr("Index AWS_ThingGroups"));
  EXPECT_THAT(refused({.name = "x", .query = "a", .query_version = "2025-01-01"}), HasSubstr("2017-09-30"));
  EXPECT_EQ(refused({.name = "x", .query = "a", .index_name = "AWS_Things", .query_version = "2017-09-30"}), "ok");
  EXPECT_THAT(refused({.name = "y", .query = "shadow.reported.x:1"}), HasSubstr("shadow fields are not indexed"));
  EXPECT_THAT(refused({.name = "y", .query = "("}), HasSubstr("position 2"));
  EXPECT_THAT(refused({.name = "a b", .query = "a"}), HasSubstr("Invalid thing group name"));
  for (int i = 2; i < 100; ++i) dynamic("d" + std::to_string(i), "attributes.a:1");
  auto more = result([&](store::Tx& tx) { return create_dynamic_group(tx, realm_, {.name = "more", .query = "a"}); });
  EXPECT_EQ(more.error().kind, ErrorKind::kLimit);
  EXPECT_TRUE(erase("d2"));
  EXPECT_EQ(refused({.name = "more", .query = "a"}), "ok");
}

TEST_F(DynamicGroupsTest, UpdatesCountVersions) {
  dynamic("d", "attributes.a:1");
  UpdateDynamicGroup change{.group = {.name = "d", .description = "text", .expected_version = 1}};
  EXPECT_EQ(run([&](store::Tx& tx) { return update_dynamic_group(tx, change); }).version, 2);
  auto again = result([&](store::Tx& tx) { return update_dynamic_group(tx, change); });
  EXPECT_EQ(again.error().kind, ErrorKind::kVersionConflict);
  UpdateDynamicGroup wrong{.group = {.name = "d"}, .query = "a AND"};
  EXPECT_EQ(result([&](store::Tx& tx) { return update_dynamic_group(tx, wrong); }).error().reason,
            "InvalidQueryException");
  UpdateDynamicGroup index{.group = {.name = "d"}, .index_name = "other"};
  EXPECT_EQ(result([&](store::Tx& tx) { return update_dynamic_group(tx, index); }).error().kind, ErrorKind::kNotFound);
  query("d", "attributes.a:2");
  EXPECT_EQ(group_status("d"), "BUILDING") << "it has not been built yet";
  auto found = run([](store::Tx& tx) { return get_group(tx, "d"); });
  EXPECT_EQ(found.query, "attributes.a:2");
  EXPECT_EQ(found.description, "text");
  EXPECT_EQ(found.version, 3);
  EXPECT_EQ(result([&](store::Tx& tx) { return delete_dynamic_group(tx, realm_, "d", 1); }).error().kind,
            ErrorKind::kVersionConflict);
}

TEST_F(DynamicGroupsTest, TheOldestTakeTheRoomThatStaticGroupsLeave) {
  thing("t", {{"a", "1"}});
  for (int i = 0; i < 8; ++i) {
    group("s" + std::to_string(i));
    EXPECT_EQ(join("s" + std::to_string(i), "t"), "ok");
  }
  group("s8");
  group("s9");
  group("s10");
  for (const char* name : {"z-first", "m-second", "a-third"}) {
    clock_.advance_ms(1);
    dynamic(name, "attributes.a:1");
  }
  build();
  auto dynamic_of = [&] {
    Names names = groups_of("t");
    std::erase_if(names, [](const std::string& name) { return name[0] == 's'; });
    return names;
  };
  EXPECT_THAT(dynamic_of(), ElementsAre("m-second", "z-first"));
  EXPECT_THAT(join("s8", "t"), HasSubstr("overrideDynamicGroups"));
  auto override_dynamic = [&](const std::string& name) {
    return said([&](store::Tx& tx) { return add_thing_to_group(tx, name, "t", DynamicGroups::kOverride); });
  };
  EXPECT_EQ(override_dynamic("s8"), "ok");
  EXPECT_THAT(dynamic_of(), ElementsAre("z-first")) << "it left the last one";
  EXPECT_EQ(override_dynamic("s9"), "ok");
  EXPECT_THAT(dynamic_of(), IsEmpty());
  EXPECT_EQ(groups_of("t").size(), 10u);
  EXPECT_THAT(override_dynamic("s10"), HasSubstr("maximum number of thing groups"));
  // The place that the first makes is the second's, not a dynamic group's.
  UpdateGroupsOfThing change{.thing = "t", .remove = {"s8"}, .add = {"s10"}};
  MembershipChange exchanged = run([&](store::Tx& tx) { return update_groups_of_thing(tx, change); });
  EXPECT_THAT(exchanged.before, testing::Contains("s8"));
  EXPECT_THAT(exchanged.after, testing::Contains("s10"));
  EXPECT_THAT(dynamic_of(), IsEmpty());
  EXPECT_EQ(leave("s0", "t"), "ok");
  EXPECT_THAT(dynamic_of(), ElementsAre("z-first"));
  EXPECT_EQ(leave("s1", "t"), "ok");
  EXPECT_TRUE(erase("z-first"));
  EXPECT_THAT(dynamic_of(), ElementsAre("a-third", "m-second")) << "who waited takes the place";
}

TEST_F(DynamicGroupsTest, ADeletedGroupLetsItsMembersGoInBatches) {
  for (int i = 0; i < 25; ++i) thing("t" + std::to_string(100 + i), {{"a", "1"}});
  dynamic("d", "attributes.a:1");
  build();
  Names left;
  auto delete_some = [&] {
    auto deletion = run([&](store::Tx& tx) { return delete_dynamic_group(tx, realm_, "d", 1, 10); });
    for (const MembershipChange& change : deletion.changes) {
      left.push_back(change.thing);
      EXPECT_THAT(change.before, ElementsAre("d"));
      EXPECT_THAT(change.after, IsEmpty());
    }
    return deletion.done;
  };
  EXPECT_FALSE(delete_some());
  EXPECT_THAT(refused({.name = "d", .query = "attributes.a:1"}), HasSubstr("already exists"));
  thing("late", {{"a", "1"}});
  set("t120", "b", "2");
  run([](store::Tx& tx) { return delete_thing(tx, "t121", std::nullopt); });
  EXPECT_THAT(groups_of("t122"), IsEmpty()) << "absent for everybody from the first batch on";
  EXPECT_FALSE(delete_some());
  EXPECT_TRUE(delete_some());
  EXPECT_TRUE(delete_some());
  EXPECT_EQ(left.size(), 24u);
  EXPECT_EQ(count("d"), 0);
  EXPECT_EQ(store_->size(), 25u + 26u) << "things and their attributes: t120 has two";
}

TEST_F(DynamicGroupsTest, AGroupMadeWhileAnotherIsBuiltSharesTheWalkAndMissesNothing) {
  for (int i = 0; i < 50; ++i) thing("t" + std::to_string(100 + i), {{"a", "1"}});
  dynamic("first", "attributes.a:1");
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(step(10));
  EXPECT_EQ(count("first"), 30);
  dynamic("second", "attributes.a:1");
  int steps = 0;
  while (group_status("first") != "ACTIVE") {
    EXPECT_TRUE(step(10));
    ASSERT_LT(++steps, 10);
  }
  EXPECT_EQ(group_status("second"), "BUILDING");
  EXPECT_EQ(count("first"), 50);
  while (step(10)) ASSERT_LT(++steps, 20);
  EXPECT_EQ(group_status("second"), "ACTIVE");
  EXPECT_EQ(count("second"), 50);
  EXPECT_LE(steps, 8) << "one lap for each, not more";
  query("first", "attributes.a:2");
  EXPECT_TRUE(step(10));
  erase("first");
  EXPECT_FALSE(step(10)) << "nothing is left to build";
}

// A change that has read the dynamic groups, and a group made and built before the change commits: one of them must run
// again, or the thing would be missing.
TEST_F(DynamicGroupsTest, AGroupMadeAndBuiltInTheMiddleOfAChangeGetsIt) {
  thing("t", {{"a", "0"}});
  int runs = 0;
  run([&](store::Tx& tx) -> Result<Thing> {
    UpdateThing change{.name = "t", .attributes = Attributes{{"a", "1"}}, .merge = true};
    TRY(Thing changed, update_thing(tx, change));
    if (++runs == 1) {
      dynamic("d", "attributes.a:1");
      build();
      EXPECT_EQ(group_status("d"), "ACTIVE");
      EXPECT_EQ(count("d"), 0);
    }
    return changed;
  });
  EXPECT_EQ(runs, 2);
  EXPECT_THAT(members("d"), ElementsAre("t"));
}

TEST_F(DynamicGroupsTest, AThingChangedInTheMiddleOfABuildStepIsRight) {
  for (const char* name : {"t1", "t2", "t3"}) thing(name, {{"a", "1"}});
  dynamic("d", "attributes.a:1");
  int runs = 0;
  auto note = [](store::Tx&, std::string_view, const Names&, const Names&) -> Status { return {}; };
  run([&](store::Tx& tx) -> Result<bool> {
    TRY(bool more, build_step(tx, 10, note));
    if (++runs == 1) {
      set("t1", "a", "2");
      run([](store::Tx& other) { return delete_thing(other, "t2", std::nullopt); });
      thing("t4", {{"a", "1"}});
    }
    return more;
  });
  EXPECT_EQ(runs, 2);
  build();
  EXPECT_THAT(members("d"), ElementsAre("t3", "t4"));
  EXPECT_EQ(count("d"), 2);
}

TEST_F(DynamicGroupsTest, WithoutThemAJoinWritesItsRowsAlone) {
  group("g");
  thing("t");
  std::size_t before = store_->size();
  join("g", "t");
  EXPECT_EQ(store_->size(), before + 2);
}

}  // namespace
}  // namespace muster::registry
