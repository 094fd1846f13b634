// SPDX-License-Identifier: Apache-2.0
// Who gets a message: matching, members of shared subscriptions, receivers of other shards.
#include <algorithm>
#include <cstring>

#include "base/crypto.h"
#include "mqtt/broker/shard.h"
#include "mqtt/codec/decode.h"

namespace muster::mqtt {

namespace {

constexpr std::size_t kMaxBacklog = std::size_t{64} << 20;

// MQTT 5 section 4.8.2: one member gets it. In turn among those that can take it now; else among those that are
// connected; else it waits for a member with a persistent session.
const Subscription* choose(const ShareGroup& group) {
  const std::size_t count = group.members.size();
  const std::uint32_t first = group.next.fetch_add(1, std::memory_order_relaxed);
  const Subscription* connected = nullptr;
  for (std::size_t i = 0; i < count; ++i) {
    const Subscription* member = group.members[(first + i) % count];
    if (!member->session->face->online.load(std::memory_order_relaxed)) continue;
    if (!member->session->face->busy.load(std::memory_order_relaxed)) return member;
    if (connected == nullptr) connected = member;
  }
  return connected != nullptr ? connected : group.members[first % count];
}

void add(Route& route, const Subscription& subscription, std::uint16_t here) {
  Target target;
  target.face = subscription.session->face;
  const std::uint16_t shard = target.face->shard;
  if (shard == here) target.session = subscription.session;
  target.qos = subscription.qos;
  target.shared = subscription.group != nullptr;
  target.no_local = subscription.no_local;
  target.retain_as_published = subscription.retain_as_published;
  if (subscription.identifier != 0) {
    target.first_identifier = static_cast<std::uint32_t>(route.identifiers.size());
    target.identifiers = 1;
    route.identifiers.push_back(subscription.identifier);
  }
  route.no_local |= subscription.no_local;
  route.elsewhere |= shard != here;
  route.targets.push_back(std::move(target));
}

// Overlapping filters: one copy, at the highest QoS, with all identifiers (MQTT 5 section 3.3.4). A shared subscription
// is another subscription than one of the same session that is not.
void merge(Route& route) {
  std::vector<Target>& targets = route.targets;
  std::vector<std::uint32_t>& ids = route.identifiers;
  std::sort(targets.begin(), targets.end(), [](const Target& a, const Target& b) {
    return a.face != b.face ? a.face < b.face : !a.shared && b.shared;
  });
  std::size_t last = 0;
  for (std::size_t i = 1; i < targets.size(); ++i) {
    Target& into = targets[last];
    const Target next = targets[i];
    if (into.face != next.face || next.shared) {
      targets[++last] = next;
      continue;
    }
    into.qos = std::max(into.qos, next.qos);
    into.retain_as_published |= next.retain_as_published;
    if (next.identifiers == 0) continue;
    const auto begin = static_cast<std::uint32_t>(ids.size());
    for (const Target* from : {static_cast<const Target*>(&into), &next}) {
      for (std::uint32_t k = 0; k < from->identifiers; ++k)
        ids.push_back(std::uint32_t{ids[from->first_identifier + k]});
    }
    into.first_identifier = begin;
    into.identifiers += next.identifiers;
  }
  if (!targets.empty()) targets.resize(last + 1);
}

}  // namespace

Routes::Routes() : seed_(0) {
  slots_.reserve(kSlots);
  for (std::size_t i = 0; i < kSlots; ++i) slots_.push_back(std::make_unique<Route>());
  const std::string random = random_bytes(sizeof seed_);
  std::memcpy(&seed_, random.data(), sizeof seed_);
}

const Route& Shard::route_of(std::string_view topic) {
  Route* route = &routes.slot(topic);
  if (route->version == hub.subscriptions.version() && route->topic == topic) return *route;
  const std::shared_lock lock(hub.subscriptions_mutex);
  for (;;) {
    route->topic = topic;
    route->version = hub.subscriptions.version();
    route->targets.clear();
    route->identifiers.clear();
    route->no_local = route->elsewhere = false;
    std::size_t lists = 0;
    std::vector<const Subscription*> chosen;
    hub.subscriptions.match(topic, [&](std::span<Subscription* const> list, Subscriptions::Groups groups) {
      lists += list.empty() ? 0 : 1;
      for (const Subscription* subscription : list) add(*route, *subscription, index);
      for (const auto& group : groups) chosen.push_back(choose(*group));
    });
    for (const Subscription* member : chosen) add(*route, *member, index);
    if (lists > 1 && !route->no_local) merge(*route);
    if (!chosen.empty()) route->version = 0;  // chosen again for each message
    if (route->targets.size() <= Routes::kMostTargets || route == &routes.scratch()) return *route;
    // Too large to keep: made in the scratch route each time; walking is little beside so many deliveries.
    *route = Route{};
    route = &routes.scratch();
  }
}

// The scratch of the message that is to be delivered next.
void Shard::begin_message() {
  congested.clear();
  images.reset();
  kept = {};
  logged = durable_owed = false;
}

// What its delivery makes somebody wait for: the disk, and subscribers that do not keep up.
void Shard::finish_message(Owed& owed) {
  kept = {};
  if (!owed.wanted) return;
  if (durable_owed) {
    ++owed.conditions;
    log->wait(owed.waiter);
  }
  hold_for_congested(owed);
}

bool Shard::route(const Publish& packet, const Session* origin, Owed& owed) {
  const Route* found = &route_of(packet.topic);
  if (found->targets.empty()) return false;
  Route own;
  if (found->no_local) {
    own = *found;
    if (origin != nullptr) {
      std::erase_if(own.targets, [&](const Target& t) { return t.no_local && t.face == origin->face; });
    }
    merge(own);
    found = &own;
    if (found->targets.empty()) return false;
  }
  begin_message();
  for (const Target& target : found->targets) {
    if (target.session == nullptr) continue;
    deliver(*target.session, target.qos, target.retain_as_published,
            std::span(found->identifiers).subspan(target.first_identifier, target.identifiers), packet, nullptr);
  }
  if (found->elsewhere) {
    for (std::size_t shard = 0; shard < hub.shards.size(); ++shard) {
      if (shard != index) pack(*found, packet, shard, owed);
    }
  }
  if ((found->elsewhere || durable_owed) && origin != nullptr && origin->link != nullptr && backlogged()) {
    origin->link->throttle();
  }
  finish_message(owed);
  return true;
}

void Shard::hold_for_congested(Owed& owed) {
  for (Session* session : congested) {
    if (session->held_acks.empty()) {
      session->held_since_ms = steady_ms;
      holding.insert(session);
    }
    session->held_acks.push_back(owed.waiter);
    ++owed.conditions;
  }
}

Parcel& Shard::parcel_for(std::size_t shard) {
  auto& slot = outgoing[shard];
  if (!slot) slot = std::make_unique<Parcel>();
  need_round_end();
  return *slot;
}

// What `shard` has of the route's targets, as one item of its parcel. Persistent sessions get their number here, and
// the message log has it in this round's record, with everything else of this message.
void Shard::pack(const Route& found, const Publish& packet, std::size_t shard, Owed& owed) {
  const auto there = [&](const Target& target) { return target.face->shard == shard; };
  if (std::none_of(found.targets.begin(), found.targets.end(), there)) return;
  Parcel& parcel = parcel_for(shard);
  Parcel::Item item;
  item.begin = parcel.bytes.size();
  // As it came if that is possible; else in MQTT 5, which can say everything.
  item.version = packet.raw.empty() ? Version::k5 : packet.raw_version;
  if (!single.build(item.version, packet)) return;
  single.append_to(parcel.bytes, 1);
  item.end = parcel.bytes.size();
  item.first_target = parcel.targets.size();
  std::uint8_t most = 0;
  for (const Target& target : found.targets) {
    if (!there(target)) continue;
    const std::span own = std::span(found.identifiers).subspan(target.first_identifier, target.identifiers);
    Parcel::Addressee& to = parcel.targets.emplace_back();
    to.session_id = target.face->id;
    to.qos = target.qos;
    to.retain_as_published = target.retain_as_published;
    to.first_identifier = static_cast<std::uint32_t>(parcel.identifiers.size());
    to.identifiers = target.identifiers;
    parcel.identifiers.insert(parcel.identifiers.end(), own.begin(), own.end());
    const std::uint8_t qos = std::min(packet.qos, target.qos);
    most = std::max(most, qos);
    if (qos == 0 || !target.face->persistent) continue;
    to.number = target.face->take_number();
    log_message(packet);
    to.segment = log->entry({.session = target.face->id,
                             .number = to.number,
                             .qos = qos,
                             .retain = target.retain_as_published && packet.retain},
                            own);
    durable_owed = true;
  }
  item.targets = parcel.targets.size() - item.first_target;
  // Whether they keep up is for the other shard to say. At QoS 0 nobody waits for that.
  if (owed.wanted && most > 0) {
    item.waits = true;
    item.waiter = owed.waiter;
    ++owed.conditions;
  }
  parcel.items.push_back(item);
}

void Shard::send_parcels() {
  for (std::size_t to = 0; to < outgoing.size(); ++to) {
    if (!outgoing[to]) continue;
    outgoing[to]->position = log_position;
    std::shared_ptr<const Parcel> parcel = std::move(outgoing[to]);
    Shard* other = hub.shards[to].get();
    other->inbound_bytes += parcel->weight();
    other->loop.post([weak = other->weak_from_this(), parcel] {
      const auto self = weak.lock();
      if (!self) return;
      self->take_parcel(*parcel);
      self->inbound_bytes -= parcel->weight();
    });
  }
}

bool Shard::backlogged() const {
  if (hub.log->pending_bytes() > kMaxBacklog) return true;
  for (const auto& shard : hub.shards) {
    if (shard->inbound_bytes > kMaxBacklog) return true;
  }
  return false;
}

void Shard::take_parcel(const Parcel& parcel) {
  refresh_time();
  for (const Waiter& waiter : parcel.due) settle(waiter);
  for (const Parcel::Item& item : parcel.items) {
    const std::string_view bytes = std::string_view(parcel.bytes).substr(item.begin, item.end - item.begin);
    const Frame frame = read_frame(bytes);
    Publish packet;
    decode_publish(frame.first_byte, frame.header_size, bytes, item.version, packet);
    // The sender counts one condition for this shard, whatever it takes here.
    Owed owed{Waiter{0, next_call(), index}, item.waits, 0};
    begin_message();
    for (std::size_t i = 0; i < item.targets; ++i) {
      const Parcel::Addressee& to = parcel.targets[item.first_target + i];
      const auto at = sessions_by_id.find(to.session_id);
      if (at == sessions_by_id.end()) {  // ended meanwhile
        if (to.number != 0) log->lost_place(to.segment);
        continue;
      }
      const Numbered numbered{to.number, to.segment, parcel.position};
      deliver(*at->second, to.qos, to.retain_as_published,
              std::span(parcel.identifiers).subspan(to.first_identifier, to.identifiers), packet,
              to.number != 0 ? &numbered : nullptr);
    }
    finish_message(owed);
    if (!owed.wanted) continue;
    if (owed.conditions == 0) {
      settle(item.waiter);
    } else {
      calls.emplace(++last_call, Call{owed.conditions, [this, waiter = item.waiter] { settle(waiter); }});
    }
  }
  need_round_end();
}

}  // namespace muster::mqtt
