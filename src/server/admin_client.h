// SPDX-License-Identifier: Apache-2.0
// The command line as a client of the server's own administration API: signs with the root key of the data directory,
// asks, and prints a table for people. Blocks; no server runs in the same process.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "server/data_dir.h"

namespace muster::server {

// muster mqtt clients | client ID | disconnect ID. The text to print; kInvalid for words that mean nothing.
Result<std::string> run_mqtt_words(const DataDir& data, const std::vector<std::string>& words);

// Rows of ListMqttClients, aligned under a head line.
std::string clients_table(const json::array& clients);

}  // namespace muster::server
