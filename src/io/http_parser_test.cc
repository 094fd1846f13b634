// SPDX-License-Identifier: Apache-2.0
#include "io/http_parser.h"

#include <gtest/gtest.h>

namespace muster::io {
namespace {

using namespace std::string_literals;

TEST(HttpHead, KeepsTargetAndHeadersAsReceived) {
  const auto head = parse_http_head(
      "PUT /bucket/a%2Fb?x-id=PutObject&k=v%20w HTTP/1.1\r\nHost: 127.0.0.1:4566\r\nX-Amz-Meta-A:  two  words \r\n"
      "x-amz-meta-a: again\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n");
  ASSERT_TRUE(head) << head.error().reason;
  EXPECT_EQ(head->request.method, "PUT");
  EXPECT_EQ(head->request.raw_path(), "/bucket/a%2Fb");
  EXPECT_EQ(head->request.raw_query(), "x-id=PutObject&k=v%20w");
  EXPECT_EQ(head->request.headers.get("X-AMZ-META-A"), "two  words");
  EXPECT_EQ(head->request.headers.count("x-amz-meta-a"), 2u);
  EXPECT_EQ(head->request.headers.items()[1].first, "X-Amz-Meta-A");
  EXPECT_EQ(head->content_length, 12);
  EXPECT_TRUE(head->expect_continue);
  EXPECT_TRUE(head->keep_alive);
}

TEST(HttpHead, KeepAliveFollowsVersionAndConnection) {
  auto keep = [](std::string_view text) {
    const auto head = parse_http_head(text);
    return head && head->keep_alive;
  };
  EXPECT_TRUE(keep("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_FALSE(keep("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n"));
  EXPECT_FALSE(keep("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keep("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
}

TEST(HttpHead, AbsoluteTargetReplacesHost) {
  auto head = parse_http_head("GET HTTP://bucket.s3.local:80?list-type=2 HTTP/1.1\r\nHost: other\r\n\r\n");
  ASSERT_TRUE(head) << head.error().reason;
  EXPECT_EQ(head->request.target, "/?list-type=2");
  EXPECT_EQ(head->request.headers.get("host"), "bucket.s3.local:80");
  EXPECT_EQ(head->request.headers.count("host"), 1u);
  head = parse_http_head("GET https://h HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->request.target, "/");
  head = parse_http_head("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->request.target, "*");
}

TEST(HttpHead, RefusesWhatIsMalformed) {
  const std::string line = "GET / HTTP/1.1\r\n";
  const std::string host = "Host: a\r\n";
  const std::vector<std::pair<std::string, int>> table = {
      {"\r\n\r\n", 400},
      {"GET\r\n\r\n", 400},
      {"GET /\r\n\r\n", 400},
      {"GET  / HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET / HTTP/1.1 \r\n" + host + "\r\n", 400},
      {"GET / HTTP/2.0\r\n" + host + "\r\n", 505},
      {"PRI * HTTP/2.0\r\n\r\n", 505},
      {"GET / HTTP/0.9\r\n\r\n", 505},
      {"GET / XTTP/1.1\r\n" + host + "\r\n", 400},
      {"G\x01T / HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GE(T / HTTP/1.1\r\n" + host + "\r\n", 400},
      {std::string(33, 'G') + " / HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET bucket/key HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET * HTTP/1.1\r\n" + host + "\r\n", 400},
      {"CONNECT host:443 HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET http:///path HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET /a\xc3\xa9 HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET /a\tb HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n" + host + "\r\n", 414},
      {line + "\r\n", 400},
      {line + host + "Host: b\r\n\r\n", 400},
      {line + "Host: a b\r\n\r\n", 400},
      {line + "Host: a/b\r\n\r\n", 400},
      {line + host + "X: a\r\n folded\r\n\r\n", 400},
      {line + " leading: a\r\n" + host + "\r\n", 400},
      {line + host + "X: a\nY: b\r\n\r\n", 400},
      {line + host + "X: a\rY: b\r\n\r\n", 400},
      {line + host + "X: a\0b\r\n\r\n"s, 400},
      {line + host + "X : a\r\n\r\n", 400},
      {line + host + ": a\r\n\r\n", 400},
      {line + host + "no colon\r\n\r\n", 400},
      {line + host + "X: \x01\r\n\r\n", 400},
      {line + host + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
      {line + host + "Content-Length: 1, 1\r\n\r\n", 400},
      {line + host + "Content-Length: +1\r\n\r\n", 400},
      {line + host + "Content-Length: -1\r\n\r\n", 400},
      {line + host + "Content-Length: 0x1\r\n\r\n", 400},
      {line + host + "Content-Length: \r\n\r\n", 400},
      {line + host + "Content-Length: 99999999999999999999999\r\n\r\n", 400},
      {line + host + "Content-Length: 999999999999999999\r\n\r\n", 413},
      {line + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {line + host + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400},
      {line + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {line + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {line + host + "Transfer-Encoding: xchunked\r\n\r\n", 501},
      {line + host + "Transfer-Encoding: identity\r\n\r\n", 501},
      {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {line + host + "Content-Length: 3\r\nExpect: 200-ok\r\n\r\n", 417},
      {line + host + "X: " + std::string(40000, 'a') + "\r\n\r\n", 431},
  };
  for (const auto& [text, status] : table) {
    const auto head = parse_http_head(text);
    ASSERT_FALSE(head) << text.substr(0, 100);
    EXPECT_EQ(head.error().status, status) << text.substr(0, 100) << " -> " << head.error().reason;
  }
}

TEST(HttpHead, CountsHeaders) {
  auto with = [](int count) {
    std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (int i = 1; i < count; ++i) text += "h" + std::to_string(i) + ": v\r\n";
    return text + "\r\n";
  };
  EXPECT_TRUE(parse_http_head(with(100)));
  const auto refused = parse_http_head(with(101));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, 431);
}

TEST(HttpHead, EndIsFoundAcrossPieces) {
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
  const std::size_t end = text.size() - 4;
  for (std::size_t scanned = 0; scanned < end; ++scanned) {
    EXPECT_EQ(find_head_end(text, scanned), end) << scanned;
    EXPECT_EQ(find_head_end(text.substr(0, scanned), 0), std::string::npos);
  }
}

// Feeds `wire` in pieces of `size`; the payload, or "!" and the fault. `rest` is what follows the body.
std::string decode(std::string_view wire, std::size_t size, std::string* rest = nullptr) {
  ChunkedParser parser;
  std::string pending, payload;
  std::size_t at = 0;
  for (;;) {
    const auto step = parser.step(pending);
    if (!step) return "!" + step.error().reason;
    payload.append(step->payload);
    pending.erase(0, step->consumed);
    if (step->done) {
      if (rest != nullptr) *rest = pending + std::string(wire.substr(at));
      return payload;
    }
    if (step->consumed > 0) continue;
    if (at == wire.size()) return "?" + payload;
    const std::string_view piece = wire.substr(at, size);
    pending.append(piece);
    at += piece.size();
  }
}

TEST(ChunkedBody, IsTheSameHoweverItArrives) {
  const std::string wire =
      "5\r\nhello\r\n1;ext=\"a b\"\r\n \r\n00a\r\n0123456789\r\n0\r\nTrailer: x\r\nAnother: y\r\n\r\nGET /next";
  for (std::size_t size = 1; size <= wire.size(); ++size) {
    std::string rest;
    EXPECT_EQ(decode(wire, size, &rest), "hello 0123456789") << size;
    EXPECT_EQ(rest, "GET /next") << size;
  }
}

TEST(ChunkedBody, EmptyBodyMayArriveBytewise) {
  for (const std::string_view wire : {"0\r\n\r\n", "000\r\nA: b\r\n\r\n", "0;x\r\nA: b\r\nC: d\r\n\r\n"}) {
    for (std::size_t size = 1; size <= wire.size(); ++size) EXPECT_EQ(decode(wire, size), "") << wire << size;
  }
}

TEST(ChunkedBody, RefusesWhatIsMalformed) {
  for (const std::string_view wire :
       {"g\r\nxx", "\r\n\r\nx", "5\r\nhelloX\r\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n",
        "-1\r\n\r\n", "fffffffffffffffff\r\nx", "0\r\nbad trailer\r\n\r\n", "0\r\nX : y\r\n\r\n"}) {
    for (std::size_t size : {std::size_t{1}, std::size_t{3}, wire.size()}) {
      const std::string result = decode(wire, size);
      EXPECT_TRUE(result.starts_with('!')) << wire << " in pieces of " << size << " -> " << result;
    }
  }
  for (const std::string_view wire : {"", "5\nhello\n0\n\n", "5\r\nhel", "0\r\n", "5\r\nhello\r\n"}) {
    EXPECT_TRUE(decode(wire, 2).starts_with('?')) << wire;
  }
}

}  // namespace
}  // namespace muster::io
