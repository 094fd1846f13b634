// SPDX-License-Identifier: Apache-2.0
// What changes of certificates, policies, groups and things make of live connections.
#include <algorithm>
#include <bit>
#include <optional>

#include "api/device/authorizer_state.h"
#include "base/log.h"
#include "domain/security/policies.h"

namespace muster::api::device {

namespace {

constexpr std::size_t kReloadBatch = 64;  // connections read again in one transaction
constexpr std::int64_t kRetryMs = 200;    // the store refused
constexpr std::size_t kNamed = 8;         // principals told one by one, of more all are looked at

}  // namespace

void DeviceAuthorizer::State::changed(RightsKind kind, const std::string& name) {
  if (pending.contains({kind, name})) {
    again.emplace(kind, name);
    return;
  }
  const auto work = std::make_shared<Reload>(Reload{.kind = kind, .name = name});
  const PolicyGenerations::Slot slot = PolicyGenerations::slot(kind, name);
  for (auto at = made_of.lower_bound({slot, 0}); at != made_of.end() && at->first == slot; ++at)
    work->grants.push_back(at->second);
  if (work->grants.empty()) return;
  pending.emplace(kind, name);
  // Thousands may share a policy: its document is read once for all of them.
  if (kind == RightsKind::kPolicy) return reload_policy(work);
  reload(work);
}

void DeviceAuthorizer::State::reload_policy(Work work) {
  auto document = std::make_shared<std::optional<std::string>>();
  store::Store::Body body = [work, document](store::Tx& tx) -> Status {
    const auto policy = security::find_policy(tx, work->name);
    *document = policy ? std::optional(policy->current().document) : std::nullopt;
    return {};
  };
  std::weak_ptr<State> weak = weak_from_this();
  io::Loop* owner = &loop;
  store.run(std::move(body), [weak, owner, work, document](Status status) {
    if (weak.expired()) return;
    owner->post([weak, work, document, ok = status.has_value()] {
      const auto self = weak.lock();
      if (!self) return;
      if (!ok) return self->again_later(work);
      // Without it, what a connection may do is a matter of all its facts.
      if (!*document) return self->reload(work);
      for (const std::uint64_t id : std::exchange(work->grants, {})) {
        const auto at = self->grants.find(id);
        if (at == self->grants.end()) continue;
        DeviceGrant& grant = *at->second;
        if (!grant.is_valid()) {
          work->grants.push_back(id);
          continue;
        }
        grant.replace_policy(work->name, **document);
        if (!grant.still_valid()) work->refused.emplace_back(grant.principal_id());
      }
      self->tell(work);
      if (!work->grants.empty()) return self->reload(work);
      self->finish(work);
    });
  });
}

void DeviceAuthorizer::State::reload(Work work) {
  struct Item {
    std::uint64_t id = 0;
    FactsRequest request;
    DeviceFacts facts;
  };
  auto batch = std::make_shared<std::vector<Item>>();
  while (!work->grants.empty() && batch->size() < kReloadBatch) {
    const auto at = grants.find(work->grants.front());
    if (at != grants.end()) batch->push_back({at->first, at->second->request(), {}});
    work->grants.pop_front();
  }
  const std::uint64_t then = generations.now();
  store::Store::Body body = [self = shared_from_this(), batch](store::Tx& tx) -> Status {
    for (Item& item : *batch) {
      TRY(item.facts, read_facts(tx, self->realm, item.request, self->cache));
    }
    return {};
  };
  std::weak_ptr<State> weak = weak_from_this();
  io::Loop* owner = &loop;
  store.run(std::move(body), [weak, owner, batch, then, work](Status status) {
    if (weak.expired()) return;
    owner->post([weak, batch, then, work, ok = status.has_value()] {
      const auto self = weak.lock();
      if (!self) return;
      for (Item& item : *batch) {
        const auto at = self->grants.find(item.id);
        if (at == self->grants.end()) continue;
        DeviceGrant& grant = *at->second;
        if (ok) grant.replace(std::move(item.facts));
        if (!ok || grant.changed_since(then)) work->grants.push_back(item.id);
        if (ok && !grant.still_valid()) work->refused.emplace_back(grant.principal_id());
      }
      if (!ok) return self->again_later(work);
      // The first at once, the others when as many have been read again as before: who is told looks at all connections
      // of a principal, which may be most of those that are being read.
      if (std::has_single_bit(++work->batches)) self->tell(work);
      if (!work->grants.empty()) return self->reload(work);
      self->finish(work);
    });
  });
}

// Unknown what they may do now: they keep what they had until the store answers again.
void DeviceAuthorizer::State::again_later(Work work) {
  log::warn("device permissions could not be read again, will retry", {{"connections", work->grants.size()}});
  auto timer = std::make_shared<std::unique_ptr<io::Loop::TimerToken>>();
  *timer = loop.after_ms(kRetryMs, [weak = weak_from_this(), work, timer] {
    if (const auto alive = weak.lock()) alive->reload(work);
  });
}

void DeviceAuthorizer::State::finish(Work work) {
  pending.erase({work->kind, work->name});
  if (again.erase({work->kind, work->name}) > 0) changed(work->kind, work->name);
  tell(work);
}

void DeviceAuthorizer::State::tell(Work work) {
  std::vector<std::string> whom = std::exchange(work->refused, {});
  if (!refused || whom.empty()) return;
  std::ranges::sort(whom);
  const auto repeated = std::ranges::unique(whom);
  whom.erase(repeated.begin(), repeated.end());
  if (whom.size() > kNamed) return refused({});
  for (std::string& principal : whom) refused(std::move(principal));
}

}  // namespace muster::api::device
