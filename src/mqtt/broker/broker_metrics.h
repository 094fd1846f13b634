// SPDX-License-Identifier: Apache-2.0
// The broker's counters for Prometheus, and the same of each listener under a label. The broker outlives the registry's
// last exposition.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "mqtt/broker/broker.h"

namespace muster::mqtt {

void register_metrics(metrics::Registry& registry, const Broker& broker);
// muster_mqtt_listener_...{listener="NAME"}. `read` answers what came in by the listener of that index in `names`; it
// is called on the exposing thread.
void register_listener_metrics(metrics::Registry& registry, const std::vector<std::string>& names,
                               std::function<ListenerTotals(std::size_t index)> read);

}  // namespace muster::mqtt
