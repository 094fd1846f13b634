// SPDX-License-Identifier: Apache-2.0
// Device shadows over MQTT: what clients publish to $aws/things/THING/shadow[/name/SHADOW]/{get, update, delete}. The
// same domain functions as over HTTPS (api/services/data/shadows). Answers are messages like any other: whoever
// subscribes to .../accepted and .../rejected hears them, and who does not subscribe hears nothing, the requester
// included. update/accepted, delta, documents and delete/accepted leave through the outbox; get/accepted and
// rejections, which tell of no change, through the broker at once. The request is acknowledged when its change is
// durable and its answer is on its way. On the broker's loop; the store's completion comes back to it by a post. Owned
// by server/wiring. Does not own other topics below /shadow/: the broker refuses them, so nobody but the server speaks
// there. Source: AWS IoT developer guide, "Device Shadow MQTT topics".
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "domain/shadows/shadows.h"
#include "io/env.h"
#include "io/loop.h"
#include "mqtt/broker/ports.h"
#include "store/store.h"

namespace muster::api::device {

struct ShadowTopic {
  enum class Call : std::uint8_t { kGet, kUpdate, kDelete };
  Call call = Call::kGet;
  shadows::ShadowId id;
};
// nullopt: not a request to the shadow service.
std::optional<ShadowTopic> parse_shadow_topic(std::string_view topic);

struct ShadowPort {
  shadows::Wanted wanted;  // thread-safe; null: everybody listens to everything
  std::function<void()> wake_outbox;
  // Thread-safe; `done` on any thread: true when the message is durable where it is owed.
  std::function<void(std::string topic, std::string payload, std::function<void(bool)> done)> publish;
};

class ShadowTopics final : public mqtt::IngressHook {
 public:
  // References outlive it; completions still under way when it is destroyed are dropped.
  ShadowTopics(io::Loop& loop, const io::Clock& clock, store::Store& store, ShadowPort port);
  ~ShadowTopics() override;
  bool handle(const mqtt::Ingress& message, std::function<void(bool accepted)> handled) override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::api::device
