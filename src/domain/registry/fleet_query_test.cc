// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/fleet_query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace muster::registry {
namespace {

using testing::HasSubstr;

class FleetQueries : public testing::Test {
 protected:
  bool matches(std::string_view text) {
    auto query = FleetQuery::parse(text);
    EXPECT_TRUE(query) << text << ": " << (query ? "" : query.error().message);
    return query && query->matches({thing_, groups_});
  }
  static std::string refusal(std::string_view text) {
    auto query = FleetQuery::parse(text);
    if (query) return "accepted";
    EXPECT_EQ(query.error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(query.error().reason, "InvalidQueryException");
    return query.error().message;
  }

  Thing thing_{
      .name = "Pump-07:b",
      .id = "id",
      .type = "Pump",
      .attributes = {{"site", "Berlin"}, {"floor", "12"}, {"delta", "-1.5"}, {"model", "a*b"}, {"v.1", "x/y"}}};
  std::vector<std::string> groups_{"europe", "germany"};
};

TEST_F(FleetQueries, FieldsAreMatchedWholeAndWithoutCase) {
  EXPECT_TRUE(matches("thingName:pump-07\\:B"));
  EXPECT_TRUE(matches("thingName:\"Pump-07:b\""));
  EXPECT_FALSE(matches("thingName:pump"));
  EXPECT_TRUE(matches("attributes.site:BERLIN"));
  EXPECT_TRUE(matches("attributes.site : berlin"));
  EXPECT_FALSE(matches("attributes.Site:berlin")) << "names of fields keep their case";
  EXPECT_TRUE(matches("attributes.v.1:\"x/y\""));
  EXPECT_TRUE(matches("thingTypeName:pump"));
  EXPECT_TRUE(matches("thingGroupNames:germany AND thingGroupNames:europe"));
  EXPECT_FALSE(matches("thingGroupNames:france"));
  EXPECT_TRUE(matches("attributes.delta:-1.5"));
  EXPECT_FALSE(matches("attributes.absent:x"));
}

TEST_F(FleetQueries, WithoutAFieldAnyFieldMayMatch) {
  EXPECT_TRUE(matches("berlin"));
  EXPECT_TRUE(matches("europe"));
  EXPECT_TRUE(matches("pump"));
  EXPECT_TRUE(matches("12"));
  EXPECT_FALSE(matches("paris"));
  EXPECT_FALSE(matches("site")) << "names of attributes are not searched";
}

TEST_F(FleetQueries, Wildcards) {
  EXPECT_TRUE(matches("*"));
  EXPECT_TRUE(matches("thingName:pump*"));
  EXPECT_TRUE(matches("thingName:p*0?\\:b"));
  EXPECT_TRUE(matches("thingName:*b"));
  EXPECT_TRUE(matches("attributes.site:be??in"));
  EXPECT_FALSE(matches("attributes.site:be?in"));
  EXPECT_TRUE(matches("attributes.site:*"));
  EXPECT_FALSE(matches("attributes.absent:*"));
  EXPECT_TRUE(matches("attributes.model:a\\*b"));
  EXPECT_TRUE(matches("attributes.model:\"a*b\""));
  EXPECT_FALSE(matches("attributes.site:\"be*\"")) << "quoted: the character itself";
  EXPECT_FALSE(matches("attributes.site:ber\\*"));
}

TEST_F(FleetQueries, Ranges) {
  EXPECT_TRUE(matches("attributes.floor>5"));
  EXPECT_TRUE(matches("attributes.floor > 5"));
  EXPECT_TRUE(matches("attributes.floor:>=12"));
  EXPECT_FALSE(matches("attributes.floor>12"));
  EXPECT_TRUE(matches("attributes.floor<=12"));
  EXPECT_FALSE(matches("attributes.floor<12.0"));
  EXPECT_TRUE(matches("attributes.floor<1e2")) << "numbers, not texts";
  EXPECT_TRUE(matches("attributes.delta<0 attributes.delta>-2"));
  EXPECT_TRUE(matches("attributes.floor:[9 TO 12]"));
  EXPECT_FALSE(matches("attributes.floor:[9 TO 12}"));
  EXPECT_TRUE(matches("attributes.floor:{11 TO 13}"));
  EXPECT_FALSE(matches("attributes.floor:{12 TO 13]"));
  EXPECT_TRUE(matches("attributes.floor:[* TO 12]"));
  EXPECT_TRUE(matches("attributes.floor:[ 12 TO * ]"));
  EXPECT_TRUE(matches("attributes.floor:[* TO *]"));
  EXPECT_FALSE(matches("attributes.absent:[* TO *]"));
  EXPECT_TRUE(matches("attributes.site:[\"Aachen\" TO \"bonn\"]"));
  EXPECT_FALSE(matches("attributes.site:[\"Bonn\" TO Zurich]"));
  EXPECT_FALSE(matches("attributes.floor:[\"9\" TO \"99\"]")) << "quoted: texts";
  EXPECT_FALSE(matches("attributes.site>5")) << "no number is beyond none";
  EXPECT_FALSE(matches("attributes.site<5"));
  EXPECT_TRUE(matches("thingName:[o TO q]"));
  EXPECT_FALSE(matches("attributes.floor:[13 TO 9]"));
}

TEST_F(FleetQueries, OperatorsAndGroups) {
  EXPECT_TRUE(matches("berlin AND NOT paris"));
  EXPECT_TRUE(matches("berlin -paris"));
  EXPECT_FALSE(matches("berlin paris")) << "no operator is AND";
  EXPECT_TRUE(matches("berlin OR paris AND rome")) << "AND binds first";
  EXPECT_FALSE(matches("(berlin OR paris) AND rome"));
  EXPECT_TRUE(matches("paris || berlin"));
  EXPECT_FALSE(matches("paris && berlin"));
  EXPECT_TRUE(matches("NOT NOT berlin"));
  EXPECT_FALSE(matches("!berlin"));
  EXPECT_TRUE(matches("NOT(paris)"));
  EXPECT_TRUE(matches("thingName:(pump* AND -plasma)"));
  EXPECT_FALSE(matches("thingName:(berlin OR paris)"));
  EXPECT_TRUE(matches("attributes.site:(paris OR (rome OR berlin))"));
  EXPECT_FALSE(matches("and")) << "operators are in upper case";
  EXPECT_TRUE(matches(" \t\n berlin \r\n "));
}

TEST_F(FleetQueries, KnowsWhetherGroupsMatter) {
  auto uses = [](std::string_view text) { return FleetQuery::parse(text)->uses_groups(); };
  EXPECT_TRUE(uses("berlin"));
  EXPECT_TRUE(uses("attributes.a:b OR NOT (thingName:x AND thingGroupNames:g)"));
  EXPECT_FALSE(uses("attributes.a:b OR thingName:x"));
  EXPECT_FALSE(FleetQuery().uses_groups());
  EXPECT_FALSE(FleetQuery().matches({thing_, groups_}));
}

TEST_F(FleetQueries, RefusalsNameThePosition) {
  EXPECT_THAT(refusal(""), HasSubstr("position 1: a term is missing"));
  EXPECT_THAT(refusal("   "), HasSubstr("position 4: a term is missing"));
  EXPECT_THAT(refusal("a AND"), HasSubstr("position 6: a term is missing"));
  EXPECT_THAT(refusal("a OR OR b"), HasSubstr("position 6: expected a term, not the operator OR"));
  EXPECT_THAT(refusal("AND a"), HasSubstr("position 1: expected a term"));
  EXPECT_THAT(refusal("NOT"), HasSubstr("position 4: a term is missing"));
  EXPECT_THAT(refusal("(a"), HasSubstr("position 1: '(' without ')'"));
  EXPECT_THAT(refusal("a)"), HasSubstr("position 2: ')' without '('"));
  EXPECT_THAT(refusal("()"), HasSubstr("position 2: expected a term, not ')'"));
  EXPECT_THAT(refusal("\"abc"), HasSubstr("position 1: a quote that does not end"));
  EXPECT_THAT(refusal("\"abc\\\""), HasSubstr("a quote that does not end"));
  EXPECT_THAT(refusal("\"\""), HasSubstr("an empty phrase"));
  EXPECT_THAT(refusal("a\"b\""), HasSubstr("position 2"));
  EXPECT_THAT(refusal("a\\"), HasSubstr("position 2"));
  EXPECT_THAT(refusal("thingName:"), HasSubstr("position 11: a value is missing"));
  EXPECT_THAT(refusal("thingName:)"), HasSubstr("position 11"));
  EXPECT_THAT(refusal(":x"), HasSubstr("position 1: expected a term, not ':'"));
  EXPECT_THAT(refusal("thingName:a:b"), HasSubstr("position 12"));
  EXPECT_THAT(refusal("thingName:(thingTypeName:x)"), HasSubstr("a field inside the group of another field"));
  EXPECT_THAT(refusal("\"thingName\":x"), HasSubstr("neither quotes nor wildcards"));
  EXPECT_THAT(refusal("attributes.*:x"), HasSubstr("neither quotes nor wildcards"));
  for (std::string_view text : {"a~2", "a^2", "\"a b\"~2", "/re/", "a+b", "+a", "a@b", "a;b", "a|b", "x=5", "a#"})
    EXPECT_THAT(refusal(text), HasSubstr("is not supported outside quotes")) << text;
}

TEST_F(FleetQueries, RefusalsOfRanges) {
  EXPECT_THAT(refusal("[1 TO 2]"), HasSubstr("position 1: a range needs a field"));
  EXPECT_THAT(refusal("attributes.x:[1 2]"), HasSubstr("[a TO b]"));
  EXPECT_THAT(refusal("attributes.x:[1 TO 2"), HasSubstr("a range that does not end"));
  EXPECT_THAT(refusal("attributes.x:[1 TO"), HasSubstr("a term is missing"));
  EXPECT_THAT(refusal("attributes.x:[TO 2]"), HasSubstr("a bound of the range is missing"));
  EXPECT_THAT(refusal("attributes.x:[a* TO 2]"), HasSubstr("a wildcard in a range"));
  EXPECT_THAT(refusal("attributes.x>a*"), HasSubstr("a wildcard cannot be compared"));
  EXPECT_THAT(refusal("attributes.x>"), HasSubstr("position 14: a term is missing"));
  EXPECT_THAT(refusal("x>5"), HasSubstr("the field x is not indexed"));
  EXPECT_THAT(refusal(">5"), HasSubstr("position 1"));
  EXPECT_THAT(refusal("attributes.x:(>5)"), HasSubstr("expected a term"));
}

TEST_F(FleetQueries, FieldsThatAreNotIndexedAreRefusedByName) {
  for (std::string field :
       {"deviceDefender.violationCount", "thingname", "attributes", "attributes.", "version", "jobs.id",
        "jobs.a.b.status", "jobs..status", "shadow.reported", "shadow.reported.", "shadow.other.x", "shadow.name.s",
        "shadow.name.s.reported", "shadow.name..hasDelta", "connectivity.version", "connectivity", "thingGroupName"})
    EXPECT_THAT(refusal("a AND " + field + ":true"), HasSubstr("position 7: the field " + field + " is not indexed"));
  for (std::string field : {"registry.version", "shadow.version", "shadow.name.s.version"})
    EXPECT_THAT(refusal(field + ">1"), HasSubstr("position 1: the field " + field + " cannot be searched"));
}

TEST_F(FleetQueries, OfThingGroupsHaveFieldsOfTheirOwn) {
  auto parse = [](std::string_view text) { return FleetQuery::parse(text, QuerySubject::kThingGroups); };
  EXPECT_TRUE(parse("thingGroupName:a* AND parentGroupNames:b AND attributes.x:1 AND description:\"two words\""));
  EXPECT_TRUE(parse("thingGroupId:*"));
  EXPECT_THAT(parse("thingName:a").error().message, HasSubstr("the field thingName is not indexed"));
  EXPECT_THAT(parse("version:1").error().message, HasSubstr("cannot be searched"));
}

TEST_F(FleetQueries, KnowWhatTheyNeed) {
  auto needs = [](std::string_view text) { return FleetQuery::parse(text)->needs(); };
  EXPECT_TRUE(needs("a OR thingName:b").registry_only());
  EXPECT_TRUE(needs("a OR NOT shadow.reported.x:1").shadow);
  EXPECT_TRUE(needs("connectivity.connected:true").connectivity);
  EXPECT_TRUE(needs("(a jobs.j-1.status:FAILED)").jobs);
  EXPECT_THAT(needs("shadow.name.s.hasDelta:true shadow.name.$package.reported.v:1").named_shadows,
              testing::ElementsAre("$package", "s"));
}

TEST_F(FleetQueries, TextsAreMatchedByWords) {
  auto matches = [](std::string_view query, std::string text, ValueKind kind = ValueKind::kText) {
    return FleetQuery::parse(query)->matches({{.field = "shadow.reported.x", .text = std::move(text), .kind = kind}});
  };
  EXPECT_TRUE(matches("shadow.reported.x:york", "New  York\tCity"));
  EXPECT_TRUE(matches("shadow.reported.x:\"new york\"", "New  York\tCity"));
  EXPECT_TRUE(matches("shadow.reported.x:new\\ york", "New York"));
  EXPECT_FALSE(matches("shadow.reported.x:\"york new\"", "New York City"));
  EXPECT_FALSE(matches("shadow.reported.x:\"new city\"", "New York City"));
  EXPECT_FALSE(matches("shadow.reported.x:new*city", "New York City"));
  EXPECT_TRUE(matches("shadow.reported.x>5", "about 7 or so"));
  EXPECT_FALSE(matches("shadow.reported.x:*", "  "));
  EXPECT_TRUE(matches("shadow.reported.x:78.0", "78", ValueKind::kNumber)) << "numbers are compared as such";
  EXPECT_FALSE(matches("shadow.reported.x:\"78.0\"", "78", ValueKind::kNumber));
  EXPECT_FALSE(matches("shadow.reported.x:78.0", "78"));
  EXPECT_TRUE(matches("shadow.reported.x:TRUE", "true", ValueKind::kBoolean));
  EXPECT_FALSE(matches("york", "New York")) << "terms without a field look at the registry";
  EXPECT_TRUE(FleetQuery::parse("york")->matches({{.field = "shadow.reported.x", .text = "New York"}},
                                                 FleetQuery::BareTerms::kEverything));
  EXPECT_THAT(refusal("shadow.reported.x:\" \""), HasSubstr("an empty phrase"));
}

TEST_F(FleetQueries, Bounds) {
  std::string twelve, thirteen;
  for (int i = 0; i < 12; ++i) twelve += "a" + std::to_string(i) + " ";
  thirteen = twelve + "attributes.x:[1 TO 2]";
  EXPECT_FALSE(matches(twelve));
  EXPECT_THAT(refusal(thirteen), HasSubstr("more than 12 terms"));
  EXPECT_TRUE(matches(std::string(16, '(') + "berlin" + std::string(16, ')')));
  EXPECT_THAT(refusal(std::string(17, '(') + "a" + std::string(17, ')')), HasSubstr("position 17: parentheses nest"));
  EXPECT_TRUE(matches("(berlin) (berlin) (berlin) (berlin) (berlin) (berlin) (berlin) (berlin) (berlin)"));
  EXPECT_FALSE(matches(std::string(1000, 'a')));
  EXPECT_THAT(refusal(std::string(1001, 'a')), HasSubstr("longer than 1000"));
  EXPECT_THAT(refusal("*a OR thingName:?b"), HasSubstr("position 17: only one term"));
  EXPECT_TRUE(matches("* OR thingName:?b"));
  EXPECT_THAT(refusal("*a OR " + std::string(100, 'b')), HasSubstr("at most 100 characters"));
  EXPECT_TRUE(matches(std::string(990, '-') + "berlin")) << "no recursion for signs";
  EXPECT_FALSE(matches(std::string(989, '!') + "berlin"));
}

TEST_F(FleetQueries, HostileTexts) {
  EXPECT_THAT(refusal(std::string("a\0b", 3)), HasSubstr("position 2: a control character"));
  EXPECT_THAT(refusal("a\x01"), HasSubstr("position 2: a control character")) << "the marks of wildcards inside";
  EXPECT_THAT(refusal("\x7F"), HasSubstr("a control character"));
  EXPECT_THAT(refusal("a\xFF"), HasSubstr("not UTF-8"));
  EXPECT_FALSE(matches("grün"));
  EXPECT_FALSE(matches("attributes.floor>1e999")) << "no number: a text, and \"12\" < \"1e999\"";
  EXPECT_TRUE(matches("attributes.floor<nan")) << "a text too";
  // A pattern that backtracking would try exponentially often.
  thing_.attributes["site"] = std::string(800, 'a');
  std::string pattern = "attributes.site:a";
  while (pattern.size() < 900) pattern += "*a?a";
  EXPECT_FALSE(matches(pattern + "*b"));
  EXPECT_TRUE(matches("attributes.site:a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a"));
}

TEST_F(FleetQueries, AnyTextIsAnsweredWithinBounds) {
  std::mt19937 random(7);
  const std::vector<std::string> pieces{"a",          "AND",
                                        "OR",         "NOT",
                                        "TO",         "(",
                                        ")",          "[",
                                        "]",          "{",
                                        "}",          "\"",
                                        "\\",         ":",
                                        "<",          ">",
                                        "=",          "*",
                                        "?",          "-",
                                        "!",          " ",
                                        " ",          "|",
                                        "&",          "attributes.x:",
                                        "thingName:", "5",
                                        "\xC3\xA4",   "attributes.x:[1 TO "};
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (auto n = random() % 24; n > 0; --n) text += pieces[random() % pieces.size()];
    auto query = FleetQuery::parse(text);
    if (query) {
      ++accepted;
      auto negated = FleetQuery::parse("NOT (" + text + ")");
      if (negated) EXPECT_NE(query->matches({thing_, groups_}), negated->matches({thing_, groups_})) << text;
    } else {
      EXPECT_EQ(query.error().reason, "InvalidQueryException");
    }
  }
  EXPECT_GT(accepted, 100);
}

}  // namespace
}  // namespace muster::registry
