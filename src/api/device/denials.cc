// SPDX-License-Identifier: Apache-2.0
#include "api/device/denials.h"

#include <algorithm>

namespace muster::api::device {

void Denials::record(std::string_view client_id, std::string_view action, std::string_view name,
                     std::string_view principal, const std::function<Findings()>& reasons) {
  if (client_id.size() > kMaxClientBytes) return;
  name = name.substr(0, kMaxNameBytes);
  const std::lock_guard lock(mutex_);
  const std::string id(client_id);
  const auto known = by_id_.find(id);
  if (known == by_id_.end()) {
    clients_.push_front({id, {}});
    by_id_.emplace(id, clients_.begin());
    if (clients_.size() > kClients) {
      by_id_.erase(clients_.back().id);
      clients_.pop_back();
    }
  } else {
    clients_.splice(clients_.begin(), clients_, known->second);
  }
  auto& denials = clients_.front().denials;
  const auto same = std::ranges::find_if(denials, [&](const Denial& denial) {
    return denial.action == action && denial.name == name && denial.principal == principal;
  });
  const std::int64_t now_ms = clock_.now_ms();
  if (same != denials.end()) {
    same->last_ms = now_ms;
    ++same->times;
    denials.splice(denials.begin(), denials, same);
    return;
  }
  denials.push_front({now_ms, now_ms, 1, std::string(action), std::string(name), std::string(principal), reasons()});
  if (denials.size() > kOfClient) denials.pop_back();
}

std::vector<Denial> Denials::of(std::string_view client_id) const {
  const std::lock_guard lock(mutex_);
  const auto at = by_id_.find(std::string(client_id));
  if (at == by_id_.end()) return {};
  return {at->second->denials.begin(), at->second->denials.end()};
}

}  // namespace muster::api::device
