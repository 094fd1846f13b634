// SPDX-License-Identifier: Apache-2.0
// What others call: each call goes to the loops of the shards that it concerns.
#include "mqtt/broker/broker.h"

#include <algorithm>
#include <atomic>
#include <filesystem>

#include "mqtt/broker/shard.h"
#include "mqtt/codec/topics.h"

namespace muster::mqtt {

namespace {

// Runs `fn` on a shard's loop unless the broker is gone by then; then `gone`.
template <class F, class G>
void on_shard(const std::shared_ptr<Shard>& shard, F fn, G gone) {
  shard->loop.post([weak = std::weak_ptr<Shard>(shard), fn = std::move(fn), gone = std::move(gone)] {
    if (const auto self = weak.lock()) {
      fn(*self);
    } else {
      gone();
    }
  });
}

}  // namespace

Broker::Broker(std::unique_ptr<Hub> hub) : hub_(std::move(hub)) {}

Broker::~Broker() {
  // Sessions point at links and links at streams with callbacks: all go before the shard does.
  for (const auto& shard : hub_->shards) {
    shard->ticker.reset();
    shard->stopping = true;
    shard->dirty.clear();
    shard->links.clear();
  }
  hub_->shards.clear();
}

Result<std::unique_ptr<Broker>> Broker::create(const std::vector<BrokerLoop>& loops, const io::Clock& clock,
                                               store::Store& store, const BrokerOptions& options) {
  auto hub = std::make_unique<Hub>(options);
  for (const BrokerLoop& on : loops) {
    const auto number = static_cast<std::uint16_t>(hub->shards.size());
    hub->shards.push_back(std::make_shared<Shard>(*hub, number, *on.loop, clock, store, *on.authorizer));
  }
  for (const auto& shard : hub->shards) shard->outgoing.resize(hub->shards.size());
  TRY_VOID(load_shards(*hub));
  return std::unique_ptr<Broker>(new Broker(std::move(hub)));
}

std::size_t Broker::shards() const {
  return hub_->shards.size();
}

void Broker::add_ingress(std::size_t shard, IngressHook& hook) {
  hub_->shards[shard]->hooks.push_back(&hook);
}

std::uint16_t Broker::add_listener(std::string name) {
  hub_->listeners.push_back(std::move(name));
  for (const auto& shard : hub_->shards) shard->by_listener.push_back(std::make_unique<ListenerStats>());
  return static_cast<std::uint16_t>(hub_->listeners.size() - 1);
}

const std::vector<std::string>& Broker::listeners() const {
  return hub_->listeners;
}

void Broker::set_lifecycle(Lifecycle& lifecycle) {
  hub_->lifecycle = &lifecycle;
}

void Broker::start() {
  for (const auto& shard : hub_->shards) {
    on_shard(
        shard,
        [](Shard& self) {
          self.tick();
          self.arm_tick();
        },
        [] {});
  }
}

void Broker::tick(std::size_t shard) {
  hub_->shards[shard]->tick();
}

void Broker::accept(std::size_t shard, std::unique_ptr<io::Stream> stream, Arrival arrival) {
  hub_->shards[shard]->accept(std::move(stream), std::move(arrival), false);
}

void Broker::publish_from_server(std::vector<store::OutboxMessage> batch, std::function<void()> handled) {
  on_shard(
      hub_->shards[0],
      [batch = std::move(batch), handled](Shard& self) {
        self.refresh_time();
        // One call for each message and one for the batch, so that it is handled when all are.
        struct Tally {
          std::size_t left = 1;
          std::function<void()> handled;
        };
        auto tally = std::make_shared<Tally>(Tally{1, handled});
        const auto one = [tally] {
          if (--tally->left == 0) tally->handled();
        };
        for (const store::OutboxMessage& message : batch) {
          if (!is_topic_name(message.topic)) continue;  // ours: not reachable from outside
          Publish packet;
          packet.topic = message.topic;
          packet.payload = message.payload;
          packet.qos = std::min<std::uint8_t>(message.qos, 1);
          ++tally->left;
          self.publish_for_server(packet, one);
        }
        one();
        self.need_round_end();
      },
      [] {});
}

void Broker::publish(ServerMessage message, std::function<void(PublishOutcome)> done) {
  const auto answer = [done](PublishOutcome outcome) {
    if (done) done(outcome);
  };
  on_shard(
      hub_->shards[0],
      [message = std::move(message), answer](Shard& self) {
        const BrokerOptions& options = self.hub.options;
        if (self.stopping) return answer(PublishOutcome::kUnavailable);
        self.refresh_time();
        if (!is_topic_name(message.topic)) return answer(PublishOutcome::kBadTopic);
        if (message.payload.size() > options.max_payload_bytes || message.topic.size() > options.max_topic_bytes) {
          return answer(PublishOutcome::kTooLarge);
        }
        Publish packet;
        packet.topic = message.topic;
        packet.payload = message.payload;
        packet.qos = std::min<std::uint8_t>(message.qos, 2);
        packet.retain = message.retain;
        packet.properties = Properties(message.properties, message.present);
        if (message.retain && !self.retained_fits(packet)) return answer(PublishOutcome::kNoRoom);
        self.publish_for_server(packet, [answer] { answer(PublishOutcome::kDone); });
        self.need_round_end();
      },
      [answer] { answer(PublishOutcome::kUnavailable); });
}

bool Broker::wanted(std::string_view topic) const {
  const std::shared_lock lock(hub_->subscriptions_mutex);
  bool found = false;
  hub_->subscriptions.match(topic, [&](std::span<Subscription* const>, Subscriptions::Groups) { found = true; });
  return found;
}

namespace {

RetainedSummary summary_of(const Message& message, bool with_payload) {
  RetainedSummary summary;
  summary.topic = message.topic;
  summary.payload_bytes = message.payload.size();
  summary.qos = message.qos;
  summary.modified_ms = message.created_ms;
  if (with_payload) {
    summary.payload = message.payload;
    summary.properties = message.properties;
    summary.present = message.present;
  }
  return summary;
}

}  // namespace

void Broker::retained_message(std::string topic, std::function<void(std::optional<RetainedSummary>)> done) {
  on_shard(
      hub_->shards[0],
      [topic = std::move(topic), done](Shard& self) {
        self.refresh_time();
        std::optional<RetainedSummary> found;
        {
          const std::lock_guard lock(self.hub.retained_mutex);
          const MessageRef* message = self.hub.retained.find(topic);
          if (message != nullptr && !(*message)->expired(self.now_ms)) found = summary_of(**message, true);
        }
        done(std::move(found));
      },
      [done] { done(std::nullopt); });
}

void Broker::retained_messages(std::string after, std::size_t limit,
                               std::function<void(std::vector<RetainedSummary>)> done) {
  on_shard(
      hub_->shards[0],
      [after = std::move(after), limit, done](Shard& self) {
        self.refresh_time();
        std::vector<RetainedSummary> list;
        {
          const std::lock_guard lock(self.hub.retained_mutex);
          self.hub.retained.page(after, limit, self.now_ms,
                                 [&](const MessageRef& message) { list.push_back(summary_of(*message, false)); });
        }
        done(std::move(list));
      },
      [done] { done({}); });
}

void Broker::recheck(std::string principal_id) {
  for (const auto& shard : hub_->shards) {
    on_shard(
        shard, [principal_id](Shard& self) { self.recheck(principal_id); }, [] {});
  }
}

void Broker::recheck_all() {
  recheck({});
}

void Broker::recheck(std::size_t shard, std::string principal_id) {
  on_shard(
      hub_->shards[shard], [principal_id = std::move(principal_id)](Shard& self) { self.recheck(principal_id); },
      [] {});
}

void Broker::stop(std::function<void()> stopped) {
  auto left = std::make_shared<std::atomic<std::size_t>>(hub_->shards.size());
  const auto one = [left, stopped] {
    if (--*left == 0) stopped();
  };
  for (const auto& shard : hub_->shards)
    on_shard(
        shard, [one](Shard& self) { self.stop(one); }, one);
}

namespace {

// What the shards answer, together, once all have.
struct Gathered {
  std::atomic<std::size_t> left;
  std::vector<std::vector<ClientSummary>> parts;
  std::function<void(std::vector<ClientSummary>)> done;

  void answered() {
    if (--left > 0) return;
    std::vector<ClientSummary> all;
    for (auto& part : parts) std::move(part.begin(), part.end(), std::back_inserter(all));
    done(std::move(all));
  }
};

std::shared_ptr<Gathered> gather(std::size_t shards, std::function<void(std::vector<ClientSummary>)> done) {
  auto gathered = std::make_shared<Gathered>();
  gathered->left = shards;
  gathered->parts.resize(shards);
  gathered->done = std::move(done);
  return gathered;
}

}  // namespace

void Broker::clients(std::string after, std::size_t limit, std::function<void(std::vector<ClientSummary>)> done) {
  const auto gathered = gather(hub_->shards.size(), [limit, done = std::move(done)](std::vector<ClientSummary> all) {
    std::sort(all.begin(), all.end(),
              [](const ClientSummary& a, const ClientSummary& b) { return a.client_id < b.client_id; });
    if (all.size() > limit) all.resize(limit);
    done(std::move(all));
  });
  for (const auto& shard : hub_->shards) {
    on_shard(
        shard,
        [gathered, after, limit](Shard& self) {
          gathered->parts[self.index] = self.summaries(after, limit);
          gathered->answered();
        },
        [gathered] { gathered->answered(); });
  }
}

void Broker::find_clients(ClientQuery query, std::function<void(std::vector<ClientSummary>)> done) {
  const auto gathered = gather(hub_->shards.size(), std::move(done));
  const auto shared = std::make_shared<const ClientQuery>(std::move(query));
  for (const auto& shard : hub_->shards) {
    on_shard(
        shard,
        [gathered, shared](Shard& self) {
          gathered->parts[self.index] = self.find_clients(*shared);
          gathered->answered();
        },
        [gathered] { gathered->answered(); });
  }
}

void Broker::disconnect(std::string client_id, std::string reason, std::function<void(bool)> done) {
  const auto& shard = hub_->shards[hub_->owner(client_id)];
  on_shard(
      shard,
      [client_id, reason, done](Shard& self) {
        Session* session = self.find_session(client_id);
        const bool found = session != nullptr && session->link != nullptr;
        if (found) {
          self.refresh_time();
          self.disconnect(*session->link, Reason::kAdministrativeAction, reason, EndCause::kServerInitiated);
        }
        if (done) done(found);
      },
      [done] {
        if (done) done(false);
      });
}

bool Broker::flush() {
  return hub_->log->wait_until_durable().has_value();
}

std::uint64_t Broker::total(Counter BrokerStats::*counter) const {
  std::uint64_t sum = 0;
  for (const auto& shard : hub_->shards) sum += shard->stats.*counter;
  return sum;
}

std::uint64_t Broker::total(std::size_t listener, Counter ListenerStats::*counter) const {
  std::uint64_t sum = 0;
  for (const auto& shard : hub_->shards) sum += (*shard->by_listener[listener]).*counter;
  return sum;
}

std::uint64_t Broker::total(Counter ListenerStats::*counter) const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < hub_->listeners.size(); ++i) sum += total(i, counter);
  return sum;
}

}  // namespace muster::mqtt
