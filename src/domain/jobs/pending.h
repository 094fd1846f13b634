// SPDX-License-Identifier: Apache-2.0
// Pending list of a thing: its executions in IN_PROGRESS and QUEUED, the started ones first, then by queuedAt, job id
// and number. The first is the head: what $next and start-next mean. PendingChange is the only writer of the list,
// and emits notify and notify-next from the difference it makes: notify when something entered or left, notify-next
// when another execution became the head (jobs spec 2.6; a head that merely starts is silent).
//
// The first Limits::pending_head entries are one record (kPendingHead), so that most changes cost one read and one
// write of a key; the rest is an index (kPending), every entry of which comes after those of the record. (An index
// alone, whose front entries come and go all the time, makes an LSM engine step over the dead ones at every read.)
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

// One thing's list within one transaction: read at construction, changed by apply(), written and announced by finish().
// Make it before the change, and call finish() last, once.
class PendingChange {
 public:
  PendingChange(const Context& context, store::Tx& tx, std::string_view thing);
  // A corrupt list ends in kInternal here and in finish(); until then it looks empty.
  const Status& status() const { return read_status_; }
  // The first ones, as far as the record has them.
  const std::vector<PendingEntry>& front() const { return entries_; }
  bool is_whole() const { return !more_; }  // front() is the whole list
  // The number of the job's pending execution when front() has it.
  std::optional<std::int64_t> number_of(std::string_view job) const;
  // `before` nullptr: a new execution. `after` nullptr: the execution is deleted.
  void apply(std::string_view job, std::int64_t number, const Execution* before, const Execution* after);
  // Writes the list as it is now; finish() does it too.
  Status save();
  // Enqueues what devices must hear.
  Status finish(Effects& effects);

 private:
  const PendingEntry* head() const { return entries_.empty() ? nullptr : &entries_.front(); }
  Status read();
  Status refill();
  void insert(PendingEntry entry);
  void notify(Effects& effects);
  Status notify_next(Effects& effects);

  const Context& context_;
  store::Tx& tx_;
  std::string thing_;
  std::vector<PendingEntry> entries_;
  bool more_ = false;  // the index has entries
  bool stored_ = false;
  bool changed_ = false;
  bool membership_changed_ = false;
  std::optional<ExecutionId> head_before_;
  Status read_status_;
};

}  // namespace muster::jobs
