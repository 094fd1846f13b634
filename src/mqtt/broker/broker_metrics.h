// SPDX-License-Identifier: Apache-2.0
// The broker's counters for Prometheus, and the same of each listener under a label. The broker outlives the registry's
// last exposition.
#pragma once

#include "base/metrics.h"
#include "mqtt/broker/broker.h"

namespace muster::mqtt {

void register_metrics(metrics::Registry& registry, const Broker& broker);
// muster_mqtt_listener_...{listener="NAME"}, of the listeners that are named by now.
void register_listener_metrics(metrics::Registry& registry, const Broker& broker);

}  // namespace muster::mqtt
