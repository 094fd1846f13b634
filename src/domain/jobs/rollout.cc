// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/rollout.h"

#include <algorithm>
#include <set>

#include "base/json.h"
#include "domain/jobs/jobs.h"
#include "domain/jobs/pending.h"
#include "domain/registry/groups.h"
#include "domain/registry/tags.h"
#include "domain/registry/things.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::jobs {

namespace table = store::table;
using store::Key;

namespace {

store::RangeOptions prefix_range(std::string prefix, std::size_t limit) {
  store::RangeOptions options;
  options.end = store::after_prefix(prefix);
  options.begin = std::move(prefix);
  options.limit = limit;
  return options;
}

std::string target_prefix(std::string_view job_id) {
  return Key(table::kJobTarget).text(job_id).str();
}

std::string deleting_key() {
  return Key(table::kJobCount).text("").text("deleting").str();
}

struct Target {
  std::string key;
  std::string arn;
  std::string cursor;
};

Result<std::optional<Target>> next_target(store::Tx& tx, std::string_view job_id) {
  const auto found = tx.range(prefix_range(target_prefix(job_id), 1));
  if (found.empty()) return std::optional<Target>();
  TRY(const json::object record, parse_record(found.front().value));
  return std::optional(
      Target{found.front().key, std::string(get_string(record, "target")), std::string(get_string(record, "cursor"))});
}

void put_target(store::Tx& tx, const Target& target) {
  json::object record{{"target", target.arn}};
  if (!target.cursor.empty()) record["cursor"] = target.cursor;
  tx.put(target.key, to_text(record));
}

// The things of the next part of a target, the target moved behind them or removed.
Result<std::vector<std::string>> take_things(const Context& context, store::Tx& tx, Target target, std::size_t limit) {
  std::vector<std::string> things;
  if (auto thing = name_in_iot_arn(context.realm, "thing", target.arn)) {
    if (registry::thing_exists(tx, *thing)) things.push_back(*std::move(thing));
    tx.erase(target.key);
    return things;
  }
  const auto group = name_in_iot_arn(context.realm, "thinggroup", target.arn);
  if (!group) return internal("target of a job that is neither a thing nor a thing group");
  auto page = registry::for_each_member(tx, *group, true, target.cursor, limit);
  if (!page && page.error().kind == ErrorKind::kNotFound) {  // deleted since: it has no members any more
    tx.erase(target.key);
    return things;
  }
  TRY_VOID(page);
  if (page->next.empty()) {
    tx.erase(target.key);
  } else {
    target.cursor = page->next;
    put_target(tx, target);
  }
  return std::move(page->things);
}

Status queue_execution(const Context& context, store::Tx& tx, const ExecutionId& id, Effects& effects) {
  Execution execution;
  execution.number = id.number;
  execution.queued_ms = execution.updated_ms = tx.now_ms();
  return change_execution(context, tx, id, nullptr, &execution, effects);
}

// Executions of one status, from a position on.
Result<std::vector<ExecutionId>> with_status(store::Tx& tx, std::string_view job_id, ExecutionStatus status,
                                             std::string_view from, std::size_t limit) {
  auto options = prefix_range(Key(table::kJobStatusExecution).text(job_id).text(to_string(status)).str(), limit);
  const std::size_t prefix = options.begin.size();
  if (from > options.begin && from < options.end) options.begin = from;
  std::vector<ExecutionId> ids;
  for (const auto& row : tx.range(options)) {
    const std::string tail = 'x' + row.key.substr(prefix);
    store::KeyReader reader(tail);
    auto thing = reader.text();
    const auto number = reader.descending();
    if (!thing || !number) return internal("corrupt listing of job " + std::string(job_id));
    ids.push_back({*std::move(thing), std::string(job_id), *number});
  }
  return ids;
}

std::string status_position(const ExecutionId& id, ExecutionStatus status) {
  return Key(table::kJobStatusExecution)
      .text(id.job)
      .text(to_string(status))
      .text(id.thing)
      .descending(id.number)
      .str();
}

Status cancel_one(const Context& context, store::Tx& tx, const ExecutionId& id, bool force, Effects& effects) {
  TRY(const auto before, find_execution(tx, id.thing, id.job, id.number));
  if (!before) return internal("listing of job " + id.job + " names an execution that is not there");
  const Execution after = canceled(*before, force, tx.now_ms());
  return change_execution(context, tx, id, &*before, &after, effects);
}

void erase_job(const Context& context, store::Tx& tx, const Job& job) {
  tx.erase(Key(table::kJob).text(job.id));
  tx.erase(Key(table::kJobDocument).text(job.id));
  tx.erase(Key(table::kJobByTime).descending(job.created_ms).text(job.id));
  for (const auto& row : tx.range(prefix_range(target_prefix(job.id), context.limits.max_targets))) tx.erase(row.key);
  for (const auto status : kAllStatuses) {
    tx.erase_counter(Key(table::kJobCount).text(job.id).text(to_string(status)));
  }
  registry::erase_tags(tx, iot_arn(context.realm, "job", job.id));
  mark_inactive(tx, job.id);
  count_deleting_jobs(tx, -1);
}

}  // namespace

Status put_targets(const Context& context, store::Tx& tx, const Job& job) {
  std::int64_t index = 0;
  for (const auto& arn : job.targets) {
    const auto thing = name_in_iot_arn(context.realm, "thing", arn);
    const auto group = name_in_iot_arn(context.realm, "thinggroup", arn);
    const bool exists = (thing && registry::thing_exists(tx, *thing)) || (group && registry::find_group(tx, *group));
    if (!exists) return not_found("Target " + arn + " cannot be found.");
    put_target(tx, Target{Key(table::kJobTarget).text(job.id).integer(index++).str(), arn, {}});
  }
  return {};
}

std::vector<std::string> remaining_targets(store::Tx& tx, std::string_view job_id) {
  std::vector<std::string> targets;
  auto options = prefix_range(target_prefix(job_id), 1000);
  options.snapshot = true;
  for (const auto& row : tx.range(options)) {
    const auto record = parse_record(row.value);
    if (record) targets.emplace_back(get_string(*record, "target"));
  }
  return targets;
}

Result<Progress> roll_out(const Context& context, store::Tx& tx, const Job& job, std::size_t budget, Effects& effects) {
  Progress progress;
  std::size_t looked_at = 0;
  std::set<std::string> created;  // in this transaction
  while (looked_at < budget) {
    TRY(const auto target, next_target(tx, job.id));
    if (!target) {
      progress.finished = true;
      return progress;
    }
    TRY(const auto things, take_things(context, tx, *target, budget - looked_at));
    looked_at += std::max<std::size_t>(things.size(), 1);
    std::vector<std::string> first_runs;
    for (const auto& thing : things) {
      first_runs.push_back(Key(table::kExecution).text(thing).text(job.id).descending(1).str());
    }
    const auto existing = tx.get_many(first_runs);
    for (std::size_t i = 0; i < things.size(); ++i) {
      // A thing named by several targets runs the job once.
      if (existing[i] || !created.insert(things[i]).second) continue;
      TRY_VOID(queue_execution(context, tx, {things[i], job.id, 1}, effects));
      ++progress.executions;
    }
  }
  TRY(const auto left, next_target(tx, job.id));
  progress.finished = !left;
  return progress;
}

Result<Progress> sweep(const Context& context, store::Tx& tx, const Job& job, std::string_view position,
                       std::size_t budget, Effects& effects) {
  Progress progress;
  const bool force = job.sweep == Sweep::kQueuedAndInProgress;
  for (const auto status : {ExecutionStatus::kQueued, ExecutionStatus::kInProgress}) {
    if (status == ExecutionStatus::kInProgress && !force) break;
    TRY(const auto ids, with_status(tx, job.id, status, position, budget - progress.executions));
    for (const auto& id : ids) {
      // Only executions that force was needed for are marked as canceled by force (model: JobExecution.forceCanceled).
      TRY_VOID(cancel_one(context, tx, id, force, effects));
      progress.position = status_position(id, status);
    }
    progress.executions += ids.size();
    if (progress.executions >= budget) return progress;
  }
  // A position is only a hint: the end is seen from the start of the range.
  if (!position.empty() && progress.executions == 0) return sweep(context, tx, job, {}, budget, effects);
  progress.finished = position.empty();
  if (!progress.finished) progress.position.clear();
  return progress;
}

Result<Progress> purge(const Context& context, store::Tx& tx, const Job& job, std::string_view position,
                       std::size_t budget, Effects& effects) {
  Progress progress;
  auto options = prefix_range(Key(table::kJobExecution).text(job.id).str(), budget);
  const std::size_t prefix = options.begin.size();
  if (position > options.begin && position < options.end) options.begin = position;
  const auto rows = tx.range(options);
  for (const auto& row : rows) {
    const std::string tail = 'x' + row.key.substr(prefix);
    store::KeyReader reader(tail);
    const auto thing = reader.text();
    const auto number = reader.descending();
    if (!thing || !number) return internal("corrupt listing of job " + job.id);
    TRY(const auto before, find_execution(tx, *thing, job.id, *number));
    if (!before) return internal("listing of job " + job.id + " names an execution that is not there");
    TRY_VOID(change_execution(context, tx, {*thing, job.id, *number}, &*before, nullptr, effects));
    progress.position = row.key;
    ++progress.executions;
  }
  if (!rows.empty()) return progress;
  if (!position.empty()) return purge(context, tx, job, {}, budget, effects);
  // Nothing was counted in this transaction, so the counters can go too.
  erase_job(context, tx, job);
  progress.finished = true;
  return progress;
}

bool all_terminal(store::Tx& tx, std::string_view job_id) {
  // The counts are cheap and say no most of the time; the ranges are what is relied on.
  if (job_counts(tx, job_id).pending() > 0) return false;
  for (const auto status : {ExecutionStatus::kQueued, ExecutionStatus::kInProgress}) {
    const auto prefix = Key(table::kJobStatusExecution).text(job_id).text(to_string(status)).str();
    if (!tx.range(prefix_range(prefix, 1)).empty()) return false;
  }
  return true;
}

void mark_active(store::Tx& tx, std::string_view job_id) {
  tx.put(Key(table::kJobActive).text(job_id), "");
}
void mark_inactive(store::Tx& tx, std::string_view job_id) {
  tx.erase(Key(table::kJobActive).text(job_id));
}

Status change_execution(const Context& context, store::Tx& tx, const ExecutionId& id, const Execution* before,
                        const Execution* after, Effects& effects) {
  const bool was_terminal = before != nullptr && is_terminal(before->status);
  if (was_terminal && after == nullptr) {  // the pending list is not concerned
    erase_execution(tx, id, *before);
    return {};
  }
  PendingChange pending(context, tx, id.thing);
  return change_execution(pending, tx, id, before, after, effects);
}

Status change_execution(PendingChange& pending, store::Tx& tx, const ExecutionId& id, const Execution* before,
                        const Execution* after, Effects& effects) {
  pending.apply(id.job, id.number, before, after);
  if (after == nullptr) {
    erase_execution(tx, id, *before);
  } else {
    put_execution(tx, id, before, *after, &effects.timers);
  }
  return pending.finish(effects);
}

Execution canceled(const Execution& before, bool force, std::int64_t now_ms) {
  Execution after = before;
  after.status = ExecutionStatus::kCanceled;
  after.version += 1;
  after.updated_ms = now_ms;
  after.force_canceled = force;
  after.deadline_ms = after.step_deadline_ms = 0;
  return after;
}

std::int64_t deleting_jobs(store::Tx& tx) {
  return tx.counter(deleting_key());
}
void count_deleting_jobs(store::Tx& tx, std::int64_t delta) {
  tx.add(deleting_key(), delta);
}

}  // namespace muster::jobs
