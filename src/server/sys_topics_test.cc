// SPDX-License-Identifier: Apache-2.0
#include "server/sys_topics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mqtt/broker/broker_metrics.h"

namespace muster::server {
namespace {

TEST(SysTopics, CountersHaveTheirUsualNames) {
  mqtt::BrokerStats stats;
  stats.connections = 3;
  stats.messages_in = 7;
  stats.dropped = 1;
  const auto messages = sys_messages(stats, 61);
  const auto text = [&](const std::string& topic) {
    for (const auto& [name, value] : messages) {
      if (name == "$SYS/broker/" + topic) return value;
    }
    return std::string("none");
  };
  EXPECT_EQ(text("uptime"), "61 seconds");
  EXPECT_EQ(text("clients/connected"), "3");
  EXPECT_EQ(text("messages/received"), "7");
  EXPECT_EQ(text("publish/messages/dropped"), "1");
  EXPECT_EQ(text("retained messages/count"), "0");
  EXPECT_TRUE(text("version").starts_with("muster version "));
  EXPECT_EQ(messages.size(), 11u);
}

TEST(ListenerMetrics, EachListenerIsASeries) {
  metrics::Registry registry;
  mqtt::register_listener_metrics(registry, {"device", "plain"}, [](std::size_t index) {
    mqtt::ListenerTotals totals;
    totals.connections = 5 + index;
    totals.bytes_in = 100 * index;
    return totals;
  });
  const std::string page = registry.exposition();
  EXPECT_THAT(page, ::testing::HasSubstr("muster_mqtt_listener_connections{listener=\"device\"} 5\n"
                                         "muster_mqtt_listener_connections{listener=\"plain\"} 6\n"));
  EXPECT_THAT(page, ::testing::HasSubstr("muster_mqtt_listener_bytes_in_total{listener=\"plain\"} 100\n"));
}

}  // namespace
}  // namespace muster::server
