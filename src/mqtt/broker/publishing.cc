// SPDX-License-Identifier: Apache-2.0
// What comes in: a client's PUBLISH, requests on reserved topics, wills, messages of the server itself.
#include <algorithm>

#include "base/log.h"
#include "mqtt/broker/state.h"
#include "mqtt/codec/topics.h"

namespace muster::mqtt {

namespace {

// At least what keep() makes of it.
std::size_t kept_bytes(const Publish& packet) {
  return packet.topic.size() + packet.payload.size() + packet.properties.bytes().size() + sizeof(Message);
}

}  // namespace

void Broker::State::publish(ClientLink& link, const Publish& packet) {
  ++stats.messages_in;
  if (packet.payload.size() > options.max_payload_bytes) {
    return disconnect(link, Reason::kPacketTooLarge, "payload above the limit", EndCause::kClientError);
  }
  if (!link.grant->may_publish(packet.topic, packet.retain)) {
    ++stats.denied;
    if (may_log()) {
      log::info("mqtt: publish without permission", {{"client", link.session->client_id},
                                                     {"topic", packet.topic},
                                                     {"retain", packet.retain ? "true" : "false"},
                                                     {"principal", link.grant->principal_id()}});
    }
    // AWS closes the connection, whatever the QoS and version.
    return disconnect(link, Reason::kNotAuthorized, "publish without permission", EndCause::kForbidden);
  }
  if (packet.topic.starts_with('$')) {
    if (offer_ingress(link, packet)) return;
    return disconnect(link, Reason::kTopicNameInvalid, "publish on an unknown reserved topic", EndCause::kForbidden);
  }
  bool durable_first = false;
  if (packet.retain) {
    if (!packet.payload.empty() && !retained.fits(packet.topic, kept_bytes(packet))) {
      if (packet.qos > 0 && link.connection.version() == Version::k5) {
        return link.ack(packet.packet_id, Reason::kQuotaExceeded);
      }
      return disconnect(link, Reason::kQuotaExceeded, "too many retained messages", EndCause::kThrottled);
    }
    durable_first = set_retained(packet);
  }
  const Routed routed = route(packet, link.session);
  acknowledge(link, packet, routed.matched, durable_first || routed.durable);
}

void Broker::State::acknowledge(ClientLink& link, const Publish& packet, bool matched, bool durable_first) {
  if (packet.qos == 0) return;
  const Reason reason = matched ? Reason::kSuccess : Reason::kNoMatchingSubscribers;
  const auto conditions = static_cast<std::uint32_t>((durable_first ? 1 : 0) + congested.size());
  if (conditions == 0) return link.ack(packet.packet_id, reason);
  const Journal::Waiter waiter{link.id, link.ack_later(packet.packet_id, reason, conditions)};
  if (durable_first) journal.wait(waiter);
  for (Session* session : congested) {
    if (session->held_acks.empty()) {
      session->held_since_ms = steady_ms;
      holding.insert(session);
    }
    session->held_acks.push_back(waiter);
  }
}

bool Broker::State::set_retained(const Publish& packet) {
  if (packet.payload.empty()) {
    if (!retained.erase(packet.topic)) return false;
    journal.erase(retained_key(packet.topic));
  } else {
    const MessageRef message = keep(packet, now_ms);
    if (!retained.set(message)) {
      ++stats.dropped;
      if (may_log()) log::warn("mqtt: no room for a retained message", {{"topic", packet.topic}});
      return false;
    }
    journal.put(retained_key(packet.topic), to_stored(*message));
  }
  stats.retained = retained.size();
  need_round_end();
  return true;
}

// False: nobody owns the topic, and the packet's form has no way to say so but to close.
bool Broker::State::offer_ingress(ClientLink& link, const Publish& packet) {
  Ingress message;
  message.client_id = link.session->client_id;
  message.topic = packet.topic;
  message.payload = packet.payload;
  message.qos = packet.qos;
  if (const auto data = packet.properties.text(PropertyId::kCorrelationData)) message.correlation_data = *data;
  if (const auto topic = packet.properties.text(PropertyId::kResponseTopic)) message.response_topic = *topic;
  message.grant = link.grant.get();
  std::weak_ptr<State> weak = weak_from_this();
  message.reply = [weak, id = link.id](const std::string& topic, const std::string& payload) {
    if (const auto self = weak.lock()) self->reply(id, topic, payload);
  };
  // The place in the order of acknowledgements is taken first: a hook may answer before it returns.
  std::uint32_t number = 0;
  if (packet.qos > 0) number = link.ack_later(packet.packet_id, Reason::kSuccess);
  ++link.ingress;
  const auto handled = [weak, id = link.id, number, qos = packet.qos](bool accepted) {
    if (const auto self = weak.lock()) self->ingress_handled(id, number, qos, accepted);
  };
  for (IngressHook* hook : hooks) {
    if (hook->handle(message, handled)) {
      link.update_pause();
      return true;
    }
  }
  --link.ingress;
  if (packet.qos == 0 || link.connection.version() == Version::k311) return false;
  link.ack_due(number, Reason::kTopicNameInvalid);
  return true;
}

void Broker::State::ingress_handled(std::uint64_t link_id, std::uint32_t ack, std::uint8_t qos, bool accepted) {
  ClientLink* link = find_link(link_id);
  if (link == nullptr || link->ended) return;
  if (link->ingress > 0) --link->ingress;
  if (!accepted && qos > 0) {
    // Not done and not durable: no acknowledgement, so that the client sends it again.
    return disconnect(*link, Reason::kServerUnavailable, "a request on a reserved topic could not be carried out",
                      EndCause::kServerError);
  }
  if (qos > 0) link->ack_due(ack);
  link->update_pause();
}

// To the requester alone, once, whether it subscribed or not (AWS: "Jobs device MQTT API").
void Broker::State::reply(std::uint64_t link_id, const std::string& topic, const std::string& payload) {
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
    if (subscription.qos > qos && topic_matches(filter, topic)) qos = subscription.qos;
  }
  Publish packet;
  packet.topic = topic;
  packet.payload = payload;
  packet.qos = qos;
  if (qos > 0) {
    // Kept for this session until it is acknowledged, as MQTT wants; nobody is promised that it is durable.
    owe(session, keep(packet, now_ms), false, {}, false);
    return;
  }
  if (!single.build(session.version, packet)) return;
  if (link->clogged()) return count_drop(session, "slow reader");
  send_now(session, *link, single);
}

void Broker::State::publish_wills() {
  while (!wills.empty()) {
    const std::vector<SessionWill> due = std::exchange(wills, {});
    for (const SessionWill& will : due) {
      if (will.grant &&
          (!will.grant->still_valid() || !will.grant->may_publish(will.message->topic, will.message->retain))) {
        ++stats.denied;
        continue;
      }
      PropertyWriter scratch;
      const Publish packet = publish_of(*will.message, now_ms, scratch);
      if (packet.retain) set_retained(packet);
      route(packet, nullptr);
    }
  }
}

void Broker::publish_from_server(std::vector<store::OutboxMessage> batch, std::function<void()> handled) {
  state_->loop.post([weak = std::weak_ptr<State>(state_), batch = std::move(batch), handled = std::move(handled)] {
    const auto self = weak.lock();
    if (!self) return;
    self->refresh_time();
    bool durable = false;
    for (const store::OutboxMessage& message : batch) {
      if (!is_topic_name(message.topic)) continue;  // ours: not reachable from outside
      Publish packet;
      packet.topic = message.topic;
      packet.payload = message.payload;
      packet.qos = std::min<std::uint8_t>(message.qos, 1);
      durable |= self->route(packet, nullptr).durable;
    }
    if (durable) {
      self->journal.wait(handled);
    } else {
      handled();
    }
    self->need_round_end();
  });
}

void Broker::publish(ServerMessage message, std::function<void(PublishOutcome)> done) {
  state_->loop.post([weak = std::weak_ptr<State>(state_), message = std::move(message), done = std::move(done)] {
    const auto answer = [&done](PublishOutcome outcome) {
      if (done) done(outcome);
    };
    const auto self = weak.lock();
    if (!self || self->stopping) return answer(PublishOutcome::kUnavailable);
    self->refresh_time();
    if (!is_topic_name(message.topic)) return answer(PublishOutcome::kBadTopic);
    if (message.payload.size() > self->options.max_payload_bytes ||
        message.topic.size() > self->options.max_topic_bytes) {
      return answer(PublishOutcome::kTooLarge);
    }
    Publish packet;
    packet.topic = message.topic;
    packet.payload = message.payload;
    packet.qos = std::min<std::uint8_t>(message.qos, 1);
    packet.retain = message.retain;
    packet.properties = Properties(message.properties, message.present);
    bool durable = false;
    if (message.retain) {
      if (!message.payload.empty() && !self->retained.fits(message.topic, kept_bytes(packet))) {
        return answer(PublishOutcome::kNoRoom);
      }
      durable = self->set_retained(packet);
    }
    durable |= self->route(packet, nullptr).durable;
    if (durable && done) {
      self->journal.wait([done] { done(PublishOutcome::kDone); });
    } else {
      answer(PublishOutcome::kDone);
    }
    self->need_round_end();
  });
}

namespace {

RetainedSummary summary_of(const Message& message, bool with_payload) {
  RetainedSummary summary;
  summary.topic = message.topic;
  summary.payload_bytes = message.payload.size();
  summary.qos = message.qos;
  summary.modified_ms = message.created_ms;
  if (with_payload) {
    summary.payload = message.payload;
    summary.properties = message.properties;
    summary.present = message.present;
  }
  return summary;
}

}  // namespace

void Broker::retained_message(std::string topic, std::function<void(std::optional<RetainedSummary>)> done) {
  state_->loop.post([weak = std::weak_ptr<State>(state_), topic = std::move(topic), done = std::move(done)] {
    const auto self = weak.lock();
    if (!self) return done(std::nullopt);
    self->refresh_time();
    const MessageRef* found = self->retained.find(topic);
    if (found == nullptr || (*found)->expired(self->now_ms)) return done(std::nullopt);
    done(summary_of(**found, true));
  });
}

void Broker::retained_messages(std::string after, std::size_t limit,
                               std::function<void(std::vector<RetainedSummary>)> done) {
  state_->loop.post([weak = std::weak_ptr<State>(state_), after = std::move(after), limit, done = std::move(done)] {
    std::vector<RetainedSummary> list;
    if (const auto self = weak.lock()) {
      self->refresh_time();
      self->retained.page(after, limit, self->now_ms,
                          [&](const MessageRef& message) { list.push_back(summary_of(*message, false)); });
    }
    done(std::move(list));
  });
}

}  // namespace muster::mqtt
