// SPDX-License-Identifier: Apache-2.0
// The client against the server's own state machine, in memory and over a stream.
#include "mqtt/client/client.h"

#include <gtest/gtest.h>

#include "io/loop.h"
#include "mqtt/protocol/test_peer.h"

namespace muster::mqtt {
namespace {

using namespace std::string_literals;
using Lines = std::vector<std::string>;

class Recorder final : public ClientEvents {
 public:
  void on_connack(const Connack& packet) override {
    note("connack " + std::to_string(static_cast<int>(packet.reason)));
  }
  void on_message(const Publish& packet) override {
    note("message " + std::string(packet.topic) + " " + std::to_string(packet.payload.size()));
  }
  void on_suback(std::uint16_t id, std::string_view codes) override {
    note("suback " + std::to_string(id) + " " + std::to_string(static_cast<unsigned char>(codes[0])));
  }
  void on_unsuback(std::uint16_t id) override { note("unsuback " + std::to_string(id)); }
  void on_puback(std::uint16_t id, Reason) override { note("puback " + std::to_string(id)); }
  void on_closed(Reason reason, std::string_view) override {
    note("closed " + std::to_string(static_cast<int>(reason)));
    if (when_closed) when_closed();
  }
  Lines take() { return std::exchange(events, {}); }
  Lines events;
  std::function<void()> on_event;
  std::function<void()> when_closed;

 private:
  void note(std::string line) {
    events.push_back(std::move(line));
    if (on_event) on_event();
  }
};

// A client and a server's Connection back to back.
class Pair {
 public:
  explicit Pair(Version version, const ConnectionLimits& limits = {}) : server(limits), client(recorder) {
    EXPECT_TRUE(client.connect({.version = version, .keep_alive_s = 10, .client_id = "c"}));
    move();
    server.connection.accept(server.inflight, false, server.out);
    move();
  }
  void move(std::int64_t now_ms = 0) {
    while (!client.output().empty() || !server.out.empty()) {
      server.feed(std::exchange(client.output(), {}), now_ms);
      received += server.take_out();
      received.erase(0, client.receive(received, now_ms));
      if (server.connection.closed() || client.closed()) break;
    }
  }
  TestPeer server;
  Recorder recorder;
  ClientConnection client;
  std::string received;
};

class Client : public testing::TestWithParam<Version> {};
INSTANTIATE_TEST_SUITE_P(Mqtt, Client, testing::Values(Version::k311, Version::k5),
                         [](const auto& info) { return info.param == Version::k5 ? "v5" : "v311"; });

TEST_P(Client, ConnectsSubscribesPublishesAndLeaves) {
  Pair pair(GetParam());
  EXPECT_EQ(pair.recorder.take(), Lines{"connack 0"});
  const SubscribeFilter filters[] = {{"a/#", 1}};
  const std::uint16_t sub = pair.client.subscribe(filters);
  pair.move();
  EXPECT_EQ(pair.server.events.back(), "subscribe a/#");
  pair.server.connection.suback(sub, "\x01", pair.server.out);
  pair.move();
  EXPECT_EQ(pair.recorder.take(), Lines{"suback " + std::to_string(sub) + " 1"});
  EXPECT_TRUE(pair.client.publish("a/x", "hello"));
  const std::uint16_t id = pair.client.publish_qos1("a/y", "z");
  EXPECT_NE(id, 0);
  pair.move();
  EXPECT_EQ(pair.server.events.back(), "publish a/y z q1 id" + std::to_string(id));
  pair.server.connection.puback(id, Reason::kSuccess, pair.server.out);
  PublishImage image;
  ASSERT_TRUE(image.build(GetParam(), {.topic = "a/x", .payload = "12345", .qos = 1}));
  std::uint16_t delivered = 0;
  pair.server.connection.send(image, 42, pair.server.out, &delivered);
  pair.move();
  EXPECT_EQ(pair.recorder.take(), (Lines{"puback " + std::to_string(id), "message a/x 5"}));
  EXPECT_EQ(pair.server.events.back(), "puback t42 id" + std::to_string(delivered) + " r0");
  const std::string_view names[] = {"a/#"};
  const std::uint16_t unsub = pair.client.unsubscribe(names);
  pair.move();
  pair.server.connection.unsuback(unsub, std::string_view("\0", 1), pair.server.out);
  pair.move();
  EXPECT_EQ(pair.recorder.take(), Lines{"unsuback " + std::to_string(unsub)});
  pair.client.disconnect();
  pair.move();
  EXPECT_EQ(pair.recorder.take(), Lines{"closed 0"});
  EXPECT_EQ(pair.server.events.back(), "disconnect 0");
  EXPECT_FALSE(pair.client.publish("a", "b"));
  EXPECT_EQ(pair.client.publish_qos1("a", "b"), 0);
}

TEST_P(Client, ARefusalIsToldAndCloses) {
  TestPeer server;
  Recorder recorder;
  ClientConnection client(recorder);
  client.connect({.version = GetParam(), .client_id = "c"});
  server.feed(client.output());
  server.connection.refuse(Reason::kNotAuthorized, server.out);
  client.receive(server.out);
  EXPECT_EQ(recorder.events, (Lines{"connack 135", "closed 135"}));
}

TEST_P(Client, KeepsTheWindowOfTheServer) {
  Pair pair(GetParam(), {.receive_maximum = 2});
  const int expected = GetParam() == Version::k5 ? 2 : 100;
  int sent = 0;
  std::uint16_t last = 0;
  while (const std::uint16_t id = pair.client.publish_qos1("t", "x")) {
    last = id;
    if (++sent > 200) break;
  }
  EXPECT_EQ(sent, expected);
  pair.move();
  ASSERT_TRUE(pair.server.connection.connected());
  pair.server.connection.puback(last, Reason::kSuccess, pair.server.out);
  pair.move();
  EXPECT_NE(pair.client.publish_qos1("t", "x"), 0);
}

TEST_P(Client, PingsInTimeAndGivesUpWithoutAnAnswer) {
  Pair pair(GetParam());
  pair.recorder.take();
  pair.client.tick(7000);
  EXPECT_EQ(pair.client.output(), "");
  pair.client.tick(7500);
  EXPECT_EQ(pair.client.output(), "\xc0\x00"s);
  pair.move(7600);
  EXPECT_EQ(pair.server.events.back(), "pingreq");
  pair.client.tick(15'000);
  EXPECT_EQ(pair.client.output(), "\xc0\x00"s) << "answered, so the next one";
  pair.client.tick(24'999);
  EXPECT_TRUE(pair.client.connected());
  pair.client.tick(25'000);
  EXPECT_EQ(pair.recorder.take(), Lines{"closed 141"});
}

TEST_P(Client, GarbageFromTheServerCloses) {
  for (const std::string& bytes : {"\x00"s, "\x20\x02\x00\x00"s, "\x10\x02xx"s, "\x34\x05\x00\x01t\x00\x01"s}) {
    Pair pair(GetParam());
    pair.recorder.take();
    pair.client.receive(bytes);
    ASSERT_EQ(pair.recorder.events.size(), 1u) << testing::PrintToString(bytes);
    EXPECT_EQ(pair.recorder.events[0].substr(0, 6), "closed");
  }
}

TEST_P(Client, RunsOverAStream) {
  io::Loop loop("client test");
  auto [ours, theirs] = io::memory_pair(loop, 64);  // small, so that writes have to wait
  auto server = std::make_unique<TestPeer>();
  server->answer_publishes = true;
  Recorder recorder;
  std::unique_ptr<StreamClient> client;
  std::function<void()> serve;
  io::Stream& end = *theirs;
  serve = [&] {
    std::array<char, 32> buffer;
    const io::IoOutcome outcome = end.read(buffer);
    if (outcome.kind == io::IoOutcome::Kind::kClosed) return loop.stop();
    if (outcome.kind == io::IoOutcome::Kind::kMoved) {
      server->feed(std::string_view(buffer.data(), outcome.bytes));
      if (server->connection.state() == Connection::State::kConnecting) {
        server->connection.accept(server->inflight, false, server->out);
      }
      const std::string reply = server->take_out();
      EXPECT_EQ(end.write(reply).bytes, reply.size());
    }
    end.when_readable(serve);
  };
  recorder.on_event = [&] {
    if (recorder.events.size() == 1) {
      EXPECT_NE(client->connection().publish_qos1("t", std::string(5000, 'x')), 0);
      client->flush();
    } else if (recorder.events.back().starts_with("puback")) {
      client->connection().disconnect();
      client->flush();
    }
  };
  loop.post([&, stream = ours.release()] {
    client = std::make_unique<StreamClient>(std::unique_ptr<io::Stream>(stream), recorder);
    client->connection().connect({.version = GetParam(), .client_id = "c"});
    client->flush();
    end.when_readable(serve);
  });
  loop.run_here();
  EXPECT_EQ(recorder.events, (Lines{"connack 0", "puback 1", "closed 0"}));
  ASSERT_GE(server->events.size(), 3u);
  EXPECT_EQ(server->events.back(), "disconnect 0");
  EXPECT_EQ(server->events[1].size(), 5000 + "publish t  q1 id1"s.size());
}

}  // namespace
}  // namespace muster::mqtt
