// SPDX-License-Identifier: Apache-2.0
// Operators of the simulator: jobs with everything that AWS lets one ask for, at random, and every later change of
// them.
#pragma once

#include "base/text.h"
#include "world.h"

namespace muster::jobs::sim {

class Operators {
 public:
  explicit Operators(World& world) : world_(world) {}

  Deed create() {
    World& w = world_;
    NewJob job = w.fleet.job_on(w.any_job(), some_targets());
    Story story;
    if (w.chance(40)) job.selection = Selection::kContinuous;
    if (w.chance(30)) job.timeout_minutes = w.between(1, 5);
    if (w.chance(45)) job.rollout = some_rollout();
    if (w.chance(35)) job.abort = some_abort();
    if (w.chance(45)) job.retry = some_retry();
    if (w.chance(30)) add_schedule(job, story);
    if (w.chance(20)) job.namespace_id = kNamespace;
    add_tags(story);
    const auto controls = controls_from_tags(story.tags);
    EXPECT_TRUE(controls);
    job.controls = *controls;
    const auto made = w.fleet.create(job);
    if (made) {
      story.created_ms = w.fleet.clock.now_ms();
      story.targets = (*made)->targets;
      story.snapshot = (*made)->selection == Selection::kSnapshot;
      story.fleet = w.fleet_of(story.targets);
      for (int i = 0; i < kThings; ++i) {
        const std::string name = World::thing(i);
        for (const auto& target : story.targets) {
          if (!w.is_targeted({target}, name)) continue;
          story.first_members.emplace(name, target);
          story.members.insert(name);
        }
      }
      w.stories[job.id] = std::move(story);
    }
    return deed("create", job.id, static_cast<bool>(made));
  }

  Deed change() {
    switch (world_.pick(4)) {
      case 0:
        return update();
      case 1:
        return associate();
      default:
        return change_tags();
    }
  }

  Deed cancel() {
    const std::string job = world_.any_job();
    return deed("cancel", job, world_.fleet.cancel(job, world_.chance(50)));
  }
  Deed remove() {
    const std::string job = world_.any_job();
    return deed("delete job", job, world_.fleet.remove(job, world_.chance(60)));
  }
  Deed cancel_execution() {
    const std::string job = world_.any_job(), thing = world_.any_thing();
    Deed done = deed("cancel execution", job, world_.fleet.cancel_one({thing, job, world_.chance(50), {}, {}}));
    done.thing = thing;
    return done;
  }
  Deed delete_execution() {
    const ExecutionId id{world_.any_thing(), world_.any_job(), world_.between(1, 2)};
    Deed done = deed("delete execution", id.job, world_.fleet.remove_one(id, world_.chance(50)));
    done.thing = id.thing;
    if (!done.done) return done;
    done.deleted.insert(id);
    if (const auto story = world_.stories.find(id.job); story != world_.stories.end()) story->second.tampered = true;
    return done;
  }

 private:
  static Deed deed(std::string what, std::string job, bool done) {
    return {Doer::kOperator, std::move(what), std::move(job), {}, done, {}};
  }
  static Deed deed(std::string what, std::string job, const Status& status) {
    return deed(std::move(what), std::move(job), static_cast<bool>(status));
  }

  std::vector<std::string> some_targets() {
    std::vector<std::string> targets;
    for (auto i = world_.pick(3); i > 0; --i) targets.push_back(world_.fleet.thing_arn(world_.any_thing()));
    for (auto i = world_.pick(3); i > 0; --i) targets.push_back(world_.fleet.group_arn(world_.any_group()));
    if (targets.empty()) targets.push_back(world_.fleet.group_arn("g"));
    return targets;
  }

  RolloutConfig some_rollout() {
    constexpr std::int64_t kRates[] = {1, 2, 3, 5, 60, 1000};
    RolloutConfig config;
    config.maximum_per_minute = world_.any(kRates);
    if (world_.chance(50)) {
      ExponentialRate rate;
      rate.base_per_minute = world_.between(1, config.maximum_per_minute);
      rate.increment_factor = static_cast<double>(world_.between(11, 50)) / 10;
      (world_.chance(50) ? rate.notified_things : rate.succeeded_things) = world_.between(1, 3);
      config.exponential = rate;
    }
    return config;
  }

  AbortConfig some_abort() {
    constexpr AbortFailure kFailures[] = {AbortFailure::kFailed, AbortFailure::kRejected, AbortFailure::kTimedOut,
                                          AbortFailure::kAll};
    AbortConfig config;
    for (auto i = 1 + world_.pick(2); i > 0; --i) {
      config.criteria.push_back(
          {world_.any(kFailures), static_cast<double>(world_.between(2'000, 10'000)) / 100, world_.between(1, 4)});
    }
    return config;
  }

  RetryConfig some_retry() {
    if (world_.chance(50)) return {{{RetryFailure::kAll, world_.between(0, 3)}}};
    return {{{RetryFailure::kFailed, world_.between(0, 3)}, {RetryFailure::kTimedOut, world_.between(0, 2)}}};
  }

  void add_schedule(NewJob& job, Story& story) {
    const std::int64_t now = world_.fleet.clock.now_ms();
    const auto later = [&](std::int64_t from) {
      return (from + world_.between(30, 6'000) * kMinuteMs) / 1000 * 1000 + 1000;
    };
    if (world_.chance(50)) {
      job.schedule.start_ms = later(now);
      job.schedule.start_text = to_iso8601(job.schedule.start_ms, false);
    }
    if (world_.chance(60)) {
      constexpr EndBehavior kEnds[] = {EndBehavior::kStopRollout, EndBehavior::kCancel, EndBehavior::kForceCancel};
      job.schedule.end_ms = later(std::max(now, job.schedule.start_ms));
      job.schedule.end_text = to_iso8601(job.schedule.end_ms, false);
      job.schedule.end_behavior = world_.any(kEnds);
    }
    if (job.selection != Selection::kContinuous) return;
    for (auto i = world_.pick(3); i > 0; --i) add_window(job, story);
  }

  void add_window(NewJob& job, Story& story) {
    DailyWindow window{world_.between(0, 1439), world_.between(1, 1430), {}};
    std::string cron =
        "cron(" + std::to_string(window.minute_of_day % 60) + " " + std::to_string(window.minute_of_day / 60) + " ";
    if (world_.chance(30)) {
      constexpr std::int64_t kMonday = 4;  // 1970-01-01 was a Thursday
      window.day_of_week = kMonday;
      cron += "? * MON *)";
    } else {
      cron += "* * ? *)";
    }
    auto parsed = Cron::parse(cron);
    ASSERT_TRUE(parsed) << cron;
    job.schedule.windows.push_back({*std::move(parsed), window.minutes});
    story.windows.push_back(window);
  }

  void add_tags(Story& story) {
    constexpr const char* kHolds[] = {"10", "25:50 60", "20:100 50:1", "50"};
    if (world_.chance(12)) story.tags["muster:approval"] = "required";
    if (world_.chance(12)) story.tags["muster:pause"] = "true";
    if (world_.chance(25)) story.tags["muster:hold"] = world_.any(kHolds);
    if (world_.chance(30)) story.tags["muster:priority"] = std::to_string(world_.between(-99, 99));
  }

  Deed update() {
    const std::string job = world_.any_job();
    JobChange change;
    if (world_.chance(60)) change.rollout = some_rollout();
    if (world_.chance(30)) change.abort = some_abort();
    if (world_.chance(30)) change.timeout_minutes = world_.between(1, 5);
    if (world_.chance(20)) {
      const auto stored = world_.fleet.describe(job);
      if (stored && stored->job->retry) {
        change.retry = stored->job->retry;
        for (auto& criterion : change.retry->criteria) criterion.retries = 0;
      }
    }
    const auto status = world_.fleet.run_status(
        [&](store::Tx& tx, Effects& effects) { return update_job(world_.fleet.context, tx, job, change, effects); });
    return deed("update job", job, status);
  }

  Deed associate() {
    const std::string job = world_.any_job();
    const MoreTargets more{job, {world_.fleet.group_arn(world_.any_group())}, ""};
    const auto made = world_.fleet.run(
        [&](store::Tx& tx, Effects& effects) { return associate_targets(world_.fleet.context, tx, more, effects); });
    Deed done = deed("associate", job, static_cast<bool>(made));
    if (!made) return done;
    Story& story = world_.stories.at(job);
    if (story.targets.size() != (*made)->targets.size()) story.fleet += world_.fleet_of(more.targets);
    story.targets = (*made)->targets;
    done.associated = true;
    return done;
  }

  Deed change_tags() {
    const std::string job = world_.any_job();
    const auto story = world_.stories.find(job);
    if (story == world_.stories.end()) return deed("change no tags", job, false);
    auto tags = story->second.tags;
    switch (world_.pick(4)) {
      case 0:
        if (tags.contains("muster:approval")) tags["muster:approval"] = "approved";
        break;
      case 1:
        if (tags.erase("muster:pause") == 0) tags["muster:pause"] = "true";
        break;
      case 2:
        tags.erase("muster:pause");
        break;
      default:
        if (tags.contains("muster:hold")) tags["muster:continue"] = world_.chance(50) ? "1" : "all";
    }
    const auto status = world_.fleet.run_status(
        [&](store::Tx& tx, Effects& effects) { return change_controls(world_.fleet.context, tx, job, tags, effects); });
    if (status) story->second.tags = tags;
    return deed("change tags", job, status);
  }

  World& world_;
};

}  // namespace muster::jobs::sim
