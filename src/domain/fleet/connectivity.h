// SPDX-License-Identifier: Apache-2.0
// Connectivity of things: a thing is connected when a client of its name is. Records are written while the account's
// indexing configuration says so, and after the connection was made or lost, by a ConnectivityRecorder, which also
// knows who is connected now. Source: developer guide, "Device connectivity status".
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "store/store.h"

namespace muster::fleet {

struct Connectivity {
  bool connected = false;
  std::int64_t changed_ms = 0;    // 0: not known
  std::string disconnect_reason;  // AWS's word; empty while connected, or not known
};

std::string connectivity_key(std::string_view thing);
std::string encode(const Connectivity& connectivity);
// Of an empty text: never seen.
Result<Connectivity> decode_connectivity(std::string_view record);
// ThingConnectivity of the API.
json::object connectivity_shape(const Connectivity& connectivity);

// Thread-safe. Made by server/wiring; told by the broker's loops, which it does not hold up: changes wait in memory,
// the last one a client counts, while one transaction is on its way.
class ConnectivityRecorder {
 public:
  explicit ConnectivityRecorder(store::Store& store);
  ~ConnectivityRecorder();

  void connected(std::string_view client, std::string_view session, std::int64_t now_ms);
  // Of another session than the client's last: one that was taken over, and no news.
  void disconnected(std::string_view client, std::string_view session, std::string_view reason, std::int64_t now_ms);

  // A thing was made that may be connected already.
  void recall(std::string_view thing);

  // Whether records are kept. Turned on, which it says, everybody who is connected is recorded; who left meanwhile is
  // for settle().
  bool set_on(bool on);
  // Records that say "connected" of who is not: what an earlier process left, or who went while no records were kept.
  // Blocks; not on a loop.
  Status settle(std::int64_t now_ms, std::string_view reason = kLeftOver);
  static constexpr std::string_view kLeftOver = "SERVER_ERROR";  // the process ended without a word
  static constexpr std::string_view kUnknown = "UNKNOWN";
  // Called after a write that failed, on a thread of the store's engine: retry() is due soon. Must not call back.
  void on_failure(std::function<void()> told);
  void retry();
  // Writes what waits, for some seconds at most. Nothing is on its way when it returns.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::fleet
