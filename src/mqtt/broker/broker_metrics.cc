// SPDX-License-Identifier: Apache-2.0
#include "mqtt/broker/broker_metrics.h"

namespace muster::mqtt {

void register_metrics(metrics::Registry& registry, const Broker& broker) {
  const auto gauge = [&](std::string_view name, std::string_view help, auto member) {
    registry.observed_gauge(name, help, [&broker, member] { return static_cast<std::int64_t>(broker.total(member)); });
  };
  const auto counter = [&](std::string_view name, std::string_view help, auto member) {
    registry.observed_counter(name, help, [&broker, member] { return broker.total(member); });
  };
  using Stats = BrokerStats;
  using Listener = ListenerStats;
  gauge("muster_mqtt_connections", "Open MQTT connections", &Listener::connections);
  gauge("muster_mqtt_sessions", "MQTT sessions, connected and stored", &Stats::sessions);
  gauge("muster_mqtt_subscriptions", "MQTT subscriptions", &Stats::subscriptions);
  gauge("muster_mqtt_retained_messages", "Retained messages", &Stats::retained);
  gauge("muster_mqtt_queued_messages", "Messages held for sessions, in flight included", &Stats::queued_messages);
  gauge("muster_mqtt_queued_bytes", "Bytes held for sessions", &Stats::queued_bytes);
  counter("muster_mqtt_accepted_total", "Connections accepted", &Listener::accepted);
  counter("muster_mqtt_connects_total", "CONNECTs answered with success", &Listener::connects);
  counter("muster_mqtt_refused_total", "Connections closed unread: too many", &Stats::refused);
  counter("muster_mqtt_auth_failures_total", "CONNECTs refused by the authorizer", &Listener::auth_failures);
  counter("muster_mqtt_denied_total", "Publishes, filters and deliveries without permission", &Stats::denied);
  counter("muster_mqtt_takeovers_total", "Connections replaced by another of the same client id", &Stats::takeovers);
  counter("muster_mqtt_protocol_errors_total", "Connections ended by a violation of the protocol",
          &Stats::protocol_errors);
  counter("muster_mqtt_messages_in_total", "PUBLISH packets received", &Listener::messages_in);
  counter("muster_mqtt_messages_out_total", "PUBLISH packets sent", &Listener::messages_out);
  counter("muster_mqtt_bytes_in_total", "Bytes received", &Listener::bytes_in);
  counter("muster_mqtt_bytes_out_total", "Bytes sent", &Listener::bytes_out);
  counter("muster_mqtt_dropped_total", "Messages dropped: slow readers and full queues", &Stats::dropped);
  counter("muster_mqtt_expired_total", "Messages whose expiry passed in a queue", &Stats::expired);
  counter("muster_mqtt_durable_batches_total", "Transactions of session state", &Stats::durable_batches);
  counter("muster_mqtt_log_syncs_total", "Syncs of the message log", &Stats::log_syncs);
}

void register_listener_metrics(metrics::Registry& registry, const Broker& broker) {
  static constexpr struct {
    std::string_view name, help;
    Counter ListenerStats::*member;
  } kCounters[] = {
      {"muster_mqtt_listener_accepted_total", "Connections accepted", &ListenerStats::accepted},
      {"muster_mqtt_listener_connects_total", "CONNECTs answered with success", &ListenerStats::connects},
      {"muster_mqtt_listener_refused_total", "Connections closed unread", &ListenerStats::refused},
      {"muster_mqtt_listener_auth_failures_total", "CONNECTs refused by the authorizer", &ListenerStats::auth_failures},
      {"muster_mqtt_listener_protocol_errors_total", "Connections ended by a violation of the protocol",
       &ListenerStats::protocol_errors},
      {"muster_mqtt_listener_messages_in_total", "PUBLISH packets received", &ListenerStats::messages_in},
      {"muster_mqtt_listener_messages_out_total", "PUBLISH packets sent", &ListenerStats::messages_out},
      {"muster_mqtt_listener_bytes_in_total", "Bytes received", &ListenerStats::bytes_in},
      {"muster_mqtt_listener_bytes_out_total", "Bytes sent", &ListenerStats::bytes_out},
  };
  for (std::size_t i = 0; i < broker.listeners().size(); ++i) {
    const metrics::Labels labels{{"listener", broker.listeners()[i]}};
    registry.observed_gauge(
        "muster_mqtt_listener_connections", "Open MQTT connections",
        [&broker, i] { return static_cast<std::int64_t>(broker.total(i, &ListenerStats::connections)); }, labels);
    for (const auto& [name, help, member] : kCounters) {
      registry.observed_counter(
          name, help, [&broker, i, which = member] { return broker.total(i, which); }, labels);
    }
  }
}

}  // namespace muster::mqtt
