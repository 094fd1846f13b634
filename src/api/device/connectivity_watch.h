// SPDX-License-Identifier: Apache-2.0
// ConnectivityWatch: between the broker and the lifecycle events, tells the fleet index who connects and who is gone.
// On the loops of the connections; blocks none. Owned by server/wiring.
#pragma once

#include "api/device/lifecycle_events.h"
#include "domain/fleet/connectivity.h"

namespace muster::api::device {

class ConnectivityWatch final : public mqtt::Lifecycle {
 public:
  ConnectivityWatch(mqtt::Lifecycle& next, fleet::ConnectivityRecorder& recorder) : next_(next), recorder_(recorder) {}

  void connected(const mqtt::LifecycleClient& client) override {
    recorder_.connected(client.client_id, client.session_identifier, client.now_ms);
    next_.connected(client);
  }
  void connect_failed(const mqtt::LifecycleClient& client, std::string_view reason) override {
    next_.connect_failed(client, reason);
  }
  void disconnected(const mqtt::LifecycleClient& client, mqtt::EndCause cause) override {
    recorder_.disconnected(client.client_id, client.session_identifier, disconnect_reason(cause), client.now_ms);
    next_.disconnected(client, cause);
  }
  void subscribed(const mqtt::LifecycleClient& client, const std::vector<std::string>& filters) override {
    next_.subscribed(client, filters);
  }
  void unsubscribed(const mqtt::LifecycleClient& client, const std::vector<std::string>& filters) override {
    next_.unsubscribed(client, filters);
  }

 private:
  mqtt::Lifecycle& next_;
  fleet::ConnectivityRecorder& recorder_;
};

}  // namespace muster::api::device
