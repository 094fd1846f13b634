// SPDX-License-Identifier: Apache-2.0
#include "store/embedded_engine.h"

#include <condition_variable>
#include <limits>
#include <mutex>
#include <thread>

#include "base/assert.h"
#include "base/log.h"
#include "base/text.h"
#include "store/buffered_tx.h"
#include "store/keys.h"
#include "store/overlay.h"
#include "store/rocks.h"

namespace muster::store {

namespace {

constexpr int kMaxRuns = 64;
constexpr std::size_t kTrimBudget = 512;  // entries per hold of the mutex
// Beyond this, entries that only serve to detect conflicts of long-running transactions go; those then run again.
constexpr std::size_t kMaxOverlayBytes = std::size_t{256} << 20;

Error refused() {
  return make_error(ErrorKind::kUnavailable, "The store cannot write; nothing was changed. See the server's log.");
}

class EmbeddedEngine;

class EmbeddedTx final : public BufferedTx {
 public:
  EmbeddedTx(EmbeddedEngine& engine, std::int64_t now_ms);
  ~EmbeddedTx() override;

 protected:
  std::optional<std::string> read(std::string_view key, bool snapshot) override;
  std::vector<KeyValue> scan(const RangeOptions& options) override;
  std::int64_t read_counter(std::string_view key) override;
  void before_change(std::string_view counter_key) override;

 private:
  friend class EmbeddedEngine;
  std::optional<std::int64_t> stored_counter(std::string_view key);

  EmbeddedEngine& engine_;
  std::uint64_t start_ = 0;  // commits up to this one were there when the body began
  std::uint64_t epoch_ = 0;
  std::uint64_t seen_ = 0;  // the youngest commit that a read has shown
  std::vector<std::string> points_;
  std::vector<std::pair<std::string, std::string>> ranges_;
  bool listed_ = false;
  EmbeddedTx* older_ = nullptr;  // the running transactions, in order of start
  EmbeddedTx* younger_ = nullptr;
};

class EmbeddedEngine final : public Store {
 public:
  EmbeddedEngine(std::unique_ptr<Rocks> rocks, const EmbeddedOptions& options);
  ~EmbeddedEngine() override;

  void run(Body body, Done done) override;
  bool flush() override;
  Stats stats() const override;
  Status checkpoint(const std::string& directory) override;

 private:
  friend class EmbeddedTx;
  struct Waiting {
    std::uint64_t commit;  // done when this one is on disk
    Done done;
    Status status;
  };

  bool finish(EmbeddedTx& tx, Status status, Done& done);
  bool still_holds(const EmbeddedTx& tx) const;
  void accept(EmbeddedTx& tx);
  void enlist(EmbeddedTx& tx);
  void unlist(EmbeddedTx& tx);
  std::uint64_t oldest_start() const {
    return oldest_ != nullptr ? oldest_->start_ : std::numeric_limits<std::uint64_t>::max();
  }

  void flusher();
  bool write_pending(std::unique_lock<std::mutex>& lock);
  void fail(const Error& error, std::vector<Waiting>& lost);
  void trim(std::unique_lock<std::mutex>& lock);
  void try_to_resume(std::unique_lock<std::mutex>& lock);

  const std::unique_ptr<Rocks> rocks_;
  const io::Clock& clock_;
  const std::size_t max_pending_bytes_;
  const std::chrono::milliseconds resume_every_;

  mutable std::mutex mutex_;
  std::condition_variable work_;  // for the flusher
  std::condition_variable flushed_changed_;
  Overlay overlay_;
  CounterCache counters_;
  std::uint64_t last_commit_;    // the last accepted
  std::uint64_t flushed_;        // the last on disk
  std::uint64_t completed_;      // the last whose Done was called
  std::uint64_t forgotten_ = 0;  // conflicts of transactions that began before this commit cannot be told
  std::uint64_t epoch_ = 0;      // grows when accepted commits were lost
  EmbeddedTx* oldest_ = nullptr;
  EmbeddedTx* youngest_ = nullptr;
  rocksdb::WriteBatch pending_;
  std::size_t pending_bytes_ = 0;
  std::vector<std::string> changed_;  // keys of `pending_` that the change feed wants
  std::vector<Waiting> waiting_;      // accepted commits in order, and readers of what they wrote
  bool flusher_sleeps_ = false;
  bool failed_ = false;
  bool stopping_ = false;
  Stats stats_;
  rocksdb::WriteBatch writing_;  // the flusher's
  std::thread thread_;
};

EmbeddedTx::EmbeddedTx(EmbeddedEngine& engine, std::int64_t now_ms) : BufferedTx(now_ms), engine_(engine) {
  const std::lock_guard lock(engine_.mutex_);
  engine_.enlist(*this);
}

EmbeddedTx::~EmbeddedTx() {
  if (!listed_) return;
  const std::lock_guard lock(engine_.mutex_);
  engine_.unlist(*this);
}

std::optional<std::string> EmbeddedTx::read(std::string_view key, bool snapshot) {
  if (!snapshot) points_.emplace_back(key);
  {
    const std::lock_guard lock(engine_.mutex_);
    if (const auto* entry = engine_.overlay_.find(key)) {
      seen_ = std::max(seen_, entry->commit);
      return entry->value;
    }
  }
  // Not in the overlay: RocksDB has it, because entries leave the overlay only after RocksDB shows them. What commits
  // between the two reads is seen or not; a conflict is found at the end either way.
  const auto kind = kind_of(key);
  if (!kind || *kind == Kind::kCounter) return std::nullopt;
  auto value = engine_.rocks_->get(*kind, key);
  if (value) return *std::move(value);
  poison_with(std::move(value).error());
  return std::nullopt;
}

// Merges one table's iterator with the overlay's entries of the whole range, from `at` on.
bool take_piece(Rocks::Piece& piece, const Overlay::Slice& slice, std::size_t& at, const RangeOptions& options,
                std::vector<KeyValue>& found) {
  auto& iterator = *piece.iterator;
  if (options.reverse) {
    iterator.SeekToLast();
  } else {
    iterator.SeekToFirst();
  }
  const auto in_piece = [&] {
    return at < slice.entries.size() && slice.entries[at].first >= piece.bounds->begin &&
           slice.entries[at].first < piece.bounds->end;
  };
  const auto step = [&] { options.reverse ? iterator.Prev() : iterator.Next(); };
  while (found.size() < options.limit) {
    const bool disk = iterator.Valid();
    if (!disk && !in_piece()) break;
    int order = disk ? -1 : 1;  // which of the two comes first
    if (disk && in_piece()) {
      order = iterator.key().ToStringView().compare(slice.entries[at].first);
      if (options.reverse) order = -order;
    }
    if (order < 0) {
      found.push_back({iterator.key().ToString(), iterator.value().ToString()});
      step();
      continue;
    }
    const auto& [key, value] = slice.entries[at++];
    if (value) found.push_back({key, *value});
    if (order == 0) step();
  }
  return iterator.status().ok();
}

std::vector<KeyValue> EmbeddedTx::scan(const RangeOptions& options) {
  Overlay::Slice slice;
  std::vector<Rocks::Piece> pieces;
  {
    // The iterators see RocksDB as of now: whatever is not in the slice is in them.
    const std::lock_guard lock(engine_.mutex_);
    slice = engine_.overlay_.slice(options);
    pieces = engine_.rocks_->pieces(options.begin, options.end);
  }
  seen_ = std::max(seen_, slice.newest);
  if (options.reverse) std::reverse(pieces.begin(), pieces.end());
  std::vector<KeyValue> found;
  std::size_t at = 0;
  for (auto& piece : pieces) {
    if (found.size() >= options.limit) break;
    if (!take_piece(piece, slice, at, options, found)) {
      poison_with(
          make_error(ErrorKind::kUnavailable, "The store cannot be read: " + piece.iterator->status().ToString()));
      return {};
    }
  }
  if (!options.snapshot) {
    // A full page says nothing about what lies behind it.
    std::string begin = options.begin, end = options.end;
    if (found.size() == options.limit) {
      (options.reverse ? begin : end) = options.reverse ? found.back().key : after_key(found.back().key);
    }
    ranges_.emplace_back(std::move(begin), std::move(end));
  }
  return found;
}

std::optional<std::int64_t> EmbeddedTx::stored_counter(std::string_view key) {
  auto value = engine_.rocks_->get(Kind::kCounter, key);
  if (!value) {
    poison_with(std::move(value).error());
    return std::nullopt;
  }
  if (!*value) return std::nullopt;
  const auto number = parse_int(**value);
  if (!number) poison_with(internal("A counter in the store is not a number"));
  return number;
}

std::int64_t EmbeddedTx::read_counter(std::string_view key) {
  {
    const std::lock_guard lock(engine_.mutex_);
    if (const auto* counter = engine_.counters_.find(std::string(key))) {
      seen_ = std::max(seen_, counter->commit);
      return counter->value;
    }
  }
  return stored_counter(key).value_or(0);
}

void EmbeddedTx::before_change(std::string_view counter_key) {
  const std::string key(counter_key);
  {
    const std::lock_guard lock(engine_.mutex_);
    if (auto* counter = engine_.counters_.find(key)) {
      counter->used = engine_.last_commit_;
      return;
    }
  }
  const auto stored = stored_counter(counter_key);
  const std::lock_guard lock(engine_.mutex_);
  // Lost commits may have been in what the cache held; the run will be thrown away.
  if (epoch_ != engine_.epoch_ || poison()) return;
  // Nobody can have added and been forgotten since the read: the cache keeps what changed after our start.
  engine_.counters_.insert(key, stored).used = engine_.last_commit_;
}

EmbeddedEngine::EmbeddedEngine(std::unique_ptr<Rocks> rocks, const EmbeddedOptions& options)
    : rocks_(std::move(rocks)),
      clock_(*options.clock),
      max_pending_bytes_(options.max_pending_bytes),
      resume_every_(options.resume_every_ms),
      last_commit_(rocks_->last_commit()),
      flushed_(last_commit_),
      completed_(last_commit_) {
  thread_ = std::thread([this] { flusher(); });
}

EmbeddedEngine::~EmbeddedEngine() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    work_.notify_all();
  }
  thread_.join();
}

void EmbeddedEngine::enlist(EmbeddedTx& tx) {
  tx.listed_ = true;
  tx.start_ = last_commit_;
  tx.epoch_ = epoch_;
  tx.older_ = youngest_;
  (youngest_ != nullptr ? youngest_->younger_ : oldest_) = &tx;
  youngest_ = &tx;
}

void EmbeddedEngine::unlist(EmbeddedTx& tx) {
  tx.listed_ = false;
  (tx.older_ != nullptr ? tx.older_->younger_ : oldest_) = tx.younger_;
  (tx.younger_ != nullptr ? tx.younger_->older_ : youngest_) = tx.older_;
}

bool EmbeddedEngine::still_holds(const EmbeddedTx& tx) const {
  if (tx.epoch_ != epoch_) return false;
  if (tx.points_.empty() && tx.ranges_.empty()) return true;
  if (tx.start_ == last_commit_) return true;
  if (tx.start_ < forgotten_) return false;
  for (const auto& key : tx.points_)
    if (overlay_.changed_since(key, tx.start_)) return false;
  for (const auto& [begin, end] : tx.ranges_)
    if (overlay_.changed_since(begin, end, tx.start_)) return false;
  return true;
}

// Under the mutex. Memory and CPU only.
void EmbeddedEngine::accept(EmbeddedTx& tx) {
  const std::uint64_t commit = ++last_commit_;
  const auto put = [&](std::string key, std::optional<std::string> value, bool told) {
    auto* family = rocks_->family(*kind_of(key));
    const auto status = value ? pending_.Put(family, key, *value) : pending_.Delete(family, key);
    CHECK(status.ok());  // fails only beyond 4 GiB
    if (told && changes().wants(key)) changed_.push_back(key);
    overlay_.put(std::move(key), std::move(value), commit);
  };
  auto& writes = tx.writes();
  while (!writes.empty()) {
    auto node = writes.extract(writes.begin());
    put(std::move(node.key()), std::move(node.mapped()), true);
  }
  std::uint32_t place = 0;
  for (auto& append : tx.appends()) put(stamped_key(append.prefix, commit, place++), std::move(append.value), false);
  for (const auto& [key, change] : tx.counters()) counters_.change(key, change.erased, change.delta, commit);
  pending_bytes_ += tx.bytes() + 64;
  ++stats_.commits;
}

// True when the run counts: `done` was called or will be.
bool EmbeddedEngine::finish(EmbeddedTx& tx, Status status, Done& done) {
  std::unique_lock lock(mutex_);
  unlist(tx);
  if (!still_holds(tx)) {
    ++stats_.conflicts;
    return false;
  }
  if (tx.poison()) status = *tx.poison();
  std::uint64_t wait_for = tx.seen_;
  if (status && tx.has_writes()) {
    if (failed_) {
      status = refused();
    } else if (pending_bytes_ > max_pending_bytes_) {
      status = make_error(ErrorKind::kThrottled, "Rate exceeded");
    } else {
      accept(tx);
      wait_for = last_commit_;
    }
  }
  if (wait_for <= flushed_) {
    lock.unlock();
    done(std::move(status));
    return true;
  }
  waiting_.push_back({wait_for, std::move(done), std::move(status)});
  if (flusher_sleeps_) {
    flusher_sleeps_ = false;
    lock.unlock();
    work_.notify_one();
  }
  return true;
}

void EmbeddedEngine::run(Body body, Done done) {
  for (int runs = 0; runs < kMaxRuns; ++runs) {
    EmbeddedTx tx(*this, clock_.now_ms());
    Status status = run_body(body, tx);
    if (finish(tx, std::move(status), done)) return;
    if (runs > 2) std::this_thread::yield();
  }
  done(make_error(ErrorKind::kConflict, "Too many concurrent changes; try again"));
}

bool EmbeddedEngine::flush() {
  std::unique_lock lock(mutex_);
  const auto target = last_commit_;
  const auto epoch = epoch_;
  flushed_changed_.wait(lock, [&] { return completed_ >= target || epoch_ != epoch; });
  return !failed_ && epoch_ == epoch;
}

Stats EmbeddedEngine::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

Status EmbeddedEngine::checkpoint(const std::string& directory) {
  if (!flush()) return refused();
  return rocks_->checkpoint(directory);
}

void EmbeddedEngine::flusher() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (failed_) {
      work_.wait_for(lock, resume_every_, [&] { return stopping_; });
      if (stopping_) return;
      try_to_resume(lock);
      continue;
    }
    if (last_commit_ == flushed_) {
      if (stopping_) return;
      flusher_sleeps_ = true;
      work_.wait(lock, [&] { return stopping_ || last_commit_ != flushed_; });
      flusher_sleeps_ = false;
      continue;
    }
    write_pending(lock);
  }
}

// Everything accepted so far, with one sync; then the Dones in order.
bool EmbeddedEngine::write_pending(std::unique_lock<std::mutex>& lock) {
  writing_.Clear();
  std::swap(writing_, pending_);
  const auto commit = last_commit_;
  const auto bytes = std::exchange(pending_bytes_, 0);
  const auto counters = counters_.take_dirty();
  const auto changed = std::exchange(changed_, {});
  lock.unlock();

  auto* family = rocks_->family(Kind::kCounter);
  for (const auto& [key, counter] : counters) {
    const auto status =
        counter.exists ? writing_.Put(family, key, std::to_string(counter.value)) : writing_.Delete(family, key);
    CHECK(status.ok());
  }
  const auto before = std::chrono::steady_clock::now();
  const Status written = rocks_->write(writing_, commit);
  const auto took = std::chrono::steady_clock::now() - before;

  std::vector<Waiting> ready;
  lock.lock();
  if (written) {
    flushed_ = commit;
    ++stats_.syncs;
    stats_.bytes_written += bytes;
    stats_.sync_microseconds +=
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
    // Readers of older commits may stand between the writers; all in order of arrival.
    std::vector<Waiting> later;
    for (auto& waiting : waiting_) (waiting.commit <= commit ? ready : later).push_back(std::move(waiting));
    waiting_.swap(later);
  } else {
    fail(written.error(), ready);
  }
  lock.unlock();
  if (written && !changed.empty()) changes().tell(changed);
  for (auto& waiting : ready) waiting.done(std::move(waiting.status));
  ready.clear();
  lock.lock();
  completed_ = std::max(completed_, commit);
  if (!written) completed_ = last_commit_;
  flushed_changed_.notify_all();
  trim(lock);
  return written.has_value();
}

// Accepted commits that never reached the disk are taken back: they were shown to nobody whose Done was called.
void EmbeddedEngine::fail(const Error& error, std::vector<Waiting>& lost) {
  log::error("THE STORE CANNOT WRITE: writes are refused from now on, reads go on; nothing unwritten was acknowledged",
             {{"error", error.message}, {"lost_commits", last_commit_ - flushed_}});
  failed_ = true;
  ++epoch_;
  lost.swap(waiting_);
  for (auto& waiting : lost) waiting.status = refused();
  pending_.Clear();
  changed_.clear();
  pending_bytes_ = 0;
  overlay_.clear();
  counters_.clear();
  flushed_ = last_commit_;
}

void EmbeddedEngine::trim(std::unique_lock<std::mutex>& lock) {
  counters_.trim(std::min(flushed_, oldest_start()));
  if (overlay_.bytes() > kMaxOverlayBytes + max_pending_bytes_) forgotten_ = flushed_;
  while (!overlay_.trim(std::min(flushed_, std::max(oldest_start(), forgotten_)), kTrimBudget)) {
    lock.unlock();  // others commit meanwhile
    lock.lock();
  }
}

void EmbeddedEngine::try_to_resume(std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  const Status status = rocks_->resume();
  lock.lock();
  if (!status) return;
  failed_ = false;
  log::warn("the store writes again");
}

}  // namespace

Result<std::unique_ptr<Store>> open_embedded_store(const EmbeddedOptions& options) {
  CHECK(options.clock != nullptr);
  TRY(auto rocks, Rocks::open(options.directory, options.cache_bytes));
  return std::unique_ptr<Store>(std::make_unique<EmbeddedEngine>(std::move(rocks), options));
}

}  // namespace muster::store
