// SPDX-License-Identifier: Apache-2.0
// What an earlier process left: sessions, subscriptions, queues and retained messages. Pages of a snapshot; nobody else
// writes these tables. A corrupt record is logged and left alone in the store; it costs that record only.
#include "base/log.h"
#include "mqtt/broker/state.h"
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

}  // namespace

Status Broker::State::load() {
  refresh_time();
  TRY_VOID(for_each(store, store::table::kSession, [&](const store::KeyValue& item) {
    const auto client = store::KeyReader(item.key).text();
    if (!client) return corrupt("session", client);
    Session& session = make_session(*client);
    session.stored = true;
    if (!read_session_record(session, item.value)) corrupt("session", client);
  }));
  TRY_VOID(for_each(store, store::table::kSubscription, [&](const store::KeyValue& item) {
    store::KeyReader key(item.key);
    const auto client = key.text();
    const auto filter = key.text();
    Session* session = client ? find_session(*client) : nullptr;
    Subscription subscription;
    if (session == nullptr || !filter || !is_topic_filter(*filter) || count_levels(*filter) > kMaxFilterLevels ||
        !read_subscription_record(subscription, item.value)) {
      return corrupt("subscription", client);
    }
    const auto at = session->filters.emplace(*filter, subscription).first;
    at->second.session = session;
    subscriptions.link(at->first, at->second);
    ++stats.subscriptions;
  }));
  TRY_VOID(for_each(store, store::table::kSessionQueue, [&](const store::KeyValue& item) {
    store::KeyReader key(item.key);
    const auto client = key.text();
    const auto number = key.integer();
    Session* session = client ? find_session(*client) : nullptr;
    auto stored = session != nullptr && number && *number > 0 ? from_stored(item.value) : std::nullopt;
    if (!stored) return corrupt("session_queue", client);
    Held held;
    held.message = std::move(stored->message);
    held.number = static_cast<std::uint64_t>(*number);
    held.retain = held.message->retain;
    held.stored = true;
    if (!stored->identifiers.empty()) {
      held.identifiers = std::make_unique<std::vector<std::uint32_t>>(std::move(stored->identifiers));
    }
    session->next_number = held.number + 1;
    session->held_bytes += held.message->bytes();
    stats.queued_bytes += held.message->bytes();
    ++stats.queued_messages;
    // A record with a packet id was sent at once; if everything before it was, too, it is repeated with that id.
    OutgoingInflight::Entry entry;
    entry.token = held.number;
    entry.packet_id = stored->packet_id;
    if (session->queue.empty() && entry.packet_id != 0 && session->inflight.outgoing.restore(entry)) {
      session->sent.push_back(std::move(held));
    } else {
      session->queue.push_back(std::move(held));
    }
  }));
  TRY_VOID(for_each(store, store::table::kRetained, [&](const store::KeyValue& item) {
    const auto stored = from_stored(item.value);
    if (!stored || !retained.set(stored->message)) corrupt("retained", std::nullopt);
  }));
  stats.retained = retained.size();
  for (const auto& [client, owned] : sessions) {
    Session& session = *owned;
    if (session.disconnected_ms == 0) {
      // Connected when the process ended: absent from now on.
      session.disconnected_ms = now_ms;
      journal.put(session_key(session.client_id), session_record(session));
    }
    expire_session_later(session);
    if (session.will) {
      session.will->due_ms = session.disconnected_ms + std::int64_t{session.will->delay_s} * 1000;
      wills_due.emplace(session.will->due_ms, &session);
    }
  }
  return {};
}

}  // namespace muster::mqtt
