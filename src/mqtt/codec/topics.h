// SPDX-License-Identifier: Apache-2.0
// Topic names and filters (MQTT 5 section 4.7, shared subscriptions 4.8.2). Pure functions over views; nothing
// allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace muster::mqtt {

// UTF-8 as MQTT wants it (1.5.4): well-formed, no surrogates, no U+0000.
bool is_mqtt_text(std::string_view text);
// 1 to 65535 bytes of MQTT text without wildcards.
bool is_topic_name(std::string_view topic);
// 1 to 65535 bytes of MQTT text, '#' alone in the last level, '+' alone in a level. "$share/..." must parse, too.
bool is_topic_filter(std::string_view filter);
bool has_wildcard(std::string_view filter);

struct SharedFilter {
  std::string_view group;
  std::string_view filter;
};
inline bool is_shared(std::string_view filter) {
  return filter.starts_with("$share/");
}
// nullopt when it is not of the form $share/group/filter with a non-empty group without wildcards and a valid filter.
std::optional<SharedFilter> parse_shared(std::string_view filter);

// Both valid. A filter that starts with a wildcard does not match a topic that starts with '$' (4.7.2). `filter` is the
// part behind $share/group/.
bool topic_matches(std::string_view filter, std::string_view topic);

// for (std::string_view level : Levels(topic)): "a//b" has three, "/" two, "" one (empty).
class Levels {
 public:
  explicit Levels(std::string_view topic) : topic_(topic) {}
  class Iterator {
   public:
    Iterator(const char* at, const char* end) : at_(at), end_(end) { find(); }
    std::string_view operator*() const { return {at_, static_cast<std::size_t>(stop_ - at_)}; }
    Iterator& operator++() {
      if (stop_ == end_) {
        at_ = nullptr;
      } else {
        at_ = stop_ + 1;
        find();
      }
      return *this;
    }
    bool last() const { return stop_ == end_; }  // no level behind this one
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    friend class Levels;
    Iterator() = default;
    void find() {
      stop_ = at_;
      while (stop_ != end_ && *stop_ != '/') ++stop_;
    }
    const char* at_ = nullptr;
    const char* stop_ = nullptr;
    const char* end_ = nullptr;
  };
  Iterator begin() const {
    const char* start = topic_.data() == nullptr ? "" : topic_.data();
    return {start, start + topic_.size()};
  }
  Iterator end() const { return {}; }

 private:
  std::string_view topic_;
};
std::size_t count_levels(std::string_view topic);
// What AWS counts against its bound on slashes: the levels behind $aws/rules/NAME/, and of a shared subscription those
// of its filter.
std::size_t count_own_levels(std::string_view topic);

}  // namespace muster::mqtt
