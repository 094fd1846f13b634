// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/engine.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_set>

#include "base/log.h"
#include "domain/jobs/cancel.h"
#include "domain/jobs/executions.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::jobs {

namespace table = store::table;

namespace {

constexpr auto kRest = std::chrono::milliseconds(20);  // between rounds: pokes gather meanwhile
constexpr auto kRetry = std::chrono::seconds(1);       // after the store refused
constexpr std::int64_t kTryAgainMs = 200;              // after a transaction that was too much
constexpr std::int64_t kLookAgainMs = 60'000;          // at every active job, should a poke have been lost
constexpr std::size_t kActivePage = 500;
// Transactions of which the body has run and the disk has yet to hear: the next one is made meanwhile.
constexpr std::size_t kUnderWay = 8;

}  // namespace

struct Engine::State : std::enable_shared_from_this<Engine::State> {
  store::Store& store;
  Context context;
  Signals signals;
  std::function<std::int64_t()> now;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> queue;  // jobs to look at, each once
  std::unordered_set<std::string> queued;
  std::map<std::string, std::string> positions;  // by job: where its sweep or deletion is
  std::map<std::string, std::int64_t> wakes;     // by job
  std::set<std::pair<std::int64_t, std::string>> wake_order;
  std::map<std::string, std::size_t> batches;  // by job: smaller ones, after a transaction that was too much
  std::int64_t last_look_ms = 0;
  bool look_at_all = true;    // load the list of active jobs
  std::string active_from;    // where loading goes on
  std::size_t under_way = 0;  // transactions
  bool stopping = false;
  bool failing = false;  // the last transaction was refused
  std::thread thread;

  State(store::Store& s, Context c, Signals g, std::function<std::int64_t()> n)
      : store(s), context(std::move(c)), signals(std::move(g)), now(std::move(n)) {
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

  void wake_locked(const std::string& job, std::int64_t at_ms) {
    if (const auto it = wakes.find(job); it != wakes.end()) {
      wake_order.erase({it->second, job});
      wakes.erase(it);
    }
    if (at_ms == 0) return;
    wakes[job] = at_ms;
    wake_order.emplace(at_ms, job);
  }

  // Should a poke have been lost. The wall clock may be set back.
  void look_again_locked() {
    const std::int64_t since_ms = now() - last_look_ms;
    if (since_ms >= kLookAgainMs || since_ms < 0) look_at_all = true;
  }

  void enqueue_due_locked() {
    const std::int64_t now_ms = now();
    while (!wake_order.empty() && wake_order.begin()->first <= now_ms) {
      const std::string job = wake_order.begin()->second;
      wake_locked(job, 0);
      enqueue_locked(job);
    }
  }

  bool load_active();
  bool advance(const std::string& job);
  void take_step(const std::string& job, const Step& step);
  void ended(const std::string& job, const Status& status, const Effects& effects);
  void refused_locked(const std::string& job, ErrorKind kind);
  bool step();
  void wait_locked(std::unique_lock<std::mutex>& lock);
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
  if (!look_at_all) last_look_ms = now();
  active_from = look_at_all ? store::after_key(rows->back().key) : std::string();
  return true;
}

void Engine::State::take_step(const std::string& job, const Step& step) {
  const std::lock_guard lock(mutex);
  if (step.position.empty()) {
    positions.erase(job);
  } else {
    positions[job] = step.position;
  }
  wake_locked(job, step.advance == Advance::kIdle ? step.wake_ms : 0);
  if (step.advance == Advance::kMore) enqueue_locked(job);
}

void Engine::State::ended(const std::string& job, const Status& status, const Effects& effects) {
  if (status) {
    told(effects);
  } else {
    log::warn("jobs engine could not advance a job", {{"job", job}, {"error", status.error().message}});
  }
  const std::lock_guard lock(mutex);
  --under_way;
  if (!status) {
    positions.erase(job);
    refused_locked(job, status.error().kind);
  } else if (const auto it = batches.find(job); it != batches.end()) {
    it->second *= 2;
    if (it->second >= context.limits.engine_batch) batches.erase(it);
  }
  changed.notify_all();
}

void Engine::State::refused_locked(const std::string& job, ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInternal:  // a corrupt record would fail for ever: the next look at all jobs tries again
      return;
    case ErrorKind::kConflict:  // too much at once for what others do with it, or for one transaction
    case ErrorKind::kTooLarge: {
      const auto it = batches.try_emplace(job, context.limits.engine_batch).first;
      it->second = std::max<std::size_t>(1, it->second / 2);
      return wake_locked(job, now() + kTryAgainMs);
    }
    default:
      failing = true;
      enqueue_locked(job);
  }
}

// One transaction. Returns when its body has run, which on the local engines is before the disk has it: what it wrote
// is visible to the next one, and if the disk refuses, it refuses that one too, and the job is looked at again. False
// when the store refused.
bool Engine::State::advance(const std::string& job) {
  struct Run {
    std::string position;
    std::size_t batch = 0;
    Effects effects;
    Step step;
    bool ran = false;    // as far as the calling thread can see
    bool ended = false;  // with `status`
    Status status;
  };
  auto one = std::make_shared<Run>();
  one->batch = context.limits.engine_batch;
  {
    const std::lock_guard lock(mutex);
    if (const auto it = positions.find(job); it != positions.end()) one->position = it->second;
    if (const auto it = batches.find(job); it != batches.end()) one->batch = it->second;
    ++under_way;
  }
  const auto caller = std::this_thread::get_id();
  store.run(
      [self = shared_from_this(), one, job, caller](store::Tx& tx) -> Status {
        one->effects = {};
        auto step = advance_job(self->context, tx, job, one->position, one->batch, one->effects);
        if (!step) return step.error();
        one->step = *std::move(step);
        one->ran = std::this_thread::get_id() == caller;
        return {};
      },
      [self = shared_from_this(), one, job](const Status& status) {
        self->ended(job, status, one->effects);
        const std::lock_guard lock(self->mutex);
        one->status = status;
        one->ended = true;
        self->changed.notify_all();
      });
  std::unique_lock lock(mutex);
  if (!one->ran || one->ended) {
    changed.wait(lock, [&] { return one->ended; });
    if (!one->status) return !failing;
  }
  const Step step = one->step;
  lock.unlock();
  take_step(job, step);
  lock.lock();
  changed.wait(lock, [&] { return under_way < kUnderWay; });
  return true;
}

bool Engine::State::step() {
  std::string job;
  bool load = false;
  {
    const std::lock_guard lock(mutex);
    enqueue_due_locked();
    look_again_locked();
    load = look_at_all;
    if (queue.empty() && !load) return false;
    if (!load) {
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

// Until there is something to do.
void Engine::State::wait_locked(std::unique_lock<std::mutex>& lock) {
  constexpr std::int64_t kLongestMs = 1000;
  while (!stopping) {
    enqueue_due_locked();
    look_again_locked();
    if (!queue.empty() || look_at_all) return;
    std::int64_t wait_ms = kLongestMs;
    if (!wake_order.empty()) wait_ms = std::clamp<std::int64_t>(wake_order.begin()->first - now(), 1, kLongestMs);
    changed.wait_for(lock, std::chrono::milliseconds(wait_ms));
  }
}

void Engine::State::run() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    if (queue.empty() && !look_at_all) {
      wait_locked(lock);
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

Engine::Engine(store::Store& store, Context context, Signals signals, std::function<std::int64_t()> now)
    : state_(std::make_shared<State>(store, std::move(context), std::move(signals), std::move(now))) {}

Engine::~Engine() {
  stop();
}

void Engine::register_timers(store::Timers& timers) {
  using Due = Status (*)(const Context&, store::Tx&, std::string_view, Effects&);
  const auto handle = [&](std::string_view kind, Due due) {
    // The pump may outlive the engine.
    timers.handle(kind,
                  [weak = std::weak_ptr(state_), due](store::Tx& tx, std::string_view id, std::string_view,
                                                      std::function<void()>& committed) -> Status {
                    const auto state = weak.lock();
                    if (!state) return make_error(ErrorKind::kUnavailable, "the jobs engine has stopped");
                    Effects effects;
                    TRY_VOID(due(state->context, tx, id, effects));
                    committed = [state, effects = std::move(effects)] { state->told(effects); };
                    return {};
                  });
  };
  handle(kExecutionTimer, execution_timer_due);
  handle(kRetentionTimer, retention_due);
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
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->under_way == 0; });
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

std::int64_t Engine::next_wake_ms() {
  const std::lock_guard lock(state_->mutex);
  return state_->wake_order.empty() ? 0 : state_->wake_order.begin()->first;
}

}  // namespace muster::jobs
