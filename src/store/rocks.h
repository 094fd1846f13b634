// SPDX-License-Identifier: Apache-2.0
// The RocksDB database under the embedded engine: options, column families by Kind, opening with clear errors, reads.
// Thread-safe as RocksDB is. Included by the embedded engine only.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/schema.h"

namespace muster::store {

class Rocks {
 public:
  // Makes the directory (0700) when absent. kUnavailable: in use by another process. kInternal: damaged or not
  // readable.
  static Result<std::unique_ptr<Rocks>> open(const std::string& directory, std::size_t cache_bytes);
  ~Rocks();

  rocksdb::ColumnFamilyHandle* family(Kind kind) const { return families_[static_cast<std::size_t>(kind) + 1]; }
  Result<std::optional<std::string>> get(Kind kind, std::string_view key) const;
  // One iterator per table of [begin, end), in key order; made at one moment if no write runs meanwhile.
  struct Piece {
    // The iterator refers to the bounds, so they have an address that does not change when pieces are moved.
    struct Bounds {
      std::string begin, end;
      rocksdb::Slice lower, upper;
    };
    std::unique_ptr<Bounds> bounds;
    std::unique_ptr<rocksdb::Iterator> iterator;
  };
  std::vector<Piece> pieces(std::string_view begin, std::string_view end) const;

  std::uint64_t last_commit() const { return last_commit_; }  // as of opening
  // The batch with the number of the last commit in it, on stable storage. Nothing of it is visible before it is
  // synced. Of several writes of a key the last one is written, and in key order: a memtable takes neighbours cheaply.
  Status write(const rocksdb::WriteBatch& batch, std::uint64_t last_commit);
  Status resume();  // after a failed write: whether RocksDB takes writes again
  Status checkpoint(const std::string& directory);
  // Everything rewritten once, and what the log holds with it: the size of the data alone. For measurements.
  Status compact();

 private:
  Rocks() = default;
  Status read_identity();

  std::string directory_;
  std::unique_ptr<rocksdb::DB> database_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;  // default, then by Kind
  rocksdb::WriteBatch sorted_;                          // of write(), by one thread at a time
  std::uint64_t last_commit_ = 0;
};

}  // namespace muster::store
