// SPDX-License-Identifier: Apache-2.0
// The device front as `why` sees it: what was refused lately, what a client may do, who listens. Callable on any
// thread; what is referred to outlives it.
#pragma once

#include "api/device/denials.h"
#include "api/services/admin/why.h"
#include "base/ids.h"
#include "mqtt/broker/broker.h"

namespace muster::server {

struct DevicePortParts {
  Realm realm;
  mqtt::Broker& broker;
  api::device::Denials& denials;
  bool sys_topics = false;
};
api::admin::DevicePort device_port(const DevicePortParts& parts);

}  // namespace muster::server
