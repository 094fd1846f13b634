// SPDX-License-Identifier: Apache-2.0
#include "store/keys.h"

#include <gtest/gtest.h>

#include <limits>

#include "store/schema.h"

namespace muster::store {
namespace {

TEST(Keys, components_read_back) {
  const std::string key = Key(table::kPending).text(std::string("a\0b\0", 4)).integer(-5).descending(7).text("").str();
  EXPECT_EQ(key[0], table::kPending);
  KeyReader reader(key);
  EXPECT_EQ(reader.text(), std::string("a\0b\0", 4));
  EXPECT_EQ(reader.integer(), -5);
  EXPECT_EQ(reader.descending(), 7);
  EXPECT_EQ(reader.text(), "");
  EXPECT_TRUE(reader.rest().empty());
  EXPECT_EQ(reader.text(), std::nullopt);
  EXPECT_EQ(reader.integer(), std::nullopt);
}

TEST(Keys, malformed_keys_read_as_nothing) {
  EXPECT_EQ(KeyReader("").text(), std::nullopt);
  EXPECT_EQ(KeyReader("Hno terminator").text(), std::nullopt);
  EXPECT_EQ(KeyReader("B1234567").integer(), std::nullopt);
  EXPECT_EQ(KeyReader(std::string_view("H\0\xff", 3)).text(), std::nullopt);
}

TEST(Keys, order_of_texts_is_kept) {
  const std::vector<std::string> sorted{"",
                                        std::string(1, '\0'),
                                        std::string("\0\0", 2),
                                        std::string("\0\xff", 2),
                                        std::string("\0a", 2),
                                        "\x01",
                                        "a",
                                        std::string("a\0", 2),
                                        std::string("a\0b", 3),
                                        "a\x01",
                                        "aa",
                                        "b",
                                        "\xff"};
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    for (std::size_t j = 0; j < sorted.size(); ++j) {
      // A following component never decides before the first one has.
      const auto a = Key('H').text(sorted[i]).text("z").str();
      const auto b = Key('H').text(sorted[j]).text("a").str();
      EXPECT_EQ(a < b, sorted[i] < sorted[j]) << i << " " << j;
    }
  }
}

TEST(Keys, order_of_integers_is_kept_and_reversed) {
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min(), kMost = std::numeric_limits<std::int64_t>::max();
  const std::vector<std::int64_t> sorted{kLeast, -256, -1, 0, 1, 255, 256, 1'700'000'000'000, kMost};
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    EXPECT_LT(Key('B').integer(sorted[i - 1]).str(), Key('B').integer(sorted[i]).str());
    EXPECT_GT(Key('B').descending(sorted[i - 1]).str(), Key('B').descending(sorted[i]).str());
  }
}

TEST(Keys, ends_of_ranges) {
  EXPECT_EQ(after_prefix("a"), "b");
  EXPECT_EQ(after_prefix("a\xff\xff"), "b");
  EXPECT_EQ(after_prefix("\xff"), "");
  EXPECT_EQ(after_key("a"), std::string("a\0", 2));
  const auto prefix = Key('J').text("group").str();
  const auto inside = Key('J').text("group").text("\xff\xff").str();
  const auto outside = Key('J').text("group2").str();
  EXPECT_LT(inside, after_prefix(prefix));
  EXPECT_GE(outside, after_prefix(prefix));
}

TEST(Keys, tags_of_tables_are_unique) {
  std::set<char> tags;
  for (const auto& row : kTables) EXPECT_TRUE(tags.insert(row.tag).second) << row.name;
}

}  // namespace
}  // namespace muster::store
