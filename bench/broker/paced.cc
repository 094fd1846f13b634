// SPDX-License-Identifier: Apache-2.0
#include "paced.h"

#include <algorithm>

namespace muster::bench {

namespace {

constexpr std::size_t kFloodChunk = 16 * 1024;  // at a time, so that the paced ones are not late for it
constexpr std::uint32_t kMostIds = 60'000;

class Run {
 public:
  explicit Run(const PacedOptions& options) : options_(options), meter_(options.server_pid) {}

  bool main(json::object& out) {
    if (!open()) return false;
    const auto interval = static_cast<Nanos>(1e9 / options_.rate);
    Nanos due = now_ns() + 10'000'000;
    const Nanos measure_from = due + static_cast<Nanos>(options_.warm_up_s * 1e9);
    const Nanos measure_to = measure_from + static_cast<Nanos>(options_.seconds * 1e9);
    measure_from_ = measure_from;
    bool measuring = false;
    while (due < measure_to && !broken_) {
      const Nanos now = now_ns();
      if (!measuring && now >= measure_from) {
        measuring = true;
        meter_.start();
        flooded_ = 0;
      }
      for (; due <= now; due += interval) publish(due, now);
      poll();
      if (options_.flood && flood_open_) flood();
    }
    meter_.stop();
    const std::uint64_t flooded = flooded_;
    const Nanos give_up = now_ns() + 2'000'000'000;
    while (received_ < sent_ && !broken_ && now_ns() < give_up) poll();
    meter_.report(out, "deliveries", latencies_.size());
    out["latency"] = percentiles(latencies_);
    out["generator_late"] = percentiles(late_);
    out["sent"] = sent_;
    out["lost"] = sent_ - std::min(sent_, received_);
    out["reordered"] = reordered_;
    if (options_.flood) {
      out["flooded_per_s"] = rounded(static_cast<double>(flooded / flood_layout_.bytes) / meter_.seconds());
      out["flooder_disconnected"] = !flood_open_;
    }
    return !broken_;
  }

 private:
  bool open() {
    for (std::uint32_t i = 0; i < 2 * options_.pairs; ++i) {
      const bool subscriber = i < options_.pairs;
      const std::string topic = "load/" + std::to_string(i % options_.pairs);
      Link& link = poller_.add();
      if (!link.open(options_.target, "paced-" + std::to_string(i))) return false;
      if (subscriber && !link.subscribe(topic, options_.qos)) return false;
      if (subscriber) continue;
      packets_.emplace_back();
      layout_ = append_publish(packets_.back(), topic, options_.payload_bytes, options_.qos, options_.target.v5);
    }
    if (options_.flood) {
      Link& deaf = poller_.add();  // never watched, never read
      Link& flooder = poller_.add();
      if (!deaf.open(options_.target, "deaf") || !deaf.subscribe("flood", 0)) return false;
      if (!flooder.open(options_.target, "flooder")) return false;
      while (flood_.size() < kFloodChunk) {
        flood_layout_ = append_publish(flood_, "flood", options_.payload_bytes, 0, options_.target.v5);
      }
      flooder.watch();
      flooder_ = flooder.number();
    }
    for (std::uint32_t i = 0; i < 2 * options_.pairs; ++i) poller_.at(i).watch();
    next_.resize(options_.pairs);
    sequence_.resize(options_.pairs);
    return true;
  }

  void publish(Nanos due, Nanos now) {
    const std::uint32_t pair = turn_++ % options_.pairs;
    std::string& packet = packets_[pair];
    const Stamp stamp{.flow = pair, .sequence = sequence_[pair]++, .due_ns = due};
    std::memcpy(packet.data() + layout_.stamp_at, &stamp, sizeof stamp);
    if (options_.qos > 0) {
      const std::uint32_t id = 1 + stamp.sequence % kMostIds;
      packet[layout_.id_at] = static_cast<char>(id >> 8);
      packet[layout_.id_at + 1] = static_cast<char>(id);
    }
    broken_ |= !poller_.at(options_.pairs + pair).send(packet);
    ++sent_;
    if (due >= measure_from_) late_.push_back(now - due);
  }

  void poll() {
    for (const epoll_event& event : poller_.wait(0)) {
      const std::uint32_t number = event.data.u32;
      Link& link = poller_.at(number);
      if (options_.flood && number == flooder_) {
        flood_open_ &= link.read([](const Frame&) {});  // MQTT 5: told why
        if (!flood_open_) link.close();
        continue;
      }
      if ((event.events & EPOLLOUT) != 0) broken_ |= !link.flush();
      if ((event.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) broken_ |= !receive(link);
    }
  }

  bool receive(Link& link) {
    acks_.clear();
    Delivery delivery;
    Nanos now = 0;
    const bool open = link.read([&](const Frame& frame) {
      if (frame.type() != 3 || !read_delivery(frame, options_.target.v5, delivery)) return;
      if (now == 0) now = now_ns();
      if (delivery.packet_id != 0) {
        acks_ += {0x40, 2, static_cast<char>(delivery.packet_id >> 8), static_cast<char>(delivery.packet_id)};
      }
      ++received_;
      std::uint32_t& next = next_[delivery.flow];
      if (static_cast<std::int32_t>(delivery.sequence - next) < 0) {
        ++reordered_;
      } else {
        next = delivery.sequence + 1;
      }
      if (delivery.due_ns >= measure_from_) latencies_.push_back(now - delivery.due_ns);
    });
    return open && (acks_.empty() || link.send(acks_));
  }

  void flood() {
    const long sent = poller_.at(flooder_).send_some(std::string_view(flood_).substr(flood_at_), {});
    if (sent < 0) {
      flood_open_ = false;
      return;
    }
    flooded_ += static_cast<std::uint64_t>(sent);
    flood_at_ = (flood_at_ + static_cast<std::size_t>(sent)) % flood_.size();
  }

  const PacedOptions& options_;
  Meter meter_;
  Poller poller_;
  std::vector<std::string> packets_;  // each pair's
  PublishLayout layout_, flood_layout_;
  std::vector<std::uint32_t> sequence_, next_;
  std::vector<Nanos> latencies_, late_;
  std::string flood_, acks_;
  std::size_t flood_at_ = 0;
  std::uint64_t sent_ = 0, received_ = 0, reordered_ = 0, flooded_ = 0;
  Nanos measure_from_ = 0;
  std::uint32_t turn_ = 0, flooder_ = 0;
  bool flood_open_ = true, broken_ = false;
};

}  // namespace

bool run_paced(const PacedOptions& options, json::object& out) {
  return Run(options).main(out);
}

}  // namespace muster::bench
