// SPDX-License-Identifier: Apache-2.0
// What earlier processes left: sessions, subscriptions and retained messages from the store, queues from the message
// logs of however many shards there were. Every message that is still owed is written to the log of its session's
// present shard; then the old segments go. A corrupt record is logged and left alone; it costs that record only.
#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "base/text.h"
#include "mqtt/broker/shard.h"
#include "mqtt/codec/topics.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::mqtt {

namespace {

namespace fs = std::filesystem;

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

std::string shard_directory(const Hub& hub, std::size_t shard) {
  return hub.options.message_log_directory + "/" + std::to_string(shard);
}

// Folders of shards that are no more: read, and removed once everything has its new place.
Result<std::vector<std::string>> open_logs(Hub& hub, RestoredQueues& queues) {
  std::error_code failed;
  fs::create_directories(hub.options.message_log_directory, failed);
  if (failed) return make_error(ErrorKind::kUnavailable, "cannot make " + hub.options.message_log_directory);
  fs::permissions(hub.options.message_log_directory, fs::perms::owner_all, failed);
  const auto visit = [&](std::string_view record) { restore_record(record, queues); };
  std::vector<std::string> former;
  for (const auto& entry : fs::directory_iterator(hub.options.message_log_directory, failed)) {
    const auto number = parse_int(entry.path().filename().string());
    if (!number || *number < static_cast<std::int64_t>(hub.shards.size())) continue;
    former.push_back(entry.path().string());
    TRY(auto log, store::AppendLog::open({.directory = former.back()}, visit));
  }
  for (const auto& shard : hub.shards) {
    store::AppendLogOptions options;
    options.directory = shard_directory(hub, shard->index);
    options.may_write = hub.options.may_write_log;
    TRY(auto log, store::AppendLog::open(options, visit));
    shard->log = std::make_unique<MessageLog>(shard->loop, std::move(log),
                                              [raw = shard.get()](const auto& waiters) { raw->durable(waiters); });
    shard->log->on_rewrite_received([raw = shard.get()] { raw->rewrite_received(); });
  }
  return former;
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
    session.next_number = std::max(session.next_number, number + 1);
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
    if ((maybe_sent || held.released) && session.queue.empty() && session.inflight.outgoing.restore(sent)) {
      session.sent.push_back(std::move(held));
    } else {
      session.queue.push_back(std::move(held));
    }
  }
  session.next_number = std::max(session.next_number, session.sent_until + 1);
  for (const std::uint16_t packet_id : restored.received) session.inflight.incoming.add(packet_id);
}

Status load_sessions(Hub& hub, RestoredQueues& queues) {
  return for_each(hub.shards[0]->store, store::table::kSession, [&](const store::KeyValue& item) {
    const auto client = store::KeyReader(item.key).text();
    if (!client) return corrupt("session", client);
    Session read;
    if (!read_session_record(read, item.value)) return corrupt("session", client);
    Shard& shard = *hub.shards[hub.owner(*client)];
    Session& session = shard.make_session(*client, read.id);
    (void)read_session_record(session, item.value);
    session.stored = true;
    const auto restored = queues.find(session.id);
    if (restored != queues.end()) {
      take_entries(shard, session, restored->second);
      queues.erase(restored);
    } else {
      session.next_number = session.sent_until + 1;
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
      session.sent_until = session.queue.empty() ? session.next_number - 1 : session.queue.front().number - 1;
      shard.journal.put(session_key(session.client_id), session_record(session));
    }
    shard.expire_session_later(session);
    if (session.will) {
      session.will->due_ms = session.disconnected_ms + std::int64_t{session.will->delay_s} * 1000;
      shard.wills_due.emplace(session.will->due_ms, &session);
    }
  }
}

}  // namespace

Status load_shards(Hub& hub) {
  RestoredQueues queues;
  TRY(const std::vector<std::string> former, open_logs(hub, queues));
  for (const auto& shard : hub.shards) shard->refresh_time();
  TRY_VOID(load_sessions(hub, queues));
  TRY_VOID(load_subscriptions(hub));
  TRY_VOID(for_each(hub.shards[0]->store, store::table::kRetained, [&](const store::KeyValue& item) {
    const auto stored = from_stored(item.value);
    if (!stored || !hub.retained.set(*stored)) corrupt("retained", std::nullopt);
  }));
  hub.shards[0]->stats.retained = hub.retained.size();
  std::vector<std::uint64_t> former_end;
  for (const auto& shard : hub.shards) {
    const std::uint64_t fresh = shard->log->segment();
    shard->rewrite_entries(0);
    shard->rewrite_received();
    shard->log->flush_lazy();
    shard->log->commit();
    set_times(*shard);
    former_end.push_back(fresh);
  }
  // Everything has its new place on disk before the first old one goes, and those are gone before anything new happens.
  for (const auto& shard : hub.shards) TRY_VOID(shard->log->wait_until_durable());
  for (const auto& shard : hub.shards) shard->log->drop_before(former_end[shard->index]);
  for (const auto& shard : hub.shards) TRY_VOID(shard->log->wait_until_durable());
  for (const std::string& directory : former) {
    std::error_code ignored;
    fs::remove_all(directory, ignored);
  }
  return {};
}

}  // namespace muster::mqtt
