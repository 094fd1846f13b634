// SPDX-License-Identifier: Apache-2.0
// The embedded engine: RocksDB with optimistic transactions and group commit. Bodies run on the calling thread against
// committed state (the overlay over RocksDB); a commit is checked and numbered under one mutex; one flusher thread
// writes everything accepted since its last write with a single synced write and then calls the Dones, in commit order,
// on its thread. Reads of state that is not yet on disk are released with that state.
//
// Never waits on the caller's thread for the disk's writes: above `max_pending_bytes` not yet written, commits end in
// kThrottled. When a write fails (disk full, I/O error), everything accepted and not yet written ends in kUnavailable,
// as does every later write; reads go on. The flusher then tries every `resume_every_ms` whether the disk is well
// again.
//
// One process per directory. Destroying the engine writes what is pending; no run() may be under way then.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "io/env.h"
#include "store/store.h"

namespace muster::store {

struct EmbeddedOptions {
  std::string directory;             // made when absent, 0700
  const io::Clock* clock = nullptr;  // outlives the store
  std::size_t max_pending_bytes = std::size_t{64} << 20;
  std::int64_t resume_every_ms = 5'000;  // after a failed write
  std::size_t cache_bytes = std::size_t{128} << 20;
};

// kUnavailable: in use by another process; kNotSupported: of a newer version; kInternal: damaged or not accessible.
Result<std::unique_ptr<Store>> open_embedded_store(const EmbeddedOptions& options);

}  // namespace muster::store
