// SPDX-License-Identifier: Apache-2.0
// kPolicyTarget: (policy, target ARN) -> ""; kPrincipalPolicy: (target ARN, policy) -> "".
#include "domain/registry/policy_links.h"

#include "store/keys.h"
#include "store/schema.h"

namespace muster::registry {

namespace {

std::string policy_target_key(std::string_view policy, std::string_view target) {
  return store::Key(store::table::kPolicyTarget).text(policy).text(target).str();
}
std::string target_policy_key(std::string_view target, std::string_view policy) {
  return store::Key(store::table::kPrincipalPolicy).text(target).text(policy).str();
}

}  // namespace

void link_policy(store::Tx& tx, std::string_view policy, std::string_view target) {
  tx.put(policy_target_key(policy, target), "");
  tx.put(target_policy_key(target, policy), "");
}

void unlink_policy(store::Tx& tx, std::string_view policy, std::string_view target) {
  tx.erase(policy_target_key(policy, target));
  tx.erase(target_policy_key(target, policy));
}

bool is_policy_linked(store::Tx& tx, std::string_view policy, std::string_view target) {
  return tx.get(policy_target_key(policy, target)).has_value();
}

bool has_policy_targets(store::Tx& tx, std::string_view policy) {
  std::string prefix = store::Key(store::table::kPolicyTarget).text(policy).str();
  return !tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = 1}).empty();
}

std::vector<std::string> policies_of_target(store::Tx& tx, std::string_view target) {
  std::string prefix = store::Key(store::table::kPrincipalPolicy).text(target).str();
  std::vector<std::string> names;
  for (const store::KeyValue& item : tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = 100})) {
    store::KeyReader reader(item.key);
    reader.text();
    if (auto name = reader.text()) names.push_back(*std::move(name));
  }
  return names;
}

void detach_all_policies(store::Tx& tx, std::string_view target) {
  for (const std::string& name : policies_of_target(tx, target)) unlink_policy(tx, name, target);
}

}  // namespace muster::registry
