// SPDX-License-Identifier: Apache-2.0
// Pending list of a thing: its executions in IN_PROGRESS and QUEUED, the started ones first, then by priority,
// queuedAt, job id and number. Of these a device is offered what its job offers now (is_offered: not outside a
// maintenance window, not while the job is paused or being canceled); the first one offered is the head: what $next and
// start-next mean. Executions of a namespace form a list of their own in the same order, with a head and notifications
// of its own.
//
// PendingChange is the only writer of the list, and announces the difference it makes: notify when something that is
// offered entered or left, notify-next when another execution became the head (jobs spec 2.6; a head that merely starts
// is silent).
//
// The first Limits::pending_head entries are one record (kPendingHead), so that most changes cost one read and one
// write of a key; the rest is an index (kPending), every entry of which comes after those of the record. (An index
// alone, whose front entries come and go all the time, makes an LSM engine step over the dead ones at every read.)
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/jobs/context.h"
#include "domain/jobs/execution.h"
#include "domain/jobs/job.h"
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
  std::int64_t priority = 0;  // of QUEUED ones
  std::string namespace_id;   // empty: none
  bool is(std::string_view job_id, std::int64_t n) const { return job == job_id && number == n; }
  bool operator==(const PendingEntry&) const = default;
};
PendingEntry entry_of(std::string_view job, const Execution& execution);
// As far as the entry tells it: without details, deadlines and retries.
Execution execution_of(const PendingEntry& entry);
// Does it tell all there is? A first execution that nobody has touched.
bool is_whole(const PendingEntry& entry);

// One line of text; also used by notices.
void append_entry(std::string& out, const PendingEntry& entry);
std::optional<PendingEntry> parse_entry(std::string_view line);

// What the job's cancellation or deletion has already decided about an execution, though the engine has not got to it.
bool is_withdrawn(const Job& job, ExecutionStatus status);
// May the device have it now?
bool is_offered(const Job& job, ExecutionStatus status);

// The first `limit` entries in order, offered or not.
Result<std::vector<PendingEntry>> read_pending(store::Tx& tx, std::string_view thing, std::size_t limit);

// One thing's list within one transaction: read at construction, changed by apply(), written and announced by finish().
// Make it before the change, and call finish() last, once.
class PendingChange {
 public:
  PendingChange(const Context& context, store::Tx& tx, std::string_view thing);
  // A corrupt list ends in kInternal here and in finish(); until then it looks empty.
  const Status& status() const { return read_status_; }
  const std::string& thing() const { return thing_; }
  // The number of the job's pending execution when the first part of the list has it.
  std::optional<std::int64_t> number_of(std::string_view job) const;
  // The first entry of the namespace that is offered.
  Result<std::optional<PendingEntry>> head(std::string_view namespace_id);
  // The job of an entry, read once; nullptr: gone. know(): it was changed in this transaction.
  Result<std::shared_ptr<const Job>> job(std::string_view job_id);
  void know(std::shared_ptr<const Job> job);
  // Reads the job of the first entry, for who will want it anyway: the head is then found without another read.
  Status know_first();

  // `before` nullptr: a new execution. `after` nullptr: the execution is deleted.
  Status apply(std::string_view job, std::int64_t number, const Execution* before, const Execution* after);
  // The job's QUEUED executions have come on offer, or gone: the device hears of it, the list stays.
  Status offer_changed(const Job& job);
  // Writes the list as it is now; finish() does it too.
  Status save();
  // Enqueues what devices must hear.
  Status finish(Effects& effects);

 private:
  // A namespace's list as it was.
  struct Before {
    std::optional<ExecutionId> head;
    bool membership_changed = false;
    bool head_unknown = false;  // which head the device was told last
  };
  Status read();
  Status refill();
  void insert(PendingEntry entry);
  Result<bool> offered(const PendingEntry& entry);
  Result<std::vector<PendingEntry>> first_offered(std::string_view namespace_id, std::size_t limit);
  Result<Before*> before(const std::string& namespace_id);

  const Context& context_;
  store::Tx& tx_;
  std::string thing_;
  std::vector<PendingEntry> entries_;
  bool more_ = false;  // the index has entries
  bool stored_ = false;
  bool changed_ = false;
  std::map<std::string, Before> before_;  // by namespace, as far as touched
  std::map<std::string, std::shared_ptr<const Job>, std::less<>> jobs_;
  std::optional<std::string> version_;  // offers_version(), once read
  bool looking_back_ = false;           // offered() answers for what the device knows
  bool saw_announcing_ = false;         // offered() was asked for a job whose devices are being told
  std::string offer_changed_;           // the job whose offer was the opposite before
  Status read_status_;
};

}  // namespace muster::jobs
