// SPDX-License-Identifier: Apache-2.0
// Store: one ordered map of byte keys to byte values with serialisable transactions; the only place where state lives.
// Three engines pass the same tests (store/store_suite_test.h): memory (tests, seeded faults), embedded (RocksDB, group
// commit) and the distributed one (a PostgreSQL-wire database).
//
// A transaction body is an ordinary synchronous function over Tx&. It may run more than once (a conflict re-runs it),
// so it has no effect but its writes and its return value. Its result is released only after
//   - the reads are known to have been consistent (no other commit changed what it read), and
//   - what it wrote, and everything it read, is on stable storage.
// Reads cannot fail one by one: an I/O error poisons the transaction, reads then answer "absent", and the transaction
// ends in kUnavailable, its body's result thrown away. One read (a range too) is of one moment; two reads of a run may
// straddle another commit, and then the run is thrown away and the body runs again: a body answers odd state with an
// error, never with a CHECK.
//
// kUnavailable: the disk or database refuses; nothing was changed as far as is known. kThrottled: more is waiting for
// the disk than the bound allows; try later.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.h"
#include "store/change_feed.h"

namespace muster::store {

// Bounds; beyond them the transaction is poisoned and ends in kTooLarge. The key bound is what a PostgreSQL index
// takes.
inline constexpr std::size_t kMaxKeyBytes = 2600;
inline constexpr std::size_t kMaxValueBytes = std::size_t{16} << 20;
inline constexpr std::size_t kMaxTransactionBytes = std::size_t{64} << 20;

struct KeyValue {
  std::string key;
  std::string value;
};

// Keys in [begin, end); pages by calling again with begin = last key + '\0' (or end = last key when reverse).
struct RangeOptions {
  std::string begin;
  std::string end;
  std::size_t limit = 1000;
  bool reverse = false;
  // A snapshot read does not conflict with concurrent writers: for listings and statistics, never for decisions.
  bool snapshot = false;
};

class Tx {
 public:
  virtual ~Tx() = default;

  virtual std::optional<std::string> get(std::string_view key) = 0;  // sees this transaction's own writes
  // One round trip on the distributed engine; same order as `keys`.
  virtual std::vector<std::optional<std::string>> get_many(const std::vector<std::string>& keys) = 0;
  // The same without conflicting (see RangeOptions::snapshot).
  virtual std::vector<std::optional<std::string>> get_many_snapshot(const std::vector<std::string>& keys) = 0;
  virtual std::vector<KeyValue> range(const RangeOptions& options) = 0;
  // Reads without conflicting (see RangeOptions::snapshot).
  virtual std::optional<std::string> get_snapshot(std::string_view key) = 0;

  virtual void put(std::string_view key, std::string_view value) = 0;
  virtual void erase(std::string_view key) = 0;
  // Stores `value` under prefix + a stamp that grows in commit order + a counter within the transaction (two integer
  // components, see keys.h): the order of queues and logs. The key is known only after commit.
  virtual void append(std::string_view prefix, std::string_view value) = 0;
  // Adds to a counter without conflicting with others that add. Counters are read with counter(); a read is a snapshot.
  // The engine decides how to spread a hot counter. Key space of its own kind (schema.h, Kind::kCounter), not seen by
  // get() and range(). counter() sees this transaction's own changes.
  virtual void add(std::string_view counter_key, std::int64_t delta) = 0;
  virtual std::int64_t counter(std::string_view counter_key) = 0;
  virtual void erase_counter(std::string_view counter_key) = 0;

  // Milliseconds since the epoch, fixed for the run of this body; domain code knows no other clock.
  virtual std::int64_t now_ms() const = 0;
};

struct Stats {
  std::uint64_t commits = 0, conflicts = 0, syncs = 0, bytes_written = 0;
  std::uint64_t sync_microseconds = 0;  // spent waiting for stable storage
};

class Store {
 public:
  using Body = std::function<Status(Tx&)>;
  // Called exactly once, on a thread of the engine's choosing (possibly the caller's, before run() returns); must not
  // block. Success means: durable. An error of the body comes back unchanged and writes nothing.
  using Done = std::function<void(Status)>;

  virtual ~Store() = default;

  // Runs the body (embedded and memory: on the calling thread, at once; distributed: on a worker), commits, re-runs it
  // on conflict (bounded, then kConflict), calls done. Thread-safe.
  virtual void run(Body body, Done done) = 0;

  // Waits until everything accepted before is durable; false when the store has failed.
  virtual bool flush() = 0;
  virtual Stats stats() const = 0;
  // A consistent copy into an empty or absent directory, while running. kNotSupported where the engine has its own
  // tools.
  virtual Status checkpoint(const std::string& directory) = 0;

  ChangeFeed& changes() { return changes_; }

 private:
  ChangeFeed changes_;
};

// For tests, start-up and worker threads: blocks until durable. Never on an I/O thread.
Status run_blocking(Store& store, const Store::Body& body);

// The typed form: body returns Result<T>. T needs a default constructor.
template <class F>
auto run_blocking_for(Store& store, F&& body) -> std::invoke_result_t<F&, Tx&> {
  std::invoke_result_t<F&, Tx&> result;
  Status status = run_blocking(store, [&](Tx& tx) -> Status {
    result = body(tx);
    if (!result) return result.error();
    return {};
  });
  if (!status) return std::move(status).error();
  return result;
}

}  // namespace muster::store
