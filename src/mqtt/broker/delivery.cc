// SPDX-License-Identifier: Apache-2.0
// What goes out: matching, one encoding for all receivers, queues of sessions that cannot take a message now.
#include <algorithm>

#include "base/log.h"
#include "mqtt/broker/state.h"

namespace muster::mqtt {

namespace {
constexpr std::size_t kRoomForHeld = 16;  // times the queue's count, while acknowledgements are held back
}  // namespace

Broker::State::Routed Broker::State::route(const Publish& packet, const Session* origin) {
  ++match_round;
  matches.clear();
  identifiers.clear();
  congested.clear();
  subscriptions.match(packet.topic, [&](const Subscription& subscription) {
    if (subscription.no_local && subscription.session == origin) return;
    Session& session = *subscription.session;
    if (session.match_round != match_round) {
      session.match_round = match_round;
      session.match_index = static_cast<std::uint32_t>(matches.size());
      matches.push_back({&session, subscription.qos, subscription.retain_as_published, 0});
    }
    // Overlapping filters: one copy, at the highest QoS, with all identifiers (MQTT 5 section 3.3.4).
    Match& match = matches[session.match_index];
    match.qos = std::max(match.qos, subscription.qos);
    match.retain_as_published |= subscription.retain_as_published;
    if (subscription.identifier != 0) {
      identifiers.emplace_back(subscription.identifier, match.first_identifier);
      match.first_identifier = static_cast<std::uint32_t>(identifiers.size());
    }
  });
  Routed routed;
  if (matches.empty()) return routed;
  images.reset();
  MessageRef kept;
  for (const Match& match : matches) deliver(match, packet, kept, routed);
  return routed;
}

void Broker::State::deliver(const Match& match, const Publish& packet, MessageRef& kept, Routed& routed) {
  Session& session = *match.session;
  ClientLink* link = session.link;
  const bool online = link != nullptr && link->ready && !link->broken;
  if (online && !link->grant->may_receive(packet.topic)) {
    ++stats.denied;
    return;
  }
  routed.matched = true;
  const std::uint8_t qos = std::min(packet.qos, match.qos);
  const bool retain = match.retain_as_published && packet.retain;
  if (qos == 0 && (!online || link->clogged())) {
    if (online) count_drop(session, "slow reader");
    return;
  }
  std::vector<std::uint32_t> own;
  for (std::uint32_t at = match.first_identifier; at != 0; at = identifiers[at - 1].second) {
    own.push_back(identifiers[at - 1].first);
  }
  const bool now = online && !link->clogged() && (qos == 0 || (session.queue.empty() && !session.resend));
  const PublishImage* image = nullptr;
  if (now) {
    if (own.empty()) {
      image = images.get(packet, session.version, qos, retain);
    } else {
      Publish variant = packet;
      variant.qos = qos;
      variant.retain = retain;
      image = single.build(session.version, variant, own) ? &single : nullptr;
    }
    if (image == nullptr) return count_drop(session, "cannot be encoded");
  }
  if (qos == 0) return send_now(session, *link, *image);

  const std::uint64_t number = session.next_number++;
  std::uint16_t packet_id = 0;
  if (now) {
    const SendOutcome outcome = link->connection.send(*image, number, link->out(), &packet_id);
    if (outcome == SendOutcome::kTooLarge) return count_drop(session, "larger than the client takes");
    if (outcome == SendOutcome::kSent) {
      ++stats.messages_out;
      link->flush_if_large();
      if (!session.persistent()) return;
    } else {
      packet_id = 0;
    }
  }
  if (!kept) kept = keep(packet, now_ms);
  Held held;
  held.message = kept;
  held.number = number;
  held.retain = retain;
  if (session.persistent()) {
    Publish variant = packet;
    variant.qos = qos;
    variant.retain = retain;
    journal.put(queue_key(session.client_id, number), to_stored(variant, *kept, packet_id, own));
    held.stored = true;
    routed.durable = true;
  }
  if (!own.empty()) held.identifiers = std::make_unique<std::vector<std::uint32_t>>(std::move(own));
  if (packet_id == 0) return enqueue(session, std::move(held));
  session.held_bytes += held.message->bytes();
  stats.queued_bytes += held.message->bytes();
  ++stats.queued_messages;
  session.sent.push_back(std::move(held));
}

void Broker::State::send_now(Session& session, ClientLink& link, const PublishImage& image) {
  const SendOutcome outcome = link.connection.send(image, link.out());
  if (outcome == SendOutcome::kSent) {
    ++stats.messages_out;
    link.flush_if_large();
  } else if (outcome == SendOutcome::kTooLarge) {
    count_drop(session, "larger than the client takes");
  }
}

bool Broker::State::owe(Session& session, const MessageRef& message, bool retain, std::vector<std::uint32_t> own,
                        bool durable) {
  Held held;
  held.message = message;
  held.number = session.next_number++;
  held.retain = retain;
  if (durable && session.persistent()) {
    PropertyWriter scratch;
    Publish packet = publish_of(*message, now_ms, scratch);
    packet.qos = 1;
    packet.retain = retain;
    journal.put(queue_key(session.client_id, held.number), to_stored(packet, *message, 0, own));
    held.stored = true;
  }
  const bool stored = held.stored;
  if (!own.empty()) held.identifiers = std::make_unique<std::vector<std::uint32_t>>(std::move(own));
  enqueue(session, std::move(held));
  drain(session);
  return stored;
}

void Broker::State::enqueue(Session& session, Held held) {
  const std::size_t bytes = held.message->bytes();
  const bool keeping_up = session.link != nullptr && session.link->ready && !session.slow;
  const std::size_t most = options.max_queue_messages * (keeping_up ? kRoomForHeld : 1);
  const auto full = [&] {
    return session.queue.size() >= most || session.held_bytes + bytes > options.max_queue_bytes ||
           stats.queued_bytes + bytes > options.max_held_bytes;
  };
  while (!session.queue.empty() && full()) {
    Held oldest = session.queue.pop_front();
    forget(session, oldest);
    count_drop(session, "queue is full");
  }
  session.held_bytes += bytes;
  stats.queued_bytes += bytes;
  ++stats.queued_messages;
  session.queue.push_back(std::move(held));
  if (keeping_up &&
      (session.queue.size() > options.max_queue_messages / 4 || session.held_bytes > options.max_queue_bytes / 4)) {
    congested.push_back(&session);
  }
}

void Broker::State::release_acks(Session& session) {
  if (session.held_acks.empty()) return;
  holding.erase(&session);
  for (const Journal::Waiter& waiter : std::exchange(session.held_acks, {})) {
    if (ClientLink* link = find_link(waiter.link)) link->ack_due(waiter.ack);
  }
}

void Broker::State::forget(Session& session, Held& held) {
  const std::size_t bytes = held.message->bytes();
  session.held_bytes -= bytes;
  stats.queued_bytes -= bytes;
  --stats.queued_messages;
  if (held.stored) journal.erase_lazily(queue_key(session.client_id, held.number));
}

void Broker::State::acknowledged(Session& session, std::uint64_t number) {
  Held held = session.take_sent(number);
  if (held.message) forget(session, held);
}

// What was in flight when the last connection ended, in order, before anything new. False: the window is full.
bool Broker::State::resend(Session& session, ClientLink& link) {
  std::vector<std::uint16_t> unknown;
  bool all = true;
  const auto entries = session.inflight.outgoing.entries();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].sent) continue;
    const std::uint16_t packet_id = entries[i].packet_id;
    const Held* held = session.find_sent(entries[i].token);
    if (held == nullptr) {
      unknown.push_back(packet_id);
      continue;
    }
    if (link.clogged()) {
      all = false;
      break;
    }
    if (held->message->expired(now_ms) || !link.grant->may_receive(held->message->topic)) {
      // Sent once already, but the client may have missed it: it must not be sent again.
      unknown.push_back(packet_id);
      continue;
    }
    Publish packet = publish_of(*held->message, now_ms, properties);
    packet.qos = 1;
    packet.retain = held->retain;
    std::vector<std::uint32_t> own;
    if (held->identifiers) own = *held->identifiers;
    if (!single.build(session.version, packet, own)) {
      unknown.push_back(packet_id);
      continue;
    }
    const SendOutcome outcome = link.connection.resend(packet_id, single, link.out());
    if (outcome == SendOutcome::kSent) {
      ++stats.messages_out;
    } else if (outcome == SendOutcome::kTooLarge) {
      count_drop(session, "larger than the client takes");
      unknown.push_back(packet_id);
    } else {
      all = false;
      break;
    }
  }
  for (const std::uint16_t packet_id : unknown) {
    if (const auto* entry = session.inflight.outgoing.find(packet_id)) acknowledged(session, entry->token);
    session.inflight.outgoing.remove(packet_id);
  }
  return all;
}

void Broker::State::drain(Session& session) {
  ClientLink* link = session.link;
  if (link == nullptr || !link->ready || link->broken || link->ended) return;
  if (session.resend) {
    if (!resend(session, *link)) return;
    session.resend = false;
  }
  while (!session.queue.empty() && !link->clogged() && link->connection.window() > 0) {
    Held& next = session.queue.front();
    const bool expired = next.message->expired(now_ms);
    if (expired || !link->grant->may_receive(next.message->topic)) {
      ++(expired ? stats.expired : stats.denied);
      forget(session, next);
      session.queue.pop_front();
      continue;
    }
    Publish packet = publish_of(*next.message, now_ms, properties);
    packet.qos = 1;
    packet.retain = next.retain;
    std::vector<std::uint32_t> own;
    if (next.identifiers) own = *next.identifiers;
    std::uint16_t packet_id = 0;
    const bool built = single.build(session.version, packet, own);
    const SendOutcome outcome =
        built ? link->connection.send(single, next.number, link->out(), &packet_id) : SendOutcome::kTooLarge;
    if (outcome == SendOutcome::kTooLarge) {
      count_drop(session, "larger than the client takes");
      forget(session, next);
      session.queue.pop_front();
      continue;
    }
    if (outcome != SendOutcome::kSent) break;
    ++stats.messages_out;
    link->flush_if_large();
    Held moved = session.queue.pop_front();
    if (session.persistent()) {
      session.sent.push_back(std::move(moved));
    } else {
      forget(session, moved);
    }
  }
  session.queue.release();
  if (session.queue.empty()) session.overflow_logged = session.slow = false;
  if (session.queue.size() <= options.max_queue_messages / 8 && session.held_bytes <= options.max_queue_bytes / 8) {
    release_acks(session);
  }
}

void Broker::State::count_drop(Session& session, std::string_view why) {
  ++stats.dropped;
  ++session.dropped;
  if (session.overflow_logged || !may_log()) return;
  session.overflow_logged = true;  // one line until the queue is empty again
  log::warn("mqtt: messages for a client are dropped",
            {{"client", session.client_id}, {"why", why}, {"dropped", session.dropped}});
}

}  // namespace muster::mqtt
