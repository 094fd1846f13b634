// SPDX-License-Identifier: Apache-2.0
// The world of the simulator: a fleet on virtual time, one source of chance, the memberships as the simulator itself
// keeps them, and the story of each job: what was asked for, and what has come of it as far as it was seen. Of a test,
// on its thread.
#pragma once

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "domain/jobs/fleet_fixture.h"

namespace muster::jobs {

// For maps: where the argument's namespace is looked into.
inline bool operator<(const ExecutionId& a, const ExecutionId& b) {
  return std::tie(a.thing, a.job, a.number) < std::tie(b.thing, b.job, b.number);
}

namespace sim {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr int kThings = 6, kJobs = 7;
constexpr std::string_view kNamespace = "ns";

// Who has just acted.
enum class Doer : std::uint8_t { kOperator, kDevice, kRegistry, kTimers, kEngine };
struct Deed {
  Doer doer = Doer::kOperator;
  std::string what;
  std::string job, thing;         // concerned; empty: none, or several
  bool done = true;               // false: refused, nothing may have changed
  std::set<ExecutionId> deleted;  // executions that were to be deleted
  bool associated = false;        // targets were added to `job`
};

// A window as the simulator understands it: every day, or one day a week (days since 1970-01-01, modulo 7).
struct DailyWindow {
  std::int64_t minute_of_day = 0, minutes = 1;
  std::optional<std::int64_t> day_of_week;
  bool is_open(std::int64_t at_ms) const {
    for (const std::int64_t back : {0, 1}) {
      const std::int64_t day = at_ms / kDayMs - back;
      const std::int64_t opened = day * kDayMs + minute_of_day * kMinuteMs;
      if (day_of_week && day % 7 != *day_of_week) continue;
      if (opened <= at_ms && at_ms < opened + minutes * kMinuteMs) return true;
    }
    return false;
  }
};

struct Story {
  std::int64_t created_ms = 0;
  std::vector<std::string> targets;
  std::map<std::string, std::string> tags;
  std::vector<DailyWindow> windows;
  bool snapshot = true;
  std::set<std::string> members;  // at creation, all of them
  // Thing and target at creation: of a snapshot job as long as the thing is there, else as long as it is a member.
  std::set<std::pair<std::string, std::string>> first_members;
  std::map<std::string, int> first_runs;  // rolled out, by thing
  std::vector<std::int64_t> releases;     // when each of them was
  std::int64_t fleet = 0;                 // things targeted when it was created, each as often as it is
  bool tampered = false;                  // executions of it were deleted
  std::int64_t ended_ms = 0;

  std::int64_t released_since(std::int64_t from_ms) const {
    return std::ranges::count_if(releases, [&](std::int64_t at) { return at > from_ms; });
  }
  bool in_window(std::int64_t at_ms) const {
    return windows.empty() || std::ranges::any_of(windows, [&](const auto& w) { return w.is_open(at_ms); });
  }
};

class World {
 public:
  explicit World(unsigned seed) : fleet(limits()), random_(seed) {
    for (const auto& [group, parent] : kGroups) {
      fleet.add_group(group, parent);
      parents_[group] = parent;
    }
    for (int i = 0; i < kThings; ++i) {
      fleet.add_thing(thing(i));
      things_.insert(thing(i));
      fleet.join(i % 2 == 0 ? "g" : i % 3 == 0 ? "child" : "leaf", thing(i));
      members_[i % 2 == 0 ? "g" : i % 3 == 0 ? "child" : "leaf"].insert(thing(i));
    }
    trouble();
  }

  static Limits limits() {
    Limits limits;
    limits.default_timeout_minutes = 0;
    limits.immediate_executions = 2;
    limits.engine_batch = 2;
    limits.notify_entries = 2;
    limits.pending_head = 3;
    limits.cached_jobs = 2;
    limits.max_concurrent_jobs = 3;
    limits.max_deleting_jobs = 2;
    limits.queued_days = 20;
    limits.retention_days = 30;
    return limits;
  }

  // ---- chance
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(pick(static_cast<std::uint64_t>(high - low + 1)));
  }
  bool chance(unsigned percent) { return pick(100) < percent; }
  template <class T, std::size_t N>
  const T& any(const T (&of)[N]) {
    return of[pick(N)];
  }
  static std::string thing(int i) { return "d" + std::to_string(i); }
  std::string any_thing() { return thing(static_cast<int>(pick(kThings))); }
  std::string any_job() { return "j" + std::to_string(pick(kJobs)); }
  std::string any_group() { return kGroups[pick(std::size(kGroups))].first; }

  // The store refuses and repeats, or not.
  void trouble() { fleet.store->set_faults({.seed = random_(), .refuse = 0.03, .conflict = 0.2}); }
  void calm() { fleet.store->set_faults({}); }

  // ---- who is where, by the simulator's own account
  bool exists(const std::string& name) const { return things_.contains(name); }
  bool contains(const std::string& group, const std::string& name) const {
    return std::ranges::any_of(
        members_, [&](const auto& entry) { return entry.second.contains(name) && is_within(entry.first, group); });
  }
  bool is_targeted(const std::vector<std::string>& targets, const std::string& name) const {
    return times_targeted(targets, name) > 0;
  }
  std::int64_t times_targeted(const std::vector<std::string>& targets, const std::string& name) const {
    if (!exists(name)) return 0;
    return std::ranges::count_if(targets, [&](const std::string& arn) {
      if (arn == fleet.thing_arn(name)) return true;
      return std::ranges::any_of(parents_, [&](const auto& group) {
        return arn == fleet.group_arn(group.first) && contains(group.first, name);
      });
    });
  }
  std::int64_t fleet_of(const std::vector<std::string>& targets) const {
    std::int64_t sum = 0;
    for (const auto& name : things_) sum += times_targeted(targets, name);
    // A thing that is named counts although it is not there.
    for (const auto& arn : targets) {
      for (int i = 0; i < kThings; ++i) sum += !exists(thing(i)) && arn == fleet.thing_arn(thing(i));
    }
    return sum;
  }

  Deed join() {
    const std::string name = any_thing(), group = any_group();
    const auto done = fleet.regroup(name, [&](store::Tx& tx) -> Status {
      TRY_VOID(registry::add_thing_to_group(tx, group, name));
      return {};
    });
    if (done) members_[group].insert(name);
    return {Doer::kRegistry, "join " + group, {}, name, static_cast<bool>(done), {}};
  }
  Deed leave() {
    const std::string name = any_thing(), group = any_group();
    const auto done = fleet.regroup(name, [&](store::Tx& tx) -> Status {
      TRY_VOID(registry::remove_thing_from_group(tx, group, name));
      return {};
    });
    if (done) members_[group].erase(name);
    return {Doer::kRegistry, "leave " + group, {}, name, static_cast<bool>(done), {}};
  }
  Deed delete_or_make_group() {
    const auto& [group, parent] = kGroups[pick(std::size(kGroups))];
    if (!parents_.contains(group)) {
      const auto made = fleet.run([&](store::Tx& tx) {
        return registry::create_group(tx, fleet.context.realm, {group, parent, {}, {}});
      });
      if (made) parents_[group] = parent;
      return {Doer::kRegistry, "make group " + group, {}, {}, static_cast<bool>(made), {}};
    }
    const auto done = fleet.run_status([&](store::Tx& tx, Effects& effects) -> Status {
      TRY(const auto deletion, registry::delete_group(tx, fleet.context.realm, group, {}));
      for (const auto& change : deletion.changes) {
        TRY_VOID(membership_changed(fleet.context, tx, change.thing, change.before, change.after, effects));
      }
      return {};
    });
    if (done) {
      parents_.erase(group);
      members_.erase(group);
    }
    return {Doer::kRegistry, "delete group " + group, {}, {}, static_cast<bool>(done), {}};
  }
  Deed delete_or_make_thing() {
    const std::string name = any_thing();
    if (!exists(name)) {
      const auto made = fleet.run([&](store::Tx& tx) {
        return registry::create_thing(tx, fleet.context.realm, {name, {}, {}});
      });
      if (made) things_.insert(name);
      return {Doer::kRegistry, "make thing", {}, name, static_cast<bool>(made), {}};
    }
    const auto done = fleet.run_status([&](store::Tx& tx, Effects& effects) -> Status {
      TRY_VOID(registry::delete_thing(tx, name, {}));
      return thing_deleted(fleet.context, tx, name, effects);
    });
    if (done) {
      things_.erase(name);
      for (auto& [group, members] : members_) members.erase(name);
    }
    return {Doer::kRegistry, "delete thing", {}, name, static_cast<bool>(done), {}};
  }

  // Who is no longer targeted is nobody that a job owes an execution.
  void forget_leavers() {
    for (auto& [id, story] : stories) {
      std::erase_if(story.first_members, [&](const auto& member) {
        return story.snapshot ? !exists(member.first) : !is_targeted({member.second}, member.first);
      });
    }
  }

  Fleet fleet;
  std::map<std::string, Story> stories;  // by job id: of the latest one of that id

 private:
  static inline const std::pair<std::string, std::string> kGroups[] = {
      {"g", ""}, {"child", "g"}, {"leaf", "child"}, {"other", ""}, {"side", "other"}};

  bool is_within(const std::string& group, const std::string& ancestor) const {
    for (std::string at = group; !at.empty();) {
      if (at == ancestor) return true;
      const auto parent = parents_.find(at);
      if (parent == parents_.end()) return false;
      at = parent->second;
    }
    return false;
  }

  std::mt19937_64 random_;
  std::set<std::string> things_;
  std::map<std::string, std::string> parents_;
  std::map<std::string, std::set<std::string>> members_;
};

}  // namespace sim
}  // namespace muster::jobs
