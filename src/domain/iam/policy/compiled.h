// SPDX-License-Identifier: Apache-2.0
// The compiled form of a policy, between policy_document.cc (which builds it) and policy_eval.cc (which reads it).
#pragma once

#include <string>
#include <vector>

#include "domain/iam/policy/conditions.h"
#include "domain/iam/policy/document.h"
#include "domain/iam/policy/pattern.h"

namespace muster::iam {

struct PrincipalSet {
  bool present = false;
  bool negated = false;               // NotPrincipal
  bool any = false;                   // "*"
  std::vector<std::string> accounts;  // 12 digits; arn:aws:iam::A:root means the same
  std::vector<std::string> arns;
  std::vector<std::string> services;
  std::vector<std::string> federated;  // ARNs of OpenID Connect providers
};

struct Statement {
  std::string sid;
  bool allow = false;
  bool not_action = false;
  bool not_resource = false;
  bool any_resource = false;  // trust policies have no Resource
  std::vector<Pattern> actions;
  std::vector<ArnPattern> resources;
  PrincipalSet principals;
  std::vector<Condition> conditions;
};

struct CompiledPolicy {
  std::vector<Statement> statements;
};

}  // namespace muster::iam
