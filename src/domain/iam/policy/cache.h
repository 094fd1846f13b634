// SPDX-License-Identifier: Apache-2.0
// PolicyCache: compiled policies by their text, so that a request does not parse JSON again. Owned by whoever evaluates
// often (the HTTP pipeline, the device authorizer); thread-safe; holds at most `limit` documents, the oldest half
// leaves when it is full. Content-addressed, so it never needs invalidation.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "domain/iam/policy/document.h"

namespace muster::iam {

class PolicyCache {
 public:
  explicit PolicyCache(std::size_t limit = 4096) : limit_(limit) {}
  // deny_all_policy() when the text does not compile: it was checked when it was stored.
  PolicyPtr get(std::string_view text, PolicyUse use);

 private:
  std::mutex mutex_;
  std::size_t limit_;
  std::unordered_map<std::string, PolicyPtr> young_, old_;
};

// Without a cache: compiles, or deny_all_policy().
PolicyPtr compile_stored(std::string_view text, PolicyUse use, PolicyCache* cache);

}  // namespace muster::iam
