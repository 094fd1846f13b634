// SPDX-License-Identifier: Apache-2.0
// SUBSCRIBE and UNSUBSCRIBE. A persistent session's answer leaves when its records are durable.
#include <algorithm>
#include <mutex>

#include "base/log.h"
#include "mqtt/broker/shard.h"
#include "mqtt/codec/topics.h"

namespace muster::mqtt {

void Shard::subscribe(ClientLink& link, const Subscribe& packet) {
  Session& session = *link.session;
  const std::uint32_t identifier = packet.properties.number(PropertyId::kSubscriptionIdentifier, 0);
  std::string codes;
  std::vector<std::string> fresh;  // filters that get their retained messages
  std::vector<std::string> told;
  bool granted = false;
  const bool too_many = packet.filters.size() > hub.options.max_filters_per_subscribe;
  if (too_many) log_refused_filter(link, "", "more filters in one SUBSCRIBE than mqtt.max_filters_per_subscribe");
  for (const SubscribeFilter wanted : packet.filters) {
    bool existed = false;
    const Reason reason = too_many ? Reason::kQuotaExceeded : subscribe_one(link, wanted, identifier, existed);
    codes.push_back(static_cast<char>(reason));
    if (static_cast<std::uint8_t>(reason) >= 0x80) continue;
    granted = true;
    if (hub.lifecycle != nullptr) told.emplace_back(wanted.filter);
    if (wanted.retain_handling == 0 || (wanted.retain_handling == 1 && !existed)) fresh.emplace_back(wanted.filter);
  }
  if (!told.empty()) hub.lifecycle->subscribed(lifecycle_client(link, session.client_id), told);
  const auto answer = [weak = weak_from_this(), id = link.id, packet_id = packet.packet_id, codes = std::move(codes),
                       fresh = std::move(fresh)] {
    const auto self = weak.lock();
    ClientLink* to = self ? self->find_link(id) : nullptr;
    if (to == nullptr || to->ended) return;
    to->connection.suback(packet_id, codes, to->out());
    if (!to->connection.connected()) return self->end_oversized(*to);
    for (const std::string& filter : fresh) {
      const auto at = to->session->filters.find(filter);
      if (at != to->session->filters.end()) self->send_retained(*to->session, filter, at->second);
    }
  };
  if (granted && session.persistent()) {
    journal.wait(answer);
    need_round_end();
  } else {
    answer();
  }
}

Reason Shard::subscribe_one(ClientLink& link, const SubscribeFilter& wanted, std::uint32_t identifier, bool& existed) {
  Session& session = *link.session;
  if (wanted.filter.size() > hub.options.max_topic_bytes || count_levels(wanted.filter) > kMaxFilterLevels ||
      count_own_levels(wanted.filter) > hub.options.max_topic_levels) {
    log_refused_filter(link, wanted.filter, "longer than mqtt.max_topic_bytes or mqtt.max_topic_levels");
    return Reason::kTopicFilterInvalid;
  }
  if (!link.grant->may_subscribe(wanted.filter)) {
    ++stats.denied;
    log_refused_filter(link, wanted.filter, "no policy allows iot:Subscribe on it");
    return link.connection.version() == Version::k5 ? Reason::kNotAuthorized : Reason::kUnspecifiedError;
  }
  auto at = session.filters.find(wanted.filter);
  existed = at != session.filters.end();
  if (!existed) {
    if (session.filters.size() >= hub.options.max_subscriptions) {
      log_refused_filter(link, wanted.filter, "mqtt.max_subscriptions are there");
      return Reason::kQuotaExceeded;
    }
    at = session.filters.emplace(std::string(wanted.filter), Subscription{}).first;
    ++stats.subscriptions;
  }
  Subscription& subscription = at->second;
  {
    const std::unique_lock lock(hub.subscriptions_mutex);
    subscription.session = &session;
    subscription.qos = wanted.qos;
    subscription.identifier = identifier;
    subscription.no_local = wanted.no_local;
    subscription.retain_as_published = wanted.retain_as_published;
    subscription.retain_handling = wanted.retain_handling;
    if (existed) {
      hub.subscriptions.changed();
    } else {
      hub.subscriptions.link(at->first, subscription);
    }
  }
  if (session.persistent()) {
    journal.put(subscription_key(session.client_id, wanted.filter), subscription_record(subscription));
  }
  return static_cast<Reason>(subscription.qos);
}

void Shard::log_refused_filter(ClientLink& link, std::string_view filter, std::string_view why) {
  if (!may_log()) return;
  log::info("mqtt: filter refused", {{"client", link.session->client_id},
                                     {"filter", filter.substr(0, 256)},
                                     {"why", why},
                                     {"principal", link.grant->principal_id()},
                                     {"peer", link.stream->peer().address}});
}

void Shard::send_retained(Session& session, std::string_view filter, const Subscription& subscription) {
  if (is_shared(filter)) return;  // MQTT 5 section 4.8.2: none for shared subscriptions
  std::vector<MessageRef> found;
  {
    const std::lock_guard lock(hub.retained_mutex);
    hub.retained.match(filter, [&](const MessageRef& message) { found.push_back(message); });
  }
  for (const MessageRef& message : found) {
    ClientLink* link = session.link;
    if (link == nullptr || link->ended || link->broken) return;
    if (message->expired(now_ms)) continue;
    if (!link->grant->may_receive(message->topic)) {
      ++stats.denied;
      continue;
    }
    std::vector<std::uint32_t> own;
    if (subscription.identifier != 0) own.push_back(subscription.identifier);
    const std::uint8_t qos = std::min(message->qos, subscription.qos);
    if (qos > 0) {
      owe(session, message, qos, true, std::move(own), true);
      continue;
    }
    if (link->clogged()) {
      count_drop(session, "slow reader");
      continue;
    }
    Publish packet = publish_of(*message, now_ms, properties);
    packet.qos = 0;
    packet.retain = true;
    if (single.build(session.version, packet, own)) send_now(session, *link, single);
  }
}

void Shard::end_oversized(ClientLink& link) {
  end_link(link, "its Maximum Packet Size has no room for an answer", WillAction::kPublish, EndCause::kClientError);
}

void Shard::drop_subscription(Session& session, std::string_view filter) {
  const auto at = session.filters.find(filter);
  if (at == session.filters.end()) return;
  {
    const std::unique_lock lock(hub.subscriptions_mutex);
    hub.subscriptions.unlink(at->second);
  }
  --stats.subscriptions;
  if (session.stored) journal.erase(subscription_key(session.client_id, filter));
  session.filters.erase(at);
}

void Shard::hand_over(Session& session, ConnectionGrant& to) {
  std::vector<std::string> refused;
  for (const auto& [filter, subscription] : session.filters)
    if (!to.may_subscribe(filter)) refused.push_back(filter);
  if (refused.empty()) return;
  stats.denied += refused.size();
  for (const std::string& filter : refused) drop_subscription(session, filter);
  keep_wanted(session);
  if (!may_log()) return;
  log::info("mqtt: filters of a session are dropped, as its client may not have them any more",
            {{"client", session.client_id},
             {"filters", refused.size()},
             {"first", std::string_view(refused.front()).substr(0, 256)},
             {"from", session.principal_id},
             {"principal", to.principal_id()}});
}

void Shard::keep_wanted(Session& session) {
  const auto wanted = [&](const Held& held) {
    return std::ranges::any_of(session.filters, [&](const auto& item) {
      const auto shared = is_shared(item.first) ? parse_shared(item.first) : std::nullopt;
      return topic_matches(shared ? shared->filter : std::string_view(item.first), held.message->topic);
    });
  };
  for (std::size_t left = session.queue.size(); left > 0; --left) {
    Held held = pop_queue(session);
    if (wanted(held)) {
      session.queue_bytes += held.message->bytes();
      session.queue.push_back(std::move(held));
    } else {
      ++stats.denied;
      forget(session, held);
    }
  }
  // Of a released one nothing is told any more but that it is over.
  std::vector<std::uint64_t> gone;
  for (std::size_t i = 0; i < session.sent.size(); ++i)
    if (!session.sent[i].released && !wanted(session.sent[i])) gone.push_back(session.sent[i].number);
  for (const std::uint64_t number : gone) {
    ++stats.denied;
    session.inflight.outgoing.remove(OutgoingInflight::packet_id_of(number));
    acknowledged(session, number);
  }
  session.queue.release();
  if (!session.queue.empty()) return;
  session.overflow_logged = session.slow = false;
  session.face->busy.store(false, std::memory_order_relaxed);
  release_acks(session);
}

void Shard::unsubscribe(ClientLink& link, const Unsubscribe& packet) {
  Session& session = *link.session;
  std::string codes;
  std::vector<std::string> told;
  for (const SubscribeFilter named : packet.filters) {
    const bool existed = session.filters.find(named.filter) != session.filters.end();
    if (existed) {
      drop_subscription(session, named.filter);
      if (hub.lifecycle != nullptr) told.emplace_back(named.filter);
    }
    codes.push_back(static_cast<char>(existed ? Reason::kSuccess : Reason::kNoSubscriptionExisted));
  }
  if (!told.empty()) hub.lifecycle->unsubscribed(lifecycle_client(link, session.client_id), told);
  const auto answer = [weak = weak_from_this(), id = link.id, packet_id = packet.packet_id, codes = std::move(codes)] {
    const auto self = weak.lock();
    ClientLink* to = self ? self->find_link(id) : nullptr;
    if (to == nullptr || to->ended) return;
    to->connection.unsuback(packet_id, codes, to->out());
    if (!to->connection.connected()) self->end_oversized(*to);
  };
  if (session.persistent()) {
    journal.wait(answer);
    need_round_end();
  } else {
    answer();
  }
}

}  // namespace muster::mqtt
