// SPDX-License-Identifier: Apache-2.0
// What goes out: one encoding for all receivers, what must be logged first, what is sent again.
#include <algorithm>

#include "mqtt/broker/shard.h"

namespace muster::mqtt {

namespace {
constexpr std::size_t kLargestRecord = std::size_t{8} << 20;  // then the next message begins another
}  // namespace

void Shard::deliver(Session& session, std::uint8_t granted, bool retain_as_published,
                    std::span<const std::uint32_t> identifiers, const Publish& packet, const Numbered* numbered) {
  const auto leave_out = [&] {
    if (numbered != nullptr) log->done(session.id(), numbered->number, numbered->segment);
  };
  ClientLink* link = session.link;
  const bool online = link != nullptr && link->ready && !link->broken;
  if (online && !link->grant->may_receive(packet.topic)) {
    ++stats.denied;
    return leave_out();
  }
  const std::uint8_t qos = std::min(packet.qos, granted);
  const bool retain = retain_as_published && packet.retain;
  if (qos == 0 && (!online || link->clogged())) {
    if (online) count_drop(session, "slow reader");
    return;
  }
  const bool persistent = session.persistent();
  // At QoS 2 a persistent session's message is durable before it is sent: its packet id must mean the same message
  // after a crash, or the client would take another one for a repetition.
  const bool now = online && !link->clogged() &&
                   (qos == 0 || (session.queue.empty() && !session.resend && (qos == 1 || !persistent)));
  const PublishImage* image = nullptr;
  if (now) {
    if (identifiers.empty() || session.version == Version::k311) {
      image = images.get(packet, session.version, qos, retain);
    } else {
      Publish variant = packet;
      variant.qos = qos;
      variant.retain = retain;
      image = single.build(session.version, variant, identifiers) ? &single : nullptr;
    }
    if (image == nullptr) {
      leave_out();
      return count_drop(session, "cannot be encoded");
    }
  }
  if (qos == 0) return send_now(session, *link, *image);

  const std::uint64_t number = numbered != nullptr ? numbered->number : session.face->take_number();
  bool sent = false;
  if (now) {
    const SendOutcome outcome = link->connection.send(*image, number, link->out(), nullptr);
    if (outcome == SendOutcome::kTooLarge) {
      leave_out();
      return count_drop(session, "larger than the client takes");
    }
    sent = outcome == SendOutcome::kSent;
    if (sent) {
      ++link->stats->messages_out;
      link->flush_if_large();
      if (!persistent) return leave_out();
    }
  }
  if (!kept) kept = keep(packet, now_ms);
  Held held;
  held.message = kept;
  held.number = number;
  held.qos = qos;
  held.retain = retain;
  if (!identifiers.empty()) {
    held.identifiers = std::make_unique<std::vector<std::uint32_t>>(identifiers.begin(), identifiers.end());
  }
  if (numbered != nullptr) {
    held.segment = numbered->segment;
    held.position = numbered->position;
    held.stored = true;
  } else if (persistent) {
    log_entry(session, held, packet);
    durable_owed = true;
  }
  if (!sent) return enqueue(session, std::move(held));
  session.held_bytes += held.message->bytes();
  stats.queued_bytes += held.message->bytes();
  ++stats.queued_messages;
  session.keep_sent(std::move(held));
}

// The message that is being routed: written once for all its receivers.
void Shard::log_message(const Publish& packet) {
  if (logged) return;
  if (log->open_bytes() > kLargestRecord) commit_log();
  log->message(packet, packet.properties.empty() ? 0 : expiry_of(packet, now_ms), now_ms);
  logged = true;
  need_round_end();
}

void Shard::log_entry(Session& session, Held& held, const Publish& packet) {
  log_message(packet);
  std::span<const std::uint32_t> own;
  if (held.identifiers) own = *held.identifiers;
  held.segment =
      log->entry({.session = session.id(), .number = held.number, .qos = held.qos, .retain = held.retain}, own);
  held.round = log->round();
  held.stored = true;
}

void Shard::send_now(Session& session, ClientLink& link, const PublishImage& image) {
  const SendOutcome outcome = link.connection.send(image, link.out());
  if (outcome == SendOutcome::kSent) {
    ++link.stats->messages_out;
    link.flush_if_large();
  } else if (outcome == SendOutcome::kTooLarge) {
    count_drop(session, "larger than the client takes");
  }
}

void Shard::acknowledged(Session& session, std::uint64_t number) {
  Held held = session.take_sent(number);
  if (held.message) forget(session, held);
}

bool Shard::released(Session& session, std::uint64_t number) {
  Held* held = session.find_sent(number);
  if (held == nullptr || !held->stored) return false;
  held->released = true;
  log->released(session.id(), number);
  return true;
}

// What was in flight when the last connection ended, in order, before anything new. False: the window is full.
bool Shard::resend(Session& session, ClientLink& link) {
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
    if (link.clogged() || link.connection.window() == 0) {
      all = false;
      break;
    }
    const bool release = entries[i].wait == OutgoingInflight::Wait::kPubcomp;
    if (!release) {
      // Its expiry does not matter any more: it was sent (MQTT5-4.3.3-7).
      if (!link.grant->may_receive(held->message->topic)) {
        // Sent once already, but the client may have missed it: it must not be sent again.
        unknown.push_back(packet_id);
        continue;
      }
      Publish packet = publish_of(*held->message, now_ms, properties);
      packet.qos = held->qos;
      packet.retain = held->retain;
      std::vector<std::uint32_t> own;
      if (held->identifiers) own = *held->identifiers;
      if (!single.build(session.version, packet, own)) {
        unknown.push_back(packet_id);
        continue;
      }
    }
    const SendOutcome outcome = link.connection.resend(packet_id, single, link.out());
    if (outcome == SendOutcome::kSent) {
      if (!release) ++link.stats->messages_out;
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

bool Shard::is_durable(const Held& held) {
  return held.round != 0 ? log->durable(held.round) : log->durable_position(held.position);
}

void Shard::await_log(Session& session) {
  if (session.awaits_log) return;
  session.awaits_log = true;
  awaiting_log.push_back(session.id());
}

// The first of the queue. False: it must wait.
bool Shard::drain_one(Session& session, ClientLink& link) {
  Held& next = session.queue.front();
  const bool expired = next.message->expired(now_ms);
  if (expired || !link.grant->may_receive(next.message->topic)) {
    ++(expired ? stats.expired : stats.denied);
    Held gone = pop_queue(session);
    forget(session, gone);
    return true;
  }
  if (next.qos == 2 && next.stored && !is_durable(next)) {
    await_log(session);
    return false;
  }
  Publish packet = publish_of(*next.message, now_ms, properties);
  packet.qos = next.qos;
  packet.retain = next.retain;
  std::vector<std::uint32_t> own;
  if (next.identifiers) own = *next.identifiers;
  const bool built = single.build(session.version, packet, own);
  const SendOutcome outcome =
      built ? link.connection.send(single, next.number, link.out(), nullptr) : SendOutcome::kTooLarge;
  if (outcome == SendOutcome::kTooLarge) {
    count_drop(session, "larger than the client takes");
    Held gone = pop_queue(session);
    forget(session, gone);
    return true;
  }
  if (outcome != SendOutcome::kSent) return false;
  ++link.stats->messages_out;
  link.flush_if_large();
  Held moved = pop_queue(session);
  if (session.persistent()) {
    session.keep_sent(std::move(moved));
  } else {
    forget(session, moved);
  }
  return true;
}

void Shard::drain(Session& session) {
  ClientLink* link = session.link;
  if (link == nullptr || !link->ready || link->broken || link->ended) return;
  if (session.resend) {
    if (!resend(session, *link)) return;
    session.resend = false;
  }
  if (session.queue.empty()) return;
  while (!session.queue.empty() && !link->clogged() && link->connection.window() > 0 && drain_one(session, *link)) {
  }
  session.queue.release();
  if (session.queue.empty()) session.overflow_logged = session.slow = false;
  if (session.queue.size() <= hub.options.max_queue_messages / 8 &&
      session.queue_bytes <= hub.options.max_queue_bytes / 8) {
    session.face->busy.store(false, std::memory_order_relaxed);
    release_acks(session);
  }
}

}  // namespace muster::mqtt
