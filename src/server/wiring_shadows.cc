// SPDX-License-Identifier: Apache-2.0
// Device shadows over MQTT, and the timer of what deleted ones leave.
#include "server/parts.h"

namespace muster::server {

void Server::Parts::make_shadows() {
  shadows::register_timers(*timers);
  const api::device::ShadowPort port{
      .wanted = [this](std::string_view topic) { return broker->wanted(topic); },
      .wake_outbox = [this] { outbox->wake(); },
      .publish =
          [this](std::string topic, std::string payload, std::function<void(bool)> done) {
            broker->publish({.topic = std::move(topic), .payload = std::move(payload), .qos = 1, .properties = {}},
                            [done = std::move(done)](mqtt::PublishOutcome outcome) {
                              done(outcome == mqtt::PublishOutcome::kDone);
                            });
          },
  };
  for (std::size_t shard = 0; shard < device_loops.size(); ++shard) {
    shadow_topics.push_back(std::make_unique<api::device::ShadowTopics>(*device_loops[shard], clock, *store, port));
    broker->add_ingress(shard, *shadow_topics.back());
  }
}

}  // namespace muster::server
