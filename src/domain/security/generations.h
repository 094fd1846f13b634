// SPDX-License-Identifier: Apache-2.0
// PolicyGenerations: says cheaply whether what a device may do has changed since one looked, whoever changed it: it
// hears the store's writes of certificates, policies, attachments, things and memberships (store/change_feed.h).
// Whoever keeps the rights of a connection watches what they were made of, and is told of changes of that alone: a
// thing's group concerns the thing's principals, a new certificate nobody.
//
// To miss nothing: remember now(), read, watch(), then ask changed_since(); read again if so.
//
// In memory, bounded: names share slots by hash, a collision only causes a needless second look. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "store/store.h"

namespace muster::security {

// What rights are made of: a certificate (status, policies, things), a policy's document, a group's policies, a thing
// (attributes, type, groups).
enum class RightsKind : std::uint8_t { kCertificate, kPolicy, kGroup, kThing };

class PolicyGenerations {
 public:
  using Slot = std::uint16_t;
  static Slot slot(RightsKind kind, std::string_view name);

  PolicyGenerations();
  // Once, before the store has other users; lives as long as the store runs.
  void follow(store::Store& store, const Realm& realm);

  std::uint64_t now() const { return last_.load(); }
  bool changed_since(std::uint64_t then, std::span<const Slot> concerned) const;
  // Each watch() is undone by one unwatch().
  void watch(std::span<const Slot> concerned);
  void unwatch(std::span<const Slot> concerned);

  void changed(RightsKind kind, std::string_view name);
  // Called after changes of what somebody watches, on a thread of the store's. Add before threads start; must not
  // block.
  using Listener = std::function<void(RightsKind kind, std::string_view name)>;
  void on_change(Listener listener);

 private:
  static constexpr std::size_t kSlots = 1u << 14;
  struct Cell {
    std::atomic<std::uint64_t> changed{0};  // number of the last change
    std::atomic<std::uint32_t> watchers{0};
  };
  std::unique_ptr<std::array<Cell, kSlots>> cells_;
  std::atomic<std::uint64_t> last_{0};
  std::mutex mutex_;
  std::vector<Listener> listeners_;
};

}  // namespace muster::security
