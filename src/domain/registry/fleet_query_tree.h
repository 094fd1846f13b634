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

namespace muster::registry {

// What '*' and '?' are inside a pattern, so that escaped and quoted ones can stand for themselves. Control characters
// are refused in a query's text.
inline constexpr char kAnyRun = '\x01';
inline constexpr char kAnyOne = '\x02';

enum class QueryField : std::uint8_t {
  kAny,  // a term without a field: all of the below
  kThingName,
  kThingTypeName,
  kThingGroupNames,
  kAttribute,
};

struct QueryBound {
  std::string text;
  std::optional<double> number;  // of a text without quotes that is one
  bool inclusive = true;
};

struct QueryNode {
  enum class Kind : std::uint8_t { kAnd, kOr, kNot, kPattern, kRange };
  Kind kind = Kind::kPattern;
  std::vector<std::shared_ptr<const QueryNode>> children;  // kAnd, kOr: two or more; kNot: one
  QueryField field = QueryField::kAny;
  std::string attribute;  // kAttribute: its name, as it is spelt
  std::string pattern;
  std::optional<QueryBound> low, high;  // kRange; absent: open
};

// The number that the whole text is, in decimal; no infinities.
std::optional<double> query_number(std::string_view text);

Result<std::shared_ptr<const QueryNode>> parse_query(std::string_view text);

}  // namespace muster::registry
