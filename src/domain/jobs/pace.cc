// SPDX-License-Identifier: Apache-2.0
// The rate of a rollout (plan.h): how much may be released now.
#include <algorithm>
#include <cmath>

#include "domain/jobs/plan.h"

namespace muster::jobs {

namespace {

constexpr std::int64_t kMinuteMs = 60'000, kSlotMs = 1000, kSlots = 60;

// ceil((n + 1) R / 60) - ceil(n R / 60): the first slot has at least one, any 60 in a row have R together.
std::int64_t share_of(std::int64_t slot, std::int64_t rate) {
  const std::int64_t n = slot % kSlots;
  const auto up_to = [&](std::int64_t slots) { return (slots * rate + kSlots - 1) / kSlots; };
  return up_to(n + 1) - up_to(n);
}

// The next slot with a share.
std::int64_t next_slot(std::int64_t slot, std::int64_t rate) {
  while (share_of(slot, rate) == 0) ++slot;
  return slot;
}

// A release more than a minute ahead says that the clock was set back: it would stop the rollout for as long.
bool is_recent(const Release& release, std::int64_t now_ms) {
  return release.at_ms > now_ms - kMinuteMs && release.at_ms <= now_ms + kMinuteMs;
}

// When the next slot with a share begins: as many slots after the last release as there are to go.
std::int64_t due_ms(std::int64_t rate, const Pace& pace, std::int64_t now_ms) {
  if (pace.recent.empty() || !is_recent(pace.recent.back(), now_ms)) return now_ms;  // no gap is longer than a minute
  return pace.recent.back().at_ms + (next_slot(pace.slot, rate) - pace.slot + 1) * kSlotMs;
}

std::int64_t released(const Pace& pace, std::int64_t now_ms) {
  std::int64_t sum = 0;
  for (const auto& release : pace.recent) sum += is_recent(release, now_ms) ? release.count : 0;
  return sum;
}

// When so much has left the last minute that one more fits.
std::int64_t fits_ms(std::int64_t rate, const Pace& pace, std::int64_t now_ms) {
  std::int64_t sum = released(pace, now_ms);
  std::int64_t when = now_ms;
  for (const auto& release : pace.recent) {
    if (sum < rate) break;
    if (!is_recent(release, now_ms)) continue;
    sum -= release.count;
    when = release.at_ms + kMinuteMs;
  }
  return when;
}

std::int64_t earliest_ms(std::int64_t rate, const Pace& pace, std::int64_t now_ms) {
  return std::max(due_ms(rate, pace, now_ms), fits_ms(rate, pace, now_ms));
}

}  // namespace

Allowance allowance(std::int64_t rate_per_minute, const Pace& pace, std::int64_t now_ms) {
  const std::int64_t rate = std::max<std::int64_t>(rate_per_minute, 1);
  const std::int64_t earliest = earliest_ms(rate, pace, now_ms);
  if (earliest > now_ms) return {0, earliest};
  Allowance now;
  now.count = std::min(share_of(next_slot(pace.slot, rate), rate), rate - released(pace, now_ms));
  Pace after = pace;
  record_release(after, rate, now.count, now_ms);
  now.next_ms = earliest_ms(rate, after, now_ms);
  return now;
}

void record_release(Pace& pace, std::int64_t rate_per_minute, std::int64_t count, std::int64_t now_ms) {
  if (count <= 0) return;
  std::erase_if(pace.recent, [&](const Release& release) { return !is_recent(release, now_ms); });
  if (!pace.recent.empty() && now_ms - pace.recent.back().at_ms < kSlotMs) {
    Release& last = pace.recent.back();
    last.count += count;
    last.at_ms = std::max(last.at_ms, now_ms);
    return;
  }
  pace.recent.push_back({now_ms, count});
  pace.slot = (next_slot(pace.slot, std::max<std::int64_t>(rate_per_minute, 1)) + 1) % kSlots;
}

std::int64_t rate_at(const RolloutConfig& config, std::int64_t notified, std::int64_t succeeded) {
  if (!config.exponential) return config.maximum_per_minute;
  constexpr double kRounding = 1e-6;  // 50 * 1.1 is 55 to everybody
  const ExponentialRate& rate = *config.exponential;
  const std::int64_t reached =
      rate.notified_things ? notified / *rate.notified_things : succeeded / rate.succeeded_things.value_or(INT64_MAX);
  const double grown = static_cast<double>(rate.base_per_minute) *
                       std::pow(rate.increment_factor, static_cast<double>(std::max<std::int64_t>(reached, 0)));
  if (!(grown < static_cast<double>(config.maximum_per_minute))) return config.maximum_per_minute;
  return static_cast<std::int64_t>(grown + kRounding);
}

}  // namespace muster::jobs
