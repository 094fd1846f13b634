// SPDX-License-Identifier: Apache-2.0
// Calls over MQTT that change the control plane (new certificates, RegisterThing), for who keeps a record of them (the
// audit log, server/audit). No change is begun while may_change() says no, and the answer to one waits for its record.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "domain/iam/principal.h"
#include "mqtt/broker/ports.h"

namespace muster::api::device {

// A grant that knows whose connection it is and where that comes from.
class KnownClient {
 public:
  virtual ~KnownClient() = default;
  virtual iam::Principal caller() const = 0;  // kAnonymous: of the plain listener
  virtual const std::string& source_ip() const = 0;
};

struct DeviceCall {
  std::string name;  // of the operation: "RegisterThing"
  std::string client_id, source_ip, principal;
  bool tls = false;    // certainly
  iam::Principal who;  // kAnonymous: nobody proved anything
  json::object input;  // as the device gave it: what is secret in it is hidden by who records
  std::string template_name;
  std::string certificate_id, thing_name;  // that were made or changed
  std::optional<Error> error;
  bool begun = true;  // false: refused at first sight
};
DeviceCall device_call(std::string_view name, const mqtt::Ingress& message);

struct DeviceCalls {
  std::function<Status()> may_change;
  // `done` once, on any thread, when the record is durable.
  std::function<void(DeviceCall call, std::function<void(Status)> done)> record;
};

}  // namespace muster::api::device
