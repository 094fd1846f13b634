// SPDX-License-Identifier: Apache-2.0
// What earlier processes left: sessions, subscriptions and retained messages from the store, queues from the message
// log. Every message that is still owed is written to the log again; then the old segments go. A corrupt record is
// logged and left alone; it costs that record only.
#include <algorithm>

#include "base/log.h"
#include "mqtt/broker/shard.h"
#include "mqtt/codec/topics.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::mqtt {

namespace {

Status for_each(store::Store& store, char table, const std::function<void(const store::KeyValue&)>& visit) {
  store::RangeOptions options;
  options.begin = std::string(1, table);
  options.end = store::after_prefix(options.begin);
  options.limit = 500;
  options.snapshot = true;
  for (;;) {
    TRY(const std::vector<store::KeyValue> page,
        store::run_blocking_for(
            store, [&](store::Tx& tx) -> Result<std::vector<store::KeyValue>> { return tx.range(options); }));
    for (const store::KeyValue& item : page) visit(item);
    if (page.size() < options.limit) return {};
    options.begin = store::after_key(page.back().key);
  }
}

void corrupt(std::string_view what, const std::optional<std::string>& client) {
  log::error("mqtt: corrupt record is ignored", {{"table", what}, {"client", client.value_or("?")}});
}

Status open_log(Hub& hub, RestoredLog& restored) {
  store::AppendLogOptions options;
  options.directory = hub.options.message_log_directory;
  options.may_write = hub.options.may_write_log;
  const auto visit = [&](std::string_view record) {
    const Status read = restore_record(record, restored);
    if (!read) log::error("mqtt: a record of the message log is damaged", {{"what", read.error().message}});
  };
  TRY(auto log, store::AppendLog::open(options, visit));
  hub.log = std::make_unique<SharedLog>(std::move(log));
  for (const auto& shard : hub.shards) {
    shard->log = std::make_unique<MessageLog>(
        shard->loop, *hub.log, [raw = shard.get()](const std::vector<Waiter>& waiters) { raw->durable(waiters); });
  }
  return {};
}

void take_entries(Shard& shard, Session& session, RestoredSession& restored) {
  // After an orderly end it is known what was sent. A session that was connected when the process died may have got as
  // much as its window had room for: that is sent again with DUP, under the same packet ids.
  const bool crashed = session.disconnected_ms == 0;
  std::size_t position = 0;
  for (auto& [number, entry] : restored.entries) {
    Held held;
    held.message = std::move(entry.message);
    held.number = number;
    held.qos = entry.qos;
    held.stored = true;
    held.retain = entry.retain;
    held.released = entry.released;
    if (!entry.identifiers.empty()) {
      held.identifiers = std::make_unique<std::vector<std::uint32_t>>(std::move(entry.identifiers));
    }
    session.held_bytes += held.message->bytes();
    shard.stats.queued_bytes += held.message->bytes();
    ++shard.stats.queued_messages;
    const bool maybe_sent = crashed ? position++ < shard.hub.options.max_inflight : number <= session.sent_until;
    OutgoingInflight::Entry sent;
    sent.token = number;
    sent.packet_id = OutgoingInflight::packet_id_of(number);
    sent.wait = held.released   ? OutgoingInflight::Wait::kPubcomp
                : held.qos == 2 ? OutgoingInflight::Wait::kPubrec
                                : OutgoingInflight::Wait::kPuback;
    // A released one is never published again: the client may have forgotten its id.
    if ((held.released || (maybe_sent && session.queue.empty())) && session.inflight.outgoing.restore(sent)) {
      session.keep_sent(std::move(held));
    } else {
      session.queue_bytes += held.message->bytes();
      session.queue.push_back(std::move(held));
    }
  }
  session.face->last_number = std::max(restored.last_number, session.sent_until);
  for (const std::uint16_t packet_id : restored.received) {
    session.inflight.incoming.add(packet_id);
    session.received_in[packet_id] = 0;
  }
}

Status load_sessions(Hub& hub, std::unordered_map<std::uint64_t, RestoredSession>& queues) {
  return for_each(hub.shards[0]->store, store::table::kSession, [&](const store::KeyValue& item) {
    const auto client = store::KeyReader(item.key).text();
    if (!client) return corrupt("session", client);
    Session read;
    if (!read_session_record(read, item.value)) return corrupt("session", client);
    Shard& shard = *hub.shards[hub.owner(*client)];
    Session& session = shard.make_session(*client, read.id());
    (void)read_session_record(session, item.value);
    session.stored = true;
    session.face->persistent = session.persistent();
    const auto restored = queues.find(session.id());
    if (restored != queues.end()) {
      take_entries(shard, session, restored->second);
      queues.erase(restored);
    } else {
      session.face->last_number = session.sent_until;
    }
  });
}

Status load_subscriptions(Hub& hub) {
  return for_each(hub.shards[0]->store, store::table::kSubscription, [&](const store::KeyValue& item) {
    store::KeyReader key(item.key);
    const auto client = key.text();
    const auto filter = key.text();
    if (!client || !filter) return corrupt("subscription", client);
    Shard& shard = *hub.shards[hub.owner(*client)];
    Session* session = shard.find_session(*client);
    Subscription subscription;
    if (session == nullptr || !is_topic_filter(*filter) || count_levels(*filter) > kMaxFilterLevels ||
        !read_subscription_record(subscription, item.value)) {
      return corrupt("subscription", client);
    }
    const auto at = session->filters.emplace(*filter, subscription).first;
    at->second.session = session;
    hub.subscriptions.link(at->first, at->second);
    ++shard.stats.subscriptions;
  });
}

void set_times(Shard& shard) {
  for (const auto& [client, owned] : shard.sessions) {
    Session& session = *owned;
    if (session.disconnected_ms == 0) {
      // Connected when the process ended: absent from now on.
      session.disconnected_ms = shard.now_ms;
      session.sent_until = shard.sent_until(session);
      shard.journal.put(session_key(session.client_id), session_record(session));
    }
    shard.expire_session_later(session);
    if (session.will) {
      session.will->due_ms = session.disconnected_ms + std::int64_t{session.will->delay_s} * 1000;
      shard.wills_due.emplace(session.will->due_ms, &session);
    }
  }
}

// The store's, and over them what the log has that is younger: those are on their way to the store again.
Status load_retained(Hub& hub, const std::unordered_map<std::string, RestoredRetained>& younger) {
  Shard& writer = *hub.shards[0];
  std::unordered_map<std::string, std::uint64_t> versions;
  TRY_VOID(for_each(writer.store, store::table::kRetained, [&](const store::KeyValue& item) {
    const auto record = read_retained_record(item.value);
    if (!record || !hub.retained.set(record->message)) return corrupt("retained", std::nullopt);
    versions[record->message->topic] = record->version;
    hub.retained_version = std::max(hub.retained_version, record->version);
  }));
  for (const auto& [topic, change] : younger) {
    hub.retained_version = std::max(hub.retained_version, change.version);
    const auto at = versions.find(topic);
    if (at != versions.end() && at->second >= change.version) continue;
    const auto message = from_stored(change.stored);
    hub.retained.erase(topic);
    if (message && !hub.retained.set(*message)) corrupt("retained", std::nullopt);
    hub.retained_changes.push_back({retained_key(topic),
                                    message ? retained_record(change.version, change.stored) : std::string(),
                                    writer.log->retained(change.version, topic, change.stored)});
  }
  writer.stats.retained = hub.retained.size();
  return {};
}

}  // namespace

Status load_shards(Hub& hub) {
  RestoredLog restored;
  TRY_VOID(open_log(hub, restored));
  for (const auto& shard : hub.shards) shard->refresh_time();
  TRY_VOID(load_sessions(hub, restored.sessions));
  TRY_VOID(load_subscriptions(hub));
  TRY_VOID(load_retained(hub, restored.retained));
  const std::uint64_t fresh = hub.log->segment();
  for (const auto& shard : hub.shards) {
    shard->rewrite_entries(0);
    shard->log->flush_lazy();
    shard->log->commit();
    set_times(*shard);
  }
  // Everything has its new place on disk before the old ones go.
  TRY_VOID(hub.log->wait_until_durable());
  hub.log->drop_before(fresh);
  return hub.log->wait_until_durable();
}

}  // namespace muster::mqtt
