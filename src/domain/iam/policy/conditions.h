// SPDX-License-Identifier: Apache-2.0
// The Condition element of a policy statement, compiled. Every operator of the IAM reference: String*, Numeric*, Date*,
// Bool, BinaryEquals, IpAddress, Arn*, Null, with ...IfExists and the ForAllValues: and ForAnyValue: qualifiers.
// Values: immutable, thread-safe.
// Several values of a key without a qualifier: all must satisfy the operator (AWS leaves it open; we fail closed).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "domain/iam/policy/document.h"
#include "domain/iam/policy/pattern.h"

namespace muster::iam {

struct IpNetwork {
  std::array<std::uint8_t, 16> address{};  // IPv4 mapped into ::ffff:0:0/96
  int bits = 128;
  static std::optional<IpNetwork> parse(std::string_view text);  // address or CIDR block
  bool contains(const IpNetwork& address) const;
};

enum class ConditionFamily : std::uint8_t { kString, kNumeric, kDate, kBool, kBinary, kIp, kArn, kNull };
enum class Comparison : std::uint8_t { kEquals, kLess, kLessEquals, kGreater, kGreaterEquals };
enum class Qualifier : std::uint8_t { kNone, kForAllValues, kForAnyValue };

struct ConditionOperator {
  ConditionFamily family = ConditionFamily::kString;
  Comparison comparison = Comparison::kEquals;
  Qualifier qualifier = Qualifier::kNone;
  bool negated = false;
  bool if_exists = false;
  bool ignore_case = false;
  bool like = false;
  // nullopt: no such operator.
  static std::optional<ConditionOperator> parse(std::string_view text);
};

class Condition {
 public:
  // One key under one operator; kInvalid with AWS's wording.
  static Result<Condition> compile(std::string_view operator_text, std::string_view key, const json::value& values,
                                   PolicyUse use, bool variables);
  // `effect_allow`: what an unresolved variable means (it must not widen an Allow nor narrow a negated Deny).
  bool holds(const PolicyContext* context, bool effect_allow) const;
  const std::string& key() const { return key_; }

 private:
  enum class Outcome : std::uint8_t { kNo, kYes, kUnresolved };
  Status add_value(std::string_view text, PolicyUse use, bool variables);
  Outcome matches_any(const std::string& value, const PolicyContext* context) const;
  bool satisfied(const std::string& value, const PolicyContext* context, bool effect_allow) const;

  ConditionOperator operator_;
  std::string key_;
  std::vector<Pattern> patterns_;
  std::vector<ArnPattern> arns_;
  std::vector<double> numbers_;
  std::vector<std::int64_t> times_;
  std::vector<IpNetwork> networks_;
  bool flags_[2] = {false, false};  // Bool, Null: the values allowed, [0] false, [1] true
};

}  // namespace muster::iam
