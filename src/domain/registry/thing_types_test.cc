// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/thing_types.h"

#include "domain/registry/registry_test_support.h"
#include "domain/registry/tags.h"

namespace muster::registry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::int64_t kMinute_ms = 60'000;

class ThingTypes : public RegistryTest {
 protected:
  std::string create(const CreateThingType& wanted) {
    return said([&](store::Tx& tx) { return create_thing_type(tx, realm_, wanted); });
  }
  std::string make(const std::string& name, const std::string& type) {
    return said([&](store::Tx& tx) { return create_thing(tx, realm_, {name, type, {}}); });
  }
  std::string retype(const std::string& name, const std::string& type) {
    return said([&](store::Tx& tx) { return update_thing(tx, UpdateThing{.name = name, .type = type}); });
  }
  std::string text(const Status& status) { return status ? "ok" : status.error().message; }
  std::string deprecate(const std::string& name, bool undo = false) {
    return text(status([&](store::Tx& tx) { return deprecate_thing_type(tx, name, undo); }));
  }
  std::string remove(const std::string& name) {
    return text(status([&](store::Tx& tx) { return delete_thing_type(tx, realm_, name); }));
  }
  ThingType described(const std::string& name) {
    return run([&](store::Tx& tx) { return get_thing_type(tx, name); });
  }
  std::vector<std::string> things_of(const std::string& type, std::size_t limit = 2) {
    ListThings list;
    list.type = type;
    list.page.limit = limit;
    std::vector<std::string> names;
    for (;;) {
      auto page = run([&](store::Tx& tx) { return list_things(tx, list); });
      for (const Thing& each : page.items) names.push_back(each.name);
      if (page.next_token.empty()) return names;
      list.page.token = page.next_token;
    }
  }
};

TEST_F(ThingTypes, CreatingAgainAlikeIsASuccessAndOtherwiseAConflict) {
  EXPECT_EQ(create({"bulb", "lights", {"wattage", "model"}}), "ok");
  const ThingType first = described("bulb");
  EXPECT_EQ(first.description, "lights");
  EXPECT_THAT(first.searchable_attributes, ElementsAre("wattage", "model"));
  EXPECT_EQ(first.created_ms, clock_.now_ms());
  EXPECT_FALSE(first.is_deprecated());
  EXPECT_EQ(create({"bulb", "lights", {"wattage", "model"}}), "ok");
  EXPECT_EQ(described("bulb").id, first.id);
  auto other = result([&](store::Tx& tx) { return create_thing_type(tx, realm_, {"bulb", "other", {}}); });
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::kAlreadyExists);
  EXPECT_EQ(get_string(other.error().fields, "resourceId"), first.id);
  EXPECT_EQ(get_string(other.error().fields, "resourceArn"), "arn:aws:iot:eu-central-1:123456789012:thingtype/bulb");
}

TEST_F(ThingTypes, NamesAndPropertiesHaveBounds) {
  for (const std::string& name : {std::string(), std::string(129, 'a'), std::string("a/b"), std::string("a*"),
                                  std::string("a\nb"), std::string("\xC3\xBC")})
    EXPECT_THAT(create({name, "", {}}), HasSubstr("Invalid thing type name")) << name;
  EXPECT_EQ(create({std::string(128, 'a'), "", {}}), "ok");
  EXPECT_THAT(create({"t", std::string(2029, 'x'), {}}), HasSubstr("2028"));
  EXPECT_THAT(create({"t", "a\tb", {}}), HasSubstr("control characters"));
  EXPECT_EQ(create({"t", std::string(2028, 'x'), {}}), "ok");
  EXPECT_THAT(create({"u", "", {"a", "b", "c", "d"}}), HasSubstr("limit of 3"));
  EXPECT_THAT(create({"u", "", {"a", "a"}}), HasSubstr("more than once"));
  EXPECT_THAT(create({"u", "", {"a b"}}), HasSubstr("must match"));
  EXPECT_THAT(create({"u", "", {""}}), HasSubstr("must match"));
  EXPECT_THAT(create({"u", "", {std::string(129, 'a')}}), HasSubstr("must match"));
  EXPECT_EQ(create({"u", "", {"a", "b", "c"}}), "ok");
}

TEST_F(ThingTypes, UpdatesChangeWhatIsGivenAlone) {
  create({"bulb", "lights", {"wattage"}});
  auto update = [&](UpdateThingType change) {
    change.name = "bulb";
    return said([&](store::Tx& tx) { return update_thing_type(tx, change); });
  };
  EXPECT_EQ(update({.description = "lamps"}), "ok");
  EXPECT_EQ(described("bulb").description, "lamps");
  EXPECT_THAT(described("bulb").searchable_attributes, ElementsAre("wattage"));
  EXPECT_EQ(update({.searchable_attributes = std::vector<std::string>{}}), "ok");
  EXPECT_THAT(described("bulb").searchable_attributes, ElementsAre());
  EXPECT_EQ(described("bulb").description, "lamps");
  EXPECT_THAT(update({.description = std::string(2029, 'x')}), HasSubstr("2028"));
  EXPECT_EQ(said([&](store::Tx& tx) { return update_thing_type(tx, {.name = "none"}); }), "Thing type none not found.");
}

TEST_F(ThingTypes, ThingsAreListedByTypeAndFollowItsChange) {
  create({"bulb", "", {}});
  create({"lamp", "", {}});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(make("t" + std::to_string(i), "bulb"), "ok");
  EXPECT_EQ(make("none", ""), "ok");
  EXPECT_THAT(things_of("bulb"), ElementsAre("t0", "t1", "t2", "t3", "t4"));
  EXPECT_EQ(retype("t1", "lamp"), "ok");
  EXPECT_EQ(said([&](store::Tx& tx) { return update_thing(tx, {.name = "t2", .remove_type = true}); }), "ok");
  EXPECT_TRUE(run([&](store::Tx& tx) { return delete_thing(tx, "t3", std::nullopt); }));
  EXPECT_THAT(things_of("bulb"), ElementsAre("t0", "t4"));
  EXPECT_THAT(things_of("lamp"), ElementsAre("t1"));
  EXPECT_THAT(things_of("nosuch"), ElementsAre());
  EXPECT_EQ(run([](store::Tx& tx) { return get_thing(tx, "t2"); }).type, "");
  EXPECT_EQ(retype("t2", "nosuch"), "Thing type nosuch not found.");
  EXPECT_THAT(
      said([&](store::Tx& tx) { return update_thing(tx, {.name = "t0", .type = "lamp", .remove_type = true}); }),
      HasSubstr("same request"));
}

TEST_F(ThingTypes, TypeAndAttributeTogetherAreListedInShortPages) {
  create({"bulb", "", {}});
  run([&](store::Tx& tx) -> Result<int> {
    for (int i = 0; i < 1203; ++i) {
      const std::string name = "t" + std::to_string(10'000 + i);
      TRY_VOID(create_thing(tx, realm_, {name, i % 400 == 0 ? "bulb" : "", {{"site", "berlin"}}}));
    }
    return 0;
  });
  ListThings list;
  list.type = "bulb";
  list.attribute_name = "site";
  list.attribute_value = "berlin";
  list.page.limit = 3;
  std::vector<std::string> names;
  std::size_t pages = 0;
  do {
    auto page = run([&](store::Tx& tx) { return list_things(tx, list); });
    ++pages;
    for (const Thing& each : page.items) names.push_back(each.name);
    list.page.token = page.next_token;
  } while (!list.page.token.empty() && pages < 10);
  EXPECT_THAT(names, ElementsAre("t10000", "t10400", "t10800", "t11200"));
  EXPECT_EQ(pages, 3u);
}

TEST_F(ThingTypes, DeprecatedTypesTakeNoNewThingsAndKeepTheirOld) {
  create({"bulb", "", {}});
  create({"lamp", "", {}});
  EXPECT_EQ(make("old", "bulb"), "ok");
  EXPECT_EQ(make("other", "lamp"), "ok");
  EXPECT_EQ(deprecate("bulb"), "ok");
  EXPECT_EQ(make("new", "bulb"), "Can not create new thing with depreated thing type:bulb");
  EXPECT_EQ(retype("other", "bulb"), "Can not create new thing with depreated thing type:bulb");
  EXPECT_THAT(things_of("bulb"), ElementsAre("old"));
  EXPECT_EQ(retype("old", "bulb"), "ok") << "no new association";
  EXPECT_EQ(make("old", "bulb"), "ok") << "nor is this";
  EXPECT_EQ(deprecate("bulb", true), "ok");
  EXPECT_FALSE(described("bulb").is_deprecated());
  EXPECT_EQ(make("new", "bulb"), "ok");
  EXPECT_EQ(deprecate("nosuch"), "Thing type nosuch not found.");
  EXPECT_EQ(deprecate("nosuch", true), "Thing type nosuch not found.");
}

TEST_F(ThingTypes, DeprecatingAgainKeepsTheDate) {
  create({"bulb", "", {}});
  deprecate("bulb");
  const auto since = described("bulb").deprecated_ms;
  EXPECT_EQ(since, clock_.now_ms());
  clock_.advance_ms(kMinute_ms);
  EXPECT_EQ(deprecate("bulb"), "ok");
  EXPECT_EQ(described("bulb").deprecated_ms, since);
}

TEST_F(ThingTypes, DeletionTakesADeprecationFiveMinutesAgoAndNoThings) {
  create({"bulb", "", {}});
  make("t", "bulb");
  run([&](store::Tx& tx) -> Result<int> {
    TRY_VOID(tag_resource(tx, thing_type_arn(realm_, "bulb"), {{"a", "b"}}));
    return 0;
  });
  EXPECT_EQ(remove("nosuch"), "Thing type nosuch not found.");
  EXPECT_THAT(remove("bulb"), HasSubstr("deprecate"));
  deprecate("bulb");
  clock_.advance_ms(5 * kMinute_ms - 1);
  EXPECT_EQ(remove("bulb"),
            "Cannot delete thing type : bulb. Please wait for 5 minutes after deprecation and then retry");
  clock_.advance_ms(1);
  EXPECT_THAT(remove("bulb"), HasSubstr("still things"));
  EXPECT_TRUE(run([](store::Tx& tx) { return delete_thing(tx, "t", std::nullopt); }));
  EXPECT_EQ(remove("bulb"), "ok");
  EXPECT_EQ(remove("bulb"), "Thing type bulb not found.");
  EXPECT_EQ(store_->size(), 0u) << "neither tags nor index entries stay behind";
}

TEST_F(ThingTypes, UndoingADeprecationStartsTheFiveMinutesAnew) {
  create({"bulb", "", {}});
  deprecate("bulb");
  clock_.advance_ms(5 * kMinute_ms);
  deprecate("bulb", true);
  EXPECT_THAT(remove("bulb"), HasSubstr("deprecate"));
  deprecate("bulb");
  EXPECT_THAT(remove("bulb"), HasSubstr("wait for 5 minutes"));
}

TEST_F(ThingTypes, AreListedInPages) {
  for (int i = 0; i < 5; ++i) create({"type" + std::to_string(i), "", {}});
  ListThingTypes list;
  list.page.limit = 2;
  std::vector<std::string> names;
  std::string first_token;
  do {
    auto page = run([&](store::Tx& tx) { return list_thing_types(tx, list); });
    for (const ThingType& type : page.items) names.push_back(type.name);
    if (first_token.empty()) first_token = page.next_token;
    list.page.token = page.next_token;
  } while (!list.page.token.empty());
  EXPECT_THAT(names, ElementsAre("type0", "type1", "type2", "type3", "type4"));
  list.name = "type3";
  auto one = run([&](store::Tx& tx) { return list_thing_types(tx, list); });
  ASSERT_EQ(one.items.size(), 1u);
  EXPECT_EQ(one.items[0].name, "type3");
  list.page.token = first_token;  // of the listing without a name
  EXPECT_EQ(said([&](store::Tx& tx) { return list_thing_types(tx, list); }), "Invalid next token");
  list = {.name = "nosuch", .page = {}};
  EXPECT_TRUE(run([&](store::Tx& tx) { return list_thing_types(tx, list); }).items.empty());
}

}  // namespace
}  // namespace muster::registry
