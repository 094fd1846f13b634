// SPDX-License-Identifier: Apache-2.0
// Fleet indexing of service "iot": SearchIndex, the aggregations, the indexing configuration, and the connectivity of a
// thing. server/wiring calls register_fleet() once; the handlers share a copy of FleetServices, whose pointers outlive
// the Operations. Searches run on the pool of queries.
#pragma once

#include "api/wire/operation.h"
#include "domain/fleet/indexer.h"
#include "io/env.h"
#include "io/files.h"
#include "store/store.h"

namespace muster::api::fleet_service {

struct FleetServices {
  store::Store* store = nullptr;
  const fleet::Indexer* indexer = nullptr;
  io::BlockingPool* queries = nullptr;
  const io::Clock* clock = nullptr;
};

void register_fleet(Operations& operations, const FleetServices& services);

// Parts of the above.
using SharedFleet = std::shared_ptr<const FleetServices>;
void register_index_settings(Operations& operations, const SharedFleet& services);

}  // namespace muster::api::fleet_service
