// SPDX-License-Identifier: Apache-2.0
// What devices of the simulator's world are told: each notify and notify-next must have a cause, each change must be
// told, and when all is quiet, what a device was told last is what is so.
#pragma once

#include "observation.h"

namespace muster::jobs::sim {

class Told {
 public:
  explicit Told(World& world) : world_(world) { (void)hear(); }

  void after(const Deed& deed, const Observation& before, const Observation& now) {
    SCOPED_TRACE("told after: " + deed.what + " " + deed.job + " " + deed.thing);
    auto told = hear();
    for (const auto& list : every_list()) {
      SCOPED_TRACE("list of " + list.first + " " + list.second);
      check(deed, before, now, list, told[list]);
    }
  }

  void check_quiet(const Observation& now) const {
    for (const auto& list : every_list()) {
      const auto ids = now.on_offer(list);
      const auto known = known_.find(list);
      const std::set<Entry> entries = known == known_.end() ? std::set<Entry>() : known->second;
      SCOPED_TRACE("what " + list.first + " " + list.second + " knows");
      const std::size_t shown = std::min(ids.size(), World::limits().notify_entries);
      EXPECT_EQ(entries.size(), shown);
      for (const auto& [job, number] : entries) {
        EXPECT_NE(std::ranges::find(ids, ExecutionId{list.first, job, number}), ids.end()) << job << " " << number;
      }
      const auto next = known_next_.find(list);
      const std::optional<Entry> head = next == known_next_.end() ? std::nullopt : next->second;
      ASSERT_EQ(head.has_value(), !ids.empty());
      if (head) EXPECT_EQ(*head, Entry(ids.front().job, ids.front().number));
    }
  }

 private:
  using Entry = std::pair<std::string, std::int64_t>;
  struct Count {
    std::size_t notify = 0, next = 0;
  };

  static std::vector<ListName> every_list() {
    std::vector<ListName> lists;
    for (int i = 0; i < kThings; ++i) {
      lists.emplace_back(World::thing(i), "");
      lists.emplace_back(World::thing(i), std::string(kNamespace));
    }
    return lists;
  }

  static Entry entry_of(const json::object& execution) {
    return {std::string(get_string(execution, "jobId")), get_int(execution, "executionNumber")};
  }

  std::map<ListName, Count> hear() {
    std::map<ListName, Count> told;
    world_.calm();
    for (const auto& message : world_.fleet.heard()) {
      if (message.thing.empty()) continue;
      const bool in_namespace = message.suffix.ends_with("-namespace-ns");
      const ListName list{message.thing, in_namespace ? kNamespace : ""};
      if (message.suffix.starts_with("notify-next")) {
        ++told[list].next;
        const auto* execution = find_object(message.payload, "execution");
        known_next_[list] = execution == nullptr ? std::nullopt : std::optional(entry_of(*execution));
        continue;
      }
      ++told[list].notify;
      known_[list].clear();
      for (const auto& status : message.payload.at("jobs").as_object()) {
        for (const auto& one : status.value().as_array()) known_[list].insert(entry_of(one.as_object()));
      }
    }
    world_.trouble();
    return told;
  }

  // Is the job's offer changing, so that devices hear of it one after the other?
  static bool is_unsettled(const Observation& before, const Observation& now, const std::string& id) {
    const Job *was = before.job(id), *is = now.job(id);
    const auto moving = [](const Job* job) {
      return job != nullptr &&
             (job->announcing || job->sweep != Sweep::kNone || job->status == JobStatus::kDeletionInProgress);
    };
    if (moving(was) || moving(is) || (was != nullptr && is == nullptr)) return true;
    if (was == nullptr || is == nullptr) return false;
    return was->created_ms != is->created_ms || was->status != is->status ||
           was->controls.paused != is->controls.paused;
  }

  void check(const Deed& deed, const Observation& before, const Observation& now, const ListName& list, Count told) {
    const auto unsettled = [&](const Observation& when) {
      return std::ranges::any_of(when.executions, [&](const auto& one) {
        const auto& [id, e] = one;
        if (id.thing != list.first || e.namespace_id != list.second) return false;
        return (!is_terminal(e.status) || now.find(id) == nullptr || !is_terminal(now.find(id)->status)) &&
               is_unsettled(before, now, id.job);
      });
    };
    if (unsettled(before) || unsettled(now)) return;
    auto was = before.on_offer(list), is = now.on_offer(list);
    const auto key = [&](const Observation& when, const ExecutionId& id) {
      return std::pair(id, when.find(id)->queued_ms);
    };
    std::set<std::pair<ExecutionId, std::int64_t>> members_before, members_now;
    for (const auto& id : was) members_before.insert(key(before, id));
    for (const auto& id : is) members_now.insert(key(now, id));
    const bool changed = members_before != members_now;
    const bool other_head =
        was.empty() != is.empty() || (!is.empty() && key(before, was.front()) != key(now, is.front()));
    if (deed.doer == Doer::kTimers) {  // several deadlines, each a change of its own
      EXPECT_GE(told.notify, changed ? 1u : 0u);
      EXPECT_GE(told.next, other_head ? 1u : 0u);
      if (!changed) EXPECT_EQ(told.notify, 0u);
      return;
    }
    EXPECT_EQ(told.notify, changed ? 1u : 0u);
    EXPECT_EQ(told.next, other_head ? 1u : 0u);
  }

  World& world_;
  std::map<ListName, std::set<Entry>> known_;
  std::map<ListName, std::optional<Entry>> known_next_;
};

}  // namespace muster::jobs::sim
