// SPDX-License-Identifier: Apache-2.0
// Schedule: when a job may roll out: a start, an end with its behaviour, and maintenance windows that recur by an AWS
// cron expression. Values and pure functions of time (UTC). Source: service model "SchedulingConfig", developer guide
// "Scheduling jobs" and "cron expressions" (EventBridge's six fields), jobs spec 4.5.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace muster::jobs {

// cron(minutes hours day-of-month month day-of-week year): lists, ranges, steps, names, ?, L, W, #. Minute resolution.
class Cron {
 public:
  static Result<Cron> parse(std::string_view text);  // kInvalid: names the field
  const std::string& text() const { return text_; }
  // The first match at or after `from_ms`; nullopt when there is none up to the end of 2199.
  std::optional<std::int64_t> next_ms(std::int64_t from_ms) const;

 private:
  std::string text_;
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;     // 1..31
  std::bitset<13> months_;   // 1..12
  std::bitset<8> weekdays_;  // 1 (Sunday)..7
  std::bitset<231> years_;   // 1970..2200
  bool any_day_ = false, any_weekday_ = false;
  bool last_day_ = false;          // day-of-month L
  bool last_working_day_ = false;  // LW
  int nearest_weekday_to_ = 0;     // 15W
  int last_weekday_ = 0;           // 6L: the last Friday
  int nth_weekday_ = 0, nth_ = 0;  // 6#3
  bool day_matches(int year, int month, int day) const;
};

enum class EndBehavior : std::uint8_t { kStopRollout, kCancel, kForceCancel };

struct MaintenanceWindow {
  Cron start;
  std::int64_t minutes = 1;  // 1..1430
};

struct Schedule {
  std::int64_t start_ms = 0;  // 0: at once
  std::int64_t end_ms = 0;    // 0: never
  EndBehavior end_behavior = EndBehavior::kStopRollout;
  std::string start_text, end_text;  // as given, for DescribeJob
  std::vector<MaintenanceWindow> windows;
  bool empty() const { return start_ms == 0 && end_ms == 0 && windows.empty(); }
};

// The value of "schedulingConfig". `now_ms` bounds start and end (30 minutes to 1 and 2 years ahead); 0: a stored
// record, which was checked when it was made. kInvalid, AWS's wording.
Result<Schedule> read_schedule(const json::object& value, std::int64_t now_ms);
// The value of "maintenanceWindows" (templates).
Result<std::vector<MaintenanceWindow>> read_windows(const json::array& value);
json::object to_json(const Schedule& schedule);
json::array to_json(const std::vector<MaintenanceWindow>& windows);

// Where a schedule stands at a moment.
struct ScheduleState {
  bool started = false;  // start has come
  bool open = false;     // started, not ended, and inside a window where there are any
  bool ended = false;
  // When this changes next (a start, an end, a window's edge); 0: never.
  std::int64_t next_change_ms = 0;
};
ScheduleState schedule_at(const Schedule& schedule, std::int64_t now_ms);

// The next `count` window openings at or after `now_ms` (an open window counts as its own opening), before the end.
std::vector<std::int64_t> next_rollouts(const Schedule& schedule, std::int64_t now_ms, std::size_t count);

// "2026-11-25T14:30", "2026-11-25 14:30", with seconds, fraction, "Z" or an offset; UTC when it names none.
Result<std::int64_t> parse_schedule_time(std::string_view member, std::string_view text);

}  // namespace muster::jobs
