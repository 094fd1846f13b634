// SPDX-License-Identifier: Apache-2.0
#include "server/meters.h"

namespace muster::server {

void observe_store(metrics::Registry& metrics, const store::Store& store) {
  auto add = [&](std::string_view name, std::string_view help, auto member) {
    metrics.observed_counter(name, help, [&store, member] { return store.stats().*member; });
  };
  add("muster_store_commits_total", "transactions committed", &store::Stats::commits);
  add("muster_store_conflicts_total", "transaction bodies run again after a conflict", &store::Stats::conflicts);
  add("muster_store_syncs_total", "waits for stable storage, each for a group of commits", &store::Stats::syncs);
  add("muster_store_written_bytes_total", "bytes written to the log", &store::Stats::bytes_written);
  add("muster_store_sync_microseconds_total", "time spent waiting for stable storage",
      &store::Stats::sync_microseconds);
}

}  // namespace muster::server
