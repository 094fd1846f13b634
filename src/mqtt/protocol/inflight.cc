// SPDX-License-Identifier: Apache-2.0
#include "mqtt/protocol/inflight.h"

#include <algorithm>

namespace muster::mqtt {

std::uint16_t OutgoingInflight::add(std::uint64_t token, std::uint8_t qos) {
  const std::uint16_t packet_id = packet_id_of(token);
  // In order, an entry with this id would be 65,535 numbers old, so it can only be the oldest.
  if (size() >= kMaxOutgoing || (!empty() && token - entries_[head_].token >= 65535 && find(packet_id) != nullptr)) {
    return 0;
  }
  entries_.push_back({token, packet_id, qos == 2 ? Wait::kPubrec : Wait::kPuback, false});
  return packet_id;
}

bool OutgoingInflight::restore(const Entry& entry) {
  if (entry.packet_id == 0 || size() >= kMaxOutgoing || find(entry.packet_id) != nullptr) return false;
  entries_.push_back(entry);
  entries_.back().sent = false;
  return true;
}

OutgoingInflight::Entry* OutgoingInflight::find(std::uint16_t packet_id) {
  for (std::size_t i = head_; i < entries_.size(); ++i) {
    if (entries_[i].packet_id == packet_id) return &entries_[i];
  }
  return nullptr;
}

bool OutgoingInflight::remove(std::uint16_t packet_id) {
  const Entry* entry = find(packet_id);
  if (entry == nullptr) return false;
  const auto index = static_cast<std::size_t>(entry - entries_.data());
  if (index == head_) {
    ++head_;  // clients acknowledge in order, so this is the usual case
  } else {
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(index));
  }
  if (head_ == entries_.size()) {
    entries_.clear();
    head_ = 0;
  } else if (head_ >= 64 && head_ * 2 >= entries_.size()) {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
  return true;
}

void OutgoingInflight::connection_began() {
  for (Entry& entry : entries_) entry.sent = false;
}

void OutgoingInflight::clear() {
  entries_.clear();
  head_ = 0;
}

bool IncomingInflight::add(std::uint16_t packet_id) {
  const auto at = std::lower_bound(ids_.begin(), ids_.end(), packet_id);
  if (at != ids_.end() && *at == packet_id) return false;
  ids_.insert(at, packet_id);
  return true;
}

bool IncomingInflight::contains(std::uint16_t packet_id) const {
  return std::binary_search(ids_.begin(), ids_.end(), packet_id);
}

bool IncomingInflight::remove(std::uint16_t packet_id) {
  const auto at = std::lower_bound(ids_.begin(), ids_.end(), packet_id);
  if (at == ids_.end() || *at != packet_id) return false;
  ids_.erase(at);
  return true;
}

void IncomingInflight::clear() {
  ids_.clear();
}

}  // namespace muster::mqtt
