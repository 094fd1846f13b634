// SPDX-License-Identifier: Apache-2.0
#include "store/memory_engine.h"

#include <random>

#include "store/buffered_tx.h"

namespace muster::store {

namespace {

constexpr int kMaxRuns = 64;

struct Versioned {
  std::string value;
  std::uint64_t commit = 0;
};
using Versions = std::vector<std::pair<std::string, std::uint64_t>>;

struct State {
  std::map<std::string, Versioned, std::less<>> entries;
  std::map<std::string, std::int64_t, std::less<>> counters;

  std::vector<std::map<std::string, Versioned, std::less<>>::const_iterator> find(const RangeOptions& options) const {
    std::vector<std::map<std::string, Versioned, std::less<>>::const_iterator> found;
    const auto first = entries.lower_bound(options.begin);
    const auto last = entries.lower_bound(options.end);
    if (options.reverse) {
      for (auto at = last; at != first && found.size() < options.limit;) found.push_back(--at);
    } else {
      for (auto at = first; at != last && found.size() < options.limit; ++at) found.push_back(at);
    }
    return found;
  }
  Versions versions(const RangeOptions& options) const {
    Versions seen;
    for (const auto& at : find(options)) seen.emplace_back(at->first, at->second.commit);
    return seen;
  }
  std::uint64_t version(std::string_view key) const {
    const auto at = entries.find(key);
    return at == entries.end() ? 0 : at->second.commit;
  }
};

class MemoryTx final : public BufferedTx {
 public:
  MemoryTx(std::mutex& mutex, const State& state, std::int64_t now_ms)
      : BufferedTx(now_ms), mutex_(mutex), state_(state) {}

  // Under the mutex: what was read would be read again.
  bool still_holds() const {
    for (const auto& [key, commit] : points_)
      if (state_.version(key) != commit) return false;
    for (const auto& [options, seen] : ranges_)
      if (state_.versions(options) != seen) return false;
    return true;
  }

 protected:
  std::optional<std::string> read(std::string_view key, bool snapshot) override {
    const std::lock_guard lock(mutex_);
    const auto at = state_.entries.find(key);
    if (!snapshot) points_.emplace_back(std::string(key), at == state_.entries.end() ? 0 : at->second.commit);
    if (at == state_.entries.end()) return std::nullopt;
    return at->second.value;
  }
  std::vector<KeyValue> scan(const RangeOptions& options) override {
    const std::lock_guard lock(mutex_);
    std::vector<KeyValue> found;
    for (const auto& at : state_.find(options)) found.push_back({at->first, at->second.value});
    if (!options.snapshot) ranges_.emplace_back(options, state_.versions(options));
    return found;
  }
  std::int64_t read_counter(std::string_view key) override {
    const std::lock_guard lock(mutex_);
    const auto at = state_.counters.find(key);
    return at == state_.counters.end() ? 0 : at->second;
  }

 private:
  std::mutex& mutex_;
  const State& state_;
  Versions points_;
  std::vector<std::pair<RangeOptions, Versions>> ranges_;
};

class MemoryEngine final : public MemoryStore {
 public:
  MemoryEngine(const io::Clock& clock, MemoryFaults faults) : clock_(clock), faults_(faults), random_(faults.seed) {}
  ~MemoryEngine() override { flush(); }

  void run(Body body, Done done) override;
  bool flush() override;
  void crash() override;
  Stats stats() const override {
    const std::lock_guard lock(mutex_);
    return stats_;
  }
  Status checkpoint(const std::string&) override {
    return make_error(ErrorKind::kNotSupported, "The memory engine has no checkpoints");
  }
  void set_faults(const MemoryFaults& faults) override {
    const std::lock_guard lock(mutex_);
    faults_ = faults;
    random_.seed(faults.seed);
  }
  std::size_t size() const override {
    const std::lock_guard lock(mutex_);
    return state_.entries.size();
  }

 private:
  struct Undo {
    std::vector<std::pair<std::string, std::optional<Versioned>>> entries;
    std::vector<std::pair<std::string, std::optional<std::int64_t>>> counters;
  };
  bool chance(double probability) {
    return probability > 0 && std::uniform_real_distribution<double>(0, 1)(random_) < probability;
  }
  void apply(BufferedTx& tx);
  void change(Undo& undo, const std::string& key, std::optional<std::string> value);

  const io::Clock& clock_;
  mutable std::mutex mutex_;
  MemoryFaults faults_;
  std::mt19937_64 random_;
  State state_;
  std::uint64_t commit_ = 0;
  std::vector<Undo> unsynced_;
  std::vector<std::string> changed_;  // of the unsynced commits, for the change feed
  std::vector<std::pair<Done, Status>> waiting_;
  Stats stats_;
};

void MemoryEngine::change(Undo& undo, const std::string& key, std::optional<std::string> value) {
  const auto at = state_.entries.find(key);
  undo.entries.emplace_back(key, at == state_.entries.end() ? std::nullopt : std::optional(at->second));
  if (value) {
    stats_.bytes_written += key.size() + value->size();
    state_.entries[key] = {*std::move(value), commit_};
  } else if (at != state_.entries.end()) {
    state_.entries.erase(at);
  }
}

void MemoryEngine::apply(BufferedTx& tx) {
  ++commit_;
  Undo undo;
  for (auto& [key, value] : tx.writes()) {
    if (changes().wants(key)) changed_.push_back(key);
    change(undo, key, std::move(value));
  }
  std::uint32_t place = 0;
  for (auto& append : tx.appends()) change(undo, stamped_key(append.prefix, commit_, place++), std::move(append.value));
  for (const auto& [key, delta] : tx.counters()) {
    const auto at = state_.counters.find(key);
    undo.counters.emplace_back(key, at == state_.counters.end() ? std::nullopt : std::optional(at->second));
    const std::int64_t from = at == state_.counters.end() || delta.erased ? 0 : at->second;
    state_.counters[key] = from + delta.delta;
    if (delta.erased && delta.delta == 0) state_.counters.erase(key);
  }
  ++stats_.commits;
  if (!faults_.sync_at_once) unsynced_.push_back(std::move(undo));
}

void MemoryEngine::run(Body body, Done done) {
  for (int runs = 0; runs < kMaxRuns; ++runs) {
    MemoryTx tx(mutex_, state_, clock_.now_ms());
    Status status = run_body(body, tx);
    std::unique_lock lock(mutex_);
    if (tx.poison()) {
      lock.unlock();
      return done(*tx.poison());
    }
    if (!tx.still_holds() || chance(faults_.conflict)) {
      ++stats_.conflicts;
      continue;
    }
    if (status && tx.has_writes()) {
      if (chance(faults_.refuse)) {
        status = make_error(ErrorKind::kUnavailable, "The store refused the write");
      } else {
        apply(tx);
      }
    }
    if (!faults_.sync_at_once && !unsynced_.empty()) {
      waiting_.emplace_back(std::move(done), std::move(status));
      return;
    }
    const auto changed = std::exchange(changed_, {});
    lock.unlock();
    if (!changed.empty()) changes().tell(changed);
    return done(std::move(status));
  }
  done(make_error(ErrorKind::kConflict, "Too many concurrent changes; try again"));
}

bool MemoryEngine::flush() {
  std::vector<std::pair<Done, Status>> ready;
  std::vector<std::string> changed;
  {
    const std::lock_guard lock(mutex_);
    changed.swap(changed_);
    if (!unsynced_.empty()) ++stats_.syncs;
    unsynced_.clear();
    ready.swap(waiting_);
  }
  if (!changed.empty()) changes().tell(changed);
  for (auto& [done, status] : ready) done(std::move(status));
  return true;
}

void MemoryEngine::crash() {
  std::vector<std::pair<Done, Status>> lost;
  {
    const std::lock_guard lock(mutex_);
    for (auto undo = unsynced_.rbegin(); undo != unsynced_.rend(); ++undo) {
      for (auto at = undo->entries.rbegin(); at != undo->entries.rend(); ++at) {
        if (at->second) {
          state_.entries[at->first] = *std::move(at->second);
        } else {
          state_.entries.erase(at->first);
        }
      }
      for (auto at = undo->counters.rbegin(); at != undo->counters.rend(); ++at) {
        if (at->second) {
          state_.counters[at->first] = *at->second;
        } else {
          state_.counters.erase(at->first);
        }
      }
    }
    unsynced_.clear();
    changed_.clear();
    lost.swap(waiting_);
  }
  for (auto& [done, status] : lost) done(make_error(ErrorKind::kUnavailable, "The store crashed"));
}

}  // namespace

std::unique_ptr<MemoryStore> make_memory_store(const io::Clock& clock, MemoryFaults faults) {
  return std::make_unique<MemoryEngine>(clock, faults);
}

}  // namespace muster::store
