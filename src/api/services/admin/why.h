// SPDX-License-Identifier: Apache-2.0
// Operation Explain of service "muster": why a thing is or is not offered a job, why a rollout waits, why a client was
// refused something, whether the device is there and listens. The domain gives the reasons (domain/jobs/outlook/why.h),
// the device front those of policies, through ports; this puts them together. Changes nothing.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/services/admin/mqtt_clients.h"
#include "api/wire/operation.h"
#include "base/finding.h"
#include "domain/jobs/context.h"
#include "store/store.h"

namespace muster::api::admin {

struct AccessAsked {
  std::string client_id;
  std::string principal;       // certificate id, "plain:POLICY", ...; empty: not known
  std::string principal_kind;  // see MqttClient
  std::string source_ip;       // empty: unknown
  std::string action;          // "iot:Publish", "iot:Subscribe", "iot:Receive", "iot:Connect"
  std::string name;            // topic, filter or client id
};
// A refusal of the past.
struct PastDenial {
  std::int64_t last_ms = 0;
  std::int64_t times = 1;
  std::string action, name, principal, principal_kind;
  Findings reasons;
};
// What the device front knows. Callable on any thread.
struct DevicePort {
  std::function<std::vector<PastDenial>(std::string_view client_id)> denials;  // newest first
  std::function<Result<Findings>(store::Tx& tx, const AccessAsked& asked)> access;
  std::function<bool(std::string_view topic)> wanted;  // somebody subscribes to it
};

struct WhyServices {
  store::Store* store = nullptr;
  jobs::Context jobs;
  ClientsPort clients;
  DevicePort devices;
};
void register_why(Operations& operations, const WhyServices& services);

}  // namespace muster::api::admin
