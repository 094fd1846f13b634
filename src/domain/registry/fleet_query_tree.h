// SPDX-License-Identifier: Apache-2.0
// The tree that a fleet query is parsed into: immutable, shared by the copies of a FleetQuery, made by the parser
// alone, which bounds its depth and its leaves. Texts are in lower case, as the search ignores case.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/registry/fleet_query_fields.h"

namespace muster::registry {

// What '*' and '?' are inside a pattern, so that escaped and quoted ones can stand for themselves. Control characters
// are refused in a query's text.
inline constexpr char kAnyRun = '\x01';
inline constexpr char kAnyOne = '\x02';

struct QueryBound {
  std::string text;
  std::optional<double> number;  // of a text without quotes that is one
  bool inclusive = true;
};

struct QueryNode {
  enum class Kind : std::uint8_t { kAnd, kOr, kNot, kPattern, kPhrase, kRange };
  Kind kind = Kind::kPattern;
  std::vector<std::shared_ptr<const QueryNode>> children;  // kAnd, kOr: two or more; kNot: one
  std::string field;                                       // as it is spelt; empty: any
  std::string pattern;                                     // kPattern: of one word
  std::optional<double> number;                            // kPattern: what it is, when it is one
  std::vector<std::string> phrase;                         // kPhrase: patterns of words that follow one another
  std::optional<QueryBound> low, high;                     // kRange; absent: open
};

// The number that the whole text is, in decimal; no infinities.
std::optional<double> query_number(std::string_view text);

Result<std::shared_ptr<const QueryNode>> parse_query(std::string_view text, QuerySubject subject);

// What one leaf says about values; texts are folded. The pattern of "everything that is there" is a single kAnyRun.
bool matches_pattern(std::string_view pattern, std::string_view text);
bool is_numeric_range(const QueryNode& range);
bool in_number_range(const QueryNode& range, double number);
bool in_text_range(const QueryNode& range, std::string_view text);
// Words end at white space.
std::vector<std::string_view> query_words(std::string_view text);
bool matches_phrase(const std::vector<std::string>& phrase, const std::vector<std::string_view>& words);

}  // namespace muster::registry
