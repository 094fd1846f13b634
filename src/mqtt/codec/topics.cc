// SPDX-License-Identifier: Apache-2.0
#include "mqtt/codec/topics.h"

#include <cstring>

#include "base/text.h"

namespace muster::mqtt {
namespace {

constexpr std::size_t kMaxText = 65535;

// True when all bytes are 0x01 to 0x7F: what nearly every topic is, eight bytes a step.
bool is_plain_ascii(std::string_view text) {
  constexpr std::uint64_t kHigh = 0x8080808080808080u;
  constexpr std::uint64_t kOnes = 0x0101010101010101u;
  while (text.size() >= 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data(), 8);
    // With no high bit set, word - kOnes borrows into a high bit only where a byte is zero.
    if (((word | (word - kOnes)) & kHigh) != 0) return false;
    text.remove_prefix(8);
  }
  for (const char c : text) {
    if (c <= 0) return false;
  }
  return true;
}

bool has_valid_wildcards(std::string_view filter) {
  const Levels levels(filter);
  for (auto level = levels.begin(); level != levels.end(); ++level) {
    const std::string_view text = *level;
    if (text.find_first_of("+#") == std::string_view::npos) continue;
    if (text.size() != 1) return false;
    if (text == "#" && !level.last()) return false;
  }
  return true;
}

bool is_plain_filter(std::string_view filter) {
  return !filter.empty() && filter.size() <= kMaxText && is_mqtt_text(filter) && has_valid_wildcards(filter);
}

}  // namespace

bool is_mqtt_text(std::string_view text) {
  if (is_plain_ascii(text)) return true;
  return std::memchr(text.data(), 0, text.size()) == nullptr && is_utf8(text);
}

bool has_wildcard(std::string_view filter) {
  return filter.find_first_of("+#") != std::string_view::npos;
}

bool is_topic_name(std::string_view topic) {
  return !topic.empty() && topic.size() <= kMaxText && !has_wildcard(topic) && is_mqtt_text(topic);
}

bool is_topic_filter(std::string_view filter) {
  if (is_shared(filter)) return parse_shared(filter).has_value();
  return is_plain_filter(filter);
}

std::optional<SharedFilter> parse_shared(std::string_view filter) {
  if (!is_shared(filter) || filter.size() > kMaxText) return std::nullopt;
  const std::string_view rest = filter.substr(7);
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos || slash == 0) return std::nullopt;
  const SharedFilter shared{rest.substr(0, slash), rest.substr(slash + 1)};
  if (has_wildcard(shared.group) || !is_mqtt_text(shared.group) || !is_plain_filter(shared.filter)) return std::nullopt;
  return shared;
}

bool topic_matches(std::string_view filter, std::string_view topic) {
  if (topic.starts_with('$') && (filter.starts_with('+') || filter.starts_with('#'))) return false;
  const Levels wanted(filter);
  const Levels given(topic);
  auto want = wanted.begin();
  auto have = given.begin();
  for (; want != wanted.end(); ++want) {
    const std::string_view level = *want;
    if (level == "#") return true;  // also the parent level: "a/#" matches "a"
    if (have == given.end()) return false;
    if (level != "+" && level != *have) return false;
    ++have;
  }
  return have == given.end();
}

std::size_t count_levels(std::string_view topic) {
  std::size_t levels = 1;
  for (const char c : topic) levels += c == '/' ? 1 : 0;
  return levels;
}

std::size_t count_own_levels(std::string_view topic) {
  if (const auto shared = parse_shared(topic)) topic = shared->filter;
  constexpr std::string_view kRules = "$aws/rules/";
  if (topic.starts_with(kRules)) {
    const std::size_t slash = topic.find('/', kRules.size());
    if (slash != std::string_view::npos) topic.remove_prefix(slash + 1);
  }
  return count_levels(topic);
}

}  // namespace muster::mqtt
