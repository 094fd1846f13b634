// SPDX-License-Identifier: Apache-2.0
// Caches: parsed job records and compiled documents, so that a device's call parses neither. A job is found by the
// bytes of its record, a document by its digest: an entry cannot be stale. Thread-safe; bounded, least recently used
// goes first.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "domain/jobs/documents.h"
#include "domain/jobs/job.h"

namespace muster::jobs {

template <class T>
class LeastRecentlyUsed {
 public:
  explicit LeastRecentlyUsed(std::size_t capacity) : capacity_(capacity == 0 ? 1 : capacity) {}

  std::shared_ptr<const T> find(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto it = entries_.find(key);
    if (it == entries_.end()) return nullptr;
    order_.splice(order_.begin(), order_, it->second);
    return it->second->second;
  }

  void insert(const std::string& key, std::shared_ptr<const T> value) {
    const std::lock_guard lock(mutex_);
    const auto it = entries_.find(key);
    if (it != entries_.end()) {
      it->second->second = std::move(value);
      order_.splice(order_.begin(), order_, it->second);
      return;
    }
    order_.emplace_front(key, std::move(value));
    entries_.emplace(key, order_.begin());
    if (entries_.size() <= capacity_) return;
    entries_.erase(order_.back().first);
    order_.pop_back();
  }

 private:
  using Order = std::list<std::pair<std::string, std::shared_ptr<const T>>>;
  const std::size_t capacity_;
  std::mutex mutex_;
  Order order_;
  std::unordered_map<std::string, typename Order::iterator> entries_;
};

struct ParsedJob {
  std::string record;
  std::shared_ptr<const Job> job;
};

class Caches {
 public:
  explicit Caches(const Limits& limits) : jobs(limits.cached_jobs), documents(limits.cached_documents) {}
  LeastRecentlyUsed<ParsedJob> jobs;      // by job id
  LeastRecentlyUsed<Document> documents;  // by digest
};

}  // namespace muster::jobs
