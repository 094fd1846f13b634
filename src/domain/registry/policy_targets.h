// SPDX-License-Identifier: Apache-2.0
// Attachments of IoT policies, between policies.cc and policy_targets.cc; the public functions are in policies.h.
#pragma once

#include <string_view>

#include "store/store.h"

namespace muster::registry {

bool has_targets(store::Tx& tx, std::string_view policy);

}  // namespace muster::registry
