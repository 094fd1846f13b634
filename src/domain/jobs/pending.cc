// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/pending.h"

#include <algorithm>
#include <tuple>

#include "base/log.h"
#include "base/text.h"
#include "domain/jobs/device_json.h"
#include "domain/jobs/documents.h"
#include "domain/jobs/executions.h"
#include "store/keys.h"
#include "store/outbox.h"
#include "store/schema.h"

namespace muster::jobs {

namespace {

bool is_pending(const Execution* execution) { return execution != nullptr && !is_terminal(execution->status); }

std::string_view class_of(ExecutionStatus status) { return status == ExecutionStatus::kInProgress ? "I" : "Q"; }

std::string pending_key(std::string_view thing, std::string_view job, const Execution& e) {
  return store::Key(store::table::kPending).text(thing).text(class_of(e.status)).integer(e.queued_ms).text(job)
      .integer(e.number).str();
}

// Most entries are freshly queued: nothing to say then.
std::string pending_value(const Execution& e) {
  if (e.version == 1 && e.updated_ms == e.queued_ms && e.started_ms == 0) return {};
  return std::to_string(e.version) + ' ' + std::to_string(e.updated_ms) + ' ' + std::to_string(e.started_ms);
}

PendingEntry entry_of(std::string_view job, const Execution& e) {
  return PendingEntry{std::string(job), e.status, e.number, e.version, e.queued_ms, e.started_ms, e.updated_ms};
}

// The order of the keys.
bool precedes(const PendingEntry& a, const PendingEntry& b) {
  const auto order = [](const PendingEntry& e) {
    return std::tuple(e.status != ExecutionStatus::kInProgress, e.queued_ms, std::string_view(e.job), e.number);
  };
  return order(a) < order(b);
}

std::optional<PendingEntry> parse_entry(std::string_view key, std::size_t prefix, std::string_view value) {
  const std::string tail = 'x' + std::string(key.substr(prefix));
  store::KeyReader reader(tail);
  const auto kind = reader.text();
  const auto queued = reader.integer();
  auto job = reader.text();
  const auto number = reader.integer();
  if (!kind || !queued || !job || !number) return std::nullopt;
  PendingEntry entry;
  entry.job = *std::move(job);
  entry.status = *kind == "I" ? ExecutionStatus::kInProgress : ExecutionStatus::kQueued;
  entry.number = *number;
  entry.queued_ms = entry.updated_ms = *queued;
  if (value.empty()) return entry;
  const auto parts = split(value, ' ');
  if (parts.size() != 3) return std::nullopt;
  const auto version = parse_int(parts[0]), updated = parse_int(parts[1]), started = parse_int(parts[2]);
  if (!version || !updated || !started) return std::nullopt;
  entry.version = *version;
  entry.updated_ms = *updated;
  entry.started_ms = *started;
  return entry;
}

}  // namespace

Result<std::vector<PendingEntry>> read_pending(store::Tx& tx, std::string_view thing, std::size_t limit) {
  store::RangeOptions options;
  options.begin = store::Key(store::table::kPending).text(thing).str();
  options.end = store::after_prefix(options.begin);
  options.limit = limit;
  const std::size_t prefix = options.begin.size();
  std::vector<PendingEntry> entries;
  for (const auto& [key, value] : tx.range(options)) {
    auto entry = parse_entry(key, prefix, value);
    if (!entry) return internal("corrupt pending list of thing " + std::string(thing));
    entries.push_back(*std::move(entry));
  }
  return entries;
}

PendingChange::PendingChange(const Context& context, store::Tx& tx, std::string_view thing)
    : context_(context), tx_(tx), thing_(thing) {
  read_status_ = read();
  if (const auto* first = head()) head_before_ = ExecutionId{thing_, first->job, first->number};
}

Status PendingChange::read() {
  // One more than is announced, so that removing one leaves enough to announce.
  const std::size_t limit = context_.limits.notify_entries + 1;
  TRY(entries_, read_pending(tx_, thing_, limit));
  complete_ = entries_.size() < limit;
  return {};
}

void PendingChange::apply(std::string_view job, std::int64_t number, const Execution* before, const Execution* after) {
  const std::string key_before = is_pending(before) ? pending_key(thing_, job, *before) : std::string();
  const std::string key_after = is_pending(after) ? pending_key(thing_, job, *after) : std::string();
  if (!key_before.empty() && key_before != key_after) tx_.erase(key_before);
  if (!key_after.empty()) tx_.put(key_after, pending_value(*after));
  if (key_before.empty() != key_after.empty()) membership_changed_ = true;

  std::erase_if(entries_, [&](const PendingEntry& e) { return e.is(job, number); });
  if (key_after.empty()) return;
  PendingEntry entry = entry_of(job, *after);
  const auto place = std::ranges::upper_bound(entries_, entry, precedes);
  // Beyond the known part of a longer list there may be others before it.
  if (place == entries_.end() && !complete_) return;
  entries_.insert(place, std::move(entry));
}

Status PendingChange::finish(Effects& effects) {
  TRY_VOID(std::move(read_status_));
  if (!complete_ && entries_.size() < context_.limits.notify_entries) TRY_VOID(read());
  if (membership_changed_) notify(effects);
  std::optional<ExecutionId> head_after;
  if (const auto* first = head()) head_after = ExecutionId{thing_, first->job, first->number};
  if (head_after == head_before_) return {};
  return notify_next(effects);
}

void PendingChange::notify(Effects& effects) {
  const std::size_t count = std::min(entries_.size(), context_.limits.notify_entries);
  store::enqueue(tx_, {jobs_topic(thing_, "notify"), notify_payload(tx_.now_ms(), std::span(entries_).first(count)), 1});
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
  auto document = deliver_document(context_, tx_, *job);
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
