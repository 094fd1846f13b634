// SPDX-License-Identifier: Apache-2.0
// Fleet query: the query language of dynamic thing groups (and later of SearchIndex): terms, ranges, wildcards, AND,
// OR, NOT and parentheses over a thing's fields. Parsed once, evaluated many times; pure. Fields: thingName,
// thingTypeName, thingGroupNames, attributes.NAME; others are refused by name until they are indexed. Source: developer
// guide "Query syntax" of fleet indexing (query version 2017-09-30). Bounds: 1,000 characters; 12 terms; depth 16; one
// term with a leading wildcard, and then 100 characters. Matching takes at most (pattern * value) steps.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/registry/things.h"

namespace muster::registry {

struct IndexedThing {
  const Thing& thing;
  const std::vector<std::string>& static_groups;  // with ancestors
};

struct QueryNode;

class FleetQuery {
 public:
  // kInvalid with reason InvalidQueryException: what is wrong, and where.
  static Result<FleetQuery> parse(std::string_view text);
  bool matches(const IndexedThing& thing) const;
  // Does the answer depend on the groups of a thing?
  bool uses_groups() const;

 private:
  std::shared_ptr<const QueryNode> root_;
};

}  // namespace muster::registry
