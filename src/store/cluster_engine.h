// SPDX-License-Identifier: Apache-2.0
// The distributed engine: any number of processes over one PostgreSQL-wire database. Bodies run on worker threads, each
// with a connection of its own, reading committed state statement by statement and noting versions. One committer
// thread takes all that has finished, checks what was read against the database and within the batch, and writes the
// batch in one transaction of few statements (unnest). Every commit transaction first updates one row, the stamp: its
// lock puts the commits of all processes in one order, so what was checked stays true until COMMIT, and the stamp's
// number is both the version of what is written and the order of appended entries.
//
// Only SQL that other PostgreSQL-wire databases take too: no LISTEN, advisory locks or stored procedures. Synchronous
// commit is the database's setting; leave it on. Bodies that call run_blocking() need a free worker.
//
// Errors: kUnavailable when the database cannot be reached or refuses; kThrottled above `max_queued` transactions. When
// the connection is lost during COMMIT, the batch's row tells after reconnecting whether it was committed; if the
// database does not come back, the error says that the outcome is unknown.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "io/env.h"
#include "store/store.h"

namespace muster::store {

struct ClusterOptions {
  std::string connection;            // libpq connection string or URI
  const io::Clock* clock = nullptr;  // outlives the store
  std::size_t workers = 8;           // connections for bodies; one more commits
  std::size_t max_queued = 10'000;
};

// Connects and makes the tables when absent.
Result<std::unique_ptr<Store>> open_cluster_store(const ClusterOptions& options);

}  // namespace muster::store
