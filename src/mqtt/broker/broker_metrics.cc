// SPDX-License-Identifier: Apache-2.0
#include "mqtt/broker/broker_metrics.h"

namespace muster::mqtt {

void register_metrics(metrics::Registry& registry, const Broker& broker) {
  const BrokerStats& stats = broker.stats();
  const auto gauge = [&](std::string_view name, std::string_view help, const Counter& value) {
    registry.observed_gauge(name, help, [&value] { return static_cast<std::int64_t>(std::uint64_t{value}); });
  };
  const auto counter = [&](std::string_view name, std::string_view help, const Counter& value) {
    registry.observed_counter(name, help, [&value] { return std::uint64_t{value}; });
  };
  gauge("muster_mqtt_connections", "Open MQTT connections", stats.connections);
  gauge("muster_mqtt_sessions", "MQTT sessions, connected and stored", stats.sessions);
  gauge("muster_mqtt_subscriptions", "MQTT subscriptions", stats.subscriptions);
  gauge("muster_mqtt_retained_messages", "Retained messages", stats.retained);
  gauge("muster_mqtt_queued_messages", "Messages held for sessions, in flight included", stats.queued_messages);
  gauge("muster_mqtt_queued_bytes", "Bytes held for sessions", stats.queued_bytes);
  counter("muster_mqtt_accepted_total", "Connections accepted", stats.accepted);
  counter("muster_mqtt_connects_total", "CONNECTs answered with success", stats.connects);
  counter("muster_mqtt_refused_total", "Connections closed unread: too many", stats.refused);
  counter("muster_mqtt_auth_failures_total", "CONNECTs refused by the authorizer", stats.auth_failures);
  counter("muster_mqtt_denied_total", "Publishes, filters and deliveries without permission", stats.denied);
  counter("muster_mqtt_takeovers_total", "Connections replaced by another of the same client id", stats.takeovers);
  counter("muster_mqtt_protocol_errors_total", "Connections ended by a violation of the protocol",
          stats.protocol_errors);
  counter("muster_mqtt_messages_in_total", "PUBLISH packets received", stats.messages_in);
  counter("muster_mqtt_messages_out_total", "PUBLISH packets sent", stats.messages_out);
  counter("muster_mqtt_bytes_in_total", "Bytes received", stats.bytes_in);
  counter("muster_mqtt_bytes_out_total", "Bytes sent", stats.bytes_out);
  counter("muster_mqtt_dropped_total", "Messages dropped: slow readers and full queues", stats.dropped);
  counter("muster_mqtt_expired_total", "Messages whose expiry passed in a queue", stats.expired);
  counter("muster_mqtt_durable_batches_total", "Transactions of session state", stats.durable_batches);
}

void register_listener_metrics(metrics::Registry& registry, const std::vector<std::string>& names,
                               std::function<ListenerTotals(std::size_t index)> read) {
  using Member = std::uint64_t ListenerTotals::*;
  static constexpr struct {
    std::string_view name, help;
    Member member;
  } kCounters[] = {
      {"muster_mqtt_listener_accepted_total", "Connections accepted", &ListenerTotals::accepted},
      {"muster_mqtt_listener_connects_total", "CONNECTs answered with success", &ListenerTotals::connects},
      {"muster_mqtt_listener_refused_total", "Connections closed unread", &ListenerTotals::refused},
      {"muster_mqtt_listener_auth_failures_total", "CONNECTs refused by the authorizer",
       &ListenerTotals::auth_failures},
      {"muster_mqtt_listener_protocol_errors_total", "Connections ended by a violation of the protocol",
       &ListenerTotals::protocol_errors},
      {"muster_mqtt_listener_messages_in_total", "PUBLISH packets received", &ListenerTotals::messages_in},
      {"muster_mqtt_listener_messages_out_total", "PUBLISH packets sent", &ListenerTotals::messages_out},
      {"muster_mqtt_listener_bytes_in_total", "Bytes received", &ListenerTotals::bytes_in},
      {"muster_mqtt_listener_bytes_out_total", "Bytes sent", &ListenerTotals::bytes_out},
  };
  for (std::size_t i = 0; i < names.size(); ++i) {
    const metrics::Labels labels{{"listener", names[i]}};
    registry.observed_gauge(
        "muster_mqtt_listener_connections", "Open MQTT connections",
        [read, i] { return static_cast<std::int64_t>(read(i).connections); }, labels);
    for (const auto& [name, help, member] : kCounters) {
      registry.observed_counter(
          name, help, [read, i, which = member] { return read(i).*which; }, labels);
    }
  }
}

}  // namespace muster::mqtt
