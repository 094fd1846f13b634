// SPDX-License-Identifier: Apache-2.0
// Parts of register_registry (iot/registry_services.h) that are declared nowhere else.
#pragma once

#include "api/services/iot/registry_services.h"

namespace muster::api::iot {

void register_thing_types(Operations& operations, const SharedRegistry& services);
void register_billing_groups(Operations& operations, const SharedRegistry& services);

}  // namespace muster::api::iot
