// SPDX-License-Identifier: Apache-2.0
#include "io/http_parser.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>

#include "base/text.h"

namespace http = boost::beast::http;
using boost::system::error_code;

namespace muster::io {
namespace {

constexpr std::size_t kMaxMethodBytes = 32;
// "0 CRLF CRLF": between chunks at least this much follows. Boost 1.81's parser asserts when it is called with less
// after it has seen the last chunk's size.
constexpr std::size_t kLeastChunkHeader = 5;
constexpr std::int64_t kLargestLength = std::int64_t{1} << 50;

using BeastView = boost::beast::string_view;

class Collector final : public http::basic_parser<true> {
 public:
  std::string method, target;
  int version = 11;
  HttpHeaders headers;
  std::string_view payload;
  std::uint64_t chunk_left = 0;  // of the chunk being read

 private:
  static std::string text(BeastView view) { return {view.data(), view.size()}; }

  void on_request_impl(http::verb, BeastView method_text, BeastView target_text, int http_version,
                       error_code&) override {
    method = text(method_text);
    target = text(target_text);
    version = http_version;
  }
  void on_response_impl(int, BeastView, int, error_code&) override {}
  void on_field_impl(http::field, BeastView name, BeastView value, error_code&) override {
    if (!is_header_done()) headers.add(text(name), text(value));  // trailers are checked for form and dropped
  }
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(BeastView body, error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t size, BeastView, error_code&) override { chunk_left = size; }
  std::size_t on_chunk_body_impl(std::uint64_t, BeastView body, error_code&) override {
    payload = {body.data(), body.size()};
    chunk_left -= body.size();
    return body.size();
  }
  void on_finish_impl(error_code&) override {}
};

std::unexpected<HttpFault> fault(int status, std::string reason) {
  return std::unexpected(HttpFault{status, std::move(reason)});
}

// What a lenient parser in front of or behind us might read differently.
std::optional<HttpFault> check_lines(std::string_view head, const HttpLimits& limits) {
  std::size_t lines = 0;
  for (std::size_t at = 0; at < head.size(); ++at) {
    const char c = head[at];
    if (c == '\0') return HttpFault{400, "NUL in the request head"};
    if (c == '\n') return HttpFault{400, "bare line feed in the request head"};
    if (c != '\r') continue;
    if (at + 1 >= head.size() || head[at + 1] != '\n')
      return HttpFault{400, "bare carriage return in the request head"};
    ++at;
    ++lines;
    const char next = at + 1 < head.size() ? head[at + 1] : '\0';
    if (next == ' ' || next == '\t') return HttpFault{400, "folded header line"};
  }
  if (lines > limits.max_headers + 2) return HttpFault{431, "too many headers"};  // request line, empty line
  return std::nullopt;
}

std::optional<HttpFault> check_request_line(std::string_view head, const HttpLimits& limits) {
  const std::string_view line = head.substr(0, head.find('\r'));
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return HttpFault{400, "malformed request line"};
  if (first > kMaxMethodBytes) return HttpFault{400, "method too long"};
  if (last - first > limits.max_target_bytes + 1) return HttpFault{414, "target too long"};
  const std::string_view version = line.substr(last + 1);
  if (version.starts_with("HTTP/") && version != "HTTP/1.1" && version != "HTTP/1.0") {
    return HttpFault{505, "HTTP version not supported"};
  }
  for (const char c : line.substr(first + 1, last - first - 1)) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f) {
      return HttpFault{400, "target must be visible ASCII, other bytes percent-encoded"};
    }
  }
  return std::nullopt;
}

bool is_host(std::string_view host) {
  for (const char c : host) {
    const bool name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!name && std::string_view("-._~:[]%!$&'()*+,;=").find(c) == std::string_view::npos) return false;
  }
  return true;
}

std::optional<HttpFault> normalise_target(HttpRequest& request) {
  std::string& target = request.target;
  if (target.starts_with('/')) return std::nullopt;
  if (target == "*" && request.method == "OPTIONS") return std::nullopt;
  const std::string scheme = lower(std::string_view(target).substr(0, 8));
  const std::size_t skip = scheme.starts_with("http://") ? 7 : scheme.starts_with("https://") ? 8 : 0;
  if (skip == 0) return HttpFault{400, "target must begin with a slash"};
  const std::size_t end = target.find_first_of("/?", skip);
  std::string authority = target.substr(skip, end == std::string::npos ? end : end - skip);
  if (authority.empty() || !is_host(authority)) return HttpFault{400, "bad authority in the target"};
  std::string rest = end == std::string::npos ? "/" : target.substr(end);
  if (rest.front() == '?') rest.insert(rest.begin(), '/');
  target = std::move(rest);
  request.headers.set("Host", std::move(authority));
  return std::nullopt;
}

std::optional<HttpFault> check_host(const HttpHead& head) {
  const std::size_t hosts = head.request.headers.count("host");
  if (hosts > 1) return HttpFault{400, "more than one Host header"};
  if (hosts == 0 && head.minor_version >= 1) return HttpFault{400, "missing Host header"};
  if (!is_host(head.request.headers.get("host"))) return HttpFault{400, "malformed Host header"};
  return std::nullopt;
}

// Message body length, RFC 9112 section 6.3, strictly.
std::optional<HttpFault> find_length(HttpHead& head) {
  const HttpHeaders& headers = head.request.headers;
  const std::size_t lengths = headers.count("content-length");
  const std::size_t encodings = headers.count("transfer-encoding");
  if (lengths > 1) return HttpFault{400, "more than one Content-Length"};
  if (encodings > 0) {
    if (lengths > 0) return HttpFault{400, "both Content-Length and Transfer-Encoding"};
    if (head.minor_version == 0) return HttpFault{400, "Transfer-Encoding in HTTP/1.0"};
    if (encodings > 1) return HttpFault{400, "more than one Transfer-Encoding"};
    if (!equals_ignore_case(headers.get("transfer-encoding"), "chunked")) {
      return HttpFault{501, "only the chunked transfer coding is implemented"};
    }
    head.chunked = true;
    return std::nullopt;
  }
  if (lengths == 0) return std::nullopt;
  const std::string_view text = headers.get("content-length");
  if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string_view::npos) {
    return HttpFault{400, "malformed Content-Length"};
  }
  head.content_length = parse_int(text).value_or(kLargestLength);
  if (head.content_length >= kLargestLength) return HttpFault{413, "Content-Length too large"};
  return std::nullopt;
}

std::optional<HttpFault> find_expectation(HttpHead& head) {
  const std::string_view expect = head.request.headers.get("expect");
  if (expect.empty() || head.minor_version == 0) return std::nullopt;
  if (!equals_ignore_case(expect, "100-continue")) return HttpFault{417, "unknown expectation"};
  head.expect_continue = head.chunked || head.content_length > 0;
  return std::nullopt;
}

}  // namespace

std::size_t find_head_end(std::string_view bytes, std::size_t scanned) {
  const std::size_t at = bytes.find("\r\n\r\n", scanned < 3 ? 0 : scanned - 3);
  return at == std::string_view::npos ? at : at + 4;
}

std::expected<HttpHead, HttpFault> parse_http_head(std::string_view head, const HttpLimits& limits) {
  if (head.size() > limits.max_head_bytes) return fault(431, "request head too large");
  if (auto bad = check_lines(head, limits)) return std::unexpected(*bad);
  if (auto bad = check_request_line(head, limits)) return std::unexpected(*bad);
  Collector parser;
  parser.header_limit(static_cast<std::uint32_t>(limits.max_head_bytes));
  parser.body_limit(boost::none);
  error_code error;
  parser.put(boost::asio::const_buffer(head.data(), head.size()), error);
  if (error && error != http::error::need_more) return fault(400, error.message());
  if (!parser.is_header_done()) return fault(400, "malformed request head");
  HttpHead result;
  result.request.method = std::move(parser.method);
  result.request.target = std::move(parser.target);
  result.request.headers = std::move(parser.headers);
  result.minor_version = parser.version == 10 ? 0 : 1;
  result.keep_alive = parser.keep_alive();
  if (auto bad = normalise_target(result.request)) return std::unexpected(*bad);
  if (auto bad = check_host(result)) return std::unexpected(*bad);
  if (auto bad = find_length(result)) return std::unexpected(*bad);
  if (auto bad = find_expectation(result)) return std::unexpected(*bad);
  return result;
}

struct ChunkedParser::State {
  Collector parser;
};

ChunkedParser::ChunkedParser() : state_(std::make_unique<State>()) {
  // The parser reads a body only behind a head; this one stands for the real head, which was checked on its own.
  static constexpr std::string_view kHead = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  error_code error;
  state_->parser.body_limit(boost::none);
  state_->parser.put(boost::asio::const_buffer(kHead.data(), kHead.size()), error);
}

ChunkedParser::~ChunkedParser() = default;

std::expected<ChunkedParser::Step, HttpFault> ChunkedParser::step(std::string_view bytes) {
  Collector& parser = state_->parser;
  Step result;
  if (parser.is_done()) {
    result.done = true;
    return result;
  }
  if (parser.chunk_left == 0 && bytes.size() < kLeastChunkHeader) return result;
  parser.payload = {};
  error_code error;
  result.consumed = parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  if (error && error != http::error::need_more) return fault(400, error.message());
  result.payload = parser.payload;
  result.done = parser.is_done();
  return result;
}

}  // namespace muster::io
