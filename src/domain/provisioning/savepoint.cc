// SPDX-License-Identifier: Apache-2.0
#include "domain/provisioning/savepoint.h"

namespace muster::provisioning {

std::optional<std::string> Savepoint::read(std::string_view key, bool snapshot) {
  return snapshot ? outer_.get_snapshot(key) : outer_.get(key);
}

std::vector<std::optional<std::string>> Savepoint::read_many(const std::vector<std::string>& keys, bool snapshot) {
  return snapshot ? outer_.get_many_snapshot(keys) : outer_.get_many(keys);
}

Status Savepoint::release() {
  if (poison()) return *poison();
  for (const auto& [key, value] : writes()) {
    if (value) {
      outer_.put(key, *value);
    } else {
      outer_.erase(key);
    }
  }
  for (const Append& item : appends()) outer_.append(item.prefix, item.value);
  for (const auto& [key, change] : counters()) {
    if (change.erased) outer_.erase_counter(key);
    if (change.delta != 0) outer_.add(key, change.delta);
  }
  return {};
}

}  // namespace muster::provisioning
