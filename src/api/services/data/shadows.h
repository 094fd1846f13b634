// SPDX-License-Identifier: Apache-2.0
// Operations of service "iot-data" on device shadows: GetThingShadow, UpdateThingShadow, DeleteThingShadow,
// ListNamedShadowsForThing. The same domain functions as over MQTT (api/device/shadow_topics); an update or deletion is
// heard by MQTT subscribers too, a refusal is not. Source: AWS IoT developer guide, "Device Shadow REST API".
#pragma once

#include <functional>

#include "api/wire/operation.h"
#include "domain/shadows/shadows.h"
#include "store/store.h"

namespace muster::api::data {

struct ShadowServices {
  store::Store* store = nullptr;
  shadows::Wanted wanted;  // thread-safe; null: everybody listens to everything
  std::function<void()> wake_outbox;
};

void register_shadows(Operations& operations, const ShadowServices& services);

}  // namespace muster::api::data
