// SPDX-License-Identifier: Apache-2.0
// Aggregations over the documents that a search found, for one field of a declared type: how often each value comes,
// and what follows from that. Exact, where AWS approximates. Pure reads of an index that does not change meanwhile. A
// value that is not of the declared type is ignored. Source: AWS IoT developer guide, "Querying for aggregate data".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/fleet/index.h"

namespace muster::fleet {

enum class FieldType : std::uint8_t { kNumber, kString, kBoolean };

struct Tally {
  std::string_view text;  // of the index; valid as long as it does not change
  double number = 0;      // kNumber; kBoolean: 0 or 1
  std::size_t count = 0;  // documents
};
// Values with at least one document; ascending for numbers and booleans.
std::vector<Tally> tally(const Index& index, const DocSet& found, std::string_view field, FieldType type);

std::size_t cardinality(const std::vector<Tally>& tallies, FieldType type);

struct Statistics {
  std::size_t count = 0;
  // Of numbers and booleans, when there are any.
  struct Moments {
    double average = 0, sum = 0, minimum = 0, maximum = 0, sum_of_squares = 0, variance = 0, standard_deviation = 0;
  };
  std::optional<Moments> moments;
};
Statistics statistics(const std::vector<Tally>& tallies, FieldType type);

// The smallest value that at least this share of all values does not exceed; empty without values.
std::vector<double> percentiles(const std::vector<Tally>& numbers, const std::vector<double>& percents);

// The most frequent first, then by text.
std::vector<Tally> buckets(std::vector<Tally> tallies, std::size_t limit);

}  // namespace muster::fleet
