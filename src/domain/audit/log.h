// SPDX-License-Identifier: Apache-2.0
// Log: the audit log being written. Owned by server/wiring; thread-safe. Two threads of its own: one puts lines into
// the current segment, one syncs, so that whoever waits for less does not wait for the disk. All who wait share one
// sync. Who waits for a line in the file alone (a read) writes it itself, into the page cache, when nobody is at the
// file and no sync is under way: to wake the writer costs several times as much.
//
// Promises: append() calls `done` when the line is in the file, or for `durable` ones on stable storage; what nobody
// waits for is synced within a second. A failed write or sync makes failing() true, is told to whoever waits
// (kUnavailable), and is tried again until it succeeds: lines are kept in memory meanwhile, and what was half written
// is written anew. Space is reserved ahead of the lines, so that a full disk is missed before something is changed.
//
// Seals are put at the start of a segment, at least each minute in which something was recorded, and at the end. Whole
// segments are removed when they are older than keep_days or all are larger than keep_bytes.
//
// Bounds: lines waiting in memory max_waiting_bytes; beyond that append() is refused (kUnavailable).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "domain/audit/chain.h"
#include "io/env.h"

namespace muster::audit {

struct LogFiles {
  std::string directory;   // of the segments; made (0700) when absent
  std::string key;         // private, made when there is no log yet
  std::string public_key;  // for who verifies elsewhere
  std::string head;        // chain.h, Head
};

struct LogOptions {
  LogFiles files;
  std::uint64_t segment_bytes = 16u << 20;
  std::int64_t keep_days = 0;    // 0: for ever
  std::uint64_t keep_bytes = 0;  // 0: no bound
  std::int64_t seal_every_ms = 60'000;
  std::size_t max_waiting_bytes = 32u << 20;
  std::function<bool()> may_write;  // tests: called before each write and sync; false makes it fail
};

class Log {
 public:
  using Done = std::function<void(Status)>;

  // Repairs what a crash left (chain.h, notes) and seals. kUnavailable: the files cannot be used. kConflict: another
  // process writes them. kInvalid: the key or
  // the head does not fit the log; somebody has to look.
  static Result<std::unique_ptr<Log>> open(LogOptions options, const io::Clock& clock);
  ~Log();  // writes what waits, unless writing fails, and seals

  // `event_json` has no line break. `done` may be null; it is called once, on any thread, possibly before this returns.
  void append(std::string event_json, bool durable, Done done);
  // Called on a thread of the log's, about every second. Before the first append().
  void on_tick(std::function<void()> tick);
  // Seals now and waits for it; false while failing.
  bool seal();

  bool failing() const;
  const std::string& directory() const;
  std::uint64_t events() const;  // appended to the file since the start
  std::uint64_t syncs() const;

  struct State;

 private:
  explicit Log(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace muster::audit
