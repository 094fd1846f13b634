// SPDX-License-Identifier: Apache-2.0
// RegistrationWorker: carries out bulk registration tasks, the oldest first, one at a time. A transaction takes a batch
// of lines; what it did, its reports and how far the task is commit together, so a crash neither skips nor doubles a
// line. The next batch is read and run while the one before is on its way to the disk. Each line succeeds or fails by
// itself (savepoint.h). Everything is done as the task's role; the role's rights are asked for a whole batch at once,
// and line by line only where something is denied. A task ends in Failed when its file is gone or another one, when its
// role is not to be had any more, after 1,000 lines in a row that are no JSON, and 24 hours after its start. Owned by
// server/wiring; one thread, asleep until poked; step() instead of it in tests.
#pragma once

#include <functional>
#include <memory>

#include "domain/objects/blobs.h"
#include "domain/provisioning/context.h"
#include "domain/provisioning/registration_tasks.h"
#include "store/store.h"

namespace muster::provisioning {

class RegistrationWorker {
 public:
  // References outlive it.
  RegistrationWorker(const Context& context, store::Store& store, const objects::Blobs& blobs,
                     std::function<std::int64_t()> now);
  ~RegistrationWorker();
  RegistrationWorker(const RegistrationWorker&) = delete;
  RegistrationWorker& operator=(const RegistrationWorker&) = delete;

  void start_thread();
  void stop();  // when what is under way is durable
  void poke();  // a task was started or stopped; any thread
  // One batch, or one step of a report. False: nothing to do.
  bool step();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace muster::provisioning
