// SPDX-License-Identifier: Apache-2.0
// New certificates over MQTT: what devices publish to $aws/certificates/create/FORMAT and create-from-csr/FORMAT,
// answered on .../accepted or .../rejected to the requester alone. The certificate is signed by the device CA, is
// PENDING_ACTIVATION, and belongs to whoever shows its ownership token (domain/provisioning/ownership.h).
// On the broker's loop; keys are made on the blocking pool, at most 8 at a time for each loop, more are answered with
// Throttling. Each is recorded (device_calls.h) before it is answered. Owned by server/wiring, which outlives the
// broker's stop. Unknown members of a request are refused. Source: AWS IoT developer guide, "Device provisioning MQTT
// API".
#pragma once

#include <functional>
#include <memory>

#include "api/device/device_calls.h"
#include "domain/provisioning/context.h"
#include "io/env.h"
#include "io/files.h"
#include "io/loop.h"
#include "mqtt/broker/ports.h"
#include "store/store.h"

namespace muster::api::device {

class CertificateTopics final : public mqtt::IngressHook {
 public:
  // References outlive it; what is under way when it is destroyed is dropped.
  CertificateTopics(io::Loop& loop, const io::Clock& clock, store::Store& store, io::BlockingPool& pool,
                    const provisioning::Context& context, const DeviceCalls& calls);
  ~CertificateTopics() override;
  bool handle(const mqtt::Ingress& message, std::function<void(bool accepted)> handled) override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::api::device
