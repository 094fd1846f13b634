// SPDX-License-Identifier: Apache-2.0
// Small fleets driven at random from a seed through months of virtual time: operators who use all that a job can have,
// devices that work, are slow, silent or hostile, groups and things that come and go, an engine that is killed, a store
// that makes transactions run twice and refuses some. After every deed the whole store is compared with a recount
// (checks.h), and what devices were told with what has changed (notices.h). Seeds from 100 on are four times as
// long. One seed alone: ./dev sim --seed N; more of them: ./dev sim --seeds COUNT.
#include <cstdlib>

#include "checks.h"
#include "devices.h"
#include "notices.h"
#include "operators.h"

namespace muster::jobs::sim {
namespace {

constexpr unsigned kShortSeeds = 100;
constexpr int kShortSteps = 250, kLongSteps = 1000, kRestEvery = 30, kRounds = 5, kMostSteps = 5'000;
constexpr std::int64_t kShortestHopMs = 30 * kMinuteMs;

class Simulation {
 public:
  explicit Simulation(unsigned seed)
      : steps_(seed < kShortSeeds ? kShortSteps : kLongSteps),
        world_(seed),
        operators_(world_),
        devices_(world_),
        told_(world_),
        checks_(world_) {}

  void run() {
    for (int i = 0; i < steps_ && !testing::Test::HasFailure(); ++i) {
      SCOPED_TRACE("step " + std::to_string(i));
      pass_time();
      look(step());
      if (i % kRestEvery == kRestEvery - 1) rest();
    }
    rest();
  }

 private:
  void look(const Deed& deed) {
    const Observation before = checks_.last();
    checks_.after(deed);
    told_.after(deed, before, checks_.last());
    if (started_) check_started(before, deed.thing);
    started_.reset();
  }

  void pass_time() {
    auto& clock = world_.fleet.clock;
    const auto kind = world_.pick(100);
    if (kind < 70) {
      clock.advance_ms(world_.between(0, 3'000));
    } else if (kind < 88) {
      clock.advance_ms(world_.between(1, 70) * 1'000);
    } else if (kind < 97) {
      keep_up();
      world_.trouble();
      const std::int64_t wake = world_.fleet.engine->next_wake_ms();
      if (wake > clock.now_ms()) clock.advance_ms(wake - clock.now_ms());
    } else {
      pass_days(world_.between(1, world_.chance(20) ? 25 : 3));
      rest();
    }
  }

  // With an engine that keeps up: from one moment at which it, or a timer, has something to do to the next.
  void pass_days(std::int64_t days) {
    auto& clock = world_.fleet.clock;
    const std::int64_t until = clock.now_ms() + days * kDayMs;
    world_.calm();
    while (clock.now_ms() < until && !testing::Test::HasFailure()) {
      const std::int64_t timer = keep_up(), wake = world_.fleet.engine->next_wake_ms();
      std::int64_t next = until;
      for (const std::int64_t at : {wake, timer}) {
        if (at > 0) next = std::min(next, std::max(at, clock.now_ms() + kShortestHopMs));
      }
      clock.advance_ms(next - clock.now_ms());
    }
    keep_up();
    world_.trouble();
  }

  // Until there is nothing to do now. When the next timer is due; -1: none is armed.
  std::int64_t keep_up() {
    std::int64_t next_timer = -1;
    look_calmly([&] {
      next_timer = world_.fleet.fire_timers();
      return Deed{Doer::kTimers, "timers", {}, {}, true, {}};
    });
    for (int i = 0; !testing::Test::HasFailure() && world_.fleet.engine->step(); ++i) {
      EXPECT_LT(i, kMostSteps) << "the engine never rests";
      look_calmly([&] { return Deed{Doer::kEngine, "engine", {}, {}, true, {}}; });
    }
    return next_timer;
  }

  Deed step() {
    switch (world_.pick(20)) {
      case 0:
      case 1:
        return operators_.create();
      case 2:
      case 3:
        return operators_.change();
      case 4:
        switch (world_.pick(4)) {
          case 0:
            return operators_.cancel();
          case 1:
            return operators_.cancel_execution();
          case 2:
            return operators_.delete_execution();
          default:
            return operators_.remove();
        }
      case 5:
      case 6:
      case 7:
        return devices_.start(started_);
      case 8:
      case 9:
      case 10:
        return devices_.work();
      case 11:
        return devices_.meddle();
      case 12:
        return devices_.attack();
      case 13:
        switch (world_.pick(6)) {
          case 0:
            return world_.delete_or_make_group();
          case 1:
            return world_.delete_or_make_thing();
          case 2:
          case 3:
            return world_.leave();
          default:
            return world_.join();
        }
      case 14:
        return fire_timers();
      default:
        if (world_.chance(8)) world_.fleet.restart_engine();
        return engine_step();
    }
  }

  Deed fire_timers() {
    world_.fleet.fire_timers();
    return {Doer::kTimers, "timers", {}, {}, true, {}};
  }
  Deed engine_step() {
    world_.fleet.engine->step();
    return {Doer::kEngine, "engine", {}, {}, true, {}};
  }

  // Nobody but the engine and the timers acts until they have nothing to do; then jobs and devices are where they
  // should be.
  void rest() {
    if (testing::Test::HasFailure()) return;
    SCOPED_TRACE("at rest");
    world_.calm();
    for (int i = 0; i < kRounds && !testing::Test::HasFailure(); ++i) {
      if (i > 0) world_.fleet.clock.advance_ms(kMinuteMs + 1);  // what had to wait for others is tried again
      keep_up();
    }
    check_rest(checks_.last());
    told_.check_quiet(checks_.last());
    world_.trouble();
  }
  template <class F>
  void look_calmly(F act) {
    world_.calm();
    look(act());
    world_.calm();
  }

  void check_rest(const Observation& now) {
    using enum ExecutionStatus;
    for (const auto& [id, job] : now.jobs) {
      SCOPED_TRACE("job " + id);
      const JobCounts counts = now.count(id);
      const Story& story = world_.stories.at(id);
      const bool due = job.schedule.end_ms != 0 && job.schedule.end_ms <= now.now_ms;
      EXPECT_NE(job.status, JobStatus::kDeletionInProgress);
      EXPECT_EQ(job.sweep, Sweep::kNone);
      EXPECT_FALSE(job.announcing);
      if (job.status == JobStatus::kCanceled) EXPECT_EQ(counts.of(kQueued), 0);
      if (job.force_canceled) EXPECT_EQ(counts.of(kInProgress), 0);
      if (job.has_ended()) EXPECT_LT(now.now_ms, story.ended_ms + World::limits().retention_days * kDayMs + kMinuteMs);
      if (!job.is_active()) continue;
      check_active(now, job, story, counts);
      if (due) EXPECT_EQ(job.status, JobStatus::kInProgress) << "its end has come";
    }
    for (const auto& [id, e] : now.executions) {
      if (e.status == kInProgress && e.due_ms() != 0) EXPECT_GT(e.due_ms(), now.now_ms) << "a deadline has passed";
      const std::int64_t oldest = now.now_ms - (World::limits().queued_days + 1) * kDayMs;
      if (e.status == kQueued) EXPECT_GT(e.queued_ms, oldest) << "queued for ever: " << id.thing << " " << id.job;
    }
  }

  void check_active(const Observation& now, const Job& job, const Story& story, const JobCounts& counts) {
    using enum ExecutionStatus;
    const bool due = job.schedule.end_ms != 0 && job.schedule.end_ms <= now.now_ms;
    const std::int64_t pending = counts.of(kQueued) + counts.of(kInProgress);
    const bool open = job.schedule.start_ms <= now.now_ms && story.in_window(now.now_ms);
    if (job.status == JobStatus::kInProgress && !due) EXPECT_TRUE(open) << "its window has closed";
    if (job.status == JobStatus::kInProgress && job.rolled_out && job.selection == Selection::kSnapshot) {
      EXPECT_GT(pending, 0) << "has nothing to wait for";
    }
    if (job.abort) EXPECT_FALSE(must_abort(*job.abort, counts));
    const bool whole = job.rolled_out && !due && !story.tampered && job.selection == Selection::kContinuous;
    std::vector<std::string> groups = job.targets;  // a thing that is named and made anew has not joined anything
    std::erase_if(groups, [](const std::string& arn) { return arn.find(":thinggroup/") == arn.npos; });
    for (int i = 0; whole && i < kThings; ++i) {
      const std::string thing = World::thing(i);
      if (!world_.is_targeted(groups, thing)) continue;
      EXPECT_TRUE(now.latest(thing, job.id)) << thing << " is a member and has no execution";
    }
  }

  static bool must_abort(const AbortConfig& config, const JobCounts& counts) {
    using enum ExecutionStatus;
    const std::int64_t failed = counts.of(kFailed), rejected = counts.of(kRejected), late = counts.of(kTimedOut);
    const std::int64_t executed = counts.of(kSucceeded) + failed + rejected + late;
    return executed > 0 && std::ranges::any_of(config.criteria, [&](const AbortCriterion& criterion) {
             const std::int64_t all = failed + rejected + late;
             const std::int64_t bad = criterion.failure == AbortFailure::kFailed     ? failed
                                      : criterion.failure == AbortFailure::kRejected ? rejected
                                      : criterion.failure == AbortFailure::kTimedOut ? late
                                                                                     : all;
             return executed >= criterion.minimum_executed &&
                    static_cast<double>(bad) * 100 >= criterion.threshold_percent * static_cast<double>(executed);
           });
  }

  // start-next gives the first of what was on offer, and nothing only when nothing was.
  void check_started(const Observation& before, const std::string& thing) {
    const auto ids = before.on_offer({thing, ""});
    ASSERT_EQ(started_->has_value(), !ids.empty());
    if (!*started_) return;
    EXPECT_EQ(ids.front(), (ExecutionId{thing, (*started_)->job, (*started_)->number}));
  }

  const int steps_;
  World world_;
  Operators operators_;
  Devices devices_;
  Told told_;
  Checks checks_;
  std::optional<std::optional<Started>> started_;
};

class JobsSimulation : public testing::TestWithParam<unsigned> {};

TEST_P(JobsSimulation, keeps_every_invariant) {
  SCOPED_TRACE("replay: ./dev sim --seed " + std::to_string(GetParam()));
  Simulation(GetParam()).run();
}

// MUSTER_SIM_SEED: that one alone; MUSTER_SIM_SEEDS: that many from 0.
unsigned from_environment(const char* name, unsigned fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
}
const unsigned kFirst = from_environment("MUSTER_SIM_SEED", 0);
const unsigned kEnd =
    std::getenv("MUSTER_SIM_SEED") != nullptr ? kFirst + 1 : from_environment("MUSTER_SIM_SEEDS", kShortSeeds);

INSTANTIATE_TEST_SUITE_P(Seed, JobsSimulation, testing::Range(kFirst, kEnd),
                         [](const auto& seed) { return std::to_string(seed.param); });

}  // namespace
}  // namespace muster::jobs::sim
