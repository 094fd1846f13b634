// SPDX-License-Identifier: Apache-2.0
// Rounds and time: what a shard does when everything that was ready has been handled, and when a time has come.
#include <algorithm>

#include "base/log.h"
#include "mqtt/broker/shard.h"

namespace muster::mqtt {

namespace {

constexpr std::int64_t kTickMs = 500;
constexpr std::int64_t kRetainedLookMs = 60'000;
constexpr int kLogLinesASecond = 20;
constexpr int kPassesPerRound = 3;

}  // namespace

Shard::Shard(Hub& shared, std::uint16_t number, io::Loop& on, const io::Clock& time, store::Store& records,
             Authorizer& who)
    : hub(shared),
      index(number),
      loop(on),
      clock(time),
      store(records),
      authorizer(who),
      journal(on, records, [this](const std::vector<Waiter>& waiters) { durable(waiters); }),
      deadlines(time.steady_ms()) {
  read_buffer.resize(kKeptInShared + kReadSize);
  by_listener.push_back(std::make_unique<ListenerStats>());
  refresh_time();
}

Shard::~Shard() = default;

ClientLink* Shard::find_link(std::uint64_t id) {
  const auto at = links.find(id);
  return at == links.end() ? nullptr : at->second.get();
}

ListenerStats& Shard::listener_stats(std::uint16_t listener) {
  return *by_listener[listener < by_listener.size() ? listener : 0];
}

bool Shard::may_log() {
  const std::int64_t second = steady_ms / 1000;
  if (second != log_second) {
    log_second = second;
    log_lines = 0;
    if (const std::uint64_t left_out = std::exchange(log_left_out, 0); left_out > 0) {
      log::warn("mqtt: lines about clients were left out", {{"count", left_out}});
    }
  }
  if (++log_lines <= kLogLinesASecond) return true;
  ++log_left_out;
  return false;
}

void Shard::accept(std::unique_ptr<io::Stream> stream, Arrival arrival, bool moved) {
  ListenerStats& listener = listener_stats(arrival.listener);
  if (!moved) ++listener.accepted;
  if (stopping || (!moved && hub.connections >= hub.options.max_connections)) {
    ++stats.refused;
    ++listener.refused;
    refresh_time();
    if (may_log()) {
      log::warn("mqtt: connection refused",
                {{"why", stopping ? "the server is stopping"
                                  : "mqtt.max_connections are open; raise it or find who holds them"},
                 {"peer", stream->peer().address}});
    }
    if (moved) --hub.connections;
    return;
  }
  if (!moved) ++hub.connections;
  refresh_time();
  const std::uint64_t id = ++last_link;
  auto& link = links[id];
  link = std::make_unique<ClientLink>(*this, id, std::move(stream), std::move(arrival));
  link->reschedule();
  link->pump();
}

void Shard::move_away(ClientLink& link, std::size_t to, std::string received) {
  ++stats.moved;
  Shard* other = hub.shards[to].get();
  Arrival arrival;
  arrival.initial = std::move(received);
  arrival.identity = std::move(link.identity);
  arrival.listener = link.listener;
  link.ended = true;
  ended.push_back(link.id);
  need_round_end();
  io::move_to(other->loop, std::move(link.stream),
              [weak = other->weak_from_this(), arrival = std::move(arrival)](std::unique_ptr<io::Stream> stream) {
                if (const auto self = weak.lock()) self->accept(std::move(stream), arrival, true);
              });
}

void Shard::need_round_end() {
  if (round_end_asked) return;
  round_end_asked = true;
  loop.at_round_end([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->end_round();
  });
}

void Shard::settle(const Waiter& waiter) {
  if (waiter.shard != index) {
    parcel_for(waiter.shard).due.push_back(waiter);
    return;
  }
  if (waiter.link != 0) {
    if (ClientLink* link = find_link(waiter.link)) link->ack_due(waiter.ack);
    return;
  }
  const auto at = calls.find(waiter.ack);
  if (at == calls.end() || --at->second.conditions > 0) return;
  const auto done = std::move(at->second.done);
  calls.erase(at);
  done();
}

void Shard::durable(const std::vector<Waiter>& waiters) {
  refresh_time();
  stats.durable_batches = journal.batches();
  ClientLink* link = nullptr;
  std::uint64_t found = 0;
  for (const Waiter& waiter : waiters) {
    if (waiter.shard != index || waiter.link == 0) {
      settle(waiter);
      continue;
    }
    if (waiter.link != found) {
      found = waiter.link;
      link = find_link(found);
    }
    if (link != nullptr) link->ack_due(waiter.ack);
  }
  need_round_end();  // the next batch
}

void Shard::end_round() {
  round_end_asked = false;
  // Each step may make work for an earlier one. What is left after a few passes waits for the next round, when others
  // have had their turn.
  int passes = 0;
  do {
    for (const std::uint64_t id : std::exchange(resumed, {})) {
      if (ClientLink* link = find_link(id)) link->pump();
    }
    for (const std::uint64_t id : std::exchange(broken, {})) {
      if (ClientLink* link = find_link(id)) {
        end_link(*link, "connection lost", WillAction::kPublish, EndCause::kConnectionLost);
      }
    }
    publish_wills();
    if (index == 0) write_retained();
    journal.commit();
    commit_log();
    for (const std::uint64_t id : std::exchange(awaiting_log, {})) {
      const auto at = sessions_by_id.find(id);
      if (at == sessions_by_id.end()) continue;
      at->second->awaits_log = false;
      drain(*at->second);
    }
    while (!dirty.empty()) {
      ClientLink* link = dirty.back();
      dirty.pop_back();
      link->dirty = false;
      if (link->ended) continue;  // written when it is closed, below
      link->flush();
      if (link->session != nullptr && link->ready) drain(*link->session);
      link->update_pause();
    }
  } while ((!resumed.empty() || !broken.empty() || !wills.empty()) && ++passes < kPassesPerRound);
  if (!resumed.empty() || !broken.empty() || !wills.empty()) need_round_end();
  close_ended();
  send_parcels();
  if (stopping && on_stopped && links.empty() && journal.idle() && log->idle()) {
    const auto stopped = std::exchange(on_stopped, nullptr);
    stopped();
  }
}

void Shard::commit_log() {
  if (const std::uint64_t position = log->commit(); position != 0) log_position = position;
}

void Shard::close_ended() {
  for (const std::uint64_t id : std::exchange(ended, {})) {
    const auto at = links.find(id);
    if (at == links.end()) continue;
    ClientLink& link = *at->second;
    if (link.stream) {
      if (!link.peer_gone && link.linger()) continue;
      link.flush();
      link.stream->close();
      --hub.connections;
    }
    links.erase(at);
  }
}

void Shard::resume_throttled() {
  for (const std::uint64_t id : std::exchange(throttled, {})) {
    ClientLink* link = find_link(id);
    if (link != nullptr && !link->begin_second()) throttled.push_back(id);
  }
}

void Shard::check_writers() {
  for (const std::uint64_t id : std::exchange(blocked, {})) {
    ClientLink* link = find_link(id);
    if (link == nullptr || link->ended) continue;
    link->watched = link->blocked_since_ms != 0;
    if (!link->watched) continue;
    if (steady_ms - link->blocked_since_ms >= hub.options.write_stall_ms) {
      if (link->session != nullptr) count_drop(*link->session, "reads nothing, connection closed");
      if (may_log()) {
        log::warn("mqtt: a client does not read what is sent to it, connection closed",
                  {{"client", link->session != nullptr ? link->session->client_id : std::string()},
                   {"peer", link->stream->peer().address},
                   {"unread_bytes", std::uint64_t{link->pending_output()}}});
      }
      end_link(*link, "did not read what was sent to it", WillAction::kPublish, EndCause::kThrottled);
    } else {
      blocked.push_back(id);
    }
  }
}

void Shard::tick() {
  refresh_time();
  deadlines.advance(steady_ms, [&](const Deadlines::Entry& entry) {
    if (ClientLink* link = find_link(entry.link)) link->check_deadline(entry.second);
  });
  check_writers();
  resume_throttled();
  std::vector<Session*> late;
  for (Session* session : holding) {
    if (steady_ms - session->held_since_ms >= hub.options.max_hold_ms) late.push_back(session);
  }
  for (Session* session : late) {
    session->slow = true;
    release_acks(*session);
  }
  while (!stopping && !wills_due.empty() && wills_due.begin()->first <= now_ms) {
    Session& session = *wills_due.begin()->second;
    take_will(session);
    if (session.stored) store_session(session);
  }
  while (!stopping && !expiring.empty() && expiring.begin()->first <= now_ms) {
    Session& session = *expiring.begin()->second;
    if (session.will) take_will(session);
    end_session(session);
  }
  if (index == 0 && steady_ms >= retained_look_ms) {
    retained_look_ms = steady_ms + kRetainedLookMs;
    const std::lock_guard lock(hub.retained_mutex);
    hub.retained.drop_expired(now_ms, [&](const std::string& topic) {
      hub.retained_changes.push_back({retained_key(topic), {}, 0});
      ++stats.expired;
    });
    stats.retained = hub.retained.size();
  }
  log->flush_lazy();
  if (index == 0) trim_log();
  need_round_end();
}

void Shard::trim_log() {
  stats.log_syncs = hub.log->syncs();
  const std::uint64_t oldest = hub.log->trim(hub.options.max_log_segments);
  if (oldest == 0) return;
  for (const auto& shard : hub.shards) {
    shard->loop.post([weak = shard->weak_from_this(), oldest] {
      if (const auto self = weak.lock()) self->rewrite_entries(oldest);
    });
  }
}

void Shard::arm_tick() {
  ticker = loop.after_ms(kTickMs, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->tick();
    self->arm_tick();
  });
}

void Shard::recheck(std::string_view principal_id) {
  refresh_time();
  for (const auto& [id, link] : links) {
    if (!link->grant || link->ended) continue;
    if (!principal_id.empty() && link->grant->principal_id() != principal_id) continue;
    if (!link->grant->still_valid()) {
      if (may_log()) {
        log::info("mqtt: its certificate, credentials or policies do not allow the connection any more, closed",
                  {{"client", link->session != nullptr ? link->session->client_id : std::string()},
                   {"principal", link->grant->principal_id()},
                   {"peer", link->stream->peer().address}});
      }
      disconnect(*link, Reason::kNotAuthorized, "its certificate or permission is no longer valid",
                 EndCause::kCredentialsInvalid);
    }
  }
}

void Shard::stop(std::function<void()> stopped) {
  refresh_time();
  stopping = true;
  on_stopped = std::move(stopped);
  for (const auto& [id, link] : links) {
    if (link->lingering) link->close();
    if (link->ended) continue;
    if (link->connection.connected()) link->connection.disconnect(Reason::kServerShuttingDown, link->out());
    end_link(*link, "server is shutting down", WillAction::kKeep, EndCause::kServerInitiated);
  }
  log->flush_lazy();
  need_round_end();
}

}  // namespace muster::mqtt
