// SPDX-License-Identifier: Apache-2.0
// SUBSCRIBE and UNSUBSCRIBE. A persistent session's answer leaves when its records are durable.
#include <algorithm>

#include "base/log.h"
#include "mqtt/broker/state.h"
#include "mqtt/codec/topics.h"

namespace muster::mqtt {

void Broker::State::subscribe(ClientLink& link, const Subscribe& packet) {
  Session& session = *link.session;
  const std::uint32_t identifier = packet.properties.number(PropertyId::kSubscriptionIdentifier, 0);
  std::string codes;
  std::vector<std::string> fresh;  // filters that get their retained messages
  std::vector<std::string> told;
  bool granted = false;
  for (const SubscribeFilter wanted : packet.filters) {
    bool existed = false;
    const Reason reason = subscribe_one(link, wanted, identifier, existed);
    codes.push_back(static_cast<char>(reason));
    if (static_cast<std::uint8_t>(reason) >= 0x80) continue;
    granted = true;
    if (lifecycle != nullptr) told.emplace_back(wanted.filter);
    if (wanted.retain_handling == 0 || (wanted.retain_handling == 1 && !existed)) fresh.emplace_back(wanted.filter);
  }
  if (!told.empty()) lifecycle->subscribed(lifecycle_client(link, session.client_id), told);
  const auto answer = [weak = weak_from_this(), id = link.id, packet_id = packet.packet_id, codes = std::move(codes),
                       fresh = std::move(fresh)] {
    const auto self = weak.lock();
    ClientLink* to = self ? self->find_link(id) : nullptr;
    if (to == nullptr || to->ended) return;
    to->connection.suback(packet_id, codes, to->out());
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

Reason Broker::State::subscribe_one(ClientLink& link, const SubscribeFilter& wanted, std::uint32_t identifier,
                                    bool& existed) {
  Session& session = *link.session;
  if (is_shared(wanted.filter)) return Reason::kSharedSubscriptionsNotSupported;
  if (wanted.filter.size() > options.max_topic_bytes || count_levels(wanted.filter) > kMaxFilterLevels) {
    return Reason::kTopicFilterInvalid;
  }
  if (!link.grant->may_subscribe(wanted.filter)) {
    ++stats.denied;
    if (may_log()) {
      log::info("mqtt: subscribe without permission",
                {{"client", session.client_id}, {"filter", wanted.filter}, {"principal", link.grant->principal_id()}});
    }
    return link.connection.version() == Version::k5 ? Reason::kNotAuthorized : Reason::kUnspecifiedError;
  }
  auto at = session.filters.find(wanted.filter);
  existed = at != session.filters.end();
  if (!existed) {
    if (session.filters.size() >= options.max_subscriptions) return Reason::kQuotaExceeded;
    at = session.filters.emplace(std::string(wanted.filter), Subscription{}).first;
    at->second.session = &session;
    subscriptions.link(at->first, at->second);
    ++stats.subscriptions;
  }
  Subscription& subscription = at->second;
  subscription.qos = std::min<std::uint8_t>(wanted.qos, 1);
  subscription.identifier = identifier;
  subscription.no_local = wanted.no_local;
  subscription.retain_as_published = wanted.retain_as_published;
  subscription.retain_handling = wanted.retain_handling;
  if (session.persistent()) {
    journal.put(subscription_key(session.client_id, wanted.filter), subscription_record(subscription));
  }
  return subscription.qos == 0 ? Reason::kSuccess : Reason::kGrantedQos1;
}

void Broker::State::send_retained(Session& session, std::string_view filter, const Subscription& subscription) {
  retained.match(filter, [&](const MessageRef& message) {
    ClientLink* link = session.link;
    if (link == nullptr || link->ended || link->broken) return;
    if (message->expired(now_ms)) return;
    if (!link->grant->may_receive(message->topic)) {
      ++stats.denied;
      return;
    }
    std::vector<std::uint32_t> own;
    if (subscription.identifier != 0) own.push_back(subscription.identifier);
    if (std::min(message->qos, subscription.qos) > 0) {
      owe(session, message, true, std::move(own), true);
      return;
    }
    if (link->clogged()) return count_drop(session, "slow reader");
    Publish packet = publish_of(*message, now_ms, properties);
    packet.qos = 0;
    packet.retain = true;
    if (single.build(session.version, packet, own)) send_now(session, *link, single);
  });
}

void Broker::State::drop_subscription(Session& session, std::string_view filter) {
  const auto at = session.filters.find(filter);
  if (at == session.filters.end()) return;
  subscriptions.unlink(at->second);
  --stats.subscriptions;
  if (session.stored) journal.erase(subscription_key(session.client_id, filter));
  session.filters.erase(at);
}

void Broker::State::unsubscribe(ClientLink& link, const Unsubscribe& packet) {
  Session& session = *link.session;
  std::string codes;
  std::vector<std::string> told;
  for (const SubscribeFilter named : packet.filters) {
    const bool existed = session.filters.find(named.filter) != session.filters.end();
    if (existed) {
      drop_subscription(session, named.filter);
      if (lifecycle != nullptr) told.emplace_back(named.filter);
    }
    codes.push_back(static_cast<char>(existed ? Reason::kSuccess : Reason::kNoSubscriptionExisted));
  }
  if (!told.empty()) lifecycle->unsubscribed(lifecycle_client(link, session.client_id), told);
  const auto answer = [weak = weak_from_this(), id = link.id, packet_id = packet.packet_id, codes = std::move(codes)] {
    const auto self = weak.lock();
    ClientLink* to = self ? self->find_link(id) : nullptr;
    if (to != nullptr && !to->ended) to->connection.unsuback(packet_id, codes, to->out());
  };
  if (session.persistent()) {
    journal.wait(answer);
    need_round_end();
  } else {
    answer();
  }
}

}  // namespace muster::mqtt
