// SPDX-License-Identifier: Apache-2.0
#include "io/http_server.h"

#include <gtest/gtest.h>

#include "io/http_response.h"
#include "io/loop_test_support.h"

namespace muster::io {
namespace {

namespace asio = boost::asio;

struct Repeat final : HttpSource {
  Repeat(std::string text, int count) : piece(std::move(text)), left(count) {}
  Task<std::string> read() override {
    if (left-- > 0) co_return piece;
    if (fails) co_return make_error(ErrorKind::kUnavailable, "disk");
    co_return std::string();
  }
  std::string piece;
  int left;
  bool fails = false;
};

HttpResponse text(int status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

// What the tests ask for by path.
asio::awaitable<HttpResponse> answer(HttpRequest& request, HttpBody& body) {
  const std::string path(request.raw_path());
  if (path == "/throw") throw std::runtime_error("on purpose");
  if (path == "/ignore") co_return text(200, "ignored");
  if (path == "/upgrade") {
    HttpResponse response = text(101, "");
    response.headers.add("Upgrade", "echo");
    response.upgrade = [](std::unique_ptr<Stream> stream, std::string rest) {
      stream->write("took " + rest);
      stream->shutdown_write();
    };
    co_return response;
  }
  if (path == "/large") co_return text(200, std::string(1'000'000, 'l'));
  if (path == "/empty") co_return text(204, "");
  if (path == "/inject") {
    HttpResponse response = text(200, "x");
    response.headers.add("X-Stored", "a\r\nSet-Cookie: b");
    co_return response;
  }
  if (path.starts_with("/source")) {
    HttpResponse response;
    auto source = std::make_unique<Repeat>("0123456789", 3);
    source->fails = path == "/source-fails";
    response.source = std::move(source);
    if (path == "/source") response.source_length = 25;
    if (path == "/source-fails") response.source_length = 100;
    co_return response;
  }
  Result<std::string> whole = co_await read_all(body, 100'000);
  if (!whole) co_return text(whole.error().kind == ErrorKind::kTooLarge ? 413 : 400, whole.error().reason);
  co_return text(200, request.method + " " + request.target + " " + *whole);
}

asio::awaitable<std::string> receive(Stream& stream, std::string until, std::int64_t deadline_ms) {
  std::string all;
  std::array<char, 8192> storage{};
  const std::span<char> buffer(storage);
  while (until.empty() || !all.ends_with(until)) {
    const std::int64_t count = co_await read_some(stream, buffer, deadline_ms);
    if (count < 0) all.append("<<no end>>");
    if (count <= 0) break;
    all.append(storage.data(), static_cast<std::size_t>(count));
  }
  co_return all;
}

asio::awaitable<void> trickle(std::shared_ptr<Stream> stream, std::string bytes, std::int64_t gap_ms) {
  for (const char c : bytes) {
    const std::string_view one(&c, 1);
    const bool sent = co_await write_all(*stream, one, 1000);
    if (!sent) co_return;
    co_await sleep_ms(gap_ms);
  }
}

struct HttpServerTest : testing::Test {
  TestLoop test;
  HttpHandler handler = answer;
  std::atomic<bool> stopping{false};
  HttpLimits limits;
  std::shared_ptr<Stream> client;
  std::promise<void> over;

  void connect(std::string initial = {}) {
    limits.linger_ms = 20;
    auto pair = test.call([&] { return memory_pair(test.loop); });
    client = std::move(pair.first);
    test.loop.spawn(serve(std::move(pair.second), std::move(initial)));
  }
  asio::awaitable<void> serve(std::unique_ptr<Stream> stream, std::string initial) {
    co_await serve_http(test.loop, std::move(stream), std::move(initial), handler, stopping, limits);
    over.set_value();
  }
  void send(std::string_view bytes) { EXPECT_TRUE(test.run(write_all(*client, bytes, 5000))); }
  std::string receive_until(std::string until) { return test.run(receive(*client, std::move(until), 5000)); }
  std::string receive_to_end() { return test.run(receive(*client, "", 5000)); }
  bool is_over() { return over.get_future().wait_for(std::chrono::seconds(5)) == std::future_status::ready; }
  ~HttpServerTest() override {
    test.call([&] { client.reset(); });
    test.loop.stop();  // the connection touches the members below until it ends
  }
  static std::string body_of(const std::string& response) { return response.substr(response.find("\r\n\r\n") + 4); }
};

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

TEST_F(HttpServerTest, AnswersAndKeepsTheConnection) {
  connect();
  for (int i = 0; i < 3; ++i) {
    send(kGet);
    const std::string response = receive_until("GET /a ");
    EXPECT_TRUE(response.starts_with("HTTP/1.1 200 OK\r\n")) << response;
    EXPECT_NE(response.find("Content-Length: 7\r\n"), std::string::npos);
    EXPECT_NE(response.find("\r\nDate: "), std::string::npos);
    EXPECT_EQ(response.find("Connection:"), std::string::npos);
  }
}

TEST_F(HttpServerTest, PipelinedRequestsAreAnsweredInOrderWithTheirBodies) {
  connect("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcPOS");
  send(
      "T /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\nGET /3 "
      "HTTP/1.1\r\nHo");
  send("st: h\r\nConnection: close\r\n\r\n");
  const std::string all = receive_to_end();
  const auto one = all.find("POST /1 abc"), two = all.find("POST /2 def"), three = all.find("GET /3 ");
  EXPECT_LT(one, two);
  EXPECT_LT(two, three);
  EXPECT_NE(three, std::string::npos) << all;
  EXPECT_NE(all.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(is_over());
}

TEST_F(HttpServerTest, BytewiseArrivalChangesNothing) {
  connect();
  const std::string head = "\r\nPOST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  test.loop.spawn(trickle(client, head + "3;a=b\r\nabc\r\n0\r\nT: u\r\n\r\n", 0));
  EXPECT_EQ(body_of(receive_until("abc")), "POST /x abc");
}

TEST_F(HttpServerTest, ContinueIsSentWhenTheBodyIsWanted) {
  connect();
  send("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(receive_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  send("abc");
  EXPECT_EQ(body_of(receive_until("abc")), "PUT /x abc");
}

TEST_F(HttpServerTest, NoContinueWhenTheBodyIsNotRead) {
  connect();
  send("PUT /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  const std::string all = receive_to_end();
  EXPECT_TRUE(all.starts_with("HTTP/1.1 200 OK\r\n")) << all;
  EXPECT_NE(all.find("Connection: close"), std::string::npos);
}

TEST_F(HttpServerTest, UnreadBodyIsSkippedUpToABound) {
  limits.max_discard_bytes = 1000;
  connect();
  send("PUT /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x') + std::string(kGet));
  EXPECT_TRUE(receive_until("GET /a ").ends_with("GET /a "));
  send("PUT /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n");
  const std::string all = receive_to_end();
  EXPECT_NE(all.find("Connection: close"), std::string::npos);
}

TEST_F(HttpServerTest, BodyAboveTheHandlersBoundIsNotReadWhole) {
  connect();
  send("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 100001\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(receive_until("Connection: close\r\n\r\n").starts_with("HTTP/1.1 413 "));
  test.call([&] { client->close(); });
  EXPECT_TRUE(is_over());
}

TEST_F(HttpServerTest, BrokenBodiesReachTheHandlerAndEndTheConnection) {
  connect();
  send("PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzzzz\r\n");
  const std::string all = receive_to_end();
  EXPECT_TRUE(all.starts_with("HTTP/1.1 400 ")) << all;
  EXPECT_TRUE(all.ends_with("IncompleteBody")) << all;
}

TEST_F(HttpServerTest, BodyCutShortIsIncomplete) {
  connect();
  send("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  test.call([&] { client->shutdown_write(); });
  EXPECT_TRUE(receive_to_end().ends_with("IncompleteBody"));
}

TEST_F(HttpServerTest, ChunkHeaderWithoutEndIsBounded) {
  connect();
  send("PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(60'000, 'e'));
  send(std::string(60'000, 'e'));
  const std::string all = receive_to_end();
  EXPECT_TRUE(all.starts_with("HTTP/1.1 400 ")) << all;
}

TEST_F(HttpServerTest, HeadHasTheLengthAndNoBody) {
  connect();
  send("HEAD /large HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string response = receive_until("\r\n\r\n");
  EXPECT_NE(response.find("Content-Length: 1000000\r\n"), std::string::npos);
  send("HEAD /source HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_NE(receive_until("\r\n\r\n").find("Content-Length: 25\r\n"), std::string::npos);
  send("GET /empty HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(receive_until("\r\n\r\n").find("Content-Length"), std::string::npos);
  send(kGet);
  EXPECT_TRUE(receive_until("GET /a ").starts_with("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, SourcesAreCountedOrChunked) {
  connect();
  send("GET /source HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(body_of(receive_until("01234")), "0123456789012345678901234");
  send("GET /source-chunked HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string chunked = receive_until("0\r\n\r\n");
  EXPECT_NE(chunked.find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  EXPECT_EQ(body_of(chunked), "a\r\n0123456789\r\na\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n");
  send("GET /source-chunked HTTP/1.0\r\n\r\n");
  EXPECT_EQ(body_of(receive_to_end()), "012345678901234567890123456789");
}

TEST_F(HttpServerTest, SourceThatFailsCutsTheConnection) {
  connect();
  send("GET /source-fails HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string all = receive_to_end();
  EXPECT_NE(all.find("Content-Length: 100"), std::string::npos);
  EXPECT_EQ(body_of(all).size(), 30u);
}

TEST_F(HttpServerTest, StoredValuesCannotStartAHeader) {
  connect();
  send("GET /inject HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_NE(receive_until("\r\n\r\nx").find("X-Stored: a  Set-Cookie: b\r\n"), std::string::npos);
}

TEST_F(HttpServerTest, EscapedExceptionIsA500) {
  connect();
  send("GET /throw HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(receive_to_end().starts_with("HTTP/1.1 500 "));
}

TEST_F(HttpServerTest, UpgradeHandsTheStreamOverWithWhatWasRead) {
  connect();
  send("GET /upgrade HTTP/1.1\r\nHost: h\r\n\r\nGET /a is no request now");
  const std::string all = receive_to_end();
  EXPECT_TRUE(all.starts_with("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n")) << all;
  EXPECT_NE(all.find("Connection: Upgrade\r\n\r\ntook GET /a is no request now"), std::string::npos) << all;
  EXPECT_EQ(all.find("Content-Length"), std::string::npos);
  EXPECT_TRUE(is_over());
}

TEST_F(HttpServerTest, MalformedRequestIsRefusedAndTheConnectionEnds) {
  connect();
  send("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  const std::string all = receive_to_end();
  EXPECT_TRUE(all.starts_with("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_EQ(all.find("HTTP/1.1", 1), std::string::npos);  // what followed was not taken for a request
  test.call([&] { client.reset(); });
  EXPECT_TRUE(is_over());
}

TEST_F(HttpServerTest, HeadWithoutEndIsBounded) {
  connect();
  send("GET / HTTP/1.1\r\nX: " + std::string(40'000, 'x'));
  EXPECT_TRUE(receive_to_end().starts_with("HTTP/1.1 431 "));
}

TEST_F(HttpServerTest, TargetWithoutEndIsBounded) {
  connect();
  send("GET /" + std::string(40'000, 'x'));
  EXPECT_TRUE(receive_to_end().starts_with("HTTP/1.1 414 "));
}

TEST_F(HttpServerTest, SlowHeadEndsAtItsDeadlineHoweverItTrickles) {
  limits.head_deadline_ms = 80;
  connect();
  test.loop.spawn(trickle(client, std::string(kGet), 15));
  EXPECT_TRUE(receive_to_end().starts_with("HTTP/1.1 408 "));
  test.call([&] { client->close(); });
  EXPECT_TRUE(is_over());
}

TEST_F(HttpServerTest, IdleConnectionEndsWithoutAWord) {
  limits.idle_deadline_ms = 40;
  connect();
  EXPECT_EQ(receive_to_end(), "");
  EXPECT_TRUE(is_over());
}

TEST_F(HttpServerTest, StalledBodyEndsAtItsDeadline) {
  limits.body_deadline_ms = 40;
  connect();
  send("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_TRUE(receive_to_end().ends_with("RequestTimeout"));
}

TEST_F(HttpServerTest, PeerThatDoesNotReadIsCutOff) {
  limits.write_deadline_ms = 40;
  connect();
  send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(is_over());
}

TEST_F(HttpServerTest, StoppingEndsAfterTheAnswer) {
  connect();
  test.call([] {});  // it now waits for its first request
  stopping = true;
  send(kGet);
  const std::string all = receive_to_end();
  EXPECT_NE(all.find("Connection: close"), std::string::npos) << all;
  EXPECT_TRUE(all.ends_with("GET /a ")) << all;
  EXPECT_TRUE(is_over());
}

}  // namespace
}  // namespace muster::io
