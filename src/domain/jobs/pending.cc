// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/pending.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#include "base/log.h"
#include "domain/jobs/device_json.h"
#include "domain/jobs/documents.h"
#include "domain/jobs/executions.h"
#include "store/keys.h"
#include "store/outbox.h"
#include "store/schema.h"

namespace muster::jobs {

namespace {

bool is_pending(const Execution* execution) {
  return execution != nullptr && !is_terminal(execution->status);
}

std::string_view class_of(ExecutionStatus status) {
  return status == ExecutionStatus::kInProgress ? "I" : "Q";
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
      .text(class_of(e.status))
      .integer(e.queued_ms)
      .text(e.job)
      .integer(e.number)
      .str();
}

// "I job number queued version updated started"; most entries are freshly queued: "Q job number queued".
void append_entry(std::string& out, const PendingEntry& e) {
  out.append(class_of(e.status)).append(" ").append(e.job);
  const auto append = [&](std::int64_t value) { out.append(" ").append(std::to_string(value)); };
  append(e.number);
  append(e.queued_ms);
  if (e.version == 1 && e.updated_ms == e.queued_ms && e.started_ms == 0) return;
  append(e.version);
  append(e.updated_ms);
  append(e.started_ms);
}

// The next space-separated number of `text`.
bool take(std::string_view& text, std::int64_t& value) {
  if (text.empty() || text.front() != ' ') return false;
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), value);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

std::optional<PendingEntry> parse_entry(std::string_view text) {
  if (text.size() < 3 || text[1] != ' ') return std::nullopt;
  PendingEntry entry;
  entry.status = text[0] == 'I' ? ExecutionStatus::kInProgress : ExecutionStatus::kQueued;
  text.remove_prefix(2);
  const auto space = std::min(text.find(' '), text.size());
  entry.job = text.substr(0, space);
  text.remove_prefix(space);
  if (!take(text, entry.number) || !take(text, entry.queued_ms)) return std::nullopt;
  entry.updated_ms = entry.queued_ms;
  if (text.empty()) return entry;
  if (!take(text, entry.version) || !take(text, entry.updated_ms) || !take(text, entry.started_ms)) return std::nullopt;
  if (!text.empty()) return std::nullopt;
  return entry;
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

PendingEntry entry_of(std::string_view job, const Execution& e) {
  return PendingEntry{std::string(job), e.status, e.number, e.version, e.queued_ms, e.started_ms, e.updated_ms};
}

// The order of the list, and of the index's keys.
bool precedes(const PendingEntry& a, const PendingEntry& b) {
  const auto order = [](const PendingEntry& e) {
    return std::tuple(e.status != ExecutionStatus::kInProgress, e.queued_ms, std::string_view(e.job), e.number);
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
  if (const auto* first = head()) head_before_ = ExecutionId{thing_, first->job, first->number};
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

void PendingChange::apply(std::string_view job, std::int64_t number, const Execution* before, const Execution* after) {
  changed_ = true;
  if (is_pending(before) != is_pending(after)) membership_changed_ = true;
  if (is_pending(before)) {
    const auto removed = std::erase_if(entries_, [&](const PendingEntry& e) { return e.is(job, number); });
    if (removed == 0) tx_.erase(index_key(thing_, entry_of(job, *before)));
  }
  if (is_pending(after)) insert(entry_of(job, *after));
}

// Fetches entries from the index when the record has too few to announce.
Status PendingChange::refill() {
  const auto& limits = context_.limits;
  if (!more_ || entries_.size() >= limits.notify_entries) return {};
  const std::size_t room = std::max(limits.pending_head, limits.notify_entries) - entries_.size();
  TRY(auto fetched, read_index(tx_, thing_, head() == nullptr ? nullptr : &entries_.back(), room + 1));
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
  if (membership_changed_) notify(effects);
  std::optional<ExecutionId> head_after;
  if (const auto* first = head()) head_after = ExecutionId{thing_, first->job, first->number};
  if (head_after == head_before_) return {};
  return notify_next(effects);
}

void PendingChange::notify(Effects& effects) {
  const std::size_t count = std::min(entries_.size(), context_.limits.notify_entries);
  const auto listed = std::span(entries_).first(count);
  store::enqueue(tx_, {jobs_topic(thing_, "notify"), notify_payload(tx_.now_ms(), listed), 1});
  effects.messages = true;
}

Status PendingChange::notify_next(Effects& effects) {
  const auto send = [&](const DeviceExecution* execution) {
    store::enqueue(tx_, {jobs_topic(thing_, "notify-next"), notify_next_payload(tx_.now_ms(), execution), 1});
    effects.messages = true;
  };
  const auto* next = head();
  if (next == nullptr) {
    send(nullptr);
    return {};
  }
  TRY(const auto job, find_job(context_, tx_, next->job));
  TRY(const auto execution, find_execution(tx_, thing_, next->job, next->number));
  if (!job || !execution) return internal("pending list of thing " + thing_ + " names an execution that is not there");
  auto document = deliver_document(context_, tx_, *job, thing_, next->number);
  if (!document) {
    // The device still learns of the execution by notify, and gets the error when it asks; its own update stands.
    log::warn("notify-next not sent: job document cannot be made",
              {{"thing", thing_}, {"job", next->job}, {"error", document.error().message}});
    return {};
  }
  DeviceExecution delivered = device_view(thing_, next->job, *execution, tx_.now_ms());
  delivered.document = *std::move(document);
  send(&delivered);
  return {};
}

}  // namespace muster::jobs
