// SPDX-License-Identifier: Apache-2.0
// BufferedTx: what the transactions of all engines share: the buffered writes, own writes shown by reads and ranges,
// bounds and poisoning. An engine adds the reads of committed state and takes the buffer at commit. Lives on the thread
// that runs the body, for one run of it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/schema.h"
#include "store/store.h"

namespace muster::store {

// Kind of the table a key belongs to; nullopt for a tag that schema.h does not know.
std::optional<Kind> kind_of(std::string_view key);

// prefix + commit number + place within the commit: the key that append() makes.
std::string stamped_key(std::string_view prefix, std::uint64_t commit, std::uint32_t place);

// What Store::run does with an exception out of a body: a bug of ours that ends one transaction, logged.
Status run_body(const Store::Body& body, Tx& tx);

class BufferedTx : public Tx {
 public:
  struct Append {
    std::string prefix;
    std::string value;
  };
  struct CounterChange {
    bool erased = false;  // before `delta` is added
    std::int64_t delta = 0;
  };
  using Writes = std::map<std::string, std::optional<std::string>, std::less<>>;
  using CounterChanges = std::map<std::string, CounterChange, std::less<>>;

  explicit BufferedTx(std::int64_t now_ms) : now_ms_(now_ms) {}

  std::optional<std::string> get(std::string_view key) final;
  std::vector<std::optional<std::string>> get_many(const std::vector<std::string>& keys) final;
  std::vector<std::optional<std::string>> get_many_snapshot(const std::vector<std::string>& keys) final;
  std::vector<KeyValue> range(const RangeOptions& options) final;
  std::optional<std::string> get_snapshot(std::string_view key) final;
  void put(std::string_view key, std::string_view value) final;
  void erase(std::string_view key) final;
  void append(std::string_view prefix, std::string_view value) final;
  void add(std::string_view counter_key, std::int64_t delta) final;
  std::int64_t counter(std::string_view counter_key) final;
  void erase_counter(std::string_view counter_key) final;
  std::int64_t now_ms() const final { return now_ms_; }

  const std::optional<Error>& poison() const { return poison_; }
  bool has_writes() const { return !writes_.empty() || !appends_.empty() || !counters_.empty(); }
  Writes& writes() { return writes_; }
  std::vector<Append>& appends() { return appends_; }
  const CounterChanges& counters() const { return counters_; }
  std::size_t bytes() const { return bytes_; }

 protected:
  // Committed state only. On failure: poison_with() and answer "absent".
  virtual std::optional<std::string> read(std::string_view key, bool snapshot) = 0;
  virtual std::vector<std::optional<std::string>> read_many(const std::vector<std::string>& keys, bool snapshot);
  virtual std::vector<KeyValue> scan(const RangeOptions& options) = 0;
  virtual std::int64_t read_counter(std::string_view key) = 0;
  virtual void before_change(std::string_view /*counter*/) {}  // the engine may fetch it outside its lock
  void poison_with(Error error);

 private:
  const std::optional<std::string>* own(std::string_view key) const;
  std::vector<std::optional<std::string>> many(const std::vector<std::string>& keys, bool snapshot);
  bool accept(std::string_view key, std::size_t value_bytes, bool counter);

  const std::int64_t now_ms_;
  Writes writes_;
  std::vector<Append> appends_;
  CounterChanges counters_;
  std::size_t bytes_ = 0;
  std::optional<Error> poison_;
};

}  // namespace muster::store
