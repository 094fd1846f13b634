// SPDX-License-Identifier: Apache-2.0
// Patterns of policy elements: text with wildcards and ${variables}, compiled once. Values, immutable, thread-safe. A
// variable's value is compared character by character whatever it contains. Matching is linear in memory, without
// recursion, at worst pattern length times text length (both bounded by their callers).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster::iam {

class PolicyContext;

enum class Match : std::uint8_t { kNo, kYes, kUnresolved };  // kUnresolved: a variable without value in the request

struct PatternSyntax {
  bool wildcards = true;
  bool variables = true;  // policies of version 2012-10-17
};

class Pattern {
 public:
  Pattern() = default;
  // kInvalid for an unclosed or malformed ${...}.
  static Result<Pattern> parse(std::string_view text, PatternSyntax syntax);
  Match match(std::string_view text, const PolicyContext* context, bool ignore_case = false) const;
  bool is_anything() const { return shape_ == Shape::kAnything; }
  // Whether it surely matches every text that begins with `prefix`: "*", or a shorter prefix with a '*' behind it.
  bool covers(std::string_view prefix) const;
  // Lower-case names of the variables used, for checking at creation.
  std::vector<std::string> variables() const;
  // For people: as written, variables that have a value filled in.
  std::string shown(const PolicyContext* context) const;

 private:
  friend class ArnPattern;
  struct Token {
    enum class Kind : std::uint8_t { kLiteral, kAny, kOne, kVariable };
    Kind kind = Kind::kLiteral;
    bool has_fallback = false;
    std::string text;      // literal, or the variable's lower-case name
    std::string fallback;  // ${name, 'fallback'}
  };
  enum class Shape : std::uint8_t { kExact, kPrefix, kAnything, kGeneral };
  void classify();
  Match match_general(std::string_view text, const PolicyContext* context, bool ignore_case) const;

  std::vector<Token> tokens_;
  Shape shape_ = Shape::kExact;
  bool has_variables_ = false;
};

// An ARN with wildcards, or "*". The six parts are matched one by one, so a wildcard never crosses a colon, but in the
// last part (the resource), and but for a pattern that ends early in '*' ("arn:aws:s3*"), which matches all that
// follows.
class ArnPattern {
 public:
  static Result<ArnPattern> parse(std::string_view text, PatternSyntax syntax);
  Match match(std::string_view arn, const PolicyContext* context) const;
  // Whether it surely matches every ARN that begins with `prefix`, which holds the first five parts whole.
  bool covers(std::string_view prefix, const PolicyContext* context) const;
  std::vector<std::string> variables() const;
  std::string shown(const PolicyContext* context) const;

 private:
  enum class Shape : std::uint8_t { kAnything, kLiteralHead, kParts, kOpenEnd };
  Shape shape_ = Shape::kAnything;
  std::string head_;            // kLiteralHead: "arn:aws:iot:us-east-1:123456789012:"
  std::vector<Pattern> parts_;  // kParts: the first five; kOpenEnd: those that are complete
  Pattern tail_;                // the resource; kOpenEnd: the part that ends in '*', over all that is left
};

}  // namespace muster::iam
