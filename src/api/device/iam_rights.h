// SPDX-License-Identifier: Apache-2.0
// IamConnections: what MQTT connections of IAM principals may do (signed WebSockets), by the identity-based policies of
// the user or role and the session's policy: iot:Connect on client/ID, iot:Publish, iot:RetainPublish and iot:Receive
// on topic/T, iot:Subscribe on topicfilter/F. Explicit deny wins; root may everything. Conditions see the upgrade
// request. A wildcard of a filter has to stand in the policy itself, not come out of a variable.
//
// Connections of one credential share its rights, which are read again twice a second while it has any: a deactivated
// key, a changed policy or tag, or an ended session is noticed within a second, whichever process changed it. Owned by
// the DeviceAuthorizer; on its loop. Source: AWS IoT developer guide, "IAM users, groups, and roles".
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/device/transport_identity.h"
#include "base/ids.h"
#include "domain/iam/policy/cache.h"
#include "io/loop.h"
#include "mqtt/broker/ports.h"
#include "store/store.h"

namespace muster::api::device {

class IamConnections {
 public:
  // References outlive it. `cache` is shared with the owner.
  IamConnections(io::Loop& loop, store::Store& store, Realm realm, iam::PolicyCache& cache);
  ~IamConnections();

  // Called on the loop with the principal id of connections whose rights changed.
  void on_changed(std::function<void(std::string principal_id)> changed);
  void connect(const mqtt::ConnectAttempt& attempt, const IamIdentity& identity,
               std::function<void(mqtt::Authorizer::Decision)> done);

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace muster::api::device
