// SPDX-License-Identifier: Apache-2.0
#include "meter.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace muster::bench {

namespace {

double ticks() {
  return static_cast<double>(::sysconf(_SC_CLK_TCK));
}

// Busy time of all processors: user, nice, system, irq and softirq.
double machine_cpu() {
  std::ifstream file("/proc/stat");
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, softirq = 0;
  file >> name >> user >> nice >> system >> idle >> waiting >> irq >> softirq;
  return (user + nice + system + irq + softirq) / ticks();
}

}  // namespace

Nanos now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

Meter::Reading Meter::read() const {
  return {now_ns(), server_pid_ != 0 ? cpu_of(server_pid_) : 0, own_cpu(), machine_cpu()};
}

void Meter::start() {
  from_ = read();
}

void Meter::stop() {
  to_ = read();
}

void Meter::report(json::object& out, std::string_view name, std::uint64_t count) const {
  const double server = server_cpu(), own = to_.own - from_.own;
  const auto amount = static_cast<double>(count);
  out["seconds"] = rounded(seconds());
  out[name] = count;
  out[std::string(name) + "_per_s"] = rounded(amount / std::max(seconds(), 1e-9));
  out["generator_cpu_s"] = rounded(own);
  if (server_pid_ == 0) return;
  out["server_cpu_s"] = rounded(server);
  out[std::string(name) + "_per_server_cpu_s"] = server > 0 ? rounded(amount / server) : 0;
  out["foreign_cpu_s"] = rounded(std::max(0.0, to_.machine - from_.machine - server - own));
}

std::int64_t pss_bytes(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with("Pss:")) continue;
    std::int64_t kib = 0;
    std::istringstream(line.substr(4)) >> kib;
    return kib * 1024;
  }
  return 0;
}

json::object percentiles(std::vector<Nanos>& samples) {
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double share) {
    if (samples.empty()) return 0.0;
    const auto index = static_cast<std::size_t>(share * static_cast<double>(samples.size()));
    return rounded(static_cast<double>(samples[std::min(index, samples.size() - 1)]) / 1000);
  };
  return {{"count", samples.size()},
          {"p50_us", at(0.5)},
          {"p99_us", at(0.99)},
          {"p999_us", at(0.999)},
          {"max_us", at(1.0)}};
}

}  // namespace muster::bench
