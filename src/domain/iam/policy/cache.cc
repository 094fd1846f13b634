// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/policy/cache.h"

namespace muster::iam {

PolicyPtr PolicyCache::get(std::string_view text, PolicyUse use) {
  std::string key;
  key.reserve(text.size() + 1);
  key += static_cast<char>('0' + static_cast<int>(use));
  key += text;
  {
    std::lock_guard lock(mutex_);
    if (auto found = young_.find(key); found != young_.end()) return found->second;
    if (auto found = old_.find(key); found != old_.end()) {
      PolicyPtr policy = found->second;
      young_.insert(old_.extract(found));
      return policy;
    }
  }
  PolicyPtr policy = compile_stored(text, use, nullptr);
  std::lock_guard lock(mutex_);
  if (young_.size() >= limit_ / 2) {
    old_ = std::move(young_);
    young_.clear();
  }
  young_.emplace(std::move(key), policy);
  return policy;
}

PolicyPtr compile_stored(std::string_view text, PolicyUse use, PolicyCache* cache) {
  if (cache != nullptr) return cache->get(text, use);
  Result<PolicyPtr> policy = compile_policy(text, use);
  return policy ? *std::move(policy) : deny_all_policy();
}

}  // namespace muster::iam
