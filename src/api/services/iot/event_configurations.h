// SPDX-License-Identifier: Apache-2.0
// UpdateEventConfigurations and DescribeEventConfigurations (domain/registry/event_configurations.h). Part of
// register_registry().
#pragma once

#include "api/services/iot/registry_services.h"
#include "api/wire/operation.h"

namespace muster::api::iot {

void register_event_configurations(Operations& operations, const SharedRegistry& services);

}  // namespace muster::api::iot
