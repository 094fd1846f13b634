// SPDX-License-Identifier: Apache-2.0
// PolicyGenerations: says cheaply whether what a certificate may do has changed since one looked, so that deactivation,
// detachment and new policy versions reach live connections. The service layer bumps after the commit; the device
// authorizer compares generation() (two atomic loads) on each packet, and the broker's owner is told by listeners.
// In memory, bounded: certificates share slots by hash, a collision only causes a needless second look. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace muster::security {

class PolicyGenerations {
 public:
  PolicyGenerations();
  // Grows with each change that may concern the certificate.
  std::uint64_t generation(std::string_view certificate_id) const;
  void bump(std::string_view certificate_id);  // this certificate's status, policies or things changed
  void bump_all();                             // a policy's version, a group's policies or members changed
  // Called after each bump, on the bumping thread, with the certificate id, or "" for all. Add before threads start;
  // must not block.
  void on_change(std::function<void(std::string_view certificate_id)> listener);

 private:
  static constexpr std::size_t kSlots = 1u << 14;
  static std::size_t slot(std::string_view certificate_id);
  std::unique_ptr<std::array<std::atomic<std::uint64_t>, kSlots>> slots_;
  std::atomic<std::uint64_t> all_{0};
  std::mutex mutex_;
  std::vector<std::function<void(std::string_view)>> listeners_;
};

}  // namespace muster::security
