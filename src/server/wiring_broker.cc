// SPDX-License-Identifier: Apache-2.0
// The broker and what it asks about connections.
#include "server/parts.h"

#include "domain/functions/http_invoker.h"
#include "server/broker_limits.h"

namespace muster::server {

namespace {

constexpr int kBlockingThreads = 4;
constexpr int kQueryThreads = 2;
constexpr std::size_t kQueriesWaiting = 64;

}  // namespace

// What calls other servers, and what is decided by their answers.
Status Server::Parts::make_callers() {
  pool = std::make_unique<io::BlockingPool>(kBlockingThreads);
  queries = std::make_unique<io::BlockingPool>(kQueryThreads, kQueriesWaiting);
  TRY(http_client, io::HttpClient::create({.ca_file = config.outgoing_ca_file}));
  TRY(auto functions_at, functions::parse_function_endpoints(config.functions_endpoints));
  invoker = std::make_unique<functions::HttpInvoker>(*http_client, std::move(functions_at));
  custom_authorizers = std::make_unique<api::device::CustomAuthorizers>(*store, account.realm, *invoker, clock);
  TRY(auto key_files, api::iam_service::parse_key_files(config.iam_oidc_keys));
  web_identity_keys =
      std::make_unique<api::iam_service::WebIdentityKeys>(*http_client, *pool, clock, std::move(key_files));
  return {};
}

Status Server::Parts::make_broker() {
  credentials = std::make_unique<iam::StoreCredentials>(*store, account.realm);
  generations.follow(*store, account.realm);
  api::device::AuthorizerOptions authorizer_options;
  authorizer_options.plain_policy = config.plain_mqtt_policy;
  authorizer_options.sys_topics = config.mqtt_sys_interval_s > 0;
  authorizer_options.denials = &denials;
  authorizer_options.tokens = custom_authorizers.get();
  first_connections =
      std::make_unique<api::device::FirstConnections>(*store, *pool, clock, provisioning_context, device_calls);
  authorizer_options.unknown = first_connections.get();
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
  connectivity = std::make_unique<fleet::ConnectivityRecorder>(*store);
  connectivity_watch = std::make_unique<api::device::ConnectivityWatch>(*lifecycle, *connectivity);
  broker->set_lifecycle(*connectivity_watch);
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
