// SPDX-License-Identifier: Apache-2.0
// Explaining a decision: evaluate()'s own verdict, and which statements came near to one: those that name the action
// and yet did not apply, with what stopped each of them. For people, after a denial; the decision itself never asks.
// Pure. Bounds: kExplainedStatements misses.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "domain/iam/policy/eval.h"

namespace muster::iam {

inline constexpr std::size_t kExplainedStatements = 20;

enum class Stopped : std::uint8_t { kResource, kVariable, kCondition };

struct StatementMiss {
  int policy = 0;
  int statement = 0;
  std::string sid;
  bool allow = true;
  Stopped by = Stopped::kResource;
  // The resources that it names, variables filled in (kResource); the first variable without a value (kVariable); the
  // condition keys that did not hold (kCondition).
  std::vector<std::string> what;
};

struct Explained {
  Decision decision;
  std::vector<StatementMiss> misses;
};
Explained explain(std::span<const PolicyPtr> policies, const PolicyRequest& request);

}  // namespace muster::iam
