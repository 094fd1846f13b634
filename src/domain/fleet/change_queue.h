// SPDX-License-Identifier: Apache-2.0
// ChangeQueue: the things that were written and not yet read again, oldest first: who writes one thing all the time
// holds up no other. Bounded by the number of things. The Indexer's, under its mutex.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <ranges>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "domain/fleet/index.h"

namespace muster::fleet {

class ChangeQueue {
 public:
  struct Change {
    std::string thing;
    SourceMask sources = 0;
    std::uint64_t number = 0;  // ascending
  };

  // One that waits already keeps its place.
  void add(std::string thing, SourceMask sources) {
    ++heard_;
    auto [at, is_new] = waiting_.try_emplace(std::move(thing), Waiting{0, heard_});
    at->second.sources |= sources;
    if (is_new) order_.emplace_back(heard_, at->first);
  }

  std::vector<Change> take(std::size_t limit) {
    std::vector<Change> taken;
    while (taken.size() < limit && skip_stale()) {
      auto found = waiting_.find(order_.front().second);
      taken.push_back({found->first, found->second.sources, found->second.number});
      waiting_.erase(found);
      order_.pop_front();
    }
    return taken;
  }

  // To where they were.
  void give_back(const std::vector<Change>& changes) {
    for (const Change& change : changes | std::views::reverse) {
      Waiting& waiting = waiting_[change.thing];
      waiting.sources |= change.sources;
      waiting.number = change.number;
      order_.emplace_front(change.number, change.thing);
    }
  }

  bool empty() const { return waiting_.empty(); }
  void clear() {
    waiting_.clear();
    order_.clear();
  }
  std::uint64_t heard() const { return heard_; }
  // Changes up to this number wait no longer, when nothing is taken.
  std::uint64_t done() { return skip_stale() ? order_.front().first - 1 : heard_; }

 private:
  struct Waiting {
    SourceMask sources = 0;
    std::uint64_t number = 0;
  };

  // Passes over places that were given up when a change was given back. False: nothing waits.
  bool skip_stale() {
    while (!order_.empty()) {
      auto found = waiting_.find(order_.front().second);
      if (found != waiting_.end() && found->second.number == order_.front().first) return true;
      order_.pop_front();
    }
    return false;
  }

  std::unordered_map<std::string, Waiting> waiting_;
  std::deque<std::pair<std::uint64_t, std::string>> order_;
  std::uint64_t heard_ = 0;
};

}  // namespace muster::fleet
