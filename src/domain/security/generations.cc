// SPDX-License-Identifier: Apache-2.0
#include "domain/security/generations.h"

namespace muster::security {

PolicyGenerations::PolicyGenerations() : slots_(std::make_unique<std::array<std::atomic<std::uint64_t>, kSlots>>()) {}

std::size_t PolicyGenerations::slot(std::string_view certificate_id) {
  return std::hash<std::string_view>{}(certificate_id) % kSlots;
}

// Both counters only grow, so their sum changes whenever one of them does.
std::uint64_t PolicyGenerations::generation(std::string_view certificate_id) const {
  return (*slots_)[slot(certificate_id)].load(std::memory_order_acquire) + all_.load(std::memory_order_acquire);
}

void PolicyGenerations::bump(std::string_view certificate_id) {
  (*slots_)[slot(certificate_id)].fetch_add(1, std::memory_order_acq_rel);
  std::lock_guard lock(mutex_);
  for (const auto& listener : listeners_) listener(certificate_id);
}

void PolicyGenerations::bump_all() {
  all_.fetch_add(1, std::memory_order_acq_rel);
  std::lock_guard lock(mutex_);
  for (const auto& listener : listeners_) listener({});
}

void PolicyGenerations::on_change(std::function<void(std::string_view certificate_id)> listener) {
  std::lock_guard lock(mutex_);
  listeners_.push_back(std::move(listener));
}

}  // namespace muster::security
