// SPDX-License-Identifier: Apache-2.0
// Jobs over MQTT: what devices publish to $aws/things/THING/jobs/..., answered on .../accepted or .../rejected to the
// requester alone, after the change is durable. The same domain functions as over HTTPS
// (api/services/data/jobs_data). On the broker's loop; the store's completion comes back to it by a post. Owned by
// server/wiring, which outlives the broker's stop. Refuses payloads above 128 KiB and anything that is not a JSON
// object. Source: AWS IoT developer guide, "Jobs device MQTT API", "Error codes"; jobs spec 2.1-2.5. No source says
// on which topic InvalidTopic comes: here it is the request's with "/rejected" behind it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "domain/jobs/context.h"
#include "domain/jobs/executions.h"
#include "io/env.h"
#include "io/loop.h"
#include "mqtt/broker/ports.h"
#include "store/store.h"

namespace muster::api::device {

// What a topic below $aws/things/THING/jobs/ asks for.
struct JobsTopic {
  enum class Call : std::uint8_t { kGetPending, kStartNext, kDescribe, kUpdate, kUnknown };
  Call call = Call::kUnknown;
  std::string thing;
  std::string job;           // kDescribe, kUpdate; may be $next
  std::string namespace_id;  // kDescribe, kUpdate: of JOB/namespace-NAMESPACE/...; empty: none
};
// nullopt: not in the Jobs namespace. Topics that name no API are kUnknown.
std::optional<JobsTopic> parse_jobs_topic(std::string_view topic);

class JobsTopics final : public mqtt::IngressHook {
 public:
  // References outlive it; completions still under way when it is destroyed are dropped.
  JobsTopics(io::Loop& loop, const io::Clock& clock, store::Store& store, jobs::Context context, jobs::Signals signals);
  ~JobsTopics() override;
  bool handle(const mqtt::Ingress& message, std::function<void(bool accepted)> handled) override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::api::device
