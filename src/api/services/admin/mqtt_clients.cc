// SPDX-License-Identifier: Apache-2.0
#include "api/services/admin/mqtt_clients.h"

#include "api/wire/await_callback.h"
#include "base/json.h"
#include "base/log.h"

namespace muster::api::admin {
namespace {

using Clients = std::vector<MqttClient>;
constexpr std::int64_t kDefaultLimit = 100;

json::object shape_of(const MqttClient& client) {
  json::object shape{{"clientId", client.client_id}, {"connected", client.connected}, {"protocol", client.protocol}};
  if (client.connected) {
    shape["listener"] = client.listener;
    shape["address"] = client.address;
    shape["port"] = client.port;
    shape["tls"] = client.tls;
    shape["keepAliveSeconds"] = client.keep_alive_s;
  }
  shape["principal"] = client.principal;
  shape["sessionExpirySeconds"] = client.session_expiry_s;
  shape["subscriptions"] = client.subscriptions;
  shape["inflight"] = client.inflight;
  shape["queued"] = client.queued;
  shape["queuedBytes"] = client.queued_bytes;
  shape["dropped"] = client.dropped;
  if (client.since_ms != 0) shape["since"] = client.since_ms;
  if (!client.last_disconnect.empty()) shape["lastDisconnect"] = client.last_disconnect;
  return shape;
}

io::Task<Clients> list_clients(const ClientsPort& port, std::string after, std::size_t limit) {
  std::function<void(std::function<void(Result<Clients>)>)> start = [&](auto done) {
    port.list(std::move(after), limit, std::move(done));
  };
  co_return co_await await_callback<Clients>(start);
}

// The text right before `id`: no client id is between, since 0xFF is never in UTF-8.
std::string just_before(std::string id) {
  if (id.empty()) return id;
  --id.back();
  return id + '\xFF';
}

io::Task<Reply> list(const ClientsPort& port, Call& call) {
  const auto limit = static_cast<std::size_t>(get_int(call.input, "limit", kDefaultLimit));
  std::string after(get_string(call.input, "after"));
  CO_TRY(Clients found, co_await list_clients(port, after, limit + 1));
  Reply reply;
  if (found.size() > limit) {
    found.resize(limit);
    reply.output["nextAfter"] = found.back().client_id;
  }
  json::array clients;
  for (const MqttClient& client : found) clients.push_back(shape_of(client));
  reply.output["clients"] = std::move(clients);
  co_return reply;
}

io::Task<Reply> get(const ClientsPort& port, Call& call) {
  std::string id(get_string(call.input, "clientId"));
  std::string before = just_before(id);
  CO_TRY(Clients found, co_await list_clients(port, before, 1));
  if (found.empty() || found[0].client_id != id) co_return not_found("No MQTT session has the client id " + id);
  Reply reply;
  reply.output["client"] = shape_of(found[0]);
  co_return reply;
}

io::Task<Reply> disconnect(const ClientsPort& port, Call& call) {
  std::string id(get_string(call.input, "clientId"));
  std::string reason = "disconnected by " + call.caller.arn;
  std::function<void(std::function<void(Result<bool>)>)> start = [&](auto done) {
    port.disconnect(id, reason, std::move(done));
  };
  CO_TRY(bool was_connected, co_await await_callback<bool>(start));
  if (!was_connected) co_return not_found("No MQTT client is connected by the client id " + id);
  log::info("mqtt: client disconnected by an administrator", {{"client", id}, {"by", call.caller.arn}});
  co_return Reply{};
}

}  // namespace

void register_mqtt_clients(Operations& operations, ClientsPort port) {
  const auto shared = std::make_shared<const ClientsPort>(std::move(port));
  const auto add = [&](std::string_view operation, io::Task<Reply> (*body)(const ClientsPort&, Call&)) {
    operations.add("muster", operation, [shared, body](Call& call) { return body(*shared, call); });
  };
  add("ListMqttClients", list);
  add("GetMqttClient", get);
  add("DisconnectMqttClient", disconnect);
}

}  // namespace muster::api::admin
