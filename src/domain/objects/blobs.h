// SPDX-License-Identifier: Apache-2.0
// Blobs: immutable byte files under <data>/blobs, each named by a random id. All calls block: run them on a
// BlockingPool. Thread-safe; owned by server/wiring.
//
// Layout: blobs/xx/<id> (xx = first two characters), blobs/staging/<id> while a blob has no record yet. A blob's life:
//   1. written to staging/<id>, fsync
//   2. linked to xx/<id>, both folders fsync      -> from here a record may name it
//   3. the metadata transaction commits
//   4. staging/<id> unlinked                      -> settled
// A crash leaves a name in staging; recover() then keeps the blob if a record names it and removes it otherwise, so
// that a record never lacks its blob and no blob stays without a record. Errors: kUnavailable when the disk refuses.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/store.h"

namespace muster::objects {

class Blobs;

// A blob being written. Destroyed before settle(): the blob is removed, unless keep_for_recovery() was called.
class BlobWriter {
 public:
  ~BlobWriter();
  BlobWriter(const BlobWriter&) = delete;
  BlobWriter& operator=(const BlobWriter&) = delete;

  const std::string& id() const { return id_; }
  Status write(std::string_view bytes);
  Status publish();  // steps 1 and 2: durable and readable
  void settle();     // step 4: a record names it
  // The outcome of the transaction is unknown: the next start decides.
  void keep_for_recovery() { unknown_ = true; }

 private:
  friend class Blobs;
  BlobWriter(const Blobs& blobs, std::string id, int fd);
  const Blobs& blobs_;
  std::string id_;
  int fd_ = -1;
  bool published_ = false;
  bool settled_ = false;
  bool unknown_ = false;
};

// An open blob; reading goes on even when the blob is removed meanwhile.
class BlobReader {
 public:
  ~BlobReader();
  BlobReader(const BlobReader&) = delete;
  BlobReader& operator=(const BlobReader&) = delete;
  // Up to `count` bytes from `offset`; fewer only at the end of the file.
  Result<std::string> read(std::int64_t offset, std::size_t count) const;

 private:
  friend class Blobs;
  explicit BlobReader(int fd) : fd_(fd) {}
  int fd_;
};

class Blobs {
 public:
  // Creates the folders (mode 0700) when they are missing.
  static Result<std::unique_ptr<Blobs>> open(const std::string& directory);

  Result<std::unique_ptr<BlobWriter>> create() const;
  // A new blob with the bytes of another, which is immutable: a second name for the same file, ready to publish().
  Result<std::unique_ptr<BlobWriter>> duplicate(std::string_view id) const;
  Result<std::unique_ptr<BlobReader>> read(std::string_view id) const;  // kUnavailable when the file is not there

  // Before requests are served: settles what a crash left in staging. Reads the object table once, only when something
  // is there. Returns how many blobs were removed.
  Result<std::size_t> recover(store::Store& store) const;
  // Removes blobs that lost their record more than `grace_ms` ago (a reader that has just read the record still opens
  // the file), at most `limit` of them. Returns how many.
  Result<std::size_t> sweep(store::Store& store, std::int64_t grace_ms, std::size_t limit = 1000) const;

  const std::string& directory() const { return directory_; }

 private:
  friend class BlobWriter;
  explicit Blobs(std::string directory) : directory_(std::move(directory)) {}
  std::string path(std::string_view id) const;
  std::string staging_path(std::string_view id) const;
  std::string directory_;
};

}  // namespace muster::objects
