// SPDX-License-Identifier: Apache-2.0
// The broker's limits as the settings have them.
#pragma once

#include "mqtt/broker/options.h"
#include "server/config.h"

namespace muster::server {

mqtt::BrokerOptions broker_limits(const Config& config);

}  // namespace muster::server
