// SPDX-License-Identifier: Apache-2.0
// Engine: looks after active jobs: starts and suspends them by their schedules, creates executions for targets in
// bounded batches at the rate that the job allows, aborts, ends and completes jobs, carries out cancellations and
// deletions. What to do is decided by plan.h. All progress is in the store, so that kill -9 at any instruction loses
// nothing: at start it looks at every job in kJobActive, later at those it is poked about and those whose time has
// come. Owned by server/wiring. step() on one thread at a time: its own worker (start_thread) or a test; poke() from
// any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "domain/jobs/context.h"
#include "domain/jobs/job.h"
#include "domain/jobs/plan.h"
#include "store/store.h"
#include "store/timers.h"

namespace muster::jobs {

// What one bounded transaction did for a job.
enum class Advance : std::uint8_t {
  kMore,  // there is more to do now
  kIdle,  // nothing to do until somebody pokes, or wake_ms
  kGone,  // the job needs the engine no more (finished, canceled and swept, deleted)
};
struct Step {
  Advance advance = Advance::kIdle;
  // Where the next batch of the same work starts: spares it the range that earlier batches emptied. Only a hint: an
  // empty one (after a restart) is as right.
  std::string position;
  std::int64_t wake_ms = 0;    // kIdle: look again then; 0: only when poked
  std::size_t executions = 0;  // touched
};
Result<Step> advance_job(const Context& context, store::Tx& tx, std::string_view job_id, std::string_view position,
                         std::size_t batch, Effects& effects);

// What advance_job() decides by; also for `why` and the plan of a dry run.
Result<Facts> read_facts(const Context& context, store::Tx& tx, const Job& job);

class Engine {
 public:
  // `signals.engine` is ignored: the engine pokes itself. The store outlives it. `now`: wall clock in ms.
  Engine(store::Store& store, Context context, Signals signals, std::function<std::int64_t()> now);
  ~Engine();  // stops the thread after its current transaction
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Handles kExecutionTimer and kRetentionTimer. Before timers.start_thread().
  void register_timers(store::Timers& timers);
  void start_thread();
  void stop();
  // Something about the job was committed. Coalesced, thread-safe, cheap.
  void poke(std::string_view job_id);
  // Looks at all active jobs again; also done by start_thread() and by the first step().
  void poke_all();
  // One transaction for one job. False when nothing is left to do now.
  bool step();
  // When the earliest job wants to be looked at again; 0: none does.
  std::int64_t next_wake_ms();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::jobs
