// SPDX-License-Identifier: Apache-2.0
// Pending list of a thing: its executions in IN_PROGRESS and QUEUED, the started ones first, then by queuedAt, job id and
// number. The first is the head: what $next and start-next mean. PendingChange is the only writer of the list, and emits
// notify and notify-next from the difference it makes: notify when something entered or left, notify-next when another
// execution became the head (jobs spec 2.6; a head that merely starts is silent). One bounded range read a change.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/jobs/context.h"
#include "domain/jobs/execution.h"
#include "store/store.h"

namespace muster::jobs {

struct PendingEntry {
  std::string job;
  ExecutionStatus status = ExecutionStatus::kQueued;
  std::int64_t number = 1;
  std::int64_t version = 1;
  std::int64_t queued_ms = 0;
  std::int64_t started_ms = 0;
  std::int64_t updated_ms = 0;
  bool is(std::string_view job_id, std::int64_t n) const { return job == job_id && number == n; }
};

// The first `limit` entries in order.
Result<std::vector<PendingEntry>> read_pending(store::Tx& tx, std::string_view thing, std::size_t limit);

// One thing's list within one transaction: read at construction, changed by apply(), announced by finish(). Make it
// before the change, and call finish() last, once.
class PendingChange {
 public:
  PendingChange(const Context& context, store::Tx& tx, std::string_view thing);
  // The entry at the head, or nullptr.
  const PendingEntry* head() const { return entries_.empty() ? nullptr : &entries_.front(); }
  // `before` nullptr: a new execution. `after` nullptr: the execution is deleted.
  void apply(std::string_view job, std::int64_t number, const Execution* before, const Execution* after);
  // Enqueues what devices must hear. kInternal on a corrupt store.
  Status finish(Effects& effects);

 private:
  Status read();
  void notify(Effects& effects);
  Status notify_next(Effects& effects);

  const Context& context_;
  store::Tx& tx_;
  std::string thing_;
  std::vector<PendingEntry> entries_;  // the first ones, after the changes so far
  bool complete_ = false;              // entries_ is the whole list
  bool membership_changed_ = false;
  std::optional<ExecutionId> head_before_;
  Status read_status_;
};

}  // namespace muster::jobs
