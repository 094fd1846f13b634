// SPDX-License-Identifier: Apache-2.0
// Operations of service "muster", administration: who is connected by MQTT or has a session, and ending a connection.
// Signed, authorised and validated like every other service (tools/modelgen/own/muster.json is its model); the resource
// of one client is arn:aws:iot:REGION:ACCOUNT:client/CLIENT_ID.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "api/wire/operation.h"

namespace muster::api::admin {

struct MqttClient {
  std::string client_id;
  bool connected = false;
  std::string protocol;  // "3.1.1", "5.0"
  std::string listener;  // this and what follows up to keep_alive_s: connected clients
  std::string address;
  std::uint16_t port = 0;
  bool tls = false;
  std::int64_t keep_alive_s = 0;
  std::string principal;
  std::string principal_kind;  // whose name that is: "certificate", "plain", "iam", "token"; empty: not known
  std::int64_t session_expiry_s = 0;
  std::int64_t subscriptions = 0;
  std::int64_t inflight = 0;
  std::int64_t queued = 0;
  std::int64_t queued_bytes = 0;
  std::int64_t dropped = 0;
  std::int64_t since_ms = 0;  // connected or, else, disconnected; 0: unknown
  std::string last_disconnect;
};

// The broker; answers may come on another thread. server/message_port implements it.
struct ClientsPort {
  // At most `limit` behind `after`, in byte order of the ids.
  std::function<void(std::string after, std::size_t limit, std::function<void(Result<std::vector<MqttClient>>)> done)>
      list;
  std::function<void(std::string client_id, std::string reason, std::function<void(Result<bool>)> done)> disconnect;
  // Those of these client ids or certificates, each once.
  std::function<void(std::vector<std::string> client_ids, std::vector<std::string> certificate_ids,
                     std::function<void(Result<std::vector<MqttClient>>)> done)>
      find;
};

void register_mqtt_clients(Operations& operations, ClientsPort port);

}  // namespace muster::api::admin
