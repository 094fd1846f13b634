// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/policy/explain.h"

#include <algorithm>

#include "domain/iam/policy/compiled.h"

namespace muster::iam {

namespace {

bool names_action(const Statement& statement, std::string_view action) {
  const auto matches = [&](const Pattern& p) { return p.match(action, nullptr, true) == Match::kYes; };
  return std::ranges::any_of(statement.actions, matches) != statement.not_action;
}

// What keeps the statement from applying; nullopt: nothing does.
std::optional<StatementMiss> miss_of(const Statement& statement, const PolicyRequest& request) {
  StatementMiss miss;
  miss.sid = statement.sid;
  miss.allow = statement.allow;
  bool matched = statement.any_resource;
  for (const ArnPattern& pattern : statement.resources) {
    const Match match = pattern.match(request.resource, request.context);
    matched = matched || match == Match::kYes;
    if (match != Match::kUnresolved) continue;
    for (const std::string& name : pattern.variables()) {
      const auto* values = request.context == nullptr ? nullptr : request.context->find(name);
      if (values != nullptr && values->size() == 1) continue;
      miss.by = Stopped::kVariable;
      if (std::ranges::find(miss.what, name) == miss.what.end()) miss.what.push_back(name);
    }
  }
  if (matched == statement.not_resource) {
    if (miss.by == Stopped::kVariable && !statement.not_resource) return miss;
    miss.by = Stopped::kResource;
    miss.what.clear();
    for (const ArnPattern& pattern : statement.resources) miss.what.push_back(pattern.shown(request.context));
    return miss;
  }
  miss.what.clear();
  for (const Condition& condition : statement.conditions) {
    if (!condition.holds(request.context, statement.allow)) miss.what.push_back(condition.key());
  }
  if (miss.what.empty()) return std::nullopt;
  miss.by = Stopped::kCondition;
  return miss;
}

}  // namespace

Explained explain(std::span<const PolicyPtr> policies, const PolicyRequest& request) {
  Explained explained;
  explained.decision = evaluate(policies, request);
  for (std::size_t p = 0; p < policies.size(); ++p) {
    const auto& statements = policies[p]->statements;
    for (std::size_t s = 0; s < statements.size(); ++s) {
      if (explained.misses.size() == kExplainedStatements) return explained;
      if (!names_action(statements[s], request.action)) continue;
      auto miss = miss_of(statements[s], request);
      if (!miss) continue;
      miss->policy = static_cast<int>(p);
      miss->statement = static_cast<int>(s);
      explained.misses.push_back(*std::move(miss));
    }
  }
  return explained;
}

}  // namespace muster::iam
