// SPDX-License-Identifier: Apache-2.0
// Schedule: when a job may roll out: a start, an end with its behaviour, and maintenance windows that recur by an AWS
// cron expression. Values and pure functions of time (UTC). Source: service model "SchedulingConfig", developer guide
// "Scheduling jobs" and "cron expressions" (EventBridge's six fields), jobs spec 4.5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "domain/jobs/cron.h"

namespace muster::jobs {

enum class EndBehavior : std::uint8_t { kStopRollout, kCancel, kForceCancel };

struct MaintenanceWindow {
  Cron start;
  std::int64_t minutes = 1;  // 1..1430
};

inline constexpr std::size_t kMaxWindows = 32;  // ours: AWS states no number

struct Schedule {
  std::int64_t start_ms = 0;  // 0: at once
  std::int64_t end_ms = 0;    // 0: never
  EndBehavior end_behavior = EndBehavior::kStopRollout;
  std::string start_text, end_text;  // as given, for DescribeJob
  std::vector<MaintenanceWindow> windows;
  bool empty() const { return start_ms == 0 && end_ms == 0 && windows.empty(); }
};

// The value of "schedulingConfig". `now_ms` bounds start and end (30 minutes to 1 and 2 years ahead) and wants each
// window to open some time from then on; 0: a stored record, which was checked when it was made. An empty one is none.
// kInvalid, AWS's wording where it is known. That windows need a CONTINUOUS job is the caller's to check.
Result<Schedule> read_schedule(const json::object& value, std::int64_t now_ms);
// Each window opens within the time of the job; kInvalid. (read_schedule() has checked those that it read.)
Status check_windows(const Schedule& schedule, std::int64_t now_ms);
// The value of "maintenanceWindows" (templates).
Result<std::vector<MaintenanceWindow>> read_windows(const json::array& value);
json::object to_json(const Schedule& schedule);
json::array to_json(const std::vector<MaintenanceWindow>& windows);

// Where a schedule stands at a moment.
struct ScheduleState {
  bool started = false;  // start has come
  bool open = false;     // started, not ended, and inside a window where there are any
  bool ended = false;
  // When any of these changes next; 0: never. Edges at which windows touch or overlap change nothing. A chain of so
  // many touching windows that its end is not worth looking for is cut: then it is a moment to ask again.
  std::int64_t next_change_ms = 0;
};
ScheduleState schedule_at(const Schedule& schedule, std::int64_t now_ms);

// DescribeJob's scheduledJobRollouts: the next `count` openings of windows at or after `now_ms` and the start, before
// the end. A window that is open already counts by its own opening, or by the start where that is later.
std::vector<std::int64_t> next_rollouts(const Schedule& schedule, std::int64_t now_ms, std::size_t count);

// "2026-11-25T14:30", "2026-11-25 14:30", with seconds, fraction, "Z" or an offset; UTC when it names none. A date
// alone is refused.
Result<std::int64_t> parse_schedule_time(std::string_view member, std::string_view text);

}  // namespace muster::jobs
