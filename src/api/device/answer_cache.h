// SPDX-License-Identifier: Apache-2.0
// AnswerCache: questions of one kind that a connection asked, and their answers, so that a device that goes round its
// topics, or a subscriber of many, has its policies evaluated once for each. Exact: a topic is found by its bytes.
// Holds kFirst topics of at most kMaxTopicBytes, up to kMost of them as long as there is room, which all connections of
// a loop share: without room it forgets sooner. On the loop of its connection. Values only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster::api::device {

// Bytes that the caches of a loop may take beyond their first entries.
struct AnswerRoom {
  std::size_t bytes = 64u << 20;
};

class AnswerCache {
 public:
  static constexpr std::size_t kFirst = 8;
  static constexpr std::size_t kMost = 256;
  static constexpr std::size_t kMaxTopicBytes = 256;

  explicit AnswerCache(AnswerRoom* room = nullptr) : room_(room) {}
  ~AnswerCache() { give_back(); }
  AnswerCache(const AnswerCache&) = delete;
  AnswerCache& operator=(const AnswerCache&) = delete;

  template <class Ask>
  bool answer(std::string_view topic, Ask&& ask) {
    if (topic.empty() || topic.size() > kMaxTopicBytes) return ask();
    // What was asked last is asked again most often.
    if (last_ < entries_.size() && entries_[last_].topic == topic) return entries_[last_].allowed;
    const std::size_t hash = std::hash<std::string_view>{}(topic);
    if (const std::size_t at = find(hash, topic); at < entries_.size()) {
      last_ = at;
      return entries_[at].allowed;
    }
    const bool allowed = ask();
    put(hash, topic, allowed);
    return allowed;
  }
  void forget() {
    give_back();
    entries_.clear();
    entries_.shrink_to_fit();
    last_ = 0;
  }
  std::size_t capacity() const { return entries_.size(); }

 private:
  struct Entry {
    std::string topic;  // empty: free
    std::size_t hash = 0;
    bool allowed = false;
  };
  static constexpr std::size_t kWays = 4;  // a topic may stand in one of so many places
  static constexpr std::size_t kEntryBytes = sizeof(Entry) + kMaxTopicBytes;

  std::size_t set_of(std::size_t hash) const { return hash % (entries_.size() / kWays) * kWays; }
  std::size_t find(std::size_t hash, std::string_view topic) const {
    if (entries_.empty()) return 0;
    const std::size_t begin = set_of(hash);
    for (std::size_t at = begin; at < begin + kWays; ++at)
      if (entries_[at].hash == hash && entries_[at].topic == topic) return at;
    return entries_.size();
  }
  void put(std::size_t hash, std::string_view topic, bool allowed) {
    if (entries_.empty()) entries_.resize(kFirst);
    std::size_t at = free_place(hash);
    while (at == entries_.size() && grow()) at = free_place(hash);
    // Full: the places of the set are taken in turn.
    if (at == entries_.size()) at = set_of(hash) + next_++ % kWays;
    entries_[at].topic = topic;
    entries_[at].hash = hash;
    entries_[at].allowed = allowed;
    last_ = at;
  }
  std::size_t free_place(std::size_t hash) const {
    const std::size_t begin = set_of(hash);
    for (std::size_t at = begin; at < begin + kWays; ++at)
      if (entries_[at].topic.empty()) return at;
    return entries_.size();
  }
  bool grow() {
    const std::size_t more = entries_.size() * kEntryBytes;
    if (room_ == nullptr || entries_.size() >= kMost || room_->bytes < more) return false;
    room_->bytes -= more;
    taken_ += more;
    std::vector<Entry> old = std::exchange(entries_, {});
    entries_.resize(old.size() * 2);
    for (Entry& entry : old) {
      if (entry.topic.empty()) continue;
      const std::size_t at = free_place(entry.hash);
      if (at < entries_.size()) entries_[at] = std::move(entry);
    }
    return true;
  }
  void give_back() {
    if (room_ != nullptr) room_->bytes += std::exchange(taken_, 0);
  }

  AnswerRoom* room_;
  std::vector<Entry> entries_;  // made by the first question
  std::size_t last_ = 0;
  std::size_t taken_ = 0;  // of the room
  std::uint8_t next_ = 0;
};

}  // namespace muster::api::device
