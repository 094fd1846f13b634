// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/cron.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/text.h"

namespace muster::jobs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::int64_t kMinuteMs = 60'000;

std::int64_t at(std::string_view text) {
  const auto time = parse_iso8601(text);
  EXPECT_TRUE(time) << text;
  return time.value_or(0);
}
std::string text_of(std::optional<std::int64_t> time) {
  return time ? to_iso8601(*time, false).substr(0, 16) : "never";
}
Cron cron(std::string_view fields) {
  auto parsed = Cron::parse("cron(" + std::string(fields) + ")");
  EXPECT_TRUE(parsed) << fields << ": " << (parsed ? "" : parsed.error().message);
  return parsed ? *parsed : Cron();
}
std::string refusal(std::string_view text) {
  const auto parsed = Cron::parse(text);
  if (parsed) return "accepted";
  EXPECT_EQ(parsed.error().kind, ErrorKind::kInvalid);
  return parsed.error().message;
}
std::string next(std::string_view fields, std::string_view from) {
  return text_of(cron(fields).next_ms(at(from)));
}
std::vector<std::string> series(std::string_view fields, std::string_view from, int count) {
  const Cron parsed = cron(fields);
  std::vector<std::string> times;
  for (auto time = parsed.next_ms(at(from)); time && count > 0; time = parsed.next_ms(*time + 1), --count) {
    times.push_back(text_of(time));
  }
  return times;
}

TEST(Cron, matches_at_or_after_the_moment) {
  EXPECT_EQ(next("0 2 ? * MON *", "2026-11-25T14:30"), "2026-11-30T02:00");
  EXPECT_EQ(next("0 2 ? * MON *", "2026-11-30T02:00"), "2026-11-30T02:00");
  EXPECT_EQ(next("0 2 ? * MON *", "2026-11-30T02:00:00.001Z"), "2026-12-07T02:00");
  EXPECT_EQ(next("30 14 * * ? *", "2026-11-25T14:29:59.999"), "2026-11-25T14:30");
  EXPECT_EQ(next("0 0 * * ? *", "2026-12-31T00:01"), "2027-01-01T00:00");
  EXPECT_EQ(cron("0 2 ? * MON *").text(), "cron(0 2 ? * MON *)");
}

TEST(Cron, lists_ranges_and_steps) {
  EXPECT_THAT(
      series("0,30 9-10 * * ? *", "2026-01-01T09:15", 5),
      ElementsAre("2026-01-01T09:30", "2026-01-01T10:00", "2026-01-01T10:30", "2026-01-02T09:00", "2026-01-02T09:30"));
  EXPECT_THAT(series("*/25 0 1 1 ? *", "2026-01-01T00:00", 4),
              ElementsAre("2026-01-01T00:00", "2026-01-01T00:25", "2026-01-01T00:50", "2027-01-01T00:00"));
  EXPECT_THAT(series("50/5 23 * * ? *", "2026-01-01T00:00", 3),
              ElementsAre("2026-01-01T23:50", "2026-01-01T23:55", "2026-01-02T23:50"));
  EXPECT_THAT(series("10-40/15,59 3 * * ? *", "2026-01-01T00:00", 4),
              ElementsAre("2026-01-01T03:10", "2026-01-01T03:25", "2026-01-01T03:40", "2026-01-01T03:59"));
  EXPECT_THAT(series("0 0 1 1/5 ? *", "2026-01-02T00:00", 3),
              ElementsAre("2026-06-01T00:00", "2026-11-01T00:00", "2027-01-01T00:00"));
  EXPECT_THAT(series("0 0 1 1 ? 2027/2", "2026-01-02T00:00", 2), ElementsAre("2027-01-01T00:00", "2029-01-01T00:00"));
  EXPECT_THAT(series("0 0 30/1 * ? *", "2026-01-01T00:00", 3),
              ElementsAre("2026-01-30T00:00", "2026-01-31T00:00", "2026-03-30T00:00"));
}

TEST(Cron, names_in_any_case) {
  EXPECT_EQ(next("0 0 ? jan-Mar mon-FRI *", "2026-04-01T00:00"), "2027-01-01T00:00");
  EXPECT_EQ(next("0 0 ? DEC Sun,sat *", "2026-01-01T00:00"), "2026-12-05T00:00");
  EXPECT_EQ(next("0 0 ? * 1 *", "2026-11-25T00:00"), "2026-11-29T00:00");  // 1 is Sunday
  EXPECT_EQ(next("0 0 ? * 7 *", "2026-11-25T00:00"), "2026-11-28T00:00");
  EXPECT_EQ(next("0 0 ? * 2-SAT *", "2026-11-29T00:00"), "2026-11-30T00:00");
}

TEST(Cron, leap_days) {
  EXPECT_THAT(series("0 12 29 2 ? *", "2026-01-01T00:00", 3),
              ElementsAre("2028-02-29T12:00", "2032-02-29T12:00", "2036-02-29T12:00"));
  EXPECT_EQ(next("0 12 29 2 ? *", "2096-02-29T12:01"), "2104-02-29T12:00");  // 2100 has none
  EXPECT_EQ(next("0 0 L 2 ? *", "2027-03-01T00:00"), "2028-02-29T00:00");
  EXPECT_EQ(next("0 0 L 2 ? *", "2100-01-01T00:00"), "2100-02-28T00:00");
}

TEST(Cron, last_days_of_months) {
  EXPECT_THAT(series("0 0 L * ? *", "2026-01-31T00:01", 3),
              ElementsAre("2026-02-28T00:00", "2026-03-31T00:00", "2026-04-30T00:00"));
  EXPECT_THAT(
      series("0 0 LW * ? *", "2026-01-01T00:00", 5),
      ElementsAre("2026-01-30T00:00", "2026-02-27T00:00", "2026-03-31T00:00", "2026-04-30T00:00", "2026-05-29T00:00"));
  EXPECT_EQ(next("0 0 31 * ? *", "2026-04-01T00:00"), "2026-05-31T00:00");
  EXPECT_EQ(next("0 0 l * ? *", "2026-04-01T00:00"), "2026-04-30T00:00");
}

TEST(Cron, nearest_working_day_stays_in_its_month) {
  EXPECT_EQ(next("0 0 15W 8 ? 2026", "2026-01-01T00:00"), "2026-08-14T00:00");   // a Saturday: the Friday before
  EXPECT_EQ(next("0 0 15W 11 ? 2026", "2026-01-01T00:00"), "2026-11-16T00:00");  // a Sunday: the Monday after
  EXPECT_EQ(next("0 0 15w 10 ? 2026", "2026-01-01T00:00"), "2026-10-15T00:00");
  EXPECT_EQ(next("0 0 1W 8 ? 2026", "2026-01-01T00:00"), "2026-08-03T00:00");   // Saturday the 1st: forward
  EXPECT_EQ(next("0 0 1W 11 ? 2026", "2026-01-01T00:00"), "2026-11-02T00:00");  // Sunday the 1st
  EXPECT_EQ(next("0 0 31W 5 ? 2026", "2026-01-01T00:00"), "2026-05-29T00:00");  // Sunday the 31st: back
  EXPECT_EQ(next("0 0 31W * ? 2026", "2026-04-01T00:00"), "2026-05-29T00:00");  // April has no 31st
  EXPECT_EQ(next("0 0 28W 2 ? 2026", "2026-01-01T00:00"), "2026-02-27T00:00");
}

TEST(Cron, nth_and_last_weekday) {
  EXPECT_EQ(next("0 0 ? * 6#3 *", "2026-11-01T00:00"), "2026-11-20T00:00");
  EXPECT_EQ(next("0 0 ? * fri#1 *", "2026-05-01T00:00"), "2026-05-01T00:00");
  EXPECT_THAT(series("0 0 ? * MON#5 *", "2026-01-01T00:00", 3),
              ElementsAre("2026-03-30T00:00", "2026-06-29T00:00", "2026-08-31T00:00"));
  EXPECT_EQ(next("0 0 ? * 6L *", "2026-11-01T00:00"), "2026-11-27T00:00");
  EXPECT_EQ(next("0 0 ? 2 SUNL *", "2026-01-01T00:00"), "2026-02-22T00:00");
  EXPECT_EQ(next("0 0 ? 5 1l *", "2026-01-01T00:00"), "2026-05-31T00:00");
  EXPECT_EQ(next("0 0 ? * L *", "2026-11-25T00:00"), "2026-11-28T00:00");  // alone it is Saturday
}

TEST(Cron, far_and_past_years) {
  EXPECT_EQ(next("59 23 31 12 ? 2199", "2026-01-01T00:00"), "2199-12-31T23:59");
  EXPECT_EQ(text_of(cron("* * * * ? *").next_ms(at("2199-12-31T23:59:00.001Z"))), "never");
  EXPECT_EQ(next("0 0 1 1 ? 1970-2025", "2026-01-01T00:00"), "never");
  EXPECT_EQ(text_of(cron("* * * * ? *").next_ms(INT64_MIN)), "1970-01-01T00:00");
  EXPECT_EQ(text_of(cron("* * * * ? *").next_ms(INT64_MAX)), "never");
  EXPECT_EQ(text_of(cron("0 0 ? * 2 *").next_ms(0)), "1970-01-05T00:00");
}

TEST(Cron, dates_that_do_not_exist_are_never_and_found_out_quickly) {
  const Cron impossible = cron("0 0 30 FEB ? *");
  // A scan by the minute would take seconds for each: ctest's time limit would end it.
  for (int i = 0; i < 2000; ++i) ASSERT_EQ(impossible.next_ms(i), std::nullopt);
  EXPECT_EQ(next("0 0 31 4,6,9,11 ? *", "2026-01-01T00:00"), "never");
  EXPECT_EQ(next("0 0 31W 4 ? *", "2026-01-01T00:00"), "never");
  EXPECT_EQ(next("0 0 ? 2 MON#5 2026-2027", "2026-01-01T00:00"), "never");
}

TEST(Cron, last_match_of_a_span) {
  const Cron daily = cron("30 2 * * ? *");
  const auto last = [&](std::string_view from, std::string_view to) {
    return text_of(daily.last_ms(at(from), at(to)));
  };
  EXPECT_EQ(last("2026-01-01T00:00", "2026-01-01T02:29:59"), "never");
  EXPECT_EQ(last("2026-01-01T00:00", "2026-01-01T02:30"), "2026-01-01T02:30");
  EXPECT_EQ(last("2026-01-01T02:30", "2026-01-02T02:29"), "2026-01-01T02:30");
  EXPECT_EQ(last("2026-01-01T02:30:01", "2026-01-02T02:29"), "never");
  EXPECT_EQ(last("2026-01-01T00:00", "2027-01-01T00:00"), "2026-12-31T02:30");
  EXPECT_EQ(last("2026-01-02T00:00", "2026-01-01T00:00"), "never");
  EXPECT_EQ(text_of(daily.last_ms(INT64_MIN, INT64_MAX)), "2199-12-31T02:30");
  EXPECT_EQ(daily.last_ms(INT64_MIN, -1), std::nullopt);
}

// From anywhere between two successive matches, next is the later one and last the earlier one.
TEST(Cron, next_and_last_meet_between_matches) {
  std::mt19937 random(7);
  for (const auto fields : {"7/13 */5 */3 * ? *", "0 0 LW * ? *", "0 12 ? * TUE#2 *", "59 23 1W 1/2 ? 2027",
                            "15,45 6-8 ? * MON-FRI *", "0 0 ? * SATL *"}) {
    const Cron parsed = cron(fields);
    const std::int64_t begin = at("2026-11-25T00:00") / kMinuteMs;
    std::int64_t previous = begin;
    auto time = parsed.next_ms(begin * kMinuteMs);
    for (int i = 0; i < 200 && time; ++i) {
      const std::int64_t match = *time / kMinuteMs;
      for (int j = 0; j < 5 && i > 0; ++j) {
        const std::int64_t between =
            previous + 1 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(match - previous));
        EXPECT_EQ(parsed.next_ms(between * kMinuteMs), time) << fields;
        const auto last = parsed.last_ms(previous * kMinuteMs, between * kMinuteMs - 1);
        EXPECT_EQ(last, previous * kMinuteMs) << fields;
      }
      previous = match;
      time = parsed.next_ms(*time + 1);
    }
  }
}

TEST(Cron, form_is_strict) {
  for (const auto text :
       {"", "cron", "cron()", "0 2 ? * MON *", "rate(5 minutes)", "CRON(0 2 ? * MON *)", "cron(0 2 ? * MON *",
        " cron(0 2 ? * MON *)", "cron(0 2 ? * MON *) ", "at(2026-01-01T00:00)"}) {
    EXPECT_NE(refusal(text), "accepted") << text;
  }
  EXPECT_THAT(refusal("cron(0 2 ? * MON)"), HasSubstr("has 5"));
  EXPECT_THAT(refusal("cron(0 0 2 ? * MON *)"), HasSubstr("has 7"));
  EXPECT_THAT(refusal("cron(0\t2 ? * MON *)"), HasSubstr("has 5"));
  EXPECT_NE(refusal("cron(0 2 ? * MON *" + std::string(300, ' ') + ")"), "accepted");
  EXPECT_EQ(refusal("cron( 0  2 ? * MON * )"), "accepted");
  EXPECT_EQ(refusal(std::string("cron(0 2 ? * MON *\0)", 20)).substr(0, 14), "The year field");
}

TEST(Cron, one_day_field_is_a_question_mark) {
  for (const auto fields : {"0 0 * * * *", "0 0 ? * ? *", "0 0 1 * MON *", "0 0 1 * * *", "0 0 * * MON *"}) {
    EXPECT_THAT(refusal("cron(" + std::string(fields) + ")"), HasSubstr("must be '?', and only one")) << fields;
  }
}

TEST(Cron, each_refusal_names_its_field) {
  const auto names = [](std::string_view fields, std::string_view field) {
    EXPECT_THAT(refusal("cron(" + std::string(fields) + ")"), HasSubstr("The " + std::string(field) + " field '"))
        << fields;
  };
  for (const std::string minute :
       {"60", "-1", "1-", "-",   "5-3",   "*/0", "*/60",  "*/",    "/5", "1,,2", ",",  "1,", "*,5",
        "a",  "?",  "L",  "1.5", "00000", "*-5", "1-2-3", "1/2/3", "+1", "5W",   "**", "0x1"}) {
    names(minute + " 0 * * ? *", "minutes");
  }
  for (const std::string hour : {"24", "22-2", "*/24", "JAN", "?"}) names("0 " + hour + " * * ? *", "hours");
  for (const std::string day :
       {"0", "32", "1-32", "W", "0W", "32W", "1-5W", "L-1", "1,L", "LL", "15WW", "1#2", "MON", "1,?", "*W"}) {
    names("0 0 " + day + " * ? *", "day-of-month");
  }
  for (const std::string month : {"0", "13", "JANUARY", "JA", "MON", "DEC-JAN", "?", "L"}) {
    names("0 0 * " + month + " ? *", "month");
  }
  for (const std::string weekday :
       {"0",   "8",       "MONDAY", "JAN",  "SAT-SUN", "2/2", "*/2", "6#0",  "6#6", "#3", "6#",
        "8#1", "6#3,2#1", "6#3L",   "2-3L", "1,L",     "0L",  "LW",  "6##3", "*#1", "*L", "2,?"}) {
    names("0 0 ? * " + weekday + " *", "day-of-week");
  }
  for (const std::string year : {"1969", "2200", "26", "20260", "2030-2029", "?", "L", "99999999999"}) {
    names("0 0 * * ? " + year, "year");
  }
}

TEST(Cron, damaged_expressions_are_refused_or_mean_something) {
  std::mt19937 random(11);
  constexpr std::string_view kBytes = "0123456789 ,-*/?LW#MONJAF\xff";
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = i % 2 == 0 ? "cron(0/15 2,3 ? 1-6 MON#2 2026)" : "cron(59 * 15W JAN ? *)";
    for (auto changes = 1 + random() % 3; changes > 0; --changes) {
      text[5 + random() % (text.size() - 6)] = kBytes[random() % kBytes.size()];
    }
    const auto parsed = Cron::parse(text);
    if (!parsed) continue;
    ++accepted;
    const auto from = static_cast<std::int64_t>(random()) * 1000;
    const auto time = parsed->next_ms(from);
    if (!time) continue;
    ASSERT_TRUE(*time >= from && *time % kMinuteMs == 0) << text;
    ASSERT_EQ(parsed->last_ms(*time, *time), time) << text;
  }
  EXPECT_GT(accepted, 1000);
  EXPECT_LT(accepted, 19000);
}

}  // namespace
}  // namespace muster::jobs
