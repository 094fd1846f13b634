// SPDX-License-Identifier: Apache-2.0
#include "domain/fleet/search.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "domain/registry/fleet_query_tree.h"

namespace muster::fleet {

namespace {

using registry::QueryNode;
using Kind = QueryNode::Kind;
using Field = Index::Field;
using Value = Index::Value;

// Below so many candidates a pass over a field's values costs more than a look at each candidate's own.
constexpr std::size_t kFewCandidates = 4096;
// Up to so many found are sorted; more are met soon enough on a walk through the names.
constexpr std::size_t kSortedFound = 65536;

// Values that are looked at between two looks at the clock; and what a field counts as, that is none.
constexpr std::size_t kStepsALook = 8192;
constexpr std::size_t kFieldSteps = 4;

bool has_wildcard(std::string_view pattern) {
  return pattern.find_first_of(std::string_view("\x01\x02", 2)) != std::string_view::npos;
}
std::string_view literal_prefix(std::string_view pattern) {
  return pattern.substr(0, pattern.find_first_of(std::string_view("\x01\x02", 2)));
}
bool is_everything(const QueryNode& leaf) {
  return leaf.kind == Kind::kPattern && leaf.pattern == std::string_view(&registry::kAnyRun, 1);
}

// How dear a node is, roughly: those that look things up go first, those that pass over values last.
int cost_of(const QueryNode& node) {
  switch (node.kind) {
    case Kind::kPattern:
      if (is_everything(node) || !has_wildcard(node.pattern)) return 0;
      return literal_prefix(node.pattern).empty() ? 3 : 1;
    case Kind::kRange:
      return 2;
    case Kind::kPhrase:
      return 3;
    default:
      break;
  }
  int cost = 0;
  for (const auto& child : node.children) cost = std::max(cost, cost_of(*child));
  return cost;
}

class Search {
 public:
  Search(const Index& index, DynamicMembership dynamic, const IsLate& is_late)
      : index_(index),
        dynamic_(dynamic == DynamicMembership::kSeen),
        is_late_(is_late),
        dynamic_groups_(index.find_field(kDynamicGroupsField)),
        all_(index.document_limit()) {
    all_.add(index.names().present);
  }

  bool late() const { return late_; }

  // Right for the documents within `within`; what it says of others is not used.
  DocSet find(const QueryNode& node, const DocSet& within) {
    switch (node.kind) {
      case Kind::kAnd:
        return find_all_of(node, within);
      case Kind::kOr: {
        DocSet found = find(*node.children.front(), within);
        for (std::size_t i = 1; i < node.children.size(); ++i) found.unite(find(*node.children[i], within));
        return found;
      }
      case Kind::kNot: {
        DocSet found = within;
        found.subtract(find(*node.children.front(), within));
        return found;
      }
      default:
        break;
    }
    return find_leaf(node, within);
  }

  const DocSet& all() const { return all_; }

 private:
  DocSet find_all_of(const QueryNode& node, const DocSet& within) {
    std::vector<const QueryNode*> children;
    for (const auto& child : node.children) children.push_back(child.get());
    std::ranges::sort(children, {}, [](const QueryNode* child) { return cost_of(*child); });
    DocSet found = within;
    for (const QueryNode* child : children) found.intersect(find(*child, found));
    return found;
  }

  template <class F>
  void for_each_field(const QueryNode& leaf, F&& visit) {
    if (leaf.field.empty()) {
      for (const Field& field : index_.fields())
        if (!field.name.empty() && is_bare(field) && in_time(kFieldSteps)) visit(field);
      return;
    }
    if (const Field* field = index_.find_field(leaf.field)) visit(*field);
    if (dynamic_ && leaf.field == "thingGroupNames" && dynamic_groups_ != nullptr) visit(*dynamic_groups_);
  }
  // Do terms without a field look here?
  bool is_bare(const Field& field) const {
    if (&field == dynamic_groups_) return dynamic_;
    return field.searchable && (dynamic_ || field.source == FieldSource::kRegistry);
  }

  DocSet find_leaf(const QueryNode& leaf, const DocSet& within) {
    if (is_everything(leaf) && leaf.field.empty()) return all_;
    if (cost_of(leaf) > 0 && within.count() <= kFewCandidates) return filter(leaf, within);
    DocSet found(index_.document_limit());
    for_each_field(leaf, [&](const Field& field) { add_field(leaf, field, found); });
    return found;
  }

  DocSet filter(const QueryNode& leaf, const DocSet& within) {
    std::array<const Field*, 2> named{};
    std::size_t count = 0;
    if (!leaf.field.empty()) for_each_field(leaf, [&](const Field& field) { named[count++] = &field; });
    const auto is_asked = [&](const Field& field) {
      return leaf.field.empty() ? is_bare(field) : &field == named[0] || &field == named[1];
    };
    DocSet found(index_.document_limit());
    within.for_each([&](DocNumber doc) {
      for (const std::uint32_t* id = index_.values_begin(doc); id != index_.values_end(doc); ++id) {
        const Value& value = index_.value(*id);
        if (!in_time(1)) return;
        if (!is_asked(index_.fields()[value.field]) || !matches(leaf, value)) continue;
        found.add(doc);
        return;
      }
    });
    return found;
  }

  // Of so many steps more. Once late, all loops end.
  bool in_time(std::size_t steps) {
    steps_ += steps;
    if (steps_ < kStepsALook || late_) return !late_;
    steps_ = 0;
    late_ = is_late_ && is_late_();
    return !late_;
  }

  std::string_view folded(const Value& value) {
    folded_.assign(value.text());
    for (char& c : folded_)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return folded_;
  }

  bool matches(const QueryNode& leaf, const Value& value) {
    if (!in_time(value.size / 8)) return false;
    if (leaf.kind == Kind::kPhrase)
      return value.has_words && registry::matches_phrase(leaf.phrase, registry::query_words(folded(value)));
    if (value.has_words) return false;
    if (leaf.kind == Kind::kRange) {
      if (!registry::is_numeric_range(leaf)) return registry::in_text_range(leaf, folded(value));
      return value.is_number() && registry::in_number_range(leaf, value.number);
    }
    if (leaf.number && value.kind == ValueKind::kNumber && value.number == *leaf.number) return true;
    return registry::matches_pattern(leaf.pattern, folded(value));
  }

  void add_field(const QueryNode& leaf, const Field& field, DocSet& found) {
    if (is_everything(leaf)) return found.add(field.present);
    switch (leaf.kind) {
      case Kind::kPhrase:
        if (field.phrases > 0) add_while(leaf, field, field.texts.begin(), found, [](const Value&) { return true; });
        return;
      case Kind::kRange:
        return registry::is_numeric_range(leaf) ? add_numbers(leaf, field, found) : add_texts(leaf, field, found);
      default:
        break;
    }
    const std::string_view prefix = literal_prefix(leaf.pattern);
    const auto from =
        field.texts.lower_bound([&](std::uint32_t id) { return compare_folded(index_.value(id).text(), prefix) < 0; });
    add_while(leaf, field, from, found, [&](const Value& value) {
      return compare_folded(value.text().substr(0, prefix.size()), prefix) == 0 &&
             (prefix.size() < leaf.pattern.size() || value.size == prefix.size());
    });
    if (leaf.number) add_equal_numbers(*leaf.number, field, found);
  }

  // The values that match, from a position on for as long as `goes_on`.
  template <class F>
  void add_while(const QueryNode& leaf, const Field& field, OrderedIds::Position at, DocSet& found, F goes_on) {
    for (; !field.texts.at_end(at); field.texts.next(at)) {
      index_.fetch_ahead(field.texts, at);
      const Value& value = index_.value(field.texts.at(at));
      if (!goes_on(value) || !in_time(1)) return;
      if (matches(leaf, value)) found.add(value.documents);
    }
  }

  void add_texts(const QueryNode& range, const Field& field, DocSet& found) {
    const std::string_view low = range.low ? std::string_view(range.low->text) : std::string_view();
    const auto from =
        field.texts.lower_bound([&](std::uint32_t id) { return compare_folded(index_.value(id).text(), low) < 0; });
    add_while(range, field, from, found,
              [&](const Value& value) { return !range.high || compare_folded(value.text(), range.high->text) <= 0; });
  }

  void add_numbers(const QueryNode& range, const Field& field, DocSet& found) {
    auto at =
        range.low
            ? field.numbers.lower_bound([&](std::uint32_t id) { return index_.value(id).number < *range.low->number; })
            : field.numbers.begin();
    for (; !field.numbers.at_end(at); field.numbers.next(at)) {
      index_.fetch_ahead(field.numbers, at);
      const Value& value = index_.value(field.numbers.at(at));
      if ((range.high && value.number > *range.high->number) || !in_time(1)) return;
      if (registry::in_number_range(range, value.number)) found.add(value.documents);
    }
  }

  void add_equal_numbers(double number, const Field& field, DocSet& found) {
    auto at = field.numbers.lower_bound([&](std::uint32_t id) { return index_.value(id).number < number; });
    for (; !field.numbers.at_end(at); field.numbers.next(at)) {
      const Value& value = index_.value(field.numbers.at(at));
      if (value.number != number || !in_time(1)) return;
      if (value.kind == ValueKind::kNumber) found.add(value.documents);
    }
  }

  const Index& index_;
  const bool dynamic_;
  const IsLate& is_late_;
  const Field* dynamic_groups_;
  std::size_t steps_ = 0;
  bool late_ = false;
  DocSet all_;
  std::string folded_;
};

// As the names' dictionary orders them.
bool name_before(std::string_view a, std::string_view b) {
  const int order = compare_folded(a, b);
  return order != 0 ? order < 0 : a < b;
}

NamePage sorted_page(const Index& index, const DocSet& found, std::string_view after, std::size_t limit) {
  std::vector<std::string_view> names;
  found.for_each([&](DocNumber doc) {
    const std::string_view name = index.name_of(doc);
    if (after.empty() || name_before(after, name)) names.push_back(name);
  });
  NamePage page{.names = {}, .more = names.size() > limit};
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(std::min(limit, names.size()));
  std::partial_sort(names.begin(), end, names.end(), name_before);
  page.names.assign(names.begin(), end);
  return page;
}

}  // namespace

Result<DocSet> search_in_time(const Index& index, const FleetQuery& query, const IsLate& is_late,
                              DynamicMembership dynamic) {
  if (query.root() == nullptr) return DocSet(index.document_limit());
  Search search(index, dynamic, is_late);
  DocSet found = search.find(*query.root(), search.all());
  if (search.late())
    return make_error(ErrorKind::kThrottled, "The search took too long; a query that names its fields takes less");
  found.intersect(search.all());
  return found;
}

DocSet search(const Index& index, const FleetQuery& query, DynamicMembership dynamic) {
  return *search_in_time(index, query, {}, dynamic);
}

NamePage page_of(const Index& index, const DocSet& found, std::string_view after, std::size_t limit) {
  if (found.count() <= kSortedFound) return sorted_page(index, found, after, limit);
  const Index::Field& names = index.names();
  auto at = names.texts.lower_bound(
      [&](std::uint32_t id) { return !after.empty() && !name_before(after, index.value(id).text()); });
  NamePage page;
  for (; !names.texts.at_end(at); names.texts.next(at)) {
    const Index::Value& name = index.value(names.texts.at(at));
    if (!found.contains(name.documents.first())) continue;
    page.more = page.names.size() == limit;
    if (page.more) break;
    page.names.emplace_back(name.text());
  }
  return page;
}

std::vector<std::string> all_names(const Index& index, const DocSet& found) {
  std::vector<std::string> names;
  found.for_each([&](DocNumber doc) { names.emplace_back(index.name_of(doc)); });
  return names;
}

}  // namespace muster::fleet
