// SPDX-License-Identifier: Apache-2.0
#include "io/net.h"

#include <gtest/gtest.h>

#include <thread>

#include "io/loop_test_support.h"
#include "io/test_certificates.h"

namespace muster::io {
namespace {

namespace asio = boost::asio;

struct NetTest : testing::Test {
  TestIdentity ca{"test CA"};
  TestIdentity server{"localhost", &ca};
  TestIdentity device{"device", &ca};
  TestIdentity stranger{"stranger"};  // self-signed
  TestLoop test;
  std::unique_ptr<Listener> listener;
  std::vector<std::unique_ptr<Stream>> accepted;
  std::promise<void> first_accepted;

  ~NetTest() override {
    test.call([this] {
      accepted.clear();
      listener.reset();
    });
    test.loop.stop();
  }

  std::uint16_t listen(ListenOptions options) {
    auto result = Listener::create(test.loop, options, [this](std::unique_ptr<Stream> stream) {
      accepted.push_back(std::move(stream));
      if (accepted.size() == 1) first_accepted.set_value();
    });
    EXPECT_TRUE(result) << result.error().message;
    listener = std::move(*result);
    listener->start();
    return listener->port();
  }

  std::shared_ptr<TlsContext> server_context(ClientCertificate mode, std::vector<std::string> alpn = {}) {
    TlsOptions options;
    options.certificate_chain_pem = server.certificate_pem + ca.certificate_pem;
    options.private_key_pem = server.key_pem;
    options.client_certificate = mode;
    options.alpn = std::move(alpn);
    auto context = TlsContext::create(options);
    EXPECT_TRUE(context) << context.error().message;
    return *context;
  }

  ListenOptions tls_options(ClientCertificate mode, std::vector<std::string> alpn = {}) {
    ListenOptions options;
    options.tls = ListenOptions::Tls::kByFirstByte;
    options.context = server_context(mode, std::move(alpn));
    return options;
  }

  DialOptions dial_options(std::uint16_t port, const TestIdentity* identity = nullptr,
                           std::vector<std::string> alpn = {}) {
    TlsClientOptions tls;
    tls.ca_pem = ca.certificate_pem;
    tls.alpn = std::move(alpn);
    if (identity != nullptr) {
      tls.certificate_chain_pem = identity->certificate_pem;
      tls.private_key_pem = identity->key_pem;
    }
    DialOptions options;
    options.port = port;
    options.context = *TlsContext::create_client(tls);
    options.server_name = "localhost";
    return options;
  }

  void wait_accepted() {
    ASSERT_EQ(first_accepted.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  }
};

asio::awaitable<std::string> read_to_end(Stream& stream, std::size_t most) {
  std::string all;
  std::array<char, 4096> storage{};
  const std::span<char> buffer(storage);
  while (all.size() < most) {
    const std::int64_t count = co_await read_some(stream, buffer, 5000);
    if (count <= 0) break;
    all.append(storage.data(), static_cast<std::size_t>(count));
  }
  co_return all;
}

asio::awaitable<bool> echo(Stream& stream, std::size_t total) {
  std::array<char, 3000> storage{};
  const std::span<char> buffer(storage);
  while (total > 0) {
    const std::int64_t count = co_await read_some(stream, buffer, 5000);
    if (count <= 0) co_return false;
    const std::string_view piece(storage.data(), static_cast<std::size_t>(count));
    const bool sent = co_await write_all(stream, piece, 5000);
    if (!sent) co_return false;
    total -= piece.size();
  }
  co_return true;
}

asio::awaitable<void> echo_and_forget(Stream& stream, std::size_t total) {
  co_await echo(stream, total);
}

asio::awaitable<void> send_and_forget(Stream& stream, std::string bytes) {
  co_await write_all(stream, bytes, 5000);
}

std::string pattern(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>('a' + i * 7 % 23);
  return out;
}

TEST_F(NetTest, PlainBytesPassBothWaysThroughSmallBuffers) {
  const auto port = listen({});
  DialOptions options;
  options.port = port;
  auto client = test.run(dial(test.loop, options));
  ASSERT_TRUE(client) << client.error().message;
  wait_accepted();
  EXPECT_EQ(test.call([&] { return accepted[0]->peer().address; }), "127.0.0.1");
  EXPECT_EQ(test.call([&] { return accepted[0]->peer().local_port; }), port);
  const std::string sent = pattern(3'000'000);
  test.loop.spawn(echo_and_forget(*accepted[0], sent.size()));
  test.loop.spawn(send_and_forget(**client, sent));
  EXPECT_EQ(test.run(read_to_end(**client, sent.size())), sent);
  test.call([&] { client->reset(); });
}

TEST_F(NetTest, TlsBytesPassBothWays) {
  const auto port = listen(tls_options(ClientCertificate::kNone));
  auto client = test.run(dial(test.loop, dial_options(port)));
  ASSERT_TRUE(client) << client.error().message;
  wait_accepted();
  EXPECT_TRUE(accepted[0]->peer().tls);
  EXPECT_EQ(accepted[0]->peer().server_name, "localhost");
  EXPECT_EQ(accepted[0]->peer().client_certificate_der, "");
  const std::string sent = pattern(2'000'000);
  test.loop.spawn(echo_and_forget(*accepted[0], sent.size()));
  test.loop.spawn(send_and_forget(**client, sent));
  EXPECT_EQ(test.run(read_to_end(**client, sent.size())), sent);
  test.call([&] { client->reset(); });
}

TEST_F(NetTest, PlainAndTlsShareAPortByFirstByte) {
  const auto port = listen(tls_options(ClientCertificate::kOptional));
  DialOptions plain;
  plain.port = port;
  auto client = test.run(dial(test.loop, plain));
  ASSERT_TRUE(client);
  ASSERT_TRUE(test.run(write_all(**client, "GET", 1000)));
  wait_accepted();
  EXPECT_FALSE(accepted[0]->peer().tls);
  EXPECT_EQ(test.run(read_to_end(*accepted[0], 3)), "GET");
  test.call([&] { client->reset(); });
}

TEST_F(NetTest, ReadinessComesForBytesLeftInATlsRecord) {
  const auto port = listen(tls_options(ClientCertificate::kNone));
  auto client = test.run(dial(test.loop, dial_options(port)));
  ASSERT_TRUE(client);
  wait_accepted();
  ASSERT_TRUE(test.run(write_all(**client, "0123456789", 1000)));  // one record
  EXPECT_EQ(test.run(read_to_end(*accepted[0], 1)).size(), 10u);
  ASSERT_TRUE(test.run(write_all(**client, "0123456789", 1000)));
  std::array<char, 4> four{};
  EXPECT_EQ(test.run(read_some(*accepted[0], std::span<char>(four), 1000)), 4);
  EXPECT_TRUE(test.run(wait_ready(*accepted[0], Direction::kRead, 2000)));
  test.call([&] { client->reset(); });
}

TEST_F(NetTest, ClientCertificateArrivesWhoeverIssuedIt) {
  for (const TestIdentity* identity : {&device, &stranger}) {
    const auto port = listen(tls_options(ClientCertificate::kRequired));
    auto client = test.run(dial(test.loop, dial_options(port, identity)));
    ASSERT_TRUE(client) << client.error().message;
    wait_accepted();
    unsigned char* der = nullptr;
    const int length = i2d_X509(identity->certificate, &der);
    const std::string expected(reinterpret_cast<char*>(der), static_cast<std::size_t>(length));
    OPENSSL_free(der);
    EXPECT_EQ(accepted[0]->peer().client_certificate_der, expected);
    test.call([&] {
      client->reset();
      accepted.clear();
      listener.reset();
    });
    first_accepted = {};
  }
}

TEST_F(NetTest, RequiredClientCertificateMissingEndsTheHandshake) {
  const auto port = listen(tls_options(ClientCertificate::kRequired));
  auto client = test.run(dial(test.loop, dial_options(port)));
  // TLS 1.3: the client may finish first and learn of the alert when it reads.
  if (client) {
    std::array<char, 1> byte{};
    EXPECT_LE(test.run(read_some(**client, std::span<char>(byte), 3000)), 0);
    test.call([&] { client->reset(); });
  }
  EXPECT_TRUE(test.call([&] { return accepted.empty(); }));
}

TEST_F(NetTest, ServerCertificateOfAnotherIssuerIsRefusedByTheClient) {
  const auto port = listen(tls_options(ClientCertificate::kNone));
  TlsClientOptions tls;
  tls.ca_pem = stranger.certificate_pem;
  DialOptions options;
  options.port = port;
  options.context = *TlsContext::create_client(tls);
  const auto client = test.run(dial(test.loop, options));
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().kind, ErrorKind::kUnauthenticated);
}

TEST_F(NetTest, AlpnFollowsTheServersPreference) {
  const auto port = listen(tls_options(ClientCertificate::kNone, {"x-amzn-mqtt-ca", "mqtt"}));
  auto client = test.run(dial(test.loop, dial_options(port, nullptr, {"mqtt", "x-amzn-mqtt-ca"})));
  ASSERT_TRUE(client) << client.error().message;
  wait_accepted();
  EXPECT_EQ(accepted[0]->peer().alpn, "x-amzn-mqtt-ca");
  EXPECT_EQ((*client)->peer().alpn, "x-amzn-mqtt-ca");
  test.call([&] { client->reset(); });
}

TEST_F(NetTest, UnknownAlpnIsRefusedAndAbsentAlpnIsFine) {
  const auto port = listen(tls_options(ClientCertificate::kNone, {"mqtt"}));
  const auto refused = test.run(dial(test.loop, dial_options(port, nullptr, {"h2"})));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("no application protocol"), std::string::npos) << refused.error().message;
  auto client = test.run(dial(test.loop, dial_options(port)));
  ASSERT_TRUE(client);
  wait_accepted();
  EXPECT_EQ(accepted[0]->peer().alpn, "");
  test.call([&] { client->reset(); });
}

TEST_F(NetTest, Tls11IsRefused) {
  const auto port = listen(tls_options(ClientCertificate::kNone));
  // A TLS 1.1 ClientHello: record and handshake version 3.2 and no supported_versions extension.
  std::string hello = "\x16\x03\x01";
  std::string body = std::string("\x03\x02", 2) + std::string(32, 'r') + std::string("\0", 1) +
                     std::string("\x00\x02\xc0\x0a\x01\x00", 6);
  std::string handshake = std::string("\x01\x00\x00", 3) + static_cast<char>(body.size()) + body;
  hello += std::string("\0", 1) + static_cast<char>(handshake.size()) + handshake;
  DialOptions options;
  options.port = port;
  auto client = test.run(dial(test.loop, options));
  ASSERT_TRUE(client);
  ASSERT_TRUE(test.run(write_all(**client, hello, 1000)));
  const std::string answer = test.run(read_to_end(**client, 100));
  ASSERT_GE(answer.size(), 7u);
  EXPECT_EQ(answer[0], 0x15);                             // alert
  EXPECT_EQ(static_cast<unsigned char>(answer[6]), 70u);  // protocol_version
  test.call([&] { client->reset(); });
}

TEST_F(NetTest, SilentAndStallingPeersAreDroppedAtTheDeadline) {
  ListenOptions options = tls_options(ClientCertificate::kNone);
  options.handshake_deadline_ms = 80;
  const auto port = listen(options);
  for (const std::string_view start : {std::string_view(), std::string_view("\x16\x03\x01\x02")}) {
    DialOptions plain;
    plain.port = port;
    auto client = test.run(dial(test.loop, plain));
    ASSERT_TRUE(client);
    ASSERT_TRUE(test.run(write_all(**client, start, 1000)));
    std::array<char, 64> bytes{};
    EXPECT_LE(test.run(read_some(**client, std::span<char>(bytes), 5000)), 0);
    test.call([&] { client->reset(); });
  }
  EXPECT_TRUE(test.call([&] { return accepted.empty(); }));
  EXPECT_EQ(listener->open_connections(), 0u);
}

TEST_F(NetTest, ConnectionsAboveTheBoundAreClosedAndCounted) {
  ListenOptions options;
  options.max_connections = 2;
  const auto port = listen(options);
  DialOptions plain;
  plain.port = port;
  std::vector<std::unique_ptr<Stream>> clients;
  for (int i = 0; i < 3; ++i) {
    auto client = test.run(dial(test.loop, plain));
    ASSERT_TRUE(client);
    clients.push_back(std::move(*client));
  }
  std::array<char, 1> byte{};
  EXPECT_LE(test.run(read_some(*clients[2], std::span<char>(byte), 5000)), 0);
  EXPECT_EQ(listener->refused(), 1u);
  EXPECT_EQ(listener->open_connections(), 2u);
  test.call([&] { accepted.clear(); });
  EXPECT_EQ(listener->open_connections(), 0u);
  test.call([&] { clients.clear(); });
}

TEST_F(NetTest, BadOptionsAreErrors) {
  auto create = [&](ListenOptions options) {
    return Listener::create(test.loop, options, [](std::unique_ptr<Stream>) {});
  };
  ListenOptions named;
  named.address = "localhost";
  EXPECT_EQ(create(named).error().kind, ErrorKind::kInvalid);
  ListenOptions bare;
  bare.tls = ListenOptions::Tls::kAlways;
  EXPECT_EQ(create(bare).error().kind, ErrorKind::kInvalid);
  const auto port = listen({});
  ListenOptions taken;
  taken.port = port;
  EXPECT_EQ(create(taken).error().kind, ErrorKind::kUnavailable);
  TlsOptions mismatched;
  mismatched.certificate_chain_pem = server.certificate_pem;
  mismatched.private_key_pem = device.key_pem;
  EXPECT_FALSE(TlsContext::create(mismatched));
  mismatched.certificate_chain_pem = "nonsense";
  EXPECT_FALSE(TlsContext::create(mismatched));
}

asio::awaitable<bool> stalled_write(Stream& stream) {
  const std::string much(256 * 1024, 'x');
  co_return co_await write_all(stream, much, 40);
}

TEST_F(NetTest, WriteThatMakesNoProgressEndsAtItsDeadline) {
  auto pair = test.call([&] { return memory_pair(test.loop, 1024); });
  EXPECT_FALSE(test.run(stalled_write(*pair.first)));
  test.call([&] { pair = {}; });
}

TEST_F(NetTest, MemoryPairReportsTheEndAfterItsBytes) {
  auto pair = test.call([&] { return memory_pair(test.loop, 8); });
  test.loop.spawn(send_and_forget(*pair.first, "twelve bytes"));
  EXPECT_EQ(test.run(read_to_end(*pair.second, 12)), "twelve bytes");
  test.call([&] { pair.first.reset(); });
  std::array<char, 4> bytes{};
  EXPECT_EQ(test.run(read_some(*pair.second, std::span<char>(bytes), 1000)), 0);
  test.call([&] { pair = {}; });
}

asio::awaitable<void> dial_and_keep(Loop& loop, DialOptions options, std::vector<std::unique_ptr<Stream>>& kept,
                                    int& failures) {
  auto stream = co_await dial(loop, options);
  if (stream) {
    kept.push_back(std::move(*stream));
  } else {
    ++failures;
  }
}

TEST_F(NetTest, HandshakesTakeTurnsAndAllComplete) {
  const auto port = listen(tls_options(ClientCertificate::kNone));
  TestLoop clients;
  const DialOptions options = dial_options(port);
  std::vector<std::unique_ptr<Stream>> kept;
  int failures = 0;
  constexpr std::size_t kMany = 200;
  for (std::size_t i = 0; i < kMany; ++i) clients.loop.spawn(dial_and_keep(clients.loop, options, kept, failures));
  for (int i = 0; i < 1000; ++i) {
    const bool done = clients.call([&] { return kept.size() + static_cast<std::size_t>(failures) == kMany; });
    if (done) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(clients.call([&] { return kept.size(); }), kMany);
  clients.call([&] { kept.clear(); });
}

// A connection that came in on one loop is served on another.
TEST_F(NetTest, TlsStreamMovesToAnotherLoop) {
  TestLoop other;
  const auto port = listen(tls_options(ClientCertificate::kNone));
  auto client = test.run(dial(test.loop, dial_options(port)));
  ASSERT_TRUE(client) << client.error().message;
  wait_accepted();
  auto moved = std::make_shared<std::promise<std::unique_ptr<Stream>>>();
  auto future = moved->get_future();
  test.call([&] {
    move_to(other.loop, std::move(accepted.front()),
            [moved](std::unique_ptr<Stream> stream) { moved->set_value(std::move(stream)); });
  });
  std::unique_ptr<Stream> server_side = future.get();
  EXPECT_TRUE(server_side->peer().tls);
  other.loop.spawn(echo_and_forget(*server_side, 100'000));
  test.loop.spawn(send_and_forget(**client, pattern(100'000)));
  EXPECT_TRUE(test.run(read_to_end(**client, 100'000)) == pattern(100'000));
  other.call([&] { server_side.reset(); });
  test.call([&] { client->reset(); });
}

TEST_F(NetTest, WhatAStreamWaitedForIsForgottenWhenItMoves) {
  DialOptions options;
  options.port = listen({});
  auto client = test.run(dial(test.loop, options));
  ASSERT_TRUE(client);
  wait_accepted();
  ASSERT_TRUE(test.run(write_all(**client, "x", 1000)));
  ASSERT_TRUE(test.run(wait_ready(*accepted[0], Direction::kRead, 1000)));
  bool is_moved = false;
  std::atomic<bool> called{false};
  std::promise<void> moved;
  // Both ways are ready at once; the callback of the one is on its way while that of the other moves the stream.
  test.loop.post([&] {
    accepted[0]->when_readable([&] { called = is_moved; });
    accepted[0]->when_writable([&] {
      accepted[0]->detach();
      accepted[0]->attach(test.loop);
      is_moved = true;
      moved.set_value();
    });
  });
  ASSERT_EQ(moved.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_EQ(test.run(read_to_end(*accepted[0], 1)), "x");
  test.call([&] { client->reset(); });
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace muster::io
