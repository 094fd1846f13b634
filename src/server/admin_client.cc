// SPDX-License-Identifier: Apache-2.0
#include "server/admin_client.h"

#include <algorithm>
#include <array>
#include <future>

#include "base/crypto.h"
#include "base/sigv4.h"
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
constexpr std::string_view kClients = "/_admin/mqtt/clients";

struct Target {
  std::string host;  // as in the Host header
  std::string address;
  std::uint16_t port = 0;
  bool tls = false;
  std::string ca_pem, region, key_id, secret;
};

Result<Target> target_of(const DataDir& data) {
  auto endpoints_text = data.read("endpoints.json"), key_text = data.read("root-key.json");
  if (!endpoints_text || !key_text) return not_found("no server has served from " + data.path() + " yet");
  TRY(const auto endpoints, endpoints_from_json(*endpoints_text));
  TRY(const auto key, parse_record(*key_text));
  Target target;
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
  return target;
}

std::string signed_request(const Target& target, std::string_view method, std::string_view path,
                           const sigv4::Pairs& query) {
  std::string amz_date = to_iso8601(io::SystemClock().now_ms(), false);
  std::erase_if(amz_date, [](char c) { return c == '-' || c == ':'; });
  const sigv4::Scope scope{amz_date.substr(0, 8), target.region, "muster"};
  sigv4::CanonicalInput input;
  input.method = method;
  input.path = percent_encode(path, true);  // services other than S3 sign the encoded path, encoded once more
  input.query = query;
  input.headers = {{"host", target.host}, {"x-amz-date", amz_date}};
  input.payload_hash = sha256_hex("");
  const std::string signature = sigv4::sign(sigv4::signing_key(target.secret, scope),
                                            sigv4::string_to_sign(amz_date, scope, sigv4::canonical_request(input)));
  std::string text(method);
  text.append(" ").append(path);
  if (!query.empty()) text += "?" + sigv4::canonical_query(query);
  text += " HTTP/1.1\r\nHost: " + target.host + "\r\nX-Amz-Date: " + amz_date +
          "\r\nAuthorization: AWS4-HMAC-SHA256 Credential=" + target.key_id + "/" + scope.text() +
          ", SignedHeaders=host;x-amz-date, Signature=" + signature +
          "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  return text;
}

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

// The answer's JSON object; what the server refuses is an error with its words.
Result<json::object> ask(const Target& target, std::string_view method, std::string_view path,
                         const sigv4::Pairs& query = {}) {
  io::DialOptions dial{.address = target.address, .port = target.port};
  if (target.tls) {
    TRY(dial.context, io::TlsContext::create_client({.ca_pem = target.ca_pem}));
    dial.server_name = target.host.substr(0, target.host.rfind(':'));
  }
  io::Loop loop("client");
  loop.start();
  std::promise<Result<std::string>> promise;
  auto future = promise.get_future();
  std::string request = signed_request(target, method, path, query);
  loop.post([&] { loop.spawn(run_exchange(loop, dial, std::move(request), promise)); });
  const Result<std::string> answer = future.get();
  loop.stop();
  if (!answer)
    return make_error(answer.error().kind, "the server at " + target.host +
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

std::string path_of(std::string_view id) {
  return std::string(kClients) + "/" + percent_encode(id);
}

// A client chose it: what could steer a terminal is shown as hex.
std::string printable(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      out += c;
    } else {
      out += "\\x";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  // U+0080 to U+009F
  for (std::size_t i = 0; i + 1 < out.size(); ++i) {
    if (out[i] == '\xC2' && static_cast<unsigned char>(out[i + 1]) < 0xA0) out.replace(i, 2, "?");
  }
  return out;
}

// Characters, as a terminal counts the usual ones.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string text_of(const json::value& value) {
  if (value.is_string()) return printable(value.get_string());
  if (value.is_bool()) return value.get_bool() ? "yes" : "no";
  return to_text(value);
}

Result<std::string> list_clients(const Target& target) {
  json::array clients;
  std::string after;
  do {
    sigv4::Pairs query{{"limit", "1000"}};
    if (!after.empty()) query.emplace_back("after", after);
    TRY(const auto page, ask(target, "GET", kClients, query));
    if (const auto* more = find_array(page, "clients")) clients.insert(clients.end(), more->begin(), more->end());
    after = get_string(page, "nextAfter");
  } while (!after.empty());
  return clients_table(clients);
}

Result<std::string> show_client(const Target& target, std::string_view id) {
  TRY(const auto answer, ask(target, "GET", path_of(id)));
  std::string out;
  const json::object* client = find_object(answer, "client");
  if (client == nullptr) return internal("the answer has no client");
  for (const auto& [name, value] : *client) {
    out += std::string(name) + std::string(name.size() < 22 ? 22 - name.size() : 1, ' ') + text_of(value) + "\n";
  }
  return out;
}

}  // namespace

std::string clients_table(const json::array& clients) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kColumns{{
      {"CLIENT", "clientId"},
      {"STATE", "connected"},
      {"SINCE", "since"},
      {"MQTT", "protocol"},
      {"LISTENER", "listener"},
      {"ADDRESS", "address"},
      {"PRINCIPAL", "principal"},
      {"SUBS", "subscriptions"},
      {"INFLIGHT", "inflight"},
      {"QUEUED", "queued"},
      {"DROPPED", "dropped"},
  }};
  std::vector<std::vector<std::string>> rows(1);
  for (const auto& [title, member] : kColumns) rows[0].emplace_back(title);
  for (const json::value& client : clients) {
    if (!client.is_object()) continue;
    const json::object& object = client.get_object();
    auto& row = rows.emplace_back();
    for (const auto& [title, member] : kColumns) {
      const json::value* value = object.if_contains(member);
      std::string text = value == nullptr ? "-" : text_of(*value);
      if (member == "connected") text = text == "yes" ? "online" : "away";
      if (member == "principal" && text.size() > 12) text = text.substr(0, 12) + "~";
      row.push_back(text.empty() ? "-" : std::move(text));
    }
  }
  std::vector<std::size_t> widths(kColumns.size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - width_of(row[i]) + 2, ' ');
    }
    out += line + "\n";
  }
  return out + std::to_string(rows.size() - 1) + (rows.size() == 2 ? " client\n" : " clients\n");
}

Result<std::string> run_mqtt_words(const DataDir& data, const std::vector<std::string>& words) {
  const std::string verb = words.empty() ? std::string() : words[0];
  const bool known =
      verb == "clients" ? words.size() == 1 : (verb == "client" || verb == "disconnect") && words.size() == 2;
  if (!known) return invalid("muster mqtt takes: clients, client ID, disconnect ID");
  TRY(const Target target, target_of(data));
  if (verb == "clients") return list_clients(target);
  if (verb == "client") return show_client(target, words[1]);
  TRY_VOID(ask(target, "POST", path_of(words[1]) + "/disconnect"));
  return printable(words[1]) + " is disconnected\n";
}

}  // namespace muster::server
