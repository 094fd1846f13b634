// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/fleet_query.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "domain/registry/fleet_query_tree.h"

namespace muster::registry {

namespace {

// As base/text's wildcard_match: only the last run needs to be tried again, so the steps are bounded by the product of
// the two lengths.
bool matches_pattern(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, resume = 0;
  std::optional<std::size_t> run;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == kAnyRun) {
      run = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == kAnyOne || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (run) {
      p = *run + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == kAnyRun) ++p;
  return p == pattern.size();
}

// Numbers when every bound is one (then a value that is none is outside), else texts in the order of their bytes.
bool in_range(const QueryNode& node, std::string_view value) {
  const auto numeric = [](const std::optional<QueryBound>& bound) { return !bound || bound->number; };
  if ((node.low || node.high) && numeric(node.low) && numeric(node.high)) {
    auto number = query_number(value);
    if (!number) return false;
    if (node.low && (*number < *node.low->number || (!node.low->inclusive && *number == *node.low->number)))
      return false;
    return !node.high || *number < *node.high->number || (node.high->inclusive && *number == *node.high->number);
  }
  if (node.low && (value < node.low->text || (!node.low->inclusive && value == node.low->text))) return false;
  return !node.high || value < node.high->text || (node.high->inclusive && value == node.high->text);
}

bool matches_value(const QueryNode& node, std::string_view value) {
  if (value.empty()) return false;  // an absent thing type
  std::string folded = lower(value);
  return node.kind == QueryNode::Kind::kRange ? in_range(node, folded) : matches_pattern(node.pattern, folded);
}

bool matches_leaf(const QueryNode& node, const IndexedThing& indexed) {
  const Thing& thing = indexed.thing;
  const auto matching = [&](const std::string& value) { return matches_value(node, value); };
  switch (node.field) {
    case QueryField::kThingName:
      return matching(thing.name);
    case QueryField::kThingTypeName:
      return matching(thing.type);
    case QueryField::kThingGroupNames:
      return std::ranges::any_of(indexed.static_groups, matching);
    case QueryField::kAttribute: {
      auto found = thing.attributes.find(node.attribute);
      return found != thing.attributes.end() && matching(found->second);
    }
    case QueryField::kAny:
      break;
  }
  return matching(thing.name) || matching(thing.type) || std::ranges::any_of(indexed.static_groups, matching) ||
         std::ranges::any_of(thing.attributes, [&](const auto& attribute) { return matching(attribute.second); });
}

bool matches_node(const QueryNode& node, const IndexedThing& thing) {
  const auto matching = [&](const std::shared_ptr<const QueryNode>& child) { return matches_node(*child, thing); };
  switch (node.kind) {
    case QueryNode::Kind::kAnd:
      return std::ranges::all_of(node.children, matching);
    case QueryNode::Kind::kOr:
      return std::ranges::any_of(node.children, matching);
    case QueryNode::Kind::kNot:
      return !matching(node.children.front());
    case QueryNode::Kind::kPattern:
    case QueryNode::Kind::kRange:
      break;
  }
  return matches_leaf(node, thing);
}

bool reads_groups(const QueryNode& node) {
  if (node.children.empty()) return node.field == QueryField::kAny || node.field == QueryField::kThingGroupNames;
  return std::ranges::any_of(node.children, [](const auto& child) { return reads_groups(*child); });
}

}  // namespace

std::optional<double> query_number(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789.-+eE") != std::string_view::npos) return std::nullopt;
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

Result<FleetQuery> FleetQuery::parse(std::string_view text) {
  FleetQuery query;
  TRY(query.root_, parse_query(text));
  return query;
}

bool FleetQuery::matches(const IndexedThing& thing) const {
  return root_ != nullptr && matches_node(*root_, thing);
}

bool FleetQuery::uses_groups() const {
  return root_ != nullptr && reads_groups(*root_);
}

}  // namespace muster::registry
