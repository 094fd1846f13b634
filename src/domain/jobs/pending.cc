// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/pending.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <tuple>

#include "base/text.h"
#include "domain/jobs/caches.h"
#include "domain/jobs/notices.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::jobs {

namespace {

constexpr std::size_t kMaxLookedAt = 10'000;  // entries behind the record, in search of one that is offered

bool is_pending(const Execution* execution) {
  return execution != nullptr && !is_terminal(execution->status);
}

// What sorts first: IN_PROGRESS, then QUEUED by priority: "I" < "P00" (99) .. "P98" (1) < "Q" (0) < "R01" (-1) ..
// "R99".
std::string class_of(const PendingEntry& e) {
  if (e.status == ExecutionStatus::kInProgress) return "I";
  if (e.priority == 0) return "Q";
  const auto digits = e.priority > 0 ? 99 - e.priority : -e.priority;
  std::string text(1, e.priority > 0 ? 'P' : 'R');
  text.push_back(static_cast<char>('0' + digits / 10));
  text.push_back(static_cast<char>('0' + digits % 10));
  return text;
}

bool parse_class(std::string_view text, PendingEntry& e) {
  if (text == "I") {
    e.status = ExecutionStatus::kInProgress;
    return true;
  }
  e.status = ExecutionStatus::kQueued;
  if (text == "Q") return true;
  if (text.size() != 3 || (text[0] != 'P' && text[0] != 'R')) return false;
  const auto digits = parse_int(text.substr(1));
  if (!digits) return false;
  e.priority = text[0] == 'P' ? 99 - *digits : -*digits;
  return true;
}

std::string index_prefix(std::string_view thing) {
  return store::Key(store::table::kPending).text(thing).str();
}
std::string head_key(std::string_view thing) {
  return store::Key(store::table::kPendingHead).text(thing).str();
}

std::string index_key(std::string_view thing, const PendingEntry& e) {
  return store::Key(store::table::kPending)
      .text(thing)
      .text(class_of(e))
      .integer(e.queued_ms)
      .text(e.job)
      .integer(e.number)
      .str();
}

// The next space-separated number of `text`.
bool take(std::string_view& text, std::int64_t& value) {
  if (text.empty() || text.front() != ' ') return false;
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), value);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

// The record: a line an entry, and a last line "+" when the index goes on.
struct HeadRecord {
  std::vector<PendingEntry> entries;
  bool more = false;
};

Result<HeadRecord> parse_head(std::string_view thing, std::string_view record) {
  HeadRecord head;
  while (!record.empty()) {
    const auto end = std::min(record.find('\n'), record.size());
    const std::string_view line = record.substr(0, end);
    record.remove_prefix(std::min(end + 1, record.size()));
    if (line == "+") {
      head.more = true;
      continue;
    }
    auto entry = parse_entry(line);
    if (!entry) return internal("corrupt pending list of thing " + std::string(thing));
    head.entries.push_back(*std::move(entry));
  }
  return head;
}

// The order of the list, and of the index's keys.
bool precedes(const PendingEntry& a, const PendingEntry& b) {
  const auto order = [](const PendingEntry& e) {
    const bool queued = e.status != ExecutionStatus::kInProgress;
    return std::tuple(queued, queued ? -e.priority : 0, e.queued_ms, std::string_view(e.job), e.number);
  };
  return order(a) < order(b);
}

// Entries of the index after `last` (the last one of the record), which comes before all of them: what left the index
// since stands before it, and is not stepped over.
Result<std::vector<PendingEntry>> read_index(store::Tx& tx, std::string_view thing, const PendingEntry* last,
                                             std::size_t limit) {
  store::RangeOptions options;
  const std::string prefix = index_prefix(thing);
  options.begin = last == nullptr ? prefix : store::after_key(index_key(thing, *last));
  options.end = store::after_prefix(prefix);
  options.limit = limit;
  std::vector<PendingEntry> entries;
  for (const auto& row : tx.range(options)) {
    auto entry = parse_entry(row.value);
    if (!entry) return internal("corrupt pending list of thing " + std::string(thing));
    entries.push_back(*std::move(entry));
  }
  return entries;
}

}  // namespace

PendingEntry entry_of(std::string_view job, const Execution& e) {
  return PendingEntry{std::string(job), e.status,     e.number,   e.version,     e.queued_ms,
                      e.started_ms,     e.updated_ms, e.priority, e.namespace_id};
}

Execution execution_of(const PendingEntry& entry) {
  Execution execution;
  execution.status = entry.status;
  execution.number = entry.number;
  execution.version = entry.version;
  execution.queued_ms = entry.queued_ms;
  execution.started_ms = entry.started_ms;
  execution.updated_ms = entry.updated_ms;
  execution.priority = entry.priority;
  execution.namespace_id = entry.namespace_id;
  return execution;
}

bool is_whole(const PendingEntry& entry) {
  return entry.status == ExecutionStatus::kQueued && entry.number == 1 && entry.version == 1 &&
         entry.updated_ms == entry.queued_ms;
}

// "I job number queued version updated started"; most entries are freshly queued: "Q job number queued". A namespace
// comes last: " @name".
void append_entry(std::string& out, const PendingEntry& e) {
  out.append(class_of(e)).append(" ").append(e.job);
  const auto append = [&](std::int64_t value) { out.append(" ").append(std::to_string(value)); };
  append(e.number);
  append(e.queued_ms);
  if (e.version != 1 || e.updated_ms != e.queued_ms || e.started_ms != 0) {
    append(e.version);
    append(e.updated_ms);
    append(e.started_ms);
  }
  if (!e.namespace_id.empty()) out.append(" @").append(e.namespace_id);
}

std::optional<PendingEntry> parse_entry(std::string_view text) {
  PendingEntry entry;
  const auto first = text.find(' ');
  if (first == std::string_view::npos || !parse_class(text.substr(0, first), entry)) return std::nullopt;
  text.remove_prefix(first + 1);
  const auto space = std::min(text.find(' '), text.size());
  entry.job = text.substr(0, space);
  text.remove_prefix(space);
  if (const auto at = text.find(" @"); at != std::string_view::npos) {
    entry.namespace_id = text.substr(at + 2);
    text = text.substr(0, at);
  }
  if (!take(text, entry.number) || !take(text, entry.queued_ms)) return std::nullopt;
  entry.updated_ms = entry.queued_ms;
  if (text.empty()) return entry;
  if (!take(text, entry.version) || !take(text, entry.updated_ms) || !take(text, entry.started_ms)) return std::nullopt;
  if (!text.empty()) return std::nullopt;
  return entry;
}

bool is_withdrawn(const Job& job, ExecutionStatus status) {
  if (job.status == JobStatus::kDeletionInProgress) return true;
  if (job.sweep == Sweep::kQueuedAndInProgress) return !is_terminal(status);
  return job.sweep == Sweep::kQueued && status == ExecutionStatus::kQueued;
}

bool is_offered(const Job& job, ExecutionStatus status) {
  return !is_withdrawn(job, status) && (status != ExecutionStatus::kQueued || job.offers());
}

Result<std::vector<PendingEntry>> read_pending(store::Tx& tx, std::string_view thing, std::size_t limit) {
  const auto record = tx.get(head_key(thing));
  if (!record) return std::vector<PendingEntry>();
  TRY(HeadRecord head, parse_head(thing, *record));
  auto& entries = head.entries;
  if (head.more && entries.size() < limit) {
    const auto* last = entries.empty() ? nullptr : &entries.back();
    TRY(auto rest, read_index(tx, thing, last, limit - entries.size()));
    entries.insert(entries.end(), std::move_iterator(rest.begin()), std::move_iterator(rest.end()));
  }
  if (entries.size() > limit) entries.resize(limit);
  return std::move(entries);
}

PendingChange::PendingChange(const Context& context, store::Tx& tx, std::string_view thing)
    : context_(context), tx_(tx), thing_(thing) {
  read_status_ = read();
}

Status PendingChange::read() {
  const auto record = tx_.get(head_key(thing_));
  if (!record) return {};
  stored_ = true;
  TRY(HeadRecord parsed, parse_head(thing_, *record));
  entries_ = std::move(parsed.entries);
  more_ = parsed.more;
  return {};
}

std::optional<std::int64_t> PendingChange::number_of(std::string_view job) const {
  std::optional<std::int64_t> number;
  for (const auto& entry : entries_) {
    if (entry.job == job && (!number || *number < entry.number)) number = entry.number;
  }
  return number;
}

void PendingChange::insert(PendingEntry entry) {
  const auto place = std::ranges::upper_bound(entries_, entry, precedes);
  const auto put_index = [&](const PendingEntry& e) {
    std::string text;
    append_entry(text, e);
    tx_.put(index_key(thing_, e), text);
    more_ = true;
  };
  // The end of the record is the end of the list only when the index is empty.
  if (place == entries_.end() && more_) return put_index(entry);
  entries_.insert(place, std::move(entry));
  if (entries_.size() <= context_.limits.pending_head) return;
  put_index(entries_.back());
  entries_.pop_back();
}

Result<std::shared_ptr<const Job>> PendingChange::job(std::string_view job_id) {
  if (const auto it = jobs_.find(job_id); it != jobs_.end()) return it->second;
  TRY(auto found, find_job(context_, tx_, job_id));
  jobs_.emplace(job_id, found);
  return found;
}

Status PendingChange::know_first() {
  if (!entries_.empty()) TRY_VOID(job(entries_.front().job));
  return {};
}

void PendingChange::know(std::shared_ptr<const Job> job) {
  jobs_[job->id] = std::move(job);
}

namespace {

// As the device knows it: what is withdrawn was on offer until then, unless the job offered nothing, and is until the
// sweep has told otherwise.
bool was_offered(const Job& job, ExecutionStatus status) {
  if (!is_withdrawn(job, status)) return is_offered(job, status);
  return status != ExecutionStatus::kQueued || !job.withdrawn_unseen;
}

Offer offer_of(const Job& job) {
  using enum ExecutionStatus;
  return {is_offered(job, kQueued), is_offered(job, kInProgress), was_offered(job, kQueued),
          was_offered(job, kInProgress), job.announcing};
}

}  // namespace

// Of a job that this transaction has read, as it is; of others as the cache has it for the version of all offers, which
// this transaction reads and so does not outlive.
Result<bool> PendingChange::offered(const PendingEntry& entry) {
  std::optional<Offer> offer;
  if (const auto it = jobs_.find(entry.job); it != jobs_.end()) {
    if (!it->second) return false;
    offer = offer_of(*it->second);
  } else {
    if (!version_) version_ = offers_version(tx_);
    offer = context_.caches->offers.find(*version_, entry.job);
  }
  if (!offer) {
    TRY(const auto of, job(entry.job));
    if (!of) return false;
    offer = offer_of(*of);
    context_.caches->offers.insert(*version_, entry.job, *offer);
  }
  const bool queued = entry.status == ExecutionStatus::kQueued;
  if (!looking_back_) return queued ? offer->queued : offer->in_progress;
  saw_announcing_ = saw_announcing_ || (queued && offer->announcing);
  if (queued && entry.job == offer_changed_) return !offer->queued;
  return queued ? offer->knew_queued : offer->knew_in_progress;
}

Result<std::vector<PendingEntry>> PendingChange::first_offered(std::string_view namespace_id, std::size_t limit) {
  if (!read_status_) return read_status_.error();
  std::vector<PendingEntry> found;
  const auto look = [&](std::span<const PendingEntry> entries) -> Status {
    for (const auto& entry : entries) {
      if (found.size() == limit) break;
      if (entry.namespace_id != namespace_id) continue;
      TRY(const bool is, offered(entry));
      if (is) found.push_back(entry);
    }
    return {};
  };
  TRY_VOID(look(entries_));
  if (found.size() == limit || !more_) return found;
  const auto* last = entries_.empty() ? nullptr : &entries_.back();
  TRY(const auto rest, read_index(tx_, thing_, last, kMaxLookedAt));
  TRY_VOID(look(rest));
  return found;
}

Result<std::optional<PendingEntry>> PendingChange::head(std::string_view namespace_id) {
  TRY(auto first, first_offered(namespace_id, 1));
  if (first.empty()) return std::optional<PendingEntry>();
  return std::optional(std::move(first.front()));
}

Result<PendingChange::Before*> PendingChange::before(const std::string& namespace_id) {
  if (const auto it = before_.find(namespace_id); it != before_.end()) return &it->second;
  saw_announcing_ = false;
  looking_back_ = true;
  const auto looked = head(namespace_id);
  looking_back_ = false;
  TRY(const auto first, looked);
  Before state;
  state.head_unknown = saw_announcing_;
  if (first) state.head = ExecutionId{thing_, first->job, first->number};
  return &before_.emplace(namespace_id, std::move(state)).first->second;
}

Status PendingChange::apply(std::string_view job, std::int64_t number, const Execution* was_it,
                            const Execution* after) {
  if (!read_status_) return read_status_;
  const bool was = is_pending(was_it), is = is_pending(after);
  const std::string& ns = was_it != nullptr ? was_it->namespace_id : after->namespace_id;
  TRY(Before* const state, before(ns));
  if (was != is) {
    looking_back_ = was;
    const auto seen = offered(entry_of(job, was ? *was_it : *after));
    looking_back_ = false;
    TRY(const bool member, seen);
    state->membership_changed = state->membership_changed || member;
  }
  if (was && was_it->status == ExecutionStatus::kQueued) {
    // Has the device been told of the job's last change of offer? Nobody will, once this is QUEUED no more.
    TRY(const auto of, this->job(job));
    if (of && of->announcing) state->membership_changed = state->head_unknown = true;
  }
  changed_ = true;
  if (was) {
    const auto removed = std::erase_if(entries_, [&](const PendingEntry& e) { return e.is(job, number); });
    if (removed == 0) tx_.erase(index_key(thing_, entry_of(job, *was_it)));
  }
  if (is) insert(entry_of(job, *after));
  return {};
}

Status PendingChange::offer_changed(const Job& job) {
  offer_changed_ = job.id;
  const auto state = before(job.namespace_id);
  offer_changed_.clear();
  TRY_VOID(state);
  (*state)->membership_changed = true;
  return {};
}

// Fetches entries from the index when the record has too few to announce.
Status PendingChange::refill() {
  const auto& limits = context_.limits;
  if (!more_ || entries_.size() >= limits.notify_entries) return {};
  const std::size_t room = std::max(limits.pending_head, limits.notify_entries) - entries_.size();
  TRY(auto fetched, read_index(tx_, thing_, entries_.empty() ? nullptr : &entries_.back(), room + 1));
  more_ = fetched.size() > room;
  if (more_) fetched.pop_back();
  for (auto& entry : fetched) {
    tx_.erase(index_key(thing_, entry));
    entries_.push_back(std::move(entry));
  }
  return {};
}

Status PendingChange::save() {
  if (!read_status_) return read_status_;
  if (!changed_) return {};
  TRY_VOID(refill());
  changed_ = false;
  std::string record;
  for (const auto& entry : entries_) {
    append_entry(record, entry);
    record.push_back('\n');
  }
  if (more_) record.push_back('+');
  if (!record.empty()) {
    tx_.put(head_key(thing_), record);
  } else if (stored_) {
    tx_.erase(head_key(thing_));
  }
  stored_ = !record.empty();
  return {};
}

Status PendingChange::finish(Effects& effects) {
  TRY_VOID(save());
  for (const auto& [namespace_id, state] : before_) {
    TRY(auto entries, first_offered(namespace_id, state.membership_changed ? context_.limits.notify_entries : 1));
    std::optional<ExecutionId> head_now;
    if (!entries.empty()) head_now = ExecutionId{thing_, entries.front().job, entries.front().number};
    Notice notice;
    notice.listed = state.membership_changed;
    notice.next = state.head_unknown || head_now != state.head;
    if (!notice.listed && !notice.next) continue;
    notice.thing = thing_;
    notice.namespace_id = namespace_id;
    notice.at_ms = tx_.now_ms();
    notice.entries = std::move(entries);
    announce(tx_, notice, effects);
  }
  return {};
}

}  // namespace muster::jobs
