// SPDX-License-Identifier: Apache-2.0
#include "store/cluster_engine.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/assert.h"
#include "base/crypto.h"
#include "base/log.h"
#include "store/cluster_tx.h"
#include "store/keys.h"

namespace muster::store {

namespace {

constexpr int kMaxRuns = 64;
constexpr int kMaxCommitTries = 16;
constexpr int kReconnectTries = 20;
constexpr auto kReconnectEvery = std::chrono::milliseconds(250);
constexpr std::size_t kMaxBatch = 512;
constexpr std::size_t kMaxBatchBytes = std::size_t{16} << 20;
constexpr std::int64_t kShards = 32;

constexpr const char* kTables[] = {
    "CREATE TABLE IF NOT EXISTS muster_kv (key bytea PRIMARY KEY, value bytea NOT NULL, version bigint NOT NULL)",
    "CREATE TABLE IF NOT EXISTS muster_counter (key bytea, shard bigint, value bigint, PRIMARY KEY (key, shard))",
    "CREATE TABLE IF NOT EXISTS muster_stamp (id bigint PRIMARY KEY, value bigint NOT NULL)",
    "CREATE TABLE IF NOT EXISTS muster_batch (node bytea PRIMARY KEY, batch bigint NOT NULL)",
    "INSERT INTO muster_stamp (id, value) VALUES (1, 0) ON CONFLICT (id) DO NOTHING",
};

struct Job {
  std::uint64_t number = 0;
  Store::Body body;
  Store::Done done;
  int runs = 0;
  std::unique_ptr<ClusterTx> tx;  // of the last run
  Status status;
  bool wants_commit() const { return status.has_value() && tx->has_writes(); }
};
using Jobs = std::vector<std::unique_ptr<Job>>;

class ClusterEngine final : public Store {
 public:
  explicit ClusterEngine(const ClusterOptions& options);
  ~ClusterEngine() override;
  Status open();

  void run(Body body, Done done) override;
  bool flush() override;
  Stats stats() const override {
    const std::lock_guard lock(mutex_);
    return stats_;
  }
  Status checkpoint(const std::string&) override {
    return make_error(ErrorKind::kNotSupported, "Back up the database with its own tools");
  }

 private:
  void worker();
  void committer();
  void commit(Jobs batch);
  Status try_commit(const Jobs& batch, std::int64_t number, std::vector<bool>& holds);
  void note_commit(const Jobs& batch, std::chrono::steady_clock::duration took);
  std::optional<bool> was_committed(std::int64_t number);
  void run_again(Jobs jobs);
  void end(std::unique_ptr<Job> job);
  void tell_changes(ClusterTx& tx);

  const ClusterOptions options_;
  const std::string node_ = random_bytes(16);
  const std::int64_t shard_ = static_cast<unsigned char>(node_[0]) % kShards;
  mutable std::mutex mutex_;
  std::condition_variable work_, finished_work_, ended_;
  std::deque<std::unique_ptr<Job>> queued_;
  Jobs finished_;                 // bodies that ran and wait for the committer
  std::set<std::uint64_t> open_;  // numbers of transactions whose Done was not yet called
  std::uint64_t last_number_ = 0;
  bool stopping_ = false;
  bool reachable_ = true;
  Stats stats_;
  Postgres database_;  // the committer's
  std::int64_t last_batch_ = 0;
  std::vector<std::thread> threads_;
  std::thread committer_;
};

ClusterEngine::ClusterEngine(const ClusterOptions& options) : options_(options), database_(options.connection) {}

Status ClusterEngine::open() {
  for (const auto* statement : kTables) {
    // Two processes that make a table at the same moment may collide in spite of IF NOT EXISTS.
    if (!database_.run(statement)) TRY_VOID(database_.run(statement));
  }
  committer_ = std::thread([this] { committer(); });
  for (std::size_t i = 0; i < std::max<std::size_t>(options_.workers, 2); ++i)
    threads_.emplace_back([this] { worker(); });
  return {};
}

ClusterEngine::~ClusterEngine() {
  {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [&] { return open_.empty(); });
    stopping_ = true;
    work_.notify_all();
    finished_work_.notify_all();
  }
  for (auto& thread : threads_) thread.join();
  if (committer_.joinable()) committer_.join();
  if (database_.connected()) (void)database_.run("DELETE FROM muster_batch WHERE node = $1", {bytea(node_)});
}

void ClusterEngine::run(Body body, Done done) {
  auto job = std::make_unique<Job>();
  job->body = std::move(body);
  job->done = std::move(done);
  {
    const std::lock_guard lock(mutex_);
    if (queued_.size() < options_.max_queued) {
      job->number = ++last_number_;
      open_.insert(job->number);
      queued_.push_back(std::move(job));
      work_.notify_one();
      return;
    }
  }
  job->done(make_error(ErrorKind::kThrottled, "Rate exceeded"));
}

bool ClusterEngine::flush() {
  std::unique_lock lock(mutex_);
  const auto target = last_number_;
  ended_.wait(lock, [&] { return open_.empty() || *open_.begin() > target; });
  return reachable_;
}

void ClusterEngine::end(std::unique_ptr<Job> job) {
  if (job->status && job->tx != nullptr) tell_changes(*job->tx);
  job->done(std::move(job->status));
  const std::lock_guard lock(mutex_);
  open_.erase(job->number);
  ended_.notify_all();
}

void ClusterEngine::tell_changes(ClusterTx& tx) {
  std::vector<std::string> changed;
  for (const auto& [key, value] : tx.writes()) {
    if (changes().wants(key)) changed.push_back(key);
  }
  if (!changed.empty()) changes().tell(changed);
}

void ClusterEngine::worker() {
  Postgres connection(options_.connection);
  while (true) {
    std::unique_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [&] { return stopping_ || !queued_.empty(); });
      if (queued_.empty()) return;
      job = std::move(queued_.front());
      queued_.pop_front();
    }
    ++job->runs;
    job->tx = std::make_unique<ClusterTx>(connection, options_.clock->now_ms());
    job->status = run_body(job->body, *job->tx);
    if (job->tx->poison()) job->status = *job->tx->poison();
    // What one statement read is of one moment and needs no check.
    if (job->tx->poison() || (!job->wants_commit() && job->tx->tracked_reads() <= 1)) {
      end(std::move(job));
      continue;
    }
    const std::lock_guard lock(mutex_);
    finished_.push_back(std::move(job));
    finished_work_.notify_one();
  }
}

void ClusterEngine::committer() {
  while (true) {
    Jobs batch;
    {
      std::unique_lock lock(mutex_);
      finished_work_.wait(lock, [&] { return stopping_ || !finished_.empty(); });
      if (finished_.empty()) return;
      std::size_t count = 0, bytes = 0;
      while (count < finished_.size() && count < kMaxBatch && bytes < kMaxBatchBytes) {
        bytes += finished_[count]->tx->bytes();
        ++count;
      }
      const auto until = finished_.begin() + static_cast<std::ptrdiff_t>(count);
      batch.assign(std::move_iterator(finished_.begin()), std::move_iterator(until));
      finished_.erase(finished_.begin(), until);
    }
    commit(std::move(batch));
  }
}

void ClusterEngine::run_again(Jobs jobs) {
  for (auto& job : jobs) {
    if (job->runs >= kMaxRuns) {
      job->status = make_error(ErrorKind::kConflict, "Too many concurrent changes; try again");
      end(std::move(job));
      continue;
    }
    const std::lock_guard lock(mutex_);
    ++stats_.conflicts;
    queued_.push_front(std::move(job));
    work_.notify_one();
  }
}

// Those that an earlier job of the batch gets in the way of.
Jobs take_clashing(Jobs& batch) {
  Jobs kept, clashing;
  BatchConflicts conflicts;
  for (auto& job : batch) {
    if (conflicts.touches(*job->tx)) {
      clashing.push_back(std::move(job));
      continue;
    }
    if (job->wants_commit()) conflicts.add(*job->tx);
    kept.push_back(std::move(job));
  }
  batch = std::move(kept);
  return clashing;
}

void ClusterEngine::note_commit(const Jobs& batch, std::chrono::steady_clock::duration took) {
  const std::lock_guard lock(mutex_);
  reachable_ = true;
  ++stats_.syncs;
  stats_.sync_microseconds +=
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  for (const auto& job : batch) {
    if (!job->wants_commit()) continue;
    ++stats_.commits;
    stats_.bytes_written += job->tx->bytes();
  }
}

// Ends every job of the batch, or gives it back to the workers.
void ClusterEngine::commit(Jobs batch) {
  run_again(take_clashing(batch));
  Error error;
  for (int tries = 0; tries < kMaxCommitTries; ++tries) {
    const auto number = ++last_batch_;
    const auto before = std::chrono::steady_clock::now();
    std::vector<bool> holds;
    Status status = try_commit(batch, number, holds);
    if (!status && is_lost(status.error())) {
      const auto committed = was_committed(number);
      if (committed == true) status = {};
      if (!committed) tries = kMaxCommitTries;
    }
    if (!status) {
      error = std::move(status).error();
      if (!is_repeatable(error) && !is_lost(error)) break;
      continue;
    }
    Jobs kept, stale;
    for (std::size_t i = 0; i < batch.size(); ++i) (holds[i] ? kept : stale).push_back(std::move(batch[i]));
    note_commit(kept, std::chrono::steady_clock::now() - before);
    run_again(std::move(stale));
    for (auto& job : kept) end(std::move(job));
    return;
  }
  log::error("the database does not take writes; they are refused", {{"error", error.message}});
  {
    const std::lock_guard lock(mutex_);
    reachable_ = false;
  }
  for (auto& job : batch) {
    job->status = make_error(ErrorKind::kUnavailable,
                             is_lost(error) ? "The database was lost while writing; the outcome is unknown"
                                            : "The store cannot write; nothing was changed. See the server's log.");
    end(std::move(job));
  }
}

// Nullopt: the database does not come back.
std::optional<bool> ClusterEngine::was_committed(std::int64_t number) {
  bool patient = false;
  {
    const std::lock_guard lock(mutex_);
    patient = reachable_;
  }
  for (int tries = 0; tries < (patient ? kReconnectTries : 1); ++tries) {
    const auto rows = database_.query("SELECT batch FROM muster_batch WHERE node = $1", {bytea(node_)});
    if (rows) return rows->size() == 1 && rows->integer(0, 0) == number;
    std::unique_lock lock(mutex_);
    ended_.wait_for(lock, kReconnectEvery, [&] { return stopping_; });
  }
  return std::nullopt;
}

// One database transaction with the writes of those jobs whose reads hold.
Status ClusterEngine::try_commit(const Jobs& batch, std::int64_t number, std::vector<bool>& holds) {
  const bool writes = std::any_of(batch.begin(), batch.end(), [](const auto& job) { return job->wants_commit(); });
  struct Transaction {
    explicit Transaction(Postgres& p) : postgres(p) {}
    ~Transaction() {
      if (open && postgres.connected()) (void)postgres.run("ROLLBACK");
      postgres.forbid_reconnect(false);
    }
    Postgres& postgres;
    bool open = true;
  } transaction(database_);
  TRY_VOID(database_.run(writes ? "BEGIN ISOLATION LEVEL READ COMMITTED"
                                : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
  database_.forbid_reconnect(true);
  std::int64_t stamp = 0;
  if (writes) {
    // From here to COMMIT no other process commits; each further statement sees all that came before.
    TRY(const auto rows, database_.query("UPDATE muster_stamp SET value = value + $1 WHERE id = 1 RETURNING value",
                                         {bigint(static_cast<std::int64_t>(batch.size()))}));
    if (rows.size() != 1) return make_error(ErrorKind::kUnavailable, "The table muster_stamp has lost its row");
    stamp = rows.integer(0, 0) - static_cast<std::int64_t>(batch.size());
  }
  std::vector<const ClusterTx*> transactions;
  for (const auto& job : batch) transactions.push_back(job->tx.get());
  TRY(holds, reads_hold(database_, transactions));
  BatchWrites changes;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (holds[i] && batch[i]->wants_commit()) changes.add(*batch[i]->tx, stamp + 1 + static_cast<std::int64_t>(i));
  }
  if (writes) {
    TRY_VOID(changes.write(database_, shard_));
    TRY_VOID(
        database_.run("INSERT INTO muster_batch (node, batch) VALUES ($1, $2) "
                      "ON CONFLICT (node) DO UPDATE SET batch = excluded.batch",
                      {bytea(node_), bigint(number)}));
  }
  TRY_VOID(database_.run("COMMIT"));
  transaction.open = false;
  return {};
}

}  // namespace

Result<std::unique_ptr<Store>> open_cluster_store(const ClusterOptions& options) {
  CHECK(options.clock != nullptr);
  auto engine = std::make_unique<ClusterEngine>(options);
  TRY_VOID(engine->open());
  return std::unique_ptr<Store>(std::move(engine));
}

}  // namespace muster::store
