// SPDX-License-Identifier: Apache-2.0
// Devices of the simulator: most do their work, one is slow, one has gone silent, one says whatever comes to its mind.
#pragma once

#include <limits>

#include "world.h"

namespace muster::jobs::sim {

// What start-next gave.
struct Started {
  std::string thing, job;
  std::int64_t number = 0;
};

class Devices {
 public:
  explicit Devices(World& world) : world_(world) {}

  Deed start(std::optional<std::optional<Started>>& answered) {
    const std::string name = any_awake();
    StartNext request{name, {}, {}};
    if (world_.chance(15)) request.step_timeout_minutes = world_.between(1, 3);
    const auto started = world_.fleet.run(
        [&](store::Tx& tx, Effects& effects) { return start_next(world_.fleet.context, tx, request, effects); });
    if (started) {
      answered.emplace();
      if (*started) answered->emplace(Started{name, (*started)->job, (*started)->execution.number});
    }
    return {Doer::kDevice, "start-next", {}, name, static_cast<bool>(started), {}};
  }

  // Goes on with what it has in progress.
  Deed work() {
    const std::string name = any_awake();
    if (name == kSlow && world_.chance(85)) return idle(name);
    const auto lists = world_.fleet.run([&](store::Tx& tx) { return get_pending(world_.fleet.context, tx, name); });
    if (!lists || lists->in_progress.empty()) return idle(name);
    constexpr const char* kStatuses[] = {"IN_PROGRESS", "SUCCEEDED", "SUCCEEDED", "FAILED", "FAILED", "REJECTED"};
    const auto& entry = lists->in_progress[world_.pick(lists->in_progress.size())];
    Update request;
    request.thing = name;
    request.job = entry.job;
    request.status = world_.any(kStatuses);
    request.expected_version = entry.version;
    if (world_.chance(20)) request.step_timeout_minutes = world_.chance(30) ? -1 : world_.between(1, 3);
    return sent(request);
  }

  // Any job, not only one that was offered.
  Deed meddle() {
    constexpr const char* kStatuses[] = {"IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"};
    Update request;
    request.thing = any_awake();
    request.job = world_.any_job();
    request.status = world_.any(kStatuses);
    if (world_.chance(30)) request.expected_version = world_.between(1, 3);
    if (world_.chance(20)) request.details = StatusDetails{{"n", std::to_string(world_.pick(100))}};
    return sent(request);
  }

  Deed attack() {
    constexpr std::int64_t kNumbers[] = {
        0, -1, 1, 2, 7, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
    constexpr const char* kStatuses[] = {"",          "QUEUED",   "CANCELED", "TIMED_OUT",  "REMOVED", "in_progress",
                                         "SUCCEEDED", "FAILED\n", "\xff\xfe", "IN_PROGRESS"};
    const std::string jobs[] = {"$next", "", "j0", "none", std::string(300, 'j'), world_.any_job(), "..", "j0 1"};
    const std::string things[] = {std::string(kHostile), world_.any_thing(), "", "nobody", std::string(200, 'd')};
    Update request;
    request.thing = world_.any(things);
    request.job = world_.any(jobs);
    request.status = world_.any(kStatuses);
    if (world_.chance(50)) request.number = world_.any(kNumbers);
    if (world_.chance(50)) request.expected_version = world_.any(kNumbers);
    if (world_.chance(50)) request.step_timeout_minutes = world_.any(kNumbers);
    if (world_.chance(20)) request.namespace_id = world_.chance(50) ? std::string(kNamespace) : "foreign";
    request.include_state = request.include_document = true;
    return sent(request);
  }

 private:
  static constexpr std::string_view kSilent = "d0", kSlow = "d1", kHostile = "d2";

  std::string any_awake() {
    std::string name = world_.any_thing();
    return name == kSilent ? std::string(kSlow) : name;
  }
  static Deed idle(const std::string& name) { return {Doer::kDevice, "nothing", {}, name, false, {}}; }
  Deed sent(const Update& request) {
    const auto updated = world_.fleet.update(request);
    return {Doer::kDevice, "update to " + request.status, request.job, request.thing, static_cast<bool>(updated), {}};
  }

  World& world_;
};

}  // namespace muster::jobs::sim
