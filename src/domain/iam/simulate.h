// SPDX-License-Identifier: Apache-2.0
// What SimulatePrincipalPolicy and SimulateCustomPolicy decide: authorize()'s order over policies that are given, with
// the statements that decided and where they stand in their documents. simulate() and the context keys are pure.
// Source: IAM API reference, "SimulatePrincipalPolicy".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "domain/iam/policy/eval.h"
#include "store/store.h"

namespace muster::iam {

struct SourcePolicy {
  std::string id;    // "PolicyInputList.1", or the policy's name
  std::string type;  // "user", "group", "role", "aws-managed", "user-managed", "resource", "none"
  std::string document;
};

// Of the user, group or role with this ARN: inline, attached and, for a user, of its groups. NoSuchEntity when nobody
// has the ARN; InvalidInput when it is none of the three. `boundary` (may be null) gets its permissions boundary.
Result<std::vector<SourcePolicy>> policies_of_entity(store::Tx& tx, const Realm& realm, std::string_view arn,
                                                     std::vector<SourcePolicy>* boundary);

struct TextPosition {
  std::int64_t line = 1, column = 1;  // from 1
};
struct MatchedStatement {
  std::string policy_id, policy_type;
  TextPosition start, end;  // of its "{", and behind its "}"
};

struct SimulationResult {
  Verdict verdict = Verdict::kImplicitDeny;
  std::vector<MatchedStatement> matched;
  std::vector<std::string> missing;  // keys that the policies name and the context lacks
  std::optional<bool> allowed_by_boundary;
};

class Simulation {
 public:
  // InvalidInput when a document does not compile. `resource` is a resource-based policy; several may not be given.
  static Result<Simulation> make(std::vector<SourcePolicy> identity, std::vector<SourcePolicy> boundary,
                                 std::vector<SourcePolicy> resource);
  SimulationResult decide(std::string_view action, std::string_view resource_arn, const PolicyContext& context,
                          const PolicyPrincipal& principal) const;

 private:
  struct One {  // a statement by itself
    PolicyPtr policy;
    MatchedStatement where;
  };
  struct Group {
    Verdict verdict = Verdict::kImplicitDeny;
    bool delegated = false;
    std::vector<MatchedStatement> allows, denies;
  };
  static Result<std::vector<One>> split(const std::vector<SourcePolicy>& policies, PolicyUse use);
  static Group evaluate_all(const std::vector<One>& statements, const PolicyRequest& asked);

  std::vector<One> identity_, boundary_, resource_;
  bool has_boundary_ = false;
  std::vector<std::string> keys_;
};

// Condition keys and policy variables of the documents, as written, without repeating one; sorted.
Result<std::vector<std::string>> context_keys(const std::vector<SourcePolicy>& policies);

// One entry of ContextEntries, checked against its type ("string", "numericList", ...).
Status add_context_entry(PolicyContext& context, std::string_view key, std::string_view type,
                         std::vector<std::string> values);

}  // namespace muster::iam
