// SPDX-License-Identifier: Apache-2.0
#include "domain/registry/fleet_query.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "domain/registry/fleet_query_tree.h"

namespace muster::registry {

namespace {

void add_needs(const QueryNode& node, QuerySubject subject, QueryNeeds& needs) {
  for (const auto& child : node.children) add_needs(*child, subject, needs);
  const auto found = classify_field(node.field, subject);
  if (!found) return;
  if (found->source == FieldSource::kShadow) needs.shadow = true;
  if (found->source == FieldSource::kNamedShadow) needs.named_shadows.emplace(found->shadow);
  if (found->source == FieldSource::kConnectivity) needs.connectivity = true;
  if (found->source == FieldSource::kJobs) needs.jobs = true;
  if (node.field == "billingGroupName") needs.billing_group = true;
}

bool matches_value(const QueryNode& node, const FieldValue& value) {
  const std::string folded = lower(value.text);
  const auto words = query_words(folded);
  switch (node.kind) {
    case QueryNode::Kind::kPhrase:
      return matches_phrase(node.phrase, words);
    case QueryNode::Kind::kRange:
      return std::ranges::any_of(words, [&](std::string_view word) {
        if (!is_numeric_range(node)) return in_text_range(node, word);
        auto number = query_number(word);
        return number && in_number_range(node, *number);
      });
    default:
      break;
  }
  if (node.number && value.kind == ValueKind::kNumber && query_number(folded) == node.number) return true;
  return std::ranges::any_of(words, [&](std::string_view word) { return matches_pattern(node.pattern, word); });
}

struct Matching {
  const FieldValues& document;
  QuerySubject subject;
  FleetQuery::BareTerms bare;

  bool looked_at(const QueryNode& leaf, const FieldValue& value) const {
    if (!leaf.field.empty()) return value.field == leaf.field;
    const auto found = classify_field(value.field, subject);
    return found && found->searchable &&
           (bare == FleetQuery::BareTerms::kEverything || found->source == FieldSource::kRegistry);
  }

  bool matches(const QueryNode& node) const {
    const auto matching = [&](const std::shared_ptr<const QueryNode>& child) { return matches(*child); };
    switch (node.kind) {
      case QueryNode::Kind::kAnd:
        return std::ranges::all_of(node.children, matching);
      case QueryNode::Kind::kOr:
        return std::ranges::any_of(node.children, matching);
      case QueryNode::Kind::kNot:
        return !matching(node.children.front());
      default:
        break;
    }
    return std::ranges::any_of(
        document, [&](const FieldValue& value) { return looked_at(node, value) && matches_value(node, value); });
  }
};

bool reads_groups(const QueryNode& node) {
  if (node.children.empty()) return node.field.empty() || node.field == "thingGroupNames";
  return std::ranges::any_of(node.children, [](const auto& child) { return reads_groups(*child); });
}

}  // namespace

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

bool is_numeric_range(const QueryNode& range) {
  const auto numeric = [](const std::optional<QueryBound>& bound) { return !bound || bound->number; };
  return (range.low || range.high) && numeric(range.low) && numeric(range.high);
}

bool in_number_range(const QueryNode& range, double number) {
  if (range.low && (number < *range.low->number || (!range.low->inclusive && number == *range.low->number)))
    return false;
  return !range.high || number < *range.high->number || (range.high->inclusive && number == *range.high->number);
}

bool in_text_range(const QueryNode& range, std::string_view text) {
  if (range.low && (text < range.low->text || (!range.low->inclusive && text == range.low->text))) return false;
  return !range.high || text < range.high->text || (range.high->inclusive && text == range.high->text);
}

std::vector<std::string_view> query_words(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r\x1c\x1d\x1e\x1f";
  std::vector<std::string_view> words;
  for (std::size_t at = text.find_first_not_of(kSpace); at != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(kSpace, at), text.size());
    words.push_back(text.substr(at, end - at));
    at = text.find_first_not_of(kSpace, end);
  }
  return words;
}

bool matches_phrase(const std::vector<std::string>& phrase, const std::vector<std::string_view>& words) {
  for (std::size_t first = 0; first + phrase.size() <= words.size(); ++first) {
    std::size_t same = 0;
    while (same < phrase.size() && matches_pattern(phrase[same], words[first + same])) ++same;
    if (same == phrase.size()) return true;
  }
  return false;
}

FieldValues registry_fields(const IndexedThing& indexed) {
  const Thing& thing = indexed.thing;
  FieldValues fields;
  fields.reserve(4 + thing.attributes.size() + indexed.static_groups.size());
  fields.push_back({.field = "thingName", .text = thing.name});
  fields.push_back({.field = "thingId", .text = thing.id});
  if (!thing.type.empty()) fields.push_back({.field = "thingTypeName", .text = thing.type});
  for (const std::string& group : indexed.static_groups) fields.push_back({.field = "thingGroupNames", .text = group});
  for (const auto& [name, value] : thing.attributes)
    if (!value.empty()) fields.push_back({.field = "attributes." + name, .text = value});
  return fields;
}

std::optional<double> query_number(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789.-+eE") != std::string_view::npos) return std::nullopt;
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

Result<FleetQuery> FleetQuery::parse(std::string_view text, QuerySubject subject) {
  FleetQuery query;
  query.subject_ = subject;
  TRY(query.root_, parse_query(text, subject));
  add_needs(*query.root_, subject, query.needs_);
  return query;
}

bool FleetQuery::matches(const FieldValues& document, BareTerms bare) const {
  return root_ != nullptr && Matching{document, subject_, bare}.matches(*root_);
}

bool FleetQuery::uses_groups() const {
  return root_ != nullptr && reads_groups(*root_);
}

}  // namespace muster::registry
