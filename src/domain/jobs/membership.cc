// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/membership.h"

#include <algorithm>

#include "domain/jobs/rollout.h"
#include "domain/jobs/transition.h"
#include "domain/registry/groups.h"
#include "domain/registry/things.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::jobs {

namespace {

std::string group_job_key(std::string_view group, std::string_view job_id) {
  return store::Key(store::table::kGroupJob).text(group).text(job_id).str();
}

template <class F>
void for_each_group(const Context& context, const Job& job, F visit) {
  for (const auto& target : job.targets) {
    if (const auto group = name_in_iot_arn(context.realm, "thinggroup", target)) visit(*group);
  }
}

// Those of `a` that are in `b`, or those that are not.
std::vector<std::string> select(const std::vector<std::string>& a, const std::vector<std::string>& b, bool in_b) {
  std::vector<std::string> selected;
  for (const auto& group : a) {
    if ((std::ranges::find(b, group) != b.end()) == in_b) selected.push_back(group);
  }
  return selected;
}

// Jobs that follow these groups, each once.
Result<std::vector<std::shared_ptr<const Job>>> jobs_of(const Context& context, store::Tx& tx,
                                                        const std::vector<std::string>& groups) {
  std::vector<std::shared_ptr<const Job>> jobs;
  for (const auto& group : groups) {
    store::RangeOptions options;
    options.begin = store::Key(store::table::kGroupJob).text(group).str();
    options.end = store::after_prefix(options.begin);
    options.limit = static_cast<std::size_t>(context.limits.max_active_jobs);
    for (const auto& row : tx.range(options)) {
      store::KeyReader reader(row.key);
      const auto id = reader.text() ? reader.text() : std::nullopt;
      if (!id) return internal("corrupt index of group jobs");
      if (std::ranges::any_of(jobs, [&](const auto& job) { return job->id == *id; })) continue;
      TRY(auto job, find_job(context, tx, *id));
      if (job && job->follows_groups()) jobs.push_back(std::move(job));
    }
  }
  return jobs;
}

Status joined(const Context& context, store::Tx& tx, PendingChange& pending, const Job& job, Effects& effects) {
  if (job.started_ms == 0) return {};  // the rollout will find it
  if (schedule_at(job.schedule, tx.now_ms()).ended) return {};
  TRY(const auto latest, find_execution(tx, pending.thing(), job.id));
  if (latest && !is_terminal(latest->status)) return {};
  if (!latest && !job.rolled_out && !job.controls.gates.empty()) {
    // A gate holds for who joins, too, but not for who has passed it before.
    put_thing_target(context, tx, job.id, pending.thing());
    effects.touch(job.id);
    return {};
  }
  return queue_execution(context, tx, pending, job, latest ? latest->number + 1 : 1, effects);
}

// From one group below a target to another: the rollout may be past the new one and not yet at the old one.
void moved(const Context& context, store::Tx& tx, const Job& job, std::string_view thing, Effects& effects) {
  if (job.rolled_out || job.started_ms == 0) return;
  if (job.selection == Selection::kSnapshot && is_late(tx, job.id, thing)) return;
  put_thing_target(context, tx, job.id, thing);
  effects.touch(job.id);
}

// A snapshot job takes who was a member when it was made, however long its rollout lasts.
void left_snapshot(const Context& context, store::Tx& tx, const Job& job, std::string_view thing, Effects& effects) {
  if (job.rolled_out || pass_over_no_more(tx, job.id, thing)) return;
  put_thing_target(context, tx, job.id, thing);
  effects.touch(job.id);
}

Status left(const Context& context, store::Tx& tx, PendingChange& pending, const Job& job, Effects& effects) {
  TRY(const auto latest, find_execution(tx, pending.thing(), job.id));
  if (!latest || latest->status != ExecutionStatus::kQueued) return {};
  const Execution after = removed(*latest, tx.now_ms());
  return apply_transition(context, tx, pending, {job, latest->number, &*latest, &after}, effects);
}

bool targets_one_of(const Context& context, const Job& job, std::string_view thing,
                    const std::vector<std::string>& groups) {
  return std::ranges::any_of(job.targets, [&](const std::string& target) {
    if (const auto name = name_in_iot_arn(context.realm, "thing", target)) return *name == thing;
    const auto group = name_in_iot_arn(context.realm, "thinggroup", target);
    return group && std::ranges::find(groups, *group) != groups.end();
  });
}

}  // namespace

Status membership_changed(const Context& context, store::Tx& tx, std::string_view thing,
                          const std::vector<std::string>& before, const std::vector<std::string>& after,
                          Effects& effects) {
  const auto joined_groups = select(after, before, false), left_groups = select(before, after, false);
  if (joined_groups.empty() && left_groups.empty()) return {};
  TRY(const auto entered, jobs_of(context, tx, joined_groups));
  TRY(const auto gone, jobs_of(context, tx, left_groups));
  TRY(const auto stayed, jobs_of(context, tx, select(after, before, true)));
  for (const auto& job : stayed) moved(context, tx, *job, thing, effects);
  if (entered.empty() && gone.empty()) return {};
  PendingChange pending(context, tx, thing);
  for (const auto& job : gone) {
    if (targets_one_of(context, *job, thing, after)) continue;
    if (job->takes_members()) {
      TRY_VOID(left(context, tx, pending, *job, effects));
    } else if (job->selection == Selection::kSnapshot) {
      left_snapshot(context, tx, *job, thing, effects);
    }
  }
  for (const auto& job : entered) {
    if (job->takes_members()) {
      TRY_VOID(joined(context, tx, pending, *job, effects));
    } else if (job->selection == Selection::kSnapshot && !job->rolled_out &&
               !targets_one_of(context, *job, thing, before)) {
      pass_over(tx, job->id, thing);
    }
  }
  return pending.finish(effects);
}

void index_groups(const Context& context, store::Tx& tx, const Job& job) {
  for_each_group(context, job, [&](std::string_view group) { tx.put(group_job_key(group, job.id), ""); });
}

void unindex_groups(const Context& context, store::Tx& tx, const Job& job) {
  for_each_group(context, job, [&](std::string_view group) { tx.erase(group_job_key(group, job.id)); });
}

bool is_targeted(const Context& context, store::Tx& tx, const Job& job, std::string_view thing) {
  return targets_one_of(context, job, thing, registry::groups_of_thing_with_ancestors(tx, thing));
}

}  // namespace muster::jobs
