// SPDX-License-Identifier: Apache-2.0
// Cron: when a maintenance window opens, in AWS's six fields: cron(minutes hours day-of-month month day-of-week year).
// A value and pure functions of time (UTC, minute resolution, years 1970 to 2199). Source: EventBridge's user guide,
// "Cron expressions".
//
//   field         values           beside lists (1,3) and ranges (1-3)
//   minutes       0-59             *  steps: */15, 10/15 (from 10 on), 10-40/15
//   hours         0-23             *  steps
//   day-of-month  1-31             *  steps  ?  L (last day)  LW (last Monday to Friday)  15W (the one nearest to the
//                                  15th within the month; a month that has no such day has none)
//   month         1-12, JAN-DEC    *  steps
//   day-of-week   1-7, SUN-SAT     *  ?  L (Saturday)  6L, FRIL (the last Friday)  6#3, FRI#3 (the third Friday)
//   year          1970-2199        *  steps
//
// Exactly one of the two day fields is "?". Names in any case. Refused, where other dialects differ: ranges that run
// backwards, steps in day-of-week, "*" inside a list, L, W or # inside a list.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace muster::jobs {

class Cron {
 public:
  static Result<Cron> parse(std::string_view text);  // kInvalid: names the field
  const std::string& text() const { return text_; }
  // The first match at or after `from_ms`; nullopt when there is none up to the end of 2199.
  std::optional<std::int64_t> next_ms(std::int64_t from_ms) const;
  // The last match at or after `from_ms` and at or before `to_ms`. Looks at each day between: for short spans.
  std::optional<std::int64_t> last_ms(std::int64_t from_ms, std::int64_t to_ms) const;

 private:
  enum class DayRule : std::uint8_t {
    kDays,            // days_
    kLastDay,         // L
    kLastWorkingDay,  // LW
    kNearestTo,       // 15W: day_
    kWeekdays,        // weekdays_
    kLastWeekday,     // 6L: weekday_
    kNthWeekday,      // 6#3: weekday_, nth_
  };
  Status parse_day_of_month(std::string_view text);
  Status parse_day_of_week(std::string_view text);
  std::bitset<32> days_in(int year, int month) const;  // those that match; needs no look at years_ and months_

  std::string text_;
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;     // 1..31
  std::bitset<13> months_;   // 1..12
  std::bitset<8> weekdays_;  // 1 (Sunday)..7
  std::bitset<2200> years_;  // 1970..2199
  DayRule rule_ = DayRule::kDays;
  int day_ = 0, weekday_ = 0, nth_ = 0;
};

}  // namespace muster::jobs
