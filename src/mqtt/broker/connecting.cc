// SPDX-License-Identifier: Apache-2.0
// CONNECT to the end of the connection: who it is, which session it gets, takeover, and what becomes of session and
// will.
#include <algorithm>
#include <cstring>

#include "base/crypto.h"
#include "base/log.h"
#include "mqtt/broker/shard.h"
#include "mqtt/codec/topics.h"

namespace muster::mqtt {

void Shard::begin_connect(ClientLink& link, const Connect& packet) {
  if (stopping) return refuse(link, Reason::kServerShuttingDown, "shutting down");
  if (journal.failing() || log->failing()) return refuse(link, Reason::kServerUnavailable, "sessions cannot be stored");
  if (packet.properties.has(PropertyId::kAuthenticationMethod)) {
    return refuse(link, Reason::kBadAuthenticationMethod, "enhanced authentication");
  }
  const bool v5 = packet.version == Version::k5;
  if (hub.lifecycle != nullptr) link.session_identifier = random_uuid();
  auto pending = std::make_unique<PendingConnect>();
  ConnectAttempt& attempt = pending->attempt;
  attempt.client_id = packet.client_id;
  if (packet.client_id.empty()) {
    // MQTT 3.1.1 section 3.1.3.1: only a clean session may come without an id.
    if ((!v5 && !packet.clean_start) || !hub.options.allow_anonymous_without_id) {
      return refuse(link, Reason::kClientIdentifierNotValid, "empty client id");
    }
    do {
      attempt.client_id = "auto-" + random_hex(16);
    } while (hub.owner(attempt.client_id) != index);
    pending->assigned_id = true;
  }
  if (attempt.client_id.size() > hub.options.max_client_id_bytes) {
    return refuse(link, Reason::kClientIdentifierNotValid, "client id longer than mqtt.max_client_id_bytes");
  }
  attempt.username = packet.username;
  attempt.password = packet.password;
  attempt.has_username = packet.has_username;
  attempt.clean_start = packet.clean_start;
  attempt.peer = &link.stream->peer();
  attempt.identity = link.identity;
  if (const auto expiry_s = packet.properties.number(PropertyId::kSessionExpiry)) {
    pending->has_expiry = true;
    pending->expiry_s = *expiry_s;
  }
  if (!v5) pending->expiry_s = packet.clean_start ? 0 : hub.options.session_expiry_s;
  if (packet.has_will) {
    if (packet.will.topic.starts_with('$')) return refuse(link, Reason::kTopicNameInvalid, "will on a reserved topic");
    if (packet.will.payload.size() > hub.options.max_payload_bytes) {
      return refuse(link, Reason::kPacketTooLarge, "will larger than mqtt.max_payload_bytes");
    }
    if (count_own_levels(packet.will.topic) > hub.options.max_topic_levels) {
      return refuse(link, Reason::kTopicNameInvalid, "will topic with more levels than mqtt.max_topic_levels");
    }
    attempt.has_will = true;
    attempt.will_topic = packet.will.topic;
    attempt.will_retain = packet.will.retain;
    pending->has_will = true;
    pending->will_delay_s = packet.will.properties.number(PropertyId::kWillDelay, 0);
    pending->will_payload = packet.will.payload;
    pending->will_qos = packet.will.qos;
    pending->will_properties = packet.will.properties.bytes();
    pending->will_present = packet.will.properties.present();
  }
  link.pending = std::move(pending);
  authorizer.connect(link.pending->attempt, [weak = weak_from_this(), id = link.id](Authorizer::Decision decision) {
    if (const auto self = weak.lock()) self->authorized(id, std::move(decision));
  });
}

bool Shard::connects_too_often(const std::string& client_id) {
  if (hub.options.max_connects_per_second == 0) return false;
  const std::int64_t second = steady_ms / 1000;
  if (second != recent_second) {
    recent_second = second;
    recent_connects.clear();
  }
  return ++recent_connects[client_id] > hub.options.max_connects_per_second;
}

void Shard::refuse(ClientLink& link, Reason reason, std::string_view why) {
  if (may_log()) {
    const PendingConnect* pending = link.pending.get();
    log::info("mqtt: connect refused", {{"client", pending != nullptr ? pending->attempt.client_id : std::string()},
                                        {"reason", to_string(reason)},
                                        {"detail", why},
                                        {"principal", pending != nullptr ? pending->principal_id : std::string()},
                                        {"listener", hub.listeners[link.listener]},
                                        {"peer", link.stream->peer().address}});
  }
  if (hub.lifecycle != nullptr && link.pending) {
    hub.lifecycle->connect_failed(lifecycle_client(link, link.pending->attempt.client_id), to_string(reason));
  }
  link.connection.refuse(reason, link.out());
  end_link(link, why, WillAction::kDrop, EndCause::kServerError);
}

void Shard::authorized(std::uint64_t link_id, Authorizer::Decision decision) {
  ClientLink* link = find_link(link_id);
  if (link == nullptr || link->ended || !link->pending || link->grant) return;
  refresh_time();
  if (!decision.grant) {
    ++link->stats->auth_failures;
    link->pending->principal_id = std::move(decision.principal_id);
    return refuse(*link, decision.bad_credentials ? Reason::kBadUserNameOrPassword : Reason::kNotAuthorized,
                  decision.reason);
  }
  link->grant = std::move(decision.grant);
  const ConnectAttempt& attempt = link->pending->attempt;
  if (attempt.has_will && !link->grant->may_publish(attempt.will_topic, attempt.will_retain)) {
    ++stats.denied;
    link->pending->principal_id = link->grant->principal_id();
    return refuse(*link, Reason::kNotAuthorized, "no policy allows iot:Publish on the will's topic");
  }
  // Counted once it is known who it is: a stranger must not keep a device out.
  if (connects_too_often(attempt.client_id)) {
    return refuse(*link, Reason::kConnectionRateExceeded, "more CONNECTs than mqtt.max_connects_per_second");
  }
  const bool known = find_session(attempt.client_id) != nullptr;
  if (!known && hub.sessions >= hub.options.max_sessions) {
    return refuse(*link, Reason::kQuotaExceeded, "mqtt.max_sessions are there");
  }
  establish(*link);
}

void Shard::establish(ClientLink& link) {
  const std::unique_ptr<PendingConnect> pending = std::move(link.pending);
  const ConnectAttempt& attempt = pending->attempt;
  Session* session = find_session(attempt.client_id);
  if (session != nullptr && session->expires_ms != 0 && session->expires_ms <= now_ms) {
    if (session->will) take_will(*session);
    end_session(*session);
    session = nullptr;
  }
  if (session != nullptr && session->link != nullptr) {
    ++stats.takeovers;
    if (may_log()) {
      log::info("mqtt: taken over by another connection of the same client id",
                {{"client", attempt.client_id},
                 {"from", session->link->stream->peer().address},
                 {"by", link.stream->peer().address}});
    }
    disconnect(*session->link, Reason::kSessionTakenOver, "taken over by another connection",
               EndCause::kDuplicateClientId);
    session = find_session(attempt.client_id);  // a session without expiry ended with its connection
  }
  const bool had_records = session != nullptr && session->stored;
  if (session != nullptr && attempt.clean_start) {
    if (session->will) take_will(*session);
    end_session(*session);
    session = nullptr;
  }
  const bool present = session != nullptr;
  if (present) hand_over(*session, *link.grant);
  if (!present) session = &make_session(attempt.client_id, 0);
  forget_times(*session);
  session->will.reset();  // delayed, and the client came back in time
  session->link = &link;
  session->version = link.connection.version();
  session->expiry_s = std::min(pending->expiry_s, hub.options.max_session_expiry_s);
  session->face->persistent = session->persistent();
  session->principal_id = link.grant->principal_id();
  session->principal_kind = link.grant->principal_kind();
  session->disconnected_ms = 0;
  if (pending->has_will) {
    Publish will;
    will.topic = attempt.will_topic;
    will.payload = pending->will_payload;
    will.qos = pending->will_qos;
    will.retain = attempt.will_retain;
    will.properties = Properties(pending->will_properties, pending->will_present);
    session->will = std::make_unique<SessionWill>();
    session->will->expiry_s = will.properties.number(PropertyId::kMessageExpiry);
    session->will->message = keep_without_expiry(will, now_ms);
    session->will->delay_s = pending->will_delay_s;
    session->will->grant = link.grant;
  }
  link.session = session;
  link.connected_ms = now_ms;
  if (session->persistent() || session->stored || had_records) {
    if (session->persistent() || session->stored) store_session(*session);
    // The promise to remember, or to have forgotten, is made when it can be kept.
    journal.wait(
        [weak = weak_from_this(), id = link.id, present, asked = pending->expiry_s, assigned = pending->assigned_id] {
          const auto self = weak.lock();
          ClientLink* to = self ? self->find_link(id) : nullptr;
          if (to == nullptr || to->ended) return;
          self->answer_connect(*to, *to->session, present, asked, assigned);
        });
    need_round_end();
    return;
  }
  answer_connect(link, *session, present, pending->expiry_s, pending->assigned_id);
}

void Shard::answer_connect(ClientLink& link, Session& session, bool session_present, std::uint32_t asked_expiry_s,
                           bool assigned_id) {
  PropertyWriter extra;
  if (assigned_id) extra.add(PropertyId::kAssignedClientId, session.client_id);
  if (session.expiry_s != asked_expiry_s) extra.add(PropertyId::kSessionExpiry, session.expiry_s);
  link.connection.accept(session.inflight, session_present, link.out(), extra.view());
  if (!link.connection.connected()) {
    return end_link(link, "its Maximum Packet Size has no room for CONNACK", WillAction::kDrop, EndCause::kClientError);
  }
  link.ready = true;
  session.face->online.store(true, std::memory_order_relaxed);
  ++link.stats->connects;
  if (hub.lifecycle != nullptr) {
    hub.lifecycle->connected(lifecycle_client(link, session.client_id));
  }
  link.reschedule();
  session.resend = session_present && !session.inflight.outgoing.empty();
  drain(session);
  // What came behind CONNECT waited for the answer.
  resumed.push_back(link.id);
  need_round_end();
}

void Shard::disconnect(ClientLink& link, Reason reason, std::string_view why, EndCause cause) {
  if (link.ended) return;
  if (link.connection.connected()) {
    link.connection.disconnect(reason, link.out());
  } else if (link.connection.state() == Connection::State::kConnecting) {
    link.connection.refuse(reason, link.out());
  }
  end_link(link, why, WillAction::kPublish, cause);
}

void Shard::end_link(ClientLink& link, std::string_view why, WillAction will, EndCause cause) {
  if (link.ended) return;
  link.ended = true;
  if (hub.lifecycle != nullptr && link.ready && link.session != nullptr) {
    hub.lifecycle->disconnected(lifecycle_client(link, link.session->client_id), cause);
  }
  link.ready = false;
  link.pending.reset();
  ended.push_back(link.id);
  need_round_end();
  Session* session = std::exchange(link.session, nullptr);
  if (session == nullptr) return;
  link.connection.detach();
  session->link = nullptr;
  session->face->online.store(false, std::memory_order_relaxed);
  // Of QoS 2 packet ids only those are remembered whose message was taken: what was refused may come again.
  session->inflight.incoming.clear();
  for (const auto& [packet_id, where] : session->received_in) session->inflight.incoming.add(packet_id);
  session->slow = false;
  release_acks(*session);
  session->sent_until = sent_until(*session);
  session->last_disconnect = why;
  session->disconnected_ms = now_ms;
  if (session->will) {
    const bool now = will == WillAction::kPublish && (session->will->delay_s == 0 || !session->persistent());
    if (now) {
      take_will(*session);
    } else if (will == WillAction::kDrop) {
      session->will.reset();
    } else if (will == WillAction::kPublish) {
      const std::uint32_t delay_s = std::min(session->will->delay_s, session->expiry_s);
      session->will->due_ms = now_ms + std::int64_t{delay_s} * 1000;
      wills_due.emplace(session->will->due_ms, session);
    }
  }
  if (!session->persistent()) return end_session(*session);
  store_session(*session);
  expire_session_later(*session);
}

Session* Shard::find_session(std::string_view client_id) {
  const auto at = sessions.find(client_id);
  return at == sessions.end() ? nullptr : at->second.get();
}

// Everything up to this number was sent or is done; what is numbered above may have been sent as well.
std::uint64_t Shard::sent_until(const Session& session) const {
  std::uint64_t until = session.face->last_number;
  for (std::size_t i = 0; i < session.queue.size(); ++i) until = std::min(until, session.queue[i].number - 1);
  return until;
}

Session& Shard::make_session(std::string_view client_id, std::uint64_t id) {
  auto& slot = sessions[std::string(client_id)];
  slot = std::make_unique<Session>();
  slot->client_id = client_id;
  slot->face->shard = index;
  while (id == 0 || sessions_by_id.contains(id)) {  // 64 random bits: chance makes none twice
    const std::string random = random_bytes(sizeof id);
    std::memcpy(&id, random.data(), sizeof id);
  }
  slot->face->id = id;
  sessions_by_id.emplace(id, slot.get());
  ++hub.sessions;
  stats.sessions = sessions.size();
  return *slot;
}

void Shard::end_session(Session& session) {
  forget_times(session);
  if (!session.filters.empty()) {
    const std::unique_lock lock(hub.subscriptions_mutex);
    for (auto& [filter, subscription] : session.filters) hub.subscriptions.unlink(subscription);
  }
  stats.subscriptions -= session.filters.size();
  if (session.stored) {
    for (const auto& [filter, subscription] : session.filters) {
      journal.erase(subscription_key(session.client_id, filter));
    }
    journal.erase(session_key(session.client_id));
    log->ended(session.id());
  }
  release_acks(session);
  const auto let_go = [&](const Held& held) {
    stats.queued_bytes -= held.message->bytes();
    --stats.queued_messages;
    if (held.stored) log->lost_place(held.segment);
  };
  for (std::size_t i = 0; i < session.sent.size(); ++i) let_go(session.sent[i]);
  for (std::size_t i = 0; i < session.queue.size(); ++i) let_go(session.queue[i]);
  for (const auto& [packet_id, where] : session.received_in) log->lost_place(where);
  if (session.link != nullptr) session.link->session = nullptr;
  sessions_by_id.erase(session.id());
  sessions.erase(sessions.find(session.client_id));
  --hub.sessions;
  stats.sessions = sessions.size();
  need_round_end();
}

void Shard::expire_session_later(Session& session) {
  session.expires_ms = session.disconnected_ms + std::int64_t{session.expiry_s} * 1000;
  expiring.emplace(session.expires_ms, &session);
}

void Shard::forget_times(Session& session) {
  if (session.expires_ms != 0) expiring.erase({session.expires_ms, &session});
  session.expires_ms = 0;
  if (session.will && session.will->due_ms != 0) {
    wills_due.erase({session.will->due_ms, &session});
    session.will->due_ms = 0;
  }
}

void Shard::take_will(Session& session) {
  if (session.will->due_ms != 0) wills_due.erase({session.will->due_ms, &session});
  session.will->due_ms = 0;
  wills.push_back(std::move(*session.will));
  session.will.reset();
  need_round_end();
}

void Shard::store_session(Session& session) {
  session.stored = true;
  journal.put(session_key(session.client_id), session_record(session));
  need_round_end();
}

}  // namespace muster::mqtt
