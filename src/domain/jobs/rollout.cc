// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/rollout.h"

#include <algorithm>
#include <array>
#include <set>
#include <span>

#include "base/json.h"
#include "base/text.h"
#include "domain/jobs/cancel.h"
#include "domain/jobs/events.h"
#include "domain/jobs/jobs.h"
#include "domain/jobs/membership.h"
#include "domain/jobs/notices.h"
#include "domain/jobs/pending.h"
#include "domain/jobs/transition.h"
#include "domain/registry/groups.h"
#include "domain/registry/tags.h"
#include "domain/registry/things.h"
#include "store/keys.h"
#include "store/schema.h"
#include "store/timers.h"

namespace muster::jobs {

namespace table = store::table;
using store::Key;

namespace {

constexpr std::size_t kTargetsLeft = 10'000;  // more than purge() leaves to the last transaction

store::RangeOptions prefix_range(std::string prefix, std::size_t limit) {
  store::RangeOptions options;
  options.end = store::after_prefix(prefix);
  options.begin = std::move(prefix);
  options.limit = limit;
  return options;
}

// Things that joined, moved or left while the job rolls out come behind all targets, each once; last come those that
// are passed over, because they joined a snapshot job's target after its creation.
constexpr std::int64_t kThingsIndex = std::int64_t{1} << 40, kLateIndex = std::int64_t{1} << 41;

std::string target_prefix(std::string_view job_id) {
  return Key(table::kJobTarget).text(job_id).str();
}

std::string progress_key(std::string_view job_id) {
  return Key(table::kJobRollout).text(job_id).str();
}

struct Target {
  std::string key;
  std::string arn;
  std::string cursor;
};

std::string late_prefix(std::string_view job_id) {
  return Key(table::kJobTarget).text(job_id).integer(kLateIndex).str();
}
std::string late_key(std::string_view job_id, std::string_view thing) {
  return Key(table::kJobTarget).text(job_id).integer(kLateIndex).text(thing).str();
}

Result<std::optional<Target>> next_target(store::Tx& tx, std::string_view job_id) {
  auto options = prefix_range(target_prefix(job_id), 1);
  options.end = late_prefix(job_id);
  const auto found = tx.range(options);
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

// The statuses that a sweep has still to look at: from the one that its position is in. What it emptied before is not
// stepped over again.
std::span<const ExecutionStatus> from_position(std::span<const ExecutionStatus> statuses, std::string_view job_id,
                                               std::string_view position) {
  for (std::size_t i = 0; i < statuses.size(); ++i) {
    if (position.starts_with(status_prefix(job_id, statuses[i]))) return statuses.subspan(i);
  }
  return statuses;
}

// Executions of one status, from a position on; as a snapshot where nothing is decided by what is absent.
struct StatusRange {
  ExecutionStatus status = ExecutionStatus::kQueued;
  std::string_view from;
  std::size_t limit = 0;
  bool snapshot = false;
};
Result<std::vector<ExecutionId>> with_status(store::Tx& tx, std::string_view job_id, const StatusRange& wanted) {
  const auto [status, from, limit, snapshot] = wanted;
  auto options = prefix_range(status_prefix(job_id, status), limit);
  const std::size_t prefix = options.begin.size();
  if (from > options.begin && from < options.end) options.begin = from;
  options.snapshot = snapshot;
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

Status cancel_one(const Context& context, store::Tx& tx, const Job& job, const ExecutionId& id, bool force,
                  Effects& effects) {
  TRY(const auto before, find_execution(tx, id.thing, id.job, id.number));
  if (!before) return internal("listing of job " + id.job + " names an execution that is not there");
  const Execution after = canceled(*before, force, tx.now_ms());
  return make_transition(context, tx, id.thing, {job, id.number, &*before, &after}, effects);
}

void erase_job(const Context& context, store::Tx& tx, const Job& job, Effects& effects) {
  announce_job(context, tx, job, JobEvent::kDeleted, effects);
  erase_job_record(context, tx, job);
  tx.erase(Key(table::kJobDocument).text(job.id));
  tx.erase(progress_key(job.id));
  for (const auto& row : tx.range(prefix_range(target_prefix(job.id), kTargetsLeft))) tx.erase(row.key);
  for (const auto status : kAllStatuses) {
    tx.erase_counter(count_key(job.id, status));
  }
  registry::erase_tags(tx, iot_arn(context.realm, "job", job.id));
  store::disarm(tx, kRetentionTimer, job.id);
  mark_inactive(tx, job.id);
}

// Notices of a batch go into one outbox message.
class Gathering {
 public:
  Gathering(store::Tx& tx, Effects& effects) : tx_(tx), effects_(effects), outer_(effects.gather) {
    effects_.gather = true;
  }
  ~Gathering() {
    effects_.gather = outer_;
    if (!outer_) flush_notices(tx_, effects_);
  }
  Gathering(const Gathering&) = delete;
  Gathering& operator=(const Gathering&) = delete;

 private:
  store::Tx& tx_;
  Effects& effects_;
  const bool outer_;
};

void put_new_target(store::Tx& tx, std::string_view job_id, std::int64_t index, std::string arn) {
  put_target(tx, Target{Key(table::kJobTarget).text(job_id).integer(index).str(), std::move(arn), {}});
}

// Behind all that are there.
std::int64_t next_target_index(store::Tx& tx, std::string_view job_id) {
  auto options = prefix_range(target_prefix(job_id), 1);
  options.end = Key(table::kJobTarget).text(job_id).integer(kThingsIndex).str();
  options.reverse = true;
  const auto last = tx.range(options);
  if (last.empty()) return 0;
  const std::string tail = 'x' + last.front().key.substr(target_prefix(job_id).size());
  return store::KeyReader(tail).integer().value_or(0) + 1;
}

}  // namespace

Status put_targets(const Context& context, store::Tx& tx, std::string_view job_id,
                   const std::vector<std::string>& targets) {
  std::int64_t index = next_target_index(tx, job_id);
  for (const auto& arn : targets) {
    const auto thing = name_in_iot_arn(context.realm, "thing", arn);
    const auto group = name_in_iot_arn(context.realm, "thinggroup", arn);
    const bool exists = (thing && registry::thing_exists(tx, *thing)) || (group && registry::find_group(tx, *group));
    if (!exists) return not_found("Target " + arn + " cannot be found.");
    put_new_target(tx, job_id, index++, arn);
  }
  return {};
}

void put_thing_target(const Context& context, store::Tx& tx, std::string_view job_id, std::string_view thing) {
  const std::string key = Key(table::kJobTarget).text(job_id).integer(kThingsIndex).text(thing).str();
  put_target(tx, Target{key, registry::thing_arn(context.realm, thing), {}});
}

std::int64_t fleet_size(const Context& context, store::Tx& tx, const std::vector<std::string>& targets) {
  std::int64_t size = 0;
  for (const auto& arn : targets) {
    const auto group = name_in_iot_arn(context.realm, "thinggroup", arn);
    size += group ? registry::member_count(tx, *group, true) : 1;
  }
  return size;
}

Result<JobProgress> read_progress(store::Tx& tx, std::string_view job_id) {
  JobProgress progress;
  const auto text = tx.get(progress_key(job_id));
  if (!text) return progress;
  TRY(const json::object record, parse_record(*text));
  progress.rollout.notified = get_int(record, "notified");
  progress.rollout.fleet = get_int(record, "fleet", -1);
  progress.rollout.pace.slot = get_int(record, "slot");
  if (const auto* recent = find_array(record, "recent")) {
    for (std::size_t i = 0; i + 1 < recent->size(); i += 2) {
      const auto *at = (*recent)[i].if_int64(), *count = (*recent)[i + 1].if_int64();
      if (at != nullptr && count != nullptr) progress.rollout.pace.recent.push_back({*at, *count});
    }
  }
  TRY(progress.announce_from, from_base64(get_string(record, "announce")));
  TRY(progress.expire_from, from_base64(get_string(record, "expire")));
  progress.expire_ms = get_int(record, "expire_ms");
  return progress;
}

void put_progress(store::Tx& tx, std::string_view job_id, const JobProgress& progress) {
  json::object record;
  const RolloutState& rollout = progress.rollout;
  if (rollout.notified != 0) record["notified"] = rollout.notified;
  if (rollout.fleet >= 0) record["fleet"] = rollout.fleet;
  if (rollout.pace.slot != 0) record["slot"] = rollout.pace.slot;
  if (!rollout.pace.recent.empty()) {
    json::array recent;
    for (const auto& release : rollout.pace.recent) {
      recent.emplace_back(release.at_ms);
      recent.emplace_back(release.count);
    }
    record["recent"] = std::move(recent);
  }
  if (!progress.announce_from.empty()) record["announce"] = to_base64(progress.announce_from);
  if (!progress.expire_from.empty()) record["expire"] = to_base64(progress.expire_from);
  if (progress.expire_ms != 0) record["expire_ms"] = progress.expire_ms;
  tx.put(progress_key(job_id), to_text(record));
}

std::vector<std::string> remaining_targets(store::Tx& tx, std::string_view job_id) {
  std::vector<std::string> targets;
  auto options = prefix_range(target_prefix(job_id), 1000);
  options.end = Key(table::kJobTarget).text(job_id).integer(kThingsIndex).str();
  options.snapshot = true;
  for (const auto& row : tx.range(options)) {
    const auto record = parse_record(row.value);
    if (record) targets.emplace_back(get_string(*record, "target"));
  }
  return targets;
}

namespace {

// Under which number the thing is to run the job now; nullopt: it has it. `first`: there is an execution number 1.
// Higher numbers come from retries and from who came back, and outlive a deleted first one.
Result<std::optional<std::int64_t>> number_to_run(store::Tx& tx, const Job& job, const std::string& thing, bool first) {
  const bool continuous = job.selection == Selection::kContinuous;
  if (!continuous && first) return std::optional<std::int64_t>();
  if (!continuous && !job.retry) return std::optional<std::int64_t>(1);
  TRY(const auto latest, find_execution(tx, thing, job.id));
  if (!latest) return std::optional<std::int64_t>(1);
  // Who had left before its turn is targeted again.
  if (continuous && latest->status == ExecutionStatus::kRemoved) return std::optional(latest->number + 1);
  return std::optional<std::int64_t>();
}

}  // namespace

void pass_over(store::Tx& tx, std::string_view job_id, std::string_view thing) {
  tx.put(late_key(job_id, thing), "");
}

bool pass_over_no_more(store::Tx& tx, std::string_view job_id, std::string_view thing) {
  const std::string key = late_key(job_id, thing);
  if (!tx.get(key)) return false;
  tx.erase(key);
  return true;
}

bool is_late(store::Tx& tx, std::string_view job_id, std::string_view thing) {
  return tx.get(late_key(job_id, thing)).has_value();
}

namespace {

void leave_out_late(store::Tx& tx, std::string_view job_id, std::vector<std::string>& things) {
  if (tx.range(prefix_range(late_prefix(job_id), 1)).empty()) return;
  std::vector<std::string> keys;
  for (const auto& thing : things) keys.push_back(late_key(job_id, thing));
  const auto late = tx.get_many(keys);
  std::vector<std::string> kept;
  for (std::size_t i = 0; i < things.size(); ++i) {
    if (!late[i]) kept.push_back(std::move(things[i]));
  }
  things = std::move(kept);
}

// False: more are left.
bool forget_late(store::Tx& tx, std::string_view job_id, std::size_t budget) {
  const auto rows = tx.range(prefix_range(late_prefix(job_id), std::max<std::size_t>(budget, 1)));
  for (const auto& row : rows) tx.erase(row.key);
  return rows.size() < std::max<std::size_t>(budget, 1);
}

}  // namespace

Result<Progress> roll_out(const Context& context, store::Tx& tx, const Job& job, RolloutBounds bounds,
                          Effects& effects) {
  Progress progress;
  const Gathering gathering(tx, effects);
  const auto shared = std::make_shared<const Job>(job);
  std::size_t looked_at = 0;
  std::set<std::string> created;  // in this transaction
  while (looked_at < bounds.budget && progress.executions < bounds.allowed) {
    TRY(const auto target, next_target(tx, job.id));
    if (!target) {
      progress.finished = forget_late(tx, job.id, bounds.budget);
      return progress;
    }
    const std::size_t limit = std::min(bounds.budget - looked_at, bounds.allowed - progress.executions);
    TRY(auto things, take_things(context, tx, *target, limit));
    looked_at += std::max<std::size_t>(things.size(), 1);
    const bool one_thing = name_in_iot_arn(context.realm, "thing", target->arn).has_value();
    if (job.selection == Selection::kSnapshot) {
      if (!one_thing) leave_out_late(tx, job.id, things);
    } else if (one_thing) {  // who waited by itself for a gate may have left meanwhile
      std::erase_if(things, [&](const auto& thing) { return !is_targeted(context, tx, job, thing); });
    }
    std::vector<std::string> first_runs;
    for (const auto& thing : things) {
      first_runs.push_back(Key(table::kExecution).text(thing).text(job.id).descending(1).str());
    }
    const auto existing = tx.get_many(first_runs);
    for (std::size_t i = 0; i < things.size(); ++i) {
      // A thing named by several targets runs the job once.
      if (created.contains(things[i])) continue;
      TRY(const auto number, number_to_run(tx, job, things[i], existing[i].has_value()));
      if (!number) continue;
      created.insert(things[i]);
      PendingChange pending(context, tx, things[i]);
      pending.know(shared);
      TRY_VOID(queue_execution(context, tx, pending, job, *number, effects));
      TRY_VOID(pending.finish(effects));
      ++progress.executions;
    }
  }
  TRY(const auto left, next_target(tx, job.id));
  progress.finished = !left && forget_late(tx, job.id, bounds.budget);
  return progress;
}

Result<Progress> sweep(const Context& context, store::Tx& tx, const Job& job, std::string_view position,
                       std::size_t budget, Effects& effects) {
  Progress progress;
  const Gathering gathering(tx, effects);
  const bool force = job.sweep == Sweep::kQueuedAndInProgress;
  constexpr std::array kPending{ExecutionStatus::kQueued, ExecutionStatus::kInProgress};
  for (const auto status : from_position(std::span(kPending).first(force ? 2 : 1), job.id, position)) {
    TRY(const auto ids, with_status(tx, job.id, {status, position, budget - progress.executions}));
    for (const auto& id : ids) {
      // Only executions that force was needed for are marked as canceled by force (model: JobExecution.forceCanceled).
      TRY_VOID(cancel_one(context, tx, job, id, force, effects));
      progress.position = status_key(id, status);
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

Result<Progress> announce_offers(const Context& context, store::Tx& tx, const Job& job, JobProgress& progress,
                                 std::size_t budget, Effects& effects) {
  const Gathering gathering(tx, effects);
  const auto shared = std::make_shared<const Job>(job);
  // What is queued behind the position meanwhile is announced by its own change.
  TRY(const auto ids, with_status(tx, job.id, {ExecutionStatus::kQueued, progress.announce_from, budget, true}));
  for (const auto& id : ids) {
    PendingChange pending(context, tx, id.thing);
    pending.know(shared);
    TRY_VOID(pending.offer_changed(job));
    TRY_VOID(pending.finish(effects));
    progress.announce_from = store::after_key(status_key(id, ExecutionStatus::kQueued));
  }
  const bool finished = ids.size() < budget;
  if (finished) progress.announce_from.clear();
  return Progress{finished, ids.size(), {}};
}

Status announce_again(store::Tx& tx, Job& job) {
  // Also when nothing seems to be QUEUED: a count is a snapshot, and an empty pass costs one transaction.
  job.announcing = true;
  TRY(JobProgress progress, read_progress(tx, job.id));
  if (progress.announce_from.empty()) return {};
  progress.announce_from.clear();
  put_progress(tx, job.id, progress);
  return {};
}

Result<Progress> expire_queued(const Context& context, store::Tx& tx, const Job& job, JobProgress& progress,
                               std::int64_t queued_before_ms, std::size_t budget, Effects& effects) {
  const Gathering gathering(tx, effects);
  TRY(const auto ids, with_status(tx, job.id, {ExecutionStatus::kQueued, progress.expire_from, budget, true}));
  for (const auto& id : ids) {
    progress.expire_from = store::after_key(status_key(id, ExecutionStatus::kQueued));
    TRY(const auto execution, find_execution(tx, id.thing, id.job, id.number));
    if (!execution || execution->status != ExecutionStatus::kQueued || execution->queued_ms >= queued_before_ms)
      continue;
    TRY_VOID(cancel_one(context, tx, job, id, false, effects));
    TRY(const auto now, find_job(context, tx, job.id));
    if (!now || !now->is_active()) break;  // that ending met an abort criterion: the sweep does the rest
  }
  const bool finished = ids.size() < budget;
  if (finished) progress.expire_from.clear();
  return Progress{finished, ids.size(), {}};
}

Result<Progress> purge(const Context& context, store::Tx& tx, const Job& job, std::string_view position,
                       std::size_t budget, Effects& effects) {
  Progress progress;
  const Gathering gathering(tx, effects);
  for (const auto status : from_position(kAllStatuses, job.id, position)) {
    TRY(const auto ids, with_status(tx, job.id, {status, position, budget - progress.executions}));
    for (const auto& id : ids) {
      TRY(const auto before, find_execution(tx, id.thing, id.job, id.number));
      if (!before) return internal("listing of job " + job.id + " names an execution that is not there");
      const Transition change{job, id.number, &*before, nullptr};
      if (is_terminal(before->status)) {  // the pending list is not concerned
        erase_execution(tx, id, *before);
        announce_execution(context, tx, id, *before, nullptr, effects);
      } else {
        TRY_VOID(make_transition(context, tx, id.thing, change, effects));
      }
      progress.position = status_key(id, status);
    }
    progress.executions += ids.size();
    if (progress.executions >= budget) return progress;
  }
  if (progress.executions > 0) return progress;
  if (!position.empty()) return purge(context, tx, job, {}, budget, effects);
  const auto targets = tx.range(prefix_range(target_prefix(job.id), std::max<std::size_t>(budget, 1)));
  if (targets.size() == std::max<std::size_t>(budget, 1)) {
    for (const auto& row : targets) tx.erase(row.key);
    return progress;
  }
  // Nothing was counted in this transaction, so the counters can go too.
  erase_job(context, tx, job, effects);
  progress.finished = true;
  return progress;
}

bool all_terminal(store::Tx& tx, std::string_view job_id) {
  // The counts are cheap and say no most of the time; the ranges are what is relied on.
  if (job_counts(tx, job_id).pending() > 0) return false;
  for (const auto status : {ExecutionStatus::kQueued, ExecutionStatus::kInProgress}) {
    if (!tx.range(prefix_range(status_prefix(job_id, status), 1)).empty()) return false;
  }
  return true;
}

void mark_active(store::Tx& tx, std::string_view job_id) {
  tx.put(Key(table::kJobActive).text(job_id), "");
}
void mark_inactive(store::Tx& tx, std::string_view job_id) {
  tx.erase(Key(table::kJobActive).text(job_id));
}

}  // namespace muster::jobs
