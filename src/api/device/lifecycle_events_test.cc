// SPDX-License-Identifier: Apache-2.0
#include "api/device/lifecycle_events.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/json.h"

namespace muster::api::device {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kStartMs = 1'573'002'230'757;

class LifecycleEventsTest : public ::testing::Test {
 protected:
  void make(bool continued = false, std::size_t max_absent = 10) {
    events_ = std::make_unique<LifecycleEvents>(
        [this](std::string topic, std::string payload) {
          topics_.push_back(std::move(topic));
          payloads_.push_back(std::move(payload));
        },
        continued, now_ms_, max_absent);
  }
  mqtt::LifecycleClient client(std::string_view id, std::string_view session) const {
    return {
        .client_id = id, .principal_id = "p", .session_identifier = session, .address = "192.0.2.0", .now_ms = now_ms_};
  }
  std::int64_t version() const { return get_int(*parse_record(payloads_.back()), "versionNumber", -1); }
  std::int64_t connect(std::string_view id, std::string_view session) {
    events_->connected(client(id, session));
    return version();
  }
  std::int64_t disconnect(std::string_view id, std::string_view session) {
    events_->disconnected(client(id, session), mqtt::EndCause::kConnectionLost);
    return version();
  }

  std::int64_t now_ms_ = kStartMs;
  std::unique_ptr<LifecycleEvents> events_;
  std::vector<std::string> topics_, payloads_;
};

TEST_F(LifecycleEventsTest, EventsHaveTheDocumentedMembers) {
  make();
  events_->connected(client("186b5", "s"));
  EXPECT_EQ(topics_.back(), "$aws/events/presence/connected/186b5");
  EXPECT_EQ(payloads_.back(),
            R"({"clientId":"186b5","timestamp":1573002230757,"eventType":"connected","sessionIdentifier":"s",)"
            R"("principalIdentifier":"p","ipAddress":"192.0.2.0","versionNumber":0})");
  events_->subscribed(client("186b5", "s"), {"foo/bar", "dog/+"});
  EXPECT_EQ(topics_.back(), "$aws/events/subscriptions/subscribed/186b5");
  EXPECT_EQ(payloads_.back(),
            R"({"clientId":"186b5","timestamp":1573002230757,"eventType":"subscribed","sessionIdentifier":"s",)"
            R"("principalIdentifier":"p","topics":["foo/bar","dog/+"]})");
  events_->unsubscribed(client("186b5", "s"), {"dog/+"});
  EXPECT_EQ(topics_.back(), "$aws/events/subscriptions/unsubscribed/186b5");
  events_->disconnected(client("186b5", "s"), mqtt::EndCause::kClientDisconnect);
  EXPECT_EQ(topics_.back(), "$aws/events/presence/disconnected/186b5");
  EXPECT_EQ(payloads_.back(),
            R"({"clientId":"186b5","timestamp":1573002230757,"eventType":"disconnected","sessionIdentifier":"s",)"
            R"("principalIdentifier":"p","clientInitiatedDisconnect":true,)"
            R"("disconnectReason":"CLIENT_INITIATED_DISCONNECT","versionNumber":0})");
  events_->connect_failed(client("186b5", "s"), "Not authorized");
  EXPECT_EQ(topics_.back(), "$aws/events/presence/connect_failed/186b5");
  EXPECT_EQ(payloads_.back(),
            R"({"clientId":"186b5","timestamp":1573002230757,"eventType":"connect_failed",)"
            R"("connectFailureReason":"AUTHORIZATION_FAILED","principalIdentifier":"p","sessionIdentifier":"s",)"
            R"("ipAddress":"192.0.2.0"})");
}

TEST_F(LifecycleEventsTest, SilentAboutWildcardsInClientIdsAndAboutStrangers) {
  make();
  for (const char* id : {"a#", "+", "b/+/c", ""}) {
    events_->connected(client(id, "s"));
    events_->subscribed(client(id, "s"), {"x"});
    events_->connect_failed(client(id, "s"), "Not authorized");
    events_->disconnected(client(id, "s"), mqtt::EndCause::kConnectionLost);
  }
  mqtt::LifecycleClient stranger = client("c", "");
  stranger.principal_id = {};
  events_->connect_failed(stranger, "Not authorized");
  events_->connect_failed(client("c", ""), "Quota exceeded");
  EXPECT_TRUE(topics_.empty());
}

TEST_F(LifecycleEventsTest, VersionsGrowByConnectionAndBeginAgainAfterAnHourAway) {
  make();
  EXPECT_EQ(connect("c", "1"), 0);
  EXPECT_EQ(disconnect("c", "1"), 0);
  now_ms_ += kHourMs - 1;
  EXPECT_EQ(connect("c", "2"), 1);
  now_ms_ += 10 * kHourMs;  // connected all the time
  EXPECT_EQ(disconnect("c", "2"), 1);
  EXPECT_EQ(connect("c", "3"), 2);
  EXPECT_EQ(connect("d", "4"), 0);
  EXPECT_EQ(disconnect("c", "3"), 2);
  now_ms_ += kHourMs;
  EXPECT_EQ(connect("c", "5"), 0);
}

TEST_F(LifecycleEventsTest, TakeoverMayBeToldInEitherOrder) {
  make();
  EXPECT_EQ(connect("c", "1"), 0);
  EXPECT_EQ(connect("c", "2"), 1);
  EXPECT_EQ(disconnect("c", "1"), 0);
  now_ms_ += 2 * kHourMs;  // the second connection is still there
  EXPECT_EQ(connect("c", "3"), 2);
  EXPECT_EQ(disconnect("c", "3"), 2);
}

TEST_F(LifecycleEventsTest, ForgettingSoonNeverGoesBack) {
  make(false, 2);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(connect("a", std::to_string(i)), i);
    disconnect("a", std::to_string(i));
  }
  for (const char* id : {"b", "c", "d"}) {
    connect(id, id);
    disconnect(id, id);
  }
  EXPECT_GT(connect("a", "again"), 4);
  disconnect("a", "again");
  now_ms_ += kHourMs;
  EXPECT_EQ(connect("new", "n"), 0);
}

TEST_F(LifecycleEventsTest, AfterARestartVersionsGoOn) {
  make(true);
  const std::int64_t first = connect("c", "1");
  EXPECT_EQ(first, kStartMs / 1000);
  disconnect("c", "1");
  EXPECT_EQ(connect("c", "2"), first + 1);
  now_ms_ += 60'000;
  make(true);
  EXPECT_GT(connect("c", "3"), first + 1);
  now_ms_ += kHourMs;
  EXPECT_EQ(connect("d", "4"), 0);
}

TEST_F(LifecycleEventsTest, ManyFiltersMakeSeveralEvents) {
  make();
  events_->subscribed(client("c", "s"), std::vector<std::string>(100, std::string(1000, 'x')));
  EXPECT_EQ(payloads_.size(), 2u);
  for (const std::string& payload : payloads_) EXPECT_LT(payload.size(), 70'000u);
}

TEST_F(LifecycleEventsTest, LoopsMayCallAtOnce) {
  std::atomic<int> told = 0;
  LifecycleEvents events([&](const std::string&, const std::string&) { ++told; }, false, now_ms_, 4);
  std::vector<std::thread> loops;
  for (int t = 0; t < 4; ++t) {
    loops.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const std::string id = "c" + std::to_string((i + t) % 10), session = std::to_string(t * 1000 + i);
        events.connected(client(id, session));
        events.disconnected(client(id, session), mqtt::EndCause::kKeepAlive);
      }
    });
  }
  for (auto& loop : loops) loop.join();
  EXPECT_EQ(told, 1600);
}

TEST(LifecycleEventsWanted, NothingIsMadeThatNobodyWantsAndVersionsGoOn) {
  std::vector<std::string> told;
  LifecycleEvents events([&](const std::string& topic, const std::string& payload) { told.push_back(topic + payload); },
                         false, 1'000'000);
  bool someone = false;
  events.ask_first([&](std::string_view topic) {
    EXPECT_TRUE(topic.starts_with("$aws/events/"));
    return someone;
  });
  mqtt::LifecycleClient client;
  client.client_id = "c";
  client.session_identifier = "one";
  client.now_ms = 1'000'000;
  events.connected(client);
  events.subscribed(client, {"a"});
  events.disconnected(client, mqtt::EndCause::kClientDisconnect);
  EXPECT_TRUE(told.empty());
  someone = true;
  client.session_identifier = "two";
  events.connected(client);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].find("\"versionNumber\":1"), std::string::npos) << told[0];
}

}  // namespace
}  // namespace muster::api::device
