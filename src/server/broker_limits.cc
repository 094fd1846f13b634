// SPDX-License-Identifier: Apache-2.0
#include "server/broker_limits.h"

namespace muster::server {
namespace {

constexpr std::size_t kConnectBesideWill = 16 * 1024;  // client id, will topic, user name, properties

// The table of settings has bounds that fit.
template <class T>
void take(T& option, std::int64_t setting) {
  option = static_cast<T>(setting);
}

}  // namespace

mqtt::BrokerOptions broker_limits(const Config& config) {
  mqtt::BrokerOptions options;
  take(options.max_connections, config.device_max_connections);
  take(options.max_payload_bytes, config.mqtt_max_payload_bytes);
  take(options.max_packet_bytes, config.mqtt_max_packet_bytes);
  take(options.max_client_id_bytes, config.mqtt_max_client_id_bytes);
  take(options.max_topic_bytes, config.mqtt_max_topic_bytes);
  take(options.max_topic_levels, config.mqtt_max_topic_levels);
  take(options.max_keep_alive_s, config.mqtt_max_keep_alive_s);
  take(options.min_keep_alive_s, config.mqtt_min_keep_alive_s);
  take(options.session_expiry_s, config.mqtt_session_expiry_s);
  take(options.max_session_expiry_s, config.mqtt_max_session_expiry_s);
  take(options.max_sessions, config.mqtt_max_sessions);
  take(options.max_subscriptions, config.mqtt_max_subscriptions);
  take(options.max_filters_per_subscribe, config.mqtt_max_filters_per_subscribe);
  take(options.receive_maximum, config.mqtt_receive_maximum);
  take(options.max_inflight, config.mqtt_max_inflight);
  take(options.topic_alias_maximum, config.mqtt_topic_alias_maximum);
  take(options.max_queue_messages, config.mqtt_max_queued_messages);
  take(options.max_queue_bytes, config.mqtt_max_queued_bytes);
  take(options.max_held_bytes, config.mqtt_max_total_queued_bytes);
  take(options.max_output_bytes, config.mqtt_max_output_bytes);
  take(options.max_retained, config.mqtt_max_retained_messages);
  take(options.max_retained_bytes, config.mqtt_max_retained_bytes);
  take(options.max_publishes_per_second, config.mqtt_max_publishes_per_second);
  take(options.max_bytes_per_second, config.mqtt_max_bytes_per_second);
  take(options.max_connects_per_second, config.mqtt_max_connects_per_second);
  options.write_stall_ms = config.mqtt_write_stall_s * 1000;
  options.connect_deadline_ms = config.mqtt_connect_deadline_s * 1000;
  options.max_connect_bytes = options.max_payload_bytes + kConnectBesideWill;
  return options;
}

}  // namespace muster::server
