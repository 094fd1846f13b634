// SPDX-License-Identifier: Apache-2.0
#include "api/device/denials.h"

#include <algorithm>

namespace muster::api::device {

bool Denials::count(const std::string& id, const Denial& denial) {
  const auto known = by_id_.find(id);
  if (known == by_id_.end()) return false;
  clients_.splice(clients_.begin(), clients_, known->second);
  auto& denials = clients_.front().denials;
  const auto same = std::ranges::find_if(denials, [&](const Denial& other) {
    return other.action == denial.action && other.name == denial.name && other.principal == denial.principal &&
           other.kind == denial.kind;
  });
  if (same == denials.end()) return false;
  same->last_ms = denial.last_ms;
  ++same->times;
  denials.splice(denials.begin(), denials, same);
  return true;
}

bool Denials::may_explain(std::int64_t now_ms) {
  if (now_ms / 1000 != second_) {
    second_ = now_ms / 1000;
    explained_ = 0;
  }
  return explained_++ < kExplainedASecond;
}

void Denials::record(const Refused& refused, const std::function<Findings()>& reasons) {
  if (told_) told_(refused);
  if (refused.client_id.size() > kMaxClientBytes) return;
  const std::string id(refused.client_id);
  const std::int64_t now_ms = clock_.now_ms();
  Denial denial{
      now_ms,
      now_ms,
      1,
      std::string(refused.action),
      std::string(refused.name.substr(0, kMaxNameBytes)),
      std::string(refused.principal),
      refused.kind,
      {{"denial.not_explained", "Too much was refused in that second to explain this one; ask about it afresh.", {}}}};
  bool explain = false;
  {
    const std::lock_guard lock(mutex_);
    if (count(id, denial)) return;
    explain = may_explain(now_ms);
  }
  if (explain) denial.reasons = reasons();
  const std::lock_guard lock(mutex_);
  if (count(id, denial)) return;  // another loop was faster
  if (!by_id_.contains(id)) {
    clients_.push_front({id, {}});
    by_id_.emplace(id, clients_.begin());
  }
  if (clients_.size() > kClients) {
    by_id_.erase(clients_.back().id);
    clients_.pop_back();
  }
  auto& denials = clients_.front().denials;  // count() has brought it there
  denials.push_front(std::move(denial));
  if (denials.size() > kOfClient) denials.pop_back();
}

std::vector<Denial> Denials::of(std::string_view client_id) const {
  const std::lock_guard lock(mutex_);
  const auto at = by_id_.find(std::string(client_id));
  if (at == by_id_.end()) return {};
  return {at->second->denials.begin(), at->second->denials.end()};
}

}  // namespace muster::api::device
