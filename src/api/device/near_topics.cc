// SPDX-License-Identifier: Apache-2.0
#include "api/device/near_topics.h"

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace muster::api::device {

namespace {

constexpr std::string_view kThings = "$aws/things/", kEvents = "$aws/events/";
constexpr std::size_t kLevelsTried = 16;

bool is_reserved(std::string_view topic) {
  return topic.starts_with(kThings) || topic.starts_with(kEvents);
}

Finding nearly(std::string_view kind, std::string_view topic, const std::string& meant, const std::string& how) {
  return {"topic.near." + std::string(kind),
          "Topic " + std::string(topic) + " is nearly " + meant + ": " + how + ".",
          {{"topic", std::string(topic)}, {"meant", meant}}};
}

// The words of a reserved topic in lower case; names stay: $aws/things/THING/jobs/JOB/get, .../shadow/name/SHADOW/get.
std::string lower_words(std::string_view topic) {
  std::string out;
  std::size_t level = 0;
  bool after_jobs = false, after_shadow = false, after_name = false;
  for (const auto part : split(topic, '/')) {
    if (level > 0) out += '/';
    const bool thing = level == 2;
    const bool job = level == 4 && after_jobs && !equals_ignore_case(part, "get") &&
                     !equals_ignore_case(part, "start-next") && !equals_ignore_case(part, "notify") &&
                     !equals_ignore_case(part, "notify-next");
    out += thing || job || after_name ? std::string(part) : lower(part);
    after_name = level == 4 && after_shadow && equals_ignore_case(part, "name");
    if (level == 3) {
      after_jobs = equals_ignore_case(part, "jobs");
      after_shadow = equals_ignore_case(part, "shadow");
    }
    ++level;
  }
  return out;
}

std::optional<Finding> by_dollar(const NearQuestion& q) {
  std::string_view topic = q.topic;
  if (topic.starts_with('/')) topic.remove_prefix(1);
  const std::string with = topic.starts_with('$') ? std::string(topic) : "$" + std::string(topic);
  const std::string words = lower_words(with);
  if (topic.starts_with('$') || !is_reserved(words)) return std::nullopt;
  return nearly("dollar", q.topic, words, "reserved topics begin with '$aws/', without a slash before it");
}

std::optional<Finding> by_slash(const NearQuestion& q) {
  if (q.topic.starts_with('/')) {
    const std::string without(q.topic.substr(1));
    if (!without.empty() && ((!q.is_allowed && q.allowed(without)) || is_reserved(without))) {
      return nearly("slash", q.topic, without, "it has a slash in front, which makes another topic");
    }
    return std::nullopt;
  }
  if (const std::string with = "/" + std::string(q.topic); !q.is_allowed && q.allowed(with)) {
    return nearly("slash", q.topic, with, "what is allowed has a slash in front");
  }
  return std::nullopt;
}

std::optional<Finding> by_case(const NearQuestion& q) {
  if (q.topic.starts_with('$')) {
    const std::string words = lower_words(q.topic);
    if (words != q.topic && is_reserved(words)) return nearly("case", q.topic, words, "case counts in topics");
  }
  if (q.is_allowed) return std::nullopt;
  const std::string low = lower(q.topic);
  for (const std::string& pattern : q.patterns) {
    if (wildcard_match(pattern, q.topic) || !wildcard_match(lower(pattern), low)) continue;
    return nearly("case", q.topic, pattern, "case counts in topics");
  }
  return std::nullopt;
}

std::optional<Finding> by_thing(const NearQuestion& q) {
  if (q.is_allowed) return std::nullopt;
  const auto levels = split(q.topic, '/');
  for (std::size_t i = 0; i < levels.size() && i < kLevelsTried; ++i) {
    for (const std::string& name : q.names) {
      if (levels[i] == name || levels[i].empty()) continue;
      std::string meant;
      for (std::size_t k = 0; k < levels.size(); ++k) {
        meant += (k == 0 ? "" : "/") + (k == i ? name : std::string(levels[k]));
      }
      if (!q.allowed(meant)) continue;
      return nearly("thing", q.topic, meant,
                    "it names " + std::string(levels[i]) + ", and the client is allowed its own " + name);
    }
  }
  return std::nullopt;
}

}  // namespace

Findings near_topics(const NearQuestion& question) {
  Findings findings;
  for (const auto test : {by_dollar, by_slash, by_case, by_thing}) {
    if (auto finding = test(question)) findings.push_back(*std::move(finding));
  }
  return findings;
}

}  // namespace muster::api::device
