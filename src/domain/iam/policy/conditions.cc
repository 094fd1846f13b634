// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/policy/conditions.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/text.h"
#include "domain/iam/policy/condition_keys.h"
#include "domain/iam/policy/eval.h"

namespace muster::iam {

namespace {

std::optional<double> parse_number(std::string_view text) {
  text = trim(text);
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

// ISO 8601, or seconds since the epoch.
std::optional<std::int64_t> parse_time(std::string_view text) {
  constexpr std::int64_t kSecondsLimit = 1ll << 40;
  if (auto seconds = parse_int(text)) {
    if (*seconds < -kSecondsLimit || *seconds > kSecondsLimit) return std::nullopt;
    return *seconds * 1000;
  }
  return parse_iso8601(text);
}

std::optional<bool> parse_bool(std::string_view text) {
  if (equals_ignore_case(text, "true")) return true;
  if (equals_ignore_case(text, "false")) return false;
  return std::nullopt;
}

template <class T>
bool compare(T a, T b, Comparison comparison) {
  switch (comparison) {
    case Comparison::kEquals:
      return a == b;
    case Comparison::kLess:
      return a < b;
    case Comparison::kLessEquals:
      return a <= b;
    case Comparison::kGreater:
      return a > b;
    case Comparison::kGreaterEquals:
      return a >= b;
  }
  return false;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}
bool take_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

// What follows Numeric and Date.
bool parse_comparison(std::string_view text, ConditionOperator& op) {
  if (text == "Equals") return true;
  if (text == "NotEquals")
    op.negated = true;
  else if (text == "LessThan")
    op.comparison = Comparison::kLess;
  else if (text == "LessThanEquals")
    op.comparison = Comparison::kLessEquals;
  else if (text == "GreaterThan")
    op.comparison = Comparison::kGreater;
  else if (text == "GreaterThanEquals")
    op.comparison = Comparison::kGreaterEquals;
  else
    return false;
  return true;
}

// What follows String and Arn.
bool parse_text_operator(std::string_view text, ConditionOperator& op) {
  op.negated = take_prefix(text, "Not");
  if (text == "Like") {
    op.like = true;
    return true;
  }
  if (text == "EqualsIgnoreCase" && op.family == ConditionFamily::kString) {
    op.ignore_case = true;
    return true;
  }
  if (op.family == ConditionFamily::kArn) op.like = true;  // ArnEquals and ArnLike behave alike
  return text == "Equals";
}

}  // namespace

std::optional<IpNetwork> IpNetwork::parse(std::string_view text) {
  IpNetwork network;
  std::size_t slash = text.find('/');
  std::string address(text.substr(0, slash));
  if (address.size() > INET6_ADDRSTRLEN || address.find('\0') != std::string::npos) return std::nullopt;
  bool v4 = address.find(':') == std::string::npos;
  int width = v4 ? 32 : 128;
  std::uint8_t* bytes = network.address.data();
  if (v4) {
    bytes[10] = bytes[11] = 0xFF;
    if (inet_pton(AF_INET, address.c_str(), bytes + 12) != 1) return std::nullopt;
  } else if (inet_pton(AF_INET6, address.c_str(), bytes) != 1) {
    return std::nullopt;
  }
  if (slash != std::string_view::npos) {
    auto bits = parse_int(text.substr(slash + 1));
    if (!bits || *bits < 0 || *bits > width) return std::nullopt;
    network.bits = static_cast<int>(*bits) + (128 - width);
  }
  return network;
}

bool IpNetwork::contains(const IpNetwork& other) const {
  if (other.bits < bits) return false;
  int whole = bits / 8, rest = bits % 8;
  if (std::memcmp(address.data(), other.address.data(), static_cast<std::size_t>(whole)) != 0) return false;
  if (rest == 0) return true;
  auto at = static_cast<std::size_t>(whole);
  return (address[at] >> (8 - rest)) == (other.address[at] >> (8 - rest));
}

std::optional<ConditionOperator> ConditionOperator::parse(std::string_view text) {
  ConditionOperator op;
  if (take_prefix(text, "ForAllValues:"))
    op.qualifier = Qualifier::kForAllValues;
  else if (take_prefix(text, "ForAnyValue:"))
    op.qualifier = Qualifier::kForAnyValue;
  op.if_exists = take_suffix(text, "IfExists");
  bool good = true;
  if (text == "Null") {
    op.family = ConditionFamily::kNull;
    good = !op.if_exists && op.qualifier == Qualifier::kNone;
  } else if (text == "Bool") {
    op.family = ConditionFamily::kBool;
  } else if (text == "BinaryEquals") {
    op.family = ConditionFamily::kBinary;
  } else if (text == "IpAddress" || text == "NotIpAddress") {
    op.family = ConditionFamily::kIp;
    op.negated = text == "NotIpAddress";
  } else if (take_prefix(text, "String")) {
    op.family = ConditionFamily::kString;
    good = parse_text_operator(text, op);
  } else if (take_prefix(text, "Arn")) {
    op.family = ConditionFamily::kArn;
    good = parse_text_operator(text, op);
  } else if (take_prefix(text, "Numeric")) {
    op.family = ConditionFamily::kNumeric;
    good = parse_comparison(text, op);
  } else if (take_prefix(text, "Date")) {
    op.family = ConditionFamily::kDate;
    good = parse_comparison(text, op);
  } else {
    good = false;
  }
  if (!good) return std::nullopt;
  return op;
}

namespace {

// Policies write numbers and booleans with or without quotes.
Result<std::string> value_text(const json::value& value) {
  if (value.is_string()) return std::string(value.as_string());
  if (value.is_bool() || value.is_number()) return to_text(value);
  return invalid("Syntax errors in policy.");
}

Status check_variables(const std::vector<std::string>& names, PolicyUse use) {
  for (const std::string& name : names)
    if (!is_supplied_condition_key(name, use)) return invalid("Policy variable ${" + name + "} is not supported.");
  return {};
}

}  // namespace

Status Condition::add_value(std::string_view text, PolicyUse use, bool variables) {
  auto bad = [&](std::string_view kind) {
    return invalid("Invalid " + std::string(kind) + " in condition: " + std::string(text));
  };
  switch (operator_.family) {
    case ConditionFamily::kString:
    case ConditionFamily::kBinary: {
      PatternSyntax syntax{.wildcards = operator_.like, .variables = variables};
      if (operator_.family == ConditionFamily::kBinary) syntax = {.wildcards = false, .variables = false};
      TRY(Pattern pattern, Pattern::parse(text, syntax));
      TRY_VOID(check_variables(pattern.variables(), use));
      patterns_.push_back(std::move(pattern));
      return {};
    }
    case ConditionFamily::kArn: {
      auto arn = ArnPattern::parse(text, PatternSyntax{.wildcards = true, .variables = variables});
      if (!arn) return bad("ARN");
      TRY_VOID(check_variables(arn->variables(), use));
      arns_.push_back(*std::move(arn));
      return {};
    }
    case ConditionFamily::kNumeric: {
      auto number = parse_number(text);
      if (!number) return bad("number");
      numbers_.push_back(*number);
      return {};
    }
    case ConditionFamily::kDate: {
      auto time = parse_time(text);
      if (!time) return bad("date");
      times_.push_back(*time);
      return {};
    }
    case ConditionFamily::kIp: {
      auto network = IpNetwork::parse(text);
      if (!network) return bad("IP address");
      networks_.push_back(*network);
      return {};
    }
    case ConditionFamily::kBool:
    case ConditionFamily::kNull: {
      auto flag = parse_bool(text);
      if (!flag) return bad("Boolean");
      flags_[*flag ? 1 : 0] = true;
      return {};
    }
  }
  return internal("condition family");
}

Result<Condition> Condition::compile(std::string_view operator_text, std::string_view key, const json::value& values,
                                     PolicyUse use, bool variables) {
  constexpr std::size_t kValuesLimit = 1000;
  Condition condition;
  auto op = ConditionOperator::parse(operator_text);
  if (!op) return invalid("Invalid Condition type : " + std::string(operator_text) + ".");
  condition.operator_ = *op;
  condition.key_ = lower(key);
  if (key.find(':') == std::string_view::npos)
    return invalid("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
  if (!is_supplied_condition_key(condition.key_, use))
    return invalid("Condition key " + std::string(key) + " is not supported.");
  if (const json::array* list = values.if_array()) {
    if (list->empty() || list->size() > kValuesLimit) return invalid("Syntax errors in policy.");
    for (const json::value& value : *list) {
      TRY(std::string text, value_text(value));
      TRY_VOID(condition.add_value(text, use, variables));
    }
  } else {
    TRY(std::string text, value_text(values));
    TRY_VOID(condition.add_value(text, use, variables));
  }
  return condition;
}

Condition::Outcome Condition::matches_any(const std::string& value, const PolicyContext* context) const {
  auto outcome = [](bool yes) { return yes ? Outcome::kYes : Outcome::kNo; };
  auto any_pattern = [&](const auto& patterns, auto&& match) {
    Outcome best = Outcome::kNo;
    for (const auto& pattern : patterns) {
      Match result = match(pattern);
      if (result == Match::kYes) return Outcome::kYes;
      if (result == Match::kUnresolved) best = Outcome::kUnresolved;
    }
    return best;
  };
  switch (operator_.family) {
    case ConditionFamily::kString:
    case ConditionFamily::kBinary:
      return any_pattern(patterns_, [&](const Pattern& p) { return p.match(value, context, operator_.ignore_case); });
    case ConditionFamily::kArn:
      return any_pattern(arns_, [&](const ArnPattern& p) { return p.match(value, context); });
    case ConditionFamily::kNumeric: {
      auto number = parse_number(value);
      return outcome(
          number && std::ranges::any_of(numbers_, [&](double n) { return compare(*number, n, operator_.comparison); }));
    }
    case ConditionFamily::kDate: {
      auto time = parse_time(value);
      return outcome(
          time && std::ranges::any_of(times_, [&](std::int64_t t) { return compare(*time, t, operator_.comparison); }));
    }
    case ConditionFamily::kIp: {
      auto address = IpNetwork::parse(value);
      return outcome(address && std::ranges::any_of(networks_, [&](const auto& n) { return n.contains(*address); }));
    }
    case ConditionFamily::kBool: {
      auto flag = parse_bool(value);
      return outcome(flag && flags_[*flag ? 1 : 0]);
    }
    case ConditionFamily::kNull:
      break;
  }
  return Outcome::kNo;
}

bool Condition::satisfied(const std::string& value, const PolicyContext* context, bool effect_allow) const {
  Outcome outcome = matches_any(value, context);
  if (outcome == Outcome::kUnresolved) return operator_.negated && !effect_allow;
  return (outcome == Outcome::kYes) != operator_.negated;
}

bool Condition::holds(const PolicyContext* context, bool effect_allow) const {
  const std::vector<std::string>* values = context == nullptr ? nullptr : context->find(key_);
  bool absent = values == nullptr || values->empty();
  if (operator_.family == ConditionFamily::kNull) return flags_[absent ? 1 : 0];
  if (absent) {
    if (operator_.if_exists || operator_.qualifier == Qualifier::kForAllValues) return true;
    return operator_.qualifier == Qualifier::kNone && operator_.negated;
  }
  auto one = [&](const std::string& value) { return satisfied(value, context, effect_allow); };
  if (operator_.qualifier == Qualifier::kForAnyValue) return std::ranges::any_of(*values, one);
  return std::ranges::all_of(*values, one);
}

}  // namespace muster::iam
