// SPDX-License-Identifier: Apache-2.0
#include "server/message_port.h"

#include <algorithm>
#include <unordered_set>

#include "mqtt/codec/properties.h"

namespace muster::server {
namespace {

using api::data::OutgoingMessage;
using api::data::RetainedMessage;
using mqtt::PropertyId;

mqtt::ServerMessage to_server_message(OutgoingMessage message) {
  mqtt::PropertyWriter writer;
  if (message.payload_is_utf8) writer.add(PropertyId::kPayloadFormat, *message.payload_is_utf8 ? 1 : 0);
  if (message.expiry_s) writer.add(PropertyId::kMessageExpiry, *message.expiry_s);
  if (!message.content_type.empty()) writer.add(PropertyId::kContentType, message.content_type);
  if (!message.response_topic.empty()) writer.add(PropertyId::kResponseTopic, message.response_topic);
  if (!message.correlation_data.empty()) writer.add(PropertyId::kCorrelationData, message.correlation_data);
  for (const auto& [name, value] : message.user_properties) writer.add_user(name, value);
  const mqtt::Properties properties = writer.view();
  mqtt::ServerMessage out;
  out.topic = std::move(message.topic);
  out.payload = std::move(message.payload);
  out.qos = message.qos;
  out.retain = message.retain;
  out.properties = properties.bytes();
  out.present = properties.present();
  return out;
}

Result<bool> to_result(mqtt::PublishOutcome outcome) {
  switch (outcome) {
    case mqtt::PublishOutcome::kDone:
      return true;
    case mqtt::PublishOutcome::kBadTopic:
      return false;
    case mqtt::PublishOutcome::kTooLarge:
      return make_error(ErrorKind::kTooLarge, "The payload or topic is larger than this server takes");
    case mqtt::PublishOutcome::kNoRoom:
      return make_error(ErrorKind::kThrottled, "There is no room for another retained message");
    case mqtt::PublishOutcome::kUnavailable:
      break;
  }
  return make_error(ErrorKind::kUnavailable, "The server is stopping");
}

RetainedMessage to_retained(mqtt::RetainedSummary summary) {
  RetainedMessage out;
  for (const mqtt::Property& property : mqtt::Properties(summary.properties, summary.present)) {
    if (property.id == PropertyId::kUserProperty) out.user_properties.emplace_back(property.text, property.value);
  }
  out.topic = std::move(summary.topic);
  out.payload = std::move(summary.payload);
  out.payload_bytes = summary.payload_bytes;
  out.qos = summary.qos;
  out.modified_ms = summary.modified_ms;
  return out;
}

api::admin::MqttClient to_client(mqtt::ClientSummary summary) {
  api::admin::MqttClient out;
  out.client_id = std::move(summary.client_id);
  out.connected = summary.connected;
  out.protocol = summary.protocol == 5 ? "5.0" : "3.1.1";
  out.listener = std::move(summary.listener);
  out.address = std::move(summary.address);
  out.port = summary.port;
  out.tls = summary.tls;
  out.keep_alive_s = summary.keep_alive_s;
  out.principal = std::move(summary.principal_id);
  out.principal_kind = kind_word(summary.principal_kind);
  out.session_expiry_s = summary.session_expiry_s;
  out.subscriptions = static_cast<std::int64_t>(summary.subscriptions);
  out.inflight = static_cast<std::int64_t>(summary.inflight);
  out.queued = static_cast<std::int64_t>(summary.queued);
  out.queued_bytes = static_cast<std::int64_t>(summary.queued_bytes);
  out.dropped = static_cast<std::int64_t>(summary.dropped);
  out.since_ms = summary.connected ? summary.connected_ms : summary.disconnected_ms;
  out.last_disconnect = std::move(summary.last_disconnect);
  return out;
}

}  // namespace

std::string_view kind_word(mqtt::PrincipalKind kind) {
  switch (kind) {
    case mqtt::PrincipalKind::kPlain:
      return "plain";
    case mqtt::PrincipalKind::kCertificate:
      return "certificate";
    case mqtt::PrincipalKind::kIam:
      return "iam";
    case mqtt::PrincipalKind::kToken:
      return "token";
    case mqtt::PrincipalKind::kUnknown:
      break;
  }
  return {};
}

api::admin::ClientsPort clients_port(mqtt::Broker& broker) {
  using Clients = std::vector<api::admin::MqttClient>;
  api::admin::ClientsPort port;
  port.list = [&broker](std::string after, std::size_t limit, std::function<void(Result<Clients>)> done) {
    broker.clients(std::move(after), limit, [done = std::move(done)](std::vector<mqtt::ClientSummary> found) {
      Clients list;
      list.reserve(found.size());
      for (auto& one : found) list.push_back(to_client(std::move(one)));
      done(std::move(list));
    });
  };
  port.disconnect = [&broker](std::string client_id, std::string reason, std::function<void(Result<bool>)> done) {
    broker.disconnect(std::move(client_id), std::move(reason), [done = std::move(done)](bool found) { done(found); });
  };
  port.find = [&broker](std::vector<std::string> client_ids, std::vector<std::string> certificates,
                        std::function<void(Result<Clients>)> done) {
    broker.find_clients({std::move(client_ids), std::move(certificates)},
                        [done = std::move(done)](std::vector<mqtt::ClientSummary> found) {
                          Clients list;
                          list.reserve(found.size());
                          for (auto& one : found) list.push_back(to_client(std::move(one)));
                          done(std::move(list));
                        });
  };
  return port;
}

api::iot::OfflineCounter offline_counter(mqtt::Broker& broker) {
  return [&broker](std::vector<jobs::SampledThing> things, std::function<void(Result<std::int64_t>)> done) {
    mqtt::ClientQuery query;
    for (const auto& thing : things) {
      query.client_ids.push_back(thing.name);
      query.certificate_ids.insert(query.certificate_ids.end(), thing.certificate_ids.begin(),
                                   thing.certificate_ids.end());
    }
    broker.find_clients(std::move(query), [things = std::move(things), done = std::move(done)](auto found) {
      std::unordered_set<std::string> online, certificates;
      for (const mqtt::ClientSummary& client : found) {
        if (!client.connected) continue;
        online.insert(client.client_id);
        if (client.principal_kind == mqtt::PrincipalKind::kCertificate) certificates.insert(client.principal_id);
      }
      done(std::count_if(things.begin(), things.end(), [&](const jobs::SampledThing& thing) {
        return !online.contains(thing.name) &&
               std::ranges::none_of(thing.certificate_ids, [&](const auto& id) { return certificates.contains(id); });
      }));
    });
  };
}

api::data::MessagePort message_port(mqtt::Broker& broker) {
  api::data::MessagePort port;
  port.publish = [&broker](OutgoingMessage message, std::function<void(Result<bool>)> done) {
    broker.publish(to_server_message(std::move(message)),
                   [done = std::move(done)](mqtt::PublishOutcome outcome) { done(to_result(outcome)); });
  };
  port.retained = [&broker](std::string topic, std::function<void(Result<std::optional<RetainedMessage>>)> done) {
    broker.retained_message(std::move(topic), [done = std::move(done)](std::optional<mqtt::RetainedSummary> found) {
      if (!found) return done(std::optional<RetainedMessage>());
      done(std::optional<RetainedMessage>(to_retained(*std::move(found))));
    });
  };
  port.list_retained = [&broker](std::string after, std::size_t limit,
                                 std::function<void(Result<std::vector<RetainedMessage>>)> done) {
    broker.retained_messages(std::move(after), limit,
                             [done = std::move(done)](std::vector<mqtt::RetainedSummary> found) {
                               std::vector<RetainedMessage> list;
                               list.reserve(found.size());
                               for (auto& one : found) list.push_back(to_retained(std::move(one)));
                               done(std::move(list));
                             });
  };
  return port;
}

}  // namespace muster::server
