// SPDX-License-Identifier: Apache-2.0
// What the store counts, in the metrics registry: read at exposition. The store outlives the last exposition.
#pragma once

#include "base/metrics.h"
#include "store/store.h"

namespace muster::server {

void observe_store(metrics::Registry& metrics, const store::Store& store);

}  // namespace muster::server
