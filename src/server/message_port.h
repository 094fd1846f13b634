// SPDX-License-Identifier: Apache-2.0
// The broker as the iot-data and administration services see it. Functions of the ports are callable on any thread; the
// broker outlives them.
#pragma once

#include <string_view>

#include "api/services/admin/mqtt_clients.h"
#include "api/services/data/iot_data.h"
#include "api/services/iot/jobs.h"
#include "mqtt/broker/broker.h"

namespace muster::server {

// "certificate", "plain", "iam", "token", or nothing: whose name a principal is.
std::string_view kind_word(mqtt::PrincipalKind kind);
api::data::MessagePort message_port(mqtt::Broker& broker);
api::admin::ClientsPort clients_port(mqtt::Broker& broker);
// Things that are offline: no client of their name, nor with a certificate of theirs, is connected.
api::iot::OfflineCounter offline_counter(mqtt::Broker& broker);

}  // namespace muster::server
