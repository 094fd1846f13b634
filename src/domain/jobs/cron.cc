// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/cron.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <span>
#include <vector>

#include "base/text.h"

namespace muster::jobs {

namespace {

constexpr std::size_t kMaxBytes = 256;
constexpr std::int64_t kMinuteMs = 60'000;
constexpr int kMinutesOfDay = 24 * 60;
constexpr int kFirstYear = 1970, kLastYear = 2199;
constexpr int kSunday = 1, kSaturday = 7;

constexpr std::array<std::string_view, 12> kMonthNames{"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                                       "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
constexpr std::array<std::string_view, 7> kWeekdayNames{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};

struct Field {
  std::string_view name;
  int low, high;
  std::span<const std::string_view> names;  // of low, low + 1...
  bool has_steps = true;
  std::string_view allowed;
};
constexpr Field kMinuteField{"minutes", 0, 59, {}, true, "0 to 59, with \", - * /\""};
constexpr Field kHourField{"hours", 0, 23, {}, true, "0 to 23, with \", - * /\""};
constexpr Field kDayField{"day-of-month", 1, 31, {}, true, "1 to 31, with \", - * ? / L W\""};
constexpr Field kMonthField{"month", 1, 12, kMonthNames, true, "1 to 12 or JAN to DEC, with \", - * /\""};
constexpr Field kWeekdayField{"day-of-week", 1, 7, kWeekdayNames, false, "1 to 7 or SUN to SAT, with \", - * ? L #\""};
constexpr Field kYearField{"year", kFirstYear, kLastYear, {}, true, "1970 to 2199, with \", - * /\""};

Error refuse(const Field& field, std::string_view text) {
  return invalid("The " + std::string(field.name) + " field '" + std::string(text) +
                 "' of the cron expression is not valid: it takes " + std::string(field.allowed) + ".");
}

std::optional<int> parse_number(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  int number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  return number;
}

std::optional<int> parse_value(const Field& field, std::string_view text) {
  for (std::size_t i = 0; i < field.names.size(); ++i) {
    if (equals_ignore_case(field.names[i], text)) return field.low + static_cast<int>(i);
  }
  const auto number = parse_number(text);
  if (!number || *number < field.low || *number > field.high) return std::nullopt;
  return number;
}

struct Span {
  int low, high, step;
};

// "*", "5", "5-9", each with "/step".
std::optional<Span> parse_span(const Field& field, std::string_view text) {
  Span span{field.low, field.high, 1};
  const auto slash = text.find('/');
  const bool stepped = slash != std::string_view::npos;
  if (stepped) {
    const auto step = parse_number(text.substr(slash + 1));
    if (!field.has_steps || !step || *step < 1 || *step > field.high) return std::nullopt;
    span.step = *step;
    text = text.substr(0, slash);
  }
  if (text == "*") return span;
  const auto dash = text.find('-');
  const auto low = parse_value(field, text.substr(0, dash));
  if (!low) return std::nullopt;
  span.low = *low;
  if (dash == std::string_view::npos) {
    if (!stepped) span.high = *low;
    return span;
  }
  const auto high = parse_value(field, text.substr(dash + 1));
  if (!high || *high < *low) return std::nullopt;
  span.high = *high;
  return span;
}

template <std::size_t N>
Status parse_set(const Field& field, std::string_view text, std::bitset<N>& set) {
  const auto parts = split(text, ',');
  for (const auto part : parts) {
    const auto span = parse_span(field, part);
    if (!span || (parts.size() > 1 && part.starts_with('*'))) return refuse(field, text);
    for (int value = span->low; value <= span->high; value += span->step) set.set(static_cast<std::size_t>(value));
  }
  return {};
}

std::chrono::sys_days date_of(int year, int month, int day) {
  return std::chrono::year{year} / month / day;
}
int days_of_month(int year, int month) {
  const std::chrono::year_month_day_last last{
      std::chrono::year{year}, std::chrono::month_day_last{std::chrono::month{static_cast<unsigned>(month)}}};
  return static_cast<int>(static_cast<unsigned>(last.day()));
}
int weekday_of(int year, int month, int day) {
  return static_cast<int>(std::chrono::weekday{date_of(year, month, day)}.c_encoding()) + 1;
}
bool is_working_day(int year, int month, int day) {
  const int weekday = weekday_of(year, month, day);
  return weekday != kSunday && weekday != kSaturday;
}

// The Monday to Friday nearest to that day, without leaving its month.
int working_day_near(int year, int month, int day) {
  for (const int distance : {0, -1, 1, -2, 2}) {
    const int candidate = day + distance;
    if (candidate < 1 || candidate > days_of_month(year, month)) continue;
    if (is_working_day(year, month, candidate)) return candidate;
  }
  return day;  // not reached: one of five days in a row, or of three at an edge, is one
}

std::int64_t time_of(std::chrono::sys_days date, int minute) {
  return std::chrono::milliseconds(date.time_since_epoch()).count() + minute * kMinuteMs;
}

const std::int64_t kEndMs = time_of(date_of(kLastYear + 1, 1, 1), 0);

// Of the times of a day that match, the first not before `from` and the last not after `to`, in minutes.
std::optional<int> first_minute(const std::bitset<24>& hours, const std::bitset<60>& minutes, int from) {
  for (int at = from; at < kMinutesOfDay; ++at) {
    if (!hours[static_cast<std::size_t>(at / 60)]) {
      at += 59 - at % 60;  // to the end of this hour
    } else if (minutes[static_cast<std::size_t>(at % 60)]) {
      return at;
    }
  }
  return std::nullopt;
}
std::optional<int> last_minute(const std::bitset<24>& hours, const std::bitset<60>& minutes, int to) {
  for (int at = to; at >= 0; --at) {
    if (!hours[static_cast<std::size_t>(at / 60)]) {
      at -= at % 60;  // to the beginning of this hour
    } else if (minutes[static_cast<std::size_t>(at % 60)]) {
      return at;
    }
  }
  return std::nullopt;
}

struct Moment {
  int year, month, day, minute;
};
Moment moment_of(std::int64_t minute_of_epoch) {
  const std::chrono::sys_days date{std::chrono::days{minute_of_epoch / kMinutesOfDay}};
  const std::chrono::year_month_day ymd{date};
  return {static_cast<int>(ymd.year()), static_cast<int>(static_cast<unsigned>(ymd.month())),
          static_cast<int>(static_cast<unsigned>(ymd.day())), static_cast<int>(minute_of_epoch % kMinutesOfDay)};
}

}  // namespace

Result<Cron> Cron::parse(std::string_view text) {
  constexpr std::string_view kOpen = "cron(";
  if (text.size() > kMaxBytes || !text.starts_with(kOpen) || !text.ends_with(')')) {
    return invalid("A cron expression is written cron(minutes hours day-of-month month day-of-week year).");
  }
  std::vector<std::string_view> fields = split(text.substr(kOpen.size(), text.size() - kOpen.size() - 1), ' ');
  std::erase(fields, std::string_view());
  if (fields.size() != 6) {
    return invalid("A cron expression has six fields, minutes hours day-of-month month day-of-week year; '" +
                   std::string(text) + "' has " + std::to_string(fields.size()) + ".");
  }
  Cron cron;
  cron.text_ = text;
  TRY_VOID(parse_set(kMinuteField, fields[0], cron.minutes_));
  TRY_VOID(parse_set(kHourField, fields[1], cron.hours_));
  TRY_VOID(parse_set(kMonthField, fields[3], cron.months_));
  TRY_VOID(parse_set(kYearField, fields[5], cron.years_));
  const bool any_day = fields[2] == "?", any_weekday = fields[4] == "?";
  if (any_day == any_weekday) {
    return invalid("One of the fields day-of-month and day-of-week of the cron expression must be '?', and only one; " +
                   ("they are '" + std::string(fields[2])) + "' and '" + std::string(fields[4]) + "'.");
  }
  if (any_day) {
    TRY_VOID(cron.parse_day_of_week(fields[4]));
  } else {
    TRY_VOID(cron.parse_day_of_month(fields[2]));
  }
  return cron;
}

Status Cron::parse_day_of_month(std::string_view text) {
  if (equals_ignore_case(text, "L")) {
    rule_ = DayRule::kLastDay;
    return {};
  }
  if (equals_ignore_case(text, "LW")) {
    rule_ = DayRule::kLastWorkingDay;
    return {};
  }
  if (!text.ends_with('W') && !text.ends_with('w')) return parse_set(kDayField, text, days_);
  const auto day = parse_value(kDayField, text.substr(0, text.size() - 1));
  if (!day) return refuse(kDayField, text);
  rule_ = DayRule::kNearestTo;
  day_ = *day;
  return {};
}

Status Cron::parse_day_of_week(std::string_view text) {
  rule_ = DayRule::kWeekdays;
  if (equals_ignore_case(text, "L")) {
    weekdays_.set(kSaturday);
    return {};
  }
  const auto hash = text.find('#');
  const bool last = text.ends_with('L') || text.ends_with('l');
  if (hash == std::string_view::npos && !last) return parse_set(kWeekdayField, text, weekdays_);
  const auto weekday = parse_value(kWeekdayField, text.substr(0, last ? text.size() - 1 : hash));
  const auto nth = last ? std::optional(1) : parse_number(text.substr(hash + 1));
  if (!weekday || !nth || *nth < 1 || *nth > 5) return refuse(kWeekdayField, text);
  rule_ = last ? DayRule::kLastWeekday : DayRule::kNthWeekday;
  weekday_ = *weekday;
  nth_ = *nth;
  return {};
}

std::bitset<32> Cron::days_in(int year, int month) const {
  const int length = days_of_month(year, month);
  const int first_weekday = weekday_of(year, month, 1);
  std::bitset<32> days;
  const auto add = [&](int day) {
    if (day <= length) days.set(static_cast<std::size_t>(day));
  };
  const int first_such = 1 + (weekday_ - first_weekday + 7) % 7;
  switch (rule_) {
    case DayRule::kDays:
      for (int day = 1; day <= length; ++day)
        days[static_cast<std::size_t>(day)] = days_[static_cast<std::size_t>(day)];
      break;
    case DayRule::kLastDay:
      add(length);
      break;
    case DayRule::kLastWorkingDay:
      add(working_day_near(year, month, length));
      break;
    case DayRule::kNearestTo:
      if (day_ <= length) add(working_day_near(year, month, day_));
      break;
    case DayRule::kWeekdays:
      for (int day = 1; day <= length; ++day) {
        if (weekdays_[static_cast<std::size_t>(1 + (first_weekday - 1 + day - 1) % 7)]) add(day);
      }
      break;
    case DayRule::kLastWeekday:
      add(first_such + (length - first_such) / 7 * 7);
      break;
    case DayRule::kNthWeekday:
      add(first_such + (nth_ - 1) * 7);
      break;
  }
  return days;
}

std::optional<std::int64_t> Cron::next_ms(std::int64_t from_ms) const {
  if (from_ms >= kEndMs) return std::nullopt;
  const Moment from = moment_of((std::max<std::int64_t>(from_ms, 0) + kMinuteMs - 1) / kMinuteMs);
  int month = from.month, day = from.day, minute = from.minute;  // where to begin in what comes next
  for (int year = from.year; year <= kLastYear; ++year, month = 1, day = 1, minute = 0) {
    if (!years_[static_cast<std::size_t>(year)]) continue;
    for (; month <= 12; ++month, day = 1, minute = 0) {
      if (!months_[static_cast<std::size_t>(month)]) continue;
      const auto days = days_in(year, month);
      for (; day <= 31; ++day, minute = 0) {
        if (!days[static_cast<std::size_t>(day)]) continue;
        if (const auto at = first_minute(hours_, minutes_, minute)) return time_of(date_of(year, month, day), *at);
      }
    }
  }
  return std::nullopt;
}

std::optional<std::int64_t> Cron::last_ms(std::int64_t from_ms, std::int64_t to_ms) const {
  from_ms = std::max<std::int64_t>(from_ms, 0);
  to_ms = std::min(to_ms, kEndMs - 1);
  if (to_ms < from_ms) return std::nullopt;
  const std::int64_t first_day = from_ms / kMinuteMs / kMinutesOfDay;
  std::int64_t minute = to_ms / kMinuteMs;
  for (std::int64_t day = minute / kMinutesOfDay; day >= first_day; --day, minute = (day + 1) * kMinutesOfDay - 1) {
    const Moment at = moment_of(minute);
    if (!years_[static_cast<std::size_t>(at.year)] || !months_[static_cast<std::size_t>(at.month)]) continue;
    if (!days_in(at.year, at.month)[static_cast<std::size_t>(at.day)]) continue;
    const auto last = last_minute(hours_, minutes_, at.minute);
    if (!last) continue;
    const std::int64_t time = time_of(date_of(at.year, at.month, at.day), *last);
    return time >= from_ms ? std::optional(time) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace muster::jobs
