// SPDX-License-Identifier: Apache-2.0
#include "server/sys_topics.h"

#include "server/version.h"

namespace muster::server {

std::vector<std::pair<std::string, std::string>> sys_messages(const mqtt::Broker& broker, std::int64_t uptime_s) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto add = [&](std::string_view name, std::string text) {
    out.emplace_back("$SYS/broker/" + std::string(name), std::move(text));
  };
  const auto count = [&](std::string_view name, auto member) { add(name, std::to_string(broker.total(member))); };
  using Stats = mqtt::BrokerStats;
  using Listener = mqtt::ListenerStats;
  add("version", std::string("muster version ") + kVersion);
  add("uptime", std::to_string(uptime_s) + " seconds");
  count("clients/connected", &Listener::connections);
  count("clients/total", &Stats::sessions);
  count("messages/received", &Listener::messages_in);
  count("messages/sent", &Listener::messages_out);
  count("bytes/received", &Listener::bytes_in);
  count("bytes/sent", &Listener::bytes_out);
  count("subscriptions/count", &Stats::subscriptions);
  count("retained messages/count", &Stats::retained);
  count("publish/messages/dropped", &Stats::dropped);
  return out;
}

SysTopics::SysTopics(io::Loop& loop, const io::Clock& clock, mqtt::Broker& broker, std::int64_t interval_s)
    : loop_(loop), clock_(clock), broker_(broker), interval_s_(interval_s), started_ms_(clock.steady_ms()) {}

void SysTopics::start() {
  timer_ = loop_.after_ms(interval_s_ * 1000, [this] { tell(); });
}

void SysTopics::tell() {
  for (auto& [topic, text] : sys_messages(broker_, (clock_.steady_ms() - started_ms_) / 1000)) {
    broker_.publish({.topic = topic, .payload = std::move(text)}, nullptr);
  }
  start();
}

}  // namespace muster::server
