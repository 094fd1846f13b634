// SPDX-License-Identifier: Apache-2.0
// What an observer sees of the simulator's world between two deeds: the records, read raw in one transaction, and what
// follows from them by the simulator's own reading of the rules: which executions are on offer, and in which order.
#pragma once

#include <tuple>

#include "world.h"

namespace muster::jobs::sim {

using ListName = std::pair<std::string, std::string>;  // thing, namespace

struct Observation {
  std::int64_t now_ms = 0;
  std::map<ExecutionId, Execution> executions;
  std::map<std::string, Job> jobs;
  std::map<char, std::set<std::string>> keys;              // of the indexes, by table
  std::map<std::string, std::vector<PendingEntry>> lists;  // by thing, as stored
  std::map<std::string, JobCounts> counts;                 // as kept
  std::set<std::string> timers;                            // of executions

  const Execution* find(const ExecutionId& id) const {
    const auto it = executions.find(id);
    return it == executions.end() ? nullptr : &it->second;
  }
  const Job* job(const std::string& id) const {
    const auto it = jobs.find(id);
    return it == jobs.end() ? nullptr : &it->second;
  }
  std::optional<std::int64_t> latest(const std::string& thing, const std::string& job_id) const {
    std::optional<std::int64_t> number;
    for (auto it = executions.lower_bound({thing, job_id, 0}); it != executions.end(); ++it) {
      if (it->first.thing != thing || it->first.job != job_id) break;
      number = it->first.number;
    }
    return number;
  }
  JobCounts count(const std::string& job_id) const {
    JobCounts counted;
    for (const auto& [id, execution] : executions) {
      if (id.job == job_id) ++counted.by_status[static_cast<std::size_t>(execution.status)];
    }
    return counted;
  }

  // May the device have it? QUEUED: while the job runs and is not paused; IN_PROGRESS: until somebody took it away.
  bool is_on_offer(const ExecutionId& id, const Execution& execution) const {
    const Job* of = job(id.job);
    if (of == nullptr || of->status == JobStatus::kDeletionInProgress) return false;
    if (execution.status == ExecutionStatus::kQueued)
      return of->status == JobStatus::kInProgress && !of->controls.paused;
    if (execution.status != ExecutionStatus::kInProgress) return false;
    return !(of->status == JobStatus::kCanceled && of->sweep == Sweep::kQueuedAndInProgress);
  }

  // What the device of a list may have, in the order in which it should.
  std::vector<ExecutionId> on_offer(const ListName& list) const {
    using Order = std::tuple<bool, std::int64_t, std::int64_t, std::string, std::int64_t>;
    std::vector<std::pair<Order, ExecutionId>> found;
    for (const auto& [id, e] : executions) {
      if (id.thing != list.first || e.namespace_id != list.second || !is_on_offer(id, e)) continue;
      const bool queued = e.status == ExecutionStatus::kQueued;
      found.push_back({{queued, queued ? -e.priority : 0, e.queued_ms, id.job, id.number}, id});
    }
    std::ranges::sort(found, {}, [](const auto& one) { return one.first; });
    std::vector<ExecutionId> ids;
    for (auto& one : found) ids.push_back(std::move(one.second));
    return ids;
  }
};

inline Observation observe(World& world) {
  Observation now;
  world.calm();
  const auto each = [](store::Tx& tx, char tag, const auto& visit) {
    const std::string prefix(1, tag);
    for (auto& row : tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = 100'000})) visit(row);
  };
  const auto read = store::run_blocking(*world.fleet.store, [&](store::Tx& tx) -> Status {
    now = {};
    now.now_ms = tx.now_ms();
    each(tx, store::table::kExecution, [&](const auto& row) {
      store::KeyReader reader(row.key);
      const auto thing = reader.text(), job = reader.text();
      const auto number = reader.descending();
      const auto execution = decode_execution(*number, row.value);
      ASSERT_TRUE(execution);
      now.executions.emplace(ExecutionId{*thing, *job, *number}, *execution);
    });
    each(tx, store::table::kJob, [&](const auto& row) {
      const auto id = *store::KeyReader(row.key).text();
      auto job = decode_job(id, row.value);
      ASSERT_TRUE(job);
      now.counts[id] = job_counts(tx, id);
      now.jobs.emplace(id, *std::move(job));
    });
    for (const char tag : {store::table::kThingExecution, store::table::kJobStatusExecution}) {
      each(tx, tag, [&](const auto& row) { now.keys[tag].insert(row.key); });
    }
    each(tx, store::table::kTimer, [&](const auto& row) {
      store::KeyReader reader(row.key);
      reader.integer();
      if (reader.text() == kExecutionTimer) now.timers.insert(*reader.text());
    });
    for (int i = 0; i < kThings; ++i) {
      TRY(now.lists[World::thing(i)], read_pending(tx, World::thing(i), 1000));
    }
    return {};
  });
  EXPECT_TRUE(read);
  world.trouble();
  return now;
}

}  // namespace muster::jobs::sim
