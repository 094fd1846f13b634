// SPDX-License-Identifier: Apache-2.0
#include "mqtt/broker/message_log.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "mqtt/broker/broker_fixture.h"
#include "mqtt/broker/session.h"
#include "store/schema.h"

namespace muster::mqtt {
namespace {

struct MessageLogTest : ::testing::Test {
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "muster-log-XXXXXX";
    folder = ::mkdtemp(pattern.data());
    options.directory = folder + "/mqtt";
    options.segment_bytes = 1000;
    auto opened = store::AppendLog::open(options, [](std::string_view) {});
    ASSERT_TRUE(opened.has_value());
    shared = std::make_unique<SharedLog>(std::move(*opened));
  }
  void TearDown() override {
    shared.reset();
    std::filesystem::remove_all(folder);
  }
  static void collect(MessageLog& log, std::uint64_t session, std::string_view payload) {
    Publish packet;
    packet.topic = "a";
    packet.payload = payload;
    packet.qos = 1;
    log.message(packet, 0, 0);
    log.entry({.session = session, .number = 1}, {});
  }
  // A message that takes the rest of the current segment and is done at once.
  void fill_segment(MessageLog& log) {
    const std::uint64_t before = shared->segment();
    collect(log, 7, std::string(1000, 'x'));
    log.done(7, 1, before);
    log.commit();
    ASSERT_EQ(shared->segment(), before + 1);
  }

  std::string folder;
  store::AppendLogOptions options;
  io::Loop loop{"test"};
  std::unique_ptr<SharedLog> shared;
};

// Two shards: while one collects a round, the other fills the segment that is current, and it is dropped.
TEST_F(MessageLogTest, KeepsWhatLandedBehindTheSegmentItIsCountedIn) {
  {
    MessageLog slow(loop, *shared, [](const auto&) {});
    MessageLog quick(loop, *shared, [](const auto&) {});
    collect(slow, 1, "kept");
    fill_segment(quick);
    EXPECT_EQ(shared->trim(16), 0U);
    slow.commit();
    fill_segment(quick);
    fill_segment(quick);
    EXPECT_EQ(shared->trim(16), 0U);
    EXPECT_TRUE(shared->wait_until_durable().has_value());
    EXPECT_GT(shared->trim(1), 0U);  // the shard may be asked to write it again
  }
  shared.reset();
  RestoredLog restored;
  auto again =
      store::AppendLog::open(options, [&](std::string_view record) { (void)restore_record(record, restored); });
  ASSERT_TRUE(again.has_value());
  ASSERT_EQ(restored.sessions[1].entries.size(), 1U);
  EXPECT_EQ(restored.sessions[1].entries.begin()->second.message->payload, "kept");
}

TEST_F(MessageLogTest, DropsSegmentsInWhichNothingLives) {
  MessageLog log(loop, *shared, [](const auto&) {});
  for (int i = 0; i < 4; ++i) fill_segment(log);
  EXPECT_EQ(shared->trim(1), 0U);
  EXPECT_TRUE(shared->wait_until_durable().has_value());
  // The file of the segment that is full stays until there is another.
  const auto files = std::filesystem::directory_iterator(options.directory);
  EXPECT_LE(std::distance(begin(files), end(files)), 1);
}

// Two shards numbered messages for a session, and the second one's arrived and was sent first.
using RestoredSessionTest = BrokerTest;
INSTANTIATE_TEST_SUITE_P(Versions, RestoredSessionTest, ::testing::Values(Version::k5));

TEST_P(RestoredSessionTest, WhatTheClientHasIsNotPublishedAgainBehindWhatWaits) {
  connected("c", false, 3600)->disconnect();
  kill_broker();
  Session session;
  const auto record = store::run_blocking_for(
      *store, [](store::Tx& tx) -> Result<std::string> { return tx.get(session_key("c")).value_or(""); });
  ASSERT_TRUE(record.has_value());
  ASSERT_TRUE(read_session_record(session, *record).has_value());
  {
    auto opened = store::AppendLog::open({.directory = options.message_log_directory}, [](std::string_view) {});
    ASSERT_TRUE(opened.has_value());
    SharedLog shared(std::move(*opened));
    io::Loop own("not started");
    MessageLog log(own, shared, [](const auto&) {});
    Publish packet;
    packet.qos = 2;
    for (const std::uint64_t number : {1, 2}) {
      packet.topic = number == 1 ? "waits" : "sent";
      log.message(packet, 0, 0);
      log.entry({.session = session.id(), .number = number, .qos = 2}, {});
    }
    log.released(session.id(), 2);
    log.commit();
    ASSERT_TRUE(shared.wait_until_durable().has_value());
  }
  make_broker();
  auto device = this->device(Version::k5);
  device->connect("c", false, 3600);
  std::map<std::string, std::uint16_t> published;
  std::vector<std::uint16_t> released;
  for (const Seen& seen : device->take()) {
    if (seen.type == PacketType::kPublish) published[seen.topic] = seen.packet_id;
    if (seen.type == PacketType::kPubrel) released.push_back(seen.packet_id);
  }
  EXPECT_EQ(published, (std::map<std::string, std::uint16_t>{{"waits", 1}}));
  EXPECT_EQ(released, std::vector<std::uint16_t>{2});
}

}  // namespace
}  // namespace muster::mqtt
