// SPDX-License-Identifier: Apache-2.0
// The date functions of base/text.h: proleptic Gregorian calendar, UTC, no leap seconds (second 60 counts as the next
// minute's 0).
#include <array>
#include <chrono>
#include <cstdio>

#include "base/text.h"

namespace muster {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 7> kLongDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};

struct Civil {
  int year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0, ms = 0;
  int weekday = 4;  // 0 is Sunday
};

// Years 0 to 9999 only: what the texts can say.
Civil to_civil(std::int64_t time_ms) {
  constexpr std::int64_t kFirst = -62'167'219'200'000, kLast = 253'402'300'799'999;
  if (time_ms < kFirst) time_ms = kFirst;
  if (time_ms > kLast) time_ms = kLast;
  std::int64_t days = time_ms / kDayMs, rest = time_ms % kDayMs;
  if (rest < 0) {
    rest += kDayMs;
    --days;
  }
  std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{days}}};
  Civil civil;
  civil.year = static_cast<int>(date.year());
  civil.month = static_cast<int>(static_cast<unsigned>(date.month()));
  civil.day = static_cast<int>(static_cast<unsigned>(date.day()));
  civil.weekday = static_cast<int>(((days % 7) + 11) % 7);
  civil.ms = static_cast<int>(rest % 1000);
  civil.second = static_cast<int>(rest / 1000 % 60);
  civil.minute = static_cast<int>(rest / 60'000 % 60);
  civil.hour = static_cast<int>(rest / 3'600'000);
  return civil;
}

std::optional<std::int64_t> from_civil(const Civil& civil) {
  std::chrono::year_month_day date{std::chrono::year{civil.year},
                                   std::chrono::month{static_cast<unsigned>(civil.month)},
                                   std::chrono::day{static_cast<unsigned>(civil.day)}};
  if (!date.ok() || civil.hour > 23 || civil.minute > 59 || civil.second > 60) return std::nullopt;
  std::int64_t days = std::chrono::sys_days{date}.time_since_epoch().count();
  return days * kDayMs + civil.hour * 3'600'000LL + civil.minute * 60'000LL + civil.second * 1000LL + civil.ms;
}

// Reads fixed-width fields from the front; once something did not match, ok() stays false.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}
  bool ok() const { return ok_; }
  bool at_end() const { return rest_.empty(); }
  char peek() const { return rest_.empty() ? '\0' : rest_.front(); }

  int digits(std::size_t count) {
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      char c = peek();
      if (c < '0' || c > '9') {
        ok_ = false;
        return 0;
      }
      value = value * 10 + (c - '0');
      rest_.remove_prefix(1);
    }
    return value;
  }
  void text(std::string_view expected) {
    if (!rest_.starts_with(expected))
      ok_ = false;
    else
      rest_.remove_prefix(expected.size());
  }
  bool skip(char c) {
    if (peek() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // Index of the name that stands here, 0 when none does.
  template <std::size_t N>
  int name(const std::array<std::string_view, N>& names) {
    for (std::size_t i = 0; i < N; ++i) {
      if (!rest_.starts_with(names[i])) continue;
      rest_.remove_prefix(names[i].size());
      return static_cast<int>(i);
    }
    ok_ = false;
    return 0;
  }
  // At least one digit, up to nine; what exceeds milliseconds is cut off.
  int fraction_ms() {
    int value = 0, count = 0;
    while (peek() >= '0' && peek() <= '9' && count < 9) {
      if (count < 3) value = value * 10 + (peek() - '0');
      rest_.remove_prefix(1);
      ++count;
    }
    if (count == 0) ok_ = false;
    for (int i = count; i < 3; ++i) value *= 10;
    return value;
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

void read_time(Reader& reader, Civil& civil) {
  civil.hour = reader.digits(2);
  reader.text(":");
  civil.minute = reader.digits(2);
  reader.text(":");
  civil.second = reader.digits(2);
}

std::optional<std::int64_t> finish(const Reader& reader, const Civil& civil) {
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return from_civil(civil);
}

// Sun, 06 Nov 1994 08:49:37 GMT
std::optional<std::int64_t> parse_imf_fixdate(std::string_view text) {
  Reader reader(text);
  Civil civil;
  reader.name(kDays);
  reader.text(", ");
  civil.day = reader.digits(2);
  reader.text(" ");
  civil.month = reader.name(kMonths) + 1;
  reader.text(" ");
  civil.year = reader.digits(4);
  reader.text(" ");
  read_time(reader, civil);
  reader.text(" GMT");
  return finish(reader, civil);
}

// Sunday, 06-Nov-94 08:49:37 GMT
std::optional<std::int64_t> parse_rfc850(std::string_view text) {
  Reader reader(text);
  Civil civil;
  reader.name(kLongDays);
  reader.text(", ");
  civil.day = reader.digits(2);
  reader.text("-");
  civil.month = reader.name(kMonths) + 1;
  reader.text("-");
  int year = reader.digits(2);
  civil.year = year < 70 ? 2000 + year : 1900 + year;
  reader.text(" ");
  read_time(reader, civil);
  reader.text(" GMT");
  return finish(reader, civil);
}

// Sun Nov  6 08:49:37 1994
std::optional<std::int64_t> parse_asctime(std::string_view text) {
  Reader reader(text);
  Civil civil;
  reader.name(kDays);
  reader.text(" ");
  civil.month = reader.name(kMonths) + 1;
  reader.text(" ");
  civil.day = reader.skip(' ') ? reader.digits(1) : reader.digits(2);
  reader.text(" ");
  read_time(reader, civil);
  reader.text(" ");
  civil.year = reader.digits(4);
  return finish(reader, civil);
}

}  // namespace

std::string to_iso8601(std::int64_t time_ms, bool with_ms) {
  Civil c = to_civil(time_ms);
  char buffer[80];
  int length = with_ms ? std::snprintf(buffer, sizeof buffer, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", c.year, c.month,
                                       c.day, c.hour, c.minute, c.second, c.ms)
                       : std::snprintf(buffer, sizeof buffer, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year, c.month, c.day,
                                       c.hour, c.minute, c.second);
  return std::string(buffer, static_cast<std::size_t>(length));
}

std::string to_amz_date(std::int64_t time_ms) {
  Civil c = to_civil(time_ms);
  char buffer[80];
  int length = std::snprintf(buffer, sizeof buffer, "%04d%02d%02dT%02d%02d%02dZ", c.year, c.month, c.day, c.hour,
                             c.minute, c.second);
  return std::string(buffer, static_cast<std::size_t>(length));
}

std::string to_http_date(std::int64_t time_ms) {
  Civil c = to_civil(time_ms);
  char buffer[80];
  int length = std::snprintf(buffer, sizeof buffer, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                             kDays[static_cast<std::size_t>(c.weekday)].data(), c.day,
                             kMonths[static_cast<std::size_t>(c.month - 1)].data(), c.year, c.hour, c.minute, c.second);
  return std::string(buffer, static_cast<std::size_t>(length));
}

std::optional<std::int64_t> parse_amz_date(std::string_view text) {
  Reader reader(text);
  Civil civil;
  civil.year = reader.digits(4);
  civil.month = reader.digits(2);
  civil.day = reader.digits(2);
  reader.text("T");
  civil.hour = reader.digits(2);
  civil.minute = reader.digits(2);
  civil.second = reader.digits(2);
  reader.text("Z");
  return finish(reader, civil);
}

std::optional<std::int64_t> parse_http_date(std::string_view text) {
  if (auto time = parse_imf_fixdate(text)) return time;
  if (auto time = parse_rfc850(text)) return time;
  return parse_asctime(text);
}

std::optional<std::int64_t> parse_iso8601(std::string_view text) {
  Reader reader(text);
  Civil civil;
  civil.year = reader.digits(4);
  reader.text("-");
  civil.month = reader.digits(2);
  reader.text("-");
  civil.day = reader.digits(2);
  if (reader.ok() && reader.at_end()) return from_civil(civil);
  if (!reader.skip('T') && !reader.skip('t') && !reader.skip(' ')) return std::nullopt;
  civil.hour = reader.digits(2);
  reader.text(":");
  civil.minute = reader.digits(2);
  if (reader.skip(':')) {
    civil.second = reader.digits(2);
    if (reader.skip('.')) civil.ms = reader.fraction_ms();
  }
  std::int64_t offset_ms = 0;
  bool east = reader.peek() == '+';
  if (!reader.skip('Z') && !reader.skip('z') && (reader.skip('+') || reader.skip('-'))) {
    int hours = reader.digits(2);
    reader.skip(':');
    int minutes = reader.digits(2);
    if (hours > 23 || minutes > 59) return std::nullopt;
    offset_ms = (hours * 60 + minutes) * 60'000LL * (east ? 1 : -1);
  }
  auto local = finish(reader, civil);
  if (!local) return std::nullopt;
  return *local - offset_ms;
}

}  // namespace muster
