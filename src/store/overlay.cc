// SPDX-License-Identifier: Apache-2.0
#include "store/overlay.h"

#include "base/assert.h"

namespace muster::store {

const Overlay::Entry* Overlay::find(std::string_view key) const {
  const auto at = entries_.find(key);
  return at == entries_.end() ? nullptr : &at->second;
}

Overlay::Slice Overlay::slice(const RangeOptions& options) const {
  Slice slice;
  std::size_t values = 0;
  const auto take = [&](const Map::value_type& entry) {
    slice.entries.emplace_back(entry.first, entry.second.value);
    slice.newest = std::max(slice.newest, entry.second.commit);
    values += entry.second.value.has_value();
  };
  const auto first = entries_.lower_bound(options.begin);
  const auto last = entries_.lower_bound(options.end);
  if (options.reverse) {
    for (auto at = last; at != first && values < options.limit;) take(*--at);
  } else {
    for (auto at = first; at != last && values < options.limit; ++at) take(*at);
  }
  return slice;
}

bool Overlay::changed_since(std::string_view key, std::uint64_t commit) const {
  const auto at = entries_.find(key);
  return at != entries_.end() && at->second.commit > commit;
}

bool Overlay::changed_since(std::string_view begin, std::string_view end, std::uint64_t commit) const {
  for (auto at = entries_.lower_bound(begin); at != entries_.end() && at->first < end; ++at)
    if (at->second.commit > commit) return true;
  return false;
}

void Overlay::put(std::string key, std::optional<std::string> value, std::uint64_t commit) {
  auto at = entries_.lower_bound(key);
  if (at != entries_.end() && at->first == key) {
    const bool same_commit = at->second.commit == commit;
    bytes_ -= weight(*at);
    at->second = {std::move(value), commit};
    bytes_ += weight(*at);
    if (same_commit) return;  // one put per commit and key, as trim() needs it
    puts_.emplace_back(commit, at);
    return;
  }
  at = entries_.emplace_hint(at, std::move(key), Entry{std::move(value), commit});
  bytes_ += weight(*at);
  puts_.emplace_back(commit, at);
}

bool Overlay::trim(std::uint64_t commit, std::size_t budget) {
  while (!puts_.empty() && puts_.front().first <= commit) {
    if (budget-- == 0) return false;
    const auto [of, at] = puts_.front();
    puts_.pop_front();
    if (at->second.commit != of) continue;  // overwritten by a younger commit
    // The same commit puts a key only once, so no other put refers to this node.
    bytes_ -= weight(*at);
    entries_.erase(at);
  }
  return true;
}

void Overlay::clear() {
  puts_.clear();
  entries_.clear();
  bytes_ = 0;
}

CounterCache::Counter* CounterCache::find(const std::string& key) {
  const auto at = counters_.find(key);
  return at == counters_.end() ? nullptr : &at->second;
}

CounterCache::Counter& CounterCache::insert(const std::string& key, std::optional<std::int64_t> stored) {
  return counters_.try_emplace(key, Counter{.value = stored.value_or(0), .exists = stored.has_value()}).first->second;
}

void CounterCache::change(const std::string& key, bool erased, std::int64_t delta, std::uint64_t commit) {
  const auto at = counters_.find(key);
  CHECK(at != counters_.end());  // before_change() has fetched it, and trim() keeps what running transactions asked for
  Counter& counter = at->second;
  const auto from = static_cast<std::uint64_t>(erased ? 0 : counter.value);
  counter.value = static_cast<std::int64_t>(from + static_cast<std::uint64_t>(delta));
  counter.exists = !erased || delta != 0;
  counter.commit = commit;
  if (!counter.dirty) dirty_.push_back(&*at);
  counter.dirty = true;
}

std::vector<std::pair<std::string, CounterCache::Counter>> CounterCache::take_dirty() {
  std::vector<std::pair<std::string, Counter>> taken;
  taken.reserve(dirty_.size());
  for (auto* entry : dirty_) {
    entry->second.dirty = false;
    taken.emplace_back(entry->first, entry->second);
  }
  dirty_.clear();
  return taken;
}

void CounterCache::trim(std::uint64_t before_commit) {
  if (counters_.size() < trim_at_) return;
  std::erase_if(counters_, [&](const Map::value_type& entry) {
    return !entry.second.dirty && entry.second.commit < before_commit && entry.second.used < before_commit;
  });
  trim_at_ = std::max(kMany, 2 * counters_.size());
}

void CounterCache::clear() {
  dirty_.clear();
  counters_.clear();
}

}  // namespace muster::store
