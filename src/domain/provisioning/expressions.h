// SPDX-License-Identifier: Apache-2.0
// The language inside provisioning templates: {"Ref": PARAMETER} and the intrinsic functions Fn::Join, Fn::Select,
// Fn::FindInMap, Fn::Split and Fn::Sub over parameters and mappings. Pure. check() is for when a template is made and
// refuses by name whatever evaluation would not know; what depends on values (an index, a mapping's key) is found by
// Evaluator. Values of parameters are text and never looked at again, so nothing refers to itself.
// Bounds: 12 levels, 1,000 items a list, 64 KiB for all that one Evaluator makes.
// Source: AWS IoT developer guide, "Provisioning templates", "Intrinsic functions".
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace muster::provisioning {

using Parameters = std::map<std::string, std::string, std::less<>>;

struct Declarations {
  std::map<std::string, std::optional<std::string>, std::less<>> parameters;  // name -> default
  json::object mappings;                                                      // map -> key -> name -> text
};

enum class Shape : std::uint8_t {
  kText,
  kList,  // of texts
  kTree,  // any JSON, with expressions in it
};

// {"Ref": ...} or {"Fn::...": ...}
bool is_expression(const json::value& value);
bool holds_expression(const json::value& value);
// `where` is for the message: "Resources.thing.Properties.ThingName".
Status check_expression(const Declarations& declared, const json::value& value, Shape shape, std::string_view where);

class Evaluator {
 public:
  // Both outlive it.
  Evaluator(const Declarations& declared, const Parameters& given) : declared_(declared), given_(given) {}

  Result<std::string> text(const json::value& value);
  Result<std::vector<std::string>> list(const json::value& value);
  Result<json::value> tree(const json::value& value);
  // While it is on, a parameter's value must be plain: no wildcard, no topic separator, no quotes, nothing of a policy
  // variable. A device must not widen the policy that it gets.
  void guard_policy(bool on) { guarded_ = on; }

 private:
  Result<std::string> parameter(std::string_view name);
  Result<std::string> join(const json::value& argument);
  Result<std::string> select(const json::value& argument);
  Result<std::string> find_in_map(const json::value& argument);
  Result<std::string> substitute(const json::value& argument);
  Result<std::vector<std::string>> split_text(const json::value& argument);
  Status spend(std::size_t bytes);

  const Declarations& declared_;
  const Parameters& given_;
  std::size_t spent_ = 0;
  bool guarded_ = false;
};

}  // namespace muster::provisioning
