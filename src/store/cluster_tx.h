// SPDX-License-Identifier: Apache-2.0
// A transaction's run on the distributed engine, and what the committer does with several finished ones: which clash
// with each other, which reads still hold in the database, and their writes as few statements. No threads of its own.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "store/buffered_tx.h"
#include "store/postgres.h"

namespace muster::store {

class ClusterTx final : public BufferedTx {
 public:
  struct Range {
    std::string begin, end;
    std::vector<std::pair<std::string, std::int64_t>> seen;  // keys and versions, ascending
  };
  ClusterTx(Postgres& connection, std::int64_t now_ms) : BufferedTx(now_ms), connection_(connection) {}

  const std::vector<std::pair<std::string, std::int64_t>>& points() const { return points_; }  // version 0: absent
  const std::vector<Range>& ranges() const { return ranges_; }
  int tracked_reads() const { return tracked_reads_; }  // statements whose results matter

 protected:
  std::optional<std::string> read(std::string_view key, bool snapshot) override;
  std::vector<std::optional<std::string>> read_many(const std::vector<std::string>& keys, bool snapshot) override;
  std::vector<KeyValue> scan(const RangeOptions& options) override;
  std::int64_t read_counter(std::string_view key) override;

 private:
  Result<Rows> query(const char* sql, const std::vector<Parameter>& parameters);

  Postgres& connection_;
  std::vector<std::pair<std::string, std::int64_t>> points_;
  std::vector<Range> ranges_;
  int tracked_reads_ = 0;
};

// Within one batch: a transaction that read what an earlier one of the batch writes has to run again.
class BatchConflicts {
 public:
  bool touches(const ClusterTx& tx) const;
  void add(ClusterTx& tx);  // one that will write

 private:
  std::set<std::string, std::less<>> keys_;
  std::set<std::string, std::less<>> prefixes_;  // of appends: their keys are not known yet
};

// Inside a database transaction: for each, whether it would read the same now.
Result<std::vector<bool>> reads_hold(Postgres& connection, const std::vector<const ClusterTx*>& transactions);

// The writes of a batch in commit order, folded: the last change of a key counts. The transactions outlive it.
class BatchWrites {
 public:
  void add(ClusterTx& tx, std::int64_t version);
  Status write(Postgres& connection, std::int64_t shard) const;

 private:
  struct Change {
    std::optional<std::string_view> value;
    std::int64_t version;
  };
  std::map<std::string, Change, std::less<>> changes_;
  BufferedTx::CounterChanges counters_;
};

}  // namespace muster::store
