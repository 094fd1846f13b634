// SPDX-License-Identifier: Apache-2.0
#include "domain/security/generations.h"

#include <algorithm>

#include "domain/security/certificates.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::security {

namespace {

namespace table = store::table;

// The reverse rows (kPolicyTarget, kThingPrincipal) are written with these.
constexpr char kTables[] = {table::kCertificate,    table::kPolicy,          table::kPrincipalPolicy,
                            table::kPrincipalThing, table::kThingMembership, table::kThing};

void tell_principal(PolicyGenerations& generations, const Realm& realm, std::string_view arn) {
  if (const auto id = certificate_in_arn(realm, arn))
    generations.changed(RightsKind::kCertificate, *id);
  else if (const auto group = name_in_iot_arn(realm, "thinggroup", arn))
    generations.changed(RightsKind::kGroup, *group);
}

void tell(PolicyGenerations& generations, const Realm& realm, std::string_view key) {
  const auto first = store::KeyReader(key).text();
  if (!first) return;
  switch (key.front()) {
    case table::kCertificate:
      return generations.changed(RightsKind::kCertificate, *first);
    case table::kPolicy:
      return generations.changed(RightsKind::kPolicy, *first);
    case table::kPrincipalPolicy:
    case table::kPrincipalThing:
      return tell_principal(generations, realm, *first);
    case table::kThingMembership:
    case table::kThing:
      return generations.changed(RightsKind::kThing, *first);
    default:
      return;
  }
}

}  // namespace

PolicyGenerations::PolicyGenerations() : cells_(std::make_unique<std::array<Cell, kSlots>>()) {}

PolicyGenerations::Slot PolicyGenerations::slot(RightsKind kind, std::string_view name) {
  const std::size_t hash = std::hash<std::string_view>{}(name)*31 + static_cast<std::size_t>(kind) * 0x9E3779B1u;
  return static_cast<Slot>((hash ^ (hash >> 32)) % kSlots);
}

void PolicyGenerations::follow(store::Store& store, const Realm& realm) {
  store.changes().subscribe({kTables, sizeof kTables}, [this, realm](const std::vector<std::string>& keys) {
    for (const std::string& key : keys) tell(*this, realm, key);
  });
}

bool PolicyGenerations::changed_since(std::uint64_t then, std::span<const Slot> concerned) const {
  return std::ranges::any_of(concerned, [&](Slot slot) { return (*cells_)[slot].changed.load() > then; });
}

void PolicyGenerations::watch(std::span<const Slot> concerned) {
  for (Slot slot : concerned) (*cells_)[slot].watchers.fetch_add(1);
}

void PolicyGenerations::unwatch(std::span<const Slot> concerned) {
  for (Slot slot : concerned) (*cells_)[slot].watchers.fetch_sub(1);
}

// The change is noted before watchers are counted, and watchers ask for changes after they are: one of both sees the
// other.
void PolicyGenerations::changed(RightsKind kind, std::string_view name) {
  Cell& cell = (*cells_)[slot(kind, name)];
  const std::uint64_t number = last_.fetch_add(1) + 1;
  std::uint64_t before = cell.changed.load();
  while (before < number && !cell.changed.compare_exchange_weak(before, number)) {
  }
  if (cell.watchers.load() == 0) return;
  std::lock_guard lock(mutex_);
  for (const auto& listener : listeners_) listener(kind, name);
}

void PolicyGenerations::on_change(Listener listener) {
  std::lock_guard lock(mutex_);
  listeners_.push_back(std::move(listener));
}

}  // namespace muster::security
