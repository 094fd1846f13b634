// SPDX-License-Identifier: Apache-2.0
// Searches and aggregations against a second model: documents in a map, queries as trees of their own that are asked of
// one document after the other. Random documents, queries and changes from a seed.
#include "domain/fleet/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>
#include <set>

#include "domain/fleet/aggregate.h"

namespace muster::fleet {
namespace {

using testing::ElementsAre;
using Names = std::vector<std::string>;
using registry::FieldValue;

Names search_names(const Index& index, std::string_view text, DynamicMembership dynamic = DynamicMembership::kSeen) {
  auto query = FleetQuery::parse(text, index.subject());
  EXPECT_TRUE(query) << text << ": " << (query ? "" : query.error().message);
  if (!query) return {};
  Names names = all_names(index, search(index, *query, dynamic));
  std::ranges::sort(names);
  return names;
}

// ---- the model

struct ModelLeaf {
  std::string field;  // empty: any
  enum class Kind { kWord, kPrefix, kSuffix, kExists, kPhrase, kAbove, kUpTo, kBetween, kTextRange } kind = Kind::kWord;
  std::string a, b;
};
struct ModelNode {
  char op = 'L';  // & | ! L
  std::vector<ModelNode> children;
  ModelLeaf leaf;
};

std::string folded(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}
std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  for (char c : folded(text) + " ") {
    if (c != ' ') {
      word += c;
    } else if (!word.empty()) {
      words.push_back(word);
      word.clear();
    }
  }
  return words;
}
std::optional<double> number_in(const std::string& word) {
  char* end = nullptr;
  if (word.empty() || word.find_first_not_of("0123456789.-") != std::string::npos) return {};
  double number = std::strtod(word.c_str(), &end);
  if (*end != '\0') return {};
  return number;
}

bool word_holds(const ModelLeaf& leaf, const std::string& word, ValueKind kind) {
  using Kind = ModelLeaf::Kind;
  const auto number = number_in(word);
  switch (leaf.kind) {
    case Kind::kWord:
      return word == folded(leaf.a) ||
             (kind == ValueKind::kNumber && number && number_in(leaf.a) && *number == *number_in(leaf.a));
    case Kind::kPrefix:
      return word.starts_with(folded(leaf.a));
    case Kind::kSuffix:
      return word.ends_with(folded(leaf.a));
    case Kind::kExists:
      return true;
    case Kind::kAbove:
      return number && *number > *number_in(leaf.a);
    case Kind::kUpTo:
      return number && *number <= *number_in(leaf.a);
    case Kind::kBetween:
      return number && *number >= *number_in(leaf.a) && *number < *number_in(leaf.b);
    case Kind::kTextRange:
      return word >= folded(leaf.a) && word <= folded(leaf.b);
    case Kind::kPhrase:
      break;
  }
  return false;
}

bool value_holds(const ModelLeaf& leaf, const FieldValue& value) {
  const auto words = words_of(value.text);
  if (leaf.kind == ModelLeaf::Kind::kPhrase) {
    for (std::size_t i = 0; i + 1 < words.size(); ++i)
      if (words[i] == folded(leaf.a) && words[i + 1] == folded(leaf.b)) return true;
    return false;
  }
  return std::ranges::any_of(words, [&](const std::string& word) { return word_holds(leaf, word, value.kind); });
}

bool holds(const ModelNode& node, const FieldValues& document) {
  const auto child = [&](const ModelNode& one) { return holds(one, document); };
  if (node.op == '&') return std::ranges::all_of(node.children, child);
  if (node.op == '|') return std::ranges::any_of(node.children, child);
  if (node.op == '!') return !holds(node.children[0], document);
  return std::ranges::any_of(document, [&](const FieldValue& value) {
    const bool hidden = value.field.ends_with("version");
    return (node.leaf.field.empty() ? !hidden : value.field == node.leaf.field) && value_holds(node.leaf, value);
  });
}

std::string text_of(const ModelLeaf& leaf) {
  using Kind = ModelLeaf::Kind;
  const std::string f = leaf.field.empty() ? "" : leaf.field + ":";
  switch (leaf.kind) {
    case Kind::kWord:
      return f + leaf.a;
    case Kind::kPrefix:
      return f + leaf.a + "*";
    case Kind::kSuffix:
      return f + "*" + leaf.a;
    case Kind::kExists:
      return f + "*";
    case Kind::kPhrase:
      return f + "\"" + leaf.a + " " + leaf.b + "\"";
    case Kind::kAbove:
      return leaf.field + ">" + leaf.a;
    case Kind::kUpTo:
      return f + "<=" + leaf.a;
    case Kind::kBetween:
      return f + "[" + leaf.a + " TO " + leaf.b + "}";
    case Kind::kTextRange:
      break;
  }
  return f + "[" + leaf.a + " TO " + leaf.b + "]";
}

std::string text_of(const ModelNode& node) {
  if (node.op == 'L') return text_of(node.leaf);
  if (node.op == '!') return "NOT (" + text_of(node.children[0]) + ")";
  std::string text = "(" + text_of(node.children[0]);
  for (std::size_t i = 1; i < node.children.size(); ++i)
    text += (node.op == '&' ? " AND " : " OR ") + text_of(node.children[i]);
  return text + ")";
}

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  std::size_t below(std::size_t n) { return engine_() % n; }
  const std::string& one_of(const std::vector<std::string>& list) { return list[below(list.size())]; }

  const std::vector<std::string> fields{"attributes.a",           "attributes.b",      "thingTypeName",
                                        "thingGroupNames",        "shadow.reported.x", "shadow.name.s.desired.y.z",
                                        "connectivity.connected", "jobs.j.status"};
  const std::vector<std::string> words{"red", "Green", "blue", "redder", "RED", "7", "7.0", "-3", "12.5", "120", "zz"};
  const std::vector<std::string> numbers{"7", "7.0", "-3", "12.5", "120", "0"};

  FieldValues document(const std::string& name) {
    FieldValues values{{.field = "thingName", .text = name}};
    values.push_back({.field = "registry.version", .text = std::to_string(below(3)), .kind = ValueKind::kNumber});
    for (std::size_t i = below(8); i > 0; --i) {
      FieldValue value{.field = one_of(fields), .text = one_of(words)};
      if (value.field.starts_with("shadow.") && below(2) == 0) {
        value.text = one_of(numbers);
        value.kind = ValueKind::kNumber;
      } else if (value.field.starts_with("shadow.")) {
        for (std::size_t more = below(3); more > 0; --more) value.text += " " + one_of(words);
      }
      values.push_back(std::move(value));
    }
    return values;
  }

  ModelLeaf leaf(bool& suffix_used) {
    using Kind = ModelLeaf::Kind;
    ModelLeaf leaf;
    leaf.field = below(5) == 0 ? "" : one_of(fields);
    leaf.kind = static_cast<Kind>(below(9));
    if (leaf.field.empty() && leaf.kind >= Kind::kAbove) leaf.kind = Kind::kWord;
    if (leaf.kind == Kind::kSuffix && std::exchange(suffix_used, true)) leaf.kind = Kind::kPrefix;
    leaf.a =
        one_of(leaf.kind == Kind::kAbove || leaf.kind == Kind::kUpTo || leaf.kind == Kind::kBetween ? numbers : words);
    leaf.b = one_of(leaf.kind == Kind::kBetween ? numbers : words);
    if (leaf.kind == Kind::kTextRange) {  // bounds that are both numbers would make it one of numbers
      leaf.a = "b";
      leaf.b = one_of({"green", "red", "z"});
    }
    if (leaf.kind == Kind::kWord && leaf.a[0] == '-') leaf.a = "7";  // a sign in front means NOT
    if ((leaf.kind == Kind::kPrefix || leaf.kind == Kind::kSuffix) && leaf.a[0] == '-') leaf.a = "re";
    return leaf;
  }
  ModelNode node(int depth, int& leaves, bool& suffix_used) {
    ModelNode node;
    const std::size_t what = depth == 0 || leaves <= 2 ? 0 : below(4);
    if (what == 0) {
      --leaves;
      node.leaf = leaf(suffix_used);
      return node;
    }
    node.op = "L&|!"[what];
    for (int i = what == 3 ? 1 : 2; i > 0; --i) node.children.push_back(this->node(depth - 1, leaves, suffix_used));
    return node;
  }

 private:
  std::mt19937 engine_;
};

Names names_in_model(const std::map<std::string, FieldValues>& documents, const ModelNode& query) {
  Names names;
  for (const auto& [name, document] : documents)
    if (holds(query, document)) names.push_back(name);
  return names;
}

void check_tallies(const Index& index, const std::map<std::string, FieldValues>& documents, const ModelNode& query,
                   const DocSet& found, const std::string& field, FieldType type) {
  std::map<std::string, std::set<std::string>> model;  // text -> documents
  for (const auto& [name, document] : documents) {
    if (!holds(query, document)) continue;
    for (const FieldValue& value : document) {
      const bool number = number_in(value.text).has_value();
      const bool counts = type == FieldType::kNumber ? number : value.kind == ValueKind::kText;
      if (value.field == field && counts) model[value.text].insert(name);
    }
  }
  std::map<std::string, std::size_t> got, expected;
  for (const Tally& one : tally(index, found, field, type)) got[std::string(one.text)] += one.count;
  for (const auto& [text, names] : model) expected[text] = names.size();
  // A text and a number of the same form are two values, and a document may have both.
  if (type == FieldType::kNumber && field.starts_with("shadow."))
    EXPECT_EQ(got.size(), expected.size()) << field;
  else
    EXPECT_EQ(got, expected) << field << " " << text_of(query);
}

class SearchModel : public testing::TestWithParam<unsigned> {};

TEST_P(SearchModel, AgreesAfterEveryChange) {
  Random random(GetParam());
  Index index(QuerySubject::kThings);
  std::map<std::string, FieldValues> documents;
  std::size_t asked = 0, nonempty = 0;
  for (int round = 0; round < 120; ++round) {
    for (std::size_t changes = random.below(12); changes > 0; --changes) {
      const std::string name = "T" + std::to_string(random.below(90));
      if (random.below(4) == 0) {
        index.erase(name);
        documents.erase(name);
        continue;
      }
      FieldValues document = random.document(name);
      index.put(name, kAllSources, document);
      documents[name] = std::move(document);
    }
    ASSERT_EQ(index.size(), documents.size());
    for (int i = 0; i < 8; ++i) {
      int leaves = 10;
      bool suffix_used = false;
      const ModelNode query = random.node(3, leaves, suffix_used);
      const std::string text = text_of(query);
      if (suffix_used && text.size() > 100) continue;
      const Names expected = names_in_model(documents, query);
      ASSERT_EQ(search_names(index, text), expected) << text;
      ++asked;
      nonempty += expected.empty() ? 0 : 1;
      auto parsed = FleetQuery::parse(text);
      for (const auto& [name, document] : documents)
        ASSERT_EQ(parsed->matches(document, FleetQuery::BareTerms::kEverything), holds(query, document)) << text;
      Names as_in_groups;
      for (const auto& [name, document] : documents)
        if (parsed->matches(document)) as_in_groups.push_back(name);
      ASSERT_EQ(search_names(index, text, DynamicMembership::kUnseen), as_in_groups) << text;
      const DocSet found = search(index, *parsed);
      check_tallies(index, documents, query, found, random.one_of(random.fields), FieldType::kString);
      check_tallies(index, documents, query, found, "attributes.a", FieldType::kNumber);
      // Pages make the whole, whatever their size.
      Names paged;
      NamePage page;
      do {
        page = page_of(index, found, paged.empty() ? "" : paged.back(), 1 + random.below(7));
        paged.insert(paged.end(), page.names.begin(), page.names.end());
      } while (page.more);
      EXPECT_TRUE(std::ranges::is_sorted(paged, [](const auto& a, const auto& b) { return compare_folded(a, b) < 0; }));
      std::ranges::sort(paged);
      ASSERT_EQ(paged, expected);
    }
  }
  EXPECT_GT(asked, 300u);
  EXPECT_GT(nonempty, asked / 5);
  for (const auto& [name, document] : documents) index.erase(name);
  const Index::Sizes left = index.sizes();
  EXPECT_EQ(left.values, 0u) << "nothing stays behind";
  EXPECT_EQ(left.fields, 1u);
}
INSTANTIATE_TEST_SUITE_P(Seeds, SearchModel, testing::Range(1U, 9U));

TEST(SearchTime, OneThatIsLateEndsWithoutAnAnswer) {
  Index index(QuerySubject::kThings);
  for (int i = 0; i < 400; ++i) {
    FieldValues values;
    for (int j = 0; j < 50; ++j)
      values.push_back({.field = "attributes.a" + std::to_string(i * 50 + j), .text = "foo" + std::to_string(j)});
    index.put("t" + std::to_string(i), kAllSources, values);
  }
  for (const std::string text : {"bar*", "*oox", "NOT (bar* OR baz)", "thingName:t* AND bar*"}) {
    const auto query = FleetQuery::parse(text);
    std::size_t looks = 0;
    const auto found = search_in_time(index, *query, [&] { return ++looks, false; });
    ASSERT_TRUE(found) << text;
    EXPECT_GT(looks, 0u) << text;
    EXPECT_LT(looks, 100u) << text << ": each value is looked at about once a term";
    looks = 0;
    const auto late = search_in_time(index, *query, [&] { return ++looks, true; });
    ASSERT_FALSE(late) << text;
    EXPECT_EQ(late.error().kind, ErrorKind::kThrottled);
    EXPECT_EQ(looks, 1u) << "it stops at once";
  }
}

// ---- by hand

TEST(Search, APartOfADocumentIsReplacedAlone) {
  Index index(QuerySubject::kThings);
  index.put("a", mask_of(FieldSource::kShadow), {{.field = "shadow.reported.x", .text = "1"}});
  EXPECT_EQ(index.size(), 0u) << "a shadow alone makes no document";
  index.put("a", kAllSources, {{.field = "attributes.k", .text = "v"}, {.field = "shadow.reported.x", .text = "1"}});
  index.put("a", mask_of(FieldSource::kShadow), {{.field = "shadow.reported.y", .text = "2"}});
  EXPECT_THAT(search_names(index, "attributes.k:v shadow.reported.y:2 NOT shadow.reported.x:*"), ElementsAre("a"));
  index.put("a", mask_of(FieldSource::kRegistry), {});
  EXPECT_THAT(search_names(index, "shadow.reported.y:2 NOT attributes.k:*"), ElementsAre("a"));
  index.put("a", mask_of(FieldSource::kShadow), {});
  EXPECT_THAT(search_names(index, "*"), ElementsAre("a"));
}

TEST(Search, DynamicGroupsSeeStaticGroupsAlone) {
  Index index(QuerySubject::kThings);
  index.put("a", kAllSources,
            {{.field = "thingGroupNames", .text = "fixed"},
             {.field = std::string(kDynamicGroupsField), .text = "moving"},
             {.field = "shadow.reported.x", .text = "far"}});
  EXPECT_THAT(search_names(index, "thingGroupNames:moving"), ElementsAre("a"));
  EXPECT_THAT(search_names(index, "moving"), ElementsAre("a"));
  EXPECT_THAT(search_names(index, "far"), ElementsAre("a"));
  for (const char* text : {"thingGroupNames:moving", "moving", "far"})
    EXPECT_THAT(search_names(index, text, DynamicMembership::kUnseen), testing::IsEmpty()) << text;
  EXPECT_THAT(search_names(index, "fixed", DynamicMembership::kUnseen), ElementsAre("a"));
}

TEST(Search, PagesAreStableUnderChange) {
  Index index(QuerySubject::kThings);
  for (const char* name : {"b", "d", "f", "h", "J"}) index.put(name, kAllSources, {});
  const auto all = FleetQuery::parse("*");
  auto page = page_of(index, search(index, *all), "", 2);
  EXPECT_THAT(page.names, ElementsAre("b", "d"));
  index.erase("d");
  index.put("a", kAllSources, {});
  index.put("e", kAllSources, {});
  page = page_of(index, search(index, *all), "d", 2);
  EXPECT_THAT(page.names, ElementsAre("e", "f")) << "behind the place of one that is gone";
  page = page_of(index, search(index, *all), "f", 2);
  EXPECT_THAT(page.names, ElementsAre("h", "J"));
  EXPECT_FALSE(page.more);
}

TEST(Search, ManyFoundAreWalkedInOrder) {
  Index index(QuerySubject::kThings);
  for (int i = 0; i < 70'000; ++i)
    index.put("t" + std::to_string(100'000 + i), kAllSources,
              {{.field = "attributes.n", .text = std::to_string(i % 10)}});
  const auto all = FleetQuery::parse("*");
  const DocSet found = search(index, *all);
  EXPECT_EQ(found.count(), 70'000u);
  auto page = page_of(index, found, "t100068", 3);
  EXPECT_THAT(page.names, ElementsAre("t100069", "t100070", "t100071"));
  page = page_of(index, found, "t169997", 3);
  EXPECT_THAT(page.names, ElementsAre("t169998", "t169999"));
  EXPECT_FALSE(page.more);
  EXPECT_EQ(search(index, *FleetQuery::parse("attributes.n>=7 NOT attributes.n:8")).count(), 14'000u);
  EXPECT_EQ(search(index, *FleetQuery::parse("thingName:*69999")).count(), 1u);
  EXPECT_EQ(search(index, *FleetQuery::parse("thingName:t16999? AND attributes.n:*3")).count(), 1u);
}

TEST(Aggregations, OfNumbers) {
  Index index(QuerySubject::kThings);
  for (int i = 1; i <= 10; ++i)
    index.put("t" + std::to_string(i), kAllSources,
              {{.field = "attributes.n", .text = std::to_string(i)},
               {.field = "attributes.b", .text = i <= 4 ? "true" : "false"},
               {.field = "attributes.s", .text = i <= 7 ? "much" : (i == 8 ? "little" : "Little")}});
  index.put("none", kAllSources, {{.field = "attributes.n", .text = "many"}});
  const DocSet all = search(index, *FleetQuery::parse("*"));
  const auto numbers = tally(index, all, "attributes.n", FieldType::kNumber);
  const Statistics of_numbers = statistics(numbers, FieldType::kNumber);
  EXPECT_EQ(of_numbers.count, 10u) << "a text that is no number is not counted";
  ASSERT_TRUE(of_numbers.moments);
  EXPECT_DOUBLE_EQ(of_numbers.moments->sum, 55);
  EXPECT_DOUBLE_EQ(of_numbers.moments->average, 5.5);
  EXPECT_DOUBLE_EQ(of_numbers.moments->minimum, 1);
  EXPECT_DOUBLE_EQ(of_numbers.moments->maximum, 10);
  EXPECT_DOUBLE_EQ(of_numbers.moments->sum_of_squares, 385);
  EXPECT_DOUBLE_EQ(of_numbers.moments->variance, 8.25);
  EXPECT_DOUBLE_EQ(of_numbers.moments->standard_deviation, std::sqrt(8.25));
  EXPECT_EQ(cardinality(numbers, FieldType::kNumber), 10u);
  EXPECT_THAT(percentiles(numbers, {0, 1, 10, 10.1, 50, 99, 100}), ElementsAre(1, 1, 1, 2, 5, 10, 10));
  const auto booleans = tally(index, all, "attributes.b", FieldType::kBoolean);
  const Statistics of_booleans = statistics(booleans, FieldType::kBoolean);
  EXPECT_EQ(of_booleans.count, 10u);
  EXPECT_DOUBLE_EQ(of_booleans.moments->average, 0.4);
  EXPECT_DOUBLE_EQ(of_booleans.moments->minimum, 0);
  EXPECT_DOUBLE_EQ(of_booleans.moments->maximum, 1);
  EXPECT_EQ(cardinality(booleans, FieldType::kBoolean), 2u);
  const auto texts = tally(index, all, "attributes.s", FieldType::kString);
  EXPECT_EQ(statistics(texts, FieldType::kString).count, 10u);
  EXPECT_FALSE(statistics(texts, FieldType::kString).moments);
  const auto top = buckets(texts, 2);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0].text, "much");
  EXPECT_EQ(top[0].count, 7u);
  EXPECT_EQ(top[1].text, "Little");
  EXPECT_EQ(top[1].count, 2u);
  const DocSet few = search(index, *FleetQuery::parse("attributes.n:3"));
  EXPECT_EQ(statistics(tally(index, few, "attributes.n", FieldType::kNumber), FieldType::kNumber).moments->sum, 3);
  const DocSet nobody = search(index, *FleetQuery::parse("attributes.n:99"));
  EXPECT_THAT(tally(index, nobody, "attributes.n", FieldType::kNumber), testing::IsEmpty());
  EXPECT_THAT(percentiles({}, {50}), testing::IsEmpty());
  EXPECT_EQ(cardinality({}, FieldType::kNumber), 0u);
}

TEST(Postings, GrowAndShrink) {
  Postings postings;
  std::set<DocNumber> model;
  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) {
    const DocNumber doc = random() % (i < 10'000 ? 3000 : 90);
    const bool add = i < 5000 ? random() % 4 != 0 : random() % 4 == 0;
    if (add) {
      postings.add(doc);
      model.insert(doc);
    } else {
      postings.remove(doc);
      model.erase(doc);
    }
    ASSERT_EQ(postings.size(), model.size());
    if (!model.empty()) ASSERT_EQ(postings.first(), *model.begin());
    if (i % 100 != 0) continue;
    std::vector<DocNumber> seen;
    postings.for_each([&](DocNumber one) { seen.push_back(one); });
    ASSERT_TRUE(std::ranges::equal(seen, model));
  }
}

}  // namespace
}  // namespace muster::fleet
