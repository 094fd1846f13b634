// SPDX-License-Identifier: Apache-2.0
#include "api/device/device_calls.h"

namespace muster::api::device {

DeviceCall device_call(std::string_view name, const mqtt::Ingress& message) {
  DeviceCall call;
  call.name = name;
  call.client_id = message.client_id;
  if (message.grant == nullptr) return call;
  call.principal = message.grant->principal_id();
  // The others may have come over a WebSocket without.
  call.tls = message.grant->principal_kind() == mqtt::PrincipalKind::kCertificate;
  if (const auto* known = dynamic_cast<const KnownClient*>(message.grant)) {
    call.who = known->caller();
    call.source_ip = known->source_ip();
  }
  return call;
}

}  // namespace muster::api::device
