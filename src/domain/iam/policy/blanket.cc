// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/policy/blanket.h"

#include <algorithm>

#include "domain/iam/policy/compiled.h"

namespace muster::iam {

namespace {

bool concerns(const Statement& statement, std::string_view action, const PolicyContext& context) {
  const auto names = [&](const Pattern& pattern) { return pattern.match(action, nullptr, true) == Match::kYes; };
  if (std::ranges::any_of(statement.actions, names) == statement.not_action) return false;
  const auto holds = [&](const Condition& condition) { return condition.holds(&context, statement.allow); };
  return std::ranges::all_of(statement.conditions, holds);
}

}  // namespace

bool allows_all_below(std::span<const PolicyPtr> policies, std::string_view action, std::string_view prefix,
                      const PolicyContext& context) {
  bool allowed = false;
  for (const PolicyPtr& policy : policies)
    for (const Statement& statement : policy->statements) {
      if (!concerns(statement, action, context)) continue;
      if (!statement.allow || statement.principals.present) return false;
      const auto covers = [&](const ArnPattern& pattern) { return pattern.covers(prefix, &context); };
      allowed = allowed || (!statement.not_resource && std::ranges::any_of(statement.resources, covers));
    }
  return allowed;
}

}  // namespace muster::iam
