// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/things.h"

#include "domain/registry/registry_test_support.h"
#include "domain/registry/tags.h"

namespace muster::registry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Things : public RegistryTest {
 protected:
  std::vector<std::string> list(ListThings wanted, std::size_t limit = 100) {
    std::vector<std::string> names;
    wanted.page.limit = limit;
    for (int pages = 0; pages < 100; ++pages) {
      auto page = run([&](store::Tx& tx) { return list_things(tx, wanted); });
      EXPECT_LE(page.items.size(), limit);
      for (const Thing& each : page.items) names.push_back(each.name);
      if (page.next_token.empty()) return names;
      wanted.page.token = page.next_token;
    }
    ADD_FAILURE() << "pages without end";
    return names;
  }
  ListThings by(std::string name, std::string value, bool prefix = false) {
    ListThings wanted;
    wanted.attribute_name = std::move(name);
    wanted.attribute_value = std::move(value);
    wanted.prefix = prefix;
    return wanted;
  }
};

TEST_F(Things, CreatingAgainAlikeIsASuccessAndOtherwiseAConflict) {
  Thing first = thing("t1", {{"site", "berlin"}});
  EXPECT_EQ(first.version, 1);
  EXPECT_EQ(first.id.size(), 36u);
  EXPECT_EQ(thing("t1", {{"site", "berlin"}}).id, first.id);
  auto other = result([&](store::Tx& tx) { return create_thing(tx, realm_, {"t1", "", {}}); });
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::kAlreadyExists);
  EXPECT_EQ(get_string(other.error().fields, "resourceId"), first.id);
  EXPECT_EQ(get_string(other.error().fields, "resourceArn"), "arn:aws:iot:eu-central-1:123456789012:thing/t1");
}

TEST_F(Things, NamesAndAttributesAreChecked) {
  auto create = [&](std::string name, Attributes attributes) {
    return said([&](store::Tx& tx) { return create_thing(tx, realm_, {name, "", attributes}); });
  };
  EXPECT_NE(create("a b", {}), "ok");
  EXPECT_NE(create("", {}), "ok");
  EXPECT_NE(create(std::string(129, 'a'), {}), "ok");
  EXPECT_EQ(create(std::string(128, 'a'), {}), "ok");
  EXPECT_NE(create("t", {{"a b", "x"}}), "ok");
  EXPECT_NE(create("t", {{"a", "x y"}}), "ok");
  EXPECT_NE(create("t", {{"a", std::string(801, 'x')}}), "ok");
  Attributes many;
  for (int i = 0; i < 51; ++i) many["a" + std::to_string(i)] = "x";
  EXPECT_THAT(create("t", many), HasSubstr("limit of 50"));
  many.erase("a0");
  EXPECT_EQ(create("t", many), "ok");
  EXPECT_THAT(said([&](store::Tx& tx) {
                return create_thing(tx, realm_, {"u", "nosuchtype", {}});
              }),
              HasSubstr("Thing type nosuchtype not found"));
}

TEST_F(Things, UpdatesMergeOrReplaceAndCountVersions) {
  thing("t1", {{"a", "1"}, {"b", "2"}});
  auto update = [&](Attributes attributes, bool merge) {
    UpdateThing change{.name = "t1", .attributes = std::move(attributes), .merge = merge};
    return run([&](store::Tx& tx) { return update_thing(tx, change); });
  };
  EXPECT_EQ(update({{"b", "3"}, {"c", "4"}}, true).attributes, (Attributes{{"a", "1"}, {"b", "3"}, {"c", "4"}}));
  EXPECT_EQ(update({{"a", ""}}, true).attributes, (Attributes{{"b", "3"}, {"c", "4"}})) << "an empty value removes";
  Thing replaced = update({{"d", "5"}}, false);
  EXPECT_EQ(replaced.attributes, (Attributes{{"d", "5"}}));
  EXPECT_EQ(replaced.version, 4);
  EXPECT_THAT(list(by("d", "5")), ElementsAre("t1"));
  EXPECT_THAT(list(by("b", "3")), ElementsAre()) << "the index follows";
}

TEST_F(Things, ExpectedVersionGuardsUpdateAndDelete) {
  thing("t1");
  UpdateThing change{.name = "t1", .expected_version = 2};
  auto refused = result([&](store::Tx& tx) { return update_thing(tx, change); });
  EXPECT_EQ(refused.error().kind, ErrorKind::kVersionConflict);
  EXPECT_EQ(refused.error().message, "The version for thing t1 does not match the expected version.");
  auto gone = result([](store::Tx& tx) { return delete_thing(tx, "t1", 7); });
  EXPECT_EQ(gone.error().kind, ErrorKind::kVersionConflict);
  EXPECT_TRUE(run([](store::Tx& tx) { return delete_thing(tx, "t1", 1); }));
  EXPECT_FALSE(run([](store::Tx& tx) { return delete_thing(tx, "t1", 1); })) << "absent is a success";
}

TEST_F(Things, DeletionLeavesNothingBehind) {
  std::size_t before = store_->size();
  thing("t1", {{"a", "1"}});
  group("g");
  EXPECT_EQ(join("g", "t1"), "ok");
  EXPECT_TRUE(run([](store::Tx& tx) { return delete_thing(tx, "t1", std::nullopt); }));
  EXPECT_TRUE(run([&](store::Tx& tx) { return delete_group(tx, realm_, "g", std::nullopt); }).done);
  EXPECT_EQ(store_->size(), before);
}

TEST_F(Things, ListsByNameAndAttributeInPages) {
  for (int i = 0; i < 9; ++i) thing("t" + std::to_string(i), {{"site", i % 3 == 0 ? "berlin" : "bern"}});
  EXPECT_EQ(list({}, 2).size(), 9u);
  EXPECT_EQ(list({}, 9).size(), 9u);
  EXPECT_THAT(list(by("site", "berlin"), 2), ElementsAre("t0", "t3", "t6"));
  EXPECT_EQ(list(by("site", "ber", true), 4).size(), 9u);
  EXPECT_THAT(list(by("site", "berl", true), 4), ElementsAre("t0", "t3", "t6"));
  EXPECT_THAT(list(by("site", "ber")), ElementsAre()) << "not a prefix unless asked for";
  EXPECT_NE(said([&](store::Tx& tx) { return list_things(tx, by("", "x")); }), "ok");
}

TEST_F(Things, TokensOfOtherListingsAndJunkAreRefused) {
  for (int i = 0; i < 3; ++i) thing("t" + std::to_string(i), {{"site", "berlin"}});
  const std::string all = listing_of("things", {"", "", "", ""});
  ListThings wanted;
  const auto answer = [&](const std::string& token) {
    wanted.page.token = token;
    return said([&](store::Tx& tx) { return list_things(tx, wanted); });
  };
  for (const std::string& token : {std::string("junk"), std::string("!!!"), page_token("groups", "t1"),
                                   page_token(all, ""), page_token("things", "t1"), std::string(9000, 'A')})
    EXPECT_EQ(answer(token), "Invalid next token") << token;
  // A forged position of the listing itself leads nowhere else.
  wanted.page.token = page_token(all, std::string("\xff\xff\xff", 3));
  EXPECT_EQ(run([&](store::Tx& tx) { return list_things(tx, wanted); }).items.size(), 0u);
  wanted = by("site", "b");
  wanted.page.token = page_token(listing_of("things", {"site", "b", "", ""}), std::string(1, '\0'));
  EXPECT_EQ(run([&](store::Tx& tx) { return list_things(tx, wanted); }).items.size(), 0u);
}

TEST_F(Things, ATokenServesItsOwnFilterAlone) {
  for (int i = 0; i < 3; ++i) thing("t" + std::to_string(i), {{"site", "berlin"}});
  ListThings one = by("site", "berlin");
  one.page.limit = 1;
  const std::string token = run([&](store::Tx& tx) { return list_things(tx, one); }).next_token;
  ASSERT_FALSE(token.empty());
  for (ListThings other : {ListThings(), by("site", "bern"), by("site", "berlin", true), by("kind", "berlin")}) {
    other.page.token = token;
    EXPECT_EQ(said([&](store::Tx& tx) { return list_things(tx, other); }), "Invalid next token");
  }
  one.type = "bulb";
  one.page.token = token;
  EXPECT_EQ(said([&](store::Tx& tx) { return list_things(tx, one); }), "Invalid next token");
}

TEST_F(Things, NamesWithWildcardsSlashesAndControlCharactersAreRefused) {
  for (const std::string& name : {std::string("+"), std::string("#"), std::string("*"), std::string("a/b"),
                                  std::string("$aws"), std::string("a\0b", 3), std::string("a\n"), std::string("\x7f"),
                                  std::string("\xC3\xBC"), std::string("${x}"), std::string("a b")})
    EXPECT_THAT(said([&](store::Tx& tx) {
                  return create_thing(tx, realm_, {name, "", {}});
                }),
                HasSubstr("Invalid thing name"))
        << name;
  EXPECT_EQ(store_->size(), 0u);
}

TEST_F(Things, FiftyAttributesOfFullLengthFitAndOneMoreDoesNot) {
  Attributes attributes;
  for (int i = 0; i < 50; ++i) attributes[std::string(126, 'n') + std::to_string(10 + i)] = std::string(800, 'x');
  EXPECT_EQ(thing("t", attributes).attributes, attributes);
  attributes["one-more"] = "x";
  EXPECT_THAT(said([&](store::Tx& tx) {
                return create_thing(tx, realm_, {"u", "", attributes});
              }),
              HasSubstr("limit of 50"));
}

TEST_F(Things, TagsHaveBounds) {
  auto put = [&](Tags tags) {
    return said([&](store::Tx& tx) -> Result<int> {
      TRY_VOID(tag_resource(tx, "arn:x", tags));
      return 1;
    });
  };
  EXPECT_EQ(put({{"a", "1"}, {"b", ""}}), "ok");
  EXPECT_EQ(put({{"a", "2"}}), "ok");
  EXPECT_EQ(run([](store::Tx& tx) -> Result<Tags> { return tags_of(tx, "arn:x"); }), (Tags{{"a", "2"}, {"b", ""}}));
  EXPECT_NE(put({{"aws:x", "1"}}), "ok");
  EXPECT_NE(put({{"", "1"}}), "ok");
  EXPECT_NE(put({{"k", std::string(257, 'x')}}), "ok");
  EXPECT_EQ(put({{"k", std::string(100, '\xC3')}}), "Tags must not contain control characters");
  Tags many;
  for (int i = 0; i < 49; ++i) many["k" + std::to_string(i)] = "x";
  EXPECT_THAT(put(many), HasSubstr("limit of 50"));
  EXPECT_TRUE(status([](store::Tx& tx) { return untag_resource(tx, "arn:x", {"a", "b", "nosuch"}); }));
  EXPECT_EQ(store_->size(), 0u);
}

}  // namespace
}  // namespace muster::registry
