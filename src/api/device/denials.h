// SPDX-License-Identifier: Apache-2.0
// Denials: what clients were lately refused and why, for `muster why --client ID`: the last 16 of each of the last
// 1,000 clients that were refused something, in memory. The same refusal again is counted, not kept twice, and at most
// kExplainedASecond are explained, so that whoever is refused on purpose costs little. Owned by server/wiring;
// thread-safe (the device loops write, the API reads).
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/finding.h"
#include "domain/iam/principal.h"
#include "io/env.h"
#include "mqtt/broker/ports.h"

namespace muster::api::device {

struct Denial {
  std::int64_t first_ms = 0, last_ms = 0;
  std::int64_t times = 1;
  std::string action;                                        // "iot:Publish"
  std::string name;                                          // topic, filter or client id; cut at 512 bytes
  std::string principal;                                     // certificate id, user id, name in a token; empty: unknown
  mqtt::PrincipalKind kind = mqtt::PrincipalKind::kUnknown;  // whose name that is
  Findings reasons;
};

// One refusal as it happens, for who keeps a record (the audit log). Views, for the time of the call.
struct Refused {
  std::string_view client_id, source_ip, action, name, principal;
  mqtt::PrincipalKind kind = mqtt::PrincipalKind::kUnknown;
  const iam::Principal* who = nullptr;  // null: unknown, or of the plain listener
};

class Denials {
 public:
  static constexpr std::size_t kOfClient = 16, kClients = 1000, kMaxNameBytes = 512, kMaxClientBytes = 256;
  static constexpr int kExplainedASecond = 200;

  explicit Denials(const io::Clock& clock) : clock_(clock) {}
  // Told of every refusal, on the loop that refuses. Set before the first one.
  void on_refused(std::function<void(const Refused&)> told) { told_ = std::move(told); }
  // `reasons` is asked only when the refusal is not remembered yet. Client ids longer than kMaxClientBytes are left
  // out.
  void record(const Refused& refused, const std::function<Findings()>& reasons);
  // Newest first.
  std::vector<Denial> of(std::string_view client_id) const;

 private:
  struct Client {
    std::string id;
    std::list<Denial> denials;  // newest first
  };
  // Counts the refusal where it is remembered. On the lock.
  bool count(const std::string& id, const Denial& denial);
  bool may_explain(std::int64_t now_ms);

  const io::Clock& clock_;
  std::function<void(const Refused&)> told_;
  mutable std::mutex mutex_;
  std::list<Client> clients_;  // refused last: first
  std::unordered_map<std::string, std::list<Client>::iterator> by_id_;
  std::int64_t second_ = 0;  // in which so many were explained
  int explained_ = 0;
};

}  // namespace muster::api::device
