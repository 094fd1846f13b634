// SPDX-License-Identifier: Apache-2.0
// Small fleets driven at random from a seed: operators, devices, timers, an engine that is killed, a store that makes
// transactions run twice and refuses some. After every step the whole store is compared with a recount from the
// execution records, every transition with the table, and every notification with the change that must have caused
// it. One seed alone: ./dev sim --seed N; more of them: ./dev sim --seeds COUNT.
#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>

#include "domain/jobs/fleet_fixture.h"

namespace muster::jobs {
namespace {

using store::Key;
namespace table = store::table;

constexpr int kThings = 5, kJobs = 7, kSteps = 110;

struct Row {
  std::string key, value;
};

// What the store says, read raw.
struct Snapshot {
  std::map<std::tuple<std::string, std::string, std::int64_t>, Execution> executions;  // thing, job, number
  std::map<std::string, std::vector<PendingEntry>> pending;                            // by thing
};

class Simulation {
 public:
  explicit Simulation(unsigned seed) : fleet_(limits()), random_(seed) {
    fleet_.add_group("g");
    fleet_.add_group("child", "g");
    fleet_.add_group("other");
    for (int i = 0; i < kThings; ++i) {
      fleet_.add_thing(thing(i));
      fleet_.join(i % 2 == 0 ? "g" : "child", thing(i));
      if (i % 3 == 0) fleet_.join("other", thing(i));
    }
    fleet_.store->set_faults({.seed = seed, .refuse = 0.03, .conflict = 0.2});
  }

  void run() {
    before_ = snapshot();
    for (int i = 0; i < kSteps && !testing::Test::HasFailure(); ++i) {
      fleet_.clock.advance_ms(static_cast<std::int64_t>(pick(3000)));
      step();
      check();
    }
    fleet_.store->set_faults({});
    fleet_.restart_engine();
    fleet_.settle();
    note_heard();
    before_ = snapshot();
    check();
    check_knowledge(before_);
    check_end();
  }

 private:
  static Limits limits() {
    Limits limits;
    limits.immediate_executions = 2;
    limits.engine_batch = 2;
    limits.notify_entries = 2;
    limits.pending_head = 3;
    limits.cached_jobs = 2;
    return limits;
  }
  static std::string thing(int i) { return "d" + std::to_string(i); }
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  std::string any_thing() { return thing(static_cast<int>(pick(kThings))); }
  std::string any_job() { return "j" + std::to_string(pick(kJobs)); }

  void step() {
    what_ = pick(14);
    switch (what_) {
      case 0:
      case 1:
        create();
        break;
      case 2:
      case 3:
        (void)fleet_.start(any_thing());
        break;
      case 4:
      case 5:
      case 6:
        update();
        break;
      case 7:
        (void)fleet_.cancel(any_job(), pick(2) == 0);
        break;
      case 8:
        (void)fleet_.cancel_one({any_thing(), any_job(), pick(2) == 0, {}, {}});
        break;
      case 9:
        (void)fleet_.remove_one({any_thing(), any_job(), 1}, pick(2) == 0);
        break;
      case 10:
        if (pick(3) == 0) (void)fleet_.remove(any_job(), pick(2) == 0);
        break;
      case 11:
        if (pick(3) == 0) delete_and_make_thing();
        break;
      case 12:
        fleet_.fire_timers();
        break;
      default:
        if (pick(4) == 0) fleet_.restart_engine();
        fleet_.engine->step();
    }
  }

  void create() {
    NewJob job = fleet_.job_on(any_job(), {});
    for (int i = 0; i < 2; ++i) job.targets.push_back(fleet_.thing_arn(any_thing()));
    if (pick(2) == 0) job.targets.push_back(fleet_.group_arn("g"));
    if (pick(2) == 0) job.targets.push_back(fleet_.group_arn(pick(2) == 0 ? "child" : "other"));
    if (pick(3) == 0) job.timeout_minutes = 1;
    (void)fleet_.create(job);
  }

  void update() {
    static const std::array<std::string, 5> kStatuses{"IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED", "CANCELED"};
    Update request;
    request.thing = any_thing();
    request.job = any_job();
    request.status = kStatuses[pick(kStatuses.size())];
    if (pick(3) == 0) request.expected_version = 1 + static_cast<std::int64_t>(pick(3));
    if (pick(3) == 0) request.step_timeout_minutes = pick(3) == 0 ? -1 : 1;
    if (pick(3) == 0) request.details = StatusDetails{{"n", std::to_string(pick(100))}};
    (void)fleet_.update(request);
  }

  // The thing goes and comes back: what was pending is over, and nothing else changes.
  void delete_and_make_thing() {
    const std::string name = any_thing();
    (void)fleet_.run_status(
        [&](store::Tx& tx, Effects& effects) { return thing_deleted(fleet_.context, tx, name, effects); });
  }

  std::vector<Row> rows(char tag) {
    std::vector<Row> all;
    const std::string prefix(1, tag);
    fleet_.store->set_faults({});
    const auto status = store::run_blocking(*fleet_.store, [&](store::Tx& tx) -> Status {
      all.clear();
      for (auto& row : tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = 100'000})) {
        all.push_back({row.key, row.value});
      }
      return {};
    });
    EXPECT_TRUE(status);
    fleet_.store->set_faults({.seed = random_(), .refuse = 0.03, .conflict = 0.2});
    return all;
  }

  Snapshot snapshot() {
    Snapshot now;
    for (const auto& row : rows(table::kExecution)) {
      store::KeyReader reader(row.key);
      const auto name = reader.text(), job = reader.text();
      const auto number = reader.descending();
      const auto execution = decode_execution(*number, row.value);
      EXPECT_TRUE(execution);
      now.executions.emplace(std::tuple(*name, *job, *number), *execution);
    }
    fleet_.store->set_faults({});
    for (int i = 0; i < kThings; ++i) {
      const auto entries = fleet_.run([&](store::Tx& tx) { return read_pending(tx, thing(i), 1000); });
      EXPECT_TRUE(entries);
      now.pending[thing(i)] = *entries;
    }
    return now;
  }

  std::set<std::string> keys(char tag) {
    std::set<std::string> all;
    for (const auto& row : rows(tag)) all.insert(row.key);
    return all;
  }

  // Every index, counter and timer against the records.
  void check_recount(const Snapshot& now) {
    std::set<std::string> by_thing, by_status, timers;
    std::map<std::string, JobCounts> counts;
    std::size_t pending = 0;
    for (const auto& [id, e] : now.executions) {
      const auto& [name, job, number] = id;
      if (is_terminal(e.status)) {
        by_thing.insert(
            Key(table::kThingExecution).text(name).descending(e.queued_ms).text(job).descending(number).str());
      }
      by_status.insert(
          Key(table::kJobStatusExecution).text(job).text(to_string(e.status)).text(name).descending(number).str());
      ++counts[job].by_status[static_cast<std::size_t>(e.status)];
      if (e.due_ms() != 0) timers.insert(timer_id({name, job, number}));
      if (is_terminal(e.status)) continue;
      ++pending;
      const auto& list = now.pending.at(name);
      const auto entry = std::ranges::find_if(list, [&](const auto& p) { return p.is(job, number); });
      ASSERT_NE(entry, list.end());
      EXPECT_EQ(entry->status, e.status);
      EXPECT_EQ(entry->version, e.version);
      EXPECT_EQ(entry->queued_ms, e.queued_ms);
      EXPECT_EQ(entry->started_ms, e.started_ms);
      EXPECT_EQ(entry->updated_ms, e.updated_ms);
    }
    EXPECT_EQ(keys(table::kThingExecution), by_thing);
    EXPECT_EQ(keys(table::kJobStatusExecution), by_status);
    std::size_t listed = 0;
    for (const auto& [name, list] : now.pending) listed += list.size();
    EXPECT_EQ(listed, pending);
    EXPECT_LE(rows(table::kPending).size(), pending);
    std::set<std::string> armed;
    for (const auto& row : rows(table::kTimer)) {
      store::KeyReader reader(row.key);
      reader.integer();
      if (reader.text() != kExecutionTimer) continue;
      armed.insert(*reader.text());
    }
    EXPECT_EQ(armed, timers);
    fleet_.store->set_faults({});
    for (int i = 0; i < kJobs; ++i) {
      const std::string job = "j" + std::to_string(i);
      const auto counted = fleet_.run([&](store::Tx& tx) -> Result<JobCounts> { return job_counts(tx, job); });
      EXPECT_EQ(counted->by_status, counts[job].by_status) << job;
    }
  }

  void check_transitions(const Snapshot& now) {
    for (const auto& [id, e] : now.executions) {
      const auto it = before_.executions.find(id);
      if (it == before_.executions.end() || it->second.queued_ms != e.queued_ms) {
        // New, or deleted and made again: created by nobody but the rollout.
        EXPECT_EQ(e.status, ExecutionStatus::kQueued);
        EXPECT_EQ(e.version, 1);
        continue;
      }
      const auto& was = it->second;
      EXPECT_GE(e.version, was.version);
      if (was.status == e.status) continue;
      const auto allowed = [&](Actor actor) { return may_become(was.status, e.status, actor); };
      EXPECT_TRUE(allowed(Actor::kDevice) || allowed(Actor::kOperator) || allowed(Actor::kOperatorByForce) ||
                  allowed(Actor::kService))
          << to_string(was.status) << " to " << to_string(e.status);
    }
  }

  using Members = std::set<std::tuple<std::string, std::int64_t, std::int64_t>>;  // job, number, queued
  static Members members(const std::vector<PendingEntry>& list) {
    Members all;
    for (const auto& p : list) all.emplace(p.job, p.number, p.queued_ms);
    return all;
  }

  using Messages = std::map<std::string, std::vector<Heard>>;  // by thing
  void note_heard() {
    Messages notify, next;
    hear(notify, next);
  }
  void hear(Messages& notify, Messages& next) {
    fleet_.store->set_faults({});
    for (auto& message : fleet_.heard()) {
      if (message.suffix == "notify") known_[message.thing] = message.payload.at("jobs").as_object();
      if (message.suffix == "notify-next") {
        known_next_[message.thing] = message.payload.contains("execution")
                                         ? std::string(get_string(message.payload.at("execution").as_object(), "jobId"))
                                         : "";
      }
      (message.suffix == "notify" ? notify : next)[message.thing].push_back(message);
    }
  }

  void check_notifications(const Snapshot& now) {
    Messages notify, next;
    hear(notify, next);
    const bool many = what_ == 12;  // several timers, each a change of its own
    for (int i = 0; i < kThings; ++i) {
      const auto& was = before_.pending.at(thing(i));
      const auto& is = now.pending.at(thing(i));
      const bool changed = members(was) != members(is);
      const bool head_changed =
          was.empty() != is.empty() ||
          (!is.empty() && (was.front().job != is.front().job || was.front().queued_ms != is.front().queued_ms));
      const auto told = notify[thing(i)].size(), told_next = next[thing(i)].size();
      if (many) {
        EXPECT_EQ(told > 0, changed);
        EXPECT_GE(told_next, head_changed ? 1u : 0u);
      } else {
        EXPECT_EQ(told, changed ? 1u : 0u);
        // What a canceled job has withdrawn is passed over before it is swept: the head may differ from the list's
        // first.
        EXPECT_LE(told_next, 1u);
      }
    }
  }

  // When all is quiet, what a device was last told is what is so.
  void check_knowledge(const Snapshot& now) {
    for (int i = 0; i < kThings; ++i) {
      const auto& is = now.pending.at(thing(i));
      std::size_t listed = 0;
      for (const auto& list : known_[thing(i)]) listed += list.value().as_array().size();
      EXPECT_EQ(listed, std::min<std::size_t>(is.size(), 2)) << thing(i);
      EXPECT_EQ(known_next_[thing(i)], is.empty() ? "" : is.front().job) << thing(i);
    }
  }

  void check() {
    const Snapshot now = snapshot();
    SCOPED_TRACE("step kind " + std::to_string(what_));
    check_recount(now);
    check_transitions(now);
    check_notifications(now);
    before_ = now;
  }

  // The engine has nothing left to do: jobs are in the state that their executions say.
  void check_end() {
    fleet_.store->set_faults({});
    const Snapshot now = snapshot();
    for (int i = 0; i < kJobs; ++i) {
      const auto job = fleet_.describe("j" + std::to_string(i));
      if (!job) continue;
      EXPECT_FALSE(job->job->is_concurrent());
      EXPECT_NE(job->job->status, JobStatus::kDeletionInProgress);
      if (job->job->status == JobStatus::kInProgress) EXPECT_GT(job->counts.pending(), 0);
      if (job->job->status == JobStatus::kCompleted) EXPECT_EQ(job->counts.pending(), 0);
      if (job->job->status == JobStatus::kCanceled) EXPECT_EQ(job->counts.of(ExecutionStatus::kQueued), 0);
    }
    for (const auto& [id, e] : now.executions) {
      EXPECT_TRUE(fleet_.describe(std::get<1>(id))) << "execution of a job that is gone";
    }
  }

  Fleet fleet_;
  std::mt19937_64 random_;
  Snapshot before_;
  std::map<std::string, json::object> known_;      // lists of the last notify, by thing
  std::map<std::string, std::string> known_next_;  // job of the last notify-next
  std::uint64_t what_ = 0;
};

class JobsSimulation : public testing::TestWithParam<unsigned> {};

TEST_P(JobsSimulation, keeps_every_invariant) {
  Simulation(GetParam()).run();
}

// MUSTER_SIM_SEED: that one alone; MUSTER_SIM_SEEDS: that many from 0.
unsigned from_environment(const char* name, unsigned fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
}
const unsigned kFirst = from_environment("MUSTER_SIM_SEED", 0);
const unsigned kEnd =
    std::getenv("MUSTER_SIM_SEED") != nullptr ? kFirst + 1 : from_environment("MUSTER_SIM_SEEDS", 100);

INSTANTIATE_TEST_SUITE_P(Seed, JobsSimulation, testing::Range(kFirst, kEnd),
                         [](const auto& seed) { return std::to_string(seed.param); });

}  // namespace
}  // namespace muster::jobs
