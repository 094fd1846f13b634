// SPDX-License-Identifier: Apache-2.0
// Durable timers: due times that survive a crash. arm() and disarm() are part of the caller's transaction; the pump
// fires what is due, in its own transaction per timer: the handler's writes and the timer's removal commit together, so
// a timer's effect happens once although its handler may be re-run. One timer per (kind, id): arming again moves it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "store/store.h"

namespace muster::store {

void arm(Tx& tx, std::string_view kind, std::string_view id, std::int64_t due_ms, std::string_view payload = {});
void disarm(Tx& tx, std::string_view kind, std::string_view id);
// For who keeps the due time in a record of its own: from one time to another without looking it up; 0: not armed. Not
// to be mixed with arm() and disarm() for the same timer.
struct Rearm {
  std::int64_t from_ms = 0, to_ms = 0;
};
void rearm(Tx& tx, std::string_view kind, std::string_view id, Rearm times);

// Runs inside the transaction that removes the timer; may arm the same timer again. `committed`, when it sets it, is
// called once after the commit, on any thread; a run that is thrown away leaves nothing behind.
using TimerHandler =
    std::function<Status(Tx& tx, std::string_view id, std::string_view payload, std::function<void()>& committed)>;

class Timers {
 public:
  // `now` is the wall clock in ms (virtual in tests). Without start_thread() the owner calls fire_due() itself.
  Timers(Store& store, std::function<std::int64_t()> now);
  ~Timers();
  void handle(std::string_view kind, TimerHandler handler);  // before start_thread()
  void start_thread();                                       // looks at the next due time and at least once a second
  // Fires everything due now; returns the next due time, or -1 when none is armed. A handler's error is logged and its
  // timer retried after a minute.
  std::int64_t fire_due();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::store
