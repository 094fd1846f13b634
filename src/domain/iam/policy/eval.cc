// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/policy/eval.h"

#include <algorithm>

#include "base/text.h"
#include "domain/iam/policy/compiled.h"

namespace muster::iam {

void PolicyContext::set(std::string_view key, std::string value) {
  std::vector<std::string> values;
  values.push_back(std::move(value));
  set(key, std::move(values));
}

void PolicyContext::set(std::string_view key, std::vector<std::string> values) {
  std::string name = lower(key);
  for (auto& item : items_)
    if (item.first == name) {
      item.second = std::move(values);
      return;
    }
  items_.emplace_back(std::move(name), std::move(values));
}

void PolicyContext::erase(std::string_view key) {
  std::string name = lower(key);
  std::erase_if(items_, [&](const auto& item) { return item.first == name; });
}

const std::vector<std::string>* PolicyContext::find(std::string_view lower_key) const {
  for (const auto& item : items_)
    if (item.first == lower_key) return item.second.empty() ? nullptr : &item.second;
  return nullptr;
}

PolicyContext PolicyContext::without_any_of(std::string_view characters) const {
  PolicyContext kept;
  for (const auto& item : items_) {
    const bool held = std::any_of(item.second.begin(), item.second.end(), [&](const std::string& value) {
      return value.find_first_of(characters) != std::string::npos;
    });
    if (!held) kept.items_.push_back(item);
  }
  return kept;
}

namespace {

bool action_applies(const Statement& statement, const PolicyRequest& request) {
  bool listed = false;
  for (const Pattern& pattern : statement.actions) {
    if (pattern.match(request.action, nullptr, true) != Match::kYes) continue;
    listed = true;
    break;
  }
  return listed != statement.not_action;
}

bool resource_applies(const Statement& statement, const PolicyRequest& request) {
  if (statement.any_resource) return true;
  Match best = Match::kNo;
  for (const ArnPattern& pattern : statement.resources) {
    Match match = pattern.match(request.resource, request.context);
    if (match == Match::kYes) {
      best = match;
      break;
    }
    if (match == Match::kUnresolved) best = match;
  }
  if (!statement.not_resource) return best == Match::kYes;
  if (best == Match::kUnresolved) return !statement.allow;  // cannot tell what is exempt: fail closed
  return best == Match::kNo;
}

enum class Named : std::uint8_t { kNo, kAccount, kDirect };

Named principal_named(const PrincipalSet& set, const PolicyPrincipal& who, bool allow) {
  // Everybody does not mean every identity provider: who is let in has to be named.
  if (set.any && (who.federated.empty() || !allow)) return Named::kDirect;
  auto in = [](const std::vector<std::string>& list, const std::string& value) {
    return !value.empty() && std::ranges::find(list, value) != list.end();
  };
  if (in(set.federated, who.federated)) return Named::kDirect;
  if (in(set.services, who.service) || in(set.arns, who.arn) || in(set.arns, who.role_arn)) return Named::kDirect;
  if (in(set.accounts, who.account_id)) return who.is_root ? Named::kDirect : Named::kAccount;
  return Named::kNo;
}

Named principal_applies(const Statement& statement, const PolicyRequest& request) {
  const PrincipalSet& set = statement.principals;
  if (!set.present) return Named::kDirect;
  static const PolicyPrincipal kAnonymous;
  Named named = principal_named(set, request.principal == nullptr ? kAnonymous : *request.principal, statement.allow);
  if (!set.negated) return named;
  return named == Named::kNo ? Named::kDirect : Named::kNo;
}

bool names_session(const PrincipalSet& set, const PolicyRequest& request) {
  if (set.negated || request.principal == nullptr || request.principal->role_arn.empty()) return false;
  return std::ranges::find(set.arns, request.principal->arn) != set.arns.end();
}

}  // namespace

Decision evaluate(std::span<const PolicyPtr> policies, const PolicyRequest& request) {
  Decision decision;
  for (std::size_t p = 0; p < policies.size(); ++p) {
    const CompiledPolicy& policy = *policies[p];
    for (std::size_t s = 0; s < policy.statements.size(); ++s) {
      const Statement& statement = policy.statements[s];
      const bool settled = decision.verdict == Verdict::kAllow;
      if (statement.allow && settled && (decision.named_session || statement.principals.arns.empty())) continue;
      if (!action_applies(statement, request) || !resource_applies(statement, request)) continue;
      Named named = principal_applies(statement, request);
      if (named == Named::kNo) continue;
      if (statement.allow && named == Named::kAccount && decision.delegated) continue;
      auto holds = [&](const Condition& condition) { return condition.holds(request.context, statement.allow); };
      if (!std::ranges::all_of(statement.conditions, holds)) continue;
      if (statement.allow && named == Named::kAccount) {
        decision.delegated = true;
        continue;
      }
      if (statement.allow && names_session(statement.principals, request)) decision.named_session = true;
      if (statement.allow && settled) continue;
      decision.verdict = statement.allow ? Verdict::kAllow : Verdict::kExplicitDeny;
      decision.policy = static_cast<int>(p);
      decision.statement = static_cast<int>(s);
      decision.sid = statement.sid;
      if (!statement.allow) return decision;
    }
  }
  return decision;
}

}  // namespace muster::iam
