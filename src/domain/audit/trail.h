// SPDX-License-Identifier: Apache-2.0
// Trail: where calls are recorded. Owns the Log and the memory of denials; owned by server/wiring, thread-safe.
//
// What is recorded: all control-plane calls, denied calls of whatever plane, and, with data_events, the data planes'
// too. Denials of one kind are collapsed (denials.h). Changes and denials of changes are on stable storage before
// `done` is called, the rest in the file.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/ids.h"
#include "domain/audit/denials.h"
#include "domain/audit/event.h"
#include "domain/audit/log.h"
#include "io/env.h"

namespace muster::audit {

struct TrailOptions {
  Realm realm;
  bool data_events = false;
};

class Trail {
 public:
  Trail(std::unique_ptr<Log> log, const io::Clock& clock, TrailOptions options);
  ~Trail();  // records what was counted

  bool records_data() const { return options_.data_events; }
  // kUnavailable while changes could not be recorded: they must not be made.
  Status may_change() const;

  // Region, account and, when they are absent, time and ids are filled in. `done` as Log::append.
  void record(Event event, Log::Done done);
  // Of a call that was refused for who made it, or that a stranger made wrongly.
  void record_denial(Event event, Log::Done done);

  const Log& log() const { return *log_; }
  std::string directory() const { return directory_; }

 private:
  void complete(Event& event) const;
  void summarise(Log& log);

  const io::Clock& clock_;
  const TrailOptions options_;
  const std::string directory_;
  std::mutex mutex_;
  Denials denials_;
  std::unique_ptr<Log> log_;  // its thread calls summarise(): ends first
};

}  // namespace muster::audit
