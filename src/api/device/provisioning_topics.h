// SPDX-License-Identifier: Apache-2.0
// RegisterThing over MQTT: what devices publish to $aws/provisioning-templates/TEMPLATE/provision/FORMAT, answered on
// .../accepted or .../rejected to the requester alone, after all that the template says is durable
// (domain/provisioning/fleet.h). On the broker's loop, at most 256 requests at a time; more are answered with
// Throttling. Each is recorded (device_calls.h) before it is answered. Owned by server/wiring, which outlives the
// broker's stop. Unknown members of a request are refused. Source: AWS IoT developer guide, "Device provisioning MQTT
// API".
#pragma once

#include <functional>
#include <memory>

#include "api/device/device_calls.h"
#include "domain/provisioning/fleet.h"
#include "io/loop.h"
#include "mqtt/broker/ports.h"

namespace muster::api::device {

class ProvisioningTopics final : public mqtt::IngressHook {
 public:
  // References outlive it; answers still to come when it is destroyed are dropped.
  ProvisioningTopics(io::Loop& loop, const provisioning::FleetProvisioner& provisioner, const DeviceCalls& calls);
  ~ProvisioningTopics() override;
  bool handle(const mqtt::Ingress& message, std::function<void(bool accepted)> handled) override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::api::device
