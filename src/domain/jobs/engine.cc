// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/engine.h"

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "base/log.h"
#include "domain/jobs/executions.h"
#include "domain/jobs/rollout.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::jobs {

namespace table = store::table;

namespace {

constexpr auto kRest = std::chrono::milliseconds(20);    // between rounds: pokes gather meanwhile
constexpr auto kRetry = std::chrono::seconds(1);         // after the store refused
constexpr auto kLater = std::chrono::milliseconds(500);  // until a timer's transaction has committed
constexpr auto kLookAgain = std::chrono::minutes(1);     // at every active job, should a poke have been lost
constexpr std::size_t kActivePage = 500;

Step gone() {
  return {Advance::kGone, {}};
}

Result<Step> complete_if_done(store::Tx& tx, const Job& stored) {
  if (stored.selection != Selection::kSnapshot || !all_terminal(tx, stored.id)) return Step{};
  Job job = stored;
  job.status = JobStatus::kCompleted;
  job.completed_ms = job.updated_ms = tx.now_ms();
  put_job(tx, job);
  mark_inactive(tx, job.id);
  return gone();
}

}  // namespace

Result<Step> advance_job(const Context& context, store::Tx& tx, std::string_view job_id, std::string_view position,
                         std::size_t batch, Effects& effects) {
  TRY(const auto stored, find_job(context, tx, job_id));
  if (!stored) {
    mark_inactive(tx, job_id);
    return gone();
  }
  if (stored->status == JobStatus::kDeletionInProgress) {
    TRY(Progress progress, purge(context, tx, *stored, position, batch, effects));
    if (progress.finished) return gone();
    return Step{Advance::kMore, std::move(progress.position)};
  }
  if (stored->sweep != Sweep::kNone) {
    TRY(Progress progress, sweep(context, tx, *stored, position, batch, effects));
    if (!progress.finished) return Step{Advance::kMore, std::move(progress.position)};
    Job job = *stored;
    job.sweep = Sweep::kNone;
    put_job(tx, job);
    mark_inactive(tx, job.id);
    return gone();
  }
  if (stored->status != JobStatus::kInProgress) {
    if (stored->status != JobStatus::kScheduled) mark_inactive(tx, job_id);
    return gone();
  }
  if (stored->rolled_out) return complete_if_done(tx, *stored);
  TRY(const Progress progress, roll_out(context, tx, *stored, batch, effects));
  if (!progress.finished) return Step{Advance::kMore, {}};
  Job job = *stored;
  job.rolled_out = true;
  put_job(tx, job);
  return Step{Advance::kMore, {}};  // devices may have finished all of it already
}

struct Engine::State {
  store::Store& store;
  Context context;
  Signals signals;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> queue;  // jobs to look at, each once
  std::unordered_set<std::string> queued;
  std::unordered_set<std::string> later;         // touched by transactions that have yet to commit
  std::map<std::string, std::string> positions;  // by job: where its sweep or deletion is
  bool look_at_all = true;                       // load the list of active jobs
  std::string active_from;                       // where loading goes on
  bool stopping = false;
  bool failing = false;  // the last transaction was refused
  std::thread thread;

  State(store::Store& s, Context c, Signals g) : store(s), context(std::move(c)), signals(std::move(g)) {
    signals.engine = nullptr;
  }

  void enqueue_locked(std::string_view job) {
    std::string id(job);
    if (!queued.insert(id).second) return;
    queue.push_back(std::move(id));
    changed.notify_one();
  }

  void poke(std::string_view job) {
    const std::lock_guard lock(mutex);
    enqueue_locked(job);
  }

  void told(const Effects& effects) {
    signals.send(effects);
    for (const auto& job : effects.jobs) poke(job);
  }

  bool load_active();
  bool advance(const std::string& job);
  bool step();
  void run();
};

// A page of the jobs in kJobActive. False when the store refused.
bool Engine::State::load_active() {
  std::string from;
  {
    const std::lock_guard lock(mutex);
    from = active_from;
  }
  const std::string prefix(1, table::kJobActive);
  auto rows = store::run_blocking_for(store, [&](store::Tx& tx) -> Result<std::vector<store::KeyValue>> {
    store::RangeOptions options;
    options.begin = from.empty() ? prefix : from;
    options.end = store::after_prefix(prefix);
    options.limit = kActivePage;
    options.snapshot = true;
    return tx.range(options);
  });
  if (!rows) {
    log::warn("jobs engine cannot read the store", {{"error", rows.error().message}});
    return false;
  }
  const std::lock_guard lock(mutex);
  for (const auto& row : *rows) {
    if (const auto id = store::KeyReader(row.key).text()) enqueue_locked(*id);
  }
  look_at_all = rows->size() == kActivePage;
  active_from = look_at_all ? store::after_key(rows->back().key) : std::string();
  return true;
}

// One transaction. False when the store refused.
bool Engine::State::advance(const std::string& job) {
  std::string position;
  {
    const std::lock_guard lock(mutex);
    if (const auto it = positions.find(job); it != positions.end()) position = it->second;
  }
  Effects effects;
  auto step = store::run_blocking_for(store, [&](store::Tx& tx) -> Result<Step> {
    effects = {};
    return advance_job(context, tx, job, position, context.limits.engine_batch, effects);
  });
  if (!step) {
    log::warn("jobs engine could not advance a job", {{"job", job}, {"error", step.error().message}});
    const bool refused = step.error().kind != ErrorKind::kInternal;
    const std::lock_guard lock(mutex);
    if (refused) enqueue_locked(job);  // a corrupt record would fail for ever: the next look at all jobs tries again
    return !refused;
  }
  {
    const std::lock_guard lock(mutex);
    if (step->position.empty()) {
      positions.erase(job);
    } else {
      positions[job] = step->position;
    }
    if (step->advance == Advance::kMore) enqueue_locked(job);
  }
  told(effects);
  return true;
}

bool Engine::State::step() {
  std::string job;
  bool load = false;
  {
    const std::lock_guard lock(mutex);
    if (queue.empty()) {
      for (const auto& id : later) enqueue_locked(id);
      later.clear();
    }
    if (queue.empty()) {
      load = look_at_all;
      if (!load) return false;
    } else {
      job = std::move(queue.front());
      queue.pop_front();
      queued.erase(job);
    }
  }
  const bool ok = load ? load_active() : advance(job);
  const std::lock_guard lock(mutex);
  failing = !ok;
  return true;
}

void Engine::State::run() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    if (queue.empty() && !look_at_all) {
      const bool waiting = !later.empty();
      const auto woken = [&] { return stopping || !queue.empty() || look_at_all || (!waiting && !later.empty()); };
      const bool idle = !changed.wait_for(lock, waiting ? std::chrono::nanoseconds(kLater) : kLookAgain, woken);
      if (idle && !waiting) look_at_all = true;
      if (queue.empty() && !look_at_all && !idle) continue;  // only something for later came
      if (stopping) break;
      // Many executions end at once: one look at the job does for all of them.
      changed.wait_for(lock, kRest, [&] { return stopping; });
      if (stopping) break;
    }
    lock.unlock();
    step();
    lock.lock();
    if (failing) changed.wait_for(lock, kRetry, [&] { return stopping; });
  }
}

Engine::Engine(store::Store& store, Context context, Signals signals)
    : state_(std::make_shared<State>(store, std::move(context), std::move(signals))) {}

Engine::~Engine() {
  stop();
}

void Engine::register_timers(store::Timers& timers) {
  // The pump may outlive the engine.
  timers.handle(kExecutionTimer,
                [weak = std::weak_ptr(state_)](store::Tx& tx, std::string_view id, std::string_view) -> Status {
                  const auto state = weak.lock();
                  if (!state) return make_error(ErrorKind::kUnavailable, "the jobs engine has stopped");
                  Effects effects;
                  TRY_VOID(execution_timer_due(state->context, tx, id, effects));
                  // Before the commit, which this cannot see: the outbox looks by itself within a second, the engine
                  // later.
                  state->signals.send(effects);
                  const std::lock_guard lock(state->mutex);
                  state->later.insert(effects.jobs.begin(), effects.jobs.end());
                  state->changed.notify_one();
                  return {};
                });
}

void Engine::start_thread() {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

void Engine::stop() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    state_->changed.notify_all();
  }
  if (state_->thread.joinable()) state_->thread.join();
}

void Engine::poke(std::string_view job_id) {
  state_->poke(job_id);
}

void Engine::poke_all() {
  const std::lock_guard lock(state_->mutex);
  state_->look_at_all = true;
  state_->active_from.clear();
  state_->changed.notify_one();
}

bool Engine::step() {
  return state_->step();
}

}  // namespace muster::jobs
