// SPDX-License-Identifier: Apache-2.0
// Overlay: what was committed lately, in memory, in key order. It serves two purposes of the embedded engine at once:
// reads see commits that the disk does not have yet, and a transaction learns whether a key or range it read has
// changed since it began. So an entry stays until it is on disk and no running transaction is older than it. Guarded by
// the engine's mutex.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "store/store.h"

namespace muster::store {

class Overlay {
 public:
  struct Entry {
    std::optional<std::string> value;  // nullopt: erased
    std::uint64_t commit = 0;          // the last to change it
  };
  struct Slice {
    std::vector<std::pair<std::string, std::optional<std::string>>> entries;  // in the order of the options
    std::uint64_t newest = 0;
  };

  const Entry* find(std::string_view key) const;
  // Everything that can matter for the first `limit` entries of the merged range.
  Slice slice(const RangeOptions& options) const;
  bool changed_since(std::string_view key, std::uint64_t commit) const;
  bool changed_since(std::string_view begin, std::string_view end, std::uint64_t commit) const;

  void put(std::string key, std::optional<std::string> value, std::uint64_t commit);
  // Drops entries of commits up to `commit`, at most `budget`; true when there are no more such.
  bool trim(std::uint64_t commit, std::size_t budget);
  void clear();
  std::size_t bytes() const { return bytes_; }

 private:
  using Map = std::map<std::string, Entry, std::less<>>;
  static std::size_t weight(const Map::value_type& entry) {
    return entry.first.size() + (entry.second.value ? entry.second.value->size() : 0) + 128;
  }

  Map entries_;
  // Every put, oldest first. A node lives until its youngest put is trimmed, so the older ones' iterators stay valid.
  std::deque<std::pair<std::uint64_t, Map::iterator>> puts_;
  std::size_t bytes_ = 0;
};

// Counters in memory: absolute values, so that an add needs no disk read under the lock. Same guard, same rule of
// staying.
class CounterCache {
 public:
  struct Counter {
    std::int64_t value = 0;
    bool exists = false;
    bool dirty = false;        // to be written with the next flush
    std::uint64_t commit = 0;  // the last to change it
    std::uint64_t used = 0;    // last commit when a transaction asked for it: that one may still be running
  };
  using Map = std::unordered_map<std::string, Counter>;

  Counter* find(const std::string& key);
  // What the disk has, unless another was faster.
  Counter& insert(const std::string& key, std::optional<std::int64_t> stored);
  void change(const std::string& key, bool erased, std::int64_t delta, std::uint64_t commit);
  std::vector<std::pair<std::string, Counter>> take_dirty();
  // Forgets clean ones that no running transaction can have asked for, when there are many.
  void trim(std::uint64_t before_commit);
  void clear();

 private:
  static constexpr std::size_t kMany = 65'536;
  Map counters_;
  std::vector<Map::value_type*> dirty_;
  std::size_t trim_at_ = kMany;
};

}  // namespace muster::store
