// SPDX-License-Identifier: Apache-2.0
// What comes in: a client's PUBLISH, requests on reserved topics, wills, messages of the server itself.
#include <algorithm>
#include <mutex>

#include "base/log.h"
#include "mqtt/broker/shard.h"
#include "mqtt/codec/topics.h"

namespace muster::mqtt {

namespace {

// At least what keep() makes of it.
std::size_t kept_bytes(const Publish& packet) {
  return packet.topic.size() + packet.payload.size() + packet.properties.bytes().size() + sizeof(Message);
}

}  // namespace

bool Shard::within_limits(ClientLink& link, const Publish& packet) {
  const BrokerOptions& options = hub.options;
  if (packet.payload.size() > options.max_payload_bytes) {
    log_refusal(link, "payload larger than mqtt.max_payload_bytes", packet.topic, packet.payload.size());
    disconnect(link, Reason::kPacketTooLarge, "payload above the limit", EndCause::kClientError);
    return false;
  }
  // A topic of n bytes has at most n + 1 levels: most need not be counted.
  if (packet.topic.size() >= options.max_topic_levels && count_own_levels(packet.topic) > options.max_topic_levels) {
    log_refusal(link, "topic with more levels than mqtt.max_topic_levels", packet.topic,
                count_own_levels(packet.topic));
    disconnect(link, Reason::kTopicNameInvalid, "topic has too many levels", EndCause::kClientError);
    return false;
  }
  return true;
}

void Shard::publish(ClientLink& link, const Publish& packet) {
  ++link.stats->messages_in;
  link.count_publish();
  if (!within_limits(link, packet)) return;
  if (!link.grant->may_publish(packet.topic, packet.retain)) {
    ++stats.denied;
    if (may_log()) {
      log::info("mqtt: publish without permission, connection closed",
                {{"client", link.session->client_id},
                 {"topic", packet.topic},
                 {"needs", packet.retain ? "iot:Publish and iot:RetainPublish" : "iot:Publish"},
                 {"principal", link.grant->principal_id()},
                 {"peer", link.stream->peer().address}});
    }
    // AWS closes the connection, whatever the QoS and version.
    return disconnect(link, Reason::kNotAuthorized, "publish without permission", EndCause::kForbidden);
  }
  if (packet.topic.starts_with('$')) {
    if (offer_ingress(link, packet)) return;
    log_refusal(link, "publish on a reserved topic that nothing serves", packet.topic, 0);
    return disconnect(link, Reason::kTopicNameInvalid, "publish on an unknown reserved topic", EndCause::kForbidden);
  }
  if (packet.retain && !packet.payload.empty() && !retained_fits(packet)) {
    if (packet.qos > 0 && link.connection.version() == Version::k5) {
      return link.ack(packet.qos == 2 ? ClientLink::AckKind::kPubrec : ClientLink::AckKind::kPuback, packet.packet_id,
                      Reason::kQuotaExceeded);
    }
    log_refusal(link, "no room for a retained message: mqtt.max_retained_messages or mqtt.max_retained_bytes",
                packet.topic, 0);
    return disconnect(link, Reason::kQuotaExceeded, "too many retained messages", EndCause::kThrottled);
  }
  Owed owed{Waiter{link.id, link.next_ack(), index}, packet.qos > 0, 0};
  if (packet.retain) set_retained(packet, owed);
  const bool matched = route(packet, link.session, owed);
  if (packet.qos == 0) return;
  if (packet.qos == 2 && link.session->persistent()) {
    link.session->received_in[packet.packet_id] = log->received(link.session->id(), packet.packet_id);
    log->wait(owed.waiter);
    ++owed.conditions;
    need_round_end();
  }
  const Reason reason = matched ? Reason::kSuccess : Reason::kNoMatchingSubscribers;
  const auto kind = packet.qos == 2 ? ClientLink::AckKind::kPubrec : ClientLink::AckKind::kPuback;
  if (owed.conditions == 0) {
    link.ack(kind, packet.packet_id, reason);
  } else {
    link.ack_later(kind, packet.packet_id, reason, owed.conditions);
  }
}

void Shard::log_refusal(ClientLink& link, std::string_view why, std::string_view topic, std::size_t value) {
  if (!may_log()) return;
  log::info("mqtt: publish refused", {{"client", link.session != nullptr ? link.session->client_id : std::string()},
                                      {"why", why},
                                      {"topic", topic.substr(0, 256)},
                                      {"value", std::uint64_t{value}},
                                      {"principal", link.grant ? link.grant->principal_id() : std::string_view()},
                                      {"peer", link.stream->peer().address}});
}

void Shard::publish_for_server(const Publish& packet, std::function<void()> done) {
  Owed owed{Waiter{0, next_call(), index}, packet.qos > 0 || packet.retain, 0};
  if (packet.retain) set_retained(packet, owed);
  route(packet, nullptr, owed);
  if (owed.conditions == 0) return done();
  calls.emplace(++last_call, Call{owed.conditions, std::move(done)});
}

bool Shard::retained_fits(const Publish& packet) {
  const std::lock_guard lock(hub.retained_mutex);
  return hub.retained.fits(packet.topic, kept_bytes(packet));
}

// Durable with this round's record of the message log, like the packet id that a QoS 2 message came under; the store
// gets it later. Clearing what is cleared already is written again as well: the first time may not be durable yet.
bool Shard::set_retained(const Publish& packet, Owed& owed) {
  Hub::RetainedChange change;
  change.key = retained_key(packet.topic);
  const std::lock_guard lock(hub.retained_mutex);
  std::string stored;
  if (packet.payload.empty()) {
    hub.retained.erase(packet.topic);
  } else {
    const MessageRef message = keep(packet, now_ms);
    if (!hub.retained.set(message)) {
      ++stats.dropped;
      if (may_log()) log::warn("mqtt: no room for a retained message", {{"topic", packet.topic}});
      return false;
    }
    stored = to_stored(*message);
  }
  const std::uint64_t version = ++hub.retained_version;
  change.segment = log->retained(version, packet.topic, stored);
  if (!stored.empty()) change.value = retained_record(version, stored);
  if (owed.wanted) {
    log->wait(owed.waiter);
    ++owed.conditions;
  }
  hub.retained_changes.push_back(std::move(change));
  need_round_end();
  Shard& writer = *hub.shards[0];
  if (&writer != this && !writer.retained_poked.exchange(true)) {
    writer.loop.post([weak = writer.weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->retained_poked = false;
        self->need_round_end();
      }
    });
  }
  return true;
}

void Shard::write_retained() {
  std::vector<Hub::RetainedChange> changes;
  {
    const std::lock_guard lock(hub.retained_mutex);
    if (hub.retained_changes.empty()) return;
    changes.swap(hub.retained_changes);
    stats.retained = hub.retained.size();
  }
  std::vector<std::uint64_t> places;
  for (Hub::RetainedChange& change : changes) {
    if (change.segment != 0) places.push_back(change.segment);
    if (change.value.empty()) {
      journal.erase(std::move(change.key));
    } else {
      journal.put(std::move(change.key), std::move(change.value));
    }
  }
  journal.wait([this, places = std::move(places)] {
    for (const std::uint64_t segment : places) log->lost_place(segment);
  });
}

// False: nobody owns the topic, and the packet's form has no way to say so but to close.
bool Shard::offer_ingress(ClientLink& link, const Publish& packet) {
  Ingress message;
  message.client_id = link.session->client_id;
  message.topic = packet.topic;
  message.payload = packet.payload;
  message.qos = packet.qos;
  if (const auto data = packet.properties.text(PropertyId::kCorrelationData)) message.correlation_data = *data;
  if (const auto topic = packet.properties.text(PropertyId::kResponseTopic)) message.response_topic = *topic;
  message.grant = link.grant.get();
  std::weak_ptr<Shard> weak = weak_from_this();
  message.reply = [weak, id = link.id](const std::string& topic, const std::string& payload) {
    if (const auto self = weak.lock()) self->reply(id, topic, payload);
  };
  // The place in the order of acknowledgements is taken first: a hook may answer before it returns.
  std::uint32_t number = 0;
  const auto kind = packet.qos == 2 ? ClientLink::AckKind::kPubrec : ClientLink::AckKind::kPuback;
  if (packet.qos > 0) number = link.ack_later(kind, packet.packet_id, Reason::kSuccess);
  ++link.ingress;
  const auto handled = [weak, id = link.id, number, qos = packet.qos, packet_id = packet.packet_id](bool accepted) {
    if (const auto self = weak.lock()) self->ingress_handled(id, number, qos, packet_id, accepted);
  };
  for (IngressHook* hook : hooks) {
    if (hook->handle(message, handled)) {
      link.update_pause();
      return true;
    }
  }
  --link.ingress;
  if (packet.qos == 0 || link.connection.version() == Version::k311) return false;
  log_refusal(link, "nothing serves this reserved topic", packet.topic, 0);
  link.ack_due(number, Reason::kTopicNameInvalid);
  return true;
}

void Shard::ingress_handled(std::uint64_t link_id, std::uint32_t ack, std::uint8_t qos, std::uint16_t packet_id,
                            bool accepted) {
  ClientLink* link = find_link(link_id);
  if (link == nullptr || link->ended) return;
  if (link->ingress > 0) --link->ingress;
  if (!accepted && qos > 0) {
    // Not done and not durable: no acknowledgement, so that the client sends it again.
    return disconnect(*link, Reason::kServerUnavailable, "a request on a reserved topic could not be carried out",
                      EndCause::kServerError);
  }
  if (qos == 2 && link->session->persistent()) {
    // Done, and not to be done again when it is repeated after a crash.
    link->session->received_in[packet_id] = log->received(link->session->id(), packet_id);
    log->wait(Waiter{link_id, ack, index});
    need_round_end();
  } else if (qos > 0) {
    link->ack_due(ack);
  }
  link->update_pause();
}

// To the requester alone, once, whether it subscribed or not (AWS: "Jobs device MQTT API").
void Shard::reply(std::uint64_t link_id, const std::string& topic, const std::string& payload) {
  ClientLink* link = find_link(link_id);
  if (link == nullptr || link->ended || !link->ready || link->session == nullptr) return;
  if (!is_topic_name(topic)) return;
  refresh_time();
  Session& session = *link->session;
  if (!link->grant->may_receive(topic)) {
    ++stats.denied;
    return;
  }
  std::uint8_t qos = 0;
  for (const auto& [filter, subscription] : session.filters) {
    const auto shared = parse_shared(filter);
    if (subscription.qos > qos && topic_matches(shared ? shared->filter : filter, topic)) qos = subscription.qos;
  }
  qos = std::min<std::uint8_t>(qos, 1);
  Publish packet;
  packet.topic = topic;
  packet.payload = payload;
  packet.qos = qos;
  if (qos > 0) {
    // Kept for this session until it is acknowledged, as MQTT wants; nobody is promised that it is durable.
    owe(session, keep(packet, now_ms), qos, false, {}, false);
    return;
  }
  if (!single.build(session.version, packet)) return;
  if (link->clogged()) return count_drop(session, "slow reader");
  send_now(session, *link, single);
}

void Shard::publish_wills() {
  while (!wills.empty()) {
    const std::vector<SessionWill> due = std::exchange(wills, {});
    for (const SessionWill& will : due) {
      if (will.grant &&
          (!will.grant->still_valid() || !will.grant->may_publish(will.message->topic, will.message->retain))) {
        ++stats.denied;
        continue;
      }
      PropertyWriter scratch;
      Publish packet = publish_of(*will.message, now_ms, scratch);
      if (will.expiry_s) {
        for (const Property& property : packet.properties) scratch.add(property);
        scratch.add(PropertyId::kMessageExpiry, *will.expiry_s);
        packet.properties = scratch.view();
      }
      Owed owed;
      if (packet.retain) set_retained(packet, owed);
      route(packet, nullptr, owed);
    }
  }
}

}  // namespace muster::mqtt
