// SPDX-License-Identifier: Apache-2.0
// Retained: the last retained message of each topic, in memory, ordered by topic so that a filter reads only the range
// behind its literal beginning. The store's copy (kRetained: topic -> retained_record()) is the Broker's to write.
// Bounded by count and bytes; set() refuses what does not fit. Owned by the Broker, on its loop.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "mqtt/broker/message.h"

namespace muster::mqtt {

class Retained {
 public:
  Retained(std::size_t max_messages, std::size_t max_bytes) : max_messages_(max_messages), max_bytes_(max_bytes) {}

  bool fits(std::string_view topic, std::size_t bytes) const;
  bool set(const MessageRef& message);  // false: full, nothing changed
  bool erase(std::string_view topic);   // false: there was none
  const MessageRef* find(std::string_view topic) const;
  // Filter valid; '$' topics are not matched by leading wildcards.
  void match(std::string_view filter, const std::function<void(const MessageRef&)>& visit) const;
  // Removes what has expired and tells each topic.
  void drop_expired(std::int64_t now_ms, const std::function<void(const std::string& topic)>& dropped);
  // At most `limit` that have not expired, behind `after` in byte order of topics.
  void page(std::string_view after, std::size_t limit, std::int64_t now_ms,
            const std::function<void(const MessageRef&)>& visit) const;
  std::size_t size() const { return messages_.size(); }

 private:
  std::map<std::string, MessageRef, std::less<>> messages_;
  std::size_t max_messages_;
  std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  bool may_expire_ = false;  // one with an expiry was set since the last look found any
};

std::string retained_key(std::string_view topic);
// The store's form: version 8, then message.h's.
std::string retained_record(std::uint64_t version, std::string_view stored);
struct RetainedRecord {
  std::uint64_t version = 0;
  MessageRef message;
};
std::optional<RetainedRecord> read_retained_record(std::string_view record);  // nullopt: corrupt

}  // namespace muster::mqtt
