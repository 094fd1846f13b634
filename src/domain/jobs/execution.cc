// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/execution.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "store/keys.h"
#include "store/schema.h"
#include "store/timers.h"

namespace muster::jobs {

namespace table = store::table;

namespace {

constexpr std::array<std::string_view, 8> kNames{"QUEUED",    "IN_PROGRESS", "SUCCEEDED", "FAILED",
                                                 "TIMED_OUT", "REJECTED",    "REMOVED",   "CANCELED"};
constexpr std::size_t kMaxDetails = 10, kMaxDetailKey = 128, kMaxDetailValue = 1024;

struct Transition {
  ExecutionStatus from, to;
  Actor actor;
};
using enum ExecutionStatus;
constexpr Transition kTransitions[] = {
    {kQueued, kInProgress, Actor::kDevice},
    {kQueued, kSucceeded, Actor::kDevice},
    {kQueued, kFailed, Actor::kDevice},
    {kQueued, kRejected, Actor::kDevice},
    {kInProgress, kInProgress, Actor::kDevice},
    {kInProgress, kSucceeded, Actor::kDevice},
    {kInProgress, kFailed, Actor::kDevice},
    {kInProgress, kRejected, Actor::kDevice},
    {kQueued, kCanceled, Actor::kOperator},
    {kQueued, kCanceled, Actor::kOperatorByForce},
    {kInProgress, kCanceled, Actor::kOperatorByForce},
    {kInProgress, kTimedOut, Actor::kService},
    {kQueued, kRemoved, Actor::kService},
    {kInProgress, kRemoved, Actor::kService},
};

std::string record_key(std::string_view thing, std::string_view job, std::int64_t number) {
  return store::Key(table::kExecution).text(thing).text(job).descending(number).str();
}

std::string thing_listing_key(const ExecutionId& id, std::int64_t queued_ms) {
  return store::Key(table::kThingExecution)
      .text(id.thing)
      .descending(queued_ms)
      .text(id.job)
      .descending(id.number)
      .str();
}

bool is_detail_key(std::string_view key) {
  return !key.empty() && key.size() <= kMaxDetailKey && std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':' || c == '_' ||
           c == '-';
  });
}

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(std::ranges::count_if(utf8, [](char c) { return (c & 0xC0) != 0x80; }));
}

void append_field(std::string& out, std::string_view name, std::int64_t value) {
  out.append(",\"").append(name).append("\":").append(std::to_string(value));
}

}  // namespace

std::string status_prefix(std::string_view job, ExecutionStatus status) {
  return store::Key(table::kJobStatusExecution).text(job).text(to_string(status)).str();
}

std::string status_key(const ExecutionId& id, ExecutionStatus status) {
  return store::Key(table::kJobStatusExecution)
      .text(id.job)
      .text(to_string(status))
      .text(id.thing)
      .descending(id.number)
      .str();
}

std::string count_key(std::string_view job, ExecutionStatus status) {
  return store::Key(table::kJobCount).text(job).text(to_string(status)).str();
}

std::string_view to_string(ExecutionStatus status) {
  return kNames[static_cast<std::size_t>(status)];
}

std::optional<ExecutionStatus> execution_status_from(std::string_view text) {
  const auto it = std::ranges::find(kNames, text);
  if (it == kNames.end()) return std::nullopt;
  return static_cast<ExecutionStatus>(it - kNames.begin());
}

bool may_become(ExecutionStatus from, ExecutionStatus to, Actor actor) {
  return std::ranges::any_of(kTransitions,
                             [&](const Transition& t) { return t.from == from && t.to == to && t.actor == actor; });
}

Result<StatusDetails> parse_status_details(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return invalid("statusDetails must be a map of strings.");
  if (object->size() > kMaxDetails) {
    return invalid("Value at 'statusDetails' failed to satisfy constraint: Map must have at most 10 entries.");
  }
  StatusDetails details;
  for (const auto& [key, member] : *object) {
    if (!is_detail_key(key)) {
      return invalid(
          "Value at 'statusDetails' failed to satisfy constraint: Map keys must satisfy constraint: "
          "[Member must have length less than or equal to 128, Member must have length greater than or "
          "equal to 1, Member must satisfy regular expression pattern: [a-zA-Z0-9:_-]+]");
    }
    const auto* text = member.if_string();
    if (text == nullptr) return invalid("statusDetails must be a map of strings.");
    const std::string_view view = *text;
    if (view.empty() || characters(view) > kMaxDetailValue || has_control_characters(view) || !is_utf8(view)) {
      return invalid(
          "Value at 'statusDetails' failed to satisfy constraint: Map value must satisfy constraint: "
          "[Member must have length less than or equal to 1024, Member must have length greater than or "
          "equal to 1, Member must satisfy regular expression pattern: [^\\p{C}]+]");
    }
    details.emplace_back(key, view);
  }
  return details;
}

std::int64_t Execution::due_ms() const {
  if (status != kInProgress) return 0;
  if (deadline_ms == 0 || step_deadline_ms == 0) return std::max(deadline_ms, step_deadline_ms);
  return std::min(deadline_ms, step_deadline_ms);
}

std::string encode(const Execution& e) {
  std::string out = "{\"status\":\"";
  out.append(to_string(e.status)).append("\"");
  append_field(out, "version", e.version);
  append_field(out, "queued", e.queued_ms);
  if (e.started_ms != 0) append_field(out, "started", e.started_ms);
  append_field(out, "updated", e.updated_ms);
  if (!e.details.empty()) {
    char separator = '{';
    out.append(",\"details\":");
    for (const auto& [key, value] : e.details) {
      out.push_back(separator);
      append_json_string(out, key);
      out.push_back(':');
      append_json_string(out, value);
      separator = ',';
    }
    out.push_back('}');
  }
  if (e.force_canceled) out.append(",\"forced\":true");
  if (e.deadline_ms != 0) append_field(out, "deadline", e.deadline_ms);
  if (e.step_deadline_ms != 0) append_field(out, "step", e.step_deadline_ms);
  if (e.retries.failed != 0) append_field(out, "retried_failed", e.retries.failed);
  if (e.retries.timed_out != 0) append_field(out, "retried_timed_out", e.retries.timed_out);
  if (e.priority != 0) append_field(out, "priority", e.priority);
  if (!e.namespace_id.empty()) out.append(",\"namespace\":\"").append(e.namespace_id).append("\"");
  out.push_back('}');
  return out;
}

Result<Execution> decode_execution(std::int64_t number, std::string_view text) {
  TRY(const json::object record, parse_record(text));
  const auto status = execution_status_from(get_string(record, "status"));
  if (!status) return internal("corrupt record of a job execution");
  Execution e;
  e.status = *status;
  e.number = number;
  e.version = get_int(record, "version", 1);
  e.queued_ms = get_int(record, "queued");
  e.started_ms = get_int(record, "started");
  e.updated_ms = get_int(record, "updated");
  if (const auto* details = find_object(record, "details")) {
    for (const auto& [key, value] : *details) {
      if (value.is_string()) e.details.emplace_back(key, std::string_view(value.get_string()));
    }
  }
  e.force_canceled = get_bool(record, "forced");
  e.deadline_ms = get_int(record, "deadline");
  e.step_deadline_ms = get_int(record, "step");
  e.retries.failed = get_int(record, "retried_failed");
  e.retries.timed_out = get_int(record, "retried_timed_out");
  e.priority = get_int(record, "priority");
  e.namespace_id = get_string(record, "namespace");
  return e;
}

Result<std::optional<Execution>> find_execution(store::Tx& tx, std::string_view thing, std::string_view job,
                                                std::optional<std::int64_t> number) {
  if (number) {
    const auto record = tx.get(record_key(thing, job, *number));
    if (!record) return std::optional<Execution>();
    TRY(auto execution, decode_execution(*number, *record));
    return std::optional(std::move(execution));
  }
  store::RangeOptions options;
  options.begin = store::Key(table::kExecution).text(thing).text(job).str();
  options.end = store::after_prefix(options.begin);
  options.limit = 1;
  const std::size_t prefix = options.begin.size();
  const auto found = tx.range(options);
  if (found.empty()) return std::optional<Execution>();
  const std::string tail = 'x' + found.front().key.substr(prefix);
  const auto latest = store::KeyReader(tail).descending();
  if (!latest) return internal("corrupt key of a job execution");
  TRY(auto execution, decode_execution(*latest, found.front().value));
  return std::optional(std::move(execution));
}

void put_execution(store::Tx& tx, const ExecutionId& id, const Execution* before, const Execution& after) {
  tx.put(record_key(id.thing, id.job, id.number), encode(after));
  // A pending execution is listed by the thing's pending list.
  const bool was_over = before != nullptr && is_terminal(before->status);
  if (is_terminal(after.status) && !was_over) tx.put(thing_listing_key(id, after.queued_ms), "");
  if (before == nullptr || before->status != after.status) {
    if (before != nullptr) {
      tx.erase(status_key(id, before->status));
      tx.add(count_key(id.job, before->status), -1);
    }
    tx.put(status_key(id, after.status), "");
    tx.add(count_key(id.job, after.status), 1);
  }
  const store::Rearm times{before == nullptr ? 0 : before->due_ms(), after.due_ms()};
  if (times.from_ms != times.to_ms) store::rearm(tx, kExecutionTimer, timer_id(id), times);
}

void erase_execution(store::Tx& tx, const ExecutionId& id, const Execution& before) {
  tx.erase(record_key(id.thing, id.job, id.number));
  if (is_terminal(before.status)) tx.erase(thing_listing_key(id, before.queued_ms));
  tx.erase(status_key(id, before.status));
  tx.add(count_key(id.job, before.status), -1);
  if (before.due_ms() != 0) store::rearm(tx, kExecutionTimer, timer_id(id), {before.due_ms(), 0});
}

// A space cannot occur in a thing name or a job id.
std::string timer_id(const ExecutionId& id) {
  return id.thing + ' ' + id.job + ' ' + std::to_string(id.number);
}

std::optional<ExecutionId> parse_timer_id(std::string_view text) {
  const auto parts = split(text, ' ');
  if (parts.size() != 3) return std::nullopt;
  const auto number = parse_int(parts[2]);
  if (!number) return std::nullopt;
  return ExecutionId{std::string(parts[0]), std::string(parts[1]), *number};
}

json::object execution_state(const Execution& execution) {
  json::object state;
  state["status"] = to_string(execution.status);
  state["versionNumber"] = execution.version;
  if (!execution.details.empty()) {
    json::object details;
    for (const auto& [key, value] : execution.details) details[key] = value;
    state["statusDetails"] = std::move(details);
  }
  return state;
}

}  // namespace muster::jobs
