// SPDX-License-Identifier: Apache-2.0
#include "server/sys_topics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "mqtt/broker/broker_metrics.h"
#include "store/memory_engine.h"

namespace muster::server {
namespace {

class Nobody final : public mqtt::Authorizer {
  void connect(const mqtt::ConnectAttempt&, std::function<void(Decision)> done) override { done({}); }
};

class BrokerCounters : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "muster-sys-XXXXXX";
    directory = ::mkdtemp(pattern.data());
    store = store::make_memory_store(clock);
    mqtt::BrokerOptions options;
    options.message_log_directory = directory + "/mqtt";
    auto made = mqtt::Broker::create({{&loop, &nobody}}, clock, *store, options);
    ASSERT_TRUE(made.has_value());
    broker = std::move(*made);
    device = broker->add_listener("device");
    broker->add_listener("plain");
    // Closed before its first byte: accepted, and gone.
    auto [ours, theirs] = io::memory_pair(loop);
    broker->accept(0, std::move(theirs), {.listener = device});
    kept = std::move(ours);
  }
  void TearDown() override {
    broker.reset();
    std::filesystem::remove_all(directory);
  }
  io::VirtualClock clock;
  io::Loop loop{"test"};
  Nobody nobody;
  std::string directory;
  std::unique_ptr<store::MemoryStore> store;
  std::unique_ptr<mqtt::Broker> broker;
  std::unique_ptr<io::Stream> kept;
  std::uint16_t device = 0;
};

TEST_F(BrokerCounters, HaveTheirUsualNamesBelowSys) {
  const auto messages = sys_messages(*broker, 61);
  const auto text = [&](const std::string& topic) {
    for (const auto& [name, value] : messages) {
      if (name == "$SYS/broker/" + topic) return value;
    }
    return std::string("none");
  };
  EXPECT_EQ(text("uptime"), "61 seconds");
  EXPECT_EQ(text("clients/connected"), "1");
  EXPECT_EQ(text("messages/received"), "0");
  EXPECT_EQ(text("retained messages/count"), "0");
  EXPECT_TRUE(text("version").starts_with("muster version "));
  EXPECT_EQ(messages.size(), 11u);
}

TEST_F(BrokerCounters, AreASeriesForEachListener) {
  metrics::Registry registry;
  mqtt::register_listener_metrics(registry, *broker);
  const std::string page = registry.exposition();
  EXPECT_THAT(page, ::testing::HasSubstr("muster_mqtt_listener_connections{listener=\"device\"} 1\n"));
  EXPECT_THAT(page, ::testing::HasSubstr("muster_mqtt_listener_connections{listener=\"plain\"} 0\n"));
  EXPECT_THAT(page, ::testing::HasSubstr("muster_mqtt_listener_accepted_total{listener=\"device\"} 1\n"));
}

}  // namespace
}  // namespace muster::server
