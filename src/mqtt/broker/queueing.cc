// SPDX-License-Identifier: Apache-2.0
// What waits for a session: queue, bounds, back-pressure, and its copy in the message log.
#include <algorithm>
#include <unordered_map>

#include "base/log.h"
#include "mqtt/broker/shard.h"

namespace muster::mqtt {

namespace {
constexpr std::size_t kRoomForHeld = 16;  // times the queue's count, while acknowledgements are held back
}  // namespace

void Shard::owe(Session& session, const MessageRef& message, std::uint8_t qos, bool retain,
                std::vector<std::uint32_t> identifiers, bool durable) {
  Held held;
  held.message = message;
  held.number = session.face->take_number();
  held.qos = qos;
  held.retain = retain;
  if (!identifiers.empty()) {
    held.identifiers = std::make_unique<std::vector<std::uint32_t>>(std::move(identifiers));
  }
  if (durable && session.persistent()) {
    PropertyWriter scratch;
    logged = false;
    log_entry(session, held, publish_of(*message, now_ms, scratch));
  }
  enqueue(session, std::move(held));
  drain(session);
}

void Shard::enqueue(Session& session, Held held) {
  const BrokerOptions& options = hub.options;
  const std::size_t bytes = held.message->bytes();
  const bool keeping_up = session.link != nullptr && session.link->ready && !session.slow;
  const std::size_t most = options.max_queue_messages * (keeping_up ? kRoomForHeld : 1);
  const auto full = [&] {
    return session.queue.size() >= most || session.queue_bytes + bytes > options.max_queue_bytes ||
           hub.queued_bytes() + bytes > options.max_held_bytes;
  };
  while (!session.queue.empty() && full()) {
    Held oldest = pop_queue(session);
    forget(session, oldest);
    count_drop(session,
               "its queue is full: mqtt.max_queued_messages, mqtt.max_queued_bytes or mqtt.max_total_queued_bytes");
  }
  session.held_bytes += bytes;
  session.queue_bytes += bytes;
  stats.queued_bytes += bytes;
  ++stats.queued_messages;
  const bool awaits_log = held.qos == 2 && held.stored && session.queue.empty();
  session.queue.push_back(std::move(held));
  if (awaits_log && session.link != nullptr) await_log(session);
  if (session.queue.size() > options.max_queue_messages / 4 || session.queue_bytes > options.max_queue_bytes / 4) {
    session.face->busy.store(true, std::memory_order_relaxed);
    if (keeping_up) congested.push_back(&session);
  }
}

Held Shard::pop_queue(Session& session) {
  Held held = session.queue.pop_front();
  session.queue_bytes -= held.message->bytes();
  return held;
}

void Shard::release_acks(Session& session) {
  if (session.held_acks.empty()) return;
  holding.erase(&session);
  for (const Waiter& waiter : std::exchange(session.held_acks, {})) settle(waiter);
}

void Shard::forget(Session& session, Held& held) {
  const std::size_t bytes = held.message->bytes();
  session.held_bytes -= bytes;
  stats.queued_bytes -= bytes;
  --stats.queued_messages;
  if (held.stored) log->done(session.id(), held.number, held.segment);
}

void Shard::count_drop(Session& session, std::string_view why) {
  ++stats.dropped;
  ++session.dropped;
  if (session.overflow_logged || !may_log()) return;
  session.overflow_logged = true;  // one line until the queue is empty again
  log::warn("mqtt: messages for a client are dropped",
            {{"client", session.client_id}, {"why", why}, {"dropped", session.dropped}});
}

void Shard::rewrite_entries(std::uint64_t segment) {
  // By message, so that what many sessions share is written once.
  std::unordered_map<const Message*, std::vector<std::pair<Session*, Held*>>> by_message;
  const auto collect = [&](Session& session, Held& held) {
    if (!held.stored || (segment != 0 && held.segment != segment)) return;
    by_message[held.message.get()].emplace_back(&session, &held);
  };
  for (const auto& [client, owned] : sessions) {
    Session& session = *owned;
    for (std::size_t i = 0; i < session.sent.size(); ++i) collect(session, session.sent[i]);
    for (std::size_t i = 0; i < session.queue.size(); ++i) collect(session, session.queue[i]);
  }
  for (const auto& [message, owners] : by_message) {
    PropertyWriter scratch;
    log->message(publish_of(*message, now_ms, scratch), message->expires_ms, message->created_ms);
    for (const auto& [session, held] : owners) {
      std::span<const std::uint32_t> own;
      if (held->identifiers) own = *held->identifiers;
      if (held->segment != 0) log->lost_place(held->segment);
      held->segment = log->entry({.session = session->id(),
                                  .number = held->number,
                                  .qos = held->qos,
                                  .retain = held->retain,
                                  .released = held->released},
                                 own);
    }
    commit_log();  // a record a message: none grows beyond bounds
  }
  for (const auto& [client, owned] : sessions) {
    for (auto& [packet_id, where] : owned->received_in) {
      if (segment != 0 && where != segment) continue;
      if (where != 0) log->lost_place(where);
      where = log->received(owned->id(), packet_id);
    }
  }
  need_round_end();
}

}  // namespace muster::mqtt
