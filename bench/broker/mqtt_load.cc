// SPDX-License-Identifier: Apache-2.0
// Load generator for MQTT brokers: one thread, plain TCP, MQTT 3.1.1 or 5. mqtt_load SCENARIO [--FLAG VALUE]...; prints
// one JSON object. The exit status is 0 when the run was whole; whether messages were lost is in the object.
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/json.h"
#include "connections.h"
#include "flows.h"
#include "paced.h"

namespace {

using namespace muster;
using namespace muster::bench;

constexpr const char* kUsage =
    "mqtt_load pairs|fan-in|fan-out   closed loop: --width N --payload BYTES --qos 0|1 --persistent 0|1 --window N\n"
    "mqtt_load paced                  open loop: --width PAIRS --payload BYTES --qos 0|1 --rate N --flood 0|1\n"
    "mqtt_load connects               connect, CONNACK, close: --width AT_A_TIME --reset 0|1\n"
    "mqtt_load idle                   memory of idle connections: --width N --subscribed 0|1\n"
    "all: --host H --port P --protocol 311|5 --warm-up S --seconds S --server-pid PID\n";

class Flags {
 public:
  bool parse(int argc, char** argv) {
    for (int i = 2; i < argc; i += 2) {
      const std::string_view key = argv[i];
      if (!key.starts_with("--") || i + 1 >= argc) return false;
      values_[std::string(key.substr(2))] = argv[i + 1];
    }
    return true;
  }
  template <class T>
  void take(const char* name, T& value) {
    const auto found = values_.find(name);
    if (found == values_.end()) return;
    value = static_cast<T>(std::atof(found->second.c_str()));
    values_.erase(found);
  }
  void take(const char* name, std::string& value) {
    if (auto found = values_.extract(name)) value = found.mapped();
  }
  bool empty() const { return values_.empty(); }

 private:
  std::map<std::string, std::string> values_;
};

template <class Options>
void take_general(Flags& flags, Options& options) {
  std::string protocol = "311";
  flags.take("host", options.target.host);
  flags.take("port", options.target.port);
  flags.take("protocol", protocol);
  options.target.v5 = protocol == "5";
  flags.take("warm-up", options.warm_up_s);
  flags.take("seconds", options.seconds);
  flags.take("server-pid", options.server_pid);
}

using Scenario = std::function<bool(json::object&)>;

Scenario flows(Flags& flags, FlowOptions::Shape shape) {
  FlowOptions options{.shape = shape};
  take_general(flags, options);
  flags.take("width", options.width);
  flags.take("payload", options.payload_bytes);
  flags.take("qos", options.qos);
  flags.take("persistent", options.persistent);
  flags.take("window", options.window);
  if (options.width == 0 || options.window == 0 || options.qos < 0 || options.qos > 1) return nullptr;
  if (options.payload_bytes < sizeof(Stamp)) return nullptr;
  return [options](json::object& out) { return run_flows(options, out); };
}

Scenario paced(Flags& flags) {
  PacedOptions options;
  take_general(flags, options);
  flags.take("width", options.pairs);
  flags.take("payload", options.payload_bytes);
  flags.take("qos", options.qos);
  flags.take("rate", options.rate);
  flags.take("flood", options.flood);
  if (options.pairs == 0 || options.rate <= 0 || options.payload_bytes < sizeof(Stamp)) return nullptr;
  return [options](json::object& out) { return run_paced(options, out); };
}

Scenario connections(Flags& flags, bool idle) {
  ConnectionOptions options;
  take_general(flags, options);
  flags.take("width", options.width);
  flags.take("reset", options.reset);
  flags.take("subscribed", options.subscribed);
  if (options.width == 0) return nullptr;
  return [options, idle](json::object& out) { return idle ? run_idle(options, out) : run_connects(options, out); };
}

Scenario scenario(std::string_view name, Flags& flags) {
  if (name == "pairs") return flows(flags, FlowOptions::Shape::kPairs);
  if (name == "fan-in") return flows(flags, FlowOptions::Shape::kFanIn);
  if (name == "fan-out") return flows(flags, FlowOptions::Shape::kFanOut);
  if (name == "paced") return paced(flags);
  if (name == "connects") return connections(flags, false);
  if (name == "idle") return connections(flags, true);
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  const std::string_view name = argc > 1 ? argv[1] : "";
  if (!flags.parse(argc, argv)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  const Scenario run = scenario(name, flags);
  if (!run || !flags.empty()) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  json::object out{{"scenario", name}};
  const bool whole = run(out);
  std::puts(to_text(out).c_str());
  return whole ? 0 : 1;
}
