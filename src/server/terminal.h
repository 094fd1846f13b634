// SPDX-License-Identifier: Apache-2.0
// Text for terminals. Pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace muster::server {

// Clients and devices chose it: what could steer a terminal is shown as hex.
std::string printable(std::string_view text);
// Characters, as a terminal counts the usual ones.
std::size_t width_of(std::string_view text);

}  // namespace muster::server
