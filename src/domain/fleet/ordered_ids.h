// SPDX-License-Identifier: Apache-2.0
// OrderedIds: numbers in an order that their owner knows, in blocks of at most 512, four bytes each. Positions are
// valid until the next change. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace muster::fleet {

class OrderedIds {
 public:
  struct Position {
    std::size_t block = 0, index = 0;
  };

  bool empty() const { return blocks_.empty(); }
  std::size_t size() const { return size_; }
  Position begin() const { return {}; }
  bool at_end(const Position& at) const { return at.block == blocks_.size(); }
  std::uint32_t at(const Position& at) const { return blocks_[at.block][at.index]; }
  void next(Position& at) const {
    if (++at.index < blocks_[at.block].size()) return;
    ++at.block;
    at.index = 0;
  }

  // Some steps on, within the block: for who fetches early.
  std::uint32_t ahead(const Position& at, std::size_t steps) const {
    const auto& block = blocks_[at.block];
    return block[std::min(at.index + steps, block.size() - 1)];
  }

  // The first for which before() is false; before() is true up to some place, false from there on.
  template <class Before>
  Position lower_bound(Before before) const {
    // What comes in order is found to be last at once.
    if (!blocks_.empty() && before(blocks_.back().back())) return {.block = blocks_.size(), .index = 0};
    auto block = std::partition_point(blocks_.begin(), blocks_.end(),
                                      [&](const std::vector<std::uint32_t>& ids) { return before(ids.back()); });
    if (block == blocks_.end()) return {.block = blocks_.size(), .index = 0};
    auto index = std::partition_point(block->begin(), block->end(), before);
    return {.block = static_cast<std::size_t>(block - blocks_.begin()),
            .index = static_cast<std::size_t>(index - block->begin())};
  }

  // Before what stands at the position.
  void insert(Position at, std::uint32_t id) {
    ++size_;
    if (at_end(at)) {
      if (blocks_.empty() || blocks_.back().size() >= kBlock) blocks_.emplace_back();
      blocks_.back().push_back(id);
      return;
    }
    auto& block = blocks_[at.block];
    block.insert(block.begin() + static_cast<std::ptrdiff_t>(at.index), id);
    if (block.size() <= kBlock) return;
    std::vector<std::uint32_t> upper(block.begin() + kBlock / 2, block.end());
    block.resize(kBlock / 2);
    block.shrink_to_fit();
    blocks_.insert(blocks_.begin() + static_cast<std::ptrdiff_t>(at.block) + 1, std::move(upper));
  }

  void erase(Position at) {
    --size_;
    auto& block = blocks_[at.block];
    block.erase(block.begin() + static_cast<std::ptrdiff_t>(at.index));
    if (block.empty()) blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(at.block));
  }

 private:
  static constexpr std::size_t kBlock = 512;
  std::vector<std::vector<std::uint32_t>> blocks_;  // none is empty
  std::size_t size_ = 0;
};

}  // namespace muster::fleet
