// SPDX-License-Identifier: Apache-2.0
#include "flows.h"

#include <algorithm>
#include <cstdio>

namespace muster::bench {

namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kStall = kSecond;           // nothing arrives for so long: what is on the way counts as lost
constexpr Nanos kLook = 100'000'000;        // between two looks for stalls
constexpr std::uint32_t kMostIds = 60'000;  // packet ids in use; far more than are open at once

// What a publisher has sent and what came of it. The packets stand ready in a ring, one slot each message on the way.
struct Flow {
  Link* link = nullptr;
  std::string ring;
  PublishLayout layout;
  std::uint32_t slots = 0;
  std::uint32_t sent = 0;          // messages put into the ring
  std::uint32_t acknowledged = 0;  // QoS 1
  std::uint32_t floor = 0;         // every subscriber has received all below (or they are lost)
  std::uint64_t put_bytes = 0, written_bytes = 0;
  Nanos moved_at = 0;  // when floor last changed
};

struct Subscriber {
  Link* link = nullptr;
  std::uint32_t first_flow = 0;
  std::vector<std::uint32_t> next;  // each flow's next sequence number
};

class Run {
 public:
  explicit Run(const FlowOptions& options)
      : options_(options), fan_out_(options.shape == FlowOptions::Shape::kFanOut), meter_(options.server_pid) {}

  bool main(json::object& out) {
    if (!open()) return false;
    const Nanos start = now_ns();
    const Nanos measure_from = start + static_cast<Nanos>(options_.warm_up_s * 1e9);
    const Nanos measure_to = measure_from + static_cast<Nanos>(options_.seconds * 1e9);
    for (Flow& flow : flows_) flow.moved_at = start;
    while (now_ns() < measure_from && !broken_) round(true);
    meter_.start();
    const std::uint64_t before = received_;
    while (now_ns() < measure_to && !broken_) round(true);
    meter_.stop();
    const std::uint64_t count = received_ - before;
    drain();
    meter_.report(out, "deliveries", count);
    std::uint64_t sent = 0;
    for (const Flow& flow : flows_) sent += flow.sent;
    out["sent"] = sent;
    out["received"] = received_;
    out["lost"] = lost_;
    out["reordered"] = reordered_;
    out["duplicates"] = duplicates_;
    out["stalls"] = stalls_;
    if (options_.qos > 0) out["unacknowledged"] = unacknowledged();
    return !broken_;
  }

 private:
  bool open() {
    const bool pairs = options_.shape == FlowOptions::Shape::kPairs;
    const std::uint32_t flows = fan_out_ ? 1 : options_.width;
    const std::uint32_t subscribers = pairs || fan_out_ ? options_.width : 1;
    flows_.resize(flows);
    subscribers_.resize(subscribers);
    for (std::uint32_t i = 0; i < subscribers; ++i) {
      Subscriber& subscriber = subscribers_[i];
      subscriber.link = &poller_.add();
      subscriber.first_flow = pairs ? i : 0;
      subscriber.next.resize(pairs || fan_out_ ? 1 : flows);
      const std::string filter = pairs ? "load/" + std::to_string(i) : fan_out_ ? "load/0" : "load/+";
      if (!subscriber.link->open(options_.target, "subscriber-" + std::to_string(i), !options_.persistent) ||
          !subscriber.link->subscribe(filter, options_.qos)) {
        return false;
      }
    }
    for (std::uint32_t i = 0; i < flows; ++i) {
      Flow& flow = flows_[i];
      flow.link = &poller_.add();
      prepare(flow, i);
      if (!flow.link->open(options_.target, "publisher-" + std::to_string(i))) return false;
    }
    for (Subscriber& subscriber : subscribers_) subscriber.link->watch();
    for (Flow& flow : flows_) flow.link->watch();
    return true;
  }

  void prepare(Flow& flow, std::uint32_t number) {
    flow.slots = options_.qos > 0 ? 2 * options_.window : options_.window;
    for (std::uint32_t slot = 0; slot < flow.slots; ++slot) {
      flow.layout = append_publish(flow.ring, "load/" + std::to_string(number), options_.payload_bytes, options_.qos,
                                   options_.target.v5);
      std::memcpy(flow.ring.data() + flow.ring.size() - flow.layout.bytes + flow.layout.stamp_at, &number, 4);
    }
  }

  void round(bool publishing) {
    if (publishing) {
      for (Flow& flow : flows_) refill(flow);
    }
    for (const epoll_event& event : poller_.wait(50)) {
      const std::uint32_t number = event.data.u32;
      const bool subscriber = number < subscribers_.size();
      if ((event.events & EPOLLOUT) != 0) {
        broken_ |= subscriber ? !subscribers_[number].link->flush() : !write(flows_[number - subscribers_.size()]);
      }
      if ((event.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) == 0) continue;
      broken_ |= subscriber ? !receive(subscribers_[number]) : !take_acks(flows_[number - subscribers_.size()]);
    }
    look_for_stalls();
  }

  void refill(Flow& flow) {
    if (fan_out_) flow.floor = lowest();
    std::uint32_t room = flow.slots - (flow.sent - flow.floor);
    std::uint32_t least = options_.window / 2;
    if (options_.qos > 0) {
      const std::uint32_t open = flow.sent - flow.acknowledged;
      room = open < options_.window ? std::min(room, options_.window - open) : 0;
      least = options_.window / 4;
    }
    if (room < std::max(least, 1u)) return;
    for (; room > 0; --room, ++flow.sent) {
      char* const packet = flow.ring.data() + flow.sent % flow.slots * flow.layout.bytes;
      std::memcpy(packet + flow.layout.stamp_at + 4, &flow.sent, 4);
      if (options_.qos > 0) {
        const std::uint32_t id = 1 + flow.sent % kMostIds;
        packet[flow.layout.id_at] = static_cast<char>(id >> 8);
        packet[flow.layout.id_at + 1] = static_cast<char>(id);
      }
      flow.put_bytes += flow.layout.bytes;
    }
    if (!flow.link->wants_writable()) broken_ |= !write(flow);
  }

  // From the ring, around its end.
  bool write(Flow& flow) {
    const std::size_t at = flow.written_bytes % flow.ring.size();
    const std::size_t bytes = flow.put_bytes - flow.written_bytes;
    const std::size_t first = std::min(bytes, flow.ring.size() - at);
    const std::string_view ring = flow.ring;
    const long sent = flow.link->send_some(ring.substr(at, first), ring.substr(0, bytes - first));
    if (sent < 0) return false;
    flow.written_bytes += static_cast<std::uint64_t>(sent);
    flow.link->want_writable(flow.written_bytes < flow.put_bytes);
    return true;
  }

  bool receive(Subscriber& subscriber) {
    acks_.clear();
    Delivery delivery;
    const bool open = subscriber.link->read([&](const Frame& frame) {
      if (frame.type() != 3 || !read_delivery(frame, options_.target.v5, delivery)) return;
      ++received_;
      if (delivery.packet_id != 0) {
        acks_ += {0x40, 2, static_cast<char>(delivery.packet_id >> 8), static_cast<char>(delivery.packet_id)};
      }
      std::uint32_t& next = subscriber.next[delivery.flow - subscriber.first_flow];
      const auto ahead = static_cast<std::int32_t>(delivery.sequence - next);
      if (ahead < 0) {
        ++(delivery.duplicate ? duplicates_ : reordered_);
        if (!delivery.duplicate && lost_ > 0) --lost_;  // it was counted as lost when a later one came
        return;
      }
      lost_ += static_cast<std::uint32_t>(ahead);
      next = delivery.sequence + 1;
      if (!fan_out_) flows_[delivery.flow].floor = next;
    });
    return open && (acks_.empty() || subscriber.link->send(acks_));
  }

  bool take_acks(Flow& flow) {
    return flow.link->read([&](const Frame& frame) {
      if (frame.type() == 4) ++flow.acknowledged;
    });
  }

  std::uint32_t lowest() const {
    const std::uint32_t sent = flows_[0].sent;
    std::uint32_t most = 0;
    for (const Subscriber& subscriber : subscribers_) most = std::max(most, sent - subscriber.next[0]);
    return sent - most;
  }

  void look_for_stalls() {
    const Nanos now = now_ns();
    if (now < next_look_) return;
    next_look_ = now + kLook;
    for (std::uint32_t i = 0; i < flows_.size(); ++i) {
      Flow& flow = flows_[i];
      if (fan_out_) flow.floor = lowest();
      if (seen_.size() <= i) seen_.resize(i + 1);
      if (flow.floor != seen_[i] || flow.floor == flow.sent) flow.moved_at = now;
      seen_[i] = flow.floor;
      if (now - flow.moved_at >= kStall && options_.qos == 0) give_up(flow, i);
    }
  }

  void give_up(Flow& flow, std::uint32_t number) {
    ++stalls_;
    for (Subscriber& subscriber : subscribers_) {
      const std::uint32_t index = number - subscriber.first_flow;
      if (index >= subscriber.next.size()) continue;
      lost_ += flow.sent - subscriber.next[index];
      subscriber.next[index] = flow.sent;
    }
    flow.floor = flow.sent;
    flow.moved_at = now_ns();
  }

  std::uint64_t unacknowledged() const {
    std::uint64_t open = 0;
    for (const Flow& flow : flows_) open += flow.sent - flow.acknowledged;
    return open;
  }

  bool all_arrived() const {
    return std::all_of(flows_.begin(), flows_.end(), [](const Flow& f) { return f.floor == f.sent; }) &&
           (options_.qos == 0 || unacknowledged() == 0);
  }

  // What is still on the way arrives, or is lost.
  void drain() {
    const Nanos give_up_at = now_ns() + 3 * kSecond;
    while (!all_arrived() && !broken_ && now_ns() < give_up_at) {
      round(false);
      if (fan_out_) flows_[0].floor = lowest();
    }
    for (std::uint32_t i = 0; i < flows_.size(); ++i) {
      if (flows_[i].floor != flows_[i].sent) give_up(flows_[i], i);
    }
  }

  const FlowOptions& options_;
  const bool fan_out_;
  Meter meter_;
  Poller poller_;
  std::vector<Flow> flows_;
  std::vector<Subscriber> subscribers_;
  std::vector<std::uint32_t> seen_;
  std::string acks_;
  std::uint64_t received_ = 0, lost_ = 0, reordered_ = 0, duplicates_ = 0, stalls_ = 0;
  Nanos next_look_ = 0;
  bool broken_ = false;
};

}  // namespace

bool run_flows(const FlowOptions& options, json::object& out) {
  return Run(options).main(out);
}

}  // namespace muster::bench
