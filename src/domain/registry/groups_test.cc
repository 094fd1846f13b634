// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/groups.h"

#include <set>

#include "domain/registry/dynamic_groups.h"
#include "domain/registry/registry_test_support.h"

namespace muster::registry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class Groups : public RegistryTest {
 protected:
  std::vector<std::string> members(const std::string& name, bool recursive, std::size_t limit) {
    std::vector<std::string> all;
    std::string cursor;
    for (int pages = 0; pages < 1000; ++pages) {
      auto page = run([&](store::Tx& tx) { return for_each_member(tx, name, recursive, cursor, limit); });
      EXPECT_LE(page.things.size(), limit);
      all.insert(all.end(), page.things.begin(), page.things.end());
      if (page.next.empty()) return all;
      cursor = page.next;
    }
    ADD_FAILURE() << "pages without end";
    return all;
  }
  std::vector<std::string> list(ListGroups wanted, std::size_t limit) {
    std::vector<std::string> names;
    wanted.page.limit = limit;
    for (int pages = 0; pages < 1000; ++pages) {
      auto page = run([&](store::Tx& tx) { return list_groups(tx, wanted); });
      names.insert(names.end(), page.items.begin(), page.items.end());
      if (page.next_token.empty()) return names;
      wanted.page.token = page.next_token;
    }
    ADD_FAILURE() << "pages without end";
    return names;
  }
  std::int64_t count(const std::string& name, bool recursive) {
    return run([&](store::Tx& tx) -> Result<std::int64_t> { return member_count(tx, name, recursive); });
  }
  // root -> {a -> {a1, a2}, b}, other
  void tree() {
    group("root");
    group("a", "root");
    group("a1", "a");
    group("a2", "a");
    group("b", "root");
    group("other");
  }
};

TEST_F(Groups, HierarchyIsFixedAtCreationAndBounded) {
  tree();
  ThingGroup deep = run([](store::Tx& tx) { return get_group(tx, "a1"); });
  EXPECT_EQ(deep.parent, "a");
  EXPECT_THAT(deep.ancestors, ElementsAre("root", "a"));
  EXPECT_EQ(said([&](store::Tx& tx) {
              return create_group(tx, realm_, {"x", "nosuch", "", {}});
            }),
            "Parent thing group nosuch does not exist");
  auto moved = result([&](store::Tx& tx) { return create_group(tx, realm_, {"a1", "b", "", {}}); });
  EXPECT_EQ(moved.error().kind, ErrorKind::kAlreadyExists);
  EXPECT_EQ(group("a1", "a").id, deep.id) << "alike is a success";
  group("d3", "a1");
  group("d4", "d3");
  group("d5", "d4");
  group("d6", "d5");
  EXPECT_THAT(said([&](store::Tx& tx) { return create_group(tx, realm_, {"d7", "d6", "", {}}); }), HasSubstr("depth"));
}

TEST_F(Groups, ChildrenAreBounded) {
  group("root");
  for (int i = 0; i < 100; ++i) group("c" + std::to_string(i), "root");
  EXPECT_THAT(said([&](store::Tx& tx) {
                return create_group(tx, realm_, {"more", "root", "", {}});
              }),
              HasSubstr("maximum number of child groups"));
}

TEST_F(Groups, UpdatesCountVersions) {
  group("g");
  UpdateGroup change{.name = "g", .description = "d", .attributes = Attributes{{"a", "1"}}};
  EXPECT_EQ(run([&](store::Tx& tx) { return update_group(tx, change); }).version, 2);
  UpdateGroup merge{.name = "g", .attributes = Attributes{{"b", "2"}}, .merge = true, .expected_version = 2};
  ThingGroup merged = run([&](store::Tx& tx) { return update_group(tx, merge); });
  EXPECT_EQ(merged.attributes, (Attributes{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(merged.description, "d");
  EXPECT_EQ(result([&](store::Tx& tx) { return update_group(tx, merge); }).error().kind, ErrorKind::kVersionConflict);
}

TEST_F(Groups, AThingIsInOneGroupOfAHierarchyAndInTenAtMost) {
  tree();
  thing("t");
  EXPECT_EQ(join("a1", "t"), "ok");
  EXPECT_EQ(join("a1", "t"), "ok") << "again is a success";
  EXPECT_THAT(join("root", "t"), HasSubstr("same hierarchy"));
  EXPECT_THAT(join("b", "t"), HasSubstr("same hierarchy"));
  EXPECT_EQ(join("other", "t"), "ok");
  for (int i = 0; i < 8; ++i) {
    group("g" + std::to_string(i));
    EXPECT_EQ(join("g" + std::to_string(i), "t"), "ok");
  }
  group("eleventh");
  EXPECT_THAT(join("eleventh", "t"), HasSubstr("maximum number of thing groups"));
  EXPECT_EQ(join("nosuch", "t"), "Thing Group nosuch not found.");
  EXPECT_EQ(join("other", "nosuch"), "Thing nosuch not found.");
  auto reach =
      run([](store::Tx& tx) -> Result<std::vector<std::string>> { return groups_of_thing_with_ancestors(tx, "t"); });
  EXPECT_EQ(reach.size(), 12u);
  EXPECT_THAT(reach, testing::IsSupersetOf({"root", "a", "a1", "other"}));
}

TEST_F(Groups, LeavingIsIdempotent) {
  group("g");
  thing("t");
  join("g", "t");
  auto leave = [&] { return run([](store::Tx& tx) { return remove_thing_from_group(tx, "g", "t"); }); };
  EXPECT_TRUE(leave());
  EXPECT_FALSE(leave());
  EXPECT_EQ(said([](store::Tx& tx) { return remove_thing_from_group(tx, "nosuch", "t"); }),
            "Thing Group nosuch not found.");
}

TEST_F(Groups, MembersComeOnceInPagesOfAnySize) {
  tree();
  std::vector<std::string> expected;
  int number = 0;
  for (const char* name : {"root", "a", "a1", "a2", "b"})
    for (int i = 0; i < 7; ++i) {
      std::string member = "t" + std::to_string(100 + number++);
      thing(member);
      join(name, member);
      expected.push_back(member);
    }
  thing("elsewhere");
  join("other", "elsewhere");
  for (std::size_t limit : {1u, 2u, 7u, 8u, 35u, 100u}) EXPECT_EQ(members("root", true, limit), expected) << limit;
  EXPECT_EQ(members("root", false, 3).size(), 7u);
  EXPECT_EQ(members("a", true, 4).size(), 21u);
  EXPECT_EQ(said([](store::Tx& tx) { return for_each_member(tx, "nosuch", true, "", 5); }),
            "Thing Group nosuch not found.");
}

TEST_F(Groups, CursorSurvivesDeletionsAndRefusesForgery) {
  tree();
  for (const char* name : {"a1", "a2", "b"}) {
    thing(std::string("in-") + name);
    join(name, std::string("in-") + name);
  }
  auto first = run([](store::Tx& tx) { return for_each_member(tx, "root", true, "", 1); });
  EXPECT_THAT(first.things, ElementsAre("in-a1"));
  EXPECT_TRUE(run([&](store::Tx& tx) { return delete_group(tx, realm_, "a1", std::nullopt); }).done);
  auto rest = run([&](store::Tx& tx) { return for_each_member(tx, "root", true, first.next, 10); });
  EXPECT_THAT(rest.things, ElementsAre("in-a2", "in-b"));
  for (std::string_view cursor : {"other|x", "x", "|", "root/a|x|", "a|in-a2"}) {
    auto forged = result([&](store::Tx& tx) { return for_each_member(tx, "other", true, cursor, 10); });
    if (cursor == "other|x")
      EXPECT_TRUE(forged);
    else
      EXPECT_EQ(forged.error().message, "Invalid next token") << cursor;
  }
}

TEST_F(Groups, DeletionGoesInBatchesAndHidesTheGroupAtOnce) {
  group("parent");
  group("g", "parent");
  for (int i = 0; i < 25; ++i) {
    thing("t" + std::to_string(i));
    join("g", "t" + std::to_string(i));
  }
  EXPECT_EQ(count("parent", true), 25);
  EXPECT_THAT(said([&](store::Tx& tx) { return delete_group(tx, realm_, "parent", std::nullopt); }),
              HasSubstr("child groups"));
  EXPECT_EQ(result([&](store::Tx& tx) { return delete_group(tx, realm_, "g", 5); }).error().kind,
            ErrorKind::kVersionConflict);
  std::vector<std::string> left;
  auto step = [&] {
    GroupDeletion deletion = run([&](store::Tx& tx) { return delete_group(tx, realm_, "g", 1, 10); });
    for (const MembershipChange& change : deletion.changes) {
      left.push_back(change.thing);
      EXPECT_THAT(change.before, ElementsAre("g", "parent"));
      EXPECT_THAT(change.after, testing::IsEmpty());
    }
    return deletion.done;
  };
  EXPECT_FALSE(step());
  EXPECT_EQ(count("parent", true), 0) << "absent, and so are its members";
  EXPECT_FALSE(run([](store::Tx& tx) -> Result<bool> { return find_group(tx, "g").has_value(); }));
  EXPECT_EQ(list({}, 10), (std::vector<std::string>{"parent"}));
  thing("late");
  EXPECT_EQ(join("g", "late"), "Thing Group g not found.");
  EXPECT_THAT(said([&](store::Tx& tx) {
                return create_group(tx, realm_, {"g", "", "", {}});
              }),
              HasSubstr("being deleted"));
  EXPECT_FALSE(step());
  EXPECT_TRUE(step());
  EXPECT_TRUE(step()) << "absent is a success";
  EXPECT_EQ(left.size(), 25u);
  EXPECT_EQ((std::set<std::string>(left.begin(), left.end()).size()), 25u) << "each leaves once";
  EXPECT_EQ(count("g", false), 0);
  EXPECT_EQ(store_->size(), 26u + 2u) << "26 things, the parent and its place among the roots";
}

TEST_F(Groups, WhatADeletionLeavesOfTheOtherGroups) {
  group("parent");
  group("child", "parent");
  group("other");
  thing("t");
  join("child", "t");
  join("other", "t");
  auto deletion = run([&](store::Tx& tx) { return delete_group(tx, realm_, "child", std::nullopt); });
  ASSERT_EQ(deletion.changes.size(), 1u);
  EXPECT_THAT(deletion.changes[0].before, ElementsAre("child", "other", "parent"));
  EXPECT_THAT(deletion.changes[0].after, ElementsAre("other"));
  EXPECT_TRUE(run([&](store::Tx& tx) { return delete_group(tx, realm_, "nosuch", std::nullopt); }).done);
}

TEST_F(Groups, MembersAreCountedAtEveryChange) {
  tree();
  for (const char* name : {"t1", "t2", "t3", "t4"}) thing(name);
  join("root", "t1");
  join("a1", "t2");
  join("a1", "t2");
  join("b", "t3");
  join("other", "t4");
  join("other", "t1");
  EXPECT_EQ(count("root", false), 1);
  EXPECT_EQ(count("root", true), 3);
  EXPECT_EQ(count("a", false), 0);
  EXPECT_EQ(count("a", true), 1);
  EXPECT_EQ(count("other", true), 2);
  EXPECT_EQ(count("nosuch", true), 0);
  run([](store::Tx& tx) { return remove_thing_from_group(tx, "b", "t3"); });
  run([](store::Tx& tx) { return remove_thing_from_group(tx, "b", "t3"); });
  EXPECT_EQ(count("root", true), 2);
  run([](store::Tx& tx) { return delete_thing(tx, "t1", std::nullopt); });
  EXPECT_EQ(count("root", true), 1);
  EXPECT_EQ(count("other", true), 1);
  run([&](store::Tx& tx) { return delete_group(tx, realm_, "a1", std::nullopt); });
  EXPECT_EQ(count("root", true), 0);
  group("a1");
  EXPECT_EQ(count("a1", true), 0) << "another group of the same name";
}

TEST_F(Groups, SeveralGroupsOfAThingAreExchangedInOneStep) {
  tree();
  thing("t");
  join("a1", "t");
  auto update = [&](const UpdateGroupsOfThing& change) {
    return said([&](store::Tx& tx) { return update_groups_of_thing(tx, change); });
  };
  auto groups_of = [&] {
    return run([](store::Tx& tx) -> Result<std::vector<std::string>> { return groups_of_thing(tx, "t"); });
  };
  EXPECT_EQ(update({.thing = "t", .remove = {"a1"}, .add = {"b", "other"}}), "ok") << "within one hierarchy";
  EXPECT_THAT(groups_of(), ElementsAre("b", "other"));
  EXPECT_THAT(update({.thing = "t", .remove = {"other"}, .add = {"a"}}), HasSubstr("same hierarchy"));
  EXPECT_THAT(groups_of(), ElementsAre("b", "other")) << "all or nothing";
  EXPECT_EQ(update({.thing = "t", .remove = {"nosuch"}, .add = {}}), "Thing Group nosuch not found.");
  EXPECT_EQ(update({.thing = "nosuch", .remove = {}, .add = {"b"}}), "Thing nosuch not found.");
  EXPECT_EQ(update({.thing = "t", .remove = {"a"}, .add = {"b"}}), "ok") << "nothing to do";
}

TEST_F(Groups, ANewThingJoinsItsGroupsAsAnyOtherDoes) {
  tree();
  auto make = [&](const std::string& name, const std::vector<std::string>& groups) {
    return said([&](store::Tx& tx) -> Result<MembershipChange> {
      TRY_VOID(create_thing(tx, realm_, {name, "", {{"site", "berlin"}}}));
      return join_groups_of_new_thing(tx, name, groups);
    });
  };
  auto groups_of = [&](std::string_view name) {
    return run([&](store::Tx& tx) -> Result<std::vector<std::string>> { return groups_of_thing(tx, name); });
  };
  EXPECT_EQ(make("t", {"a1", "other"}), "ok");
  EXPECT_THAT(groups_of("t"), ElementsAre("a1", "other"));
  EXPECT_EQ(run([](store::Tx& tx) -> Result<std::int64_t> { return member_count(tx, "root", true); }), 1);
  EXPECT_EQ(said([&](store::Tx& tx) -> Result<int> {
              GroupsRead read;
              for (const char* name : {"v", "w"}) {
                TRY_VOID(create_thing(tx, realm_, {name, "", {}}));
                TRY_VOID(join_groups_of_new_thing(tx, name, {"a1", "other"}, &read));
                if (read.size() != 2) return invalid("each group is read once");
              }
              return 0;
            }),
            "ok");
  EXPECT_THAT(groups_of("w"), ElementsAre("a1", "other"));
  run([](store::Tx& tx) { return delete_thing(tx, "v", std::nullopt); });
  run([](store::Tx& tx) { return delete_thing(tx, "w", std::nullopt); });
  EXPECT_THAT(make("u", {"a1", "b"}), HasSubstr("same hierarchy"));
  EXPECT_EQ(make("u", {"nosuch"}), "Thing Group nosuch not found.");
  EXPECT_FALSE(run([](store::Tx& tx) -> Result<bool> { return thing_exists(tx, "u"); })) << "all or nothing";
  std::vector<std::string> many;
  for (int i = 0; i < 11; ++i) many.push_back(group("g" + std::to_string(i)).name);
  EXPECT_THAT(make("u", many), HasSubstr("maximum number of thing groups, 10"));
  run([&](store::Tx& tx) {
    return create_dynamic_group(tx, realm_,
                                {.name = "dyn",
                                 .query = "attributes.site:berlin",
                                 .index_name = {},
                                 .query_version = {},
                                 .description = {},
                                 .attributes = {}});
  });
  EXPECT_EQ(make("u", {"b"}), "ok");
  EXPECT_THAT(groups_of("u"), ElementsAre("b", "dyn"));
}

TEST_F(Groups, ATokenServesItsOwnListingAlone) {
  tree();
  ListGroups list{.page = {.token = {}, .limit = 1}};
  const std::string token = run([&](store::Tx& tx) { return list_groups(tx, list); }).next_token;
  ASSERT_FALSE(token.empty());
  list.page.token = token;
  EXPECT_EQ(run([&](store::Tx& tx) { return list_groups(tx, list); }).items.size(), 1u);
  for (ListGroups other : {ListGroups{.name_prefix = "a"}, ListGroups{.recursive = false}, ListGroups{.parent = "root"},
                           ListGroups{.parent = "root", .recursive = false}}) {
    other.page.token = token;
    EXPECT_EQ(said([&](store::Tx& tx) { return list_groups(tx, other); }), "Invalid next token");
  }
}

TEST_F(Groups, DescriptionsHaveBounds) {
  auto create = [&](const std::string& name, const std::string& description) {
    return said([&](store::Tx& tx) { return create_group(tx, realm_, {name, "", description, {}}); });
  };
  std::string longest;
  for (int i = 0; i < 2028; ++i) longest += "\xC3\xBC";  // characters count, not bytes
  EXPECT_EQ(create("g", longest), "ok");
  EXPECT_THAT(create("h", longest + "x"), HasSubstr("2028"));
  EXPECT_THAT(create("h", "a\nb"), HasSubstr("control characters"));
  EXPECT_THAT(create("h", "\xC3"), HasSubstr("control characters"));
}

TEST_F(Groups, ListsByParentAndPrefix) {
  tree();
  for (std::size_t limit : {1u, 2u, 10u}) {
    EXPECT_THAT(list({}, limit), ElementsAre("a", "a1", "a2", "b", "other", "root")) << limit;
    EXPECT_THAT(list({.parent = "root"}, limit), ElementsAre("a", "a1", "a2", "b")) << limit;
    EXPECT_THAT(list({.parent = "root", .recursive = false}, limit), ElementsAre("a", "b")) << limit;
    EXPECT_THAT(list({.recursive = false}, limit), ElementsAre("other", "root")) << limit;
    EXPECT_THAT(list({.name_prefix = "a"}, limit), ElementsAre("a", "a1", "a2")) << limit;
    EXPECT_THAT(list({.parent = "root", .name_prefix = "a1"}, limit), ElementsAre("a1")) << limit;
  }
  EXPECT_EQ(said([](store::Tx& tx) { return list_groups(tx, {.parent = "nosuch"}); }), "Thing Group nosuch not found.");
}

}  // namespace
}  // namespace muster::registry
