// SPDX-License-Identifier: Apache-2.0
// Rounds, time, and what others call.
#include "mqtt/broker/broker.h"

#include <algorithm>

#include "base/log.h"
#include "mqtt/broker/state.h"

namespace muster::mqtt {

namespace {

constexpr std::int64_t kTickMs = 500;
constexpr std::int64_t kRetainedLookMs = 60'000;
constexpr int kLogLinesASecond = 20;

ConnectionLimits connection_limits(const BrokerOptions& options) {
  ConnectionLimits limits;
  limits.max_packet_bytes = static_cast<std::uint32_t>(options.max_packet_bytes);
  limits.max_connect_bytes = static_cast<std::uint32_t>(options.max_connect_bytes);
  limits.max_topic_bytes = static_cast<std::uint32_t>(options.max_topic_bytes);
  limits.receive_maximum = options.receive_maximum;
  limits.max_inflight = options.max_inflight;
  limits.connect_deadline_ms = options.connect_deadline_ms;
  limits.max_keep_alive_s = static_cast<std::uint16_t>(std::min<std::uint32_t>(options.max_keep_alive_s, 65535));
  return limits;
}

}  // namespace

Broker::State::State(io::Loop& on, const io::Clock& time, store::Store& records, Authorizer& who,
                     const BrokerOptions& wanted)
    : loop(on),
      clock(time),
      store(records),
      authorizer(who),
      options(wanted),
      limits(connection_limits(wanted)),
      journal(on, records, [this](const std::vector<Journal::Waiter>& waiters) { durable(waiters); }),
      retained(wanted.max_retained, wanted.max_retained_bytes),
      deadlines(time.steady_ms()) {
  read_buffer.resize(kKeptInShared + kReadSize);
  refresh_time();
}

Broker::State::~State() = default;

ClientLink* Broker::State::find_link(std::uint64_t id) {
  const auto at = links.find(id);
  return at == links.end() ? nullptr : at->second.get();
}

bool Broker::State::may_log() {
  const std::int64_t second = steady_ms / 1000;
  if (second != log_second) {
    log_second = second;
    log_lines = 0;
  }
  return ++log_lines <= kLogLinesASecond;
}

void Broker::State::need_round_end() {
  if (round_end_asked) return;
  round_end_asked = true;
  loop.at_round_end([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->end_round();
  });
}

void Broker::State::durable(const std::vector<Journal::Waiter>& waiters) {
  refresh_time();
  stats.durable_batches = journal.batches();
  ClientLink* link = nullptr;
  std::uint64_t found = 0;
  for (const Journal::Waiter& waiter : waiters) {
    if (waiter.link != found) {
      found = waiter.link;
      link = find_link(found);
    }
    if (link != nullptr) link->ack_due(waiter.ack);
  }
  need_round_end();  // the next batch
}

void Broker::State::end_round() {
  round_end_asked = false;
  // Each step may make work for an earlier one; a connection ends once, and output stops at a full socket.
  do {
    for (const std::uint64_t id : std::exchange(resumed, {})) {
      if (ClientLink* link = find_link(id)) link->pump();
    }
    for (const std::uint64_t id : std::exchange(broken, {})) {
      if (ClientLink* link = find_link(id))
        end_link(*link, "connection lost", WillAction::kPublish, EndCause::kConnectionLost);
    }
    publish_wills();
    journal.commit();
    while (!dirty.empty()) {
      ClientLink* link = dirty.back();
      dirty.pop_back();
      link->dirty = false;
      if (link->ended) continue;  // written when it is closed, below
      link->flush();
      if (link->session != nullptr && link->ready) drain(*link->session);
      link->update_pause();
    }
  } while (!resumed.empty() || !broken.empty() || !wills.empty());
  for (const std::uint64_t id : std::exchange(ended, {})) {
    const auto at = links.find(id);
    if (at == links.end()) continue;
    ClientLink& link = *at->second;
    if (!link.peer_gone && link.linger()) continue;
    link.flush();
    link.stream->close();
    links.erase(at);
  }
  stats.connections = links.size();
  if (stopping && on_stopped && links.empty() && journal.idle()) {
    const auto stopped = std::exchange(on_stopped, nullptr);
    stopped();
  }
}

void Broker::State::tick() {
  refresh_time();
  deadlines.advance(steady_ms, [&](const Deadlines::Entry& entry) {
    if (ClientLink* link = find_link(entry.link)) link->check_deadline(entry.second);
  });
  for (const std::uint64_t id : std::exchange(blocked, {})) {
    ClientLink* link = find_link(id);
    if (link == nullptr || link->ended) continue;
    link->watched = link->blocked_since_ms != 0;
    if (!link->watched) continue;
    if (steady_ms - link->blocked_since_ms >= options.write_stall_ms) {
      if (link->session != nullptr) count_drop(*link->session, "reads nothing, connection closed");
      end_link(*link, "did not read what was sent to it", WillAction::kPublish, EndCause::kThrottled);
    } else {
      blocked.push_back(id);
    }
  }
  std::vector<Session*> late;
  for (Session* session : holding) {
    if (steady_ms - session->held_since_ms >= options.max_hold_ms) late.push_back(session);
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
  if (steady_ms >= retained_look_ms) {
    retained_look_ms = steady_ms + kRetainedLookMs;
    retained.drop_expired(now_ms, [&](const std::string& topic) {
      journal.erase(retained_key(topic));
      ++stats.expired;
    });
    stats.retained = retained.size();
  }
  journal.flush_lazy();
  need_round_end();
}

void Broker::State::arm_tick() {
  ticker = loop.after_ms(kTickMs, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->tick();
    self->arm_tick();
  });
}

std::vector<ClientSummary> Broker::State::summaries(const std::string& after, std::size_t limit) const {
  std::vector<const Session*> chosen;
  for (const auto& [client_id, owned] : sessions) {
    if (client_id > after) chosen.push_back(owned.get());
  }
  const auto by_id = [](const Session* a, const Session* b) { return a->client_id < b->client_id; };
  if (chosen.size() > limit) {
    std::nth_element(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(limit), chosen.end(), by_id);
    chosen.resize(limit);
  }
  std::sort(chosen.begin(), chosen.end(), by_id);
  std::vector<ClientSummary> list;
  list.reserve(chosen.size());
  for (const Session* session : chosen) list.push_back(summary_of(*session));
  return list;
}

ClientSummary Broker::State::summary_of(const Session& session) const {
  ClientSummary row;
  row.client_id = session.client_id;
  row.protocol = static_cast<std::uint8_t>(session.version);
  row.principal_id = session.principal_id;
  row.session_expiry_s = session.expiry_s;
  row.subscriptions = session.filters.size();
  row.inflight = session.inflight.outgoing.size();
  row.queued = session.queue.size();
  row.queued_bytes = session.held_bytes;
  row.dropped = session.dropped;
  row.disconnected_ms = session.disconnected_ms;
  row.last_disconnect = session.last_disconnect;
  if (session.link != nullptr) {
    row.connected = session.link->ready;
    row.keep_alive_s = session.link->connection.keep_alive_s();
    row.connected_ms = session.link->connected_ms;
    row.listener = listeners[session.link->listener];
    const io::PeerInfo& peer = session.link->stream->peer();
    row.address = peer.address;
    row.port = peer.port;
    row.tls = peer.tls;
  }
  return row;
}

LifecycleClient Broker::State::lifecycle_client(const ClientLink& link, std::string_view client_id) {
  LifecycleClient client;
  client.client_id = client_id;
  if (link.grant) client.principal_id = link.grant->principal_id();
  client.session_identifier = link.session_identifier;
  client.address = link.stream->peer().address;
  client.now_ms = now_ms;
  return client;
}

Broker::Broker(std::shared_ptr<State> state) : state_(std::move(state)) {}

Broker::~Broker() {
  // Sessions point at links and links at streams with callbacks: all go before the state does.
  state_->ticker.reset();
  state_->stopping = true;
  state_->dirty.clear();
  state_->links.clear();
}

Result<std::unique_ptr<Broker>> Broker::create(io::Loop& loop, const io::Clock& clock, store::Store& store,
                                               Authorizer& authorizer, const BrokerOptions& options) {
  auto state = std::make_shared<State>(loop, clock, store, authorizer, options);
  TRY_VOID(state->load());
  return std::unique_ptr<Broker>(new Broker(std::move(state)));
}

void Broker::add_ingress(IngressHook& hook) {
  state_->hooks.push_back(&hook);
}

void Broker::start() {
  state_->loop.post([weak = std::weak_ptr<State>(state_)] {
    const auto self = weak.lock();
    if (!self) return;
    self->tick();
    self->arm_tick();
  });
}

void Broker::tick() {
  state_->tick();
}

std::uint16_t Broker::add_listener(std::string name) {
  state_->listeners.push_back(std::move(name));
  return static_cast<std::uint16_t>(state_->listeners.size() - 1);
}

void Broker::set_lifecycle(Lifecycle& lifecycle) {
  state_->lifecycle = &lifecycle;
}

void Broker::accept(std::unique_ptr<io::Stream> stream, Arrival arrival) {
  State& state = *state_;
  if (state.stopping || state.links.size() >= state.options.max_connections) {
    ++state.stats.refused;
    return;
  }
  state.refresh_time();
  ++state.stats.accepted;
  const std::uint64_t id = ++state.last_link;
  auto& link = state.links[id];
  link = std::make_unique<ClientLink>(state, id, std::move(stream), std::move(arrival));
  state.stats.connections = state.links.size();
  link->reschedule();
  link->pump();
}

void Broker::recheck(std::string principal_id) {
  state_->loop.post([weak = std::weak_ptr<State>(state_), principal_id = std::move(principal_id)] {
    const auto self = weak.lock();
    if (!self) return;
    self->refresh_time();
    for (const auto& [id, link] : self->links) {
      if (!link->grant || link->ended) continue;
      if (!principal_id.empty() && link->grant->principal_id() != principal_id) continue;
      if (!link->grant->still_valid()) {
        self->disconnect(*link, Reason::kNotAuthorized, "its certificate or permission is no longer valid",
                         EndCause::kCredentialsInvalid);
      }
    }
  });
}

void Broker::recheck_all() {
  recheck({});
}

void Broker::stop(std::function<void()> stopped) {
  state_->loop.post([weak = std::weak_ptr<State>(state_), stopped = std::move(stopped)] {
    const auto self = weak.lock();
    if (!self) return stopped();
    self->refresh_time();
    self->stopping = true;
    self->on_stopped = stopped;
    for (const auto& [id, link] : self->links) {
      if (link->lingering) link->close();
      if (link->ended) continue;
      if (link->connection.connected()) link->connection.disconnect(Reason::kServerShuttingDown, link->out());
      self->end_link(*link, "server is shutting down", WillAction::kKeep, EndCause::kServerInitiated);
    }
    self->need_round_end();
  });
}

void Broker::clients(std::string after, std::size_t limit, std::function<void(std::vector<ClientSummary>)> done) {
  state_->loop.post([weak = std::weak_ptr<State>(state_), after = std::move(after), limit, done = std::move(done)] {
    const auto self = weak.lock();
    done(self ? self->summaries(after, limit) : std::vector<ClientSummary>());
  });
}

void Broker::disconnect(std::string client_id, std::string reason, std::function<void(bool)> done) {
  state_->loop.post(
      [weak = std::weak_ptr<State>(state_), client_id = std::move(client_id), reason = std::move(reason), done] {
        const auto self = weak.lock();
        Session* session = self ? self->find_session(client_id) : nullptr;
        const bool found = session != nullptr && session->link != nullptr;
        if (found) {
          self->refresh_time();
          self->disconnect(*session->link, Reason::kAdministrativeAction, reason, EndCause::kServerInitiated);
        }
        if (done) done(found);
      });
}

const BrokerStats& Broker::stats() const {
  return state_->stats;
}

}  // namespace muster::mqtt
