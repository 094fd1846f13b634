// SPDX-License-Identifier: Apache-2.0
// AnswerCache: the last few questions of one kind that a connection asked, and their answers, so that a device that
// goes round its topics has its policies evaluated once each. At most kEntries topics of kMaxTopicBytes; on the loop of
// its connection. Values only.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace muster::api::device {

class AnswerCache {
 public:
  static constexpr std::size_t kEntries = 8;
  static constexpr std::size_t kMaxTopicBytes = 256;

  template <class Ask>
  bool answer(std::string_view topic, Ask&& ask) {
    if (topic.size() > kMaxTopicBytes) return ask();
    for (std::size_t i = 0; i < used_; ++i) {
      // The one that was asked last is asked again most often.
      const Entry& entry = (*entries_)[(last_ + i) % used_];
      if (entry.topic != topic) continue;
      last_ = static_cast<std::uint8_t>((last_ + i) % used_);
      return entry.allowed;
    }
    const bool allowed = ask();
    if (!entries_) entries_ = std::make_unique<std::array<Entry, kEntries>>();
    if (used_ < kEntries) {
      last_ = used_++;
    } else {
      last_ = oldest_;
      oldest_ = static_cast<std::uint8_t>((oldest_ + 1) % kEntries);
    }
    Entry& entry = (*entries_)[last_];
    entry.topic = topic;
    entry.allowed = allowed;
    return allowed;
  }
  void forget() { used_ = last_ = oldest_ = 0; }

 private:
  struct Entry {
    std::string topic;
    bool allowed = false;
  };
  std::unique_ptr<std::array<Entry, kEntries>> entries_;  // made by the first question
  std::uint8_t used_ = 0, last_ = 0, oldest_ = 0;
};

}  // namespace muster::api::device
