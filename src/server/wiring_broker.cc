// SPDX-License-Identifier: Apache-2.0
// The broker and what it asks about connections.
#include "server/parts.h"

#include "server/broker_limits.h"

namespace muster::server {

namespace {

constexpr int kBlockingThreads = 4;

}  // namespace

Status Server::Parts::make_broker() {
  pool = std::make_unique<io::BlockingPool>(kBlockingThreads);
  credentials = std::make_unique<iam::StoreCredentials>(*store, account.realm);
  generations.follow(*store, account.realm);
  api::device::AuthorizerOptions authorizer_options;
  authorizer_options.plain_policy = config.plain_mqtt_policy;
  authorizer_options.sys_topics = config.mqtt_sys_interval_s > 0;
  authorizer_options.denials = &denials;
  std::vector<mqtt::BrokerLoop> loops;
  for (const auto& loop : device_loops) {
    authorizers.push_back(
        std::make_unique<api::device::DeviceAuthorizer>(*loop, *store, account.realm, generations, authorizer_options));
    loops.push_back({loop.get(), authorizers.back().get()});
  }
  mqtt::BrokerOptions options = broker_limits(config);
  options.message_log_directory = data.file("mqtt");
  TRY(broker, mqtt::Broker::create(loops, clock, *store, options));
  const auto tell = [this](std::string topic, std::string payload) {
    mqtt::ServerMessage message{.topic = std::move(topic), .payload = std::move(payload), .qos = 1};
    broker->publish(std::move(message), nullptr);
  };
  lifecycle = std::make_unique<api::device::LifecycleEvents>(tell, !account.created, clock.now_ms());
  lifecycle->ask_first([this](std::string_view topic) { return broker->wanted(topic); });
  broker->set_lifecycle(*lifecycle);
  if (config.mqtt_sys_interval_s > 0) {
    sys_topics = std::make_unique<SysTopics>(*device_loops.front(), clock, *broker, config.mqtt_sys_interval_s);
  }
  // After a change of a principal or its policies that ends its right to be connected.
  for (std::size_t shard = 0; shard < authorizers.size(); ++shard) {
    authorizers[shard]->on_refused(
        [this, shard](std::string principal_id) { broker->recheck(shard, std::move(principal_id)); });
  }
  return {};
}

}  // namespace muster::server
