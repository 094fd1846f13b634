// SPDX-License-Identifier: Apache-2.0
// Fleet query: the query language of dynamic thing groups and of SearchIndex: terms, phrases, ranges, wildcards, AND,
// OR, NOT and parentheses over the fields of fleet_query_fields.h. Parsed once, evaluated many times; pure. Here it is
// evaluated against one document; domain/fleet evaluates the same tree against its index. Source: developer guide
// "Query syntax" of fleet indexing (query version 2017-09-30). Bounds: 1,000 characters; 12 terms; depth 16; one term
// with a leading wildcard, and then 100 characters. Matching a value takes at most (pattern * value) steps.
//
// A value is matched by its words, which end at white space; case (ASCII) does not count. "field:*" is true where the
// field has a value.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/registry/fleet_query_fields.h"
#include "domain/registry/things.h"

namespace muster::registry {

enum class ValueKind : std::uint8_t { kText, kNumber, kBoolean };

// A document is a list of these; a field with several values (groups, arrays) comes several times.
struct FieldValue {
  std::string field;
  std::string text;  // of a number: as JSON writes it
  ValueKind kind = ValueKind::kText;
};
using FieldValues = std::vector<FieldValue>;

struct IndexedThing {
  const Thing& thing;
  const std::vector<std::string>& static_groups;  // with ancestors
};
FieldValues registry_fields(const IndexedThing& thing);  // the searchable ones, without billing groups

struct QueryNode;

// What a query reads beside a thing's record and static groups: what does not change in the transactions that refresh
// dynamic groups.
struct QueryNeeds {
  bool billing_group = false;
  bool shadow = false;
  bool connectivity = false;
  bool jobs = false;
  std::set<std::string> named_shadows;

  bool registry_only() const { return !billing_group && !shadow && !connectivity && !jobs && named_shadows.empty(); }
};

class FleetQuery {
 public:
  // kInvalid with reason InvalidQueryException: what is wrong, and where.
  static Result<FleetQuery> parse(std::string_view text, QuerySubject subject = QuerySubject::kThings);

  // A term without a field looks at registry fields alone (as in dynamic groups), or at all.
  enum class BareTerms : std::uint8_t { kRegistry, kEverything };
  bool matches(const FieldValues& document, BareTerms bare = BareTerms::kRegistry) const;
  bool matches(const IndexedThing& thing) const { return matches(registry_fields(thing)); }

  // Does the answer depend on the groups of a thing?
  bool uses_groups() const;
  const QueryNeeds& needs() const { return needs_; }
  QuerySubject subject() const { return subject_; }
  const QueryNode* root() const { return root_.get(); }

 private:
  QuerySubject subject_ = QuerySubject::kThings;
  std::shared_ptr<const QueryNode> root_;
  QueryNeeds needs_;
};

}  // namespace muster::registry
