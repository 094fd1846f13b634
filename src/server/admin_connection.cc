// SPDX-License-Identifier: Apache-2.0
#include "server/admin_connection.h"

#include <array>
#include <future>

#include "base/crypto.h"
#include "base/text.h"
#include "io/env.h"
#include "io/loop.h"
#include "io/net.h"
#include "io/stream.h"
#include "server/server.h"

namespace muster::server {
namespace {

constexpr std::int64_t kDeadlineMs = 30'000;
constexpr std::size_t kMaxAnswerBytes = 64u << 20;

io::Task<std::string> exchange(io::Loop& loop, io::DialOptions dial, std::string request) {
  CO_TRY(std::unique_ptr<io::Stream> stream, co_await io::dial(loop, dial));
  const bool sent = co_await io::write_all(*stream, request, kDeadlineMs);
  if (!sent) co_return make_error(ErrorKind::kUnavailable, "the server closed the connection");
  std::string answer;
  std::array<char, 16 * 1024> buffer{};
  for (;;) {
    std::int64_t got = co_await io::read_some(*stream, buffer, kDeadlineMs);
    if (got <= 0) break;
    answer.append(buffer.data(), static_cast<std::size_t>(got));
    if (answer.size() > kMaxAnswerBytes) co_return make_error(ErrorKind::kTooLarge, "the answer is too long");
  }
  co_return answer;
}

boost::asio::awaitable<void> run_exchange(io::Loop& loop, io::DialOptions dial, std::string request,
                                          std::promise<Result<std::string>>& out) {
  Result<std::string> answer = co_await exchange(loop, dial, request);
  out.set_value(std::move(answer));
}

}  // namespace

Result<AdminConnection> AdminConnection::open(const DataDir& data) {
  auto endpoints_text = data.read("endpoints.json"), key_text = data.read("root-key.json");
  if (!endpoints_text || !key_text) return not_found("no server has served from " + data.path() + " yet");
  TRY(const auto endpoints, endpoints_from_json(*endpoints_text));
  TRY(const auto key, parse_record(*key_text));
  AdminConnection connection;
  Target& target = connection.target_;
  target.tls = endpoints.api_origin.starts_with("https://");
  target.host = endpoints.api_origin.substr(endpoints.api_origin.find("://") + 3);
  const auto colon = target.host.rfind(':');
  target.address = target.host.substr(0, colon);
  if (target.address.starts_with('[')) target.address = target.address.substr(1, target.address.size() - 2);
  // This command runs beside the server: a name that other machines know it by need not resolve here.
  if (target.address.find_first_not_of("0123456789.") != std::string::npos &&
      target.address.find(':') == std::string::npos) {
    target.address = "127.0.0.1";
  }
  target.port = static_cast<std::uint16_t>(parse_int(std::string_view(target.host).substr(colon + 1)).value_or(0));
  if (target.tls) {
    TRY(target.ca_pem, read_whole_file(endpoints.ca_file));
  }
  target.region = endpoints.region;
  target.key_id = get_string(key, "accessKeyId");
  target.secret = get_string(key, "secretAccessKey");
  return connection;
}

std::string AdminConnection::signed_request(std::string_view method, std::string_view path,
                                            const sigv4::Pairs& query) const {
  std::string amz_date = to_iso8601(io::SystemClock().now_ms(), false);
  std::erase_if(amz_date, [](char c) { return c == '-' || c == ':'; });
  const sigv4::Scope scope{amz_date.substr(0, 8), target_.region, "muster"};
  sigv4::CanonicalInput input;
  input.method = method;
  input.path = percent_encode(path, true);  // services other than S3 sign the encoded path, encoded once more
  input.query = query;
  input.headers = {{"host", target_.host}, {"x-amz-date", amz_date}};
  input.payload_hash = sha256_hex("");
  const std::string signature = sigv4::sign(sigv4::signing_key(target_.secret, scope),
                                            sigv4::string_to_sign(amz_date, scope, sigv4::canonical_request(input)));
  std::string text(method);
  text.append(" ").append(path);
  if (!query.empty()) text += "?" + sigv4::canonical_query(query);
  text += " HTTP/1.1\r\nHost: " + target_.host + "\r\nX-Amz-Date: " + amz_date +
          "\r\nAuthorization: AWS4-HMAC-SHA256 Credential=" + target_.key_id + "/" + scope.text() +
          ", SignedHeaders=host;x-amz-date, Signature=" + signature +
          "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  return text;
}

Result<json::object> AdminConnection::ask(std::string_view method, std::string_view path,
                                          const sigv4::Pairs& query) const {
  io::DialOptions dial{.address = target_.address, .port = target_.port};
  if (target_.tls) {
    TRY(dial.context, io::TlsContext::create_client({.ca_pem = target_.ca_pem}));
    dial.server_name = target_.host.substr(0, target_.host.rfind(':'));
  }
  io::Loop loop("client");
  loop.start();
  std::promise<Result<std::string>> promise;
  auto future = promise.get_future();
  std::string request = signed_request(method, path, query);
  loop.post([&] { loop.spawn(run_exchange(loop, dial, std::move(request), promise)); });
  const Result<std::string> answer = future.get();
  loop.stop();
  if (!answer)
    return make_error(answer.error().kind, "the server at " + target_.host +
                                               " does not answer: " + answer.error().message + "; is it running?");
  const auto head = answer->find("\r\n\r\n");
  const std::int64_t status = answer->size() > 12 ? parse_int(answer->substr(9, 3)).value_or(0) : 0;
  if (head == std::string::npos || status == 0) return make_error(ErrorKind::kUnavailable, "the answer is cut off");
  const std::string body = answer->substr(head + 4);
  json::object object;
  if (!body.empty()) {
    TRY(object, parse_record(body));
  }
  if (status / 100 != 2) return invalid(std::string(get_string(object, "message", "the server refused")));
  return object;
}

}  // namespace muster::server
