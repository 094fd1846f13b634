// SPDX-License-Identifier: Apache-2.0
#include "domain/fleet/aggregate.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace muster::fleet {

namespace {

using Field = Index::Field;
using Value = Index::Value;

bool is_boolean_text(std::string_view text) {
  return text == "true" || text == "false";
}

// Attributes are texts whatever they mean: their declared type reads them. JSON values are what they are.
bool is_of(const Value& value, FieldType type) {
  if (value.is_word) return false;
  switch (type) {
    case FieldType::kNumber:
      return value.is_number();
    case FieldType::kBoolean:
      return value.kind != ValueKind::kNumber && is_boolean_text(value.text());
    case FieldType::kString:
      break;
  }
  return value.kind == ValueKind::kText;
}

Tally tally_of(const Value& value, FieldType type, std::size_t count) {
  Tally tally{.text = value.text(), .number = 0, .count = count};
  if (type == FieldType::kNumber) tally.number = value.number;
  if (type == FieldType::kBoolean) tally.number = value.text() == "true" ? 1 : 0;
  return tally;
}

std::vector<Tally> tally_values(const Index& index, const DocSet& found, const OrderedIds& ids, FieldType type) {
  std::vector<Tally> tallies;
  for (auto at = ids.begin(); !ids.at_end(at); ids.next(at)) {
    index.fetch_ahead(ids, at);
    const Value& value = index.value(ids.at(at));
    if (!is_of(value, type)) continue;
    if (const std::size_t count = found.count(value.documents); count > 0)
      tallies.push_back(tally_of(value, type, count));
  }
  return tallies;
}

std::vector<Tally> tally_documents(const Index& index, const DocSet& found, const Field& field, FieldType type) {
  std::unordered_map<std::uint32_t, std::size_t> counts;
  found.for_each([&](DocNumber doc) {
    for (const std::uint32_t* id = index.values_begin(doc); id != index.values_end(doc); ++id) {
      const Value& value = index.value(*id);
      if (&index.fields()[value.field] == &field && is_of(value, type)) ++counts[*id];
    }
  });
  std::vector<Tally> tallies;
  for (const auto& [id, count] : counts) tallies.push_back(tally_of(index.value(id), type, count));
  return tallies;
}

}  // namespace

std::vector<Tally> tally(const Index& index, const DocSet& found, std::string_view name, FieldType type) {
  std::vector<Tally> tallies;
  for (std::string_view part : {name, kDynamicGroupsField}) {
    if (part == kDynamicGroupsField && name != "thingGroupNames") break;
    const Field* field = index.find_field(part);
    if (field == nullptr) continue;
    // Documents have some ten values; the fewer steps decide.
    const OrderedIds& ids = type == FieldType::kNumber ? field->numbers : field->texts;
    const bool by_document = found.count() * 10 < field->present.size();
    auto more = by_document ? tally_documents(index, found, *field, type) : tally_values(index, found, ids, type);
    tallies.insert(tallies.end(), more.begin(), more.end());
  }
  if (type != FieldType::kString) std::ranges::sort(tallies, {}, &Tally::number);
  return tallies;
}

std::size_t cardinality(const std::vector<Tally>& tallies, FieldType type) {
  if (type == FieldType::kString || tallies.empty()) return tallies.size();
  std::size_t distinct = 1;
  for (std::size_t i = 1; i < tallies.size(); ++i) distinct += tallies[i].number != tallies[i - 1].number ? 1 : 0;
  return distinct;
}

Statistics statistics(const std::vector<Tally>& tallies, FieldType type) {
  Statistics result;
  for (const Tally& one : tallies) result.count += one.count;
  if (type == FieldType::kString || tallies.empty()) return result;
  Statistics::Moments moments{.minimum = tallies.front().number, .maximum = tallies.back().number};
  const auto count = static_cast<double>(result.count);
  for (const Tally& one : tallies) {
    moments.sum += one.number * static_cast<double>(one.count);
    moments.sum_of_squares += one.number * one.number * static_cast<double>(one.count);
  }
  moments.average = moments.sum / count;
  for (const Tally& one : tallies) {
    const double distance = one.number - moments.average;
    moments.variance += distance * distance * static_cast<double>(one.count) / count;
  }
  moments.standard_deviation = std::sqrt(moments.variance);
  result.moments = moments;
  return result;
}

std::vector<double> percentiles(const std::vector<Tally>& numbers, const std::vector<double>& percents) {
  std::vector<double> values;
  std::vector<std::size_t> up_to;  // how many values, with each number and below it
  std::size_t total = 0;
  for (const Tally& one : numbers) up_to.push_back(total += one.count);
  if (total == 0) return values;
  for (double percent : percents) {
    const double share = std::ceil(percent / 100 * static_cast<double>(total));
    const auto rank = std::clamp<std::size_t>(static_cast<std::size_t>(std::max(share, 1.0)), 1, total);
    const auto at = std::ranges::lower_bound(up_to, rank);
    values.push_back(numbers[static_cast<std::size_t>(at - up_to.begin())].number);
  }
  return values;
}

std::vector<Tally> buckets(std::vector<Tally> tallies, std::size_t limit) {
  const auto more = [](const Tally& a, const Tally& b) {
    return a.count != b.count ? a.count > b.count : a.text < b.text;
  };
  const std::size_t kept = std::min(limit, tallies.size());
  std::partial_sort(tallies.begin(), tallies.begin() + static_cast<std::ptrdiff_t>(kept), tallies.end(), more);
  tallies.resize(kept);
  return tallies;
}

}  // namespace muster::fleet
