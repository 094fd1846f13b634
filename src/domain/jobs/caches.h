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

// What jobs offer, as of one version of all of it (job.h, offers_version): spares a pending list the reading of every
// job that it names. Thread-safe; emptied when the version changes, bounded by it.
struct Offer {
  bool queued = false, in_progress = false;            // is_offered()
  bool knew_queued = false, knew_in_progress = false;  // as devices know it (pending.cc)
  bool announcing = false;                             // Job::announcing
};
class Offers {
 public:
  std::optional<Offer> find(std::string_view version, std::string_view job_id) {
    const std::lock_guard lock(mutex_);
    if (version != version_) return std::nullopt;
    const auto it = by_job_.find(std::string(job_id));
    return it == by_job_.end() ? std::nullopt : std::optional(it->second);
  }
  void insert(std::string_view version, std::string_view job_id, Offer offer) {
    const std::lock_guard lock(mutex_);
    if (version != version_ || by_job_.size() >= kMost) {
      by_job_.clear();
      version_ = version;
    }
    by_job_.insert_or_assign(std::string(job_id), offer);
  }

 private:
  static constexpr std::size_t kMost = 20'000;
  std::mutex mutex_;
  std::string version_ = "none";
  std::unordered_map<std::string, Offer> by_job_;
};

class Caches {
 public:
  explicit Caches(const Limits& limits) : jobs(limits.cached_jobs), documents(limits.cached_documents) {}
  LeastRecentlyUsed<ParsedJob> jobs;      // by job id
  LeastRecentlyUsed<Document> documents;  // by digest
  Offers offers;
};

}  // namespace muster::jobs
