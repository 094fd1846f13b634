// SPDX-License-Identifier: Apache-2.0
#include "mqtt/broker/hub.h"

#include <algorithm>

#include "mqtt/broker/shard.h"

namespace muster::mqtt {

namespace {

ConnectionLimits connection_limits(const BrokerOptions& options) {
  ConnectionLimits limits;
  limits.max_packet_bytes = static_cast<std::uint32_t>(options.max_packet_bytes);
  limits.max_connect_bytes = static_cast<std::uint32_t>(options.max_connect_bytes);
  limits.max_topic_bytes = static_cast<std::uint32_t>(options.max_topic_bytes);
  limits.receive_maximum = options.receive_maximum;
  limits.max_inflight = options.max_inflight;
  limits.connect_deadline_ms = options.connect_deadline_ms;
  limits.topic_alias_maximum = options.topic_alias_maximum;
  limits.min_keep_alive_s = static_cast<std::uint16_t>(std::min<std::uint32_t>(options.min_keep_alive_s, 65535));
  limits.max_keep_alive_s = static_cast<std::uint16_t>(std::min<std::uint32_t>(options.max_keep_alive_s, 65535));
  return limits;
}

}  // namespace

Hub::Hub(const BrokerOptions& chosen)
    : options(chosen), limits(connection_limits(chosen)), retained(chosen.max_retained, chosen.max_retained_bytes) {}

Hub::~Hub() {
  shards.clear();  // their logs refer to `log`
}

// Not keyed: it says where a session lives on disk too. Who picks client ids so that they share a shard gains nothing
// but a shard to themselves.
std::size_t Hub::owner(std::string_view client_id) const {
  if (shards.size() == 1) return 0;
  return keyed_hash(0, client_id) % shards.size();
}

std::uint64_t Hub::queued_bytes() const {
  std::uint64_t total = 0;
  for (const auto& shard : shards) total += shard->stats.queued_bytes;
  return total;
}

}  // namespace muster::mqtt
