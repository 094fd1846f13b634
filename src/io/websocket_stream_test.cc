// SPDX-License-Identifier: Apache-2.0
#include "io/websocket_stream.h"

#include <gtest/gtest.h>

#include "io/loop_test_support.h"
#include "io/websocket_frames.h"
#include "io/websocket_handshake.h"

namespace muster::io {
namespace {

// A client's frame: masked.
std::string frame(std::uint8_t first, std::string_view payload, std::string_view mask = "\x11\x22\x33\x44") {
  std::string out;
  append_frame_head(out, WebSocketOpcode::kBinary, payload.size());
  out[0] = static_cast<char>(first);
  out[1] = static_cast<char>(out[1] | 0x80);
  out.append(mask);
  for (std::size_t i = 0; i < payload.size(); ++i) out.push_back(static_cast<char>(payload[i] ^ mask[i % 4]));
  return out;
}
std::string binary(std::string_view payload) {
  return frame(0x82, payload);
}

class WebSocketStreamTest : public testing::Test {
 protected:
  void open(std::size_t capacity = 65536, std::string initial = {}) {
    test_.call([&] {
      auto [client, below] = memory_pair(test_.loop, capacity);
      client_ = std::move(client);
      socket_ = websocket_stream(test_.loop, std::move(below), std::move(initial));
      return 0;
    });
  }
  ~WebSocketStreamTest() override {
    test_.call([&] {
      socket_.reset();
      client_.reset();
      return 0;
    });
  }
  void send(std::string_view bytes) {
    test_.call([&] { return client_->write(bytes).bytes; });
  }
  std::string drain(Stream& stream, std::size_t piece = 4096) {
    return test_.call([&] {
      std::string all;
      std::string buffer(piece, '\0');
      for (;;) {
        last_ = stream.read(buffer);
        if (last_.kind != IoOutcome::Kind::kMoved) return all;
        all.append(buffer.data(), last_.bytes);
      }
    });
  }
  // What the server does with bytes that break the protocol.
  void expect_close(std::string_view bytes, std::uint16_t code) {
    open();
    send(bytes);
    EXPECT_EQ(drain(*socket_), "");
    EXPECT_EQ(last_.kind, IoOutcome::Kind::kFailed);
    EXPECT_EQ(drain(*client_), close_frame(code)) << code;
    EXPECT_EQ(last_.kind, IoOutcome::Kind::kClosed);
    EXPECT_EQ(test_.call([&] { return socket_->write("x").kind; }), IoOutcome::Kind::kFailed);
  }

  TestLoop test_;
  std::unique_ptr<Stream> client_, socket_;
  IoOutcome last_;
};

TEST_F(WebSocketStreamTest, PayloadIsOneStreamHoweverItIsFramed) {
  const std::string large(70'000, 'L');
  const std::string wire = binary("ab") + binary("") + frame(0x02, "cd") + frame(0x89, "ping") + frame(0x00, "") +
                           frame(0x80, "ef") + binary(std::string(300, 'm')) + binary(large);
  const std::string want = "abcdef" + std::string(300, 'm') + large;
  for (const std::size_t piece : {1u, 3u, 7u, 4096u, 65536u}) {
    WebSocketDecoder decoder;
    std::string got;
    for (std::size_t at = 0; at < wire.size(); at += piece) {
      std::string part = wire.substr(at, piece);
      got.append(part.data(), decoder.decode(part));
    }
    EXPECT_TRUE(got == want) << piece;
    EXPECT_EQ(decoder.take_ping(), "ping");
    EXPECT_EQ(decoder.take_ping(), std::nullopt);
  }
}

TEST_F(WebSocketStreamTest, BrokenFramesAreRefusedWithTheirCode) {
  std::string unmasked;
  append_frame_head(unmasked, WebSocketOpcode::kBinary, 1);
  expect_close(unmasked + "x", 1002);
  expect_close(frame(0x81, "text"), 1003);
  expect_close(frame(0xC2, "reserved bit"), 1002);
  expect_close(frame(0x83, "reserved opcode"), 1002);
  expect_close(frame(0x8B, "reserved opcode"), 1002);
  expect_close(frame(0x09, "fragmented ping"), 1002);
  expect_close(frame(0x89, std::string(126, 'p')), 1002);
  expect_close(frame(0x80, "continues nothing"), 1002);
  expect_close(frame(0x02, "") + frame(0x82, "not a continuation"), 1002);
  expect_close(std::string("\x82\xfe\x00\x7d\x01\x01\x01\x01", 8), 1002);                           // 125 in 16 bits
  expect_close(std::string("\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff\x01\x01\x01\x01", 14), 1002);  // 65,535 in 64
  expect_close(std::string("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00\x01\x01\x01\x01", 14), 1002);  // top bit
  expect_close(frame(0x88, "x"), 1002);
  expect_close(frame(0x88, std::string("\x03\xed", 2)), 1002);  // 1005 is not sent
  expect_close(frame(0x88, std::string("\x03\xe8\xff", 3)), 1007);
}

TEST_F(WebSocketStreamTest, CloseIsAnsweredAndEndsTheStream) {
  open();
  send(binary("last") + frame(0x88, std::string("\x03\xe9", 2) + "bye") + binary("ignored"));
  EXPECT_EQ(drain(*socket_), "last");
  EXPECT_EQ(last_.kind, IoOutcome::Kind::kClosed);
  EXPECT_EQ(drain(*client_), close_frame(1001));
  open();
  test_.call([&] {
    socket_->close();
    return 0;
  });
  EXPECT_EQ(drain(*client_), close_frame(1000));
}

TEST_F(WebSocketStreamTest, BytesReadWithTheUpgradeComeFirst) {
  open(65536, binary("first") + binary("second").substr(0, 4));
  auto ready = std::make_shared<std::promise<void>>();
  auto fired = ready->get_future();
  test_.call([&] {
    socket_->when_readable([ready] { ready->set_value(); });
    return 0;
  });
  ASSERT_EQ(fired.wait_for(std::chrono::seconds(5)), std::future_status::ready);
  EXPECT_EQ(drain(*socket_, 2), "first");
  send(binary("second").substr(4));
  EXPECT_EQ(drain(*socket_, 1), "second");
}

// Whatever room the socket has, the client sees the bytes in order, in frames of one write each, and pongs between.
TEST_F(WebSocketStreamTest, PartialWritesKeepFramesWhole) {
  std::string want;
  for (int i = 0; i < 5000; ++i) want.push_back(static_cast<char>('a' + i % 26));
  for (const std::size_t capacity : {1u, 2u, 5u, 64u, 1000u}) {
    open(capacity);
    std::string wire, left = want;
    const std::string pings = frame(0x89, "p1") + frame(0x89, "p2");
    std::size_t pinged = 0;
    for (int round = 0; round < 20'000 && !left.empty(); ++round) {
      if (pinged < pings.size()) {
        pinged += test_.call([&] { return client_->write(std::string_view(pings).substr(pinged)).bytes; });
        EXPECT_EQ(drain(*socket_), "");
      }
      left.erase(0, test_.call([&] { return socket_->write(std::string_view(left).substr(0, 700)).bytes; }));
      wire += drain(*client_);
    }
    EXPECT_TRUE(left.empty());
    for (int i = 0; i < 50; ++i) {
      test_.call([] { return 0; });
      wire += drain(*client_);
    }
    std::string got;
    int pongs = 0;
    for (std::size_t at = 0; at < wire.size();) {
      std::size_t length = static_cast<std::uint8_t>(wire[at + 1]);
      std::size_t head = 2;
      if (length == 126) {
        length = static_cast<std::size_t>(static_cast<std::uint8_t>(wire[at + 2]) << 8) |
                 static_cast<std::uint8_t>(wire[at + 3]);
        head = 4;
      }
      const auto opcode = static_cast<std::uint8_t>(wire[at]);
      if (opcode == 0x82) {
        got += wire.substr(at + head, length);
        EXPECT_LE(length, 700u);
      } else {
        EXPECT_EQ(opcode, 0x8A);
        ++pongs;
      }
      at += head + length;
    }
    EXPECT_TRUE(got == want) << capacity;
    EXPECT_GE(pongs, 1) << capacity;
    EXPECT_LE(pongs, 2) << capacity;
  }
}

TEST_F(WebSocketStreamTest, PingFloodKeepsOnePong) {
  open(256);
  for (int i = 0; i < 10'000; ++i) {
    send(frame(0x89, "flood" + std::to_string(i)));
    EXPECT_EQ(drain(*socket_), "");
  }
  std::string answered;
  for (int i = 0; i < 20; ++i) {
    answered += drain(*client_);
    test_.call([] { return 0; });
  }
  EXPECT_LT(answered.size(), 1024u);
  EXPECT_TRUE(answered.ends_with("flood9999"));
}

HttpRequest upgrade() {
  HttpRequest request;
  request.method = "GET";
  request.target = "/mqtt?X-Amz-Date=1";
  request.headers.add("Host", "h:1");
  request.headers.add("Connection", "keep-alive, Upgrade");
  request.headers.add("Upgrade", "WebSocket");
  request.headers.add("Sec-WebSocket-Version", "13");
  request.headers.add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
  request.headers.add("Sec-WebSocket-Protocol", "x, mqtt");
  return request;
}

TEST(WebSocketHandshakeTest, RfcExample) {
  const HttpRequest request = upgrade();
  EXPECT_TRUE(wants_websocket(request, "/mqtt"));
  EXPECT_FALSE(wants_websocket(request, "/mqt"));
  const HttpResponse response = answer_websocket(request, {});
  EXPECT_EQ(response.status, 101);
  EXPECT_EQ(response.headers.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(response.headers.get("sec-websocket-protocol"), "mqtt");
}

TEST(WebSocketHandshakeTest, WhatIsMissingIsRefused) {
  const auto status = [](const std::function<void(HttpRequest&)>& change, std::vector<std::string> origins = {}) {
    HttpRequest request = upgrade();
    change(request);
    return answer_websocket(request, origins).status;
  };
  const auto set = [](const char* name, const char* value) {
    return [=](HttpRequest& request) { request.headers.set(name, value); };
  };
  EXPECT_EQ(status([](HttpRequest& r) { r.method = "POST"; }), 400);
  EXPECT_EQ(status([](HttpRequest& r) { r.minor_version = 0; }), 400);
  EXPECT_EQ(status(set("Connection", "close")), 400);
  EXPECT_EQ(status(set("Content-Length", "3")), 400);
  EXPECT_EQ(status(set("Sec-WebSocket-Version", "8")), 426);
  EXPECT_EQ(status(set("Sec-WebSocket-Key", "c2hvcnQ=")), 400);
  EXPECT_EQ(status(set("Sec-WebSocket-Key", "not base64")), 400);
  EXPECT_EQ(status(set("Sec-WebSocket-Protocol", "mqttx")), 400);
  EXPECT_EQ(status(set("Sec-WebSocket-Protocol", "mqttv3.1")), 101);
  EXPECT_EQ(status(set("Origin", "http://h:1")), 101);
  EXPECT_EQ(status(set("Origin", "https://h:1")), 101);
  EXPECT_EQ(status(set("Origin", "null")), 403);
  EXPECT_EQ(status(set("Origin", "http://evil")), 403);
  EXPECT_EQ(status(set("Origin", "http://app"), {"http://app"}), 101);
  EXPECT_EQ(status(set("Origin", "http://evil"), {"*"}), 101);
}

}  // namespace
}  // namespace muster::io
