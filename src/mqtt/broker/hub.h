// SPDX-License-Identifier: Apache-2.0
// Hub: what the shards of a broker share. Everything else of the broker is one shard's own and touched on its loop
// only; what is here is constant, atomic, or behind the lock that stands beside it. Locks are leaves: nothing is called
// under them that could take another.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "mqtt/broker/message_log.h"
#include "mqtt/broker/options.h"
#include "mqtt/broker/ports.h"
#include "mqtt/broker/retained.h"
#include "mqtt/broker/subscriptions.h"
#include "mqtt/broker/waiter.h"
#include "mqtt/protocol/connection.h"

namespace muster::mqtt {

struct Shard;

struct Hub {
  explicit Hub(const BrokerOptions& chosen);
  ~Hub();

  // The shard of a client id: its session and its connection live there.
  std::size_t owner(std::string_view client_id) const;
  std::uint64_t queued_bytes() const;  // of all shards

  const BrokerOptions options;
  ConnectionLimits limits;
  // Filled before the loops run, then constant. A shard outlives its loop's run.
  std::vector<std::shared_ptr<Shard>> shards;
  std::vector<std::string> listeners{"other"};
  Lifecycle* lifecycle = nullptr;

  std::unique_ptr<SharedLog> log;

  std::shared_mutex subscriptions_mutex;
  Subscriptions subscriptions;

  std::mutex retained_mutex;
  Retained retained;
  std::uint64_t retained_version = 0;  // grows with each change
  // In the order of the changes of `retained`; shard 0 writes them to the store. Until they are there, the message log
  // has them.
  struct RetainedChange {
    std::string key;
    std::string value;          // empty: erased
    std::uint64_t segment = 0;  // of the message log
  };
  std::vector<RetainedChange> retained_changes;

  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> sessions{0};
  std::atomic<std::size_t> stranger_bytes{0};  // kept for connections that are not let in yet
};

}  // namespace muster::mqtt
