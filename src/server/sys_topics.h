// SPDX-License-Identifier: Apache-2.0
// SysTopics: counters of the broker as messages below $SYS/broker/, named as mosquitto names them, every so many
// seconds while it lives. They are not retained: a subscriber hears them at the next round. Clients need permission for
// them as for any topic. Owned by server/wiring; runs on a loop's timer, so it is made before that loop runs and
// destroyed after it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/env.h"
#include "io/loop.h"
#include "mqtt/broker/broker.h"

namespace muster::server {

// Topic and text of each. `messages` are PUBLISH packets.
std::vector<std::pair<std::string, std::string>> sys_messages(const mqtt::Broker& broker, std::int64_t uptime_s);

class SysTopics {
 public:
  SysTopics(io::Loop& loop, const io::Clock& clock, mqtt::Broker& broker, std::int64_t interval_s);
  void start();  // before the loop runs

 private:
  void tell();

  io::Loop& loop_;
  const io::Clock& clock_;
  mqtt::Broker& broker_;
  const std::int64_t interval_s_;
  const std::int64_t started_ms_;
  std::unique_ptr<io::Loop::TimerToken> timer_;
};

}  // namespace muster::server
