// SPDX-License-Identifier: Apache-2.0
#include "server/admin_client.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "server/admin_connection.h"
#include "server/terminal.h"

namespace muster::server {
namespace {

constexpr std::string_view kClients = "/_admin/mqtt/clients";

std::string path_of(std::string_view id) {
  return std::string(kClients) + "/" + percent_encode(id);
}

std::string text_of(const json::value& value) {
  if (value.is_string()) return printable(value.get_string());
  if (value.is_bool()) return value.get_bool() ? "yes" : "no";
  return to_text(value);
}

Result<std::string> list_clients(const AdminConnection& server) {
  json::array clients;
  std::string after;
  do {
    sigv4::Pairs query{{"limit", "1000"}};
    if (!after.empty()) query.emplace_back("after", after);
    TRY(const auto page, server.ask("GET", kClients, query));
    if (const auto* more = find_array(page, "clients")) clients.insert(clients.end(), more->begin(), more->end());
    after = get_string(page, "nextAfter");
  } while (!after.empty());
  return clients_table(clients);
}

Result<std::string> show_client(const AdminConnection& server, std::string_view id) {
  TRY(const auto answer, server.ask("GET", path_of(id)));
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
  TRY(const auto server, AdminConnection::open(data));
  if (verb == "clients") return list_clients(server);
  if (verb == "client") return show_client(server, words[1]);
  TRY_VOID(server.ask("POST", path_of(words[1]) + "/disconnect"));
  return printable(words[1]) + " is disconnected\n";
}

}  // namespace muster::server
