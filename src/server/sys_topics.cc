// SPDX-License-Identifier: Apache-2.0
#include "server/sys_topics.h"

#include "server/version.h"

namespace muster::server {

std::vector<std::pair<std::string, std::string>> sys_messages(const mqtt::BrokerStats& stats, std::int64_t uptime_s) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto add = [&](std::string_view name, std::string text) {
    out.emplace_back("$SYS/broker/" + std::string(name), std::move(text));
  };
  const auto count = [&](std::string_view name, const mqtt::Counter& value) {
    add(name, std::to_string(std::uint64_t{value}));
  };
  add("version", std::string("muster version ") + kVersion);
  add("uptime", std::to_string(uptime_s) + " seconds");
  count("clients/connected", stats.connections);
  count("clients/total", stats.sessions);
  count("messages/received", stats.messages_in);
  count("messages/sent", stats.messages_out);
  count("bytes/received", stats.bytes_in);
  count("bytes/sent", stats.bytes_out);
  count("subscriptions/count", stats.subscriptions);
  count("retained messages/count", stats.retained);
  count("publish/messages/dropped", stats.dropped);
  return out;
}

SysTopics::SysTopics(io::Loop& loop, const io::Clock& clock, mqtt::Broker& broker, std::int64_t interval_s)
    : loop_(loop), clock_(clock), broker_(broker), interval_s_(interval_s), started_ms_(clock.steady_ms()) {}

void SysTopics::start() {
  timer_ = loop_.after_ms(interval_s_ * 1000, [this] { tell(); });
}

void SysTopics::tell() {
  for (auto& [topic, text] : sys_messages(broker_.stats(), (clock_.steady_ms() - started_ms_) / 1000)) {
    broker_.publish({.topic = topic, .payload = std::move(text)}, nullptr);
  }
  start();
}

}  // namespace muster::server
