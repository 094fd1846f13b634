// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "domain/jobs/plan.h"

namespace muster::jobs {
namespace {

using testing::ElementsAre;

constexpr std::int64_t kStart = 1'795'000'000'123;
constexpr std::int64_t kMinute = 60'000;

// A rollout that takes all it is allowed whenever it is awake.
struct Rollout {
  Pace pace;
  std::vector<Release> made;

  Allowance wake(std::int64_t rate, std::int64_t now) {
    const Allowance allowed = allowance(rate, pace, now);
    if (allowed.count != 0) {
      record_release(pace, rate, allowed.count, now);
      made.push_back({now, allowed.count});
    }
    return allowed;
  }
  std::int64_t in(std::int64_t begin, std::int64_t end) const {
    std::int64_t sum = 0;
    for (const auto& release : made) sum += release.at_ms >= begin && release.at_ms < end ? release.count : 0;
    return sum;
  }
};

TEST(Allowance, a_minute_on_time_makes_exactly_the_rate) {
  for (std::int64_t rate = 1; rate <= kMaxRatePerMinute; ++rate) {
    Rollout rollout;
    for (std::int64_t now = kStart; now < kStart + 3 * kMinute;) now = rollout.wake(rate, now).next_ms;
    ASSERT_EQ(rollout.in(kStart, kStart + kMinute), rate);
    ASSERT_EQ(rollout.in(kStart + kMinute, kStart + 2 * kMinute), rate);
    ASSERT_EQ(rollout.in(kStart + 2 * kMinute, kStart + 3 * kMinute), rate);
    for (std::size_t i = 0; i < rollout.made.size(); ++i) {
      ASSERT_LE(rollout.made[i].count, (rate + 59) / 60) << rate;
      if (i > 0) ASSERT_GE(rollout.made[i].at_ms - rollout.made[i - 1].at_ms, 1000) << rate;
    }
  }
}

TEST(Allowance, slow_rates_are_spread_over_the_minute) {
  const auto times = [](std::int64_t rate) {
    Rollout rollout;
    for (std::int64_t now = 0; now <= kMinute;) now = rollout.wake(rate, now).next_ms;
    std::vector<std::int64_t> seconds;
    for (const auto& release : rollout.made) seconds.push_back(release.at_ms / 1000);
    return seconds;
  };
  EXPECT_THAT(times(1), ElementsAre(0, 60));
  EXPECT_THAT(times(2), ElementsAre(0, 30, 60));
  EXPECT_THAT(times(7), ElementsAre(0, 8, 17, 25, 34, 42, 51, 60));
}

TEST(Allowance, asks_again_when_there_is_more) {
  Rollout rollout;
  const auto first = rollout.wake(120, kStart);
  EXPECT_EQ(first.count, 2);
  EXPECT_EQ(first.next_ms, kStart + 1000);
  const auto early = allowance(120, rollout.pace, kStart + 999);
  EXPECT_EQ(early.count, 0);
  EXPECT_EQ(early.next_ms, kStart + 1000);
  EXPECT_EQ(allowance(120, rollout.pace, kStart + 1000).count, 2);
}

TEST(Allowance, what_was_not_used_is_not_made_up_for) {
  Pace pace;
  record_release(pace, 600, 3, kStart);  // of 10
  EXPECT_EQ(allowance(600, pace, kStart + 1000).count, 10);
  EXPECT_EQ(allowance(600, pace, kStart + 30'000).count, 10);
  EXPECT_EQ(allowance(600, pace, kStart + 100 * kMinute).count, 10);
}

TEST(Allowance, a_lower_rate_waits_until_the_minute_has_room) {
  Rollout rollout;
  for (std::int64_t now = kStart; now < kStart + 10'000; now += 1000) rollout.wake(600, now);
  ASSERT_EQ(rollout.made.size(), 10u);  // of 10 each
  const auto lowered = allowance(50, rollout.pace, kStart + 10'000);
  EXPECT_EQ(lowered.count, 0);
  // Six of them must be gone: with 50 in the minute there is no room for one more.
  EXPECT_EQ(lowered.next_ms, kStart + 5000 + kMinute);
  EXPECT_EQ(allowance(50, rollout.pace, lowered.next_ms - 1).count, 0);
  EXPECT_EQ(allowance(50, rollout.pace, lowered.next_ms).count, 1);
}

TEST(Allowance, a_higher_rate_counts_from_the_last_release) {
  Rollout rollout;
  rollout.wake(1, kStart);
  EXPECT_EQ(allowance(1, rollout.pace, kStart + 2000).next_ms, kStart + kMinute);
  EXPECT_GE(allowance(1000, rollout.pace, kStart + 2000).count, 16);
  EXPECT_EQ(allowance(1000, rollout.pace, kStart + 999).count, 0);
}

TEST(Allowance, releases_within_a_second_are_one) {
  Pace pace;
  record_release(pace, 600, 4, kStart);
  record_release(pace, 600, 6, kStart + 400);
  record_release(pace, 600, 0, kStart + 700);  // nothing
  ASSERT_EQ(pace.recent.size(), 1u);
  EXPECT_EQ(pace.recent[0].count, 10);
  EXPECT_EQ(pace.slot, 1);
  EXPECT_EQ(allowance(600, pace, kStart + 1399).next_ms, kStart + 1400);
}

TEST(Allowance, a_clock_that_was_set_back_stops_it_for_two_minutes_at_most) {
  Rollout rollout;
  for (std::int64_t now = kStart; now < kStart + 2 * kMinute; now += 1000) rollout.wake(600, now);
  EXPECT_EQ(allowance(600, rollout.pace, kStart - 10 * kMinute).count, 10);
  const std::int64_t back = kStart + 2 * kMinute - 30'000;
  const auto waiting = allowance(600, rollout.pace, back);
  EXPECT_EQ(waiting.count, 0);
  EXPECT_LE(waiting.next_ms, back + 2 * kMinute);
  EXPECT_GT(allowance(600, rollout.pace, waiting.next_ms).count, 0);
}

TEST(Allowance, late_wake_ups_cost_their_lateness_only) {
  std::mt19937 random(5);
  for (const std::int64_t rate : {1, 7, 30, 59, 60, 61, 500, 1000}) {
    Rollout rollout;
    for (std::int64_t now = kStart; now < kStart + 20 * kMinute;) {
      now = rollout.wake(rate, now).next_ms + static_cast<std::int64_t>(random() % 100);
    }
    EXPECT_GE(rollout.in(kStart, kStart + 20 * kMinute), 20 * rate * 9 / 10) << rate;
  }
}

// Whatever the moments of waking and the changes of the rate: no minute sees more than its rate, releases are a second
// apart and small, and next_ms is the first moment that has something.
TEST(Allowance, holds_in_any_minute_for_any_course) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](std::int64_t n) {
      return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
    };
    Rollout rollout;
    std::int64_t now = kStart, rate = 1 + below(1000);
    for (int step = 0; step < 400; ++step) {
      if (below(40) == 0) rate = 1 + below(below(2) == 0 ? 1000 : 70);
      const Allowance expected = allowance(rate, rollout.pace, now);
      if (expected.count != 0 && below(4) == 0) {  // not all of it
        const std::int64_t part = 1 + below(expected.count);
        record_release(rollout.pace, rate, part, now);
        rollout.made.push_back({now, part});
      } else {
        rollout.wake(rate, now);
      }
      ASSERT_LE(rollout.pace.recent.size(), 61u);
      if (expected.count != 0) {
        ASSERT_LE(rollout.in(now - kMinute + 1, now + 1), rate) << "seed " << seed;
        ASSERT_LE(expected.count, (rate + 59) / 60);
        const std::size_t n = rollout.made.size();
        if (n > 1) ASSERT_GE(now - rollout.made[n - 2].at_ms, 1000) << "seed " << seed;
      }
      const Allowance then = allowance(rate, rollout.pace, now);
      ASSERT_EQ(then.count, 0) << "seed " << seed;
      ASSERT_GT(then.next_ms, now);
      ASSERT_LE(then.next_ms, now + kMinute) << "seed " << seed;
      ASSERT_EQ(allowance(rate, rollout.pace, then.next_ms - 1).count, 0) << "seed " << seed;
      ASSERT_EQ(allowance(rate, rollout.pace, now + below(then.next_ms - now)).count, 0) << "seed " << seed;
      ASSERT_GT(allowance(rate, rollout.pace, then.next_ms).count, 0) << "seed " << seed;
      switch (below(4)) {
        case 0:
          now += 1 + below(500);
          break;
        case 1:
          now = then.next_ms + below(3000);
          break;
        case 2:
          now = then.next_ms + below(50) * below(2000);
          break;
        default:
          now = then.next_ms;
      }
    }
  }
}

RolloutConfig growing(double factor, std::optional<std::int64_t> notified, std::optional<std::int64_t> succeeded) {
  return {1000, ExponentialRate{50, factor, notified, succeeded}};
}

TEST(RateAt, is_the_maximum_without_an_exponential_rate) {
  EXPECT_EQ(rate_at({700, std::nullopt}, 1'000'000, 5), 700);
}

TEST(RateAt, grows_at_each_multiple_of_the_threshold) {
  const auto config = growing(2, 1000, std::nullopt);
  EXPECT_EQ(rate_at(config, 0, 1'000'000), 50);
  EXPECT_EQ(rate_at(config, 999, 0), 50);
  EXPECT_EQ(rate_at(config, 1000, 0), 100);
  EXPECT_EQ(rate_at(config, 1999, 0), 100);
  EXPECT_EQ(rate_at(config, 3000, 0), 400);
  EXPECT_EQ(rate_at(config, 4999, 0), 800);
  EXPECT_EQ(rate_at(config, 5000, 0), 1000);
  EXPECT_EQ(rate_at(config, INT64_MAX, 0), 1000);
}

TEST(RateAt, counts_successes_where_they_are_asked_for) {
  const auto config = growing(1.5, std::nullopt, 10);
  EXPECT_EQ(rate_at(config, 1'000'000, 9), 50);
  EXPECT_EQ(rate_at(config, 0, 10), 75);
  EXPECT_EQ(rate_at(config, 0, 20), 112);  // 112.5
}

TEST(RateAt, is_not_off_by_one_for_what_doubles_cannot_say) {
  EXPECT_EQ(rate_at(growing(1.1, 1, std::nullopt), 1, 0), 55);
  EXPECT_EQ(rate_at(growing(1.2, 1, std::nullopt), 2, 0), 72);
  EXPECT_EQ(rate_at(growing(1.4, 1, std::nullopt), 2, 0), 98);
  EXPECT_EQ(rate_at({1, ExponentialRate{1, 5, 1, std::nullopt}}, 9, 0), 1);
}

}  // namespace
}  // namespace muster::jobs
