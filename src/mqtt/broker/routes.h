// SPDX-License-Identifier: Apache-2.0
// Routes: the receivers of the topics that were published lately, so that a message on a known topic costs one hash and
// one comparison. A route is valid while the version of Subscriptions is the one that it was made at. A shard's own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mqtt/broker/subscriptions.h"

namespace muster::mqtt {

struct SessionFace;

// One session that gets a message of a topic.
struct Target {
  Session* session = nullptr;  // when of this shard
  std::shared_ptr<SessionFace> face;
  std::uint8_t qos = 0;
  bool shared = false;  // as a member of a shared subscription
  bool no_local = false;
  bool retain_as_published = false;
  std::uint32_t first_identifier = 0, identifiers = 0;  // of the route's or parcel's list
};

struct Route {
  std::string topic;
  std::uint64_t version = 0;  // 0: never valid
  std::vector<Target> targets;
  std::vector<std::uint32_t> identifiers;
  bool no_local = false;   // some target has it: overlapping filters of a session are not merged yet
  bool elsewhere = false;  // some target is of another shard
};

class Routes {
 public:
  Routes();
  // The slot of a topic; another topic's when it was not asked for lately.
  Route& slot(std::string_view topic) { return *slots_[keyed_hash(seed_, topic) % kSlots]; }
  Route& scratch() { return scratch_; }  // for routes that are not worth keeping
  static constexpr std::size_t kMostTargets = 4096;

 private:
  static constexpr std::size_t kSlots = 1024;
  std::vector<std::unique_ptr<Route>> slots_;
  Route scratch_;
  std::uint64_t seed_;
};

}  // namespace muster::mqtt
